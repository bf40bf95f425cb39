"""The listing commands: one row per record, written as pages arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from aioconnections.cli.apart import keep_apart, option_files
from aioconnections.cli.exits import GOOD
from aioconnections.cli.logs import logged
from aioconnections.cli.options import Result
from aioconnections.cli.output import rows_to
from aioconnections.cli.progress import say
from aioconnections.cli.record_rows import Records
from aioconnections.cli.server import ServerOptions
from aioconnections.client import Client
from aioconnections.errors import ConnectionsError, ProxyError, ServerUnavailableError, TransportError
from aioconnections.files.dialect import CsvDialect
from aioconnections.files.sheet import RowWriter
from aioconnections.session.listing import Stream

__all__ = ["list_records"]

RecordT = TypeVar("RecordT")


def list_records(
    server: ServerOptions, listing: Callable[[Client], Stream[RecordT]], records: Records[RecordT], result: Result
) -> int:
    """Write a row for each record of a listing and return the exit code.

    Args:
        server: server and login.
        listing: opens the listing.
        records: how records become rows.
        result: how rows are written.

    Raises:
        InvalidInputError: the result would be written over a file that the command reads.
        ConnectionsError: the server refuses the request, or is not available.
        OSError: a row cannot be written.
    """

    async def write_all(write: RowWriter) -> int:
        count = 0
        async with client, listing(client) as stream:
            async for record in stream:
                write(records.row(record))
                count += 1
        return count

    keep_apart([*option_files(server)], output=result.output)
    dialect = CsvDialect(excel_safe=result.excel_safe)
    client = server.client()
    with (
        logged(server.log_level),
        rows_to(result.output, result.form or "csv", records.columns, source=None, dialect=dialect) as write,
    ):
        writing = write_all(write)
        with closing(writing):  # see running._run
            try:
                count = asyncio.run(writing)
            except TransportError as error:
                raise _unavailable(error, server.url) from None
    say(f"{count:,} listed")
    if records.most is not None and count >= records.most:
        say(f"Servers list at most {records.most:,}, so there may be more; narrow the search to see the rest.")
    return GOOD


def _unavailable(error: TransportError, url: str) -> ConnectionsError:
    """The error that a bulk run would raise, which names the server; that of a proxy or a permanent one stays."""
    if error.deterministic or isinstance(error, ProxyError):
        return error
    return ServerUnavailableError(f"{url} is not available: {error}")
