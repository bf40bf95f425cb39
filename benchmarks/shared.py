"""What it costs to share a rate through Redis, and how well eight processes keep it at the server.

``python benchmarks/shared.py [--quick] [--rounds N]``

The first table compares the CPU of a client that checks pairs at 2,000 requests per second on its own with one that
gets its starts from Redis; the two take turns, and each is measured as one process. The second one shows eight
processes that share 200 requests per second, as the server sees them: requests per second of the whole time, and the
largest number in any second and in any tenth of a second. Starts may come up to 20 ms late, so a
short window may hold a few more than the rate allows. It needs ``redis-server``.
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


async def check(url: str, redis: str, rate: float, count: int) -> dict[str, float]:
    """Check `count` pairs, and return the elapsed seconds and the CPU seconds."""
    shared = RedisShared(redis) if redis else None
    async with Client(url, auth=("u", "secret"), max_connections=16, max_per_second=rate, shared=shared) as client:
        await client.check(Userid("a"), Userid("b"))
        before, began = time.process_time(), time.perf_counter()
        pairs = ((Userid(f"a{n}"), Userid(f"b{n}")) for n in range(count))
        tally = await client.check_many(pairs).drain()
        seconds, cpu = time.perf_counter() - began, time.process_time() - before
    if tally.checked != count:
        raise RuntimeError(f"{count - tally.checked} of {count} pairs were not checked")
    return {"seconds": seconds, "cpu": cpu}


def start(url: str, redis: str, rate: float, count: int) -> subprocess.Popen[str]:
    """Start a process that does `check`."""
    command = [sys.executable, __file__, "--check", url, redis, str(rate), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 # ourselves


def result(process: subprocess.Popen[str]) -> dict[str, float]:
    """What a process found."""
    output, _ = process.communicate()
    figures: dict[str, float] = json.loads(output)
    return figures


def cost(rounds: int, count: int) -> None:
    """Print the CPU per request without and with Redis."""
    figures: dict[str, list[float]] = {"alone": [], "through Redis": []}
    with served(responses="real") as server, redis_server() as redis:
        for _ in range(rounds):
            for name, found in figures.items():
                done = result(start(server.url, redis if name != "alone" else "", _RATE, count))
                found.append(1e6 * done["cpu"] / count)
    print(f"{_RATE:,} requests per second, {count:,} requests a round, µs CPU per request")
    for name, found in figures.items():
        print(f"  {name:16}{statistics.median(found):8.1f}   {', '.join(f'{each:.1f}' for each in found)}")
    more = statistics.median(b - a for a, b in zip(*figures.values(), strict=True))
    print(f"  {'more':16}{more:8.1f}   (goal: at most 3)")


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
        processes = [start(f"http://127.0.0.1:{port}", redis, _TOGETHER, count) for _ in range(_PROCESSES)]
        for process in processes:
            await asyncio.to_thread(result, process)
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
    if len(sys.argv) > 1 and sys.argv[1] == "--check":
        pinned(1)
        _, _, url, redis, rate, count = sys.argv
        print(json.dumps(asyncio.run(check(url, redis, float(rate), int(count)))))
        return
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a smoke test; the figures mean nothing")
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    if shutil.which("redis-server") is None:
        sys.exit("this benchmark needs redis-server, of the Debian package of this name")
    cost(1 if chosen.quick else chosen.rounds, 100 if chosen.quick else 8_000)
    asyncio.run(arrivals(5 if chosen.quick else 300))


if __name__ == "__main__":
    main()
