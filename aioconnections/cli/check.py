"""``aioconnections check``: check pairs from a file."""

from __future__ import annotations

from typing import Literal

from aioconnections.cli.check_options import PEOPLE_FILES, PeopleFiles
from aioconnections.cli.cluster_options import CLUSTER, ClusterOptions
from aioconnections.cli.options import PAIR_ROWS, File, PairRows, option_given
from aioconnections.cli.run_options import REPORTED, ReportedRun
from aioconnections.cli.server import SERVER, ServerOptions
from aioconnections.errors import InvalidInputError

__all__ = ["check"]


def check(
    pairs: File = None,
    /,
    *,
    people: PeopleFiles = PEOPLE_FILES,
    plan: Literal["head", "auto"] = "head",
    shard: str | None = None,
    server: ServerOptions = SERVER,
    run: ReportedRun = REPORTED,
    rows: PairRows = PAIR_ROWS,
    cluster: ClusterOptions = CLUSTER,
) -> int:
    """Check for each pair in a file whether the two people are colleagues.

    Each row is written with five more columns, which replace columns of the same names: status (accepted, pending,
    unconfirmed, or none if no connection is visible to you), http_status, attempts, elapsed_ms and error. With --plan
    auto there is a further one, via: head if the pair was checked, list if a list of colleagues showed its status, or
    duplicate if another row with the same pair, or with the same people the other way round, showed it.

    With --group or --against, files have people instead of pairs, and all pairs of these people are checked, as in
    "aioconnections check --group team.csv --plan auto --output pairs.csv" or "aioconnections check team.csv --against
    guests.csv". The columns of people are email, userid or key. Each row of the result is one pair: it has
    source_email, source_userid or source_key, and likewise for the target, as far as people are identified in this way,
    and the columns of a check. Other columns of the files are not copied. A person in several rows is taken once. A row
    that cannot be read is reported with its line number and left out; the exit code is then 1.

    With --dry-run, nothing is sent, and no login is needed. The request for each row is written to the result, and the
    number of requests is printed for each plan, with the time that they take at --max-per-second. Without a URL, or
    with --plan auto, whose requests depend on responses, no requests are written. A journal is not read.

    With --shard, several machines share an input without a coordinator: "--shard 3/16 --output part-3.csv" checks the
    third of 16 shards, and "aioconnections merge part-*.csv" makes one result of the 16 parts. All rows with the same
    source are in one shard. A part has one more column, input_row: the number of the row in the whole input, from 1.
    When the run has ended, part-3.csv.shard.json is written, which "aioconnections merge" needs beside the part.

    Args:
        pairs: CSV with a header, JSON lines or Parquet. Columns are source_email, source_userid or source_key, and
            likewise target_email, target_userid or target_key; others are copied to the result. With --against, people.
            Omitted or "-": standard input.
        people: Files of people.
        plan: How to find out: one check for each pair, or automatically also by reading lists of colleagues, where one
            list answers many pairs. Lists are used only after checks have confirmed them. Many thousands of pairs among
            the same people then take a hundredth of the requests.
        shard: Check only one shard of the rows, such as 3/16, the third of 16. Needs --output.
        server: Server, login and speed.
        run: Time limit, journal and report.
        rows: How rows are read and written.
        cluster: Checks on many machines.
    """
    if cluster.cluster is not None:
        if run.report is not None:
            raise InvalidInputError("--report and --cluster cannot be used together; the parts have no common course")
        if shard is not None:
            raise InvalidInputError("--shard and --cluster cannot be used together; a cluster divides the rows itself")
        from aioconnections.cli.cluster_run import check_on_cluster

        return check_on_cluster(pairs, plan, people=people, server=server, run=run, rows=rows, options=cluster)
    given = option_given(cluster)
    if given is not None:
        raise InvalidInputError(f"{given} needs --cluster")

    from aioconnections.cli.running import Source, do_rows
    from aioconnections.cli.verbs import CHECK, PLANNED_CHECK

    verb = CHECK if plan == "head" else PLANNED_CHECK
    source, chosen = Source(pairs), people.rows(pairs, rows)
    if chosen is not None:
        from aioconnections.cli.group import PeopleSource

        first = pairs if people.group is None else people.group
        source = PeopleSource(first, against=people.against, both_ways=people.both_ways)
    if shard is not None:
        from aioconnections.cli.sharding import sharded

        source = sharded(source, shard, server, run, rows)
    return do_rows(verb, server, source, run, chosen or rows)
