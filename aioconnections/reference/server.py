"""The server on a TCP port. Requires uvicorn.

`serve` is for a command line, `listening` for a running event loop, `listening_in_thread` for code without one.
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
    raise ImportError('the reference server requires uvicorn: pip install "aioconnections[server]"') from None

from aioconnections.reference.faults import RESET

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from aioconnections.reference.application import App

__all__ = ["listening", "listening_in_thread", "serve"]
_KEEP_ALIVE = 10  # seconds, as the IBM HTTP Server in the recordings
_SHUTDOWN_TIMEOUT = 5  # seconds for requests in flight


def serve(app: App, *, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve until SIGINT or SIGTERM, then return.

    Writes ``listening on http://HOST:PORT`` as the first line on standard output when it accepts connections.

    Args:
        app: the server.
        host: address to listen on. The password of all people is public, so keep it on loopback.
        port: port to listen on; 0 chooses a free one.

    Raises:
        OSError: the address is in use or not available.
    """

    def announce(url: str) -> None:
        sys.stdout.write(f"listening on {url}\n")
        sys.stdout.flush()

    with _bound(host, port) as bound:
        _Server(app, announce, until_signal=True).run([bound])


@asynccontextmanager
async def listening(app: App, *, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
    """Serve in the running asyncio loop until the end of the block. Signal handlers are not changed.

    Args:
        app: the server.
        host: address to listen on.
        port: port to listen on; 0 chooses a free one.

    Raises:
        OSError: the address is in use or not available.
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
    """Serve in a thread until the end of the block, for code without an event loop.

    Args:
        app: the server. Other threads may read its counters at any time.
        host: address to listen on.
        port: port to listen on; 0 chooses a free one.

    Raises:
        OSError: the address is in use or not available.
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
    """The HTTP protocol of uvicorn with the ASGI extension that resets a connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, object]", self.scope)["extensions"] = {RESET: self._reset}

    def _reset(self) -> None:
        if self.transport.is_closing():  # the client disconnected first
            return
        connection = self.transport.get_extra_info("socket")
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # closing sends an RST at once
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


class _Server(uvicorn.Server):
    """A uvicorn server that reports its URL when it is ready, and handles signals only with `until_signal`."""

    def __init__(self, app: App, ready: Callable[[str], object], *, until_signal: bool) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                access_log=False,
                headers=[("server", "IBM_HTTP_Server"), ("keep-alive", f"timeout={_KEEP_ALIVE}")],
                http=_Protocol,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
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
        # The method of uvicorn raises the signal again at the end, which would kill the process.
        caught = (signal.SIGINT, signal.SIGTERM) if self._until_signal else ()
        before = [signal.signal(number, self.handle_exit) for number in caught]
        try:
            yield
        finally:
            for number, handler in zip(caught, before, strict=True):
                signal.signal(number, handler)


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket. If uvicorn bound it, an error would end the process."""
    # asyncio sets TCP_NODELAY only on a socket with an explicit protocol; without it each body is delayed by 40 ms.
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows the option lets two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen()
    except OSError:
        bound.close()
        raise
    return bound
