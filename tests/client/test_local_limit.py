"""Out of file descriptors: fewer connections carry all the requests, and it is no outage of the server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from transport.faulty import Connection, answer, serving
from transport.tls import CA, server_context

from aioconnections.reference import Directory, app
from aioconnections.reference.server import listening

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there"),
]

CHILD = Path(__file__).parent.parent / "support" / "few_descriptors.py"
DIRECTORY = Directory.generate(people=60, seed=7)
PAIRS = [*DIRECTORY.sample_pairs(300, seed=3)]
TRUTH = [[str(DIRECTORY.status(source, target) or "none")] for source, target in PAIRS]
ALL_TAKEN = "this process has reached its limit of open files; raise it (ulimit -n) or lower max_connections"
SAID_ONCE = "this machine allows no further connection: requests wait for one of the open connections\n"


async def checked(url: str, *, environment: dict[str, str] | None = None, **told: Any) -> tuple[dict[str, Any], str]:
    """What came of checking `PAIRS` in a process of its own, and what was logged there."""
    options: dict[str, Any] = {"auth": ["admin", "secret"], "max_connections": 64} | told.pop("options", {})
    pairs = [(str(source.userid), str(target.userid)) for source, target in PAIRS]
    told = {"url": url, "pairs": pairs, "loop": "asyncio", "door": "lanes", "warm": False} | told | {"options": options}
    done = await anyio.run_process(
        [sys.executable, str(CHILD)],
        input=json.dumps(told).encode(),
        check=False,
        env={**os.environ, **(environment or {})},
        stderr=subprocess.PIPE,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout), done.stderr.decode()


@asynccontextmanager
async def reference() -> AsyncIterator[str]:
    async with listening(app(DIRECTORY)) as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("door", "room", "warm"),
    [
        ("lanes", 1, False),
        ("lanes", 0, True),
        ("lanes", 5, True),
        ("transport", 1, False),
        ("transport", 5, True),
        ("client", 2, True),
        ("lanes for httpx", 1, True),
    ],
)
async def test_a_run_with_few_descriptors_checks_every_pair(loop: str, door: str, room: int, *, warm: bool) -> None:
    async with reference() as url:
        told, log = await checked(url, room=room, warm=warm, loop=loop, door=door)
    assert told["found"] == TRUTH
    assert told["stopped"] is None
    assert (told["probes"], told["retries_left"]) == (0, 35), "it is no outage, and takes nothing of the retry budget"
    if door != "lanes for httpx":  # there the lanes wait below httpx, which the client knows nothing of
        assert set(told["failures"]) == {"LocalLimitError"}
        assert told["local_limit"] < 64
        assert told["bound"] <= told["local_limit"]
        assert log == SAID_ONCE
    if door == "lanes" and loop == "asyncio":
        assert told["local_limit"] == room + warm
        assert told["failures"] == {"LocalLimitError": 1}


@pytest.mark.slow
@pytest.mark.parametrize(("loop", "door"), [("asyncio", "lanes"), ("trio", "lanes"), ("asyncio", "transport")])
@pytest.mark.parametrize("login", [["admin", "secret"], None])
async def test_without_any_connection_it_is_the_error_of_the_call(
    loop: str, door: str, login: list[str] | None
) -> None:
    async with reference() as url:
        told, log = await checked(url, room=0, loop=loop, door=door, options={"auth": login})
    assert told["stopped"] == ["LocalLimitError", ALL_TAKEN]
    assert told["read"] <= (0 if login else 128)
    assert told["probes"] == 0
    assert "identical failures" in log if login is None else not log


@pytest.mark.slow
@pytest.mark.parametrize("room", [0, 2])
async def test_a_name_is_looked_up_with_what_is_left(room: int) -> None:
    async with reference() as url:
        told, _ = await checked(url.replace("127.0.0.1", "localhost"), room=room, warm=True)
    assert told["found"] == TRUTH
    assert (told["stopped"], told["probes"]) == (None, 0)


@asynccontextmanager
async def secure(folder: Path, store: str) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """A server over TLS, and the environment in which its authority is trusted."""
    CA.cert_pem.write_to_path(str(folder / "ca.pem"))
    if store == "folder":
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("there is no openssl to make a folder of certificates with")
        await anyio.run_process([openssl, "rehash", str(folder)])
    file, path = ("ca.pem", "none") if store == "file" else ("none.pem", "")
    trusted = {"SSL_CERT_FILE": str(folder / file), "SSL_CERT_DIR": str(folder / path)}

    async def serve(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.say(answer(b"", "X-Profiles-Connection-Status: accepted", "Set-Cookie: a=b"))

    async with serving(serve, server_context(CA.issue_cert("127.0.0.1"))) as server:
        yield str(server.origin), trusted


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize(("store", "room"), [("file", 0), ("file", 2), ("folder", 0), ("folder", 2)])
async def test_a_run_over_tls_with_few_descriptors_checks_every_pair(
    loop: str, store: str, room: int, tmp_path: Path
) -> None:
    async with secure(tmp_path, store) as (url, trusted):
        told, _ = await checked(url, environment=trusted, room=room, warm=True, loop=loop, options={"auth": None})
    assert told["found"] == [["accepted"]] * 300
    assert told["stopped"] is None
    assert set(told["failures"]) == {"LocalLimitError"}


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("store", ["file", "folder"])
async def test_a_trust_store_that_cannot_be_read_is_no_verdict_on_the_certificate(
    loop: str, store: str, tmp_path: Path
) -> None:
    """OpenSSL reads it when it is first needed, and takes it for an empty one where it cannot."""
    async with secure(tmp_path, store) as (url, trusted):
        told, _ = await checked(url, environment=trusted, room=1, loop=loop, options={"auth": None})
    if (loop, store) == ("asyncio", "file"):  # it is read before the socket takes the only descriptor
        assert told["found"] == [["accepted"]] * 300
    else:
        assert told["stopped"] == ["LocalLimitError", ALL_TAKEN]
    assert set(told["failures"]) == {"LocalLimitError"}
