"""The listing commands: one row per record, written as pages arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import Generic, TypeVar

from attrs import frozen

from aioconnections.cli.apart import keep_apart, option_files
from aioconnections.cli.dialect import CsvDialect
from aioconnections.cli.exits import GOOD
from aioconnections.cli.logs import logged
from aioconnections.cli.options import Result
from aioconnections.cli.output import RowWriter, rows_to
from aioconnections.cli.progress import say
from aioconnections.cli.rows import InputRow
from aioconnections.cli.server import ServerOptions
from aioconnections.client import Client
from aioconnections.errors import ConnectionsError, ProxyError, ServerUnavailableError, TransportError
from aioconnections.records import Connection, Invitation, Person, Profile
from aioconnections.session.listing import Stream

__all__ = ["CONNECTIONS", "INVITATIONS", "PROFILES", "Records", "list_records"]

RecordT = TypeVar("RecordT")

_MOST_FOUND = 250  # a recorded search ends there for any page size
_PERSON = ("userid", "key", "email", "name")


@frozen
class Records(Generic[RecordT]):
    """How records of one kind become rows. Columns that other commands read have the names that those commands expect.

    Attributes:
        columns: names of the columns, in order.
        row: makes the row of a record.
        most: largest number of records that a server lists; None if it lists all.
    """

    columns: tuple[str, ...]
    row: Callable[[RecordT], InputRow]
    most: int | None = None


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


def _columns(role: str) -> tuple[str, ...]:
    return tuple(f"{role}_{name}" for name in _PERSON)


def _person(role: str, person: Person | None) -> InputRow:
    found = person or Person()
    values = (_text(found.userid), _text(found.key), _text(found.email), found.name)
    return dict(zip(_columns(role) if role else _PERSON, values, strict=True))


def _text(value: object) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat()
    return None if value is None else str(value)


def _of_connection(connection: Connection) -> InputRow:
    return {
        "connection_id": connection.id,
        "status": _text(connection.status),
        **_person("source", connection.source),
        **_person("target", connection.target),
        "updated": _text(connection.updated),
        "message": connection.message,
        "message_type": connection.message_type,
    }


def _of_profile(profile: Profile) -> InputRow:
    return {
        **_person("", profile.person),
        "state": profile.person.state,
        "external": profile.person.external,
        "job_title": profile.job_title,
        "profile_type": profile.profile_type,
        "updated": _text(profile.updated),
    }


def _of_invitation(invitation: Invitation) -> InputRow:
    return {
        "community_uuid": invitation.community_uuid,
        "title": invitation.title,
        **_person("inviter", invitation.inviter),
        **_person("invitee", invitation.invitee),
        "updated": _text(invitation.updated),
        "message": invitation.message,
        "self_href": invitation.self_href,
        "edit_href": invitation.edit_href,
    }


CONNECTIONS: Records[Connection] = Records(
    ("connection_id", "status", *_columns("source"), *_columns("target"), "updated", "message", "message_type"),
    _of_connection,
)
PROFILES: Records[Profile] = Records(
    (*_PERSON, "state", "external", "job_title", "profile_type", "updated"), _of_profile, most=_MOST_FOUND
)
INVITATIONS: Records[Invitation] = Records(
    (
        "community_uuid",
        "title",
        *_columns("inviter"),
        *_columns("invitee"),
        "updated",
        "message",
        "self_href",
        "edit_href",
    ),
    _of_invitation,
)
