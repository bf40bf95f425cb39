"""Sends the requests of an examination one after another, at a slow pace, over one kept-alive connection."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from aioconnections.errors import TransportError
from aioconnections.protocol.messages import Headers, Origin, Request, Response
from aioconnections.reprs import frozen
from aioconnections.session.attempt import send_unlimited
from aioconnections.transport import Engine
from aioconnections.transport.tls_failures import refused_by_front_end

__all__ = ["PAUSE", "PacedSender", "TimedResponse"]

PAUSE = 0.05  # seconds between the starts of two requests, at least


@frozen
class TimedResponse:
    """A response, and how many seconds it took from the start of the request."""

    response: Response
    seconds: float


class PacedSender:
    """Sends requests without retries.

    Attributes:
        opened: see the argument.

    Args:
        engine: sends them.
        origin: the server.
        common: headers of every request, without the login.
        login: the headers of the login.
        seconds: time allowed for one request.
        max_per_second: limit on the rate; None for none besides that of `PAUSE`.
        opened: returns how many connections the engine has opened; None if that is not known.
    """

    def __init__(
        self,
        engine: Engine,
        origin: Origin,
        common: Headers,
        login: Headers,
        *,
        seconds: float,
        max_per_second: float | None,
        opened: Callable[[], int] | None = None,
    ) -> None:
        self._engine = engine
        self._origin = origin
        self._anonymous = common
        self._signed_in = common + login
        self._seconds = seconds
        self._pause = max(PAUSE, 1 / max_per_second if max_per_second else 0)
        self._next = 0.0
        self.opened: Callable[[], int] | None = opened

    async def send(self, request: Request) -> TimedResponse:
        """Send a request, with the login unless it is anonymous.

        A request over a connection that the server has closed meanwhile is sent once more, except with ``fresh``.

        Raises:
            TransportError: there is no complete response.
        """
        now = anyio.current_time()
        await anyio.sleep(max(0.0, self._next - now))
        begun = anyio.current_time()
        self._next = begun + self._pause
        request.origin = self._origin
        headers = self._anonymous if request.anonymous else self._signed_in
        if request.fresh:  # an engine for proxies may take a used connection nevertheless
            response = await self._engine.exchange(self._origin, request, headers, self._seconds)
        else:
            response = await send_unlimited(self._engine, self._origin, request, headers, self._seconds)
        refusal: TransportError | None = refused_by_front_end(response)
        if refusal is not None:
            raise refusal
        return TimedResponse(response, anyio.current_time() - begun)
