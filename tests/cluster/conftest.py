from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator

import pytest

distributed = pytest.importorskip("distributed")

PEOPLE, SEED = 400, 7


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AIOCONNECTIONS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AIOCONNECTIONS_USER", "admin")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__DAEMON", "True")


@pytest.fixture(scope="session")
def server() -> Generator[str]:
    """The reference server in a process of its own."""
    line = [sys.executable, "-m", "aioconnections", "serve", "--people", str(PEOPLE), "--seed", str(SEED)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("listening on ").strip()
        process.terminate()
