"""Interface between a lane and its socket: the lane sends bytes, and the wire feeds what arrives to a response reader.

`socketwire` (asyncio, plain and TLS) and `streamwire` (anyio streams, for trio) implement it. A wire never raises
network errors: it fails the response reader. Only cancellation is raised.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from aioconnections.errors import CertificateError
from aioconnections.transport.http1 import ResponseReader

__all__ = [
    "CLOSED_LOCALLY",
    "CONNECTION_LOST",
    "READ_SIZE",
    "SMALL_WRITE",
    "UNSOLICITED",
    "Followers",
    "Wire",
    "readable",
]

READ_SIZE = 64 * 1024  # bytes per read
SMALL_WRITE = 4 * 1024  # bytes that the system accepts at once if nothing else is being sent

# failure reasons
CLOSED_LOCALLY = "the client closed the connection before the response was complete"
CONNECTION_LOST = "the connection was lost before the response was complete"
UNSOLICITED = "the server sent data or closed the connection before a request was sent"


class Followers(Protocol):
    """The requests that follow on a wire without waking a task; see `RequestChain`."""

    def settle(self) -> bool:
        """Deal with the complete response; False to wake the task that waits for it."""
        ...

    def following(self) -> tuple[ResponseReader, bytes] | None:
        """The reader and the bytes of the next request; None to wake the task."""
        ...

    def take_back(self) -> None:
        """Return to the response before that request, which will not be sent; the task is woken."""
        ...


class Wire(Protocol):
    """One open connection.

    Attributes:
        lost: the connection cannot be used any more.
        on_lost: called once the socket is closed, by either side.
        refusal: the error, if the server refused or misses the certificate of the client.
        sent: whether part of the latest request may have been sent.
    """

    lost: bool
    on_lost: Callable[[], object] | None
    refusal: CertificateError | None
    sent: bool

    def quiet(self) -> bool:
        """Whether the connection is open and nothing unsolicited has arrived."""
        ...

    def request(self, reader: ResponseReader, payload: bytes, followers: Followers | None = None) -> Awaitable[object]:
        """Send `payload` if the wire is quiet, and feed `reader` from then on. Await the result to wait for the reader.

        If the wire is not quiet, `reader` fails and `sent` is False. When the reader is done, `followers` may give
        further requests, which the wire sends before the awaitable is done. A wire that cannot do this ignores them.
        """
        ...

    def attach(self, reader: ResponseReader) -> None:
        """Feed `reader` from now on; the caller has checked that the wire is quiet, and sends the request in parts."""
        ...

    def wait_ready(self) -> Awaitable[object]:
        """Return an awaitable that is done when the reader is ready again."""
        ...

    async def send(self, data: bytes) -> None:
        """Send part of the request, and wait while too much of it is buffered.

        Returns early if the reader is ready: a server may respond without reading the whole request.
        """
        ...

    def abort(self) -> None:
        """Close at once, without TLS close_notify. The reader fails, and its waiter is woken."""
        ...

    async def closed(self) -> None:
        """Wait until the socket is closed. Call it after `abort`."""
        ...


def readable(sock: socket.socket) -> Callable[[], object]:
    """A cheap function that tells whether `sock` has something to read now."""
    if not hasattr(select, "poll"):
        return lambda: select.select([sock], [], [], 0)[0]
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return partial(poll.poll, 0)
