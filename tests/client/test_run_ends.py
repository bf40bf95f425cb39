"""Every item that was read has an outcome, however the run ends, and what cannot be sent any more is not waited for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trio
import trio.testing
from doors import Script, answered, client_of, connected, everything, on_virtual_time, pairs, refusal, status, there

from aioconnections import (
    Checked,
    ForbiddenError,
    InDoubt,
    Journal,
    Pair,
    Progress,
    Rejected,
    ServerUnavailableError,
    Timeouts,
    Unprocessed,
    UsageError,
    Userid,
)
from aioconnections.journal.holding import Held
from aioconnections.journal.writer import Writer

PEOPLE = [Userid(f"u{number}") for number in range(100)]
MADE = httpx.Response(201, html="")


def test_a_pause_that_is_too_long_ends_the_run_for_those_who_wait_as_well() -> None:
    async def main() -> None:
        asked = 0

        async def answer(_: httpx.Request) -> httpx.Response:
            nonlocal asked
            asked += 1
            again = httpx.Response(429, headers={"retry-after": "4000"})
            return await answered(again if asked == 1 else status("accepted"))

        async with client_of(Script(answer), max_per_second=10, burst=1) as client:
            began = trio.current_time()
            run = client.check_many(pairs(100))
            outcomes = await everything(run)
        assert isinstance(run.stopped, ServerUnavailableError)
        assert trio.current_time() - began < 1
        assert asked == 1
        kinds = [type(outcome) for outcome in outcomes if outcome.attempts == 0]
        assert kinds == [Unprocessed] * (run.tally.read - 1)

    on_virtual_time(main)


def test_who_is_no_administrator_asks_once_and_not_once_for_each_connection() -> None:
    async def main() -> None:
        script = Script(lambda _: answered(refusal(403)))
        async with client_of(script, max_per_second=20, burst=1) as client:
            run = client.admin.connect_many(pairs(100))
            outcomes = await everything(run)
        assert isinstance(run.stopped, ForbiddenError)
        assert len(script.asked) == 1
        assert [type(outcome) for outcome in outcomes].count(Rejected) == 1
        assert run.tally.unprocessed == run.tally.read - 1

    on_virtual_time(main)


def test_whoever_leaves_early_learns_what_became_of_every_item() -> None:
    """What was sent is waited for; what waits for the rate is sent no more."""

    async def main() -> None:
        async def answer(_: httpx.Request) -> httpx.Response:
            await trio.sleep(0.8)
            return MADE

        script = Script(answer)
        async with client_of(script, max_per_second=1, burst=1, max_connections=5) as client:
            began = trio.current_time()
            async with client.invite_many(PEOPLE, journal=None) as outcomes:
                seen = [await anext(outcomes)]
                await trio.sleep_until(began + 2.5)  # the second is under way
            seen += outcomes.undelivered
            assert trio.current_time() - began == pytest.approx(2.8)
        tally = outcomes.tally
        assert sorted(outcome.index for outcome in seen) == list(range(tally.read))
        assert (tally.invited, tally.unprocessed, tally.in_flight) == (2, tally.read - 2, 0)
        assert len(script.asked) == 2

    on_virtual_time(main)


def test_a_change_that_is_broken_off_is_in_doubt_and_a_question_is_not() -> None:
    """A cancellation that goes through every shield waits for nothing."""

    async def main() -> None:
        async def answer(_: httpx.Request) -> httpx.Response:
            await anyio.sleep_forever()
            raise AssertionError

        for changes in (True, False):
            async with client_of(Script(answer), max_connections=4) as client:
                run: Any = client.invite_many(PEOPLE, journal=None) if changes else client.check_many(pairs(100))

                async def take(run: Any = run) -> None:
                    await everything(run)

                task = asyncio.create_task(take())
                while run.tally.read < 3:  # noqa: ASYNC110 # nothing tells of it
                    await asyncio.sleep(0)
                for _ in range(3):
                    task.cancel()
                    await asyncio.sleep(0)
                await asyncio.wait([task])
                assert [type(outcome) for outcome in run.undelivered] == [InDoubt if changes else Unprocessed] * 3
                assert run.tally.in_flight == 0

    asyncio.run(main())


@pytest.mark.asyncio
async def test_a_cancellation_at_the_very_end_ends_the_progress_and_closes_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing, begun, go_on = asyncio.Event(), threading.Event(), threading.Event()
    told: list[Progress] = []
    close, loop = Writer.close, asyncio.get_running_loop()

    def slow(writer: Writer) -> None:
        begun.set()
        loop.call_soon(closing.set)
        close(writer)

    def held(*arguments: Any) -> Any:
        if begun.is_set():
            go_on.wait(10)
        return write(*arguments)

    write = Held.commit
    monkeypatch.setattr(Writer, "close", slow)
    monkeypatch.setattr(Held, "commit", held)
    journal = Journal(tmp_path / "journal", max_age=60)
    async with client_of(Script(connected)) as client:
        run = client.check_many(pairs(3), journal=journal, on_progress=told.append)
        task = asyncio.create_task(everything(run))
        await closing.wait()
        task.cancel()
        threading.Timer(0.05, go_on.set).start()  # the loop waits for the journal's thread
        await asyncio.wait([task])
    assert task.cancelled()
    assert told[-1].done
    assert "closed" in repr(journal)
    async with client_of(Script(connected)) as client:
        again = await everything(client.check_many(pairs(3), journal=journal))
    assert [type(outcome) for outcome in again] == [Checked] * 3


class Lapses(Script):
    """Answers, but for some time from its second canary on, when every connection is refused."""

    def __init__(self, seconds: float) -> None:
        super().__init__(connected)
        self._seconds = seconds
        self._back: float | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("profileService.do") and self.seen[request.url.path] == 1 and self._back is None:
            self._back = trio.current_time() + self._seconds
        if self._back is not None and trio.current_time() < self._back:
            raise httpx.ConnectError("refused")
        return await super().handle_async_request(request)


def test_a_server_that_is_away_when_a_long_run_proves_its_login_again_is_waited_for() -> None:
    async def main() -> None:
        async with client_of(Lapses(6), max_per_second=2, burst=1) as client:
            run = client.check_many(pairs(1500))
            await everything(run)
        assert run.stopped is None
        assert run.tally.checked == 1500

    on_virtual_time(main)


def test_a_single_call_waits_no_longer_for_the_canary_of_a_run_than_an_item_may_take() -> None:
    async def main() -> None:
        client = client_of(Lapses(float("inf")), max_per_second=2, burst=1, timeouts=Timeouts(outage=None, item=60))
        async with client, client.check_many(pairs(10_000)) as outcomes:
            with trio.move_on_after(700):
                async for _ in outcomes:
                    pass
            began = trio.current_time()
            with pytest.raises(ServerUnavailableError, match="within 60 s"):
                await client.check(PEOPLE[0], PEOPLE[1])
            assert trio.current_time() - began == pytest.approx(60)

    on_virtual_time(main)


def test_the_pause_that_a_probe_is_answered_with_is_kept() -> None:
    async def main() -> None:
        away_from, probed = float("inf"), float("inf")

        def away() -> bool:
            return away_from <= trio.current_time() < away_from + 60

        async def answer(_: httpx.Request) -> httpx.Response:
            nonlocal away_from
            assert not probed < trio.current_time() < probed + 120
            if len(script.asked) == 20:
                away_from = trio.current_time()
            if away():
                raise httpx.ConnectError("refused")
            return await answered(status("accepted"))

        def canary(request: httpx.Request) -> httpx.Response:
            nonlocal probed
            if not away():
                return there(request)
            if "authorization" in request.headers:
                assert probed == float("inf"), "only a probe comes before the pause is over"
                raise httpx.ConnectError("refused")
            probed = trio.current_time()
            return httpx.Response(429, headers={"retry-after": "120"})

        script = Script(answer, canary)
        async with client_of(script) as client:
            run = client.check_many(pairs(60))
            await everything(run)
        assert run.stopped is None
        assert run.tally.checked == 60
        assert probed < away_from + 60

    on_virtual_time(main)


@pytest.mark.slow
@pytest.mark.anyio
async def test_there_are_no_more_workers_than_items() -> None:
    """Else a million connections that may be opened would cost memory for a million tasks."""
    async with client_of(Script(connected), max_connections=10**9) as client:
        before = len(anyio.get_running_tasks())
        most = 0

        async def watched() -> AsyncIterator[Pair]:
            nonlocal most
            for pair in pairs(20):
                yield pair
                await anyio.wait_all_tasks_blocked()
                most = max(most, len(anyio.get_running_tasks()) - before)

        run = client.check_many(watched())
        await everything(run)
    assert run.tally.checked == 20
    assert most <= 22


@pytest.mark.anyio
async def test_a_run_that_is_never_entered_is_warned_of() -> None:
    async with client_of(Script(connected)) as client:
        run = client.check_many(pairs(3))
        with pytest.warns(RuntimeWarning, match="never entered"):
            del run


@pytest.mark.anyio
async def test_a_run_of_a_client_that_is_closed_is_a_mistake_of_the_caller() -> None:
    async with client_of(Script(connected)) as client:
        run = client.check_many(pairs(3))
    with pytest.raises(UsageError, match="closed"):
        await everything(run)
