"""Checks pairs where only a few file descriptors are free; run as a script, because the limit is that of a process.

Told by a JSON object on standard input: ``url``, ``pairs`` (of userids), ``room`` (descriptors that are free), ``loop``
(``asyncio`` or ``trio``), ``door`` (``lanes``, ``transport``, ``client`` or ``lanes for httpx``), ``options`` of the
client, and ``warm``: whether it has checked the first pair before. It prints what came of it, as JSON.
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
    """Take all descriptors that are free."""
    taken: list[int] = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))  # it raises in the end
    except OSError:
        return taken


async def main(told: dict[str, Any]) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=None)
    doors: dict[str, Callable[[], dict[str, Any]]] = {
        "lanes": dict,
        "transport": lambda: {"transport": httpx.AsyncHTTPTransport(limits=limits)},
        "client": lambda: {"http_client": httpx.AsyncClient(limits=limits)},
        "lanes for httpx": lambda: {"transport": LaneTransport(max_connections=64)},
    }
    told["options"]["auth"] = told["options"]["auth"] and tuple(told["options"]["auth"])
    client = Client(told["url"], max_per_second=None, **doors[told["door"]](), **told["options"])
    pairs = [Pair(Userid(source), Userid(target)) for source, target in told["pairs"]]
    found: list[Any] = [None] * len(pairs)
    async with client:
        if told["warm"]:
            await client.check(pairs[0].source, pairs[0].target)
        taken = fill()
        for _ in range(told["room"]):
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
    told = json.load(sys.stdin)
    json.dump(anyio.run(main, told, backend=told["loop"]), sys.stdout)
