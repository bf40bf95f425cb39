"""The loop's time, on every loop."""

from __future__ import annotations

import anyio
import pytest

from aioconnections.clock import LoopClock


@pytest.mark.anyio
async def test_it_is_the_time_of_the_loop_that_runs() -> None:
    before = anyio.current_time()
    now = LoopClock().now()
    assert before <= now <= anyio.current_time()


@pytest.mark.anyio
async def test_sleeping_is_the_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(anyio, "sleep", sleep)
    await LoopClock().sleep(3600)
    assert slept == [3600]


@pytest.mark.anyio
async def test_a_sleep_can_be_cancelled() -> None:
    with anyio.move_on_after(0) as scope:
        await LoopClock().sleep(3600)
    assert scope.cancelled_caught


def test_on_trio_it_is_a_clock_that_a_test_may_wind() -> None:
    from trio.testing import MockClock

    async def a_day() -> float:
        clock = LoopClock()
        start = clock.now()
        await clock.sleep(86_400)
        return clock.now() - start

    slept = anyio.run(a_day, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})
    assert slept == pytest.approx(86_400)
