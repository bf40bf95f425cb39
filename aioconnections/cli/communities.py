"""``aioconnections community`` and ``invitations``."""

from __future__ import annotations

from cyclopts import App

from aioconnections.cli.epilogues import BULK, LISTING, epilogue
from aioconnections.cli.invite_options import EXPLICIT, NO_PERSON, ExplicitRun, One
from aioconnections.cli.options import PERSON_ROWS, PLAIN, ROWS, File, PersonRows, Result, Rows
from aioconnections.cli.run_options import RECORDED, REMOVING, RecordedRun, RemovingRun
from aioconnections.cli.server import SERVER, ServerOptions

__all__ = ["community", "invitations"]

community: App = App(
    name="community",
    help="Invite people into a community, and list its pending invitations; for its owners.",
    help_epilogue=epilogue("see the help of its commands.", "community invite --help"),
)
invitations: App = App(
    name="invitations",
    help="List, accept, decline and revoke invitations to communities.",
    help_epilogue=epilogue("see the help of its commands.", "invitations list --help"),
)
_UUID = "f0b5a2c4-7d0e-4f3b-9a61-1c2d3e4f5a6b"


@community.command(name="invite", help_epilogue=epilogue(BULK, f"community invite {_UUID} team.csv"))
def _invite(
    uuid: str,
    people: File = None,
    /,
    *,
    server: ServerOptions = SERVER,
    person: One = NO_PERSON,
    title: str = "Invitation",
    run: ExplicitRun = EXPLICIT,
    rows: PersonRows = PERSON_ROWS,
) -> int:
    """Invite each person in a file into a community; repeated people are invited once.

    Each row is written with four more columns, which replace columns of the same names: outcome (invited,
    already_exists, duplicate, in_doubt, rejected, failed, unprocessed or unreadable), attempts, elapsed_ms and error. A
    duplicate repeats the person of an earlier row; it is not a failure.

    Args:
        uuid: Id of the community.
        people: CSV with a header, JSON lines or Parquet. Columns are email or userid; others are copied to the result.
            Omitted or "-": standard input.
        server: Server, login and speed.
        person: One person instead of a file.
        title: Title of the invitations.
        run: Time limit and journal.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import invite_to_community

    verb = invite_to_community(uuid, title)
    return do_rows(verb, server, Source(people, person.row), run, rows)


@community.command(name="invitations", help_epilogue=epilogue(LISTING, f"community invitations {_UUID}"))
def _invitations_into(uuid: str, /, *, server: ServerOptions = SERVER, result: Result = PLAIN) -> int:
    """List the pending invitations to a community.

    Args:
        uuid: Id of the community.
        server: Server, login and speed.
        result: How the result is written.
    """
    from aioconnections.cli.listing import list_records
    from aioconnections.cli.record_rows import INVITATIONS

    return list_records(server, lambda client: client.community(uuid).invitations(), INVITATIONS, result)


@invitations.command(name="list", help_epilogue=epilogue(LISTING, "invitations list --output invitations.csv"))
def _list(*, server: ServerOptions = SERVER, result: Result = PLAIN) -> int:
    """List your own invitations to communities.

    Args:
        server: Server, login and speed.
        result: How the result is written.
    """
    from aioconnections.cli.listing import list_records
    from aioconnections.cli.record_rows import INVITATIONS

    return list_records(server, lambda client: client.community_invitations.received(), INVITATIONS, result)


@invitations.command(
    name="accept", help_epilogue=epilogue(BULK, "invitations accept invitations.csv --output results.csv")
)
def _accept(
    file: File = None, /, *, server: ServerOptions = SERVER, run: RecordedRun = RECORDED, rows: Rows = ROWS
) -> int:
    """Accept each invitation in a file written by "list".

    Each row is written with four more columns, which replace columns of the same names: outcome (accepted, in_doubt,
    rejected, failed, unprocessed or unreadable), attempts, elapsed_ms and error.

    Args:
        file: CSV with a header, JSON lines or Parquet. The column is community_uuid; others are copied to the result.
            Omitted or "-": standard input.
        server: Server, login and speed.
        run: Time limit and journal.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import ACCEPT_INVITATION

    return do_rows(ACCEPT_INVITATION, server, Source(file), run, rows)


@invitations.command(name="decline", help_epilogue=epilogue(BULK, "invitations decline invitations.csv --dry-run"))
def _decline(
    file: File = None, /, *, server: ServerOptions = SERVER, run: RemovingRun = REMOVING, rows: Rows = ROWS
) -> int:
    """Decline each invitation in a file written by "list".

    Each row is written with four more columns, which replace columns of the same names: outcome (removed, in_doubt,
    rejected, failed, unprocessed or unreadable), attempts, elapsed_ms and error.

    Args:
        file: CSV with a header, JSON lines or Parquet. The column is edit_href; others are copied to the result.
            Omitted or "-": standard input.
        server: Server, login and speed.
        run: Time limit and journal.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import DECLINE_INVITATION

    return do_rows(DECLINE_INVITATION, server, Source(file), run, rows)


@invitations.command(name="revoke", help_epilogue=epilogue(BULK, "invitations revoke pending.csv --dry-run"))
def _revoke(
    file: File = None, /, *, server: ServerOptions = SERVER, run: RemovingRun = REMOVING, rows: Rows = ROWS
) -> int:
    """Revoke each invitation in a file written by "community invitations"; for owners.

    Each row is written with four more columns, which replace columns of the same names: outcome (removed, in_doubt,
    rejected, failed, unprocessed or unreadable), attempts, elapsed_ms and error.

    Args:
        file: CSV with a header, JSON lines or Parquet. The column is edit_href; others are copied to the result.
            Omitted or "-": standard input.
        server: Server, login and speed.
        run: Time limit and journal.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import REVOKE_INVITATION

    return do_rows(REVOKE_INVITATION, server, Source(file), run, rows)
