"""Code of the caller that raises `CancelledError` although nothing is being cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import anyio.lowlevel
import httpx
import pytest
from doors import Script, client_of, collect, connected, everything, pairs

from aioconnections import CheckOutcome, Headers, Outcomes, Pair, Send, UsageError, Userid

pytestmark = pytest.mark.asyncio


def broken_off(count: int, failure: BaseException) -> Iterator[Pair]:
    yield from pairs(count)
    raise failure


async def broken_off_later(count: int, failure: BaseException) -> AsyncIterator[Pair]:
    for pair in pairs(count):
        await anyio.lowlevel.checkpoint()
        yield pair
    raise failure


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("source", [broken_off, broken_off_later])
async def test_a_source_that_raises_cancelled_error_does_not_look_like_a_complete_input(
    source: Callable[[int, BaseException], Iterator[Pair]], *, ordered: bool
) -> None:
    seen: list[int] = []
    async with client_of(Script(connected), max_connections=4) as client:
        outcomes = client.check_many(source(95, asyncio.CancelledError()), ordered=ordered)
        with pytest.raises(asyncio.CancelledError):
            async with outcomes:
                await collect(outcomes, seen)
        assert sorted(seen) == list(range(95))
        assert outcomes.tally.checked == 95
        assert outcomes.stopped is None


async def test_a_cancelled_run_is_not_taken_for_a_source_that_raised() -> None:
    async def silent() -> AsyncIterator[Pair]:
        for pair in pairs(3):
            yield pair
        await anyio.sleep_forever()

    seen: list[int] = []
    async with client_of(Script(connected)) as client:
        with anyio.CancelScope() as scope:
            async with client.check_many(silent()) as outcomes:
                async for outcome in outcomes:
                    seen.append(outcome.index)
                    if len(seen) == 3:
                        scope.cancel()
        assert scope.cancelled_caught
    assert sorted(seen) == [0, 1, 2]


async def test_a_login_that_raises_cancelled_error_ends_the_run_with_it() -> None:
    class Broken:
        async def headers(self, _send: Send, _refused: Headers | None) -> Headers:
            raise asyncio.CancelledError

    async with client_of(Script(connected), auth=Broken()) as client:
        with pytest.raises(asyncio.CancelledError):
            await everything(client.check_many(pairs(3)))
        with pytest.raises(asyncio.CancelledError):
            await everything(client.invite_many([Userid("a")], journal=None))


async def test_a_transport_that_raises_cancelled_error_ends_the_run_with_it_and_every_item_is_accounted_for() -> None:
    asked = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        if asked == 5:
            raise asyncio.CancelledError
        return await connected(request)

    seen: list[int] = []
    async with client_of(Script(answer), max_connections=2) as client:
        outcomes = client.check_many(pairs(20))
        with pytest.raises(asyncio.CancelledError):
            async with outcomes:
                await collect(outcomes, seen)
        assert sorted(seen + [outcome.index for outcome in outcomes.undelivered]) == list(range(outcomes.tally.read))


async def test_a_consumer_outside_of_the_cancelled_scope_is_told() -> None:
    async def silent() -> AsyncIterator[Pair]:
        yield Pair(Userid("a"), Userid("b"))
        await anyio.sleep_forever()

    told: list[Exception] = []

    async def consume(outcomes: Outcomes[CheckOutcome], scope: anyio.CancelScope) -> None:
        try:
            async for _ in outcomes:
                scope.cancel()
        except UsageError as error:
            told.append(error)

    async with client_of(Script(connected)) as client, anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            async with client.check_many(silent()) as outcomes:
                tasks.start_soon(consume, outcomes, scope)
                await anyio.sleep_forever()
    assert len(told) == 1
