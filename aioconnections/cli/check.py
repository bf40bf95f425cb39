"""``aioconnections check``: check pairs from a file."""

from __future__ import annotations

from typing import Literal

from aioconnections.cli.options import PAIR_ROWS, File, PairRows
from aioconnections.cli.run_options import CHECKING, CheckingRun
from aioconnections.cli.server import SERVER, ServerOptions

__all__ = ["check"]


def check(
    pairs: File = None,
    /,
    *,
    plan: Literal["head", "auto"] = "head",
    server: ServerOptions = SERVER,
    run: CheckingRun = CHECKING,
    rows: PairRows = PAIR_ROWS,
) -> int:
    """Check for each pair in a file whether the two people are colleagues.

    Each row is written with five more columns, which replace columns of the same names: status (accepted, pending,
    unconfirmed, or none if no connection is visible to you), http_status, attempts, elapsed_ms and error. With --plan
    auto there is a further one, via: head if the pair was checked, list if a list of colleagues showed its status, or
    duplicate if an earlier row had the same pair.

    Args:
        pairs: CSV with a header, or JSON lines. Columns are source_email, source_userid or source_key, and likewise
            target_email, target_userid or target_key; others are copied to the result. Omitted or "-": standard input.
        plan: How to find out: one check for each pair, or automatically also by reading lists of colleagues, where one
            list answers many pairs. Lists are used only after checks have confirmed them. Many thousands of pairs among
            the same people then take a hundredth of the requests.
        server: Server, login and speed.
        run: Time limit and journal.
        rows: How rows are read and written.
    """
    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import CHECK, PLANNED_CHECK

    if plan == "head":
        return do_rows(CHECK, server, Source(pairs), run, rows)
    return do_rows(PLANNED_CHECK, server, Source(pairs), run, rows)
