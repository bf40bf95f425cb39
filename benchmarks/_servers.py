"""Servers for the benchmarks: nginx where it is installed, otherwise a minimal one of our own.

Both respond to the canary, the request that proves the login, with the media type of a service document, and to every
check with "accepted". nginx cannot delay a response, so a server with latency is always our own, whose load is then
small.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import create_connection, socket
from time import monotonic, sleep

import trustme
from attrs import frozen

__all__ = ["Served", "pinned", "served"]

_HEADERS = (
    ("X-Profiles-Connection-Type", "colleague"),
    ("X-Profiles-Connection-Status", "accepted"),
    ("Cache-Control", "private, max-age=600, no-cache=set-cookie"),
    ("Last-Modified", "Mon, 15 May 2017 13:37:45 GMT"),
    ("Content-Language", "en-US"),
)
_NGINX = """
daemon off; master_process off; error_log stderr crit; pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; server_tokens off; keepalive_requests {requests}; keepalive_timeout 60;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  types {{ }} default_type application/atom+xml;
  server {{
    listen 127.0.0.1:{port}{tls};
    location = /profiles/atom/profileService.do {{ default_type application/atomsvc+xml; return 200 "<service/>"; }}
    location / {{ {headers} return 200; }}
  }}
}}
"""


@frozen
class Served:
    """A server that is listening.

    Attributes:
        url: its base URL.
        ca: file of the certificate to trust, or None for plain HTTP.
        name: "nginx" or "ours".
    """

    url: str
    ca: str | None
    name: str


def pinned(core: int) -> None:
    """Pin this process to one core, if the system supports that and has more than one."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


@contextmanager
def served(*, latency: float = 0.0, tls: bool = False, requests: int = 100_000_000) -> Iterator[Served]:
    """A server on loopback, pinned to core 0.

    Args:
        latency: seconds before each response.
        tls: whether to use TLS.
        requests: number of requests after which a connection is closed.
    """
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        ca = _certificates(Path(folder)) if tls else None
        nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if nginx and not latency:
            command = [nginx, "-p", folder, "-e", "stderr", "-c", _config(Path(folder), port, requests, tls=tls)]
        else:
            chain = str(Path(folder, "chain.pem")) if tls else ""
            command = [sys.executable, __file__, str(port), str(latency), str(requests), chain]
        process = subprocess.Popen(command, preexec_fn=lambda: pinned(0))  # noqa: S603, PLW1509 # one thread here
        try:
            _wait_for(port, process)
            scheme = "https" if tls else "http"
            yield Served(f"{scheme}://localhost:{port}", ca, "nginx" if nginx and not latency else "ours")
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with closing(socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + 20
    while process.poll() is None and monotonic() < deadline:
        try:
            create_connection(("127.0.0.1", port)).close()
        except OSError:
            sleep(0.02)
        else:
            return
    raise RuntimeError(f"the benchmark server did not listen on port {port} within 20 s; see its messages above")


def _certificates(folder: Path) -> str:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "chain.pem"))
    return str(folder / "ca.pem")


def _config(folder: Path, port: int, requests: int, *, tls: bool) -> str:
    chain = folder / "chain.pem"
    config = folder / "nginx.conf"
    secure = f" ssl; ssl_certificate {chain}; ssl_certificate_key {chain}" if tls else ""
    headers = " ".join(f'add_header {name} "{value}";' for name, value in _HEADERS)
    config.write_text(_NGINX.format(folder=folder, port=port, requests=requests, tls=secure, headers=headers))
    return str(config)


def _response(content_type: str, close: bool) -> bytes:  # noqa: FBT001 # fills a table
    headers = (("Content-Type", content_type), ("Content-Length", "0"), *_HEADERS)
    lines = [f"{name}: {value}" for name, value in headers] + (["Connection: close"] if close else [])
    return ("HTTP/1.1 200 OK\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()


class Responder(asyncio.Protocol):
    """One connection of our own server. Each request arrives whole, because it is small and on loopback."""

    def __init__(self, latency: float, requests: int) -> None:
        self._latency = latency
        self._left = requests
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Respond to a request, at once or after the latency."""
        if b"\r\n\r\n" not in data:
            return
        self._left -= 1
        kind = "application/atomsvc+xml" if b"profileService" in data else "application/atom+xml"
        response = _RESPONSES[kind, self._left <= 0]
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._write, response)
        else:
            self._write(response)

    def _write(self, response: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(response)
            if self._left <= 0:
                self._transport.close()


_RESPONSES = {
    (kind, close): _response(kind, close)
    for kind in ("application/atomsvc+xml", "application/atom+xml")
    for close in (False, True)
}


async def _poll_always() -> None:
    """Keep the loop busy: if it slept, its timers would be up to 1 ms late, and the shortest latency is 20 ms."""
    while True:  # noqa: ASYNC110 # there is no event to wait for
        await asyncio.sleep(0)


async def main(port: int, latency: float, requests: int, chain: str) -> None:
    """Serve until the process is terminated."""
    context = None
    if chain:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Responder(latency, requests), "127.0.0.1", port, ssl=context, backlog=1024
    )
    async with asyncio.TaskGroup() as tasks:
        if latency:
            tasks.create_task(_poll_always())
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
