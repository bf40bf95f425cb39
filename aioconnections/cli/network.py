"""``aioconnections network``: the connections within a group of people."""

from __future__ import annotations

from aioconnections.cli.network_options import NETWORK_ROWS, NetworkRows
from aioconnections.cli.options import File
from aioconnections.cli.run_options import CHECKING, CheckingRun
from aioconnections.cli.server import SERVER, ServerOptions

__all__ = ["network"]


def network(
    people: File = None,
    /,
    *,
    server: ServerOptions = SERVER,
    run: CheckingRun = CHECKING,
    rows: NetworkRows = NETWORK_ROWS,
) -> int:
    """Find the connections within a group: each pair of colleagues among the people in a file, once.

    The result is CSV, JSON lines, Parquet, or GraphML for Gephi and networkx, as in "aioconnections network people.csv
    --output network.graphml". It is written when the list of each person has been read, and an existing file is
    replaced at once.

    In CSV and JSON lines each pair is one row: source_userid, source_key, source_email, source_name, and likewise
    target_…, status, updated, seen_from ("both", or "one" if only one of the two lists shows the other person) and
    disputed (whether the other list was read too). In GraphML each person is a node, also without connections, with
    the name as its label; the other columns of the input are attributes of the node.

    A person whose list cannot be read is reported with the line number; a connection between two such people is not
    known. A list that a journal has recorded has neither names nor times, and the result has no recorded_at.

    Args:
        people: CSV with a header, JSON lines or Parquet. Columns are email, userid or key. Omitted or "-": standard
            input.
        server: Server, login and speed.
        run: Time limit and journal.
        rows: How people are read and the network is written.
    """
    from aioconnections.cli.network_run import do_network
    from aioconnections.cli.running import Source

    return do_network(server, Source(people), run, rows)
