"""What every bulk command does: rows in, something done with each, rows out."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from attrs import field, frozen

from aioconnections.cli.apart import INPUT, File, keep_apart, option_files, stream_file
from aioconnections.cli.dry import PLAN, plan
from aioconnections.cli.engine import Engine, Given
from aioconnections.cli.exits import (
    GOOD,
    INTERRUPTED,
    MORE_FILES,
    RESUMABLE,
    SOME_BAD,
    USAGE,
    Ended,
    in_words,
    of_stop,
)
from aioconnections.cli.interrupts import Signals
from aioconnections.cli.journals import WatchedJournal, difference
from aioconnections.cli.options import Message, Rows, Run
from aioconnections.cli.output import Format, Sheet, rows_to
from aioconnections.cli.progress import is_terminal, logged, progress, say
from aioconnections.cli.rows import Item, Row, Table, read_rows
from aioconnections.cli.server import ServerOptions
from aioconnections.cli.source import count_rows, opened, ready
from aioconnections.cli.verbs import Options, Verb
from aioconnections.cli.writing import COST, RECORDED_AT, Writing
from aioconnections.client import Client
from aioconnections.client.base import OnProgress
from aioconnections.errors import AuthenticationError, InvalidInputError, JournalError, JournalMismatchError
from aioconnections.session.telemetry import Progress

__all__ = ["Source", "do_all", "do_rows"]

ItemT = TypeVar("ItemT", bound=Item)


@frozen
class Source:
    """Where the rows of a command come from.

    Attributes:
        path: CSV or JSON lines; None for standard input.
        given: the only row, by the options of the command; those that were not given are None.
        letter: what goes along with each row, if anything.
    """

    path: Path | None = None
    given: Row = field(factory=dict)
    letter: Message | None = None

    @property
    def files(self) -> Iterator[File]:
        """The file of the rows, and that of what goes along."""
        if self.piped:
            yield from stream_file("input", INPUT)
        elif self.path is not None:
            yield File.at(self.path, INPUT)
        yield from option_files(self.letter)

    @property
    def piped(self) -> bool:
        """Whether it is standard input."""
        return not self._given and (self.path is None or str(self.path) == "-")

    @property
    def _given(self) -> Row:
        return {name: value for name, value in self.given.items() if value is not None}

    @contextmanager
    def table(self, verb: Verb[ItemT], options: Rows) -> Generator[tuple[Table[ItemT], IO[str] | None]]:
        """The rows, and the file that they are read from.

        Raises:
            InvalidInputError: a file that cannot be opened, an input of another kind, or both a file and a row.
        """
        given = self._given
        if not given:
            with opened(self.path) as file:
                yield read_rows(file, verb.shape, options.id_type), file
            return
        if self.path is not None:
            raise InvalidInputError(f"a file and --{next(iter(given)).replace('_', '-')} exclude each other")
        yield Table("csv", tuple(given), iter([verb.shape.item(given, 0, None)])), None


def do_rows(verb: Verb[ItemT], server: ServerOptions, source: Source, run: Run, rows: Rows) -> int:
    """Do `verb` with every row, or only say what would be done, and return the exit code.

    Args:
        verb: what is done.
        server: which one, as whom.
        source: of the rows.
        run: how long it may take, what it records, or that it is a dry one.
        rows: how they are read and written.

    Raises:
        InvalidInputError: a file that cannot be opened, an input that is no table of the right kind, or options that
            exclude each other.
        OSError: the result cannot be written.
        Ended: the run ended early.
    """
    record, oldest = run.record, run.oldest  # before a password is asked for
    keep_apart([*source.files, *option_files(server)], output=rows.output, journal=record)
    if not run.dry_run:
        origin = str(server.address().origin)
        journal = None
        if record is not None:
            lost = run.log_may_be_lost
            journal = WatchedJournal(record, verb=verb.name, origin=origin, oldest=oldest, log_may_be_lost=lost)
        client = server.client(max_outage=run.max_outage, run_timeout=run.run_timeout)
        with logged(server.log_level):
            try:
                return do_all(verb, client, source, rows, journal)
            except Ended as end:
                end.piped = source.piped
                raise
    address = server.address()
    with (
        source.table(verb, rows) as (table, file),
        rows_to(rows.output, _form(table, rows), _columns(table, PLAN), source=file) as write,
    ):
        writing = Writing(write, verb, PLAN, repeats=table.repeats)
        plan(verb, table.rows, address, writing)
    return SOME_BAD if writing.bad else GOOD


def do_all(
    verb: Verb[ItemT], client: Client, source: Source, options: Rows, journal: WatchedJournal | None = None
) -> int:
    """Do `verb` with every row and return the exit code.

    Args:
        verb: what is done.
        client: one that is not entered yet.
        source: of the rows.
        options: how they are read and written.
        journal: that records the run, if any.

    Raises:
        InvalidInputError: see `do_rows`.
        OSError: likewise.
        Ended: likewise.
    """
    record = None if journal is None else journal.path
    try:
        with source.table(verb, options) as (table, file):
            added = (*verb.added, *COST, *[RECORDED_AT] * (journal is not None))
            columns, form = _columns(table, added), _form(table, options)
            with rows_to(options.output, form, columns, source=file) as write:
                held = _held(options.output)
                writing = Writing(write, verb, added, held=held, flush=write.flush, repeats=table.repeats)
                engine = Engine(writing, journal, Signals.counted())
                total = 1 if file is None else count_rows(source.path)
                rows_seen = options.output is None and is_terminal("output")
                with (
                    progress(total, doing=verb.doing, shown=not rows_seen) as on_progress,
                    ready(engine.writing.numbered(table.rows), file) as rows,
                ):
                    told = _told(engine, on_progress)
                    said: Options = {"ordered": options.ordered, "journal": journal, "on_progress": told}
                    _run(engine, client, rows, said)
                if engine.unusable is not None:
                    raise engine.unusable
                _sum_up(engine)
                if engine.kept:  # this raises, so that nothing is written over it
                    return _end(engine, resumable=_is_there(record), kept=options.output)
                _finish(write, engine, resumable=_is_there(record))
    except BrokenPipeError:
        raise
    except OSError as error:
        if not _is_there(record):
            raise
        say(f"aioconnections: {in_words(error)}")
        raise Ended(RESUMABLE, resumable=True, unwritten=True) from None
    return _end(engine, resumable=_is_there(record))


def _sum_up(engine: Engine[Any]) -> None:
    """Say what was done, and that it took longer because this machine allows few connections."""
    say(engine.writing.summary())
    if engine.local_limit is not None:
        say(f"aioconnections: this machine limited the connections to {engine.local_limit}; {MORE_FILES}")


def _told(engine: Engine[Any], on_progress: OnProgress | None) -> OnProgress:
    """What is done twice a second."""

    def show(progress: Progress) -> None:
        engine.flush()
        if on_progress is not None:
            on_progress(progress)

    return show


def _run(engine: Engine[ItemT], client: Client, rows: Given[ItemT], options: Options) -> None:
    doing = engine.do(client, rows, options)
    try:
        with closing(doing):  # Ctrl-C may come before it has begun, and then it would complain
            asyncio.run(doing)
        engine.signals.bear()
    except BaseException as error:
        engine.signals.bear()
        _sum_up(engine)
        if isinstance(error, BrokenPipeError) and engine.writing.verb.changes:
            # whoever read the result, such as `head`, may have seen enough; but that was not its purpose
            problem = "nobody reads the result any more, so nothing more was done"
            raise OSError(None, problem, "standard output") from None
        if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):  # the second signal
            journal = engine.journal
            if journal is not None:  # what it had to write is local work that ends
                with suppress(JournalError):
                    asyncio.run(journal.aclose())
            resumable = journal is not None and journal.path.exists()
            raise Ended(INTERRUPTED, resumable=resumable, unwritten=True) from None
        raise
    finally:
        if engine.journal is not None:
            engine.journal.forget()


def _finish(write: Sheet, engine: Engine[Any], *, resumable: bool) -> None:
    """Write what is still buffered, unless somebody loses patience with who reads it."""
    try:
        with engine.signals.impatient():
            write.finish()
    except KeyboardInterrupt:
        raise Ended(INTERRUPTED, resumable=resumable, unwritten=True) from None


def _held(output: Path | None) -> list[Row] | None:
    """What `Writing` holds at first: no rows yet, if there is a result of an earlier run; else nothing ever."""
    return [] if output is not None and output.is_file() and output.stat().st_size else None


def _end(engine: Engine[Any], *, resumable: bool, kept: Path | None = None) -> int:
    """Say how a run has ended, and the exit code of one that was not cut short.

    Raises:
        Ended: it was.
    """
    stopped = engine.stopped
    if stopped is not None:
        say(f"aioconnections: stopped: {stopped}")
    if isinstance(stopped, JournalMismatchError):
        say(f"aioconnections: {difference(stopped, engine.line_of(stopped.index))}")
    if kept is not None:
        say(f"aioconnections: {kept} is left as it was, because nothing was done")
    refused = isinstance(stopped, AuthenticationError)
    if engine.interrupted:
        raise Ended(INTERRUPTED, resumable=resumable, refused=refused)
    if stopped is not None:
        code = of_stop(stopped, resumable=resumable, begun=engine.begun)
        raise Ended(code, resumable=resumable and code != USAGE, refused=refused)
    return SOME_BAD if engine.writing.bad else GOOD


def _is_there(record: Path | None) -> bool:
    return record is not None and record.exists()


def _columns(table: Table[Any], added: tuple[str, ...]) -> tuple[str, ...]:
    return *(name for name in table.columns if name not in added), *added


def _form(table: Table[Any], options: Rows) -> Format:
    form = options.form or table.form
    if form == "csv" and table.form == "jsonl":
        raise InvalidInputError("JSON lines have no common columns, so their result cannot be written as CSV")
    return form
