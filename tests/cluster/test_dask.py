"""Runs on real clusters: processes on this machine, and the reference server in one more."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import distributed
import pytest
from pair_files import assert_complete, write_pairs
from redis_server import running_redis

from aioconnections.cli import run as command
from aioconnections.cluster import ClusterProgress, check_many, check_many_async
from aioconnections.errors import ClusterError, InvalidInputError
from aioconnections.shared.settings import RedisShared

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MakeCluster = Callable[..., Any]
local_cluster: Any = distributed.LocalCluster  # without types
client_of: Any = distributed.Client


def without_header(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()[1:]


def unmeasured(line: str) -> str:
    """A line of a result without the time that its request took."""
    *cells, _, error = line.split(",")
    return ",".join([*cells, error])


def parts_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.csv"))


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def pids(client: Any) -> list[int]:
    found: dict[str, int] = client.run(os.getpid)
    return [*found.values()]


def test_parts_are_those_of_one_ordered_run(
    tmp_path: Path, server: str, make_cluster: MakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        write_pairs(tmp_path / f"pairs-{number}.csv", 500, first=500 * number)
    client = make_cluster()
    result = check_many(
        tmp_path / "pairs-*.csv",
        cluster=client,
        url=server,
        output=tmp_path / "results",
        max_per_second=None,
        rows_per_partition=130,
    )
    assert result.good
    assert (result.rows, result.tally.checked, result.missing) == (1_000, 1_000, 0)
    assert list(result.parts) == parts_of(tmp_path / "results")
    assert len(result.parts) == 8
    assert_complete(result.parts, 1_000)

    found = [line for part in result.parts for line in without_header(part)]
    monkeypatch.setenv("AIOCONNECTIONS_URL", server)
    at_once: list[str] = []
    for number in range(2):
        output = tmp_path / "one.csv"
        files = ["check", str(tmp_path / f"pairs-{number}.csv"), "--ordered", "--output", str(output)]
        assert command([*files, "--max-per-second", "0"]) == 0
        at_once += without_header(output)
        header = output.read_text().splitlines()[0]
        assert {part.read_text().splitlines()[0] for part in result.parts} == {header}
    assert list(map(unmeasured, found)) == list(map(unmeasured, at_once))


def disturbed_run(
    client: Any,
    url: str,
    folder: Path,
    *,
    rows: int,
    parts: int,
    rate: float,
    disturb: dict[int, Callable[[], Any]],
) -> None:
    """Check pairs, and call functions of `disturb` when so many partitions are done, in the middle of others."""
    write_pairs(folder / "pairs.csv", rows)
    threads: list[threading.Thread] = []

    def look(progress: ClusterProgress) -> None:
        unfinished = [*(folder / "results").glob("*.tmp-*")]
        for done in [done for done in disturb if progress.parts >= done and unfinished]:
            threads.append(threading.Thread(target=disturb.pop(done)))
            threads[-1].start()

    result = check_many(
        folder / "pairs.csv",
        cluster=client,
        url=url,
        output=folder / "results",
        max_per_second=rate,
        rows_per_partition=rows // parts,
        on_progress=look,
    )
    for thread in threads:
        thread.join(60)
    assert not disturb
    assert result.good
    assert result.tally.checked == rows
    assert len(result.parts) == parts
    assert_complete(result.parts, rows)
    assert not [*(folder / "results").glob("*.tmp*")]


def test_a_killed_worker_loses_and_repeats_no_pair(tmp_path: Path, server: str, make_cluster: MakeCluster) -> None:
    client = make_cluster()
    first, _ = pids(client)
    disturbed_run(client, server, tmp_path, rows=4_000, parts=8, rate=1_500, disturb={2: lambda: kill(first)})


def test_a_retired_worker_loses_and_repeats_no_pair(tmp_path: Path, server: str, make_cluster: MakeCluster) -> None:
    client = make_cluster()

    def retire() -> None:
        client.retire_workers(workers=[next(iter(client.nthreads()))], close_workers=True)

    disturbed_run(client, server, tmp_path, rows=4_000, parts=8, rate=1_500, disturb={2: retire})


@pytest.mark.full
@pytest.mark.timeout(3_000)
def test_200_000_pairs_survive_a_killed_and_a_retired_worker(
    tmp_path: Path, server: str, make_cluster: MakeCluster
) -> None:
    client = make_cluster()
    first, _ = pids(client)

    def retire() -> None:
        client.retire_workers(workers=[next(iter(client.nthreads()))], close_workers=True)

    disturbed_run(
        client, server, tmp_path, rows=200_000, parts=40, rate=5_000, disturb={10: lambda: kill(first), 25: retire}
    )


@pytest.mark.asyncio
async def test_an_asynchronous_client(tmp_path: Path, server: str) -> None:
    write_pairs(tmp_path / "pairs.csv", 200)
    async with (
        local_cluster(n_workers=1, asynchronous=True, dashboard_address="127.0.0.1:0") as cluster,
        client_of(cluster, asynchronous=True, set_as_default=False) as client,
    ):
        result = await check_many_async(
            tmp_path / "pairs.csv", cluster=client, url=server, output=tmp_path / "results", max_per_second=None
        )
    assert result.good
    assert_complete(result.parts, 200)


def test_a_rerun_does_what_is_missing(tmp_path: Path, server: str, make_cluster: MakeCluster) -> None:
    write_pairs(tmp_path / "pairs.csv", 400)
    client = make_cluster(1)

    def check() -> Any:
        return check_many(
            tmp_path / "pairs.csv",
            cluster=client.scheduler.address,
            url=server,
            output=tmp_path / "results",
            max_per_second=None,
            rows_per_partition=100,
        )

    first = check()
    assert first.requests > 400
    times = [part.stat().st_mtime_ns for part in first.parts]
    first.parts[2].unlink()
    (tmp_path / "results" / "part-00001.csv.tmp-dead-1").write_text("rubbish")
    second = check()
    assert 100 < second.requests < 110
    assert [part.stat().st_mtime_ns == time for part, time in zip(second.parts, times, strict=True)] == [
        True,
        True,
        False,
        True,
    ]
    assert second.tally.checked == 400
    assert_complete(second.parts, 400)
    assert not [*(tmp_path / "results").glob("*.tmp*")]


@pytest.mark.parametrize("is_shared", [False, True])
def test_the_rate_is_that_of_all_workers_together(
    tmp_path: Path, server: str, make_cluster: MakeCluster, *, is_shared: bool
) -> None:
    write_pairs(tmp_path / "pairs.csv", 240)
    client = make_cluster()
    with running_redis(tmp_path) if is_shared else nullcontext() as redis:
        began = time.monotonic()
        result = check_many(
            tmp_path / "pairs.csv",
            cluster=client,
            url=server,
            output=tmp_path / "results",
            shared=None if redis is None else RedisShared(redis.url, "cluster"),
            max_per_second=40,
            rows_per_partition=120,
        )
    assert result.requests >= 240
    assert time.monotonic() - began >= (result.requests - 2) / 40
    assert_complete(result.parts, 240)


def test_workers_that_join_later_do_not_raise_the_rate(tmp_path: Path, server: str, make_cluster: MakeCluster) -> None:
    write_pairs(tmp_path / "pairs.csv", 600)  # 15 s: on a busy machine, a worker takes some to start
    client = make_cluster(1)

    def grow(progress: ClusterProgress) -> None:
        if progress.parts == 1:
            client.cluster.scale(3)

    began = time.monotonic()
    result = check_many(
        tmp_path / "pairs.csv",
        cluster=client,
        url=server,
        output=tmp_path / "results",
        max_per_second=40,
        rows_per_partition=50,
        on_progress=grow,
    )
    assert len(client.nthreads()) == 3
    assert time.monotonic() - began >= (result.requests - 2) / 40
    assert_complete(result.parts, 600)


def test_a_failing_partition_ends_the_run(tmp_path: Path, server: str, make_cluster: MakeCluster) -> None:
    """The file changes after the driver has read it."""
    path = write_pairs(tmp_path / "pairs.csv", 600)

    def spoil(progress: ClusterProgress) -> None:
        if progress.parts == 1:
            path.write_bytes(path.read_bytes().replace(b",599,", b",995,"))

    with pytest.raises(InvalidInputError, match=r"pairs\.csv does not have the content that it had at the start"):
        check_many(
            path,
            cluster=make_cluster(),
            url=server,
            output=tmp_path / "results",
            max_per_second=300,
            rows_per_partition=100,
            on_progress=spoil,
        )
    assert 1 <= len(parts_of(tmp_path / "results")) < 6
    assert not [*(tmp_path / "results").glob("*.tmp*")]


def test_a_cluster_without_workers(tmp_path: Path, make_cluster: MakeCluster) -> None:
    with pytest.raises(ClusterError, match="the cluster has no workers"):
        check_many(
            write_pairs(tmp_path / "pairs.csv", 10),
            cluster=make_cluster(0),
            url="http://127.0.0.1:1",
            output=tmp_path / "results",
            wait_for_workers=0.5,
        )
