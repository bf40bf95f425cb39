"""Turns: who is next, what a late timer costs, and that cancellation loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from transport.faulty import StoppedClock

from aioconnections.policy.limiter import Limiter
from aioconnections.session.turns import Turns

pytestmark = pytest.mark.anyio


class World:
    """Turns on a clock that a test advances, and the names of those who got one."""

    def __init__(self, slots: int, per_second: float | None) -> None:
        self.clock = StoppedClock()
        self.turns = Turns(slots, Limiter(per_second), self.clock)
        self.granted: list[str] = []

    async def ask(self, name: str, *, in_run: bool = False) -> None:
        if not self.turns.take(self.clock.now(), in_run=in_run):
            await self.turns.wait(in_run=in_run)
        self.granted.append(name)

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await settle()


async def settle() -> None:
    for _ in range(5):
        await anyio.lowlevel.checkpoint()


async def test_single_calls_go_first_and_one_turn_of_ten_belongs_to_runs() -> None:
    world = World(100, 1.0)
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(partial(world.ask, f"run {number}", in_run=True))
        await settle()
        for number in range(25):
            tasks.start_soon(world.ask, f"single {number}")
            await settle()
        for _ in range(29):
            await world.advance(1.0)
    runs = [place for place, name in enumerate(world.granted) if name.startswith("run")]
    assert runs == [0, 10, 20, 28, 29]
    assert [name for name in world.granted if name.startswith("single")] == [f"single {n}" for n in range(25)]


@pytest.mark.parametrize(("slots", "lanes"), [(1, 1), (2, 1), (3, 2), (8, 7)])
async def test_runs_leave_one_slot(slots: int, lanes: int) -> None:
    turns = World(slots, None).turns
    taken = [turns.take(0.0, in_run=True) for _ in range(10)]
    assert taken.count(True) == turns.in_runs == lanes
    assert turns.take(0.0, in_run=False) is (slots > 1)
    assert repr(turns) == "Turns(0 free, 0 single calls and 0 of runs waiting)"


async def test_a_timer_that_is_a_little_late_costs_no_start() -> None:
    """A second of blocked event loop must not become a second of requests at once either."""
    world = World(1000, 1000.0)
    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(world.ask, str(number))
        await settle()
        assert len(world.granted) == 1
        await world.advance(0.0055)
        assert len(world.granted) == 6
        await world.advance(1.0)
        assert len(world.granted) in {16, 17}
        tasks.cancel_scope.cancel()
    assert not world.clock.timers


@pytest.mark.parametrize("in_run", [True, False])
async def test_a_cancelled_request_leaves_no_timer_and_the_next_start_to_others(*, in_run: bool) -> None:
    world = World(5, 1.0)
    await world.ask("first", in_run=in_run)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: world.ask("second", in_run=in_run))
        await settle()
        assert world.turns.due == world.clock.now() + 1.0
        tasks.cancel_scope.cancel()
    assert (world.turns.due, world.clock.timers, len(world.turns.singles), len(world.turns.runs)) == (None, [], 0, 0)
    world.clock.advance(1.0)
    assert world.turns.take(world.clock.now(), in_run=False)


@pytest.mark.parametrize("release_first", [True, False])
async def test_a_slot_granted_to_a_cancelled_request_is_not_lost(*, release_first: bool) -> None:
    world = World(1, None)
    assert world.turns.take(0.0, in_run=True)

    async def use() -> None:
        await world.turns.wait(in_run=False)
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            world.turns.release(in_run=False)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use)
        await settle()
        steps: list[Callable[[], object]] = [lambda: world.turns.release(in_run=True), tasks.cancel_scope.cancel]
        for step in steps if release_first else steps[::-1]:
            step()
    assert (world.turns.free, world.turns.in_runs) == (1, 0)


async def test_a_changed_limit_holds_at_once_for_those_who_wait() -> None:
    world = World(2, None)
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(partial(world.ask, str(number), in_run=True))
        await settle()
        assert len(world.granted) == 1
        world.turns.change(4)
        await settle()
        assert len(world.granted) == 3
        world.turns.cap(1)
        for free in (-1, 0, 0):
            world.turns.release(in_run=True)
            await settle()
            assert world.turns.free == free
        assert len(world.granted) == 4
        tasks.cancel_scope.cancel()


async def test_a_request_that_waits_for_a_start_keeps_its_turn_when_a_slot_is_released() -> None:
    world = World(3, 1.0)
    await world.ask("first")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.ask, "second")
        await settle()
        world.turns.release(in_run=False)
        assert len(world.clock.timers) == 1
        await world.advance(1.0)
        assert world.granted == ["first", "second"]
