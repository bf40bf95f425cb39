"""``aioconnections invite``, ``accept``, ``remove`` and ``colleagues``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from cyclopts import Parameter

from aioconnections.cli.invite_options import INVITING, NO_PERSON, NO_TYPED_MESSAGE, InvitingRun, One, TypedMessage
from aioconnections.cli.options import PAIR_ROWS, PERSON_ROWS, File, PairRows, PersonRows, option_given
from aioconnections.cli.run_options import CHECKING, RECORDED, REMOVING, CheckingRun, RecordedRun, RemovingRun
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
        people: CSV with a header, JSON lines or Parquet. Columns are email, userid or key; others are copied to the
            result. Omitted or "-": standard input.
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
        connections: CSV with a header, JSON lines or Parquet. The column is connection_id, or the columns are those of
            "check", with you as the source and the person who invited you as the target. Omitted or "-": standard
            input.
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
        connections: CSV with a header, JSON lines or Parquet. The column is connection_id, or the columns are those of
            "check". Omitted or "-": standard input.
        server: Server, login and speed.
        connection_id: Id of one connection instead of a file.
        run: Time limit and journal.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import REMOVE

    source = Source(connections, {"connection_id": connection_id})
    return do_rows(REMOVE, server, source, run, rows)


def colleagues(  # noqa: PLR0913 # the vendor's parameters, all by name
    people: File = None,
    /,
    *,
    server: ServerOptions = SERVER,
    person: One = NO_PERSON,
    status: Literal["accepted", "pending", "unconfirmed"] = "accepted",
    since: datetime | None = None,
    sort_by: Literal["displayName", "modified"] | None = None,
    messages: Annotated[bool, Parameter(negative="")] = False,
    run: CheckingRun = CHECKING,
    rows: PersonRows = PERSON_ROWS,
) -> int:
    """List the connections of one person, or of each person in a file: one row for each connection.

    The list of one person, as of --userid ajones, has these columns: connection_id, status, source_userid, source_key,
    source_email, source_name, and likewise target_…, updated, message and message_type. The source is the person whose
    list it is.

    With a file, as in "aioconnections colleagues people.csv --output connections.csv", each row is written once for
    each connection of its person, with these columns, which replace columns of the same names: outcome (listed,
    duplicate, rejected, failed, unprocessed or unreadable), connections (their number), those above without the
    message, attempts, elapsed_ms and error. A person without connections, or without a list, is one row, in which the
    columns of the connection are empty. A list is written as a whole or not at all. A connection that a journal has
    recorded has neither names nor a time.

    Args:
        people: CSV with a header, JSON lines or Parquet. Columns are email, userid or key; others are copied to the
            result. Omitted or "-": standard input.
        server: Server, login and speed.
        person: One person instead of a file.
        status: Status of the connections; only the person can list those that are not accepted.
        since: List only connections changed after this time, such as 2026-01-31T00:00:00+0000. For one person.
        sort_by: Order in which the server lists them. For one person.
        messages: Include the messages of the invitations. For one person.
        run: Time limit and journal, for a file.
        rows: How rows are read and written.
    """
    from aioconnections.records import Status

    identity = None if people is not None else person.identity
    if identity is None:
        from aioconnections.cli.running import Source, do_rows
        from aioconnections.cli.verbs import list_colleagues

        for name, value in {"--since": since, "--sort-by": sort_by, "--messages": messages or None}.items():
            if value is not None:
                raise InvalidInputError(f"{name} is for one person; use --email, --userid or --key instead of a file")
        return do_rows(list_colleagues(Status(status)), server, Source(people, person.row), run, rows)

    from aioconnections.cli.listing import list_records
    from aioconnections.cli.record_rows import CONNECTIONS

    option = option_given(run) or option_given(rows, but=("format", "json", "output", "excel_safe"))
    if option is not None:
        raise InvalidInputError(f"{option} is for a file of people, and cannot be used for one person")
    if since is not None and since.tzinfo is None:
        raise InvalidInputError("--since has no time zone; append one, such as +0000 or Z")
    return list_records(
        server,
        lambda client: client.colleagues(
            identity, status=Status(status), since=since, sort_by=sort_by, include_message=messages
        ),
        CONNECTIONS,
        rows,
    )
