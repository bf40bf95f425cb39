"""``aioconnections report``: the items recorded in a journal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aioconnections.cli.exits import GOOD, SOME_BAD
from aioconnections.cli.options import PLAIN, Result, option_given
from aioconnections.cli.progress import say
from aioconnections.errors import InvalidInputError

if TYPE_CHECKING:
    from aioconnections.files.rows import InputRow as Line
    from aioconnections.journal import RecordedItem, Report

__all__ = ["report"]

_AFTER = ("attempts", "elapsed_ms", "waited_ms", "error", "intent_at", "outcome_at")


def report(journal: Path, /, *, html: Path | None = None, result: Result = PLAIN) -> int:
    """Report the items that a journal records, in the order of the input.

    No request is sent, and the journal is not changed. Rows that the run had not read are not in it. Each item is one
    row: index (from 0), the columns that name it, outcome (as the run wrote it; in_doubt if the run ended before the
    response was recorded), details of the outcome (status, connection_id, was or duplicate_of), attempts, elapsed_ms,
    waited_ms, error, intent_at (when the request was sent) and outcome_at.

    With --html, one HTML file shows the run: outcomes, throughput, pauses and latencies over time, failures by kind
    with what to do, and a table of failures. It needs no network. Rows are then written only with --output.

    Args:
        journal: File that the run used as --journal.
        html: HTML file to write, readable by you alone, because it names people.
        result: How the result is written.
    """
    from aioconnections.cli.apart import keep_apart, keep_report_apart
    from aioconnections.cli.output import rows_to
    from aioconnections.files.dialect import CsvDialect
    from aioconnections.journal import report as read

    unused = option_given(result)
    if html is not None and result.output is None and unused is not None:
        raise InvalidInputError(f"{unused} needs --output, because with --html, rows are only written to a file")
    form, dialect = result.form or "csv", CsvDialect(excel_safe=result.excel_safe)
    keep_apart([], output=result.output, journal=journal)
    if html is not None:
        keep_report_apart(html, "--html", [], output=result.output, journal=journal)
    with read(journal) as run:
        if html is not None:
            from aioconnections.cli.report_file import facts_of, write_report

            write_report(html, facts_of(run))
        if html is None or result.output is not None:
            columns = _columns(run) if form != "jsonl" else ()
            with rows_to(result.output, form, columns, source=None, dialect=dialect) as write:
                for row in run.rows():
                    write(_line(row))
        say(_summary(run))
        return GOOD if run.tally.good else SOME_BAD


def _columns(run: Report) -> tuple[str, ...]:
    """The columns of all rows; each row may add some."""
    items: dict[str, None] = {}
    details: dict[str, None] = {}
    for row in run.rows():
        items.update(dict.fromkeys(row.item))
        details.update(dict.fromkeys(row.details))
    return "index", *items, "outcome", *details, *_AFTER


def _line(row: RecordedItem) -> Line:
    line = row.as_dict()
    if row.outcome == "unprocessed":
        line["error"] = f"unprocessed: {row.error}"
    return line


def _summary(run: Report) -> str:
    """The run and the number of items with each outcome."""
    user = "anonymous" if run.userid is None else run.userid
    counts = {name: f"{count:,} {name.replace('_', ' ')}" for name, count in run.tally.as_dict().items() if count}
    read = counts.pop("read", "0 read")
    statuses = [counts.pop(name).replace(" status", "") for name in [*counts] if name.startswith("status_")]
    if statuses:
        counts["checked"] += f" ({', '.join(statuses)})"
    outcomes = f": {', '.join(counts.values())}" if counts else ""
    ended = f", finished {run.finished:%Y-%m-%d %H:%M:%S} UTC" if run.finished else ""
    return f"{run.verb} at {run.origin} as {user}, begun {run.created:%Y-%m-%d %H:%M:%S} UTC{ended}: {read}{outcomes}"
