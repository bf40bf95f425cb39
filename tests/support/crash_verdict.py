"""Compares the commits of a server with the rows of a journal and the outcomes that the runs reported."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from attrs import field, frozen
from killing import Item, Plan, Site

from aioconnections.journal import report
from aioconnections.journal.stored import FINISHED

__all__ = ["Complaint", "complaints", "intents"]

_MAY_BE_MADE = frozenset({"invited", "already_exists", "in_doubt"})
_NUDGE = 0.01  # seconds by which the clock of the machine may be adjusted during a run


class Complaint(NamedTuple):
    """One violation: its kind, and a description that names the item or person."""

    kind: Literal["invited twice", "lost", "unreported", "in doubt", "too early"]
    what: str


@frozen
class _Facts:
    items: Sequence[Item]
    commits: Counter[str]
    outcomes: dict[int, str]
    named: dict[int, str | None]
    intents: dict[int, list[tuple[float, int]]] = field(repr=False)
    reported: Sequence[list[tuple[int, str]]] = field(repr=False)


def complaints(plan: Plan, site: Site, reported: Sequence[Path]) -> list[Complaint]:
    """All violations after the last run, which was not killed."""
    with site.log.open() as log:
        commits = Counter(json.loads(line)["target"] for line in log)
    with report(plan.journal) as run:
        rows = list(run.rows())
    facts = _Facts(
        plan.items,
        commits,
        {row.index: row.outcome for row in rows},
        {row.index: row.item.get("userid") for row in rows},
        intents(plan.journal),
        [_reported(each) for each in reported],
    )
    return [
        *_twice(facts),
        *_lost(facts),
        *_unreported(facts),
        *_misnamed(facts),
        *_doubts(facts),
        *_early(facts, site, plan.settle),
    ]


def intents(journal: Path) -> dict[int, list[tuple[float, int]]]:
    """Time and number of each intent, by index of the item, read directly from the database."""
    found: dict[int, list[tuple[float, int]]] = defaultdict(list)
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as db:
        for index, wall, send in db.execute("SELECT idx, wall, data FROM entry WHERE kind = 'intent' ORDER BY seq"):
            found[index].append((wall / 1_000_000, int(send)))
    return found


def _reported(path: Path) -> list[tuple[int, str]]:
    lines = path.read_text().splitlines(keepends=True)
    whole = [line.split() for line in lines if line.endswith("\n")]  # the last one may be cut off
    return [(int(index), outcome) for index, outcome in whole]


def _twice(facts: _Facts) -> Iterator[Complaint]:
    for person, count in facts.commits.items():
        if count > 1:
            yield Complaint("invited twice", f"{person}, {count} times")


def _lost(facts: _Facts) -> Iterator[Complaint]:
    recorded: dict[str | None, set[str]] = defaultdict(set)
    for index, person in facts.named.items():
        recorded[person].add(facts.outcomes[index])
        if facts.outcomes[index] == "invited" and person not in facts.commits:
            yield Complaint("lost", f"{index} is recorded as invited, but {person} was not")
    for person in facts.commits:
        if not recorded[person] & _MAY_BE_MADE:
            yield Complaint("lost", f"{person} was invited, but is recorded as {recorded[person]}")


def _unreported(facts: _Facts) -> Iterator[Complaint]:
    *killed, last = facts.reported
    if sorted(facts.outcomes) != list(range(len(facts.items))):
        yield Complaint("unreported", f"the report has {len(facts.outcomes)} items")
    if sorted(index for index, _ in last) != list(range(len(facts.items))):
        yield Complaint("unreported", f"the last run reported {len(last)} items")
    for index, outcome in last:
        if facts.outcomes.get(index) != outcome:
            yield Complaint("unreported", f"{index} was {outcome} in the last run, not {facts.outcomes.get(index)}")
    for index, outcome in chain(*killed):
        if outcome in FINISHED and facts.outcomes.get(index) != outcome:
            yield Complaint("unreported", f"{index} was {outcome} in an earlier run, not {facts.outcomes.get(index)}")


def _misnamed(facts: _Facts) -> Iterator[Complaint]:
    for index, outcome in facts.outcomes.items():
        if facts.named[index] != facts.items[index]:
            yield Complaint("unreported", f"{index} is {facts.items[index]}, not {facts.named[index]}")
        if outcome not in _possible(facts.items, index):
            yield Complaint("unreported", f"{index} is {outcome}")


def _possible(items: Sequence[Item], index: int) -> set[str]:
    item = items[index]
    if item is None:
        return {"failed"}
    if item.startswith("nobody"):  # a check about them is refused as well and settles nothing
        return {"rejected", "in_doubt"}
    return {"invited", "in_doubt"} if item not in items[max(0, index - 3) : index] else {"duplicate"}


def _doubts(facts: _Facts) -> Iterator[Complaint]:
    """Only two lost responses leave a known person in doubt: checks succeed, and no run lasts fifteen minutes."""
    for index, outcome in facts.outcomes.items():
        sends = [send for _, send in facts.intents.get(index, ())]
        known = not (facts.named[index] or "").startswith("nobody")
        if outcome == "in_doubt" and known and sends[-1:] != [2]:
            yield Complaint("in doubt", f"{index} was sent {len(sends)} times and is in doubt")
        if max(sends, default=0) > 2:
            yield Complaint("in doubt", f"{index} was sent {max(sends)} times")


def _early(facts: _Facts, site: Site, settle: float) -> Iterator[Complaint]:
    by_person = {facts.named[index]: times for index, times in facts.intents.items()}
    for moment, person in site.checks:
        before = [wall for wall, _ in by_person.get(person, ()) if wall <= moment]
        if not before or moment - before[-1] < settle - _NUDGE:
            yield Complaint("too early", f"{person} was checked after {moment - before[-1] if before else None} s")
