"""An hour without the server, on virtual time: what it costs, and how fast the run is back."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx
import pytest
import trio
from doors import client_of, on_virtual_time
from simulation.worlds import World, without_end

from aioconnections import (
    ConnectFailedError,
    Failed,
    InvalidInputError,
    ServerUnavailableError,
    Status,
    Timeouts,
    Unprocessed,
    Userid,
)

pytestmark = pytest.mark.slow

AWAY, BACK = 60.0, 60.0 + 3600.0
RATE = 50.0


async def refused() -> httpx.Response:
    raise httpx.ConnectError("refused")


async def unavailable() -> httpx.Response:
    await trio.sleep(0.02)
    return httpx.Response(503)


async def black_hole() -> httpx.Response:
    await trio.sleep_forever()
    raise AssertionError


async def bad_gateway() -> httpx.Response:
    await trio.sleep(0.02)
    return httpx.Response(502)


def away(how: Callable[[], Awaitable[httpx.Response]]) -> Callable[[float], Awaitable[httpx.Response | None]]:
    async def fail(now: float) -> httpx.Response | None:
        return await how() if AWAY <= now < BACK else None

    return fail


@pytest.mark.parametrize("how", [refused, unavailable, black_hole, bad_gateway])
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.full)])
def test_an_hour_of_total_outage_costs_little_and_nothing_is_lost(
    how: Callable[[], Awaitable[httpx.Response]], seed: int
) -> None:
    async def main() -> None:
        world = World(away(how))
        client = client_of(world, max_per_second=RATE, timeouts=Timeouts(outage=None), rng=random.Random(seed))
        async with client, client.check_many(without_end()) as outcomes:
            async for outcome in outcomes:
                assert not isinstance(outcome, Failed | Unprocessed), outcome
                if world.time >= BACK + 120:
                    break
            stats = client.stats()
        during = world.between(AWAY, BACK)
        items = len(set(during))
        probes = [when for when in world.others if AWAY <= when < BACK]
        assert len(during) + len(probes) <= 1.1 * items + 35 + 130
        assert len(probes) <= 130
        assert items <= 16 * 4
        assert stats.retries <= 35 + 0.1 * stats.responses[200] + 16
        before = len(world.between(0, AWAY)) / AWAY
        after = [len(world.between(BACK + start, BACK + start + 10)) / 10 for start in range(0, 60, 10)]
        assert max(after) >= 0.9 * before, after
        assert len(world.between(BACK + 60, BACK + 120)) / 60 >= 0.9 * before

    on_virtual_time(main)


def test_a_run_that_has_waited_long_enough_stops_and_accounts_for_everything() -> None:
    async def main() -> None:
        world = World(away(refused))
        client = client_of(world, max_per_second=RATE, timeouts=Timeouts(outage=300))
        async with client, client.check_many(without_end()) as outcomes:
            found = [outcome async for outcome in outcomes]
        assert isinstance(outcomes.stopped, ServerUnavailableError)
        assert AWAY + 300 <= world.time <= AWAY + 330
        assert outcomes.tally.read == len(found)
        assert outcomes.tally.in_flight == 0
        kinds = Counter(type(outcome).__name__ for outcome in found)
        assert 0 < kinds["Failed"] + kinds["Unprocessed"] <= 16
        for outcome in found:
            if isinstance(outcome, Failed):
                assert isinstance(outcome.error, ServerUnavailableError | ConnectFailedError)

    on_virtual_time(main)


def test_a_single_call_waits_no_longer_than_an_item_may_take_and_is_answered_when_the_server_is_back() -> None:
    async def main() -> None:
        world = World(away(refused))
        client = client_of(world, verify_login=False, max_attempts=10)
        async with client:
            await trio.sleep(AWAY)
            began = world.time
            with pytest.raises((ServerUnavailableError, ConnectFailedError)):
                await client.check(Userid("a"), Userid("b"))
            assert world.time - began <= 60.001
            asked = len(world.checks)
            with pytest.raises((ServerUnavailableError, ConnectFailedError)):
                await client.check(Userid("a"), Userid("b"))
            assert world.time - began <= 120.001
            assert len(world.checks) == asked, "while it is known to be away nothing but probes goes out"
            await trio.sleep(BACK - world.time)
            assert await client.check(Userid("a"), Userid("b")) is Status.ACCEPTED
            assert world.time <= BACK + 40

    on_virtual_time(main)


def test_a_login_is_proved_again_after_an_outage_before_a_404_is_believed() -> None:
    async def main() -> None:
        world = World(away(refused))
        client = client_of(world, max_per_second=RATE, timeouts=Timeouts(outage=None))
        async with client, client.check_many(without_end()) as outcomes:
            async for _ in outcomes:
                if world.time >= BACK + 60:
                    break
        back = [when for when in world.others if when >= BACK]
        first = next(when for when, _ in world.checks if when >= BACK)
        assert len([when for when in back if when <= first]) >= 2  # the probe, and then the canary

    on_virtual_time(main)


def test_one_broken_connection_costs_one_canary_and_no_pause() -> None:
    async def main() -> None:
        broken = iter([1.0, 2.0, 3.0])
        following = next(broken)

        async def fail(now: float) -> httpx.Response | None:
            nonlocal following
            if now >= following:
                following = next(broken, float("inf"))
                raise httpx.ReadError("reset")
            return None

        world = World(fail)
        client = client_of(world, max_per_second=RATE)
        async with client, client.check_many(without_end()) as outcomes:
            async for outcome in outcomes:
                assert not isinstance(outcome, Failed)
                if world.time >= 10:
                    break
        assert 4 <= len(world.others) <= 7
        assert len(world.checks) >= 0.97 * RATE * 10

    on_virtual_time(main)


@pytest.mark.parametrize("max_outage", [-1, float("nan")])
def test_how_long_to_wait_is_a_number_of_seconds(max_outage: float) -> None:
    async def main() -> None:
        with pytest.raises(InvalidInputError):
            client_of(World(), timeouts=Timeouts(outage=max_outage))

    on_virtual_time(main)
