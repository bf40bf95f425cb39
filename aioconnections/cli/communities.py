"""``aioconnections community`` and ``invitations``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from aioconnections.cli.options import NOBODY, PLAIN, ROWS, DryRun, File, One, Result, Rows
from aioconnections.cli.server import Server

if TYPE_CHECKING:
    from aioconnections.cli.items import RowInvitation
    from aioconnections.cli.verbs import Verb

__all__ = ["community", "invitations"]

community: App = App(name="community", help="Invite people into a community, and list who is invited; for its owners.")
invitations: App = App(name="invitations", help="List and answer invitations into communities.")


@community.command(name="invite")
def _invite(
    uuid: str,
    people: File = None,
    /,
    *,
    server: Server,
    person: One = NOBODY,
    title: str = "Invitation",
    dry_run: DryRun = False,
    rows: Rows = ROWS,
) -> int:
    """Invite every person of a file into a community; a person who comes twice is invited once.

    Each row is written with four more columns, which replace columns of the same names: outcome (invited,
    already_exists, in_doubt, rejected, failed, unprocessed or unreadable), attempts, elapsed_ms and error.

    Args:
        uuid: Which community.
        people: CSV with a header, or JSON lines. Columns are email or userid; others are carried along. Left out or
            "-": standard input.
        server: Which server, as whom, and how fast.
        person: One person instead of a file.
        title: Title of the invitations.
        dry_run: Send nothing, and print what would be sent.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import invite_to_community

    verb = invite_to_community(uuid, title)
    return do_rows(verb, server.through(dry_run=dry_run), Source(people, person.row), rows)


@community.command(name="invitations")
def _invitations_into(uuid: str, /, *, server: Server, result: Result = PLAIN) -> int:
    """List the invitations into a community that wait for an answer.

    Args:
        uuid: Which community.
        server: Which server, as whom, and how fast.
        result: How the result is written.
    """
    from aioconnections.cli.listing import INVITATIONS, list_records

    return list_records(server, lambda client: client.community(uuid).invitations(), INVITATIONS, result)


@invitations.command(name="list")
def _list(*, server: Server, result: Result = PLAIN) -> int:
    """List your own invitations into communities.

    Args:
        server: Which server, as whom, and how fast.
        result: How the result is written.
    """
    from aioconnections.cli.listing import INVITATIONS, list_records

    return list_records(server, lambda client: client.invitations(), INVITATIONS, result)


@invitations.command(name="accept")
def _accept(file: File = None, /, *, server: Server, dry_run: DryRun = False, rows: Rows = ROWS) -> int:
    """Accept every invitation of a file, which "list" has written.

    Each row is written with four more columns, which replace columns of the same names: outcome (accepted, in_doubt,
    rejected, failed, unprocessed or unreadable), attempts, elapsed_ms and error.

    Args:
        file: CSV with a header, or JSON lines. The column is community_uuid; others are carried along. Left out or "-":
            standard input.
        server: Which server, as whom, and how fast.
        dry_run: Send nothing, and print what would be sent.
        rows: How rows are read and written.
    """
    from aioconnections.cli.verbs import ACCEPT_INVITATION

    return _answer(ACCEPT_INVITATION, file, server, rows, dry_run=dry_run)


@invitations.command(name="decline")
def _decline(file: File = None, /, *, server: Server, dry_run: DryRun = False, rows: Rows = ROWS) -> int:
    """Decline every invitation of a file, which "list" has written.

    Each row is written with four more columns, which replace columns of the same names: outcome (removed, in_doubt,
    rejected, failed, unprocessed or unreadable), attempts, elapsed_ms and error.

    Args:
        file: CSV with a header, or JSON lines. The column is edit_href; others are carried along. Left out or "-":
            standard input.
        server: Which server, as whom, and how fast.
        dry_run: Send nothing, and print what would be sent.
        rows: How rows are read and written.
    """
    from aioconnections.cli.verbs import DECLINE_INVITATION

    return _answer(DECLINE_INVITATION, file, server, rows, dry_run=dry_run)


@invitations.command(name="revoke")
def _revoke(file: File = None, /, *, server: Server, dry_run: DryRun = False, rows: Rows = ROWS) -> int:
    """Revoke every invitation of a file, which "community invitations" has written; for owners.

    Each row is written with four more columns, which replace columns of the same names: outcome (removed, in_doubt,
    rejected, failed, unprocessed or unreadable), attempts, elapsed_ms and error.

    Args:
        file: CSV with a header, or JSON lines. The column is edit_href; others are carried along. Left out or "-":
            standard input.
        server: Which server, as whom, and how fast.
        dry_run: Send nothing, and print what would be sent.
        rows: How rows are read and written.
    """
    from aioconnections.cli.verbs import REVOKE_INVITATION

    return _answer(REVOKE_INVITATION, file, server, rows, dry_run=dry_run)


def _answer(verb: Verb[RowInvitation], file: File, server: Server, rows: Rows, *, dry_run: bool) -> int:
    from aioconnections.cli.running import Source, do_rows

    return do_rows(verb, server.through(dry_run=dry_run), Source(file), rows)
