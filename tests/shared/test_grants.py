"""What the store grants: the scripts in a real Redis, whose time the test decides, and the leases of many processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_server import RedisServer, check_windows

from aioconnections import RedisShared
from aioconnections.policy.leases import LATEST, LEASE, LeasedStarts
from aioconnections.shared import scripts
from aioconnections.shared.store import Reply, Store

EPOCH = 1_790_000_000.0
TICK = 0.004


@pytest.fixture
def world(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    for name in ("LEASE", "RETURN", "HOLD", "WENT_AWAY", "SETTLE"):
        script = getattr(scripts, name)
        assert script.count("redis.call('TIME')") == 1
        virtual = script.replace("redis.call('TIME')", "redis.call('HMGET', 'test-time', 'seconds', 'micro')")
        monkeypatch.setattr(scripts, name, virtual)
    return lambda **options: World(redis, **options)


class Process:
    """A process that uses every start as soon as it may."""

    def __init__(self, world: World, name: str, rate: float, burst: int, *, latency: float = 0.001) -> None:
        self.world = world
        self.name = name
        self.store = world.new_store()
        self.starts = LeasedStarts(rate, burst, lambda: None)
        self.latency = latency
        self.hungry = True
        self.stalled_until = 0.0
        self.arriving: list[tuple[float, Reply]] = []
        self.used: list[float] = []

    async def step(self, now: float) -> None:
        if now < self.stalled_until:
            return
        while self.arriving and self.arriving[0][0] <= now:
            _, reply = self.arriving.pop(0)
            self.starts.granted(reply.grant, now)
        if not self.hungry:
            return
        while (start := self.starts.earliest(now)) <= now:
            assert self.starts.reserve(now) == start
            self.used.append(now)
        if not self.arriving and (count := self.starts.wanted(now, 15)):
            self.starts.asked(now)
            reply = await self.world.ask(self.store, count, self.starts)
            self.arriving.append((now + self.latency, reply))


class World:
    """Processes, their store, and the time."""

    def __init__(self, redis: RedisServer, *, rate: float = 200, burst: int = 1, processes: int = 8) -> None:
        self.settings = RedisShared(redis.url, "grants")
        self.rate, self.burst = rate, burst
        self.now = 0.0
        self.shift = 0.0  # of the clock of the store
        self.granted: list[float] = []
        self.before = 0  # how many had been granted when a test looked
        self._stores: list[Store] = []
        self.control = self.new_store()
        self.redis = self.control._redis
        self.processes = [Process(self, str(number), rate, burst) for number in range(processes)]

    def new_store(self) -> Store:
        self._stores.append(Store(self.settings))
        return self._stores[-1]

    async def set_time(self) -> None:
        micro = round((EPOCH + self.now + self.shift) * 1e6)
        await self.redis.hset("test-time", mapping={"seconds": micro // 1_000_000, "micro": micro % 1_000_000})

    async def ask(self, store: Store, count: int, starts: LeasedStarts) -> Reply:
        await self.set_time()
        reply = await store.lease(count, starts.own_interval, starts.burst)
        self.granted += [start - EPOCH for start in reply.grant.starts]
        return reply

    async def restart(self) -> None:
        await self.redis.flushall()

    async def until(self, end: float) -> None:
        while self.now < end:
            for process in self.processes:
                await process.step(self.now)
            self.now += TICK

    async def aclose(self) -> None:
        for store in self._stores:
            await store.aclose()


def in_world(make: Callable[..., World], act: Callable[[World], Coroutine[Any, Any, None]], **options: Any) -> World:
    async def main() -> World:
        world = make(**options)
        await world.restart()
        try:
            await act(world)
        finally:
            await world.aclose()
        return world

    return asyncio.run(main())


def test_eight_processes_use_nearly_the_whole_rate_and_never_more(world: Callable[..., World]) -> None:
    async def act(it: World) -> None:
        await it.until(10)

    it = in_world(world, act)
    check_windows(it.granted, 200, 1)
    asked_from = min(it.granted)
    assert len([s for s in it.granted if asked_from <= s < 10]) >= 0.97 * 200 * (10 - asked_from)
    assert asked_from <= 0.3
    used = [moment for process in it.processes for moment in process.used]
    assert len(used) >= 0.97 * len([s for s in it.granted if s < 10 - LATEST])
    shares = [len(process.used) for process in it.processes]
    assert min(shares) >= 0.7 * max(shares)


@pytest.mark.parametrize("processes", [1, 2, 30])
@pytest.mark.parametrize(("rate", "burst"), [(20, 1), (100, 5), (1000, 1), (3, 2)])
def test_other_rates_and_numbers(world: Callable[..., World], processes: int, rate: float, burst: int) -> None:
    async def act(it: World) -> None:
        await it.until(4)

    it = in_world(world, act, rate=rate, burst=burst, processes=processes)
    check_windows(it.granted, rate, burst)
    begun = min(it.granted)
    assert len([s for s in it.granted if s < 4]) >= 0.97 * rate * (4 - begun)


def test_a_lower_rate_of_one_process_holds_for_all(world: Callable[..., World]) -> None:
    async def act(it: World) -> None:
        await it.until(2)
        it.processes[3].starts.change(50, it.now)
        await it.processes[3].step(it.now)
        await it.until(6)

    it = in_world(world, act)
    check_windows([s for s in it.granted if s < 2], 200, 1)
    check_windows([s for s in it.granted if s > 2.5], 50, 1)
    check_windows(it.granted, 200, 1)
    late = [s for s in it.granted if 2.5 <= s < 6]
    assert 0.97 * 50 * 3.5 <= len(late) <= 50 * 3.5 + 1
    assert all(process.starts.interval == pytest.approx(0.02) for process in it.processes)


def test_the_rate_of_a_process_that_died_holds_for_a_minute(world: Callable[..., World]) -> None:
    async def act(it: World) -> None:
        it.processes[0].starts.change(20, 0.0)
        await it.until(1)
        del it.processes[0]  # it is not heard of again
        await it.until(2)
        it.now = 70.0
        await it.until(72)

    it = in_world(world, act, processes=3)
    check_windows([s for s in it.granted if s < 60], 20, 1)
    check_windows(it.granted, 200, 1)
    assert len([s for s in it.granted if 71 <= s < 72]) >= 194


def test_two_processes_that_are_killed_take_a_lease_with_them_at_most(world: Callable[..., World]) -> None:
    async def act(it: World) -> None:
        await it.until(2)
        del it.processes[2:4]
        await it.until(6)

    it = in_world(world, act)
    check_windows(it.granted, 200, 1)
    assert len([s for s in it.granted if 2 <= s < 6]) >= 0.97 * 800


def test_a_store_that_lost_everything_grants_nothing_that_may_have_been_granted_before(
    world: Callable[..., World],
) -> None:
    async def act(it: World) -> None:
        await it.until(2)
        it.before = len(it.granted)
        await it.restart()
        await it.until(5)

    for burst in (1, 10):
        it = in_world(world, act, burst=burst)
        check_windows(it.granted, 200, burst)
        assert min(s for s in it.granted[it.before :]) >= 2 + LEASE + 1 / 200 - 1e-6
        assert len([s for s in it.granted if 3 <= s < 5]) >= 0.97 * 400


def test_an_empty_store_waits_one_lease(world: Callable[..., World]) -> None:
    async def act(it: World) -> None:
        await it.until(1)

    it = in_world(world, act, rate=10, processes=1)
    assert min(it.granted) == pytest.approx(LEASE + 0.1, abs=0.01)


@pytest.mark.parametrize("jump", [-3600.0, -0.5, 0.5, 3600.0])
def test_a_clock_that_is_set_costs_little_and_grants_no_burst(world: Callable[..., World], jump: float) -> None:
    async def act(it: World) -> None:
        await it.until(1)
        it.before = len(it.granted)
        it.shift = jump
        await it.until(2)

    it = in_world(world, act)
    used = sorted(moment for process in it.processes for moment in process.used)
    window = [moment for moment in used if 0.95 <= moment < 1.45]
    assert len(window) <= 0.5 * 200 + 2 * LEASE * 200  # those of both clocks, once
    assert len([moment for moment in used if 1.5 <= moment < 2]) >= 90


def test_starts_that_are_given_back_are_granted_to_others(world: Callable[..., World]) -> None:
    async def act(it: World) -> None:
        await it.until(1)
        for process in it.processes[:4]:
            process.hungry = False
            unused = process.starts.take_unused(it.now)
            await it.set_time()
            await process.store.give_back(unused, process.starts.granted_interval)
            for start in unused:
                it.granted.remove(min(it.granted, key=lambda s, start=start: abs(s - start + EPOCH)))  # type: ignore[misc] # ours
        await it.until(3)

    it = in_world(world, act)
    check_windows(it.granted, 200, 1)
    assert len([s for s in it.granted if s < 3]) >= 0.97 * 200 * (3 - min(it.granted))


def test_starts_of_another_rate_are_not_given_back(world: Callable[..., World]) -> None:
    async def act(it: World) -> None:
        one, other = it.processes
        await it.until(1)
        unused = one.starts.take_unused(it.now)
        assert unused
        other.starts.change(20, it.now)
        one.hungry = False
        await it.until(1.3)
        await it.set_time()
        await one.store.give_back([start + 1 for start in unused], 1 / 200)
        assert not await it.redis.exists("{grants}:spare")
        await it.until(4)

    it = in_world(world, act, processes=2)
    check_windows([s for s in it.granted if s > 1.5], 20, 1)


def test_a_pause_stops_all(world: Callable[..., World]) -> None:
    async def act(it: World) -> None:
        await it.until(2)
        await it.set_time()
        await it.processes[5].store.hold(3.0)
        reply = await it.ask(it.processes[1].store, 0, it.processes[1].starts)
        assert reply.held == pytest.approx(3.0, abs=0.01)
        it.before = len(it.granted)
        await it.processes[2].store.hold(1.0)  # a shorter one changes nothing
        await it.until(7)

    it = in_world(world, act)
    after = it.granted[it.before :]
    assert min(after) >= 5.0
    check_windows(it.granted, 200, 1)
    assert len([s for s in after if s < 7]) >= 0.97 * 400


def test_an_outage_is_told_to_the_others_and_not_to_the_one_who_found_it(world: Callable[..., World]) -> None:
    async def act(it: World) -> None:
        await it.until(1)
        one, other, late = it.processes
        await it.set_time()
        await one.store.went_away()
        assert (await it.ask(one.store, 0, one.starts)).away == 0
        heard = await it.ask(other.store, 5, other.starts)
        assert heard.away > 0
        assert heard.grant.starts == ()
        assert heard.grant.wait == pytest.approx(1.0, abs=0.01)
        it.now = 8.0
        assert (await it.ask(late.store, 5, late.starts)).away == 0  # long ago

    in_world(world, act, processes=3)


def test_every_key_expires_and_has_the_hash_tag(world: Callable[..., World]) -> None:
    async def act(it: World) -> None:
        await it.until(1)
        store, starts = it.processes[0].store, it.processes[0].starts
        await store.give_back(starts.take_unused(it.now), starts.granted_interval)
        await store.hold(1)
        await store.went_away()
        await store.claim("abc", 1)
        await store.settle("abd", "refused:401", 900)
        keys = sorted(key if isinstance(key, str) else key.decode() for key in await it.redis.keys("*"))
        names = ["clients", "login:abc", "login:abd", "rates", "spare", "state", "waiting"]
        assert keys == ["test-time", *("{grants}:" + name for name in names)]
        for key in keys[1:]:
            assert await it.redis.pttl(key) > 0, key
        await store.leave()
        assert await it.redis.hlen("{grants}:rates") == 7

    in_world(world, act)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([5, 30, 200, 700]),
    burst=st.sampled_from([1, 1, 3, 20]),
    count=st.integers(1, 9),
)
def test_whatever_happens_no_window_holds_too_many(
    world: Callable[..., World], seed: int, rate: float, burst: int, count: int
) -> None:
    """Processes stall, die, are added, lose replies, give starts back, and the store loses all that it knows."""
    chance = Random(seed)

    async def act(it: World) -> None:
        for _ in range(12):
            await it.until(it.now + chance.choice([0.0, 0.05, 0.3]))
            process = chance.choice(it.processes)
            match chance.randrange(7):
                case 0:
                    process.stalled_until = it.now + chance.choice([0.01, 0.1, 0.5])
                case 1 if len(it.processes) > 1:
                    it.processes.remove(process)
                case 2:
                    it.processes.append(Process(it, "new", rate, burst, latency=chance.choice([0.0, 0.004, 0.1])))
                case 3:
                    process.arriving.clear()
                case 4:
                    unused = process.starts.take_unused(it.now)
                    await it.set_time()
                    await process.store.give_back(unused, process.starts.granted_interval)
                    for start in unused:
                        it.granted.remove(min(it.granted, key=lambda s, start=start: abs(s - start + EPOCH)))  # type: ignore[misc] # ours
                case 5:
                    await it.restart()
                case _:
                    process.hungry = not process.hungry

    it = in_world(world, act, rate=rate, burst=burst, processes=count)
    check_windows(it.granted, rate, burst)
