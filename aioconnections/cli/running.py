"""What every bulk command does: rows in, something done with each, rows out."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Generic, TypeAlias, TypeVar, cast

from attrs import define, field, frozen

from aioconnections.cli.exits import GOOD, SOME_BAD, of_error
from aioconnections.cli.items import Item, RowPerson
from aioconnections.cli.options import Rows
from aioconnections.cli.output import Format, RowWriter, rows_to
from aioconnections.cli.progress import Advance, progress, say
from aioconnections.cli.rows import BadRow, Row, Table, read_rows
from aioconnections.cli.source import Ahead, count_rows, opened, ready
from aioconnections.cli.verbs import Verb
from aioconnections.client import Client
from aioconnections.errors import ConnectionsError, InvalidInputError
from aioconnections.outcomes import Count, Failed, InDoubt, Outcome, Rejected, Unprocessed
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import Request
from aioconnections.records import Identity

__all__ = ["Source", "do_rows"]

ItemT = TypeVar("ItemT", bound=Item)
_Rows: TypeAlias = Ahead[ItemT | BadRow] | Iterator[ItemT | BadRow]

_COST = ("attempts", "elapsed_ms", "error")
_PLAN = ("method", "url", "body", "then", "error")


@frozen
class Source:
    """Where the rows of a command come from.

    Attributes:
        path: CSV or JSON lines; None for standard input.
        given: the only row, by the options of the command; those that were not given are None.
    """

    path: Path | None = None
    given: Row = field(factory=dict)

    @contextmanager
    def table(self, verb: Verb[ItemT], options: Rows) -> Generator[tuple[Table[ItemT], IO[str] | None]]:
        """The rows, and the file that they are read from.

        Raises:
            InvalidInputError: a file that cannot be opened, an input of another kind, or both a file and a row.
        """
        given = {name: value for name, value in self.given.items() if value is not None}
        if not given:
            with opened(self.path) as file:
                yield read_rows(file, verb.shape, options.id_type), file
            return
        if self.path is not None:
            raise InvalidInputError(f"a file and --{next(iter(given)).replace('_', '-')} exclude each other")
        yield Table("csv", tuple(given), iter([verb.shape.item(given, 1, None)])), None


def do_rows(verb: Verb[ItemT], through: Client | Address, source: Source, options: Rows) -> int:
    """Do `verb` with every row and return the exit code.

    Args:
        verb: what is done.
        through: a client that is not entered yet; or only an address, and then nothing is sent, and the rows say what
            would be.
        source: of the rows.
        options: how they are read and written.

    Raises:
        InvalidInputError: a file that cannot be opened, or an input that is no table of the right kind.
        OSError: the result cannot be written.
    """
    with source.table(verb, options) as (table, file):
        form = _form(table, options)
        added = _PLAN if isinstance(through, Address) else (*verb.added, *_COST)
        columns = (*(name for name in table.columns if name not in added), *added)
        with rows_to(options.output, form, columns, source=file) as write:
            run = _Run(write, verb, added)
            if isinstance(through, Address):
                return run.plan(table.rows, through)
            rows_seen = options.output is None and sys.stdout.isatty()
            total = 1 if file is None else count_rows(source.path)
            try:
                with (
                    progress(total, doing=verb.doing, shown=not rows_seen) as advance,
                    ready(table.rows, file) as rows,
                ):
                    doing = run.do(through, rows, advance, ordered=options.ordered)
                    with closing(doing):  # Ctrl-C may come before it has begun, and then it would complain
                        asyncio.run(doing)
            except BrokenPipeError:
                if not verb.changes:
                    raise  # whoever read the result, such as `head`, has seen enough
                problem = "nobody reads the result any more, so nothing more was done"
                raise OSError(None, problem, "standard output") from None
            finally:
                say(run.summary())
    if run.stopped is not None:
        say(f"aioconnections: stopped: {run.stopped}")
        return of_error(run.stopped)
    return SOME_BAD if run.bad else GOOD


def _form(table: Table[Any], options: Rows) -> Format:
    form = options.form or table.form
    if form == "csv" and table.form == "jsonl":
        raise InvalidInputError("JSON lines have no common columns, so their result cannot be written as CSV")
    return form


async def _rest(rows: _Rows[ItemT]) -> AsyncIterator[ItemT | BadRow]:
    if isinstance(rows, Ahead):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row
            await asyncio.sleep(0)  # for Ctrl-C


@define
class _Run(Generic[ItemT]):
    """What one command has written so far."""

    write: RowWriter
    verb: Verb[ItemT]
    added: tuple[str, ...]
    started: float = field(factory=time.monotonic)
    count: Count = field(factory=Count)
    labels: Counter[str] = field(factory=Counter[str])
    unreadable: int = 0
    left: int = 0
    taken: int = 0
    cut_off: int = 0
    stopped: ConnectionsError | None = None

    @property
    def bad(self) -> bool:
        """Whether any row went without what was asked for."""
        return bool(self.unreadable or self.left) or not self.count.tally(self.count.finished).good

    async def do(self, client: Client, rows: _Rows[ItemT], advance: Advance, *, ordered: bool) -> None:
        """Do it with every row, and write all of them even if the run stops early."""
        items = cast("Iterator[ItemT]", rows)  # of a BadRow the client says that it is none, and gives it back
        async with client, self.verb.start(client, items, ordered) as outcomes:
            try:
                async for outcome in outcomes:
                    self.take(outcome)
                    self.taken += 1
                    advance()
            finally:
                self.cut_off = outcomes.tally.read - self.taken
        self.stopped = outcomes.stopped
        async for row in _rest(rows):
            self.leave(row)

    def plan(self, rows: Iterator[ItemT | BadRow], address: Address) -> int:
        """Write for every row what would be sent, and return the exit code."""
        seen: dict[Identity, int] = {}
        for index, item in enumerate(rows):
            if isinstance(item, BadRow):
                self.refuse(item)
                continue
            first = seen.setdefault(item.identity, index) if self.verb.once and isinstance(item, RowPerson) else index
            try:
                request = next(self.verb.plan(address, item))
                said = _planned(address, request) | {"then": self.verb.then}
                if first != index:
                    said = {"error": f"unprocessed: duplicate of {first}"}
            except InvalidInputError as error:
                said = {"error": f"{type(error).__name__}: {error}"}
            self.left += "error" in said
            self.write(item.row | self.empty(None) | said)
        say("nothing was sent")
        return SOME_BAD if self.bad else GOOD

    def take(self, outcome: Outcome) -> None:
        """Write the row of one outcome."""
        if isinstance(outcome.item, BadRow):
            self.refuse(outcome.item)
            return
        cost: Row = {"attempts": outcome.attempts, "elapsed_ms": round(outcome.elapsed * 1000, 1)}
        error = _problem(outcome)
        self.write(cast("Item", outcome.item).row | self.verb.said(outcome) | cost | {"error": error})
        self.count.add(outcome)
        if error is None:
            self.labels[self.verb.label(outcome)] += 1

    def leave(self, row: ItemT | BadRow) -> None:
        """Write a row that came after the run had stopped."""
        if isinstance(row, BadRow):
            self.refuse(row)
        else:
            self.write(row.row | self.empty(f"unprocessed: {self.stopped}", outcome="unprocessed"))
            self.left += 1

    def refuse(self, row: BadRow) -> None:
        """Write a row that could not be read, and say so."""
        problem = f"line {row.line}: {row.problem}"
        self.write(row.row | self.empty(problem, outcome="unreadable"))
        self.unreadable += 1
        say(problem)

    def empty(self, error: str | None, *, outcome: str | None = None) -> Row:
        """The columns that are added to a row of which there is nothing else to say."""
        row: Row = {**dict.fromkeys(self.added), "error": error}
        return row | {"outcome": outcome} if "outcome" in row else row

    def summary(self) -> str:
        """One line for a person, about what has been written."""
        tally, seconds = self.count.tally(self.count.finished), time.monotonic() - self.started
        done = self.labels.total()
        text = f"{done:,} {self.verb.done} in {seconds:,.1f} s"
        if done:
            known = [*self.verb.labels, *sorted(self.labels.keys() - {*self.verb.labels})]
            text += f" ({done / max(seconds, 1e-3):,.0f}/s): "
            text += ", ".join(f"{self.labels[label]:,} {label}" for label in known if self.labels[label])
        others = {
            "in doubt": tally.in_doubt,
            "rejected": tally.rejected,
            "failed": tally.failed,
            "unreadable": self.unreadable,
            "unprocessed": tally.unprocessed + self.left,
        }
        if self.verb.changes:
            others["cut off: whether they were done is not known"] = self.cut_off
        return "; ".join([text, *(f"{count:,} {what}" for what, count in others.items() if count)])


def _problem(outcome: Outcome) -> str | None:
    match outcome:
        case Rejected(error) | Failed(error) | InDoubt(error):
            return f"{type(error).__name__}: {error}"
        case Unprocessed(reason):
            return f"unprocessed: {reason}"
        case _:
            return None


def _planned(address: Address, request: Request) -> Row:
    body = None if request.body is None else request.body.decode()
    return {"method": request.method, "url": f"{address.origin}{request.target}", "body": body}
