"""How a bulk run ends before its source does: by leaving the block, by cancelling, by a defect."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import anyio.lowlevel
import httpx
import pytest
from doors import Script, client_of, collect, connected, number_of, pairs, status

from aioconnections import Client, Pair, Unprocessed, UsageError
from aioconnections.bulk import run

pytestmark = pytest.mark.anyio


async def test_leaving_the_block_early_cancels_what_is_under_way() -> None:
    cancelled = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal cancelled
        if number_of(request) == 0:
            return status("accepted")
        try:
            await anyio.sleep_forever()
        except BaseException:
            cancelled += 1
            raise
        raise AssertionError

    script = Script(answer)
    async with client_of(script, max_connections=6) as client:  # one is left to single calls
        async with client.check_many(pairs(1000)) as outcomes:
            async for _ in outcomes:
                await anyio.wait_all_tasks_blocked()
                break
        assert script.under_way == 0
        assert cancelled == 5
        assert outcomes.tally.in_flight == 0
        assert {type(outcome) for outcome in outcomes.undelivered} == {Unprocessed}
        assert sorted(outcome.index for outcome in outcomes.undelivered) == list(range(1, outcomes.tally.read))
        with pytest.raises(UsageError):
            await anext(outcomes)
    assert script.closed


async def test_the_source_remains_the_callers() -> None:
    closed = []

    async def source() -> AsyncGenerator[Pair, None]:
        try:
            for pair in pairs(40):
                yield pair
        finally:
            closed.append("now")

    async with client_of(Script(connected), max_connections=2) as client, aclosing(source()) as items:
        async with client.check_many(items) as outcomes:
            async for _ in outcomes:
                break
        async with client.check_many(items) as rest:
            assert len([outcome async for outcome in rest]) == 40 - outcomes.tally.read
    assert closed == ["now"]


@pytest.mark.parametrize("ordered", [False, True])
async def test_a_defect_is_raised_after_every_other_outcome(*, ordered: bool) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        if number_of(request) == 5:
            raise ZeroDivisionError
        return status("accepted")

    seen: list[int] = []
    async with client_of(Script(answer)) as client, client.check_many(pairs(100), ordered=ordered) as outcomes:
        with pytest.raises(ZeroDivisionError):
            await collect(outcomes, seen)
    assert 5 not in seen
    assert len(seen) == outcomes.tally.checked == outcomes.tally.read - 1
    assert max(seen) > 5
    assert not ordered or seen == sorted(seen)


async def test_an_exception_in_the_block_passes_unchanged() -> None:
    async def divide(client: Client) -> None:
        async with client.check_many(pairs(1000)) as outcomes:
            async for outcome in outcomes:
                outcome.index / 0  # raises

    async with client_of(Script(connected)) as client:
        with pytest.raises(ZeroDivisionError):
            await divide(client)


async def test_a_cancelled_run_leaves_nothing_behind() -> None:
    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    script = Script(answer)
    async with client_of(script) as client:
        with anyio.move_on_after(0.05) as scope:
            async with client.check_many(pairs(1000)) as outcomes:
                async for _ in outcomes:
                    pass
        assert scope.cancelled_caught
        assert script.under_way == 0
        assert await anyio.to_thread.run_sync(lambda: "the loop goes on") == "the loop goes on"


async def test_a_run_that_is_cancelled_while_items_are_parked_is_done_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        if number_of(request) > 100 and number_of(request) % 2:
            await anyio.sleep_forever()
        return httpx.Response(404, headers={"content-type": "text/html"})

    async def consume() -> None:
        with pytest.raises(UsageError):
            await collect(outcomes, seen)
        ended.append("now")

    monkeypatch.setattr(run, "_MAX_PARKED", 20)  # a full parking asks for a canary at once
    seen: list[int] = []
    ended: list[str] = []
    async with client_of(Script(answer), max_connections=4) as client, anyio.create_task_group() as tasks:
        outcomes = client.check_many(pairs(1000))
        with anyio.CancelScope() as scope:
            async with outcomes:
                tasks.start_soon(consume)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
                await anyio.sleep_forever()
        await anyio.wait_all_tasks_blocked()
        assert len(seen) > 80
        assert ended
        assert repr(outcomes).startswith("Outcomes(done, ")
