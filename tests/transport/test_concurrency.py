"""The bound on what is under way: first come, first served, and no slot is ever lost."""

from __future__ import annotations

import asyncio

import anyio
import anyio.lowlevel
import pytest

from aioconnections.transport.concurrency import ConcurrencyLimiter

pytestmark = pytest.mark.anyio


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await anyio.lowlevel.checkpoint()


async def test_a_free_slot_is_taken_at_once_and_given_back() -> None:
    slots = ConcurrencyLimiter(2)
    await slots.acquire()
    assert repr(slots) == "ConcurrencyLimiter(1 free, 0 waiting)"
    slots.release()
    assert repr(slots) == "ConcurrencyLimiter(2 free, 0 waiting)"


async def test_never_more_than_the_limit_and_in_order() -> None:
    slots, inside, most, order = ConcurrencyLimiter(3), 0, 0, list[int]()

    async def work(number: int) -> None:
        nonlocal inside, most
        await slots.acquire()
        order.append(number)
        inside += 1
        most = max(most, inside)
        await anyio.lowlevel.checkpoint()
        inside -= 1
        slots.release()

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(work, number)
            await settle()
    assert most <= 3
    assert order == list(range(20))
    assert repr(slots) == "ConcurrencyLimiter(3 free, 0 waiting)"


async def test_nobody_overtakes_who_waits() -> None:
    slots, order = ConcurrencyLimiter(1), list[str]()
    await slots.acquire()

    async def wait(name: str) -> None:
        await slots.acquire()
        order.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, "first")
        await settle()
        slots.release()
        tasks.start_soon(wait, "second")  # the slot is promised already, although nobody holds it yet
        await settle()
        assert order == ["first"]
        slots.release()
    assert order == ["first", "second"]


async def test_who_is_cancelled_while_waiting_leaves_the_line() -> None:
    slots = ConcurrencyLimiter(1)
    await slots.acquire()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(slots.acquire)
        await settle()
        assert repr(slots) == "ConcurrencyLimiter(0 free, 1 waiting)"
        tasks.cancel_scope.cancel()
    assert repr(slots) == "ConcurrencyLimiter(0 free, 0 waiting)"
    slots.release()
    assert repr(slots) == "ConcurrencyLimiter(1 free, 0 waiting)"


@pytest.mark.parametrize("release_first", [True, False])
async def test_a_slot_that_comes_together_with_the_cancellation_is_not_lost(*, release_first: bool) -> None:
    slots = ConcurrencyLimiter(1)
    await slots.acquire()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, slots)
        await settle()
        for step in [slots.release, tasks.cancel_scope.cancel][:: 1 if release_first else -1]:
            step()
    assert repr(slots) == "ConcurrencyLimiter(1 free, 0 waiting)"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_of_asyncio_that_is_cancelled_with_its_slot_already_promised_hands_it_on() -> None:
    slots = ConcurrencyLimiter(1)
    await slots.acquire()
    first, second = (asyncio.ensure_future(slots.acquire()) for _ in range(2))
    await settle()
    slots.release()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert repr(slots) == "ConcurrencyLimiter(0 free, 0 waiting)"


async def test_no_slot_is_lost_in_a_thousand_cancellations() -> None:
    slots = ConcurrencyLimiter(2)
    for turn in range(1000):
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(use, slots)
            for _ in range(turn % 4):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    assert repr(slots) == "ConcurrencyLimiter(2 free, 0 waiting)"


async def use(slots: ConcurrencyLimiter) -> None:
    await slots.acquire()
    try:
        await anyio.lowlevel.checkpoint()
    finally:
        slots.release()


async def test_a_lower_bound_is_reached_as_slots_come_back() -> None:
    slots = ConcurrencyLimiter(3)
    for _ in range(3):
        assert slots.take()
    slots.change(1)
    assert slots.taken == 3
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(slots.acquire)
        for taken in (2, 1):
            slots.release()
            await settle()
            assert slots.taken == taken
            assert "1 waiting" in repr(slots)
        slots.release()
    assert slots.taken == 1
    assert not slots.take()


async def test_a_higher_bound_lets_in_who_waits() -> None:
    slots = ConcurrencyLimiter(1)
    assert slots.take()
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(slots.acquire)
        await settle()
        slots.change(3)
        await settle()
        assert repr(slots) == "ConcurrencyLimiter(0 free, 1 waiting)"
        slots.change(5)
    assert repr(slots) == "ConcurrencyLimiter(1 free, 0 waiting)"


async def test_the_lower_of_two_bounds_holds_and_neither_changes_the_other() -> None:
    slots = ConcurrencyLimiter(8)
    seen: list[tuple[str, int | None]] = []
    for step, bound in ((slots.cap, 3), (slots.change, 2), (slots.change, 6), (slots.cap, None)):
        step(bound)  # type: ignore[arg-type] # only a cap may be None
        seen.append((repr(slots).partition(",")[0], slots.capped))
    assert seen == [
        ("ConcurrencyLimiter(3 free", 3),
        ("ConcurrencyLimiter(2 free", 3),
        ("ConcurrencyLimiter(3 free", 3),
        ("ConcurrencyLimiter(6 free", None),
    ]


async def test_a_cap_is_reached_as_slots_come_back_and_is_lifted_for_who_waits() -> None:
    slots = ConcurrencyLimiter(4)
    for _ in range(4):
        assert slots.take()
    slots.cap(1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(slots.acquire)
        for taken in (3, 2, 1):
            slots.release()
            await settle()
            assert slots.taken == taken
        slots.cap(2)
    assert slots.taken == 2
