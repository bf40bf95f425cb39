"""Celery: tasks are synchronous, so each worker process has an event loop in a thread, and one client in that loop.

Start it with ``celery --app celery_tasks worker``.
"""

import os
from contextlib import ExitStack

from anyio.from_thread import BlockingPortal, start_blocking_portal
from celery import Celery, Task
from celery.signals import worker_process_init, worker_process_shutdown

from aioconnections import Client, ConnectionsError, Email, http_headers, http_status

REDIS = os.environ["REDIS_URL"]
app = Celery("celery_tasks", broker=REDIS, backend=REDIS)


class Process:
    """What one worker process holds; nothing before the fork."""

    stack: ExitStack
    portal: BlockingPortal
    client: Client


@worker_process_init.connect
def start(**_: object) -> None:
    """Open the client. The login is the worker's own: arguments of tasks are stored by the broker."""
    login = os.environ["AIOCONNECTIONS_USER"], os.environ["AIOCONNECTIONS_PASSWORD"]
    client = Client(os.environ["AIOCONNECTIONS_URL"], auth=login, max_connections=4, max_per_second=25)
    Process.stack = ExitStack()
    Process.portal = Process.stack.enter_context(start_blocking_portal())
    Process.client = Process.stack.enter_context(Process.portal.wrap_async_context_manager(client))


@worker_process_shutdown.connect
def stop(**_: object) -> None:
    """Close the connections and the loop."""
    Process.stack.close()


@app.task(bind=True, max_retries=5)
def status(self: "Task[[str, str], str]", source: str, target: str) -> str:
    """The status between two people, by e-mail address; asked again later if the server is away or slow."""
    try:
        return Process.portal.call(ask, Email(source), Email(target))
    except ConnectionsError as error:
        if http_status(error) not in {503, 504}:  # 504 of a change may be in doubt: do not repeat it in this way
            raise
        raise self.retry(exc=error, countdown=int(http_headers(error).get("Retry-After", "5"))) from None


async def ask(source: Email, target: Email) -> str:
    """One check, in the event loop of the process."""
    return await Process.client.check(source, target, timeout=10) or "none"
