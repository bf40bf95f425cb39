"""CPU of bulk invitations with and without a journal, against a minimal server in another process."""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from pathlib import Path

from aioconnections import Client, Journal, Userid

__all__ = ["invitations"]

_SERVICE = (
    b'<service xmlns="http://www.w3.org/2007/app"><workspace><collection href="http://h/x"><snx:userid '
    b'xmlns:snx="http://www.ibm.com/xmlns/prod/sn">me</snx:userid></collection></workspace></service>'
)
_CREATED = (
    b"HTTP/1.1 201 Created\r\nLocation: http://h/profiles/atom/connection.do?connectionId="
    b"c3c8b6a9-8e4b-4f0c-9d36-0f5d0c8e5b55\r\nContent-Type: text/html\r\nX-Profiles-Version: 1\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_CONNECTIONS = 64
_FIRST = 64  # invitations that open the connections; they are not measured


class _Responder(asyncio.Protocol):
    """One connection: an invitation is created, and another request gets a service document."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Respond once the request is complete."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length:")
        if not end or len(body) < int(length.split(b"\r\n")[0] or 0):
            return
        self._received = b""
        assert self._transport is not None
        if head.startswith(b"POST"):
            self._transport.write(_CREATED)
        else:
            fields = f"Content-Type: application/atomsvc+xml\r\nContent-Length: {len(_SERVICE)}"
            self._transport.write(f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n".encode() + _SERVICE)


def _serve(ports: Queue[int]) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Responder, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


@contextmanager
def _served() -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    ports: Queue[int] = context.Queue()
    process = context.Process(target=_serve, args=(ports,), daemon=True)
    process.start()
    try:
        yield ports.get(timeout=20)
    finally:
        process.terminate()
        process.join()


async def _cpu(port: int, count: int, folder: Path | None) -> float:
    """Microseconds of CPU per invitation, of all threads of this process."""
    used = 0.0
    client = Client(f"http://127.0.0.1:{port}", auth=("a", "b"), max_connections=_CONNECTIONS, max_per_second=1e7)
    async with client:
        for size in (_FIRST, count):
            people = (Userid(f"u{number}") for number in range(size))
            journal = Journal(folder / f"{size}.sqlite") if folder else None
            before = time.process_time()
            tally = await client.invite_many(people, message="Hello", journal=journal).drain()
            used = time.process_time() - before
            assert tally.invited == size
    return 1e6 * used / count


def invitations(folder: Path, *, rounds: int, count: int) -> dict[str, float]:
    """Medians of the CPU without and with a journal, in turns, and the median of their ratios."""
    plain, recorded = [], []
    with _served() as port:
        for _ in range(rounds):
            plain.append(asyncio.run(_cpu(port, count, None)))
            with tempfile.TemporaryDirectory(dir=folder) as name:
                recorded.append(asyncio.run(_cpu(port, count, Path(name))))
    ratios = [one / other for one, other in zip(recorded, plain, strict=True)]
    return {
        "invitations": count,
        "plain": statistics.median(plain),
        "journal": statistics.median(recorded),
        "ratio": statistics.median(ratios),
    }
