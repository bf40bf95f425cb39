"""What ``aioconnections check`` does: rows in, checks, rows out."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias, cast

from attrs import define, field

from aioconnections.cli.exits import GOOD, SOME_BAD, of_error
from aioconnections.cli.output import Format, RowWriter, rows_to
from aioconnections.cli.progress import Advance, progress, say
from aioconnections.cli.rows import BadRow, IdType, Row, RowPair, read_pairs
from aioconnections.cli.source import Ahead, count_rows, opened, ready
from aioconnections.client import Client
from aioconnections.errors import AnswerError, ConnectionsError, InvalidInputError
from aioconnections.outcomes import Checked, CheckOutcome, Count, Failed, Rejected, Unprocessed
from aioconnections.records import Pair

__all__ = ["check_file"]

_Rows: TypeAlias = Ahead[RowPair | BadRow] | Iterator[RowPair | BadRow]

_ADDED = ("status", "http_status", "attempts", "elapsed_ms", "error")


def check_file(
    client: Client,
    pairs: Path | None,
    *,
    id_type: IdType | None,
    ordered: bool,
    form: Format | None,
    output: Path | None,
) -> int:
    """Check the pairs of a file and return the exit code.

    Args:
        client: not entered yet.
        pairs: CSV or JSON lines; None for standard input.
        id_type: what bare columns hold.
        ordered: keep the order of the input.
        form: of the result; None for that of the input.
        output: where the result goes; None for standard output.

    Raises:
        InvalidInputError: a file that cannot be opened, or an input that is no table of pairs.
        OSError: the result cannot be written.
    """
    with opened(pairs) as file:
        table = read_pairs(file, id_type)
        form = form or table.form
        if form == "csv" and table.form == "jsonl":
            raise InvalidInputError("JSON lines have no common columns, so their result cannot be written as CSV")
        columns = (*(name for name in table.columns if name not in _ADDED), *_ADDED)
        with rows_to(output, form, columns, source=file) as write:
            run = _Run(write)
            rows_seen = output is None and sys.stdout.isatty()
            try:
                with progress(count_rows(pairs), shown=not rows_seen) as advance, ready(table.rows, file) as rows:
                    checking = _checked(client, rows, run, advance, ordered=ordered)
                    with closing(checking):  # Ctrl-C may come before it has begun, and then it would complain
                        asyncio.run(checking)
            finally:
                say(run.summary())
    if run.stopped is not None:
        say(f"aioconnections: stopped: {run.stopped}")
        return of_error(run.stopped)
    return SOME_BAD if run.bad else GOOD


async def _checked(client: Client, rows: _Rows, run: _Run, advance: Advance, *, ordered: bool) -> None:
    pairs = cast("Iterator[Pair]", rows)  # of a BadRow the client says that it is no pair, and gives it back
    async with client, client.check_many(pairs, ordered=ordered) as outcomes:
        async for outcome in outcomes:
            run.take(outcome)
            advance()
    run.stopped = outcomes.stopped
    async for row in _rest(rows):  # after an early stop the result still has every row
        run.leave(row)


async def _rest(rows: _Rows) -> AsyncIterator[RowPair | BadRow]:
    if isinstance(rows, Ahead):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row
            await asyncio.sleep(0)  # for Ctrl-C


@define
class _Run:
    """What one command has written so far."""

    write: RowWriter
    started: float = field(factory=time.monotonic)
    count: Count = field(factory=Count)
    unreadable: int = 0
    left: int = 0
    stopped: ConnectionsError | None = None

    @property
    def bad(self) -> bool:
        """Whether any row went without its answer."""
        return bool(self.unreadable or self.left) or not self.count.tally(self.count.finished).good

    def take(self, outcome: CheckOutcome) -> None:
        """Write the row of one outcome."""
        if isinstance(outcome.item, BadRow):
            self.refuse(outcome.item)
            return
        assert isinstance(outcome.item, RowPair)  # noqa: S101 # the only other thing that is read
        self.write(outcome.item.row | _added(outcome))
        self.count.add(outcome)

    def leave(self, row: RowPair | BadRow) -> None:
        """Write a row that came after the run had stopped."""
        if isinstance(row, BadRow):
            self.refuse(row)
        else:
            self.write(row.row | _empty(f"unprocessed: {self.stopped}"))
            self.left += 1

    def refuse(self, row: BadRow) -> None:
        """Write a row that could not be read, and say so."""
        problem = f"line {row.line}: {row.problem}"
        self.write(row.row | _empty(problem))
        self.unreadable += 1
        say(problem)

    def summary(self) -> str:
        """One line for a person, about what has been written."""
        tally, seconds = self.count.tally(self.count.finished), time.monotonic() - self.started
        checked = f"{tally.checked:,} checked in {seconds:,.1f} s"
        if tally.checked:
            checked += f" ({tally.checked / max(seconds, 1e-3):,.0f}/s): "
            checked += ", ".join(f"{count:,} {status or 'none'}" for status, count in tally.by_status.items() if count)
        others = {
            "rejected": tally.rejected,
            "failed": tally.failed,
            "unreadable": self.unreadable,
            "unprocessed": tally.unprocessed + self.left,
        }
        return "; ".join([checked, *(f"{count:,} {what}" for what, count in others.items() if count)])


def _added(outcome: CheckOutcome) -> Row:
    """The columns that are added to a row. Checked comes from 200 or 404 and from nothing else."""
    row = _empty(None)
    row |= {"attempts": outcome.attempts, "elapsed_ms": round(outcome.elapsed * 1000, 1)}
    match outcome:
        case Checked(status):
            row |= {"status": status or "none", "http_status": 404 if status is None else 200}
        case Rejected(error) | Failed(error):
            row["http_status"] = error.status if isinstance(error, AnswerError) else None
            row["error"] = f"{type(error).__name__}: {error}"
        case Unprocessed(reason):
            row["error"] = f"unprocessed: {reason}"
    return row


def _empty(error: str | None) -> Row:
    return {**dict.fromkeys(_ADDED), "error": error}
