"""One connection, as a lane sees it: bytes go out, and what arrives is fed to an answer.

A wire never raises what the network does: it fails the answer instead. Only being cancelled comes out of it.
`socketwire` and `secure` have asyncio's, `streamwire` has the one over anyio's streams, for trio.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from aioconnections.transport.http1 import Answer

__all__ = ["AT_ONCE", "OURS", "RESET", "SMALL", "UNASKED", "Wire", "readable"]

AT_ONCE = 64 * 1024  # bytes that one read takes
SMALL = 4 * 1024  # bytes that the system takes at once, where nothing else is under way
RESET = "the connection was reset before the answer was complete"
UNASKED = "the server spoke, or hung up, before it was asked"
OURS = "the connection was closed on this side before the answer was complete"


class Wire(Protocol):
    """One open connection.

    Attributes:
        lost: it cannot be used any more.
        on_lost: called once the socket is closed, whoever closed it.
        sent: whether something of the request that was asked last may have left.
    """

    lost: bool
    on_lost: Callable[[], object] | None
    sent: bool

    def quiet(self) -> bool:
        """Whether nothing has arrived, the end of the connection included, that nobody asked for."""
        ...

    def ask(self, answer: Answer, payload: bytes) -> Awaitable[object]:
        """Send `payload`, unless the wire is not quiet; what arrives afterwards belongs to `answer`.

        To be awaited until the answer is ready. If nothing was sent it has failed, and `sent` says so.
        """
        ...

    def attach(self, answer: Answer) -> None:
        """What arrives from now on belongs to `answer`; a request is about to be sent piece by piece.

        Whoever does that makes sure that the wire is quiet.
        """
        ...

    def more(self) -> Awaitable[object]:
        """To be awaited until the answer is ready again."""
        ...

    async def send(self, data: bytes) -> None:
        """Send more of the request, and wait while too much of it is under way.

        It returns early if the answer is ready: a server need not read all of what it refuses.
        """
        ...

    def abort(self) -> None:
        """Close at once, without a farewell. Whoever waits is woken, and finds the answer failed."""
        ...

    async def closed(self) -> None:
        """Wait until the socket is closed. To be called after `abort`."""
        ...


def readable(sock: socket.socket) -> Callable[[], object]:
    """A cheap way to ask whether `sock` has something to read, now."""
    if not hasattr(select, "poll"):
        return lambda: select.select([sock], [], [], 0)[0]
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return partial(poll.poll, 0)
