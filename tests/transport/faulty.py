"""A server that sends exactly the bytes that a test scripts."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
from anyio.abc import ByteStream, Listener, SocketAttribute, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

from aioconnections.protocol.messages import Headers, Origin, Request, Response
from aioconnections.transport.pool import LanePool

__all__ = ["COMMON", "Connection", "Script", "Server", "StoppedClock", "answer", "ask", "echo", "serving", "url"]

COMMON = Headers([("User-Agent", "tests")])


class Connection:
    """The server's end of one connection."""

    def __init__(self, stream: ByteStream, number: int) -> None:
        self.stream = stream
        self.number = number
        self.requests: list[bytes] = []
        self._reader = BufferedByteReceiveStream(stream)

    async def request(self) -> bytes:
        """The next request with its body."""
        head = await self._reader.receive_until(b"\r\n\r\n", 100_000) + b"\r\n\r\n"
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                head += await self._reader.receive_exactly(int(line.partition(b":")[2])) if line[-2:] != b" 0" else b""
        self.requests.append(head)
        return head

    async def more(self) -> bytes:
        """The next received bytes."""
        return await self._reader.receive()

    async def say(self, data: bytes) -> None:
        await self.stream.send(data)

    async def drip(self, data: bytes) -> None:
        for i in range(len(data)):
            await self.say(data[i : i + 1])
            await anyio.lowlevel.checkpoint()

    async def reset(self) -> None:
        """Close with a TCP reset."""
        raw = self.stream.extra(SocketAttribute.raw_socket)  # noqa: S610 -- not Django's
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.stream.aclose()

    async def until_closed(self) -> None:
        """Wait until the client has closed, and ignore what it sends."""
        with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead):
            while True:
                await self._reader.receive()


Script = Callable[[Connection], Awaitable[None]]


class Server:
    """Runs a script for each connection, and closes the connection when the script ends."""

    def __init__(self, listener: Listener[ByteStream], scheme: str) -> None:
        self.listener = listener
        self.origin = Origin(scheme, "127.0.0.1", listener.extra(SocketAttribute.local_port))  # noqa: S610 -- not Django's
        self.connections: list[Connection] = []
        self.open = 0
        self.changed = anyio.Event()

    async def serve(self, stream: ByteStream, script: Script) -> None:
        connection = Connection(stream, len(self.connections))
        self.connections.append(connection)
        self._count(+1)
        try:
            async with stream:
                with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead):
                    await script(connection)
        except* (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self._count(-1)

    async def until(self, number: int) -> None:
        """Wait until `number` connections are open."""
        while self.open != number:
            await self.changed.wait()

    def _count(self, change: int) -> None:
        self.open += change
        self.changed.set()
        self.changed = anyio.Event()


@contextlib.asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server on loopback that runs `script` for each connection."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server = Server(listener, "https" if tls else "http")

    async def handle(stream: ByteStream) -> None:
        if tls is not None:
            from anyio.streams.tls import TLSStream

            transport = stream
            try:
                stream = await TLSStream.wrap(stream, server_side=True, ssl_context=tls, standard_compatible=False)
            except (OSError, anyio.BrokenResourceError, anyio.EndOfStream):
                return
            finally:
                if stream is transport:
                    await anyio.aclose_forcefully(stream)
        await server.serve(stream, script)

    async def accept() -> None:
        try:
            await listener.serve(handle)
        except* anyio.ClosedResourceError:
            pass

    group: TaskGroup
    async with listener, anyio.create_task_group() as group:
        group.start_soon(accept)
        yield server
        group.cancel_scope.cancel()


def answer(body: bytes = b"", *lines: str, status: str = "200 OK") -> bytes:
    """The bytes of a plain response."""
    fields = "".join(f"{line}\r\n" for line in (*lines, f"Content-Length: {len(body)}"))
    return f"HTTP/1.1 {status}\r\n{fields}\r\n".encode() + body


async def echo(connection: Connection) -> None:
    """Respond to each request with its own head and body."""
    while True:
        head = await connection.request()
        body = b"" if head.startswith(b"HEAD") else head
        await connection.say(answer(body, "Content-Type: text/plain", "Set-Cookie: a=b", "X-Twice: 1", "X-Twice: 2"))


def url(server: Server, path: str = "/") -> str:
    return f"{server.origin}{path}"


async def ask(
    lanes: LanePool,
    server: Server,
    method: str = "GET",
    target: str = "/",
    body: bytes | None = None,
    timeout: float = 30,
) -> Response:
    """Make one exchange."""
    return await lanes.exchange(server.origin, Request(method, target, body=body), COMMON, timeout)


_Entry = tuple[float, Callable[[], object]]


class StoppedClock:
    """A clock that advances only when a test calls `advance`."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.timers: list[_Entry] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def call_at(self, when: float, callback: Callable[[], object]) -> _Timer:
        entry = (when, callback)
        self.timers.append(entry)
        return _Timer(self.timers, entry)

    def advance(self, seconds: float) -> None:
        self.time += seconds
        for entry in [entry for entry in self.timers if entry[0] <= self.time]:
            self.timers.remove(entry)
            entry[1]()


class _Timer:
    def __init__(self, timers: list[_Entry], entry: _Entry) -> None:
        self._timers = timers
        self._entry = entry

    def cancel(self) -> None:
        if self._entry in self._timers:
            self._timers.remove(self._entry)
