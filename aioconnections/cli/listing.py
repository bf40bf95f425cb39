"""What every listing command does: one row per record, written as the pages come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import Generic, TypeVar

from attrs import frozen

from aioconnections.cli.apart import keep_apart, option_files
from aioconnections.cli.exits import GOOD
from aioconnections.cli.options import Result
from aioconnections.cli.output import RowWriter, rows_to
from aioconnections.cli.progress import logged, say
from aioconnections.cli.rows import InputRow
from aioconnections.cli.server import ServerOptions
from aioconnections.client import Client
from aioconnections.errors import CertificateError, ConnectionsError, ServerUnavailableError, TransportError
from aioconnections.records import Connection, Invitation, Person, Profile
from aioconnections.session.listing import Stream

__all__ = ["CONNECTIONS", "INVITATIONS", "PROFILES", "Records", "list_records"]

RecordT = TypeVar("RecordT")

_MOST_FOUND = 250  # a recorded search ends there, whatever the size of its pages
_PERSON = ("userid", "key", "email", "name")


@frozen
class Records(Generic[RecordT]):
    """How records of one kind become rows. Columns that other commands read have the names that they look for.

    Attributes:
        columns: their names, in order.
        row: of a record.
        most: so many are listed by a server that has more; None if it lists them all.
    """

    columns: tuple[str, ...]
    row: Callable[[RecordT], InputRow]
    most: int | None = None


def list_records(
    server: ServerOptions, listing: Callable[[Client], Stream[RecordT]], records: Records[RecordT], result: Result
) -> int:
    """Write a row for every record of a listing and return the exit code.

    Args:
        server: which one, as whom.
        listing: what is listed.
        records: how they become rows.
        result: how these are written.

    Raises:
        InvalidInputError: the result would be written over a file that the command reads.
        ConnectionsError: the server refuses, or does not answer.
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
    client = server.client()
    with (
        logged(server.log_level),
        rows_to(result.output, result.form or "csv", records.columns, source=None) as write,
    ):
        writing = write_all(write)
        with closing(writing):  # see running
            try:
                count = asyncio.run(writing)
            except TransportError as error:
                raise _named(error, server.url) from None
    say(f"{count:,} listed")
    if records.most is not None and count >= records.most:
        say(f"Servers stop at {records.most:,}, so there may be more: narrow the search to see the rest.")
    return GOOD


def _named(error: TransportError, url: str) -> ConnectionsError:
    """The error with the server in it, as a bulk run has it. A certificate is not a server that does not answer."""
    if isinstance(error, CertificateError):
        return error
    return ServerUnavailableError(f"{url} does not answer: {error}")


def _columns(who: str) -> tuple[str, ...]:
    return tuple(f"{who}_{name}" for name in _PERSON)


def _person(who: str, person: Person | None) -> InputRow:
    found = person or Person()
    values = (_text(found.userid), _text(found.key), _text(found.email), found.name)
    return dict(zip(_columns(who) if who else _PERSON, values, strict=True))


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
