"""``aioconnections connect`` and ``disconnect``, for administrators of Profiles."""

from __future__ import annotations

from aioconnections.cli.invite_options import NO_MESSAGE, Message
from aioconnections.cli.options import PAIR_ROWS, File, PairRows
from aioconnections.cli.run_options import RECORDED, REMOVING, RecordedRun, RemovingRun
from aioconnections.cli.server import SERVER, ServerOptions

__all__ = ["connect", "disconnect"]


def connect(
    pairs: File = None,
    /,
    *,
    server: ServerOptions = SERVER,
    message: Message = NO_MESSAGE,
    run: RecordedRun = RECORDED,
    rows: PairRows = PAIR_ROWS,
) -> int:
    """Make the two people of each pair in a file colleagues, without an invitation; for administrators.

    Each row is written with five more columns, which replace columns of the same names: outcome (connected,
    already_exists, in_doubt, rejected, failed, unprocessed or unreadable), connection_id, attempts, elapsed_ms and
    error.

    Args:
        pairs: CSV with a header, JSON lines or Parquet, with the columns of "check". Omitted or "-": standard input.
        server: Server, login and speed.
        message: Message of the connection.
        run: Time limit and journal.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import connect as verb

    return do_rows(verb(message.text), server, Source(pairs, message=message), run, rows)


def disconnect(
    pairs: File = None, /, *, server: ServerOptions = SERVER, run: RemovingRun = REMOVING, rows: PairRows = PAIR_ROWS
) -> int:
    """Remove the connection or invitation between the two people of each pair in a file; for administrators.

    Each row is written with five more columns, which replace columns of the same names: outcome (removed, in_doubt,
    rejected, failed, unprocessed or unreadable), was (the status before), attempts, elapsed_ms and error.

    Args:
        pairs: CSV with a header, JSON lines or Parquet, with the columns of "check". Omitted or "-": standard input.
        server: Server, login and speed.
        run: Time limit and journal.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import DISCONNECT

    return do_rows(DISCONNECT, server, Source(pairs), run, rows)
