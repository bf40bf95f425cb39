"""The end of one run is no end for anybody else, and is not put off by anything that can no longer matter."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
import trio.testing
from doors import Script, answered, client_of, connected, everything, on_virtual_time, pairs, refusal

from aioconnections import (
    Checked,
    Client,
    Email,
    ForbiddenError,
    Rejected,
    Status,
    ThrottledError,
    Timeouts,
    Unprocessed,
    Userid,
)

PEOPLE = [Userid(f"u{number}") for number in range(10)]


def test_whoever_waits_for_the_canary_of_a_run_that_is_left_sends_another() -> None:
    async def main() -> None:
        found: list[Any] = []

        async def call(client: Client) -> None:
            found.append(await client.check(PEOPLE[0], PEOPLE[1]))

        async def run(client: Client) -> None:
            found.extend(await everything(client.check_many(pairs(2))))

        async with client_of(Script(connected), max_per_second=1, burst=1) as client:
            client._caller.server.limiter.reserve(trio.current_time())  # by another user
            async with trio.open_nursery() as nursery, client.invite_many(PEOPLE, journal=None):
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(call, client)
                nursery.start_soon(run, client)
                await trio.testing.wait_all_tasks_blocked()
        assert [type(it) for it in found].count(Checked) == 2
        assert Status.ACCEPTED in found

    on_virtual_time(main)


class Silent(Script):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.seen or self._answer is connected:
            await trio.sleep_forever()
        return await super().handle_async_request(request)


@pytest.mark.parametrize("canary", [True, False])
def test_leaving_a_run_of_changes_does_not_wait_for_questions(*, canary: bool) -> None:
    async def main() -> None:
        script = Silent(connected if canary else (lambda _: answered(httpx.Response(200))))
        async with client_of(script, max_connections=3) as client:
            async with client.remove_many(pairs(5)) as outcomes:
                await trio.testing.wait_all_tasks_blocked()
                began = trio.current_time()
            assert trio.current_time() == began
        assert len(outcomes.undelivered) == outcomes.tally.read == (0 if canary else 2)
        assert {type(outcome) for outcome in outcomes.undelivered} <= {Unprocessed}

    on_virtual_time(main)


def test_that_a_run_has_a_last_moment_keeps_no_other_reason_from_ending_it() -> None:
    async def main() -> None:
        script = Script(lambda _: answered(refusal(403)))
        async with client_of(script, max_per_second=10, burst=1, timeouts=Timeouts(run=1.5)) as client:
            run = client.admin.connect_many(pairs(100))
            await everything(run)
        assert isinstance(run.stopped, ForbiddenError)
        assert len(script.asked) == 1

    on_virtual_time(main)


def test_an_item_that_was_answered_before_the_run_stopped_keeps_its_answer() -> None:
    """Its retry is not waited for either."""

    async def main() -> None:
        async def answer(_: httpx.Request) -> httpx.Response:
            if len(script.asked) == 1:
                await trio.sleep(1)
                return refusal(403)
            await trio.sleep(1.5)
            return httpx.Response(429)

        script = Script(answer)
        async with client_of(script, max_connections=3) as client:
            run = client.admin.connect_many(pairs(2), ordered=True)
            began = trio.current_time()
            first, second = await everything(run)
            assert trio.current_time() - began == pytest.approx(1.5)
        assert isinstance(first, Rejected)
        assert isinstance(second.error, ThrottledError)

    on_virtual_time(main)


def test_a_verdict_that_is_being_explained_when_the_run_is_left_is_told() -> None:
    async def main() -> None:
        class Unsaid(Script):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                if "serviceconfigs" in request.url.path:
                    await trio.sleep_forever()
                return await super().handle_async_request(request)

        script = Unsaid(lambda _: answered(refusal(400)))
        async with client_of(script, max_connections=3) as client:
            items = [(Email(f"a{n}@example.com"), Email("b@example.com")) for n in range(9)]
            async with client.check_many(items, ordered=True) as outcomes:
                await trio.testing.wait_all_tasks_blocked()
        assert [outcome.index for outcome in outcomes.undelivered] == list(range(outcomes.tally.read))
        assert {type(outcome) for outcome in outcomes.undelivered} == {Rejected}

    on_virtual_time(main)
