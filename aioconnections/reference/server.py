"""The server on a TCP port. Needs uvicorn.

`serve` is for a shell, `listening` for a running event loop, `listening_in_thread` for whoever has none.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from threading import Thread
from typing import TYPE_CHECKING, cast

try:
    import uvicorn
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:
    raise ImportError('the server on a port needs uvicorn: pip install "aioconnections[server]"') from None

from aioconnections.reference.trouble import RESET

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from aioconnections.reference.asgi import App

__all__ = ["listening", "listening_in_thread", "serve"]

_KEEP_ALIVE = 10  # seconds, as the IBM HTTP Server in recorded answers
_LAST_ANSWERS = 5  # seconds that requests under way are given when the server is stopped


def serve(app: App, *, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve until SIGINT or SIGTERM, then return.

    The first line on standard output is ``listening on http://HOST:PORT``, written once connections are accepted.

    Args:
        app: the server.
        host: where to listen. Everybody's password is public: leave it on loopback.
        port: 0 takes one that is free.

    Raises:
        OSError: the address cannot be had.
    """

    def announce(url: str) -> None:
        sys.stdout.write(f"listening on {url}\n")
        sys.stdout.flush()

    with _bound(host, port) as bound:
        _Server(app, announce, until_signal=True).run([bound])


@asynccontextmanager
async def listening(app: App, *, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
    """Serve in the running asyncio loop while the block lasts, and give the URL. Signals are left alone.

    Args:
        app: the server.
        host: where to listen.
        port: 0 takes one that is free.

    Raises:
        OSError: the address cannot be had.
    """
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with _bound(host, port) as bound:
        server = _Server(app, url.set_result, until_signal=False)
        serving = asyncio.create_task(server.serve([bound]))
        try:
            yield await url
        finally:
            server.should_exit = True
            await serving


@contextmanager
def listening_in_thread(app: App, *, host: str = "127.0.0.1", port: int = 0) -> Generator[str]:
    """Serve in a thread of its own while the block lasts, and give the URL: for callers without asyncio.

    Args:
        app: the server. Its counters may be read from outside at any time.
        host: where to listen.
        port: 0 takes one that is free.

    Raises:
        OSError: the address cannot be had.
    """
    url: Future[str] = Future()
    with _bound(host, port) as bound:
        server = _Server(app, url.set_result, until_signal=False)
        thread = Thread(target=server.run, args=([bound],), name="reference server", daemon=True)
        thread.start()
        try:
            yield url.result()
        finally:
            server.should_exit = True
            thread.join()


class _Protocol(HttpToolsProtocol):
    """uvicorn's HTTP, whose connections an application can reset."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, object]", self.scope)["extensions"] = {RESET: self._reset}

    def _reset(self) -> None:
        if self.transport.is_closing():  # the client was faster
            return
        connection = self.transport.get_extra_info("socket")
        now = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # closing sends an RST and waits for nothing
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        self.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn that says when it is ready, and treats signals as it is told."""

    def __init__(self, app: App, ready: Callable[[str], object], *, until_signal: bool) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                access_log=False,
                headers=[("server", "IBM_HTTP_Server"), ("keep-alive", f"timeout={_KEEP_ALIVE}")],
                http=_Protocol,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=_LAST_ANSWERS,
                timeout_keep_alive=_KEEP_ALIVE,
                ws="none",
            )
        )
        self._ready = ready
        self._until_signal = until_signal

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        self._ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        # uvicorn's own raises the signal again at the end, so that a server that was asked to stop dies of it
        caught = (signal.SIGINT, signal.SIGTERM) if self._until_signal else ()
        before = [signal.signal(number, self.handle_exit) for number in caught]
        try:
            yield
        finally:
            for number, handler in zip(caught, before, strict=True):
                signal.signal(number, handler)


def _bound(host: str, port: int) -> socket.socket:
    """A socket at this address, or the reason why not; uvicorn would end the process instead."""
    # Only a socket whose protocol is named gets TCP_NODELAY from asyncio; without it every body waits 40 ms.
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere the option lets two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen()
    except OSError:
        bound.close()
        raise
    return bound
