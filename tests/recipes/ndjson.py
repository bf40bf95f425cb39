"""A bulk check as a stream of JSON lines, for the response of any ASGI framework on asyncio."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping

import anyio

from aioconnections import Client, pairs_from


async def lines(client: Client, rows: Iterable[Mapping[str, str]]) -> AsyncIterator[str]:
    """A line for each row with the e-mail addresses "source" and "target", then one that says why the run stopped.

    A response without this last line is incomplete. The server is asked as fast as the browser reads. If the browser
    goes away, the run ends. The run has a task of its own, because a framework may close this generator in any task,
    and a run must be left in the task that entered it.
    """
    sender, receiver = anyio.create_memory_object_stream[str]()  # stores nothing, so a slow browser stops the run

    async def check() -> None:
        with sender:
            async with client.check_many(pairs_from(rows, kind="email")) as run:
                async for outcomes in run.batches():
                    await sender.send("".join(json.dumps(outcome.as_dict()) + "\n" for outcome in outcomes))
            stopped = None if run.stopped is None else str(run.stopped)
            await sender.send(json.dumps({"outcome": "end", "read": run.tally.read, "stopped": stopped}) + "\n")

    task = asyncio.create_task(check())
    try:
        with receiver:
            async for text in receiver:
                yield text
        await task  # raises what has ended the run
    finally:
        task.cancel()
