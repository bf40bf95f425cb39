"""Bulk checks through the public surface: every item accounted for, bounded, and gone when the block is left."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator

import anyio
import anyio.lowlevel
import httpx
import pytest
from doors import Script, client_of, collect, connected, no_connection, number_of, pairs, status

from aioconnections import (
    AuthenticationError,
    BadRequestError,
    Checked,
    Failed,
    InvalidInputError,
    Pair,
    Rejected,
    ServerError,
    Status,
    Unprocessed,
    UsageError,
    Userid,
)

pytestmark = pytest.mark.anyio


async def test_a_pair_may_be_a_tuple_and_the_item_stays_what_it_was() -> None:
    items: list[tuple[Userid, Userid] | Pair] = [(Userid("a"), Userid("b")), Pair(Userid("c"), Userid("d"))]
    async with client_of(Script(connected)) as client, client.check_many(items) as outcomes:
        found = {outcome.index: outcome async for outcome in outcomes}
    assert found[0].item is items[0]
    assert found[0].pair == Pair(Userid("a"), Userid("b"))
    assert found[1].item is found[1].pair is items[1]


async def test_every_item_gets_one_outcome_and_the_tally_adds_up() -> None:
    words = ["accepted", "pending", "unconfirmed"]

    async def answer(request: httpx.Request) -> httpx.Response:
        number = number_of(request) % 4
        return no_connection() if number == 3 else status(words[number])

    async with client_of(Script(answer)) as client, client.check_many(pairs(400)) as outcomes:
        seen = []
        async for outcome in outcomes:
            tally = outcomes.tally
            assert tally.read == tally.in_flight + tally.checked + tally.rejected + tally.failed + tally.unprocessed
            assert isinstance(outcome, Checked)
            expected = None if outcome.index % 4 == 3 else Status(words[outcome.index % 4])
            assert outcome.status is expected
            assert outcome.attempts == 1
            seen.append(outcome.index)
    assert sorted(seen) == list(range(400))
    assert outcomes.stopped is None
    assert outcomes.tally.by_status == dict.fromkeys((*Status, None), 100)
    assert (outcomes.tally.read, outcomes.tally.in_flight) == (400, 0)


@pytest.mark.parametrize("ordered", [False, True])
async def test_the_source_is_never_read_further_ahead_than_the_window(*, ordered: bool) -> None:
    read = given = 0
    furthest = 0

    def source() -> Iterator[Pair]:
        nonlocal read, furthest
        for pair in pairs(300):
            read += 1
            furthest = max(furthest, read - given)
            yield pair

    script = Script(connected)
    client = client_of(script, max_connections=5)  # one is left to single calls
    async with client, client.check_many(source(), ordered=ordered) as outcomes:
        async for _ in outcomes:
            for _ in range(20):  # a slow consumer: the workers have all the time they want
                await anyio.lowlevel.checkpoint()
            given += 1
    assert given == 300
    assert furthest <= 8 + 1  # the item that was just given counts as given only after the loop's body
    assert script.most == 4


async def test_ordered_keeps_the_order_of_the_source() -> None:
    chance = random.Random(5)

    async def answer(request: httpx.Request) -> httpx.Response:  # noqa: ARG001 # any
        for _ in range(chance.randrange(12)):
            await anyio.lowlevel.checkpoint()
        return status("pending")

    async with client_of(Script(answer)) as client, client.check_many(pairs(300), ordered=True) as outcomes:
        assert [outcome.index async for outcome in outcomes] == list(range(300))


async def test_without_ordered_a_slow_answer_holds_up_nobody() -> None:
    release = anyio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if number_of(request) == 0:
            await release.wait()
        return status("pending")

    order = []
    async with client_of(Script(answer)) as client, client.check_many(pairs(50)) as outcomes:
        async for outcome in outcomes:
            order.append(outcome.index)
            if len(order) == 49:
                release.set()
    assert order[-1] == 0


async def test_a_bad_item_fails_alone() -> None:
    same = (Userid("x"), Userid("x"))
    items: list[object] = [*pairs(3), same, "a,b", (Userid("a"),), ("a", "b"), None]
    async with client_of(Script(connected)) as client, client.check_many(items) as outcomes:  # type: ignore[arg-type] # a call that type checkers must refuse
        found = {outcome.index: outcome async for outcome in outcomes}
    assert len(found) == 8
    for index in range(3, 8):
        outcome = found[index]
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, InvalidInputError)
        assert (outcome.item, outcome.pair, outcome.attempts) == (items[index], None, 0)
    assert outcomes.tally.failed == 5


async def test_a_source_may_say_why_it_has_no_pair() -> None:
    why = InvalidInputError("line 2: no target")
    items: list[object] = [*pairs(1), why, *pairs(1)]
    async with client_of(Script(connected)) as client, client.check_many(items, ordered=True) as outcomes:  # type: ignore[arg-type] # a call that type checkers must refuse
        first, none, last = [outcome async for outcome in outcomes]
    assert (type(first), type(last)) == (Checked, Checked)
    assert isinstance(none, Failed)
    assert none.error is none.item is why


async def test_the_servers_verdict_is_rejected_and_a_failing_server_is_failed() -> None:
    answers = {0: 400, 1: 403, 2: 500, 3: 418}

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(answers.get(number_of(request), 404), headers={"content-type": "text/xml"})

    async with client_of(Script(answer)) as client, client.check_many(pairs(5), ordered=True) as outcomes:
        bad, forbidden, broken, teapot, none = [outcome async for outcome in outcomes]
    assert isinstance(bad, Rejected)
    assert isinstance(bad.error, BadRequestError)
    assert isinstance(forbidden, Rejected)
    assert isinstance(broken, Failed)
    assert isinstance(broken.error, ServerError)
    assert isinstance(teapot, Failed)
    assert isinstance(none, Checked)
    assert none.status is None


async def test_a_source_that_raises_is_heard_after_all_that_was_read() -> None:
    def source() -> Iterator[Pair]:
        yield from pairs(30)
        raise LookupError("the file ends here")

    seen: list[int] = []
    async with client_of(Script(connected)) as client, client.check_many(source()) as outcomes:
        with pytest.raises(LookupError, match="the file ends here"):
            await collect(outcomes, seen)
    assert sorted(seen) == list(range(30))
    assert outcomes.tally.checked == outcomes.tally.read == 30


async def test_an_async_source() -> None:
    async def source() -> AsyncIterator[Pair]:
        for pair in pairs(100):
            await anyio.lowlevel.checkpoint()
            yield pair

    async with client_of(Script(connected)) as client, client.check_many(source(), ordered=True) as outcomes:
        assert [outcome.index async for outcome in outcomes] == list(range(100))


async def test_an_async_source_that_raises() -> None:
    async def source() -> AsyncIterator[Pair]:
        for pair in pairs(7):
            yield pair
        raise LookupError("gone")

    seen: list[int] = []
    async with client_of(Script(connected)) as client, client.check_many(source()) as outcomes:
        with pytest.raises(LookupError, match="gone"):
            await collect(outcomes, seen)
    assert sorted(seen) == list(range(7))


@pytest.mark.parametrize("consumed", [0, 1, 10])
async def test_an_async_source_is_read_by_one_task_and_no_further_than_the_window(*, consumed: int) -> None:
    read = 0
    readers = set()

    async def source() -> AsyncIterator[Pair]:
        nonlocal read
        for pair in pairs(100):
            readers.add(anyio.get_current_task().id)
            read += 1
            yield pair

    async with client_of(Script(connected), max_connections=4) as client, client.check_many(source()) as outcomes:
        for _ in range(consumed):
            await anext(outcomes)
        await anyio.wait_all_tasks_blocked()
        assert consumed + 4 <= read == outcomes.tally.read <= consumed + 2 * 4
        assert len(readers) == 1
    assert len(outcomes.undelivered) == read - consumed


async def test_a_silent_source_delays_no_item_before_it() -> None:
    async def source() -> AsyncIterator[Pair]:
        for pair in pairs(7):
            yield pair
        await seen_all.wait()
        for pair in pairs(3):
            yield pair

    seen_all = anyio.Event()
    seen: list[int] = []
    async with client_of(Script(connected), max_connections=2) as client, client.check_many(source()) as outcomes:
        with anyio.fail_after(10):
            async for outcome in outcomes:
                seen.append(outcome.index)
                if len(seen) == 7:
                    seen_all.set()
    assert sorted(seen) == list(range(10))


async def test_a_source_that_never_waits_fills_no_window_of_any_size() -> None:
    async def endless() -> AsyncIterator[Pair]:
        while True:
            for pair in pairs(1):
                yield pair

    async with client_of(Script(connected), max_connections=10**9) as client, client.check_many(endless()) as outcomes:
        for _ in range(3):
            await anext(outcomes)


async def refused(_: httpx.Request) -> httpx.Response:
    await anyio.lowlevel.checkpoint()
    return httpx.Response(401)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_login_that_goes_bad_stops_the_run_and_accounts_for_all_that_was_read(
    *, asynchronous: bool, ordered: bool
) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        return await (refused(request) if number_of(request) >= 50 else connected(request))

    script = Script(answer)
    client = client_of(script, max_connections=8)
    read = 0

    def source() -> Iterator[Pair]:
        nonlocal read
        for pair in pairs(10_000):
            read += 1
            yield pair

    async def in_a_task() -> AsyncIterator[Pair]:
        for pair in source():
            yield pair

    items = in_a_task() if asynchronous else source()
    async with client, client.check_many(items, ordered=ordered) as outcomes:
        found = [outcome async for outcome in outcomes]
        assert isinstance(outcomes.stopped, AuthenticationError)
        with pytest.raises(AuthenticationError):
            await client.check(Userid("a"), Userid("b"))
    assert read == len(found) == outcomes.tally.read < 50 + 2 * 8 + 1
    assert {outcome.index for outcome in found} == set(range(read))
    assert sum(isinstance(outcome, Checked) for outcome in found) == 50
    refusals = [outcome for outcome in found if isinstance(outcome, Failed)]
    assert 1 <= len(refusals) <= 8  # at most those that were in flight
    assert all(isinstance(outcome.error, AuthenticationError) for outcome in refusals)
    assert all(isinstance(outcome, Checked | Failed | Unprocessed) for outcome in found)
    assert len(script.asked) == 50 + len(refusals)


async def test_a_wrong_password_costs_one_request_and_reads_nothing() -> None:
    script = Script(connected, canary=lambda _: httpx.Response(401))
    async with client_of(script, max_connections=64) as client, client.check_many(pairs(10_000)) as outcomes:
        assert [outcome async for outcome in outcomes] == []
    assert isinstance(outcomes.stopped, AuthenticationError)
    assert outcomes.tally.read == 0
    assert script.seen.total() == 1


async def test_a_silent_source_does_not_keep_a_stopped_run_alive() -> None:
    async def source() -> AsyncIterator[Pair]:
        for pair in pairs(3):
            yield pair
        await anyio.sleep_forever()

    async with client_of(Script(refused)) as client, client.check_many(source()) as outcomes:
        found = [outcome async for outcome in outcomes]
    assert isinstance(outcomes.stopped, AuthenticationError)
    assert outcomes.tally.read == len(found) >= 1


async def test_misuse_is_told() -> None:
    client = client_of(Script(connected))
    with pytest.raises(UsageError, match="async with"):
        client.check_many([])
    async with client:
        with pytest.raises(InvalidInputError, match="iterable"):
            client.check_many(5)  # type: ignore[arg-type] # a call that type checkers must refuse
        with pytest.raises(InvalidInputError, match="iterable"):
            client.check_many("a,b")  # type: ignore[arg-type] # a call that type checkers must refuse
        outcomes = client.check_many(pairs(1))
        with pytest.raises(UsageError, match="block"):
            await anext(outcomes)
        async with outcomes:
            with pytest.raises(UsageError, match="once"):
                await outcomes.__aenter__()
    with pytest.raises(UsageError, match="closed"):
        client.check_many([])


async def test_two_tasks_cannot_read_one_run() -> None:
    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    run = client_of(Script(answer))
    async with run as client, client.check_many(pairs(9)) as outcomes, anyio.create_task_group() as tasks:
        tasks.start_soon(anext, outcomes)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(UsageError, match="one task"):
            await anext(outcomes)
        tasks.cancel_scope.cancel()


async def test_an_empty_source() -> None:
    async with client_of(Script(connected)) as client, client.check_many([]) as outcomes:
        assert [outcome async for outcome in outcomes] == []
    assert outcomes.stopped is None
    assert "done" in repr(outcomes)


async def test_two_runs_share_the_connections() -> None:
    script = Script(connected)
    limited = client_of(script, max_connections=4)  # one is left to single calls
    async with limited as client, client.check_many(pairs(50)) as one, client.check_many(pairs(50)) as other:
        assert len([outcome async for outcome in one]) == 50
        assert len([outcome async for outcome in other]) == 50
    assert script.most == 3
