"""A TCP proxy on loopback that records every byte in both directions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

from attrs import define, field

__all__ = ["TappedPort", "tapped"]


@define
class TappedPort:
    """What went through a port.

    Attributes:
        port: the port of the proxy.
        seen: the bytes of each direction of each connection.
    """

    port: int = 0
    seen: list[bytearray] = field(factory=list[bytearray])

    @property
    def everything(self) -> bytes:
        return b"\n".join(map(bytes, self.seen))


@contextmanager
def tapped(target: int) -> Generator[TappedPort]:
    """Forward a new port to the port `target`, in a thread."""
    tap, ready = TappedPort(), threading.Event()
    ends: list[asyncio.Event] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = bytearray()
        tap.seen.append(seen)
        with suppress(OSError):
            while block := await reader.read(1 << 16):
                seen += block
                writer.write(block)
                await writer.drain()
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(pump(reader, here), pump(there, writer))

    async def serve() -> None:
        end = asyncio.Event()
        server = await asyncio.start_server(forward, "127.0.0.1", 0)
        tap.port = server.sockets[0].getsockname()[1]
        ends.append(end)
        loops.append(asyncio.get_running_loop())
        ready.set()
        await end.wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield tap
    finally:
        loops[0].call_soon_threadsafe(ends[0].set)
        thread.join(10)
