"""``aioconnections check``: the main job, from a file to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from aioconnections.cli.output import Format
from aioconnections.cli.rows import IdType
from aioconnections.cli.server import Server

__all__ = ["check"]


def check(
    pairs: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    server: Server,
    id_type: IdType | None = None,
    ordered: Annotated[bool, Parameter(negative="")] = False,
    format: Annotated[Format | None, Parameter(name="--format")] = None,  # noqa: A002 # the name of the option
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> int:
    """Check for every pair of a file whether the two people are colleagues.

    Each row is written with five more columns, which replace columns of the same names: status (accepted, pending,
    unconfirmed, or none if no connection is visible to you), http_status, attempts, elapsed_ms and error.

    Args:
        server: Which server, as whom, and how fast.
        pairs: CSV with a header, or JSON lines. Columns are source_email, source_userid or source_key, and likewise
            target_email, target_userid or target_key; others are carried along. Left out or "-": standard input.
        id_type: What columns with the bare names "source" and "target" hold.
        ordered: Keep the order of the input. By default rows are written as they complete.
        format: Format of the result. By default it is that of the input.
        output: File for the result. By default it goes to standard output.
    """
    from aioconnections.cli.checking import check_file

    return check_file(server.client(), pairs, id_type=id_type, ordered=ordered, form=format, output=output)
