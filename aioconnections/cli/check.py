"""``aioconnections check``: check pairs from a file."""

from __future__ import annotations

from aioconnections.cli.options import PAIR_ROWS, File, PairRows
from aioconnections.cli.run_options import CHECKING, CheckingRun
from aioconnections.cli.server import SERVER, ServerOptions

__all__ = ["check"]


def check(
    pairs: File = None, /, *, server: ServerOptions = SERVER, run: CheckingRun = CHECKING, rows: PairRows = PAIR_ROWS
) -> int:
    """Check for each pair in a file whether the two people are colleagues.

    Each row is written with five more columns, which replace columns of the same names: status (accepted, pending,
    unconfirmed, or none if no connection is visible to you), http_status, attempts, elapsed_ms and error.

    Args:
        pairs: CSV with a header, or JSON lines. Columns are source_email, source_userid or source_key, and likewise
            target_email, target_userid or target_key; others are copied to the result. Omitted or "-": standard input.
        server: Server, login and speed.
        run: Time limit and journal.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import CHECK

    return do_rows(CHECK, server, Source(pairs), run, rows)
