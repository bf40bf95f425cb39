"""Check pairs with one client: ``python _rivals.py NAME URL CA CONNECTIONS COUNT`` prints the time that it took.

Each client runs in its own process, pinned to core 1, and measures itself after a warm-up: seconds, and seconds of CPU.
All of them check the same pairs and read the status header of each response.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from _servers import pinned

if TYPE_CHECKING:
    import httpx

__all__ = ["RIVALS"]

_USER = ("ajones", "secret")
_WARM_UP = 64
_HEADER = "X-Profiles-Connection-Status"

Job: TypeAlias = Callable[[int], Awaitable[int]]
"""Checks the given number of pairs and returns the number of responses with a status."""


def _target(number: int) -> str:
    return f"/profiles/atom/connection.do?connectionType=colleague&sourceUserid=a{number}&targetUserid=b{number}"


@asynccontextmanager
async def ours(url: str, ca: str | None, connections: int) -> AsyncIterator[Job]:
    """`check_many`: outcomes from an `async for`, with the rate limiter on."""
    from aioconnections import Checked, Client, Userid

    async def job(count: int) -> int:
        pairs = ((Userid(f"a{n}"), Userid(f"b{n}")) for n in range(count))
        answered = 0
        async with client.check_many(pairs) as outcomes:
            async for outcome in outcomes:
                answered += isinstance(outcome, Checked) and outcome.status is not None
        return answered

    async with Client(url, auth=_USER, max_connections=connections, max_per_second=1e7, verify=ca or True) as client:
        yield job


@asynccontextmanager
async def aiohttp_queue(url: str, ca: str | None, connections: int) -> AsyncIterator[Job]:
    """Aiohttp, with one worker per connection; the workers share an iterator."""
    import ssl

    import aiohttp

    context = ssl.create_default_context(cafile=ca) if ca else True
    connector = aiohttp.TCPConnector(limit=connections, ssl=context)
    auth = aiohttp.BasicAuth(*_USER)

    async def job(count: int) -> int:
        numbers = iter(range(count))
        answered = 0

        async def worker() -> None:
            nonlocal answered
            for number in numbers:
                async with session.head(url + _target(number)) as response:
                    answered += _HEADER in response.headers

        await asyncio.gather(*(worker() for _ in range(connections)))
        return answered

    async with aiohttp.ClientSession(connector=connector, auth=auth) as session:
        yield job


@asynccontextmanager
async def httpx_semaphore(url: str, ca: str | None, connections: int) -> AsyncIterator[Job]:
    """One httpx client, and one task per pair behind a semaphore."""
    async with _httpx_client(ca, connections) as client:

        async def job(count: int) -> int:
            slots = asyncio.Semaphore(connections)

            async def one(number: int) -> bool:
                async with slots:
                    return _HEADER in (await client.head(url + _target(number))).headers

            return sum(await asyncio.gather(*(one(n) for n in range(count))))

        yield job


@asynccontextmanager
async def httpx_gather(url: str, ca: str | None, connections: int) -> AsyncIterator[Job]:
    """One httpx client, and `gather` over all pairs: the naive way."""
    async with _httpx_client(ca, connections) as client:

        async def one(number: int) -> bool:
            return _HEADER in (await client.head(url + _target(number))).headers

        async def job(count: int) -> int:
            return sum(await asyncio.gather(*(one(n) for n in range(count))))

        yield job


@asynccontextmanager
async def _httpx_client(ca: str | None, connections: int) -> AsyncIterator[httpx.AsyncClient]:
    import ssl

    import httpx

    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    context = ssl.create_default_context(cafile=ca) if ca else False
    async with httpx.AsyncClient(limits=limits, auth=_USER, timeout=300, verify=context) as client:
        yield client


@asynccontextmanager
async def requests_threads(url: str, ca: str | None, connections: int) -> AsyncIterator[Job]:
    """requests, with one thread per connection."""
    import requests
    from requests.adapters import HTTPAdapter

    with requests.Session() as session, ThreadPoolExecutor(connections) as threads:
        session.auth = _USER
        session.trust_env = False  # otherwise REQUESTS_CA_BUNDLE overrides `verify`
        session.verify = ca or True
        session.mount("http", HTTPAdapter(pool_connections=1, pool_maxsize=connections))

        def one(number: int) -> bool:
            return _HEADER in session.head(url + _target(number)).headers

        async def job(count: int) -> int:
            return sum(threads.map(one, range(count)))

        yield job


RIVALS = {
    "aioconnections": ours,
    "aiohttp, worker queue": aiohttp_queue,
    "httpx, semaphore": httpx_semaphore,
    "httpx, gather": httpx_gather,
    "requests, threads": requests_threads,
}


async def main(name: str, url: str, ca: str | None, connections: int, count: int) -> dict[str, float]:
    """Run one client and return the seconds and the CPU seconds that it used."""
    async with RIVALS[name](url, ca, connections) as job:
        await job(min(count, max(_WARM_UP, 2 * connections)))
        before, began = time.process_time(), time.perf_counter()
        answered = await job(count)
        seconds, cpu = time.perf_counter() - began, time.process_time() - before
    if answered != count:
        raise RuntimeError(f"{name}: {count - answered} of {count} pairs without a response")
    return {"seconds": seconds, "cpu": cpu}


if __name__ == "__main__":
    pinned(1)
    print(
        json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] or None, int(sys.argv[4]), int(sys.argv[5]))))
    )
