"""No credential goes through the scheduler, and a wrong one is tried once."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import distributed
import pytest
from pair_files import assert_complete, write_pairs
from tapped_port import TappedPort, tapped

from aioconnections.cluster import check_many
from aioconnections.errors import AuthenticationError, InvalidInputError

local_cluster: Any = distributed.LocalCluster  # without types
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

AUTHORIZATION = base64.b64encode(b"admin:secret")
OPTIONS = "--no-nanny --dashboard-address 127.0.0.1:0 --nthreads 1 --host 127.0.0.1"
WORKER = [sys.executable, "-m", "dask", "worker", *OPTIONS.split()]


@pytest.fixture
def tap() -> Generator[tuple[TappedPort, distributed.LocalCluster]]:
    """A scheduler without workers, behind a port that records everything."""
    with local_cluster(n_workers=0, dashboard_address="127.0.0.1:0") as cluster:
        port = int(cluster.scheduler_address.rpartition(":")[2])
        with tapped(port) as tap:
            yield tap, cluster


@pytest.fixture
def start_worker() -> Generator[Callable[..., None]]:
    """Starts workers with an environment of their own."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(port: int, **environment: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIOCONNECTIONS_")}
        line = [*WORKER, f"tcp://127.0.0.1:{port}"]
        processes.append(
            subprocess.Popen(
                line, env={**inherited, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )

    yield start
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(20)


@pytest.mark.parametrize("auth", [None, "pair_files:login"])
def test_no_credential_goes_through_the_scheduler(
    tmp_path: Path,
    server: str,
    tap: tuple[TappedPort, distributed.LocalCluster],
    start_worker: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    auth: str | None,
) -> None:
    seen, _ = tap
    for name in ("USER", "PASSWORD"):
        monkeypatch.delenv(f"AIOCONNECTIONS_{name}")
    login = {"AIOCONNECTIONS_USER": "admin", "AIOCONNECTIONS_PASSWORD": "secret"} if auth is None else {}
    start_worker(seen.port, **login, DASK_DISTRIBUTED__COMM__COMPRESSION="None")
    write_pairs(tmp_path / "pairs.csv", 300)
    result = check_many(
        tmp_path / "pairs.csv",
        cluster=f"tcp://127.0.0.1:{seen.port}",
        url=server,
        output=tmp_path / "results",
        auth=auth,
        max_per_second=None,
        rows_per_partition=100,
    )
    assert_complete(result.parts, 300)
    everything = seen.everything
    for known in (b"pairs.csv", server.encode(), b"status_accepted"):
        assert known in everything
    for secret in (b"secret", b"terces", AUTHORIZATION, b"Basic ", b"Authorization"):
        assert secret not in everything, everything[max(0, everything.index(secret) - 200) :][:400]


@pytest.mark.parametrize(
    ("login", "auth", "kind", "problem"),
    [
        ({"AIOCONNECTIONS_PASSWORD": "wr0ng"}, None, AuthenticationError, "401"),
        ({"AIOCONNECTIONS_PASSWORD": ""}, None, InvalidInputError, "the password is missing"),
        ({"AIOCONNECTIONS_USER": ""}, None, InvalidInputError, "the login is missing"),
        ({}, "pair_files:no_login", InvalidInputError, "pair_files:no_login raised RuntimeError on a worker"),
    ],
)
def test_a_failing_login_reaches_the_driver_without_its_secret(
    tmp_path: Path,
    server: str,
    tap: tuple[TappedPort, distributed.LocalCluster],
    start_worker: Callable[..., None],
    login: dict[str, str],
    auth: str | None,
    kind: type[Exception],
    problem: str,
) -> None:
    seen, _ = tap
    environment = {"AIOCONNECTIONS_USER": "admin", **login, "DASK_DISTRIBUTED__COMM__COMPRESSION": "None"}
    start_worker(seen.port, **environment)
    write_pairs(tmp_path / "pairs.csv", 400)
    with pytest.raises(kind, match=problem):
        check_many(
            tmp_path / "pairs.csv",
            cluster=f"tcp://127.0.0.1:{seen.port}",
            url=server,
            output=tmp_path / "results",
            auth=auth,
            max_per_second=None,
            rows_per_partition=10,
        )
    assert not [*(tmp_path / "results").glob("part-*")]
    assert b"pairs.csv" in seen.everything
    for secret in (b"wr0ng", b"terces", base64.b64encode(b"admin:wr0ng")):
        assert secret not in seen.everything


def test_a_wrong_password_is_tried_once(
    tmp_path: Path, server: str, make_cluster: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "wr0ng")
    write_pairs(tmp_path / "pairs.csv", 400)
    client = make_cluster(2)
    with tapped(int(server.rpartition(":")[2])) as tap, pytest.raises(AuthenticationError):
        check_many(
            tmp_path / "pairs.csv",
            cluster=client,
            url=f"http://127.0.0.1:{tap.port}",
            output=tmp_path / "results",
            max_per_second=None,
            rows_per_partition=10,
        )
    assert tap.everything.lower().count(b"authorization: basic") == 1
