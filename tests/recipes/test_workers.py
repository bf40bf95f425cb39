"""The recipes for task queues: real workers on a real Redis, 200 tasks at once.

Their libraries are imported in the tests, because not every session of nox installs them.
"""

from __future__ import annotations

import asyncio
import gc
import re
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from backstage import Backstage, backstage
from programs import started
from redis_server import running_redis

from aioconnections import InvalidInputError
from aioconnections.reference import Fault

if TYPE_CHECKING:
    from celery import Celery

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
PATIENCE = 120  # seconds


class Workers(NamedTuple):
    """Workers, their broker, and the reference server that they ask."""

    redis: str
    behind: Backstage
    log: Path


COMMANDS = {
    "celery": ("celery", "--app", "celery_tasks", "worker", "--concurrency", "2", "--loglevel", "INFO"),
    "taskiq": ("taskiq", "worker", "taskiq_tasks:broker", "--workers", "2"),
}


@pytest.fixture
def workers(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Workers]:
    log = tmp_path / "log"
    with running_redis(tmp_path) as redis, backstage() as behind:
        login = {"AIOCONNECTIONS_USER": "admin", "AIOCONNECTIONS_PASSWORD": "secret"}
        environment = {"AIOCONNECTIONS_URL": behind.url, "REDIS_URL": redis.url, **login}
        with started(*COMMANDS[request.param], folder=HERE, environment=environment, log=log):
            yield Workers(redis.url, behind, log)


celery = pytest.mark.parametrize("workers", ["celery"], indirect=True)
taskiq = pytest.mark.parametrize("workers", ["taskiq"], indirect=True)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@celery
def test_celery(workers: Workers) -> None:
    from celery import Celery

    with Celery(broker=workers.redis, backend=workers.redis) as app:
        _ask_celery(app, workers)
        gc.collect()  # when a result is deleted, Celery 5.5 looks for Redis, which is about to end
    assert "secret" not in workers.log.read_text()


def _ask_celery(app: Celery, workers: Workers) -> None:
    questions = workers.behind.questions(200, users=20)
    results = [app.send_task("celery_tasks.status", [str(one.email), str(other.email)]) for one, other, _ in questions]
    assert [result.get(timeout=PATIENCE) for result in results] == [known for _, _, known in questions]
    with pytest.raises(InvalidInputError):
        app.send_task("celery_tasks.status", ["nobody", "ann@example.com"]).get(timeout=PATIENCE)
    assert set(re.findall(r"ForkPoolWorker-\d", workers.log.read_text())) == {"ForkPoolWorker-1", "ForkPoolWorker-2"}
    assert 2 <= len(workers.behind.connections) <= 2 * 4

    workers.behind.server.faults = [Fault("refuse", operation="check", status=503)]
    one, other, known = questions[0]
    result = app.send_task("celery_tasks.status", [str(one.email), str(other.email)])
    until(lambda: "Retry in" in workers.log.read_text())
    workers.behind.server.faults = []
    assert result.get(timeout=PATIENCE) == known


@taskiq
def test_taskiq(workers: Workers) -> None:
    from taskiq import AsyncTaskiqTask
    from taskiq.kicker import AsyncKicker
    from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

    questions = workers.behind.questions(200, users=20)
    broker = ListQueueBroker(workers.redis).with_result_backend(RedisAsyncResultBackend[str](workers.redis))

    async def begin(source: object, target: object) -> AsyncTaskiqTask[str]:
        kicker: AsyncKicker[[str, str], str] = AsyncKicker("taskiq_tasks:status", broker, {})
        return await kicker.kiq(str(source), str(target))

    async def ask() -> None:
        await broker.startup()
        try:
            tasks = await asyncio.gather(*(begin(one.email, other.email) for one, other, _ in questions))
            results = await asyncio.gather(*(task.wait_result(timeout=PATIENCE) for task in tasks))
            assert [result.return_value for result in results] == [known for _, _, known in questions]
            invalid = await (await begin("nobody", "ann@example.com")).wait_result(timeout=PATIENCE)
            assert invalid.is_err
            assert isinstance(invalid.error, InvalidInputError)
        finally:
            await broker.shutdown()

    asyncio.run(ask())
    assert 2 <= len(workers.behind.connections) <= 2 * 8
    assert "secret" not in workers.log.read_text()
