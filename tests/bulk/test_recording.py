"""The course of a run: what its timeline says of items, limits, pauses, outages and idle times."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import trio
from doors import Script, client_of, connected, on_virtual_time, pairs, refusal, status

from aioconnections import Journal, Pair, Userid
from aioconnections.bulk import recording
from aioconnections.journal import report
from aioconnections.policy.timeline import TimelineBucket


@pytest.fixture(autouse=True)
def wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "wall", lambda: 1_796_000_000 + trio.current_time())


def pauses(reason: str, buckets: list[tuple[int, TimelineBucket]]) -> list[int]:
    """The seconds after the first bucket in which the run paused for this reason."""
    return [begin - buckets[0][0] for begin, bucket in buckets if bucket.paused.get(reason)]


class Slow(Script):
    """Responds to a check after 0.2 seconds; a check that begins in `away` is not responded to as usual."""

    def __init__(self, away: tuple[float, float] = (0, 0), fail: Callable[[], httpx.Response] | None = None) -> None:
        super().__init__(connected)
        self.away = away
        self.fail = fail
        self.began = trio.current_time()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        begin, end = self.away
        if begin <= trio.current_time() - self.began < end:
            if self.fail is None:
                raise httpx.ConnectError("refused")
            return self.fail()
        await trio.sleep(0.2)
        return await super().handle_async_request(request)


def test_items_limit_and_latencies_are_in_it() -> None:
    async def main() -> None:
        client = client_of(Slow(), max_per_second=10)
        async with client:
            run = client.check_many(pairs(100))
            before = run.timeline
            run.record_timeline()
            await run.drain()
        assert before is None
        assert run.timeline is not None
        total = run.timeline.total
        assert (total.done, total.failed, total.refused, total.lost, total.paused) == (100, 0, 0, 0, {})
        assert total.requests == pytest.approx(101, abs=1)
        assert total.seconds == pytest.approx(10, abs=1)
        assert total.mean_limit == pytest.approx(10)
        assert total.percentile(0.5) == pytest.approx(0.2, rel=0.05)
        middle = list(run.timeline)[5][1]
        assert middle.rate == pytest.approx(10, rel=0.15)
        assert 1 <= middle.mean_under_way <= middle.mean_bound

    on_virtual_time(main)


def test_an_outage_and_a_pause_that_the_server_asks_for_are_told_apart() -> None:
    async def main() -> None:
        found: dict[str, list[int]] = {}
        asked = httpx.Response(503, headers={"retry-after": "8"})
        for reason, away in (("outage", (5, 15)), ("asked", (5, 5.3))):
            server = Slow(away, None if reason == "outage" else lambda: asked)
            client = client_of(server, max_per_second=10)
            async with client:
                run = client.check_many(pairs(150))
                run.record_timeline()
                await run.drain()
            assert run.timeline is not None
            found[reason] = pauses(reason, list(run.timeline))
            assert set(run.timeline.total.paused) == {reason}
            assert run.timeline.total.refused + run.timeline.total.lost > 0
        assert 8 <= len(found["outage"]) <= 20
        assert 8 <= len(found["asked"]) <= 11
        assert found["outage"][0] in range(5, 9)
        assert found["asked"][0] in range(5, 7)

    on_virtual_time(main)


def test_a_source_without_items_is_an_idle_time() -> None:
    async def some() -> AsyncIterator[Pair]:
        for number, pair in enumerate(pairs(40)):
            if number == 20:
                await trio.sleep(30)
            yield pair

    async def main() -> None:
        client = client_of(Slow(), max_per_second=10)
        async with client:
            run = client.check_many(some())
            run.record_timeline()
            await run.drain()
        assert run.timeline is not None
        assert set(run.timeline.total.paused) == {"idle"}
        assert run.timeline.total.paused["idle"] == pytest.approx(25, abs=2)

    on_virtual_time(main)


def test_failures_are_counted_apart() -> None:
    async def main() -> None:
        async def sometimes(request: httpx.Request) -> httpx.Response:
            await trio.lowlevel.checkpoint()
            number = int(request.url.params["sourceUserid"][1:])
            return refusal(403) if number % 4 == 0 else status("accepted")

        client = client_of(Script(sometimes), max_per_second=10)
        async with client:
            run = client.check_many([*pairs(40), (Userid("a"), Userid("a"))])
            run.record_timeline()
            await run.drain()
        assert run.timeline is not None
        assert (run.timeline.total.done, run.timeline.total.failed) == (30, 11)

    on_virtual_time(main)


def test_a_journal_has_it_and_a_run_that_repeats_recorded_outcomes_adds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    seen: list[tuple[int, int]] = []

    async def check(count: int) -> None:
        async with client_of(Script(connected)) as client:
            run = client.check_many(pairs(count), journal=Journal(path, max_age=3_600))
            run.record_timeline()
            await run.drain()
        with report(path) as found:
            assert found.timeline is not None
            assert [begin for begin, _ in found.timeline] == [begin for begin, _ in run.timeline or ()]
            seen.append((found.timeline.total.done, sum(found.timeline.total.latencies.values())))

    for count in (30, 30, 60):
        trio.run(check, count)
    assert seen == [(30, 30), (30, 30), (60, 60)]


def test_an_item_that_each_run_refuses_is_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    refused = [(Userid(f"x{n}"), Userid(f"x{n}")) for n in range(20)]

    async def check(count: int) -> None:
        async with client_of(Script(connected)) as client:
            run = client.check_many([*refused, *pairs(count)], journal=Journal(path, max_age=3_600))
            run.record_timeline()
            await run.drain()
        assert run.tally.failed == len(refused)

    for count in (10, 30, 60):
        trio.run(check, count)
        with report(path) as found:
            assert found.timeline is not None
            total = found.timeline.total
        assert (total.done, total.failed) == (count, len(refused))
