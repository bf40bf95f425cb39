"""The bulk commands: read rows, run a verb over them, and write a row for each."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from attrs import evolve, field, frozen

from aioconnections.cli.apart import INPUT, NamedFile, keep_apart, keep_report_apart, option_files, stream_file
from aioconnections.cli.bar import LIVE_AFTER, Watched, progress
from aioconnections.cli.confirm import asked
from aioconnections.cli.dry import PLAN, Forecast, plan
from aioconnections.cli.engine import CommandRun, InputItems
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
from aioconnections.cli.invite_options import Message
from aioconnections.cli.logs import logged
from aioconnections.cli.options import Rows
from aioconnections.cli.output import rows_to
from aioconnections.cli.progress import input_file, is_terminal, say, standard
from aioconnections.cli.retry import completed, retried
from aioconnections.cli.run_options import RunOptions
from aioconnections.cli.server import ServerOptions
from aioconnections.cli.summary import table
from aioconnections.cli.terminal import is_plain, width
from aioconnections.cli.verbs import BulkVerb, RunArguments
from aioconnections.cli.writing import RECORDED_AT, Writing
from aioconnections.client import Client
from aioconnections.client.caller import OnProgress
from aioconnections.errors import AuthenticationError, InvalidInputError, JournalError, JournalMismatchError
from aioconnections.files.checks import COST
from aioconnections.files.dialect import Format, output_encoding
from aioconnections.files.rows import InputRow, Item, Table, read_rows
from aioconnections.files.sheet import RowWriter, Sheet
from aioconnections.files.source import count_rows, opened_any, ready
from aioconnections.journal import Journal, reference_columns
from aioconnections.journal.items import MESSAGE_DIGEST
from aioconnections.session.telemetry import Progress

if TYPE_CHECKING:
    from aioconnections.cli.report_file import RunReport

__all__ = [
    "Source",
    "blocked_on_reader",
    "do_all",
    "do_rows",
    "end_of",
    "resumable_errors",
    "run_to_end",
    "sum_up",
    "watched",
    "with_client",
]

ItemT = TypeVar("ItemT", bound=Item)

_SLOW_DISK = 1.0  # seconds


@frozen
class Source:
    """The input of a command.

    Attributes:
        path: CSV, JSON lines or Parquet; None for standard input.
        given: the only row, if options give one instead of a file; values of options that were not given are None.
        message: the message to send for each row, if any.
    """

    path: Path | None = None
    given: InputRow = field(factory=dict)
    message: Message | None = None

    @property
    def files(self) -> Iterator[NamedFile]:
        """The files of the rows and of the message."""
        if self.piped:
            yield from stream_file("input", INPUT)
        elif self.path is not None:
            yield NamedFile.at(self.path, INPUT)
        yield from option_files(self.message)

    @property
    def piped(self) -> bool:
        """Whether the rows are read from standard input."""
        return not self._given and (self.path is None or str(self.path) == "-")

    @property
    def replaced(self) -> str | None:
        """What --retry takes the place of; None if an early end leaves rows that are not in the result."""
        return None if self.piped or self._given else "the input"

    @property
    def _given(self) -> InputRow:
        return {name: value for name, value in self.given.items() if value is not None}

    @contextmanager
    def table(
        self, verb: BulkVerb[ItemT], options: Rows
    ) -> Generator[tuple[Table[ItemT], io.TextIOWrapper | io.FileIO | None]]:
        """Yield the rows, and the file that they are read from.

        Raises:
            InvalidInputError: the file cannot be opened, the input has the wrong columns or format, or both a file and
                a row are given.
        """
        given = self._given
        if not given:
            with self._read(verb, options) as (table, file):
                yield table if options.retry is None else retried(table, verb, options.retry), file
            return
        if self.path is not None:
            option = f"--{next(iter(given)).replace('_', '-')}"
            raise InvalidInputError(f"a file and {option} cannot be used together; use one of them")
        yield Table("csv", tuple(given), iter([verb.shape.item(given, 0, None)]), total=1), None

    @contextmanager
    def _read(
        self, verb: BulkVerb[ItemT], options: Rows
    ) -> Generator[tuple[Table[ItemT], io.TextIOWrapper | io.FileIO]]:
        shape, untyped, excel_safe = verb.shape, options.untyped, options.excel_safe
        with opened_any(input_file(self.path), options.encoding) as file:
            if isinstance(file, io.TextIOWrapper):
                encoding = file.encoding
                yield read_rows(file, shape, untyped, encoding=encoding, excel_safe=excel_safe, report=say), file
                return
            from aioconnections.files.parquet import CellForm, name_of, read_parquet

            cells: CellForm = "typed" if options.form == "parquet" else "text"
            if not verb.copies:
                cells = "people"
            with read_parquet(file, name_of(self.path), shape, untyped, cells=cells) as table:
                yield table, file

    @contextmanager
    def whole_table(self, verb: BulkVerb[ItemT], options: Rows) -> Generator[Table[ItemT]]:
        """Yield all rows, with --retry too.

        Raises:
            InvalidInputError: see `table`.
        """
        with self._read(verb, options) as (table, _):
            yield table

    def expected(self, table: Table[Any], options: Rows) -> int | None:
        """The number of rows, for the time left; None if it is not known."""
        return count_rows(self.path) if table.total is None and not options.retry else table.total

    def begin(self) -> None:
        """Called just before an existing result is replaced."""

    def end(self, table: Table[Any], result: Sheet, added: tuple[str, ...], *, complete: bool) -> None:
        """Called when the result has been written; `complete` says whether the run ended normally."""

    def retrying(self, options: Rows) -> Source:
        """The same source, or the earlier result that --retry names.

        Raises:
            InvalidInputError: there are both.
        """
        if options.retry is None:
            return self
        if self.path is not None or self._given:
            given = "a file" if self.path is not None else f"--{next(iter(self._given)).replace('_', '-')}"
            raise InvalidInputError(f"{given} and --retry cannot be used together; use one of them")
        return evolve(self, path=options.retry)


def do_rows(verb: BulkVerb[ItemT], server: ServerOptions, source: Source, run: RunOptions, rows: Rows) -> int:
    """Run `verb` over all rows, or write the requests of a dry run, and return the exit code.

    Args:
        verb: the bulk verb.
        server: server and login.
        source: the input.
        run: time limits, journal, report and dry run.
        rows: how rows are read and written.

    Raises:
        InvalidInputError: a file cannot be opened, the input has the wrong columns or format, or options conflict.
        OSError: the result cannot be written.
        Ended: the run ended early.
    """
    record, _, _ = run.record, run.oldest, rows.untyped  # refuses conflicting options before the password prompt
    source = source.retrying(rows)
    in_place = not run.dry_run and _is_in_place(rows)
    others = option_files(source.message, server) if in_place else (*source.files, *option_files(server))
    keep_apart([*others], output=rows.output, journal=record)
    if in_place:
        keep_apart([*source.files], output=None, journal=record)
    about: RunReport | None = None
    if run.report_file is not None:
        if run.dry_run:
            raise InvalidInputError("--report and --dry-run cannot be used together; omit one of them")
        inputs = [*source.files, *option_files(server)]
        keep_report_apart(run.report_file, "--report", inputs, output=rows.output, journal=record)
        from aioconnections.cli.report_file import RunReport

        about = RunReport(run.report_file, verb.name, str(server.address().origin), server.user or None)
    if not run.dry_run:
        do = partial(do_all, verb, source=source, options=rows, ask=run.asks, report=about)
        return with_client(server, run, source, lambda client, journal: do(client, journal=journal))
    return _dry_run(verb, server, source, run, rows)


def _dry_run(verb: BulkVerb[ItemT], server: ServerOptions, source: Source, run: RunOptions, rows: Rows) -> int:
    """Write the requests of a dry run, as far as they are known before it, and print the forecast of checks."""
    server.check_others()
    writes = rows.output is not None or rows.form is not None
    if verb.plan is None and writes:
        raise InvalidInputError(
            "--dry-run writes no result with --plan auto, whose requests depend on responses; "
            "omit --output, --format and --json, or use --plan head"
        )
    address = None if verb.plan is None or (verb.ends and not server.url and not writes) else server.address()
    recorded = run.record is not None and run.record.exists()
    forecast = None if verb.ends is None else Forecast.at(server, recorded=recorded)
    with source.table(verb, rows) as (table, file):
        result = nullcontext(_write_nothing) if address is None else _result(table, file, PLAN, rows, source.begin)
        with result as write:
            writing = _writing(write, verb, PLAN, table)
            plan(verb, table.rows, address, writing, forecast)
    return SOME_BAD if writing.bad else GOOD


def _write_nothing(row: InputRow) -> None:
    del row


def with_client(
    server: ServerOptions, run: RunOptions, source: Source, do: Callable[[Client, Journal | None], int]
) -> int:
    """Call a function with a client and the journal of a run, and return its exit code.

    Args:
        server: server and login.
        run: time limits and journal.
        source: the input.
        do: the function.

    Raises:
        InvalidInputError: an option is invalid, or a secret is missing.
        Ended: raised by the function.
    """
    _ = server.address()  # refuses an invalid address before the password prompt
    journal = None
    if run.record is not None:
        journal = Journal(run.record, max_age=run.oldest, lost_log="in_doubt" if run.log_may_be_lost else None)
    client = server.client(max_outage=run.max_outage, run_timeout=run.run_timeout)
    with logged(server.log_level):
        try:
            return do(client, journal)
        except Ended as end:
            end.piped, end.replaced = source.piped, source.replaced
            raise


def do_all(
    verb: BulkVerb[ItemT],
    client: Client,
    source: Source,
    options: Rows,
    journal: Journal | None = None,
    *,
    ask: bool = False,
    report: RunReport | None = None,
) -> int:
    """Run `verb` over all rows and return the exit code.

    Args:
        verb: the bulk verb.
        client: a client that has not been entered.
        source: the input.
        options: how rows are read and written.
        journal: the journal that records the run, if any.
        ask: whether to ask before many items, if the verb has a question.
        report: gathers what an HTML report says; None for none.

    Raises:
        InvalidInputError: see `do_rows`.
        OSError: likewise.
        Ended: likewise.
    """
    with resumable_errors(journal), source.table(verb, options) as (table, file):
        added = (*verb.added, *COST, *[RECORDED_AT] * (journal is not None))
        _warn_of_replaced(table.columns, added)
        items = table.rows
        if ask and file is not None and verb.question is not None:
            items = asked(items, verb.question, source.path)
        in_place = _is_in_place(options)
        with (
            _completed(table, file, source, verb, added, options)
            if in_place and file is not None
            else _result(table, file, added, options, source.begin) as write
        ):
            signals, held = Signals.installed(), _held(options.output)
            put, flush = signals.interruptible(write), signals.interruptible(write.flush)
            writing = _writing(put, verb, added, table, held=held, flush_output=flush)
            writing.report = report
            engine = CommandRun(writing, journal, signals)
            total = source.expected(table, options)
            rows_seen = options.output is None and is_terminal("output")
            bar = progress(
                total,
                doing=verb.doing,
                shown=not rows_seen,
                unreadable=lambda: writing.unreadable,
                watched=watched(engine, client),
            )
            read_from = file if table.total is None else None
            with bar as on_progress, ready(writing.numbered(items), read_from) as rows:
                run_to_end(engine, client, rows, on_progress, ordered=options.ordered or in_place)
            sum_up(engine)
            if engine.kept:  # raises, so that the earlier result is not replaced
                return end_of(engine, kept=options.output)
            if in_place and engine.resumable and engine.ended_early:  # the run resumes from the same input
                say(f"aioconnections: {options.output} is unchanged; the outcomes are in the journal")
                _write_report(engine)
                return end_of(engine)
            with blocked_on_reader(engine):
                write.finish()
        source.end(table, write, added, complete=not engine.ended_early)
    is_reported = _write_report(engine)
    result = None if options.retry is not None else options.output
    return end_of(engine, result=result, in_place=in_place) or (GOOD if is_reported else SOME_BAD)


def _warn_of_replaced(columns: tuple[str, ...], added: tuple[str, ...]) -> None:
    """Warn of columns of the input that have names of added ones, unless the input is an earlier result."""
    names = [name for name in columns if name in added]
    if not names or {added[0], *COST} <= {*names}:
        return
    which = f"column {names[0]}" if len(names) == 1 else f"columns {', '.join(names[:-1])} and {names[-1]}"
    advice = f"rename {'it' if len(names) == 1 else 'them'} to keep {'it' if len(names) == 1 else 'them'}"
    say(f"aioconnections: warning: the result has no {which} of the input, but its own; {advice}")


def _write_report(engine: CommandRun[Any]) -> bool:
    """Write the report of the run, if there is one; False, and a message, if that is not possible."""
    report, stopped = engine.writing.report, engine.stopped
    if report is None:
        return True
    try:
        report.write(engine.timeline, str(stopped) if stopped else "interrupted" if engine.interrupted else None)
    except OSError as error:
        say(f"aioconnections: the report was not written: {in_words(error)}")
        return False
    return True


def watched(engine: CommandRun[Any], client: Client) -> Watched:
    """What the live view of a run shows in addition to its progress."""
    journal, signals = engine.journal, engine.signals

    def note() -> str | None:
        if signals.count:
            return "stopping: waiting for pending requests"
        if journal is not None and (seconds := journal.busy_for) >= _SLOW_DISK:
            return f"waiting for the journal: its disk has been writing for {seconds:.0f} s"
        return None

    return Watched(meter=engine.writing.meter, stats=client.stats, note=note)


@contextmanager
def resumable_errors(journal: Journal | None) -> Generator[None]:
    """Report an error in writing the result, if the run can be resumed.

    Raises:
        Ended: the run can be resumed.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if journal is None or not journal.path.exists():
            raise
        say(f"aioconnections: {in_words(error)}")
        raise Ended(RESUMABLE, resumable=True, unwritten=True) from None


def sum_up(engine: CommandRun[Any]) -> None:
    """Report what was done, what an old journal was renamed to, and whether this machine limited the connections."""
    if engine.journal is not None and engine.journal.kept is not None:
        kept = engine.journal.kept
        verb = engine.writing.verb
        say(f"aioconnections: the journal of a finished run is kept as {kept}; all rows are {verb.done} again")
    say(*_summary(engine))
    if engine.found_in_lists:
        say(f"{engine.found_in_lists:,} of them found in lists of colleagues")
    saved, count = engine.avoidable
    if saved:
        which = "" if count == engine.writing.done_now else "first "
        say(f"about {saved:,} of the {which}{count:,} requests would have been saved by --plan auto")
    if engine.local_limit is not None:
        say(f"aioconnections: this machine limited the connections to {engine.local_limit}; {MORE_FILES}")


def _summary(engine: CommandRun[Any]) -> list[str]:
    """A table for a long run on a terminal; else one line, and the reasons of failures."""
    writing, stream = engine.writing, standard("error")
    facts = writing.facts()
    columns = None if stream is None or is_plain() else width(stream)
    if columns is None or facts.seconds < LIVE_AFTER:
        summary = "; ".join([writing.summary(), *_requests(engine)])
        return [summary, *writing.reasons.lines(engine.stopped)]
    reasons = writing.reasons.commonest(engine.stopped)
    facts = evolve(facts, reasons=reasons, requests=engine.requests, retries=engine.retries)
    return table(facts, columns)


def _requests(engine: CommandRun[Any]) -> Iterator[str]:
    """How many requests the run has sent, if lists may have saved some. Replayed outcomes take none."""
    requests, pairs = engine.requests, engine.writing.done_now
    which = "the other " * engine.writing.has_replayed
    if engine.writing.verb.uses_lists and pairs:
        yield f"{requests:,} request{'s' * (requests != 1)} for {which}{pairs:,} pair{'s' * (pairs != 1)}"


def _on_progress(writing: Writing[Any], on_progress: OnProgress | None) -> OnProgress:
    """The progress hook of the run: it flushes the output, and updates the progress bar."""

    def show(progress: Progress) -> None:
        writing.flush()
        writing.elapsed = progress.elapsed
        if on_progress is not None:
            on_progress(progress)

    return show


def run_to_end(
    engine: CommandRun[ItemT],
    client: Client,
    rows: InputItems[ItemT],
    on_progress: OnProgress | None,
    *,
    ordered: bool = False,
) -> None:
    """Run over the rows.

    Raises:
        JournalError: the journal cannot be used.
        Ended: the run ended at once.
        OSError: the result cannot be written.
    """
    arguments: RunArguments = {
        "ordered": ordered,
        "journal": engine.journal,
        "on_progress": _on_progress(engine.writing, on_progress),
    }
    _run(engine, client, rows, arguments)
    if engine.unusable is not None:
        raise engine.unusable


def _run(engine: CommandRun[ItemT], client: Client, rows: InputItems[ItemT], arguments: RunArguments) -> None:
    doing = engine.do(client, rows, arguments)
    try:
        with closing(doing):  # otherwise a coroutine that a signal prevents from starting causes a warning
            asyncio.run(doing)
        engine.signals.ignore()
    except BaseException as error:
        engine.signals.ignore()
        sum_up(engine)
        if isinstance(error, BrokenPipeError) and engine.writing.verb.changes:
            # A check may end when a reader such as `head` closes the pipe. For a change, this is an error.
            problem = "the reader of the result has closed the pipe, so the run was stopped"
            raise OSError(None, problem, "standard output") from None
        journal = engine.journal
        if isinstance(error, OSError) and engine.signals.count:  # the output is gone, for example with the terminal
            say(f"aioconnections: {in_words(error)}")
            raise Ended(INTERRUPTED, resumable=engine.resumable, unwritten=True) from None
        if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):  # the second signal
            if journal is not None:  # writes what is queued, which is bounded local work
                with suppress(JournalError):
                    asyncio.run(journal.aclose())
            raise Ended(INTERRUPTED, resumable=engine.resumable, unwritten=True) from None
        raise


@contextmanager
def blocked_on_reader(engine: CommandRun[Any]) -> Generator[None]:
    """For a block that writes what is left; a signal ends the wait for the reader of the output.

    Raises:
        Ended: a signal has arrived.
    """
    try:
        with engine.signals.interrupting():
            yield
    except KeyboardInterrupt:
        raise Ended(INTERRUPTED, resumable=engine.resumable, unwritten=True) from None


def _writing(
    write: RowWriter,
    verb: BulkVerb[ItemT],
    added: tuple[str, ...],
    table: Table[ItemT],
    *,
    held: list[InputRow] | None = None,
    flush_output: Callable[[], object] = lambda: None,
) -> Writing[ItemT]:
    """The `Writing` of the rows of a table."""
    return Writing(
        write,
        verb,
        added,
        held=held,
        flush_output=flush_output,
        repeats=table.repeats,
        invalid=table.invalid,
        omitted=table.omitted,
        notes=table.notes,
    )


def _held(output: Path | None) -> list[InputRow] | None:
    """The initial `Writing.held`: a list, if there is a result of an earlier run."""
    return [] if output is not None and output.is_file() and output.stat().st_size else None


def end_of(
    engine: CommandRun[Any], *, kept: Path | None = None, result: Path | None = None, in_place: bool = False
) -> int:
    """Print how a run has ended, and return the exit code.

    Args:
        engine: the run.
        kept: the result of an earlier run, if it is unchanged.
        result: file of the result, if --retry could complete it.
        in_place: whether it has replaced the earlier result that --retry names.

    Raises:
        Ended: the run ended early.
    """
    stopped = engine.stopped
    if stopped is not None:
        say(f"aioconnections: stopped: {stopped}")
    if isinstance(stopped, JournalMismatchError):
        say(f"aioconnections: {_difference(stopped, engine.mismatch)}")
    if kept is not None:
        say(f"aioconnections: {kept} is unchanged, because nothing was done")
    if engine.interrupted:
        raise _early_end(engine, INTERRUPTED, result, in_place=in_place)
    if stopped is not None:
        code = of_stop(stopped, resumable=engine.resumable, begun=engine.begun, succeeded=engine.succeeded)
        raise _early_end(engine, code, result, in_place=in_place)
    return SOME_BAD if engine.writing.bad else GOOD


def _early_end(engine: CommandRun[Any], code: int, result: Path | None, *, in_place: bool) -> Ended:
    """How the run can be continued: from its journal, or else from a result that has rows without an outcome."""
    leaves_rows = engine.journal is None and bool(engine.writing.done_now) and engine.writing.bad
    resumable = engine.resumable or (leaves_rows and in_place)
    end = Ended(code, resumable=resumable and code != USAGE, refused=isinstance(engine.stopped, AuthenticationError))
    if leaves_rows and code != USAGE and result is not None and result.is_file():
        end.result = result
    return end


def _difference(error: JournalMismatchError, line: int | None) -> str:
    """Describe how the input differs from the input that the journal records, in one line."""
    if not error.now:
        was = _without_digest(reference_columns(error.was))
        return f"the input has too few rows; the last recorded one is {_named(was)}"
    was, now = (_without_digest(reference_columns(reference)) for reference in (error.was, error.now))
    where = f"line {line}" if line else "the row"
    if was == now:
        return f"{where} is the same, but the text sent with it has changed"
    return f"{where} was {_named(was)} and is now {_named(now)}"


def _named(item: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in item.items()) or "unreadable"


def _without_digest(item: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in item.items() if name != MESSAGE_DIGEST}


def _result(
    table: Table[Any],
    file: io.TextIOWrapper | io.FileIO | None,
    added: tuple[str, ...],
    options: Rows,
    before: Callable[[], object],
) -> AbstractContextManager[Sheet]:
    """The result, in the form of the input."""
    columns, form = _columns(table, added), _form(table, options)
    types = _types(table, added)
    return rows_to(options.output, form, columns, source=file, dialect=table.dialect, types=types, before=before)


def _completed(
    table: Table[ItemT],
    file: io.TextIOWrapper | io.FileIO,
    source: Source,
    verb: BulkVerb[ItemT],
    added: tuple[str, ...],
    options: Rows,
) -> AbstractContextManager[Sheet]:
    """The earlier result, whose retried rows are replaced."""
    assert options.output is not None  # noqa: S101 # checked by `_is_in_place`
    columns, form = _columns(table, added), _form(table, options)
    if form == "parquet":
        from aioconnections.cli.output import Counting
        from aioconnections.files.parquet import ParquetSheet

        types = _types(table, added)
        return completed(
            options.output,
            file,
            lambda file: ParquetSheet(Counting(cast("IO[bytes]", file)), columns, types),
            None,
            lambda: source.whole_table(verb, options),
            verb,
        )
    encoding, marked = output_encoding(table.invalid.encoding) if form == "csv" else ("utf-8", False)

    def sheet(file: IO[str]) -> Sheet:
        return Sheet(file, form, columns, fresh=False, dialect=table.dialect, marked=marked)

    return completed(options.output, file, sheet, encoding, lambda: source.whole_table(verb, options), verb)


def _types(table: Table[Any], added: tuple[str, ...]) -> dict[str, Any]:
    """The types of the columns that are copied from Parquet; those of CSV are text."""
    if table.types:
        return {name: kind for name, kind in table.types.items() if name not in added}
    from aioconnections.files.parquet import TEXT

    return {name: TEXT for name in table.columns if name not in added}


def _is_in_place(options: Rows) -> bool:
    """Whether the result replaces the earlier result that --retry names."""
    if options.retry is None or options.output is None or str(options.retry) == "-":
        return False
    with suppress(OSError):
        return options.retry.samefile(options.output)
    return False


def _columns(table: Table[Any], added: tuple[str, ...]) -> tuple[str, ...]:
    return *(name for name in table.columns if name not in added), *added


def _form(table: Table[Any], options: Rows) -> Format:
    form = options.form or ("csv" if table.form == "parquet" else table.form)
    options.check_form(form)
    if form != "jsonl" and table.form == "jsonl" and not table.columns:
        name, advice = ("CSV", "omit --format csv") if form == "csv" else ("Parquet", "write JSON lines")
        raise InvalidInputError(
            f"JSON lines have no common columns, so their result cannot be written as {name}; {advice}"
        )
    return form
