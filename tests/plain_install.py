"""Run by `nox -s plain` where the library is installed without extras: all but the edges must work there."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import Thread

import httpx

import aioconnections
from aioconnections import Checked, Client, Journal
from aioconnections.reference import Directory, app

EXTRAS = (
    "cryptography",
    "cyclopts",
    "rich",
    "platformdirs",
    "keyring",
    "uvicorn",
    "pytest",
    "trio",
    "distributed",
    "pyarrow",
    "pandas",
    "polars",
    "duckdb",
    "redis",
    "opentelemetry",
    "httpx2",
)
EDGES = (
    "aioconnections.cli",
    "aioconnections.doctor.certificates",
    "aioconnections.reference.server",
    "aioconnections.reference.pytest_plugin",
    "aioconnections.shared.store",
    "aioconnections.otel.metering",
    "aioconnections.otel.observing",
)
ADVICE = 'aioconnections: the command line needs more packages; run: pip install "aioconnections[cli]"\n'

DIRECTORY = Directory.generate(people=20, seed=1)
SERVER = app(DIRECTORY)
PEOPLE = [(one, other) for one in DIRECTORY.people[:4] for other in DIRECTORY.people[4:9]]


def main() -> None:
    for name in EXTRAS:
        assert importlib.util.find_spec(name) is None, f"{name} came along"
    import_all()
    assert (files("aioconnections") / "guides" / "index.md").is_file()
    with listening() as url:
        asyncio.run(check(url, None))
        asyncio.run(check("http://localhost", httpx.ASGITransport(SERVER)))
    script = Path(sys.executable).with_name("aioconnections")
    for command in ([sys.executable, "-I", "-m", "aioconnections"], [str(script)]):
        for words in ([], ["--help"], ["check", "pairs.csv"], ["doctor"], ["serve"], ["demo"], ["guide"]):
            told_what_to_install([*command, *words])


def import_all() -> None:
    for module in pkgutil.walk_packages(aioconnections.__path__, "aioconnections.", onerror=lambda _: None):
        if not module.name.startswith(EDGES) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in aioconnections.__all__:
        assert getattr(aioconnections, name) is not None


async def check(url: str, transport: httpx.AsyncBaseTransport | None) -> None:
    """Check pairs one by one and in bulk, with a journal."""
    with tempfile.TemporaryDirectory() as folder:
        async with Client(url, auth=("admin", "secret"), max_per_second=None, transport=transport) as client:
            expected = [DIRECTORY.status(*pair) for pair in PEOPLE]
            assert [await client.check(*pair) for pair in PEOPLE] == expected
            run = client.check_many(PEOPLE, ordered=True, journal=Journal(Path(folder) / "check.sqlite"))
            outcomes = await run.collect()
    assert [outcome.status for outcome in outcomes if isinstance(outcome, Checked)] == expected


def told_what_to_install(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", ADVICE), (command, done)


class Handler(BaseHTTPRequestHandler):
    """Passes requests without a body to the reference server, as uvicorn does where it is installed."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        response = asyncio.run(self.ask())
        self.send_response_only(response.status_code)
        length = {"content-length": str(len(response.content))}
        for name, value in {**length, **response.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.content)

    do_HEAD = do_GET  # noqa: N815 # the name that http.server looks for

    async def ask(self) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(SERVER)) as http:
            fields = {**self.headers, "Accept-Encoding": "identity"}
            return await http.request(self.command, f"http://localhost{self.path}", headers=fields)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextmanager
def listening() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


if __name__ == "__main__":
    main()
