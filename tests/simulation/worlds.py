"""Simulated servers on virtual time: unavailable for an hour, or slow for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import httpx
import trio
from doors import service_document, status

from aioconnections import Pair, Userid

__all__ = ["Gateway", "Queue", "World", "without_end"]

LATENCY = 0.02


class World(httpx.AsyncBaseTransport):
    """A server that records the times of its requests, in seconds since it was created.

    Attributes:
        checks: time and source userid of each check.
        others: times of all other requests, which are canaries and probes.
        refused: number of refused checks.
        served: times of the completed checks.
    """

    def __init__(self, fail: Callable[[float], Awaitable[httpx.Response | None]] | None = None) -> None:
        self._start = trio.current_time()
        self.checks: list[tuple[float, str]] = []
        self.others: list[float] = []
        self.refused = 0
        self.served: list[float] = []
        self._fail = fail

    @property
    def time(self) -> float:
        return trio.current_time() - self._start

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
        return [userid for time, userid in self.checks if begin <= time < end]


class Queue(World):
    """Serves `capacity` checks per second, one at a time, and refuses those that find all `places` taken."""

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
    """Admits `capacity` checks per second, at any concurrency, and refuses the others."""

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
