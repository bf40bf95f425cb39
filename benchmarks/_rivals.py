"""Check pairs with one client: ``python _rivals.py NAME URL CA CONNECTIONS COUNT WAY`` prints the times as JSON.

Each client runs in its own process, pinned to core 1, and measures itself after a warm-up: elapsed seconds and CPU
seconds. All clients check the same pairs and look for the status header, or for a 404, in each response. WAY is how
`check_many` is used: ``plain``, ``ordered``, ``journal``, ``trio`` or ``async source``; the rivals ignore it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import anyio
from _servers import pinned

if TYPE_CHECKING:
    import httpx
    import requests

__all__ = ["RIVALS"]

T = TypeVar("T")

_USER = ("ajones", "secret")
_WARM_UP = 64
_HEADER = "X-Profiles-Connection-Status"

Job: TypeAlias = Callable[[int], Awaitable[int]]
"""Checks the given number of pairs and returns the number of those with a result."""

Rival: TypeAlias = Callable[[str, str | None, int], AbstractAsyncContextManager[Job]]
"""Makes a job for a URL, a file of certificates and a number of connections."""


def _target(number: int) -> str:
    return f"/profiles/atom/connection.do?connectionType=colleague&sourceUserid=a{number}&targetUserid=b{number}"


def _is_checked(response: httpx.Response | requests.Response) -> bool:
    return response.status_code == 404 or _HEADER in response.headers


async def _async(pairs: Iterable[T]) -> AsyncGenerator[T, None]:
    for pair in pairs:
        yield pair


@asynccontextmanager
async def ours(url: str, ca: str | None, connections: int, way: str = "plain") -> AsyncIterator[Job]:
    """Our `check_many`, with outcomes from an `async for` and the rate limiter on."""
    from aioconnections import Checked, Client, Journal, Userid

    async def job(count: int) -> int:
        pairs = ((Userid(f"a{n}"), Userid(f"b{n}")) for n in range(count))
        checked = 0
        with TemporaryDirectory() as folder:
            journal = Journal(Path(folder, "checks.sqlite"), max_age=3600) if way == "journal" else None
            source = _async(pairs) if way == "async source" else pairs
            async with client.check_many(source, ordered=way == "ordered", journal=journal) as outcomes:
                async for outcome in outcomes:
                    checked += isinstance(outcome, Checked)
        return checked

    async with Client(url, auth=_USER, max_connections=connections, max_per_second=1e7, verify=ca or True) as client:
        yield job


@asynccontextmanager
async def aiohttp_queue(url: str, ca: str | None, connections: int, *, keep_cookies: bool = True) -> AsyncIterator[Job]:
    """aiohttp, with one worker per connection; the workers share an iterator. It keeps cookies unless told not to."""
    import ssl

    import aiohttp

    context = ssl.create_default_context(cafile=ca) if ca else True
    jar = None if keep_cookies else aiohttp.DummyCookieJar()
    connector = aiohttp.TCPConnector(limit=connections, ssl=context)
    login = {"Authorization": "Basic " + b64encode(":".join(_USER).encode()).decode()}

    async def job(count: int) -> int:
        numbers = iter(range(count))
        checked = 0

        async def worker() -> None:
            nonlocal checked
            for number in numbers:
                async with session.head(url + _target(number)) as response:
                    checked += response.status == 404 or _HEADER in response.headers

        await asyncio.gather(*(worker() for _ in range(connections)))
        return checked

    async with aiohttp.ClientSession(connector=connector, headers=login, cookie_jar=jar) as session:
        yield job


@asynccontextmanager
async def httpx_semaphore(url: str, ca: str | None, connections: int) -> AsyncIterator[Job]:
    """One httpx client, and one task per pair behind a semaphore."""
    async with _httpx_client(ca, connections) as client:

        async def job(count: int) -> int:
            slots = asyncio.Semaphore(connections)

            async def one(number: int) -> bool:
                async with slots:
                    return _is_checked(await client.head(url + _target(number)))

            return sum(await asyncio.gather(*(one(n) for n in range(count))))

        yield job


@asynccontextmanager
async def httpx_gather(url: str, ca: str | None, connections: int) -> AsyncIterator[Job]:
    """One httpx client, and `gather` over all pairs: the naive way."""
    async with _httpx_client(ca, connections) as client:

        async def one(number: int) -> bool:
            return _is_checked(await client.head(url + _target(number)))

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
            return _is_checked(session.head(url + _target(number)))

        async def job(count: int) -> int:
            return sum(threads.map(one, range(count)))

        yield job


@asynccontextmanager
async def floor(url: str, ca: str | None, connections: int) -> AsyncIterator[Job]:
    """No client: protocols of asyncio that send the next request as soon as bytes arrive, whatever these say."""
    from urllib.parse import urlsplit

    del ca  # there is no floor with TLS
    where = urlsplit(url)
    host, port = where.hostname or "", where.port or 80
    head = f"Host: {where.netloc}\r\nAuthorization: Basic {b64encode(':'.join(_USER).encode()).decode()}\r\n\r\n"
    left, waiting, ended = 0, 0, asyncio.Event()

    class Lane(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def send(self) -> None:
            nonlocal left
            left -= 1
            self.transport.write(f"HEAD {_target(left)} HTTP/1.1\r\n{head}".encode())

        def data_received(self, data: bytes) -> None:
            nonlocal waiting
            del data
            waiting -= 1
            if left:
                self.send()
            elif not waiting:
                ended.set()

    loop = asyncio.get_running_loop()
    lanes = [(await loop.create_connection(Lane, host, port))[1] for _ in range(connections)]

    async def job(count: int) -> int:
        nonlocal left, waiting
        left = waiting = count
        ended.clear()
        for lane in lanes[:count]:
            lane.send()
        await ended.wait()
        return count

    yield job
    for lane in lanes:
        lane.transport.close()


RIVALS: dict[str, Rival] = {
    "aioconnections": ours,
    "aiohttp, worker queue": aiohttp_queue,
    "aiohttp, no cookies": partial(aiohttp_queue, keep_cookies=False),
    "httpx, semaphore": httpx_semaphore,
    "httpx, gather": httpx_gather,
    "requests, threads": requests_threads,
    "floor: asyncio, unread": floor,
}


async def main(name: str, url: str, ca: str | None, connections: int, count: int, way: str) -> dict[str, float]:
    """Run one client and return the elapsed seconds and the CPU seconds that it used."""
    client = partial(ours, way=way) if name == "aioconnections" else RIVALS[name]
    async with client(url, ca, connections) as job:
        await job(min(count, max(_WARM_UP, 2 * connections)))
        before, began = time.process_time(), time.perf_counter()
        checked = await job(count)
        seconds, cpu = time.perf_counter() - began, time.process_time() - before
    if checked != count:
        raise RuntimeError(f"{name}: {count - checked} of {count} pairs were not checked")
    return {"seconds": seconds, "cpu": cpu}


if __name__ == "__main__":
    pinned(1)
    _, _name, _url, _ca, _connections, _count, _way = sys.argv
    _backend = "trio" if _way == "trio" and _name == "aioconnections" else "asyncio"
    print(json.dumps(anyio.run(main, _name, _url, _ca or None, int(_connections), int(_count), _way, backend=_backend)))
