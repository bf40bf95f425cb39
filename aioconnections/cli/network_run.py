"""The run of ``aioconnections network``, and its result, which is written at the end and as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import IO, Any

from attrs import define, evolve

from aioconnections.cli.apart import keep_apart, option_files
from aioconnections.cli.bar import progress
from aioconnections.cli.engine import CommandRun, InputItems, client_items
from aioconnections.cli.graphml import graphml
from aioconnections.cli.interrupts import Signals
from aioconnections.cli.network_options import NetworkFormat, NetworkRows
from aioconnections.cli.output import output_file
from aioconnections.cli.progress import say
from aioconnections.cli.record_rows import cell, person_cells, person_columns
from aioconnections.cli.run_options import RunOptions
from aioconnections.cli.running import (
    Source,
    blocked_on_reader,
    do_rows,
    end_of,
    resumable_errors,
    run_to_end,
    sum_up,
    watched,
    with_client,
)
from aioconnections.cli.server import ServerOptions
from aioconnections.cli.verbs import RunArguments, list_colleagues
from aioconnections.cli.writing import Writing
from aioconnections.client import Client
from aioconnections.client.network import Member, Network
from aioconnections.errors import InvalidInputError, JournalMismatchError
from aioconnections.files.dialect import output_encoding
from aioconnections.files.rows import InputRow, RowPerson, Table
from aioconnections.files.sheet import Sheet
from aioconnections.files.source import count_rows, ready
from aioconnections.journal import Journal
from aioconnections.outcomes import Failed, Outcome, Rejected
from aioconnections.records import Edge, Identity, Status

__all__ = ["do_network"]

_COLUMNS = (*person_columns("source"), *person_columns("target"), "status", "updated", "seen_from", "disputed")


def _label(outcome: Outcome) -> str:
    return outcome.kind


def _no_total(_: Outcome) -> int:
    return 0


_READ_LISTS = evolve(list_colleagues(Status.ACCEPTED), done="read", label=_label, found=_no_total)


def do_network(server: ServerOptions, source: Source, run: RunOptions, rows: NetworkRows) -> int:
    """Write the network of the people in a file, or the requests of a dry run, and return the exit code.

    Args:
        server: server and login.
        source: the input.
        run: time limits, journal and dry run.
        rows: how people are read and the network is written.

    Raises:
        InvalidInputError: see `do_rows`.
        OSError: likewise.
        Ended: likewise.
    """
    is_graph = rows.is_graph()
    if run.dry_run:
        if is_graph:
            raise InvalidInputError("the result of --dry-run is CSV or JSON lines, not GraphML")
        return do_rows(_READ_LISTS, server, source, run, rows)
    _ = run.oldest, rows.form, rows.untyped  # refuses conflicting options before the password prompt
    keep_apart([*source.files, *option_files(server)], output=rows.output, journal=run.record)
    return with_client(server, run, source, lambda client, journal: _do(client, source, rows, journal))


@define
class _NetworkRun(CommandRun[RowPerson]):
    """Reads the lists of a group.

    Attributes:
        network: the network; None until it is known.
    """

    network: Network | None = None

    async def do(self, client: Client, rows: InputItems[RowPerson], arguments: RunArguments) -> None:
        """Read all rows, then all lists, and report those that cannot be read."""
        journal, on_progress = arguments["journal"], arguments["on_progress"]
        with self._handling_signals():
            try:
                async with client:
                    network = client.network(client_items(rows), journal=journal, on_progress=on_progress)
                    await network.read(self.writing.take)
                    tally = network.tally
                    read = tally.read - tally.unprocessed
                    self._note_end(client, network.stopped, evolve(tally, read=read, unprocessed=0))
            except asyncio.CancelledError:
                if self.signals.at_once:
                    raise
                self.interrupted = True
                return
        if network.stopped is None:
            self.network = network
            _report_problems(network)
        elif isinstance(network.stopped, JournalMismatchError):
            self.mismatch = _line_at(network, network.stopped.index)


def _report_problems(network: Network) -> None:
    """Report the lists that cannot be read; rows that cannot be read are reported while they are read."""
    for member in network.problems:
        if isinstance(member.item, RowPerson) and isinstance(member.problem, Rejected | Failed):
            error = member.problem.error
            say(f"line {member.item.line}: the list cannot be read: {type(error).__name__}: {error}")


def _line_at(network: Network, index: int) -> int | None:
    """The line of the member at an index; None if there is none."""
    items = [member.item for member in network.members[index : index + 1]]
    return next((item.line for item in items if isinstance(item, RowPerson)), None)


def _do(client: Client, source: Source, rows: NetworkRows, journal: Journal | None) -> int:
    verb = evolve(_READ_LISTS, copies=rows.is_graph())  # the attributes of nodes
    with resumable_errors(journal), source.table(verb, rows) as (table, file):
        form: NetworkFormat = "graphml"
        if not rows.is_graph():
            form = rows.form or ("csv" if table.form == "parquet" else table.form)
        rows.check_form(None if form == "graphml" else form)
        encoding, marked = output_encoding(table.invalid.encoding) if form == "csv" else ("utf-8", False)
        with output_file(rows.output, file, encoding) as output:
            writing = Writing(lambda _: None, _READ_LISTS, (), repeats=table.repeats, invalid=table.invalid)
            engine = _NetworkRun(writing, journal, Signals.installed())
            bar = progress(
                count_rows(source.path),
                doing="reading lists",
                unreadable=lambda: writing.unreadable,
                watched=watched(engine, client),
            )
            with bar as on_progress, ready(writing.numbered(table.rows), file) as people:
                run_to_end(engine, client, people, on_progress)
            sum_up(engine)
            if engine.network is None:
                say("aioconnections: no network is written, because some lists were not read")
                return end_of(engine)
            nodes, edges = _nodes(engine.network), engine.network.edges
            with blocked_on_reader(engine):
                if form == "parquet":
                    with output.parquet(_COLUMNS, {}) as write:
                        _write_rows(write, nodes, edges)
                else:
                    with output.as_a_whole() as result:
                        _write(result, form, nodes, edges, table, marked=marked)
            say(_described(nodes, edges))
    return end_of(engine)


def _nodes(network: Network) -> dict[Identity, Member]:
    """The members by the identities that edges name: each person once."""
    members = (member for member in network.members if member.same_as is None)
    return {member.identity: member for member in members if member.identity is not None}


def _write(
    file: IO[str],
    form: NetworkFormat,
    nodes: Mapping[Identity, Member],
    edges: tuple[Edge, ...],
    table: Table[Any],
    *,
    marked: bool,
) -> None:
    if form == "graphml":
        file.writelines(graphml(nodes, edges))
        return
    _write_rows(Sheet(file, form, _COLUMNS, fresh=False, dialect=table.dialect, marked=marked), nodes, edges)


def _write_rows(write: Sheet, nodes: Mapping[Identity, Member], edges: tuple[Edge, ...]) -> None:
    for edge in edges:
        write(_row(edge, nodes))
    write.finish()


def _row(edge: Edge, nodes: Mapping[Identity, Member]) -> InputRow:
    return {
        **person_cells("source", nodes[edge.source].person),
        **person_cells("target", nodes[edge.target].person),
        "status": cell(edge.status),
        "updated": cell(edge.updated),
        "seen_from": edge.seen_from,
        "disputed": edge.disputed,
    }


def _described(nodes: Mapping[Identity, Member], edges: tuple[Edge, ...]) -> str:
    """The size of the network."""
    connected = {identity for edge in edges for identity in (edge.source, edge.target)}
    counts = {
        "people without connections": len(nodes) - len(connected),
        "disputed connections": sum(edge.disputed for edge in edges),
    }
    parts = [f"people: {len(nodes):,}", f"connections between them: {len(edges):,}"]
    return "; ".join(parts + [f"{what}: {count:,}" for what, count in counts.items() if count])
