"""How requests travel. Above this package nobody knows about sockets; below it nobody knows what is said.

`Engine` is the whole seam. An implementation carries a request to an origin and brings back the answer; it knows
nothing of credentials, retries or rates, and the caller never has more than the agreed number under way, so nothing
ever queues inside it.
"""

from __future__ import annotations

from typing import Protocol

from aioconnections.protocol.messages import Headers, Origin, Request, Response

__all__ = ["Engine"]


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

    async def aclose(self) -> None:
        """Close every connection. Calling it again does nothing."""
        ...
