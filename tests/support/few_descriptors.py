"""Check pairs with only a few free file descriptors; a script, because the limit applies to a process.

It reads a JSON object from standard input: ``url``, ``pairs`` (of userids), ``room`` (number of free descriptors),
``loop`` (``asyncio`` or ``trio``), ``door`` (``lanes``, ``transport``, ``client`` or ``lanes for httpx``), ``options``
of the client, and ``warm``: whether to check the first pair before the limit applies. It prints the results as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import anyio
import httpx

from aioconnections import Checked, Client, LaneTransport, Pair, Userid


def fill() -> list[int]:
    """Open files until no descriptor is free."""
    taken: list[int] = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return taken


async def main(given: dict[str, Any]) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=None)
    doors: dict[str, Callable[[], dict[str, Any]]] = {
        "lanes": dict,
        "transport": lambda: {"transport": httpx.AsyncHTTPTransport(limits=limits)},
        "client": lambda: {"http_client": httpx.AsyncClient(limits=limits)},
        "lanes for httpx": lambda: {"transport": LaneTransport(max_connections=64)},
    }
    given["options"]["auth"] = given["options"]["auth"] and tuple(given["options"]["auth"])
    client = Client(given["url"], max_per_second=None, **doors[given["door"]](), **given["options"])
    pairs = [Pair(Userid(source), Userid(target)) for source, target in given["pairs"]]
    found: list[Any] = [None] * len(pairs)
    async with client:
        if given["warm"]:
            await client.check(pairs[0].source, pairs[0].target)
        taken = fill()
        for _ in range(given["room"]):
            os.close(taken.pop())
        try:
            async with client.check_many(pairs) as run:
                async for outcome in run:
                    found[outcome.index] = [outcome.status or "none"] if isinstance(outcome, Checked) else str(outcome)
        finally:
            for descriptor in taken:
                os.close(descriptor)
        stats = client.stats()
    return {
        "found": found,
        "read": run.tally.read,
        "stopped": None if run.stopped is None else [type(run.stopped).__name__, str(run.stopped)],
        "failures": dict(stats.failures),
        "probes": stats.probes,
        "retries_left": stats.retries_left,
        "bound": stats.bound,
        "local_limit": stats.local_limit,
    }


if __name__ == "__main__":
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    given = json.load(sys.stdin)
    json.dump(anyio.run(main, given, backend=given["loop"]), sys.stdout)
