"""How fast and how often: rate, retries and deadlines, on virtual time."""

from __future__ import annotations

import random
from collections.abc import Iterable

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio
import trio.testing
from doors import (
    Script,
    answered,
    client_of,
    on_virtual_time,
    one_after_the_other,
    status,
)

from aioconnections import (
    DeadlineError,
    ServerError,
    Status,
    ThrottledError,
    Timeouts,
    Userid,
)

A, B = Userid("a"), Userid("b")


def test_what_can_pass_is_tried_again_and_what_cannot_is_not() -> None:
    async def main() -> None:
        broken = httpx.ReadError("reset")
        script = one_after_the_other(httpx.Response(503), broken, httpx.Response(429), status("accepted"))
        async with client_of(script) as client, client.check_many([(A, B)]) as outcomes:
            (outcome,) = [outcome async for outcome in outcomes]
        assert outcome.attempts == len(script.asked) == 4
        assert 0 < outcome.elapsed < 3 * 8

        script = one_after_the_other(*(httpx.Response(503) for _ in range(9)))
        async with client_of(script) as client:
            with pytest.raises(ServerError) as caught:
                await client.check(A, B)
        assert caught.value.status == 503
        assert len(script.asked) == 4

    on_virtual_time(main)


def test_the_pause_that_the_server_asks_for_is_kept() -> None:
    async def main() -> None:
        wait = httpx.Response(429, headers={"retry-after": "20"})
        async with client_of(one_after_the_other(wait, status("accepted"))) as client:
            began = trio.current_time()
            assert await client.check(A, B) is Status.ACCEPTED
            assert trio.current_time() - began >= 20
        fraction = httpx.Response(429, headers={"retry-after": "20.5"})
        async with client_of(one_after_the_other(fraction, status("accepted"))) as client:
            began = trio.current_time()
            assert await client.check(A, B) is Status.ACCEPTED
            assert trio.current_time() - began >= 20.5
        too_long = httpx.Response(429, headers={"retry-after": "301"})
        async with client_of(one_after_the_other(too_long)) as client:
            with pytest.raises(ThrottledError) as caught:
                await client.check(A, B)
            assert caught.value.retry_after == 301

    on_virtual_time(main)


def test_an_item_has_a_deadline_over_all_of_its_attempts_and_each_attempt_one_of_its_own() -> None:
    async def main() -> None:
        async def silent(_: httpx.Request) -> httpx.Response:
            await anyio.sleep_forever()
            raise AssertionError

        script = Script(silent)
        began = trio.current_time()
        client = client_of(script, timeouts=Timeouts(attempt=10, item=25), max_attempts=100, rng=random.Random(1))
        async with client:
            with pytest.raises(DeadlineError):
                await client.check(A, B)
        assert 2 <= len(script.asked) <= 3
        assert trio.current_time() - began <= 25

    on_virtual_time(main)


def test_waiting_for_the_rate_counts_neither_for_the_attempt_nor_for_the_item() -> None:
    async def main() -> None:
        script = Script(lambda _: answered(status("accepted")))
        client = client_of(script, max_per_second=0.01, timeouts=Timeouts(attempt=5, item=6), max_connections=4)
        async with client, client.check_many([(A, B)] * 5) as outcomes:
            found = [outcome async for outcome in outcomes]
        assert outcomes.tally.checked == 5
        assert all(outcome.waited >= 99 for outcome in found)
        assert all(outcome.elapsed < 1 for outcome in found)

    on_virtual_time(main)


def test_requests_start_no_faster_than_the_rate_which_can_change_while_running() -> None:
    async def main() -> None:
        starts: list[float] = []

        async def answer(_: httpx.Request) -> httpx.Response:
            starts.append(trio.current_time())
            await trio.sleep(0.3)
            return status("accepted")

        client = client_of(Script(answer), max_per_second=10, burst=3, verify_login=False, max_connections=50)
        async with client, client.check_many([(A, B)] * 200) as outcomes:
            changed = None
            async for outcome in outcomes:
                if outcome.index == 100:
                    changed = trio.current_time()
                    client.max_per_second = 100
        assert changed is not None
        for first, last in windows(starts, until=changed):
            assert last - first + 1 <= 3 + 10 * (starts[last] - starts[first]) + 1e-6
        assert client.max_per_second == 100
        assert starts[-1] - changed < 5 + 100 / 100 + 0.1  # those who had their start already keep it

    on_virtual_time(main)


def windows(starts: list[float], until: float) -> Iterable[tuple[int, int]]:
    count = sum(start <= until for start in starts)
    return ((first, last) for first in range(count) for last in range(first, count))


def test_calls_that_were_cancelled_while_they_waited_for_the_rate_cost_the_next_one_nothing() -> None:
    async def main() -> None:
        script = one_after_the_other(*(status("accepted") for _ in range(2)))
        async with client_of(script, max_per_second=1.0, burst=1) as client:
            await client.check(A, B)
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                for _ in range(100):
                    nursery.start_soon(client.check, A, B)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            await client.check(A, B)
            assert trio.current_time() - began == pytest.approx(1.0)

    on_virtual_time(main)
