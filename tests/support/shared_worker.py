"""A process that shares a rate, for tests: checks pairs until its input ends, and says at the end what it met.

Arguments: URL of the server, URL of Redis, namespace, user, password, starts per second. A line of the input that is a
number sets the rate.
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import cycle, permutations

from aioconnections import Client, ConnectionsError, RedisShared, Timeouts
from aioconnections.reference import Directory

PAIRS = [*permutations(Directory.generate(people=20, seed=3).people, 2)]


async def main(url: str, redis: str, namespace: str, user: str, password: str, rate: str) -> None:
    met: dict[str, object] = {}
    timeouts = Timeouts(outage=30)
    shared = RedisShared(redis, namespace, secret="the same in all processes")
    client = Client(url, auth=(user, password), max_per_second=float(rate), shared=shared, timeouts=timeouts)
    try:
        async with client:
            tell("ready")
            run = client.check_many(cycle(PAIRS))
            told = asyncio.create_task(listen(client))
            async with run as outcomes:
                async for _ in outcomes:
                    if told.done():
                        break
            told.cancel()
            met["stopped"] = type(run.stopped).__name__
            met["responses"] = client.stats().responses
    except ConnectionsError as error:
        met["raised"] = type(error).__name__
    tell(json.dumps(met))


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def listen(client: Client) -> None:
    """Obey the input until it ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        client.max_per_second = float(line)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
