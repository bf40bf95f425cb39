"""How requests travel. Above this package nobody knows about sockets; below it nobody knows what is said.

`Engine` is the whole seam. An implementation carries a request to an origin and brings back the answer; it knows
nothing of credentials, retries or rates, and the caller never has more than the agreed number under way, so nothing
ever queues inside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from aioconnections.protocol.messages import Headers, Origin, Request, Response

__all__ = ["Engine", "StreamedResponse"]


class StreamedResponse(Protocol):
    """An answer whose body is still arriving."""

    @property
    def head(self) -> Response:
        """Status and fields; its own body is empty."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decoded, in pieces of any size.

        Raises:
            TransportError: it broke off, or did not arrive in time.
        """
        ...


class Engine(Protocol):
    """Carries requests over kept-alive connections."""

    async def exchange(self, origin: Origin, request: Request, common: Headers, timeout: float) -> Response:
        """Send `request` with the constant headers `common` before its own and return the whole answer.

        `Host` and the framing headers are the engine's business. `timeout` is in seconds and total: it covers
        connecting, sending and the last byte of the body. An answer of any status is an answer; redirects are not
        followed, cookies not kept. Cancelling is safe at any await.

        Raises:
            TransportError: there is no complete answer; never an exception of the library underneath.
        """
        ...

    def stream(
        self, origin: Origin, request: Request, common: Headers, timeout: float
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """The same, but hand the answer over as soon as its head is known.

        `timeout` is then what connecting, sending and waiting for bytes may take together; the time that the consumer
        takes between pieces does not count. A bounded part of the body is read ahead. Leaving the block early gives
        up the connection.

        Raises:
            TransportError: there is no answer.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection. Calling it again does nothing."""
        ...
