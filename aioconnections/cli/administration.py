"""``aioconnections connect`` and ``disconnect``, for administrators of Profiles."""

from __future__ import annotations

from pathlib import Path

from aioconnections.cli.options import ROWS, DryRun, File, Rows, message_of
from aioconnections.cli.server import Server

__all__ = ["connect", "disconnect"]


def connect(
    pairs: File = None,
    /,
    *,
    server: Server,
    message: str | None = None,
    message_file: Path | None = None,
    dry_run: DryRun = False,
    rows: Rows = ROWS,
) -> int:
    """Make the two people of every pair of a file colleagues, without asking them; for administrators.

    Each row is written with four more columns, which replace columns of the same names: outcome (connected,
    already_exists, in_doubt, rejected, failed, unprocessed or unreadable), attempts, elapsed_ms and error.

    Args:
        pairs: CSV with a header, or JSON lines, with the columns of "check". Left out or "-": standard input.
        server: Which server, as whom, and how fast.
        message: Message that the connection holds.
        message_file: File with that message, in UTF-8.
        dry_run: Send nothing, and print what would be sent.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import connect as verb

    return do_rows(verb(message_of(message, message_file)), server.through(dry_run=dry_run), Source(pairs), rows)


def disconnect(pairs: File = None, /, *, server: Server, dry_run: DryRun = False, rows: Rows = ROWS) -> int:
    """End the connection or the invitation between the two people of every pair of a file; for administrators.

    Each row is written with five more columns, which replace columns of the same names: outcome (removed, in_doubt,
    rejected, failed, unprocessed or unreadable), was (its status before), attempts, elapsed_ms and error.

    Args:
        pairs: CSV with a header, or JSON lines, with the columns of "check". Left out or "-": standard input.
        server: Which server, as whom, and how fast.
        dry_run: Send nothing, and print what would be sent.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import DISCONNECT

    return do_rows(DISCONNECT, server.through(dry_run=dry_run), Source(pairs), rows)
