"""HTTP transport: sockets, TLS, lanes (kept-alive connections) and the adapters to and from httpx.

`Engine` is the interface to the layers above. An engine sends a request to an origin and returns the response. It does
not know credentials, retries or rates. The caller bounds the number of concurrent requests, so an engine never queues.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from aioconnections.protocol.messages import Headers, Origin, Request, Response

__all__ = ["Engine", "RequestChain", "StreamedResponse"]


class StreamedResponse(Protocol):
    """A response whose body is still arriving."""

    @property
    def head(self) -> Response:
        """Status and fields; its own body is empty."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decoded, in pieces of any size.

        Raises:
            TransportError: the body is incomplete, malformed or late.
        """
        ...


class RequestChain(Protocol):
    """Requests of which each follows the response to the one before. The methods run outside a task and cannot wait."""

    def settle(self, response: Response) -> bool:
        """Deal with a response; False to end the chain and leave `response` to the caller of `Engine.exchange`."""
        ...

    def next_request(self) -> Request | None:
        """The request that follows a response that was settled; None to end the chain.

        It is called after the tasks that were woken in the same iteration of the event loop, which may have learned
        that nothing more may be sent.
        """
        ...

    def take_back(self) -> None:
        """End the chain: the request that `next_request` returned last will not be sent."""
        ...


class Engine(Protocol):
    """Sends requests over kept-alive connections."""

    async def exchange(
        self,
        origin: Origin,
        request: Request,
        common: Headers,
        timeout: float,
        chain: RequestChain | None = None,
    ) -> Response:
        """Send `request`, with the constant headers `common` before its own, and return the whole response.

        The engine sets `Host` and the framing headers. `timeout`, in seconds, covers everything from connecting to the
        last byte of the body. A response of any status is returned; redirects are not followed, and cookies are not
        kept. Cancelling is safe at any await.

        With `chain`, an engine may send further requests over the same connection, each after the response to the one
        before. The last response, settled or not, is returned, and an exception is about the latest request. An engine
        that cannot do this returns the first response and ignores `chain`.

        Raises:
            TransportError: there is no complete response. Exceptions of the underlying library are translated.
        """
        ...

    def stream(
        self, origin: Origin, request: Request, common: Headers, timeout: float
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Like `exchange`, but return the response as soon as its head is known.

        `timeout` then limits the total time spent on connecting, sending and waiting for bytes. The time that the
        consumer takes between pieces does not count. A bounded part of the body is read ahead. Leaving the block early
        closes the connection.

        Raises:
            TransportError: there is no response.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection. Further calls do nothing."""
        ...
