"""Checks on a Dask cluster: the only module that imports distributed, when such a run begins or on a worker."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from aioconnections.cluster.driver import ClusterRun
from aioconnections.cluster.partitions import Files, Partition
from aioconnections.cluster.settings import CheckOptions, ClusterResult, TaskSettings
from aioconnections.cluster.task import check_partition
from aioconnections.errors import ClusterError, InvalidInputError, UsageError

if TYPE_CHECKING:
    import distributed

__all__ = ["check_many", "check_many_async", "run_task"]

_ADVICE = 'runs on a cluster need distributed; run: pip install "aioconnections[dask]"'
_ADDRESS = re.compile(r"(?:(?:tcp|tls)://)?(?:\[[^\]\s]+\]|[^/\s:\[]+):[0-9]+/?|(?!tcp:|tls:)\w+://\S+")
_CONNECT = 10.0  # seconds
_WORKING = {"running", "paused"}  # a worker that is paused goes on with its tasks


def check_many(
    files: Files, *, cluster: distributed.Client | str, url: str, output: str | Path, **options: Unpack[CheckOptions]
) -> ClusterResult:
    """Check the pairs in files on the workers of a Dask cluster, and wait for the end.

    Each partition of the input becomes one file in the folder `output`, with the rows and columns that
    ``aioconnections check --ordered`` writes. Files and folder must have the same path on the driver and on all
    workers. Calling the function again with the same arguments does the partitions that are missing. Partitions are
    independent: a pair that occurs in two of them is checked twice.

    On KeyboardInterrupt, tasks under way are stopped, and their unfinished files removed, before it is raised. A second
    one is raised at once.

    Options:
        auth: ``"module:function"``, a function without arguments that is called on the worker and returns what `Client`
            takes as ``auth``. By default a worker uses its own environment: AIOCONNECTIONS_USER and
            AIOCONNECTIONS_PASSWORD, or AIOCONNECTIONS_TOKEN. A credential itself is never accepted, because it would
            go through the scheduler.
        oauth_paths: whether a token in the environment is for the paths for OAuth; True by default.
        shared: passed to each `Client`, and limits the rate of all together; or ``"module:function"``, called on the
            worker, for one with a secret. Without it each task has an equal part of the rate, and there are never more
            tasks at once than workers at the start, even if others join.
        max_per_second: limit of requests per second of all workers together, 100 by default; None for no limit.
        max_connections: limit of concurrent requests of each task, 16 by default.
        plan: ``"head"`` or ``"auto"``, see `Client.check_many`. A plan sees the pairs of one partition.
        format: ``"csv"`` or ``"parquet"``.
        rows_per_partition: number of rows of a partition, 50,000 by default.
        id_type: kind of the identities in the columns source and target.
        source_column: name of the column of the source; needs `id_type`.
        target_column: name of the column of the target; needs `id_type`.
        encoding: encoding of files without a byte order mark; UTF-8 by default.
        verify: True, or the path of a file or folder of CA certificates, the same on all workers.
        trust_env: whether a worker uses the proxies in its environment.
        timeouts: see `Client`.
        wait_for_workers: seconds to wait for a worker if there is none, 60 by default.
        on_progress: called every quarter of a second, in another thread.

    Args:
        files: paths and glob patterns of CSV, JSON lines or Parquet files.
        cluster: a client of the cluster, or the address of its scheduler.
        url: base URL of the server.
        output: folder of the result; it is made if necessary.
        **options: see above.

    Raises:
        InvalidInputError: an option is invalid, a file cannot be read or is not the same for a worker, or the folder
            has the results of other inputs or settings.
        UsageError: a package is missing, the client is asynchronous, or another run writes to the folder.
        ClusterError: the cluster cannot do a partition.
        ConnectionsError: the run of checks of a partition was stopped by this error.
        OSError: the manifest or a part cannot be written.
    """
    run = ClusterRun.of(files, url, output, options, run_task)
    package = _distributed()
    if isinstance(cluster, package.Client) and _is_asynchronous(cluster):
        raise UsageError("the client of the cluster is asynchronous; await check_many_async instead")
    with run:
        run.prepare()
        client: Any = cluster if isinstance(cluster, package.Client) else _connected(package, cluster)
        try:
            return _waited_for(run, client)
        finally:
            if client is not cluster:
                client.close()


async def check_many_async(
    files: Files, *, cluster: distributed.Client, url: str, output: str | Path, **options: Unpack[CheckOptions]
) -> ClusterResult:
    """`check_many` for an asynchronous client of the cluster, in its event loop.

    Two functions, because one could not say whether its result must be awaited. If the call is cancelled, tasks under
    way are stopped first.

    Args:
        files: see `check_many`.
        cluster: an asynchronous client of the cluster.
        url: see `check_many`.
        output: see `check_many`.
        **options: see `check_many`.

    Raises:
        ConnectionsError: see `check_many`.
        OSError: see `check_many`.
    """
    run = ClusterRun.of(files, url, output, options, run_task)
    package = _distributed()
    if not (isinstance(cluster, package.Client) and _is_asynchronous(cluster)):
        raise UsageError("the client of the cluster is not asynchronous; call check_many instead")
    with run:
        await asyncio.to_thread(run.prepare)
        doing = asyncio.ensure_future(run.do(cluster))
        try:
            await asyncio.shield(doing)
        except asyncio.CancelledError:
            run.stop()
            await doing
            raise
        return run.result()


def _distributed() -> Any:
    try:
        import distributed
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in {"distributed", "dask"}:
            raise
        raise UsageError(_ADVICE) from None
    return distributed


def _is_asynchronous(client: Any) -> bool:
    return bool(client.asynchronous)


def _connected(package: Any, address: object) -> Any:
    if not isinstance(address, str):
        raise InvalidInputError("cluster must be a client of distributed, or the address of a scheduler")
    if not _ADDRESS.fullmatch(address):  # distributed would wait for half a minute, and print a traceback
        raise InvalidInputError(f"{address!r:.80} is not the address of a scheduler, such as tcp://scheduler:8786")
    try:
        return package.Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(f"no scheduler at {address}: {error}") from None


def _waited_for(run: ClusterRun, client: Any) -> ClusterResult:
    """Run the driver in the event loop of the client, and wait in this thread."""
    doing: Future[None] = asyncio.run_coroutine_threadsafe(run.do(client), client.loop.asyncio_loop)
    try:
        doing.result()
    except KeyboardInterrupt:
        run.stop()
        doing.result()
        raise
    return run.result()


def run_task(settings: TaskSettings, partition: Partition, topic: str) -> dict[str, int]:
    """Check a partition on a worker; see `check_partition`."""
    import distributed

    worker: Any = distributed.get_worker()
    key, number = worker.get_current_task(), partition.number
    say = partial(worker.log_event, topic)

    def given_up() -> bool:
        task = worker.state.tasks.get(key)
        return worker.status.name not in _WORKING or task is None or task.state == "cancelled"

    say({"number": number, "began": worker.address})
    done: dict[str, int] | None = None
    try:
        done = check_partition(
            settings, partition, stop=given_up, report=lambda counts: say({"number": number, "counts": counts})
        )
        return done
    finally:
        say({"number": number, "ended": worker.address, "done": done})
