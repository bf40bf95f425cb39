"""``aioconnections invite``, ``accept``, ``remove`` and ``colleagues``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from cyclopts import Parameter

from aioconnections.cli.options import (
    NO_PERSON,
    NOTHING_SAID,
    PLAIN,
    RECORDED,
    ROWS,
    WARY_INVITING,
    File,
    InvitingRun,
    One,
    RecordedRun,
    Result,
    Rows,
    TypedMessage,
)
from aioconnections.cli.server import SERVER, ServerOptions
from aioconnections.errors import InvalidInputError
from aioconnections.records import Status

__all__ = ["accept", "colleagues", "invite", "remove"]


def invite(
    people: File = None,
    /,
    *,
    server: ServerOptions = SERVER,
    person: One = NO_PERSON,
    letter: TypedMessage = NOTHING_SAID,
    run: InvitingRun = WARY_INVITING,
    rows: Rows = ROWS,
) -> int:
    """Invite every person of a file to become your colleague; a person who comes twice is invited once.

    Each row is written with five more columns, which replace columns of the same names: outcome (invited,
    already_exists, duplicate, in_doubt, rejected, failed, unprocessed or unreadable), connection_id (of the invitee's
    side), attempts, elapsed_ms and error. A duplicate is a person who was in an earlier row, and no failure.

    Args:
        people: CSV with a header, or JSON lines. Columns are email, userid or key; others are carried along. Left out
            or "-": standard input.
        server: Which server, as whom, and how fast.
        person: One person instead of a file.
        letter: What they read.
        run: How long it may take, and what it records.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import invite as verb

    invitation = verb(letter.text, letter.message_type, settle=run.settle, on_unknown=run.on_unknown)
    return do_rows(invitation, server, Source(people, person.row, letter), run, rows)


def accept(
    connections: File = None,
    /,
    *,
    server: ServerOptions = SERVER,
    connection_id: str | None = None,
    run: RecordedRun = RECORDED,
    rows: Rows = ROWS,
) -> int:
    """Accept every invitation of a file to become colleagues.

    Each row is written with four more columns, which replace columns of the same names: outcome (accepted, in_doubt,
    rejected, failed, unprocessed or unreadable), attempts, elapsed_ms and error.

    Args:
        connections: CSV with a header, or JSON lines. The column is connection_id; or those of "check", the source
            being you and the target who has invited you. Left out or "-": standard input.
        server: Which server, as whom, and how fast.
        connection_id: Id of one connection instead of a file.
        run: How long it may take, and what it records.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import ACCEPT

    source = Source(connections, {"connection_id": connection_id})
    return do_rows(ACCEPT, server, source, run, rows)


def remove(
    connections: File = None,
    /,
    *,
    server: ServerOptions = SERVER,
    connection_id: str | None = None,
    run: RecordedRun = RECORDED,
    rows: Rows = ROWS,
) -> int:
    """Decline, withdraw or remove every connection of a file.

    Each row is written with five more columns, which replace columns of the same names: outcome (removed, in_doubt,
    rejected, failed, unprocessed or unreadable), was (pending: declined; unconfirmed: withdrawn; accepted: removed),
    attempts, elapsed_ms and error.

    Args:
        connections: CSV with a header, or JSON lines. The column is connection_id; or those of "check". Left out or
            "-": standard input.
        server: Which server, as whom, and how fast.
        connection_id: Id of one connection instead of a file.
        run: How long it may take, and what it records.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import REMOVE

    source = Source(connections, {"connection_id": connection_id})
    return do_rows(REMOVE, server, source, run, rows)


def colleagues(
    *,
    server: ServerOptions = SERVER,
    person: One = NO_PERSON,
    status: Literal["accepted", "pending", "unconfirmed"] = "accepted",
    since: datetime | None = None,
    sort_by: Literal["displayName", "modified"] | None = None,
    messages: Annotated[bool, Parameter(negative="")] = False,
    result: Result = PLAIN,
) -> int:
    """List the connections of a person, one row for each.

    Args:
        server: Which server, as whom, and how fast.
        person: Whose.
        status: Which of them; all but accepted ones are shown to the person alone.
        since: Only what changed after this moment, such as 2026-01-31T00:00:00+0000.
        sort_by: Order of the server.
        messages: Ask for the texts of the invitations as well.
        result: How the result is written.
    """
    from aioconnections.cli.listing import CONNECTIONS, list_records

    who = person.identity
    if who is None:
        raise InvalidInputError("whose colleagues? Use --email, --userid or --key")
    if since is not None and since.tzinfo is None:
        raise InvalidInputError("--since needs a time zone, such as +0000 or Z at its end")
    return list_records(
        server,
        lambda client: client.colleagues(
            who, status=Status(status), since=since, sort_by=sort_by, include_message=messages
        ),
        CONNECTIONS,
        result,
    )
