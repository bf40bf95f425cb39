"""Scripted servers as httpx transports: a test defines in a few lines the response to each request."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import anyio.lowlevel
import httpx
import trio
import trio.testing
from virtual_loop import VirtualLoop

from aioconnections import CheckOutcome, Client, Outcomes, Pair, Userid

__all__ = [
    "URL",
    "Script",
    "Slow",
    "answered",
    "client_of",
    "collect",
    "connected",
    "everything",
    "no_connection",
    "number_of",
    "on_virtual_time",
    "on_virtual_time_of",
    "one_after_the_other",
    "pairs",
    "refusal",
    "service_configs",
    "service_document",
    "status",
    "there",
]

URL = "https://connections.example.com"


def service_document() -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "application/atomsvc+xml; charset=UTF-8"})


def service_configs() -> httpx.Response:
    return httpx.Response(
        200,
        headers={"content-type": "application/atom+xml;charset=UTF-8"},
        content=b'<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom"><category'
        b' term="email-exposed" scheme="http://www.ibm.com/xmlns/prod/sn/configuration"></category></feed>',
    )


def there(request: httpx.Request) -> httpx.Response:
    """The response of an available server to a canary, the request that proves the login."""
    return service_configs() if request.url.path.endswith("serviceconfigs") else service_document()


def refusal(status: int) -> httpx.Response:
    """A refusal in the form of Profiles."""
    document = f'<error xmlns="http://www.ibm.com/xmlns/prod/sn"><code>{status}</code><message>No.</message></error>'
    return httpx.Response(status, headers={"content-type": "text/xml;charset=UTF-8"}, content=document.encode())


def status(word: str) -> httpx.Response:
    return httpx.Response(
        200, headers={"X-Profiles-Connection-Type": "colleague", "X-Profiles-Connection-Status": word}
    )


def no_connection() -> httpx.Response:
    return httpx.Response(404, headers={"content-type": "text/xml;charset=UTF-8"})


class Script(httpx.AsyncBaseTransport):
    """Responds to each check with `answer`, and to canaries with `canary`.

    Attributes:
        asked: URLs of the checks, in order.
        seen: number of requests per path.
        under_way: number of checks in flight.
        most: largest number of checks in flight at once.
        closed: whether the transport was closed.
    """

    def __init__(
        self,
        answer: Callable[[httpx.Request], Awaitable[httpx.Response]],
        canary: Callable[[httpx.Request], httpx.Response] = there,
    ) -> None:
        self._answer = answer
        self._canary = canary
        self.asked: list[httpx.URL] = []
        self.seen: Counter[str] = Counter()
        self.under_way = 0
        self.most = 0
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen[request.url.path] += 1
        if request.url.path.endswith(("profileService.do", "serviceconfigs")):
            await anyio.lowlevel.checkpoint()  # as in every real transport
            return self._canary(request)
        self.asked.append(request.url)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self._answer(request)
        finally:
            self.under_way -= 1

    async def aclose(self) -> None:
        self.closed = True


def client_of(script: httpx.AsyncBaseTransport, **options: Any) -> Client:
    """A signed-in client over `script`, without a rate limit; `options` override this."""
    return Client(URL, **{"auth": ("ajones", "secret"), "max_per_second": None, "transport": script} | options)


def one_after_the_other(*answers: httpx.Response | Exception) -> Script:
    remaining = iter(answers)

    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        found = next(remaining)
        if isinstance(found, Exception):
            raise found
        return found

    return Script(answer)


class Slow(Script):
    """Responds to every check after `latency` seconds, and to canaries after `canary_latency`."""

    def __init__(self, latency: float, canary_latency: float = 0.0) -> None:
        async def answer(_: httpx.Request) -> httpx.Response:
            await anyio.sleep(latency)
            return status("accepted")

        super().__init__(answer)
        self._canary_latency = canary_latency

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("profileService.do"):
            await anyio.sleep(self._canary_latency)
        return await super().handle_async_request(request)


def on_virtual_time(main: Callable[[], object]) -> None:
    """Run `main` on virtual time: sleeping takes no real time."""
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))  # type: ignore[arg-type] # an async function


def on_virtual_time_of(backend: str, main: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run `main` on virtual time, on trio or asyncio; it must not use sockets."""
    if backend == "trio":
        on_virtual_time(main)
    else:
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(quiet=0)) as runner:
            runner.run(main())


def pairs(count: int) -> Iterator[Pair]:
    return (Pair(Userid(f"a{n}"), Userid(f"b{n}")) for n in range(count))


async def connected(_: httpx.Request) -> httpx.Response:
    await anyio.lowlevel.checkpoint()
    return status("accepted")


def number_of(request: httpx.Request) -> int:
    return int(request.url.params["sourceUserid"][1:])


async def collect(outcomes: Outcomes[CheckOutcome], seen: list[int]) -> None:
    async for outcome in outcomes:
        seen.append(outcome.index)  # noqa: PERF401 # keeps the outcomes before an error


async def answered(response: httpx.Response) -> httpx.Response:
    await anyio.lowlevel.checkpoint()
    return response


async def everything(run: Outcomes[Any]) -> list[Any]:
    """Every outcome of a run."""
    async with run:
        return [outcome async for outcome in run]
