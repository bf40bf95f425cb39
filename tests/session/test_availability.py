"""Waiting for a server that is away or has asked for a pause, on virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from doors import on_virtual_time

from aioconnections.clock import LoopClock
from aioconnections.errors import (
    CertificateError,
    ConnectFailedError,
    DeadlineError,
    ProtocolError,
    ServerUnavailableError,
)
from aioconnections.policy.limiter import Limiter
from aioconnections.session.availability import Availability
from aioconnections.shared import InProcess
from aioconnections.transport.concurrency import ConcurrencyLimiter

FOREVER = float("inf")
REFUSED = ConnectFailedError("refused")


class Server:
    """Is there or not, and notes when it was asked."""

    def __init__(self, *, back_at: float = FOREVER) -> None:
        self.back_at = back_at
        self.asked: list[float] = []

    async def probe(self) -> bool:
        self.asked.append(trio.current_time())
        await trio.sleep(0.1)
        return trio.current_time() >= self.back_at


def availability(max_outage: float | None = 300.0, chance: Callable[[], float] = lambda: 0.0) -> Availability:
    shared = InProcess(Limiter(None))
    return Availability(LoopClock(), ConcurrencyLimiter(16), shared, chance, most=16, max_outage=max_outage)


def lose(it: Availability) -> None:
    now = trio.current_time()
    for _ in range(8):
        it.failed(REFUSED, now, now)


def test_one_of_those_who_wait_sends_the_probes_and_all_go_on_when_the_server_is_back() -> None:
    async def main() -> None:
        it, began = availability(), trio.current_time()
        server = Server(back_at=began + 60)
        lose(it)
        came: list[float] = []

        async def wait() -> None:
            await it.clear(server.probe, FOREVER)
            came.append(trio.current_time() - began)

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(wait)
        assert it.probes == len(server.asked) == 6
        assert [round(asked - began, 1) for asked in server.asked] == [1.0, 3.1, 7.2, 15.3, 31.4, 61.5]
        assert came == [pytest.approx(61.6)] * 10
        assert (it.doubts, it.concurrency.bound) == (8 + 1, 1)

    on_virtual_time(main)


def test_if_the_one_who_probes_is_cancelled_another_goes_on() -> None:
    async def main() -> None:
        it, began = availability(), trio.current_time()
        server = Server(back_at=began + 3)
        lose(it)
        with trio.move_on_after(1.05) as first:  # in the middle of the first probe
            await it.clear(server.probe, FOREVER)
        assert first.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.clear, server.probe, FOREVER)
            nursery.start_soon(it.clear, server.probe, FOREVER)
        assert it.is_clear(trio.current_time())

    on_virtual_time(main)


def test_an_outage_that_lasts_too_long_is_an_error_and_the_next_who_comes_has_patience_again() -> None:
    async def main() -> None:
        it, began = availability(max_outage=100.0), trio.current_time()
        server = Server()
        lose(it)
        for _ in range(2):
            start = trio.current_time()
            with pytest.raises(ServerUnavailableError, match="away for 100 s"):
                await it.clear(server.probe, FOREVER)
            assert trio.current_time() - start == pytest.approx(100)
            await trio.sleep(1000)
        server.back_at = 0.0
        await it.clear(server.probe, FOREVER)  # a probe is long due
        assert trio.current_time() - began == pytest.approx(2 * 1100 + 0.1)

    on_virtual_time(main)


def test_who_has_less_time_does_not_wait_longer() -> None:
    async def main() -> None:
        it = availability()
        lose(it)
        start = trio.current_time()
        with pytest.raises(ServerUnavailableError, match="away for 10 s"):
            await it.clear(Server().probe, start + 10)
        assert trio.current_time() - start == pytest.approx(10)

        held = availability()
        held.refused(429, 20.0, start, trio.current_time())
        with pytest.raises(ServerUnavailableError, match="asks for a pause of 20 s"):
            await held.clear(Server().probe, trio.current_time() + 10)
        assert trio.current_time() - start == pytest.approx(10)  # known at once

    on_virtual_time(main)


def test_everybody_keeps_the_pause_that_the_server_asks_for() -> None:
    async def main() -> None:
        it, server, start = availability(), Server(), trio.current_time()
        it.refused(503, 20.0, start, start)
        assert not it.is_clear(start)
        await it.clear(server.probe, FOREVER)
        assert trio.current_time() - start == pytest.approx(20)
        assert server.asked == []

    on_virtual_time(main)


def test_a_retry_that_the_budget_does_not_pay_for_begins_an_outage() -> None:
    async def main() -> None:
        it = availability()
        assert all(it.may_retry(0.0) for _ in range(35))
        assert it.is_clear(0.0)
        assert not it.may_retry(0.0)
        assert not it.is_clear(0.0)

    on_virtual_time(main)


@pytest.mark.parametrize(
    ("error", "bound", "doubts", "away"),
    [
        (DeadlineError("late", sent="maybe"), 8, 0, True),
        (REFUSED, 16, 8, True),
        (ProtocolError("broken", sent="maybe"), 16, 8, True),
        (CertificateError("expired"), 16, 0, False),
    ],
)
def test_what_a_missing_answer_says(
    error: DeadlineError | ConnectFailedError | ProtocolError | CertificateError, bound: int, doubts: int, *, away: bool
) -> None:
    async def main() -> None:
        it = availability()
        for _ in range(8):
            it.failed(error, 1.0, 2.0)
        assert (it.concurrency.bound, it.doubts, it.outage.away) == (bound, doubts, away)

    on_virtual_time(main)


@pytest.mark.parametrize(
    ("status", "bound", "away"), [(429, 8, False), (500, 16, False), (502, 16, True), (503, 8, True)]
)
def test_what_a_refusal_says(status: int, bound: int, *, away: bool) -> None:
    async def main() -> None:
        it = availability()
        for _ in range(8):
            it.refused(status, None, 1.0, 2.0)
        assert (it.concurrency.bound, it.outage.away) == (bound, away)
        for moment in range(1000):
            it.went_well(float(moment))
        assert it.steady is (not away)
        assert (it.concurrency.bound, it.budget.left) == (16, 35)
        assert repr(it).startswith("Availability(Outage(")

    on_virtual_time(main)
