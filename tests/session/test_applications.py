"""Items that wait for a canary: one of them sends it, when it is due, for all."""

from __future__ import annotations

import pytest
import trio
from doors import on_virtual_time

from aioconnections.clock import LoopClock
from aioconnections.policy.limiter import Limiter
from aioconnections.protocol.canary import CanaryReport, CanaryResult
from aioconnections.session.applications import Monitor
from aioconnections.session.parking import Parking

FOREVER = float("inf")


class Watcher:
    """A monitor, and canaries that take a tenth of a second."""

    def __init__(self, result: CanaryResult = CanaryResult.GOOD) -> None:
        self.back = 0
        self.monitor = Monitor("profiles", Limiter(None), LoopClock(), lambda: 0.0, 300.0, self.is_back)
        self.monitor.login_proved()
        self.monitor.application.proved = False
        self.parking = Parking(3, lambda: None)
        self.result = result
        self.sent: list[float] = []

    def is_back(self) -> None:
        self.back += 1

    async def send_canary(self) -> CanaryResult:
        sent = trio.current_time()
        number = self.monitor.application.canary_sent(sent)
        self.sent.append(sent)
        await trio.sleep(0.1)
        return self.monitor.canary_ended(number, sent, CanaryReport(self.result, needs_login=None), signs_in=True)

    async def wait(self, parking: Parking | None = None) -> CanaryResult:
        count = self.monitor.application.sent_count
        return await self.monitor.result_after(count, self.send_canary, parking or self.parking, signs_in=True)


def test_one_canary_serves_all_that_wait_and_the_next_one_is_due_a_second_later() -> None:
    async def main() -> None:
        it, began = Watcher(), trio.current_time()
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(it.wait)
        # the first item sends one at once, and the others came after it was sent
        assert [round(sent - began, 1) for sent in it.sent] == [0.0, 1.0, 2.0, 3.0]
        assert repr(it.monitor) == "Monitor(profiles, Application(proved, 0 heads))"

    on_virtual_time(main)


@pytest.mark.parametrize("ends", [True, False])
def test_it_is_due_at_once_when_the_run_can_do_nothing_else(*, ends: bool) -> None:
    async def main() -> None:
        it = Watcher()
        await it.wait()
        before = trio.current_time()

        async def park() -> None:
            with it.parking():
                await it.wait()

        async with trio.open_nursery() as nursery:
            for _ in range(1 if ends else 2):
                nursery.start_soon(park)
            await trio.sleep(0.2)
            assert len(it.sent) == 1
            if ends:
                it.parking.close()  # the source has ended
            else:
                nursery.start_soon(park)  # that fills the parking
        assert it.sent[1:] == [pytest.approx(before + 0.2)]

    on_virtual_time(main)


def test_a_single_call_waits_for_nobody() -> None:
    async def main() -> None:
        it, began = Watcher(), trio.current_time()
        for _ in range(3):
            count = it.monitor.application.sent_count
            assert await it.monitor.result_after(count, it.send_canary, None, signs_in=True) is CanaryResult.GOOD
        assert trio.current_time() - began == pytest.approx(0.3)

    on_virtual_time(main)


@pytest.mark.parametrize("after", [0.05, 0.5])
def test_if_the_item_that_sends_it_is_cancelled_another_one_does(after: float) -> None:
    async def main() -> None:
        it = Watcher()
        if after > 0.1:  # the first one still waits for the time
            await it.wait()
        seen: list[CanaryResult] = []

        async def wait() -> None:
            seen.append(await it.wait())

        async with trio.open_nursery() as nursery:
            with trio.move_on_after(after):
                nursery.start_soon(trio.sleep, 0)
                first = trio.CancelScope()

                async def leave() -> None:
                    with first:
                        await it.wait()

                nursery.start_soon(leave)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(wait)
                await trio.sleep_forever()
            first.cancel()
        assert seen == [CanaryResult.GOOD]

    on_virtual_time(main)


def test_a_bad_canary_begins_an_outage_and_a_good_probe_ends_it() -> None:
    async def main() -> None:
        it, began = Watcher(CanaryResult.AWAY), trio.current_time()
        assert await it.wait() is CanaryResult.AWAY
        away = [it.monitor.is_away]

        async def probe() -> bool:
            await it.send_canary()
            return it.result is CanaryResult.GOOD

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(it.monitor.clear, probe, FOREVER)
            await trio.sleep(2)
            it.result = CanaryResult.GOOD
        assert [*away, it.monitor.is_away] == [True, False]
        assert (it.back, it.monitor.probes) == (1, 2)
        assert [round(sent - began, 1) for sent in it.sent] == [0.0, 1.1, 3.2]

    on_virtual_time(main)


def test_something_else_at_a_new_address_is_no_outage() -> None:
    async def main() -> None:
        it = Watcher(CanaryResult.ABSENT)
        assert await it.wait() is CanaryResult.ABSENT
        away = [it.monitor.is_away]
        it.monitor.application.proved = True
        assert await it.wait() is CanaryResult.ABSENT
        assert [*away, it.monitor.is_away] == [False, True]
        unclear = Watcher(CanaryResult.UNCLEAR)
        assert await unclear.wait() is CanaryResult.UNCLEAR
        assert not unclear.monitor.is_away

    on_virtual_time(main)


def test_an_item_sent_after_a_canary_in_a_slot_waits_for_the_next_one() -> None:
    async def main() -> None:
        it = Watcher()
        await it.wait()
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.wait)  # it waits until a canary is due
            await trio.sleep(0.5)
            nursery.start_soon(it.send_canary)  # in the slot of a request
            await trio.sleep(0.05)
            nursery.start_soon(it.wait)
            nursery.start_soon(it.wait)
        assert [round(sent - began, 1) for sent in it.sent[1:]] == [0.5, 1.5]

    on_virtual_time(main)
