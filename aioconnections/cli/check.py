"""``aioconnections check``: the main job, from a file to a file."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, cast

from attrs import define, field
from cyclopts import Parameter

from aioconnections.cli.exits import GOOD, SOME_BAD, of_error
from aioconnections.cli.output import Format, RowWriter, rows_to
from aioconnections.cli.progress import progress, say
from aioconnections.cli.rows import BadRow, IdType, Row, RowPair, read_pairs
from aioconnections.cli.server import Server
from aioconnections.client import Client
from aioconnections.errors import AnswerError, ConnectionsError, InvalidInputError
from aioconnections.outcomes import Checked, CheckOutcome, Failed, Rejected, Tally, Unprocessed
from aioconnections.records import Pair

__all__ = ["check", "check_file"]

_ADDED = ("status", "http_status", "attempts", "elapsed_ms", "error")


def check(
    pairs: Path | None = None,
    /,
    *,
    server: Server,
    id_type: IdType | None = None,
    ordered: bool = False,
    format: Annotated[Format, Parameter(name="--format")] = "csv",  # noqa: A002 # the name of the option
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> int:
    """Check for every pair of a file whether the two people are colleagues.

    Each row is written with five more columns: status (accepted, pending, unconfirmed, or none if no connection is
    visible), http_status, attempts, elapsed_ms and error.

    Args:
        server: which server, as whom, and how fast.
        pairs: CSV or JSON lines with columns source_email, source_userid or source_key, and likewise target_...; others
            are carried along. Left out or "-": standard input.
        id_type: what bare columns "source" and "target" hold.
        ordered: keep the order of the input; by default rows are written as they complete.
        format: of the result.
        output: file for the result instead of standard output.
    """
    if pairs is not None and output is not None and output.exists() and output.samefile(pairs):
        raise InvalidInputError("the result cannot be written over its own input")
    return asyncio.run(check_file(server.client(), pairs, id_type=id_type, ordered=ordered, form=format, output=output))


async def check_file(
    client: Client, pairs: Path | None, *, id_type: IdType | None, ordered: bool, form: Format, output: Path | None
) -> int:
    """Check the pairs of a file and return the exit code."""
    with _opened(pairs) as lines, _terminable():
        table = read_pairs(lines, id_type)
        columns = (*(name for name in table.columns if name not in _ADDED), *_ADDED)
        with rows_to(output, form, columns) as write, progress(_count(pairs)) as advance:
            run = _Run(write)
            async with client, client.check_many(cast("Iterator[Pair]", table.rows), ordered=ordered) as outcomes:
                try:
                    async for outcome in outcomes:
                        run.take(outcome)
                        advance()
                finally:
                    run.tally = outcomes.tally
            run.rest(table.rows, outcomes.stopped)
    say(run.summary())
    if outcomes.stopped is not None:
        say(f"aioconnections: stopped: {outcomes.stopped}")
        return of_error(outcomes.stopped)
    return GOOD if run.tally.good else SOME_BAD


@define
class _Run:
    """What one command has written so far."""

    write: RowWriter
    started: float = field(factory=time.monotonic)
    tally: Tally = field(factory=Tally)
    unreadable: int = 0
    left: int = 0

    def take(self, outcome: CheckOutcome) -> None:
        """Write the row of one outcome."""
        item = outcome.item
        if isinstance(item, BadRow):
            self.bad(item)
            return
        assert isinstance(item, RowPair)  # noqa: S101 # the only other thing that is read
        self.write(item.row | _added(outcome))

    def bad(self, row: BadRow) -> None:
        """Write a row that could not be read, and say so."""
        self.unreadable += 1
        say(f"line {row.line}: {row.problem}")
        self.write(row.row | _empty(f"line {row.line}: {row.problem}"))

    def rest(self, rows: Iterator[RowPair | BadRow], stopped: ConnectionsError | None) -> None:
        """After an early stop, write the rows that were not even read, so that the result has all of them."""
        for row in rows:
            self.left += 1
            self.write(row.row | _empty(f"unprocessed: {stopped}"))

    def summary(self) -> str:
        """One line for a person."""
        tally, seconds = self.tally, time.monotonic() - self.started
        rate = f"{tally.checked:,} checked in {seconds:,.1f} s ({tally.checked / max(seconds, 1e-3):,.0f}/s)"
        statuses = ", ".join(f"{count:,} {status or 'none'}" for status, count in tally.by_status.items())
        others = {
            "rejected": tally.rejected,
            "failed": tally.failed - self.unreadable,
            "unreadable": self.unreadable,
            "unprocessed": tally.unprocessed + self.left,
            "abandoned": tally.in_flight,
        }
        return "; ".join([rate, statuses, *(f"{count:,} {what}" for what, count in others.items() if count)])


def _added(outcome: CheckOutcome) -> Row:
    """The columns that are added to a row. Checked comes from 200 or 404 and from nothing else."""
    row = _empty("")
    row |= {"attempts": outcome.attempts, "elapsed_ms": round(outcome.elapsed * 1000, 1)}
    match outcome:
        case Checked(status):
            row |= {"status": status or "none", "http_status": 404 if status is None else 200}
        case Rejected(error) | Failed(error):
            row["http_status"] = error.status if isinstance(error, AnswerError) else ""
            row["error"] = f"{type(error).__name__}: {error}"
        case Unprocessed(reason):
            row["error"] = f"unprocessed: {reason}"
    return row


def _empty(error: str) -> Row:
    return {**dict.fromkeys(_ADDED, ""), "error": error}


@contextmanager
def _opened(path: Path | None) -> Generator[IO[str]]:
    """The lines of a file or of standard input. Bytes that are not UTF-8 spoil their own row only."""
    if path is None or str(path) == "-":
        yield io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="surrogateescape", newline="")
        return
    try:
        file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        problem = f"{path}: {error.strerror}"
    else:
        with file:
            yield file
            return
    raise InvalidInputError(problem)


def _count(path: Path | None) -> int | None:
    """How many rows a file holds, by its line ends; good enough for the time left."""
    if path is None or not path.is_file():
        return None
    with path.open("rb") as file:
        return max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1)


@contextmanager
def _terminable() -> Generator[None]:
    """Let SIGTERM end the command as Ctrl-C does."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101 # inside of asyncio.run
    with suppress(NotImplementedError):  # Windows has no SIGTERM to speak of
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    yield
