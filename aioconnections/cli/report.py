"""``aioconnections report``: what a journal says of its run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

from aioconnections.cli.exits import GOOD, SOME_BAD
from aioconnections.cli.options import PLAIN, Result
from aioconnections.cli.progress import say

if TYPE_CHECKING:
    from aioconnections.cli.rows import Row as Line
    from aioconnections.journal import Report, Row
    from aioconnections.outcomes import Tally

__all__ = ["report"]

_AFTER = ("attempts", "elapsed_ms", "waited_ms", "error", "intent_at", "outcome_at")


def report(journal: Path, /, *, result: Result = PLAIN) -> int:
    """Report what a journal says of every item of its run, in the order of the input.

    Nothing is asked of the server, and the journal is not changed. Rows that the run did not come to are not in it.
    Each item is one row: index (from 0), the columns that name it, outcome (as the run itself wrote it; in_doubt where
    it ended before the answer was recorded), what the outcome says (status, connection_id or was), attempts,
    elapsed_ms, waited_ms, error, intent_at (when it was sent) and outcome_at.

    Args:
        journal: File that --journal was given.
        result: How the result is written.
    """
    from aioconnections.cli.apart import keep_apart
    from aioconnections.cli.output import rows_to
    from aioconnections.journal import report as read

    form = result.form or "csv"
    keep_apart([], output=result.output, journal=journal)
    duplicates = 0
    with read(journal) as run:
        columns = _columns(run) if form == "csv" else ()
        with rows_to(result.output, form, columns, source=None) as write:
            for row in run.rows():
                write(_line(row))
                duplicates += _is_duplicate(row)
        tally = evolve(run.tally, unprocessed=run.tally.unprocessed - duplicates)
        say(_summary(run, tally, duplicates))
        return GOOD if tally.good else SOME_BAD


def _columns(run: Report) -> tuple[str, ...]:
    """The columns of all rows, which are only known at the last."""
    items: dict[str, None] = {}
    said: dict[str, None] = {}
    for row in run.rows():
        items.update(dict.fromkeys(row.item))
        said.update(dict.fromkeys(_said(row)))
    return "index", *items, "outcome", *said, *_AFTER


def _said(row: Row) -> Line:
    """What the outcome says, besides an error."""
    facts = {} if row.said is None else row.said.facts
    if row.outcome == "checked":
        facts["status"] = facts["status"] or "none"
    return {name: value for name, value in facts.items() if name not in {"error", "reason"}}


def _is_duplicate(row: Row) -> bool:
    from aioconnections.cli.writing import first_of

    return row.said is not None and first_of(str(row.said.facts.get("reason"))) is not None


def _line(row: Row) -> Line:
    from aioconnections.cli.writing import milliseconds

    told = row.as_dict()
    error = told.get("error")
    return {
        "index": row.index,
        **row.item,
        "outcome": row.outcome,
        **_said(row),
        "attempts": told["attempts"],
        "elapsed_ms": milliseconds(told["elapsed"]),
        "waited_ms": milliseconds(told["waited"]),
        "error": f"unprocessed: {error}" if row.outcome == "unprocessed" else error,
        "intent_at": told["intent_at"],
        "outcome_at": told["outcome_at"],
    }


def _summary(run: Report, tally: Tally, duplicates: int) -> str:
    """Which run it was, and how many came to what."""
    who = "nobody" if run.userid is None else run.userid
    counts = {name: f"{count:,} {name.replace('_', ' ')}" for name, count in tally.as_dict().items() if count}
    read = counts.pop("read", "0 read")
    statuses = [counts.pop(name).replace(" status", "") for name in [*counts] if name.startswith("status_")]
    if statuses:
        counts["checked"] += f" ({', '.join(statuses)})"
    if duplicates:
        counts["duplicate"] = f"{duplicates:,} duplicate"
    said = f": {', '.join(counts.values())}" if counts else ""
    ended = f", finished {run.finished:%Y-%m-%d %H:%M:%S} UTC" if run.finished else ""
    return f"{run.verb} at {run.origin} as {who}, begun {run.created:%Y-%m-%d %H:%M:%S} UTC{ended}: {read}{said}"
