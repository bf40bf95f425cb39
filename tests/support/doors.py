"""Scripted servers behind httpx's door: a test says in a few lines what is answered to which request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio.lowlevel
import httpx
import trio
import trio.testing

from aioconnections import CheckOutcome, Client, Outcomes, Pair, Userid

__all__ = [
    "URL",
    "Script",
    "answered",
    "client_of",
    "collect",
    "connected",
    "everything",
    "no_connection",
    "number_of",
    "on_virtual_time",
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
    """What a server that is there says to the canaries."""
    return service_configs() if request.url.path.endswith("serviceconfigs") else service_document()


def refusal(status: int) -> httpx.Response:
    """A refusal as Profiles writes it."""
    document = f'<error xmlns="http://www.ibm.com/xmlns/prod/sn"><code>{status}</code><message>No.</message></error>'
    return httpx.Response(status, headers={"content-type": "text/xml;charset=UTF-8"}, content=document.encode())


def status(word: str) -> httpx.Response:
    return httpx.Response(
        200, headers={"X-Profiles-Connection-Type": "colleague", "X-Profiles-Connection-Status": word}
    )


def no_connection() -> httpx.Response:
    return httpx.Response(404, headers={"content-type": "text/xml;charset=UTF-8"})


class Script(httpx.AsyncBaseTransport):
    """Answers each check as `answer` says, and canaries as a server does that is there.

    Attributes:
        asked: the URLs of the checks, in order.
        seen: how many requests there were for each path.
        most: how many were under way at the same time at the most.
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
            await anyio.lowlevel.checkpoint()  # no real transport answers without one
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
    """A client that goes through `script`, signed in and without a rate limit unless `options` say otherwise."""
    return Client(URL, **{"auth": ("ajones", "secret"), "max_per_second": None, "transport": script} | options)


def one_after_the_other(*answers: httpx.Response | Exception) -> Script:
    waiting = iter(answers)

    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        found = next(waiting)
        if isinstance(found, Exception):
            raise found
        return found

    return Script(answer)


def on_virtual_time(main: Callable[[], object]) -> None:
    """Run `main` where waiting takes no time."""
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))  # type: ignore[arg-type] # an async function


def pairs(count: int) -> Iterator[Pair]:
    return (Pair(Userid(f"a{n}"), Userid(f"b{n}")) for n in range(count))


async def connected(_: httpx.Request) -> httpx.Response:
    await anyio.lowlevel.checkpoint()
    return status("accepted")


def number_of(request: httpx.Request) -> int:
    return int(request.url.params["sourceUserid"][1:])


async def collect(outcomes: Outcomes[CheckOutcome], seen: list[int]) -> None:
    async for outcome in outcomes:
        seen.append(outcome.index)  # noqa: PERF401 # it raises in the middle


async def answered(response: httpx.Response) -> httpx.Response:
    await anyio.lowlevel.checkpoint()
    return response


async def everything(run: Outcomes[Any]) -> list[Any]:
    """Every outcome of a run."""
    async with run:
        return [outcome async for outcome in run]
