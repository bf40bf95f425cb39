from __future__ import annotations

import asyncio
import csv
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from rich.console import Console

from aioconnections.cli import app as program
from aioconnections.cli import run
from aioconnections.policy.retry import Retry
from aioconnections.records import Person
from aioconnections.reference import App, Directory, Fault, app
from aioconnections.reference.server import listening

DIRECTORY = Directory.generate(people=60, seed=7)


@define
class Reference:
    """The reference server in a thread of its own."""

    app: App = field(factory=lambda: app(DIRECTORY))
    url: str = ""
    refuses_after: float = float("inf")
    """So many requests are answered; then every login is refused."""
    stops_after: float = float("inf")
    """So many requests are answered; then every application is stopped behind its web server."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self.app.requests.total >= self.refuses_after:
            scope["headers"] = [header for header in scope["headers"] if header[0] != b"authorization"]
        if self.app.requests.total >= self.stops_after and not self.app.faults:
            self.app.faults = [Fault("missing")]
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def ending() -> Generator[list[threading.Thread]]:
    """Threads of servers that were told to end: they need a tenth of a second to see it, which no test waits for."""
    threads: list[threading.Thread] = []
    yield threads
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def reference(ending: list[threading.Thread]) -> Generator[Reference]:
    server = Reference()
    started = threading.Event()
    ends: list[Callable[[], object]] = []

    async def serve() -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        ends.append(lambda: loop.call_soon_threadsafe(end.set))
        async with listening(server) as server.url:  # type: ignore[arg-type] # any ASGI callable will do
            started.set()
            await end.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(10)
    yield server
    ends[0]()
    ending.append(thread)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AIOCONNECTIONS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Retry, "pause", lambda *_: 0.0)
    for module in ("secrets", "confirm"):
        monkeypatch.setattr(f"aioconnections.cli.{module}.can_prompt", lambda: False)


@pytest.fixture
def signed_in(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> Reference:
    monkeypatch.setenv("AIOCONNECTIONS_URL", reference.url)
    monkeypatch.setenv("AIOCONNECTIONS_USER", "admin")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
    return reference


@define
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs a command in this process."""

    def call(*arguments: object) -> Said:
        program.console = Console()  # each program has one of its own, which reads COLUMNS once
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return call


@pytest.fixture
def start() -> Generator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command in a process of its own, which is gone when the test is over."""
    started: list[subprocess.Popen[str]] = []

    def call(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "aioconnections", *map(str, arguments)]
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(  # ourselves
            line, env={**os.environ, "PYTHONUNBUFFERED": ""}, encoding="utf-8", **pipes | options
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def pairs_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes pairs of the directory, or the bytes that are given, to a file."""

    def write(content: bytes | str | None = None, *, name: str = "pairs.csv", count: int = 20) -> Path:
        path = tmp_path / name
        if content is None:
            content = csv_of(DIRECTORY.sample_pairs(count, seed=3))
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def csv_of(pairs: Iterable[tuple[Person, Person]]) -> str:
    lines = (f"{source.email},{target.email},{DIRECTORY.status(source, target) or 'none'}" for source, target in pairs)
    return "\n".join(["source_email,target_email,truth", *lines, ""])


@pytest.fixture
def once() -> Generator[Callable[[Callable[[], bool], Callable[[], object]], None]]:
    """Does something, from another thread, as soon as something holds."""
    threads: list[threading.Thread] = []
    over = threading.Event()

    def call(condition: Callable[[], bool], then: Callable[[], object]) -> None:
        def wait() -> None:
            while not condition():
                if over.wait(0.005):
                    return
            then()

        threads.append(threading.Thread(target=wait))
        threads[-1].start()

    yield call
    over.set()
    for thread in threads:
        thread.join(10)
