from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any

import distributed
import pytest

NAMES = ("DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE", "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE")


@pytest.fixture(scope="session", autouse=True)
def environment() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AIOCONNECTIONS_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("AIOCONNECTIONS_USER", "admin")
        patch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
        for name in NAMES:  # the memory of this machine is no subject here
            patch.setenv(name, "False")
        yield


@pytest.fixture(scope="session")
def server() -> Generator[str]:
    """The URL of the reference server, in a process of its own."""
    line = [sys.executable, "-m", "aioconnections", "serve", "--people", "400", "--seed", "7"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("listening on ").strip()
        process.terminate()


MakeCluster = Callable[..., Any]
local_cluster: Any = distributed.LocalCluster  # without types
client_of: Any = distributed.Client


@pytest.fixture
def make_cluster() -> Generator[MakeCluster]:
    """Starts clusters of processes, which are gone when the test is over."""
    with ExitStack() as stack:

        def make(workers: int = 2, **options: Any) -> Any:
            cluster = stack.enter_context(
                local_cluster(
                    n_workers=workers,
                    processes=True,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                    **options,
                )
            )
            return stack.enter_context(client_of(cluster, set_as_default=False))

        yield make
