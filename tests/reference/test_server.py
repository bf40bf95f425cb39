"""The server over real TCP, on loopback."""

from __future__ import annotations

import asyncio
import importlib
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from aioconnections.reference import Directory, app
from aioconnections.reference.server import listening, listening_in_thread

if TYPE_CHECKING:
    from types import ModuleType

LOGIN = "Authorization: Basic YWRtaW46c2VjcmV0\r\n"
LOGIN_AS = ("admin", "secret")
CHECK = "/profiles/atom/connection.do?"
_SERVE = """
from aioconnections.reference import Directory, app
from aioconnections.reference.server import serve
serve(app(Directory.generate(people=10, seed=1)))
print("over")
"""


async def _raw(url: str, *requests: bytes) -> bytes:
    """All bytes that the server sends for `requests`, the last of which closes the connection."""
    _, _, address = url.partition("//")
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.writelines(requests)
    response = await reader.read()
    writer.close()
    await writer.wait_closed()
    return response


@pytest.mark.asyncio
async def test_checks_over_tcp(directory: Directory, query: Any) -> None:
    server = app(directory)
    async with listening(server) as url, httpx.AsyncClient(base_url=url, auth=LOGIN_AS, trust_env=False) as client:
        for source, target in directory.sample_pairs(60, seed=4):
            target_url = CHECK + query(source.userid, target.email)
            head, get = await client.head(target_url), await client.get(target_url)
            assert head.headers.get("x-profiles-connection-status") == directory.status(source, target)
            assert head.headers["server"] == "IBM_HTTP_Server"
            assert head.headers["keep-alive"] == "timeout=10"
            assert head.content == b"" != get.content
            for name in ("content-type", "last-modified", "cache-control", "x-profiles-connection-status"):
                assert head.headers.get(name) == get.headers.get(name)
    assert server.requests.total == 120


@pytest.mark.asyncio
async def test_heads_share_a_connection_without_bodies(directory: Directory, query: Any) -> None:
    source, target = directory.people[:2]
    head = (
        f"HEAD {CHECK}{query(source.key, target.key)} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YWRtaW46c2VjcmV0\r\n"
    )
    async with listening(app(directory)) as url:
        response = await _raw(url, f"{head}\r\n".encode(), f"{head}Connection: close\r\n\r\n".encode())
    assert response.count(b"HTTP/1.1 200 OK\r\n") + response.count(b"HTTP/1.1 404 Not Found\r\n") == 2
    assert response.endswith(b"\r\n\r\n")
    assert b"<" not in response


@pytest.mark.asyncio
async def test_version_5_0_closes_after_an_invalid_request(directory: Directory) -> None:
    request = f"GET {CHECK} HTTP/1.1\r\nHost: h\r\n{LOGIN}\r\n".encode()
    async with listening(app(directory, version="5.0")) as url:
        response = await _raw(url, request)
    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"connection: close\r\n" in response


@pytest.mark.asyncio
async def test_ipv6_loopback_and_a_port_in_use(directory: Directory) -> None:
    async with listening(app(directory), host="::1") as url:
        assert re.fullmatch(r"http://\[::1\]:\d+", url)
        assert (await _raw(url, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 404")
        with pytest.raises(OSError, match=r"ddress"):
            async with listening(app(directory), host="::1", port=int(url.rpartition(":")[2])):
                pass


def test_listening_in_thread(directory: Directory, query: Any) -> None:
    server = app(directory)
    source, target = next(directory.sample_pairs(1))
    with listening_in_thread(server) as url:
        response = httpx.head(f"{url}{CHECK}{query(source.key, target.key)}", auth=LOGIN_AS, trust_env=False)
    assert response.headers["x-profiles-connection-status"] == directory.status(source, target)
    assert server.requests.by_status == {200: 1}
    with pytest.raises(httpx.ConnectError):
        httpx.head(url, trust_env=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_server_without_an_error(number: signal.Signals) -> None:
    with subprocess.Popen(  # a fixed command
        [sys.executable, "-c", _SERVE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        port = re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)\n", first)
        assert port, first
        with socket.create_connection(("127.0.0.1", int(port[1]))):
            process.send_signal(number)
            assert process.stdout.read() == "over\n"
        assert process.stderr.read() == ""
        assert process.wait() == 0


def test_missing_uvicorn_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    module: ModuleType = importlib.import_module("aioconnections.reference.server")
    monkeypatch.delitem(sys.modules, module.__name__)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ImportError, match=r'pip install "aioconnections\[server\]"'):
        importlib.import_module("aioconnections.reference.server")


def test_app_does_not_import_uvicorn() -> None:
    code = "import sys; import aioconnections.reference; print(sorted({'uvicorn', 'httpx'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # a fixed command
    assert run.stdout == "[]\n"
