"""Servers for the benchmarks: nginx where it is installed, otherwise a minimal one of our own.

Both respond to the canary, the request that proves the login, with the media type of a service document, to every
check with "accepted" or with a 404, and to a listing with pages from files. nginx cannot delay a response, so a server
with latency is always our own, whose load is then small.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from email.utils import formatdate
from pathlib import Path
from socket import create_connection, socket
from time import monotonic, sleep
from typing import Literal, TypeAlias, cast
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import trustme
from attrs import frozen

__all__ = ["Responses", "Served", "pinned", "served"]

Responses: TypeAlias = Literal["real", "simple", "html404"]
"""The response to every check.

``real`` has the recorded fields of a response to a Basic login, of which cookies, dates and Keep-Alive change;
``simple`` has a few fields, which never change; ``html404`` is a page of a front end.
"""

_STATUS = (("X-Profiles-Connection-Type", "colleague"), ("X-Profiles-Connection-Status", "accepted"))
_FIELDS: dict[Responses, tuple[tuple[str, str], ...]] = {
    "real": (
        ("X-Powered-By", "Servlet/3.0"),
        ("X-LConn-Auth", "true"),
        *_STATUS,
        ("Cache-Control", "private, max-age=600, no-cache=set-cookie"),
        ("Expires", "Thu, 01 Dec 1994 16:00:00 GMT"),
        ("Last-Modified", "Mon, 15 May 2017 13:3$digit:45 GMT"),
        ("Content-Language", "en-US"),
        ("Set-Cookie", f"LtpaToken2={'$request_id' * 8}=; Path=/; Domain=.example.com; Secure; HttpOnly"),
        ("Set-Cookie", "LCSESSIONID=0000$request_id:1b2c3d; Path=/; HttpOnly"),
        ("Set-Cookie", "lcLang=en_us; Path=/"),
        ("Keep-Alive", "timeout=10, max=1$connection_requests"),
    ),
    "simple": (
        *_STATUS,
        ("Cache-Control", "private, max-age=600, no-cache=set-cookie"),
        ("Last-Modified", "Mon, 15 May 2017 13:37:45 GMT"),
        ("Content-Language", "en-US"),
    ),
    "html404": (("Content-Language", "en-US"),),
}
"""Fields of a response, with the variables of nginx for those that change."""

_HTML = "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"
_NGINX = """
daemon off; master_process off; error_log stderr crit; pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; server_tokens off; keepalive_requests {requests}; keepalive_timeout 60;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  types {{ }} default_type application/atom+xml;
  map $request_id $digit {{ default 9; ~^(\\d) $1; }}
  server {{
    listen 127.0.0.1:{port}{tls};
    location = /profiles/atom/profileService.do {{ default_type application/atomsvc+xml; return 200 "<service/>"; }}
    location = /profiles/serviceconfigs {{ return 200 "<feed/>"; }}
    location = /profiles/atom/connections.do {{ root {folder}; rewrite ^ /page$arg_page.atom break; }}
    location / {{ {fields} {page} }}
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
def served(
    *,
    responses: Responses,
    latency: float = 0.0,
    tls: bool = False,
    requests: int = 100_000_000,
    pages: Sequence[bytes] = (),
) -> Iterator[Served]:
    """A server on loopback, pinned to core 0.

    Args:
        responses: what every check gets.
        latency: seconds before each response.
        tls: whether to use TLS.
        requests: number of requests after which a connection is closed.
        pages: the pages of every person's colleagues.
    """
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        for number, page in enumerate(pages, 1):
            Path(folder, f"page{number}.atom").write_bytes(page)
        ca = _certificates(Path(folder)) if tls else None
        nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if nginx and not latency:
            config = _config(Path(folder), port, responses, requests, tls=tls)
            command = [nginx, "-p", folder, "-e", "stderr", "-c", config]
        else:
            chain = str(Path(folder, "chain.pem")) if tls else ""
            command = [sys.executable, __file__, str(port), responses, str(latency), str(requests), chain, folder]
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


def _config(folder: Path, port: int, responses: Responses, requests: int, *, tls: bool) -> str:
    chain = folder / "chain.pem"
    config = folder / "nginx.conf"
    secure = f" ssl; ssl_certificate {chain}; ssl_certificate_key {chain}" if tls else ""
    fields = " ".join(f'add_header {name} "{value}" always;' for name, value in _FIELDS[responses])
    page = f'default_type text/html; return 404 "{_HTML}";' if responses == "html404" else "return 200;"
    text = _NGINX.format(folder=folder, port=port, requests=requests, tls=secure, fields=fields, page=page)
    config.write_text(text)
    return str(config)


def _response(responses: Responses, path: bytes, number: int, folder: Path, *, close: bool) -> bytes:
    """The response to request `number` of a connection, as nginx would send it; `folder` contains the listings."""
    status, kind, length, fields, body = "200 OK", "application/atom+xml", 0, _FIELDS[responses], b""
    if b"/connections.do" in path:
        page = parse_qs(urlsplit(path.decode()).query)["page"][0]
        body, fields = (folder / f"page{int(page)}.atom").read_bytes(), ()
        length = len(body)
    elif b"profileService" in path or b"serviceconfigs" in path:
        kind, fields = ("application/atomsvc+xml" if b"profileService" in path else kind), ()
    elif responses == "html404":
        status, kind, length = "404 Not Found", "text/html", len(_HTML)
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {length}"]
    head += [f"Date: {formatdate(usegmt=True)}"] if responses != "simple" else []
    text = "\r\n".join(head + [f"{name}: {value}" for name, value in fields] + ["Connection: close"] * close)
    request_id = uuid4().hex
    text = text.replace("$request_id", request_id).replace("$digit", str(number % 10))
    return f"{text.replace('$connection_requests', str(number))}\r\n\r\n".encode() + body


class Responder(asyncio.Protocol):
    """One connection of our own server. Each request arrives whole, because it is small and on loopback."""

    def __init__(self, responses: Responses, latency: float, requests: int, folder: Path) -> None:
        self._responses: Responses = responses
        self._folder = folder
        self._latency = latency
        self._left = requests
        self._number = 0
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
        self._number += 1
        path = data.split(b" ", 2)[1]
        response = _response(self._responses, path, self._number, self._folder, close=self._left <= 0)
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._write, response)
        else:
            self._write(response)

    def _write(self, response: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(response)
            if self._left <= 0:
                self._transport.close()


async def _poll_always() -> None:
    """Keep the loop busy: if it slept, its timers would be up to 1 ms late, and the shortest latency is 20 ms."""
    while True:  # noqa: ASYNC110 # there is no event to wait for
        await asyncio.sleep(0)


async def main(port: int, responses: Responses, latency: float, requests: int, chain: str, folder: Path) -> None:
    """Serve until the process is terminated."""
    context = None
    if chain:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Responder(responses, latency, requests, folder), "127.0.0.1", port, ssl=context, backlog=1024
    )
    async with asyncio.TaskGroup() as tasks:
        if latency:
            tasks.create_task(_poll_always())
        await server.serve_forever()


if __name__ == "__main__":
    _, _port, _responses, _latency, _requests, _chain, _folder = sys.argv
    asyncio.run(main(int(_port), cast("Responses", _responses), float(_latency), int(_requests), _chain, Path(_folder)))
