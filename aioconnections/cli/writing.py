"""What one bulk command writes: a row for each row of its input, and at the end a line for a person."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Generic, TypeVar, cast

from attrs import define, field

from aioconnections.cli.output import RowWriter
from aioconnections.cli.progress import say
from aioconnections.cli.rows import BadRowError, Item, Repeats, Row
from aioconnections.cli.verbs import Verb
from aioconnections.outcomes import Count, Duplicate, Failed, InDoubt, Outcome, Rejected, Unprocessed, milliseconds

__all__ = ["COST", "RECORDED_AT", "Writing", "same_person"]

ItemT = TypeVar("ItemT", bound=Item)

COST = ("attempts", "elapsed_ms", "error")
RECORDED_AT = "recorded_at"  # a column of runs with a journal
_MOST_HELD = 1_000  # rows


@define
class Writing(Generic[ItemT]):
    """What one command has written so far.

    Attributes:
        write: takes the rows.
        verb: what is done with each.
        added: the columns that are filled.
        held: rows that say that nothing was done, which wait for one that says more: they are not worth an old result.
            None if they need not.
        flush: has the rows leave this process.
        repeats: lines of the input that repeat its header.
    """

    write: RowWriter
    verb: Verb[ItemT]
    added: tuple[str, ...]
    held: list[Row] | None = None
    flush: Callable[[], object] = lambda: None
    repeats: Repeats = field(factory=Repeats)
    _started: float = field(factory=time.monotonic)
    _count: Count = field(factory=Count)
    _labels: Counter[str] = field(factory=Counter[str])
    _replayed: int = 0
    _oldest: datetime | None = None  # when the first of the answers was recorded that an earlier run got
    _latest: datetime | None = None
    _unreadable: int = 0
    _undone: int = 0
    _in_doubt: int = 0
    _lines: array[int] = field(factory=lambda: array("Q"))  # by index, where a row may be about the person of another

    @property
    def bad(self) -> bool:
        """Whether any row went without what was asked for. Of a person who comes twice the first row decides."""
        rest = self._unreadable + self._undone + self._in_doubt
        return bool(rest) or not self._count.tally(self._count.finished).good

    def numbered(self, rows: Iterator[ItemT | BadRowError]) -> Iterator[ItemT | BadRowError]:
        """The rows, whose lines are kept where a person who comes twice is left alone."""
        for row in rows:
            if self.verb.once:
                self._lines.append(row.line)
            yield row

    def take(self, outcome: Outcome) -> None:
        """Write the row of one outcome."""
        if isinstance(outcome.item, BadRowError):
            self.refuse(outcome.item)
            return
        error = _problem(outcome)
        if isinstance(outcome, Duplicate):
            error = same_person(self._lines[outcome.of])
        self._count.add(outcome)
        if outcome.replayed and outcome.recorded_at is not None:
            self._oldest = min(self._oldest or outcome.recorded_at, outcome.recorded_at)
            self._latest = max(self._latest or outcome.recorded_at, outcome.recorded_at)
        if error is None:
            self._replayed += outcome.replayed
            self._labels[self.verb.label(outcome)] += 1
        cost: Row = {"attempts": outcome.attempts, "elapsed_ms": milliseconds(outcome.elapsed)}
        row = cast("Item", outcome.item).row | self.verb.said(outcome) | cost | {"error": error}
        if RECORDED_AT in self.added:
            row[RECORDED_AT] = outcome.recorded_at.isoformat() if outcome.recorded_at else None
        self._put(row, idle=isinstance(outcome, Failed | Unprocessed | Duplicate))

    def release(self) -> None:
        """Write what is held, and hold nothing more."""
        held, self.held = self.held, None
        for row in held or ():
            self.write(row)

    def _put(self, row: Row, *, idle: bool) -> None:
        if self.held is None:
            self.write(row)
            return
        self.held.append(row)
        if not idle or len(self.held) > _MOST_HELD:
            self.release()

    def leave(self, rows: Iterable[ItemT | BadRowError], why: str) -> None:
        """Write rows that nothing was done with."""
        for row in rows:
            if isinstance(row, BadRowError):
                self.refuse(row)
            else:
                self._undone += 1
                self._put(row.row | self.empty(f"unprocessed: {why}", outcome="unprocessed"), idle=True)

    def doubt(self, row: ItemT | BadRowError, why: str) -> None:
        """Write a row of which it is not known what became of it."""
        if isinstance(row, BadRowError):
            self.refuse(row)
        else:
            self._in_doubt += 1
            self._put(row.row | self.empty(f"InDoubtError: {why}", outcome="in_doubt"), idle=False)

    def refuse(self, row: BadRowError) -> None:
        """Write a row that could not be read, and say so."""
        problem = str(row)
        self._unreadable += 1
        self._put(row.row | self.empty(problem, outcome="unreadable"), idle=True)
        say(problem)

    def plan(self, row: ItemT, said: Row, *, good: bool) -> None:
        """Write a row that says what would be done."""
        self._undone += not good
        self.write(row.row | self.empty(None) | said)

    def empty(self, error: str | None, *, outcome: str | None = None) -> Row:
        """The columns that are added to a row of which there is nothing else to say."""
        row: Row = {**dict.fromkeys(self.added), "error": error}
        return row | {"outcome": outcome} if "outcome" in row else row

    def summary(self) -> str:
        """One line for a person, about what has been written."""
        tally, seconds = self._count.tally(self._count.finished), time.monotonic() - self._started
        done = self._labels.total()
        text = f"{done:,} {self.verb.done} in {seconds:,.1f} s"
        if done:
            known = [*self.verb.labels, *sorted(self._labels.keys() - {*self.verb.labels})]
            text += f" ({done / max(seconds, 1e-3):,.0f}/s): "
            text += ", ".join(f"{self._labels[label]:,} {label}" for label in known if self._labels[label])
        others = {
            "of them by an earlier run": self._replayed,
            "in doubt": tally.in_doubt + self._in_doubt,
            "rejected": tally.rejected,
            "failed": tally.failed,
            "unreadable": self._unreadable,
            "duplicate": tally.duplicate,
            "unprocessed": tally.unprocessed + self._undone,
        }
        said = [text, *(f"{count:,} {what}" for what, count in others.items() if count), *self.skipped()]
        if self._oldest is not None and self._latest is not None:
            said.append(f"what an earlier run recorded is {_ages(self._latest, self._oldest)} old")
        return "; ".join(said)

    def skipped(self) -> list[str]:
        """What is said of lines that repeat the header; nothing if there are none."""
        count, first = self.repeats.count, self.repeats.first
        if not count:
            return []
        return [
            f"line {first:,} repeats the header"
            if count == 1
            else f"{count:,} lines repeat the header, from line {first:,} on"
        ]


def _ages(latest: datetime, oldest: datetime) -> str:
    """How old what was recorded between two times is."""
    now = datetime.now(UTC)
    ages = [_age((now - moment).total_seconds()) for moment in (latest, oldest)]
    return ages[0] if ages[0] == ages[1] else " to ".join(ages)


def _age(seconds: float) -> str:
    """A length of time for a person, in the largest unit of which there are two."""
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def same_person(line: int) -> str:
    """The error column of a duplicate, whose first occurrence is in this line."""
    return f"the same person as line {line}"


def _problem(outcome: Outcome) -> str | None:
    match outcome:
        case Rejected(error) | Failed(error) | InDoubt(error):
            return f"{type(error).__name__}: {error}"
        case Unprocessed(reason):
            return f"unprocessed: {reason}"
        case _:
            return None
