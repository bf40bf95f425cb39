"""Servers that exist on virtual time only: away for an hour, or slow for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import httpx
import trio
from doors import service_document, status

from aioconnections import Pair, Userid

__all__ = ["Gateway", "Queue", "World", "without_end"]

LATENCY = 0.02


class World(httpx.AsyncBaseTransport):
    """A server that notes when it was asked for what.

    Attributes:
        checks: when each check came, and for whom.
        others: when everything else came: canaries and probes.
        refused: how many checks were refused.
    """

    def __init__(self, fail: Callable[[float], Awaitable[httpx.Response | None]] | None = None) -> None:
        self.began = trio.current_time()
        self.checks: list[tuple[float, str]] = []
        self.others: list[float] = []
        self.refused = 0
        self.served: list[float] = []
        self._fail = fail

    @property
    def time(self) -> float:
        return trio.current_time() - self.began

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        checks = request.method == "HEAD"
        if checks:
            self.checks.append((self.time, request.url.params["sourceUserid"]))
        else:
            self.others.append(self.time)
        failure = await self._fail(self.time) if self._fail is not None else None
        if failure is not None:
            return failure
        if not checks:
            await trio.sleep(LATENCY)
            return service_document()
        return await self.serve()

    async def serve(self) -> httpx.Response:
        await trio.sleep(LATENCY)
        self.served.append(self.time)
        return status("accepted")

    def between(self, begin: float, end: float) -> list[str]:
        return [who for when, who in self.checks if begin <= when < end]


class Queue(World):
    """Serves so many per second, one after the other, and refuses whom it has no place for."""

    def __init__(self, capacity: Callable[[float], float], places: int) -> None:
        super().__init__()
        self._capacity = capacity
        self._places = places
        self._waiting = 0
        self._turn = trio.Lock()

    async def serve(self) -> httpx.Response:
        if self._waiting >= self._places:
            self.refused += 1
            await trio.sleep(LATENCY)
            return httpx.Response(503)
        self._waiting += 1
        try:
            async with self._turn:
                await trio.sleep(1 / self._capacity(self.time))
        finally:
            self._waiting -= 1
        return await super().serve()


class Gateway(World):
    """Lets through so many per second, however few are under way, and refuses the others."""

    def __init__(self, capacity: Callable[[float], float], burst: float = 5.0) -> None:
        super().__init__()
        self._capacity = capacity
        self._burst = burst
        self._tokens = burst
        self._last = 0.0

    async def serve(self) -> httpx.Response:
        now = self.time
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._capacity(now))
        self._last = now
        if self._tokens < 1:
            self.refused += 1
            await trio.sleep(LATENCY)
            return httpx.Response(429)
        self._tokens -= 1
        return await super().serve()


def without_end() -> Iterator[Pair]:
    number = 0
    while True:
        number += 1
        yield Pair(Userid(f"a{number}"), Userid(f"b{number}"))
