"""A bulk run in one call, by `collect` and `drain`, and in lists, by `batches`."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import anyio.lowlevel
import httpx
import pytest
from doors import Script, answered, client_of, connected, number_of, pairs, refusal

from aioconnections import AuthenticationError, Checked, CheckOutcome, Outcomes, Pair, Status, Unprocessed, UsageError
from aioconnections.outcomes import Tally

pytestmark = pytest.mark.anyio


async def stall(_: httpx.Request) -> httpx.Response:
    await anyio.sleep_forever()
    raise AssertionError


async def test_collect_gives_a_list() -> None:
    async with client_of(Script(connected)) as client:
        outcomes = await client.check_many(pairs(30), ordered=True).collect()
    assert [outcome.index for outcome in outcomes] == list(range(30))
    assert {type(outcome) for outcome in outcomes} == {Checked}


async def test_drain_counts() -> None:
    async with client_of(Script(connected)) as client:
        tally = await client.check_many(pairs(30)).drain()
    assert tally == Tally(read=30, checked=30, status_accepted=30)


async def test_drain_calls_a_function() -> None:
    seen: list[CheckOutcome] = []
    async with client_of(Script(connected)) as client:
        tally = await client.check_many(pairs(30), ordered=True).drain(seen.append)
    assert ([outcome.index for outcome in seen], tally.by_status[Status.ACCEPTED]) == (list(range(30)), 30)


async def test_drain_awaits_an_async_function_before_it_calls_it_again() -> None:
    seen: list[int] = []
    busy = False

    async def sink(outcome: CheckOutcome) -> None:
        nonlocal busy
        assert not busy
        busy = True
        await anyio.lowlevel.checkpoint()
        busy = False
        seen.append(outcome.index)

    async with client_of(Script(connected)) as client:
        await client.check_many(pairs(30), ordered=True).drain(sink)
    assert seen == list(range(30))


async def test_a_sink_that_raises_ends_the_run_and_the_rest_is_undelivered() -> None:
    seen: list[int] = []

    def sink(outcome: CheckOutcome) -> None:
        seen.append(outcome.index)
        if len(seen) == 3:
            raise ZeroDivisionError

    async with client_of(Script(connected)) as client:
        run = client.check_many(pairs(1000))
        with pytest.raises(ZeroDivisionError):
            await run.drain(sink)
    assert run.tally.read < 1000
    assert sorted([*seen, *(outcome.index for outcome in run.undelivered)]) == list(range(run.tally.read))


async def test_a_stopped_run_gives_what_there_is() -> None:
    source = iter(pairs(1000))
    async with client_of(Script(lambda _: answered(refusal(401)))) as client:
        run = client.check_many(source)
        outcomes = await run.collect()
    assert isinstance(run.stopped, AuthenticationError)
    assert (run.undelivered, run.tally.read) == ((), len(outcomes))
    rest = [*source]
    with run.unread() as account:
        others = [account(item) for item in rest]
    assert len(outcomes) + len(others) == 1000
    assert [outcome.index for outcome in others] == list(range(len(outcomes), 1000))
    assert [outcome.item for outcome in others] == rest
    assert {type(outcome) for outcome in others} == {Unprocessed}
    assert {outcome.as_dict()["error"] for outcome in others} == {str(run.stopped)}


async def test_the_unread_items_may_be_accounted_for_in_parts_and_with_a_reason() -> None:
    async with client_of(Script(connected)) as client:
        run = client.check_many(pairs(1))
        await run.collect()
    with run.unread("enough") as account:
        assert account("x") == Unprocessed("enough", index=1, item="x")
    with run.unread() as account:
        assert account("y") == Unprocessed("the run ended before this item was read", index=2, item="y")


async def test_the_unread_items_are_not_known_before_the_end() -> None:
    async with client_of(Script(connected)) as client:
        run = client.check_many(pairs(1))
        with pytest.raises(UsageError, match="only after its end"), run.unread():
            pass
        async with run:
            with pytest.raises(UsageError, match="only after its end"), run.unread():
                pass


async def test_a_cancelled_collect_leaves_every_outcome_in_undelivered() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        return await (connected(request) if number_of(request) < 20 else stall(request))

    script = Script(answer)
    async with client_of(script) as client:
        run = client.check_many(pairs(1000))
        with anyio.move_on_after(0.2) as scope:
            await run.collect()
        assert scope.cancelled_caught
        assert script.under_way == 0
    assert sorted(outcome.index for outcome in run.undelivered) == list(range(run.tally.read))
    assert {type(outcome) for outcome in run.undelivered} == {Checked, Unprocessed}


async def test_an_exception_of_the_source_passes_and_no_outcome_is_lost() -> None:
    def source() -> Iterator[Pair]:
        yield from pairs(5)
        raise ZeroDivisionError

    async with client_of(Script(connected)) as client:
        run = client.check_many(source(), ordered=True)
        with pytest.raises(ZeroDivisionError):
            await run.collect()
    assert [(outcome.index, type(outcome)) for outcome in run.undelivered] == [(n, Checked) for n in range(5)]


async def test_a_run_is_entered_only_once() -> None:
    async with client_of(Script(connected)) as client:
        run = client.check_many(pairs(3))
        await run.collect()
        with pytest.raises(UsageError, match="only once"):
            await run.drain()
        async with client.check_many(pairs(3)) as entered:
            with pytest.raises(UsageError, match="only once"):
                await entered.collect()
            assert len([outcome async for outcome in entered]) == 3


@pytest.mark.parametrize("ordered", [False, True])
async def test_batches_are_all_outcomes_in_lists(*, ordered: bool) -> None:
    sizes: list[int] = []
    found: list[int] = []
    async with client_of(Script(connected)) as client, client.check_many(pairs(500), ordered=ordered) as outcomes:
        async for batch in outcomes.batches():
            sizes.append(len(batch))
            found += [outcome.index for outcome in batch]
            assert len(found) + outcomes.tally.in_flight + len(outcomes.undelivered) == outcomes.tally.read
            await anyio.sleep(0.002)  # meanwhile the next ones complete
    assert found == list(range(500)) if ordered else sorted(found) == list(range(500))
    assert 1 < max(sizes) <= 2 * 16
    assert min(sizes) > 0


async def test_batches_raise_the_error_of_the_source_after_the_outcomes_before_it() -> None:
    def source() -> Iterator[Pair]:
        yield from pairs(20)
        raise LookupError("row 21")

    found: list[int] = []

    async def read(outcomes: Outcomes[CheckOutcome]) -> None:
        async for batch in outcomes.batches():
            found.extend(outcome.index for outcome in batch)

    async with client_of(Script(connected)) as client, client.check_many(source()) as outcomes:
        with pytest.raises(LookupError, match="row 21"):
            await read(outcomes)
    assert sorted(found) == list(range(20))
    assert outcomes.undelivered == ()


async def test_what_batches_leave_is_undelivered() -> None:
    async with client_of(Script(connected)) as client, client.check_many(pairs(100)) as outcomes:
        first = await anext(outcomes.batches())
    assert len(first) + len(outcomes.undelivered) == outcomes.tally.read
    with pytest.raises(UsageError):
        await anext(outcomes.batches())
