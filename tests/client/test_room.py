"""Bulk runs leave room for single calls, and single calls leave a tenth of the rate to bulk runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import httpx
import pytest
from doors import Script, client_of, number_of, on_virtual_time_of, pairs, status

from aioconnections import Client, Userid

BOTH = pytest.mark.parametrize("backend", ["asyncio", "trio"])
INTERVAL = 0.01  # seconds between two starts at the default rate
SINGLE = 10**9  # number of the source of single checks
ME = Userid(f"a{SINGLE}"), Userid("b")


class Timed(Script):
    """Responds to every check after `latency` seconds.

    Attributes:
        starts: when each check was asked, and whether it was a single one.
    """

    def __init__(self, latency: float) -> None:
        async def answer(request: httpx.Request) -> httpx.Response:
            self.starts.append((anyio.current_time(), number_of(request) == SINGLE))
            await anyio.sleep(latency)
            return status("accepted")

        super().__init__(answer)
        self.starts: list[tuple[float, bool]] = []

    def singles(self) -> list[float]:
        return [moment for moment, is_single in self.starts if is_single]


async def with_runs(client: Client, count: int, work: Callable[[], Awaitable[object]]) -> None:
    """Do `work` during `count` runs that do not end before."""

    async def run() -> None:
        async with client.check_many(pairs(10**6)) as outcomes:
            async for _ in outcomes:
                pass

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(run)
        await anyio.sleep(1)
        await work()
        tasks.cancel_scope.cancel()


@BOTH
@pytest.mark.parametrize("connections", [1, 2, 16])
def test_a_single_check_waits_at_most_one_interval_longer_during_three_runs(backend: str, connections: int) -> None:
    latency = 0.004 if connections == 1 else 0.3
    request_under_way = latency if connections == 1 else 0.0
    waits: list[float] = []

    async def main() -> None:
        script = Timed(latency)
        async with client_of(script, max_connections=connections, max_per_second=1 / INTERVAL) as client:

            async def ask() -> None:
                for turn in range(100):
                    await anyio.sleep(INTERVAL * (1 + turn % 7 / 7))  # alone, each would start at once
                    began = anyio.current_time()
                    await client.check(*ME)
                    waits.append(script.singles()[-1] - began)

            await with_runs(client, 3, ask)
        assert len(script.starts) > 200

    on_virtual_time_of(backend, main)
    assert len(waits) == 100
    assert max(waits) <= INTERVAL + request_under_way + 1e-9


@BOTH
@pytest.mark.parametrize("connections", [1, 2, 16])
@pytest.mark.parametrize("latency", [0.002, 0.5])
def test_a_run_keeps_a_tenth_of_the_starts_under_any_load_of_single_calls(
    backend: str, connections: int, latency: float
) -> None:
    async def main() -> None:
        script = Timed(latency)
        async with client_of(script, max_connections=connections, max_per_second=1 / INTERVAL) as client:

            async def ask(number: int) -> None:
                while True:
                    await client.check(ME[0], Userid(f"b{number}"))

            async def load() -> None:
                async with anyio.create_task_group() as callers:
                    for number in range(200):
                        callers.start_soon(ask, number)
                    await anyio.sleep(20)
                    callers.cancel_scope.cancel()

            await with_runs(client, 1, load)
        loaded = [is_single for _, is_single in script.starts[script.starts.index((script.singles()[0], True)) :]]
        for begin in range(0, len(loaded) - 10, 5):
            assert loaded[begin : begin + 10].count(False) >= 1
        assert loaded.count(True) >= 0.8 * len(loaded), "single calls go first"
        if latency < INTERVAL:
            assert len(loaded) >= 0.99 * 20 / INTERVAL, "the rate is used"

    on_virtual_time_of(backend, main)


@BOTH
def test_runs_leave_one_connection_to_single_calls(backend: str) -> None:
    async def main() -> None:
        async def answer(request: httpx.Request) -> httpx.Response:
            if number_of(request) != SINGLE:
                await anyio.sleep_forever()
            return status("pending")

        script = Script(answer)
        async with client_of(script, max_connections=4) as client:

            async def ask() -> None:
                began = anyio.current_time()
                assert await client.check(*ME) == "pending"
                assert anyio.current_time() == began
                assert (script.under_way, script.most) == (3, 4)

            await with_runs(client, 2, ask)

    on_virtual_time_of(backend, main)


@BOTH
def test_runs_without_single_calls_use_the_whole_rate(backend: str) -> None:
    async def main() -> None:
        script = Timed(0.001)
        async with client_of(script, max_per_second=1 / INTERVAL) as client:
            await client.check_many(pairs(1000)).drain()
        moments = [moment for moment, _ in script.starts]
        assert moments[-1] - moments[0] == pytest.approx(999 * INTERVAL)

    on_virtual_time_of(backend, main)


@BOTH
def test_a_higher_rate_holds_at_once_for_those_who_wait(backend: str) -> None:
    async def main() -> None:
        script = Timed(0.0)
        async with client_of(script, max_per_second=0.001) as client:
            await client.check_many(pairs(0)).drain()  # proves the login, which takes the first start
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(client.check, *ME)
                await anyio.sleep(1)
                client.max_per_second = 10
                began = anyio.current_time()
            assert anyio.current_time() - began < 2

    on_virtual_time_of(backend, main)
