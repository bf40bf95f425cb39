"""Servers that can do less for a while, on virtual time: what of it is used, and how much they have to refuse."""

from __future__ import annotations

import random
from collections.abc import Callable

import httpx
import pytest
import trio
from doors import client_of, no_connection, on_virtual_time, service_document
from simulation.worlds import Gateway, Queue, World, without_end

from aioconnections import Checked, Timeouts, Userid

pytestmark = pytest.mark.slow

PHASE = 60.0


def stepping(now: float) -> float:
    return 10.0 if PHASE <= now < 2 * PHASE else 100.0


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: Queue(stepping, places=20), id="queue"),
        pytest.param(lambda: Gateway(stepping), id="gateway", marks=pytest.mark.full),
    ],
)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.full)])
def test_capacity_that_steps_down_and_up_is_used_and_not_fought(make: Callable[[], World], seed: int) -> None:
    async def main() -> None:
        world = make()
        client = client_of(world, max_per_second=200, max_connections=32, rng=random.Random(seed))
        async with client, client.check_many(without_end()) as outcomes:
            async for _ in outcomes:
                if world.time >= 3 * PHASE:
                    break
        capacity = PHASE * (100 + 10 + 100)
        assert len(world.served) >= 0.85 * capacity
        assert world.refused <= 0.05 * len(world.checks)

    on_virtual_time(main)


def test_what_a_server_refuses_without_end_fails_and_is_not_asked_in_a_storm() -> None:
    async def main() -> None:
        world = Gateway(lambda _: 1e-9, burst=0.0)
        client = client_of(world, max_per_second=None, timeouts=Timeouts(outage=600))
        async with client, client.check_many(without_end()) as outcomes:
            found = [outcome async for outcome in outcomes]
        assert outcomes.stopped is not None
        assert not any(isinstance(outcome, Checked) for outcome in found)
        assert len(world.checks) <= 35 + 20 * len(world.others)

    on_virtual_time(main)


def test_a_hundred_clients_do_not_come_back_in_step() -> None:
    comebacks: list[float] = []

    class Busy(httpx.AsyncBaseTransport):
        """Says once to each client that it should come back in twenty seconds."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method != "HEAD":
                return service_document()
            user = request.headers["authorization"]
            if user not in seen:
                seen.add(user)
                return httpx.Response(503, headers={"Retry-After": "20"})
            comebacks.append(trio.current_time() - began)
            return no_connection()

    seen: set[str] = set()
    began = 0.0

    async def main() -> None:
        nonlocal began
        began = trio.current_time()

        async def use(number: int) -> None:
            client = client_of(Busy(), auth=(f"user{number}", "secret"), rng=random.Random(number))
            async with client:
                await client.check(Userid("a"), Userid("b"))

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(use, number)

    on_virtual_time(main)
    assert len(comebacks) == 100
    assert min(comebacks) >= 20
    busiest = max(sum(start <= when < start + 0.25 for when in comebacks) for start in comebacks)
    assert busiest <= 20
    assert max(comebacks) <= 25
