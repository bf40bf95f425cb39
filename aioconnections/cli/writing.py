"""The output of one bulk command: one row or more for each row of its input, and a summary in one line."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from attrs import define, field

from aioconnections.cli.meter import Meter
from aioconnections.cli.progress import say
from aioconnections.cli.reasons import Reasons
from aioconnections.cli.summary import Facts
from aioconnections.cli.terminal import duration, per_second
from aioconnections.cli.verbs import BulkVerb
from aioconnections.files.checks import problem_of
from aioconnections.files.dialect import in_words
from aioconnections.files.rows import BadRowError, InputRow, InvalidBytes, Item, RepeatedLines
from aioconnections.files.sheet import RowWriter
from aioconnections.outcomes import Count, Duplicate, Failed, InDoubt, Outcome, Rejected, Unprocessed, milliseconds

if TYPE_CHECKING:
    from aioconnections.cli.report_file import RunReport

__all__ = ["RECORDED_AT", "Writing", "same_person"]

ItemT = TypeVar("ItemT", bound=Item)

RECORDED_AT = "recorded_at"  # a column of runs with a journal
_MAX_HELD = 1_000  # rows


@define
class Writing(Generic[ItemT]):
    """Writes the rows of one command, and counts them.

    Attributes:
        write: writes one row.
        verb: the bulk verb.
        added: the columns added to each row.
        held: the rows so far, if none reports work done and they would replace the result of an earlier run. None if
            rows are written at once.
        flush_output: writes what is still buffered.
        repeats: lines of the input that repeat its header.
        invalid: bytes of the input that are not text.
        omitted: number of rows of the input that could not be read and have no row in the result.
        notes: further parts of the summary.
        elapsed: duration of the run in seconds, as the progress reports it; None before the first report.
        reasons: why rows were rejected, failed or left in doubt.
        meter: measures the outcomes.
        report: gathers what an HTML report says; None for none.
    """

    write: RowWriter
    verb: BulkVerb[ItemT]
    added: tuple[str, ...]
    held: list[InputRow] | None = None
    flush_output: Callable[[], object] = lambda: None
    repeats: RepeatedLines = field(factory=RepeatedLines)
    invalid: InvalidBytes = field(factory=InvalidBytes)
    omitted: int = 0
    notes: tuple[str, ...] = ()
    elapsed: float | None = None
    reasons: Reasons = field(factory=Reasons)
    meter: Meter = field(factory=Meter)
    report: RunReport | None = None
    _started: float = field(factory=time.monotonic)
    _count: Count = field(factory=Count)
    _labels: Counter[str] = field(factory=Counter[str])
    _replayed: int = 0
    _done_now: int = 0
    _found: int = 0
    _oldest: datetime | None = None  # times at which the replayed outcomes were recorded
    _latest: datetime | None = None
    _unreadable: int = 0
    _left_in_doubt: int = 0
    _not_planned: int = 0
    _discarding: bool = False
    _lines: array[int] = field(factory=lambda: array("Q"))  # by index, if the verb may give a `Duplicate`

    @property
    def unreadable(self) -> int:
        """The number of rows that could not be read and are written to the result."""
        return self._unreadable

    @property
    def bad(self) -> bool:
        """Whether any row has no good outcome."""
        return (
            bool(self._unreadable + self.omitted + self._left_in_doubt + self._not_planned)
            or not self._count.tally(self._count.finished).good
        )

    @property
    def done_now(self) -> int:
        """The number of items with an outcome that no earlier run has recorded."""
        return self._done_now

    @property
    def has_replayed(self) -> bool:
        """Whether an earlier run has recorded an outcome."""
        return self._oldest is not None

    def numbered(self, rows: Iterator[ItemT | BadRowError]) -> Iterator[ItemT | BadRowError]:
        """The rows; their line numbers are kept if the verb may give a `Duplicate`."""
        for row in rows:
            if self.verb.once:
                self._lines.append(row.line)
            yield row

    def take(self, outcome: Outcome) -> None:
        """Write the rows of one outcome."""
        if self.report is not None:
            self.report.add(outcome)
        if isinstance(outcome.item, BadRowError):
            self.refuse(outcome.item)
            return
        error = problem_of(outcome)
        if isinstance(outcome, Duplicate):
            error = same_person(self._lines[outcome.of])
        self._count.add(outcome)
        self.meter.add(outcome)
        self._done_now += not (outcome.replayed or isinstance(outcome, Unprocessed))
        if isinstance(outcome, Rejected | Failed | InDoubt):
            self.reasons.add(outcome)
        if outcome.replayed and outcome.recorded_at is not None:
            self._oldest = min(self._oldest or outcome.recorded_at, outcome.recorded_at)
            self._latest = max(self._latest or outcome.recorded_at, outcome.recorded_at)
        if error is None:
            self._replayed += outcome.replayed
            self._found += self.verb.found(outcome)
            self._labels[self.verb.label(outcome)] += 1
        cost: InputRow = {"attempts": outcome.attempts, "elapsed_ms": milliseconds(outcome.elapsed)}
        end: InputRow = cost | {"error": error}
        if RECORDED_AT in self.added:
            end[RECORDED_AT] = outcome.recorded_at.isoformat() if outcome.recorded_at else None
        given, idle = cast("Item", outcome.item).row, isinstance(outcome, Failed | Unprocessed | Duplicate)
        for columns in self.verb.rows(outcome):
            self._put(given | columns | end, idle=idle)

    def release(self) -> None:
        """Write the held rows, and write later rows at once."""
        held, self.held = self.held, None
        for row in held or ():
            self._write(row)

    def discard(self) -> None:
        """Write no more rows; only count them."""
        self._discarding = True
        self.held = None

    def flush(self) -> None:
        """Write what is still buffered, so that it can be read and survives the end of this process."""
        if not self._discarding:
            self.flush_output()

    def _write(self, row: InputRow) -> None:
        if not self._discarding:
            self.write(row)

    def _put(self, row: InputRow, *, idle: bool) -> None:
        if self.held is None:
            self._write(row)
            return
        self.held.append(row)
        if not idle or len(self.held) > _MAX_HELD:
            self.release()

    def refuse(self, row: BadRowError) -> None:
        """Write a row that could not be read, and report it."""
        problem = str(row)
        self._put(row.row | self.empty(problem, outcome=row.outcome), idle=True)
        if row.outcome == "in_doubt":
            self._left_in_doubt += 1
            return
        self._unreadable += 1
        say(problem)

    def plan(self, row: ItemT, columns: InputRow, *, good: bool) -> None:
        """Write a row of a dry run."""
        self._not_planned += not good
        self.write(row.row | self.empty(None) | columns)

    def empty(self, error: str | None, *, outcome: str | None = None) -> InputRow:
        """The added columns of a row without an outcome."""
        row: InputRow = {**dict.fromkeys(self.added), "error": error}
        return row | {"outcome": outcome} if "outcome" in row else row

    def facts(self) -> Facts:
        """What has been done, as far as it shows in the outcomes."""
        tally, seconds = self._count.tally(self._count.finished), self.elapsed
        if seconds is None:
            seconds = time.monotonic() - self._started
        done = self._labels.total()
        known = [*self.verb.labels, *sorted(self._labels.keys() - {*self.verb.labels})]
        others = {
            self.verb.records: self._found,
            "of these from an earlier run": self._replayed,
            "in doubt": tally.in_doubt + self._left_in_doubt,
            "rejected": tally.rejected,
            "failed": tally.failed,
            "unreadable": self._unreadable + self.omitted,
            "duplicate": tally.duplicate,
            "unprocessed": tally.unprocessed,
        }
        remarks = self.skipped()
        if self._oldest is not None and self._latest is not None:
            remarks.append(f"outcomes of an earlier run are {_ages(self._latest, self._oldest)} old")
        return Facts(
            done=f"{done:,} {self.verb.done}",
            seconds=seconds,
            rate=done / max(seconds, 1e-3) if done else None,
            good=tuple((label, self._labels[label]) for label in known if self._labels[label]),
            others=tuple((label, count) for label, count in others.items() if count),
            remarks=tuple(remarks),
            meter=self.meter,
        )

    def summary(self) -> str:
        """Summarize in one line what has been done."""
        facts = self.facts()
        text = f"{facts.done} in {duration(facts.seconds)}"
        if facts.rate is not None:
            text += f" ({per_second(facts.rate)}): " + ", ".join(f"{count:,} {label}" for label, count in facts.good)
        return "; ".join([text, *(f"{count:,} {what}" for what, count in facts.others), *facts.remarks])

    def skipped(self) -> list[str]:
        """The parts of the summary about lines that repeat earlier ones, and about bytes that are not text."""
        parts = [*self.repeats.described("the header"), *self.notes]
        count, encoding = self.invalid.count, in_words(self.invalid.encoding)
        if count:
            were = "byte was not {} and was" if count == 1 else "bytes were not {} and were"
            hint = ": pass --encoding cp1252" if encoding == "UTF-8" else ""
            parts.append(f"{count:,} {were.format(encoding)} replaced{hint}")
        return parts


def _ages(latest: datetime, oldest: datetime) -> str:
    """The age of outcomes that were recorded between two times."""
    now = datetime.now(UTC)
    ages = [_age((now - moment).total_seconds()) for moment in (latest, oldest)]
    return ages[0] if ages[0] == ages[1] else " to ".join(ages)


def _age(seconds: float) -> str:
    """A duration in the largest unit in which it is at least two."""
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def same_person(line: int) -> str:
    """The error column of a duplicate, whose first occurrence is in this line."""
    return f"the same person as line {line}"
