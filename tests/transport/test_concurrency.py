"""The concurrency limiter serves waiters in order, and never loses a slot."""

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
    limiter = ConcurrencyLimiter(2)
    await limiter.acquire()
    assert repr(limiter) == "ConcurrencyLimiter(1 free, 0 waiting)"
    limiter.release()
    assert repr(limiter) == "ConcurrencyLimiter(2 free, 0 waiting)"


async def test_never_more_than_the_limit_and_in_order() -> None:
    limiter, inside, most, order = ConcurrencyLimiter(3), 0, 0, list[int]()

    async def work(number: int) -> None:
        nonlocal inside, most
        await limiter.acquire()
        order.append(number)
        inside += 1
        most = max(most, inside)
        await anyio.lowlevel.checkpoint()
        inside -= 1
        limiter.release()

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(work, number)
            await settle()
    assert most <= 3
    assert order == list(range(20))
    assert repr(limiter) == "ConcurrencyLimiter(3 free, 0 waiting)"


async def test_a_later_caller_does_not_overtake_a_waiter() -> None:
    limiter, order = ConcurrencyLimiter(1), list[str]()
    await limiter.acquire()

    async def wait(name: str) -> None:
        await limiter.acquire()
        order.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, "first")
        await settle()
        limiter.release()
        tasks.start_soon(wait, "second")  # the slot has been granted to the first waiter
        await settle()
        assert order == ["first"]
        limiter.release()
    assert order == ["first", "second"]


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    limiter = ConcurrencyLimiter(1)
    await limiter.acquire()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.acquire)
        await settle()
        assert repr(limiter) == "ConcurrencyLimiter(0 free, 1 waiting)"
        tasks.cancel_scope.cancel()
    assert repr(limiter) == "ConcurrencyLimiter(0 free, 0 waiting)"
    limiter.release()
    assert repr(limiter) == "ConcurrencyLimiter(1 free, 0 waiting)"


@pytest.mark.parametrize("release_first", [True, False])
async def test_a_slot_granted_to_a_cancelled_waiter_is_not_lost(*, release_first: bool) -> None:
    limiter = ConcurrencyLimiter(1)
    await limiter.acquire()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, limiter)
        await settle()
        for step in [limiter.release, tasks.cancel_scope.cancel][:: 1 if release_first else -1]:
            step()
    assert repr(limiter) == "ConcurrencyLimiter(1 free, 0 waiting)"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancelled_asyncio_task_passes_its_granted_slot_on() -> None:
    limiter = ConcurrencyLimiter(1)
    await limiter.acquire()
    first, second = (asyncio.ensure_future(limiter.acquire()) for _ in range(2))
    await settle()
    limiter.release()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert repr(limiter) == "ConcurrencyLimiter(0 free, 0 waiting)"


async def test_no_slot_is_lost_in_a_thousand_cancellations() -> None:
    limiter = ConcurrencyLimiter(2)
    for turn in range(1000):
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(use, limiter)
            for _ in range(turn % 4):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    assert repr(limiter) == "ConcurrencyLimiter(2 free, 0 waiting)"


async def use(limiter: ConcurrencyLimiter) -> None:
    await limiter.acquire()
    try:
        await anyio.lowlevel.checkpoint()
    finally:
        limiter.release()


async def test_a_lower_limit_is_reached_as_slots_are_released() -> None:
    limiter = ConcurrencyLimiter(3)
    for _ in range(3):
        assert limiter.take()
    limiter.change(1)
    assert limiter.taken == 3
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.acquire)
        for taken in (2, 1):
            limiter.release()
            await settle()
            assert limiter.taken == taken
            assert "1 waiting" in repr(limiter)
        limiter.release()
    assert limiter.taken == 1
    assert not limiter.take()


async def test_a_higher_limit_admits_waiters() -> None:
    limiter = ConcurrencyLimiter(1)
    assert limiter.take()
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(limiter.acquire)
        await settle()
        limiter.change(3)
        await settle()
        assert repr(limiter) == "ConcurrencyLimiter(0 free, 1 waiting)"
        limiter.change(5)
    assert repr(limiter) == "ConcurrencyLimiter(1 free, 0 waiting)"


async def test_the_lower_of_limit_and_cap_applies_and_neither_changes_the_other() -> None:
    limiter = ConcurrencyLimiter(8)
    seen: list[tuple[str, int | None]] = []
    for step, limit in ((limiter.cap, 3), (limiter.change, 2), (limiter.change, 6), (limiter.cap, None)):
        step(limit)  # type: ignore[arg-type] # only `cap` accepts None
        seen.append((repr(limiter), limiter.capped))
    assert seen == [
        ("ConcurrencyLimiter(3 free, 0 waiting)", 3),
        ("ConcurrencyLimiter(2 free, 0 waiting)", 3),
        ("ConcurrencyLimiter(3 free, 0 waiting)", 3),
        ("ConcurrencyLimiter(6 free, 0 waiting)", None),
    ]


async def test_a_cap_is_reached_as_slots_are_released_and_raising_it_admits_waiters() -> None:
    limiter = ConcurrencyLimiter(4)
    for _ in range(4):
        assert limiter.take()
    limiter.cap(1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.acquire)
        for taken in (3, 2, 1):
            limiter.release()
            await settle()
            assert limiter.taken == taken
        limiter.cap(2)
    assert limiter.taken == 2
