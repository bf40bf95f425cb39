"""``aioconnections invite``, ``accept``, ``remove`` and ``colleagues``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from cyclopts import Parameter

from aioconnections.cli.invite_options import INVITING, NO_PERSON, NO_TYPED_MESSAGE, InvitingRun, One, TypedMessage
from aioconnections.cli.options import PAIR_ROWS, PERSON_ROWS, PLAIN, File, PairRows, PersonRows, Result
from aioconnections.cli.run_options import RECORDED, REMOVING, RecordedRun, RemovingRun
from aioconnections.cli.server import SERVER, ServerOptions
from aioconnections.errors import InvalidInputError

__all__ = ["accept", "colleagues", "invite", "remove"]


def invite(
    people: File = None,
    /,
    *,
    server: ServerOptions = SERVER,
    person: One = NO_PERSON,
    message: TypedMessage = NO_TYPED_MESSAGE,
    run: InvitingRun = INVITING,
    rows: PersonRows = PERSON_ROWS,
) -> int:
    """Invite each person in a file to become your colleague; repeated people are invited once.

    Each row is written with five more columns, which replace columns of the same names: outcome (invited,
    already_exists, duplicate, in_doubt, rejected, failed, unprocessed or unreadable), connection_id (of the invitee's
    side), attempts, elapsed_ms and error. A duplicate repeats the person of an earlier row; it is not a failure.

    Args:
        people: CSV with a header, or JSON lines. Columns are email, userid or key; others are copied to the result.
            Omitted or "-": standard input.
        server: Server, login and speed.
        person: One person instead of a file.
        message: Message of the invitation.
        run: Time limit and journal.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import invite as verb

    invitation = verb(message.text, message.message_type, settle=run.settle, on_unknown=run.on_unknown)
    return do_rows(invitation, server, Source(people, person.row, message), run, rows)


def accept(
    connections: File = None,
    /,
    *,
    server: ServerOptions = SERVER,
    connection_id: str | None = None,
    run: RecordedRun = RECORDED,
    rows: PairRows = PAIR_ROWS,
) -> int:
    """Accept each colleague invitation in a file.

    Each row is written with four more columns, which replace columns of the same names: outcome (accepted, in_doubt,
    rejected, failed, unprocessed or unreadable), attempts, elapsed_ms and error.

    Args:
        connections: CSV with a header, or JSON lines. The column is connection_id, or the columns are those of "check",
            with you as the source and the person who invited you as the target. Omitted or "-": standard input.
        server: Server, login and speed.
        connection_id: Id of one connection instead of a file.
        run: Time limit and journal.
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
    run: RemovingRun = REMOVING,
    rows: PairRows = PAIR_ROWS,
) -> int:
    """Decline, withdraw or remove each connection in a file.

    Each row is written with five more columns, which replace columns of the same names: outcome (removed, in_doubt,
    rejected, failed, unprocessed or unreadable), was (pending: declined; unconfirmed: withdrawn; accepted: removed),
    attempts, elapsed_ms and error.

    Args:
        connections: CSV with a header, or JSON lines. The column is connection_id, or the columns are those of "check".
            Omitted or "-": standard input.
        server: Server, login and speed.
        connection_id: Id of one connection instead of a file.
        run: Time limit and journal.
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
        server: Server, login and speed.
        person: Person whose connections are listed.
        status: Status of the connections; only the person can list those that are not accepted.
        since: List only connections changed after this time, such as 2026-01-31T00:00:00+0000.
        sort_by: Order in which the server lists them.
        messages: Include the messages of the invitations.
        result: How the result is written.
    """
    from aioconnections.cli.listing import CONNECTIONS, list_records
    from aioconnections.records import Status

    identity = person.identity
    if identity is None:
        raise InvalidInputError("no person is given; use --email, --userid or --key")
    if since is not None and since.tzinfo is None:
        raise InvalidInputError("--since has no time zone; append one, such as +0000 or Z")
    return list_records(
        server,
        lambda client: client.colleagues(
            identity, status=Status(status), since=since, sort_by=sort_by, include_message=messages
        ),
        CONNECTIONS,
        result,
    )
