"""What it costs to share a rate through Redis, and how well eight processes keep it at the server.

``python benchmarks/shared.py [--quick] [--rounds N]``

The first table compares the CPU of a client that checks pairs at 2,000 requests per second on its own with one that
gets its starts from Redis. The two take turns in one process, because a request costs more in one process than in
another, by more than the difference that is sought. The second one shows eight processes that share 200 requests per
second, as the server sees them: requests per second of the whole time, and the largest number in any second and in any
tenth of a second. Starts may come up to 20 ms late, so a short window may hold a few more than the rate allows. It
needs ``redis-server``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from _servers import pinned, served

from aioconnections import Client, RedisShared, Userid

_RATE = 2_000
_TOGETHER = 200
_PROCESSES = 8


@contextmanager
def redis_server() -> Iterator[str]:
    """URL of a Redis that keeps nothing on the disk, pinned to core 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=partial(pinned, 0))  # noqa: S603, PLW1509 # one thread here
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait()


def new_client(url: str, rate: float, redis: str | None = None) -> Client:
    """A client with a rate of its own, or one that shares it."""
    shared = None if redis is None else RedisShared(redis)
    return Client(url, auth=("u", "secret"), max_connections=16, max_per_second=rate, shared=shared)


async def check(client: Client, count: int) -> float:
    """Check `count` pairs, and return the CPU seconds."""
    began = time.process_time()
    tally = await client.check_many((Userid(f"a{n}"), Userid(f"b{n}")) for n in range(count)).drain()
    if tally.checked != count:
        raise RuntimeError(f"{count - tally.checked} of {count} pairs were not checked")
    return time.process_time() - began


async def check_once(url: str, redis: str, rate: float, count: int) -> None:
    """Check `count` pairs with a client that shares `rate`."""
    async with new_client(url, rate, redis) as client:
        await check(client, count)


async def compare(url: str, redis: str, rounds: int, count: int) -> list[list[float]]:
    """CPU seconds of both clients in each round; they take turns in one process, in alternating order."""
    found = []
    async with new_client(url, _RATE) as alone, new_client(url, _RATE, redis) as sharing:
        clients = (alone, sharing)
        for client in clients:
            await check(client, min(count, 500))
        for number in range(rounds):
            order = (0, 1) if number % 2 else (1, 0)
            figures = {which: await check(clients[which], count) for which in order}
            found.append([figures[0], figures[1]])
    return found


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start a process of this script, pinned to core 1, that does as `arguments` say."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 # ourselves


def cost(rounds: int, count: int) -> None:
    """Print the CPU per request without and with Redis."""
    with served(responses="real") as server, redis_server() as redis:
        output, _ = start("--compare", server.url, redis, rounds, count).communicate()
    figures = [[1e6 * seconds / count for seconds in both] for both in json.loads(output)]
    more = [sharing - alone for alone, sharing in figures]
    print(f"{_RATE:,} requests per second, {rounds} rounds of {count:,} requests, µs CPU per request")
    for name, column in zip(("alone", "through Redis"), zip(*figures, strict=True), strict=True):
        print(f"  {name:16}{statistics.median(column):8.1f}   {min(column):.1f} to {max(column):.1f}")
    error = f"{statistics.stdev(more) / len(more) ** 0.5:.1f}" if len(more) > 1 else "unknown with one round"
    print(f"  {'more':16}{statistics.mean(more):8.1f}   standard error {error} (goal: at most 3)")


class Counter:
    """A server that notes when requests arrive."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Respond to the requests of one connection."""
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            if head.startswith(b"HEAD"):
                self.arrivals.append(time.monotonic())
                writer.write(b"HTTP/1.1 200 OK\r\nX-Profiles-Connection-Status: accepted\r\nContent-Length: 0\r\n\r\n")
            else:
                body = _DOCUMENT
                fields = f"Content-Type: application/atomsvc+xml\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(b"HTTP/1.1 200 OK\r\n" + fields.encode() + body)
        writer.close()


_DOCUMENT = b"""<?xml version="1.0" encoding="UTF-8"?>
<app:service xmlns:app="http://www.w3.org/2007/app" xmlns:atom="http://www.w3.org/2005/Atom"><app:workspace>
<atom:title>Profiles</atom:title><app:collection href="http://localhost/profiles/atom/profile.do?userid=u">
<atom:title>u</atom:title><userid xmlns="http://www.ibm.com/xmlns/prod/sn">u</userid></app:collection></app:workspace></app:service>
"""


async def arrivals(count: int) -> None:
    """Print how many requests of eight processes arrive in any window."""
    counter = Counter()
    server = await asyncio.start_server(counter.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with redis_server() as redis:
        processes = [start("--check", f"http://127.0.0.1:{port}", redis, _TOGETHER, count) for _ in range(_PROCESSES)]
        for process in processes:
            if await asyncio.to_thread(process.wait):
                raise RuntimeError("a process failed")
    server.close()
    moments = sorted(counter.arrivals)
    middle = [moment for moment in moments if moments[0] + 1 <= moment <= moments[-1] - 1] or moments
    rate = (len(middle) - 1) / (middle[-1] - middle[0]) if len(middle) > 1 else 0.0
    print(f"\n{_PROCESSES} processes, {_TOGETHER} per second together: arrivals at the server")
    print(f"  per second, without the first and last second: {rate:.1f}")
    for window in (1.0, 0.1):
        most = max(bisect_left(moments, moment + window) - number for number, moment in enumerate(moments))
        print(f"  most in any {window:g} s: {most}, where the rate allows {_TOGETHER * window:.0f} + 1")


def main() -> None:
    """Measure."""
    if sys.argv[1:2] in (["--check"], ["--compare"]):
        pinned(1)
        _, what, url, redis, first, count = sys.argv
        if what == "--check":
            asyncio.run(check_once(url, redis, float(first), int(count)))
        else:
            print(json.dumps(asyncio.run(compare(url, redis, int(first), int(count)))))
        return
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a smoke test; the figures mean nothing")
    options.add_argument("--rounds", type=int, default=24)
    chosen = options.parse_args()
    if shutil.which("redis-server") is None:
        sys.exit("this benchmark needs redis-server, of the Debian package of this name")
    cost(1 if chosen.quick else chosen.rounds, 100 if chosen.quick else 5_000)
    asyncio.run(arrivals(5 if chosen.quick else 300))


if __name__ == "__main__":
    main()
