"""Taskiq: one client for each worker process, opened and closed with it.

Start it with ``taskiq worker taskiq_tasks:broker``.
"""

import os
from typing import Annotated

from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqState
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from aioconnections import Client, Email

REDIS = os.environ["REDIS_URL"]
broker = ListQueueBroker(REDIS).with_result_backend(RedisAsyncResultBackend[str](REDIS, result_ex_time=3600))


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def start(state: TaskiqState) -> None:
    """Open the client. The login is the worker's own: arguments of tasks are stored by the broker."""
    login = os.environ["AIOCONNECTIONS_USER"], os.environ["AIOCONNECTIONS_PASSWORD"]
    client = Client(os.environ["AIOCONNECTIONS_URL"], auth=login, max_connections=8, max_per_second=50)
    state.client = await client.__aenter__()


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def stop(state: TaskiqState) -> None:
    """Close the connections."""
    await state.client.aclose()


def connections(context: Annotated[Context, TaskiqDepends()]) -> Client:
    """The client of the process."""
    client: Client = context.state.client
    return client


@broker.task
async def status(source: str, target: str, client: Annotated[Client, TaskiqDepends(connections)]) -> str:
    """The status between two people, by e-mail address."""
    return await client.check(Email(source), Email(target), timeout=30) or "none"
