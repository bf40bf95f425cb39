"""Callers who share a request, each with a deadline of its own, count as one call that waits."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from doors import Slow, client_of, on_virtual_time_of

from aioconnections import DeadlineError, OverloadedError, Status, Timeouts, Userid

BOTH = pytest.mark.parametrize("backend", ["asyncio", "trio"])
A, B, C = Userid("a1"), Userid("b1"), Userid("c1")


async def ends_of(calls: dict[str, Any]) -> dict[str, tuple[Any, float]]:
    """What each call ends with, and after how many seconds."""
    ends: dict[str, tuple[Any, float]] = {}

    async def call(name: str, begin: Any) -> None:
        began = anyio.current_time()
        try:
            found: Any = await begin()
        except (DeadlineError, OverloadedError) as error:
            found = error
        ends[name] = found, round(anyio.current_time() - began, 6)

    async with anyio.create_task_group() as tasks:
        for name, begin in calls.items():
            tasks.start_soon(call, name, begin)
            await anyio.lowlevel.checkpoint()
    return ends


@BOTH
def test_each_caller_keeps_its_own_timeout(backend: str) -> None:
    async def main() -> None:
        script = Slow(3.0)
        async with client_of(script) as client:
            ends = await ends_of(
                {
                    "short": lambda: client.check(A, B, timeout=1),
                    "usual": lambda: client.check(A, B),
                    "long": lambda: client.check(A, B, timeout=5),
                    "shorter": lambda: client.check(A, B, timeout=0.5),
                }
            )
        for name, seconds in (("short", 1.0), ("shorter", 0.5)):
            error, after = ends[name]
            assert (type(error), error.sent, after) == (DeadlineError, "maybe", seconds)
        assert ends["usual"] == ends["long"] == (Status.ACCEPTED, 3.0)
        assert len(script.asked) == 1

    on_virtual_time_of(backend, main)


@BOTH
@pytest.mark.parametrize("order", [("usual", "long"), ("long", "usual")])
def test_a_long_timeout_puts_off_the_end_of_the_request_for_its_caller_alone(
    backend: str, order: tuple[str, str]
) -> None:
    async def main() -> None:
        script = Slow(20.0)
        async with client_of(script, timeouts=Timeouts(attempt=100, item=10), verify_login=False) as client:
            calls = {"usual": lambda: client.check(A, B), "long": lambda: client.check(A, B, timeout=30)}
            ends = await ends_of({name: calls[name] for name in order})
        assert ends["long"] == (Status.ACCEPTED, 20.0)
        error, after = ends["usual"]
        assert (type(error), after) == (DeadlineError, 10.0)
        assert len(script.asked) == 1

    on_virtual_time_of(backend, main)


@BOTH
def test_a_long_timeout_ends_with_its_caller(backend: str) -> None:
    async def main() -> None:
        script = Slow(900.0)
        timeouts = Timeouts(attempt=1000, item=60)
        async with (
            client_of(script, timeouts=timeouts, verify_login=False) as client,
            anyio.create_task_group() as tasks,
        ):
            patient = anyio.CancelScope()

            async def wait_long() -> None:
                with patient:
                    await client.check(A, B, timeout=500)

            tasks.start_soon(wait_long)
            await anyio.sleep(1)
            tasks.start_soon(_cancel_after, 4.0, patient)
            began = anyio.current_time()
            with pytest.raises(DeadlineError):
                await client.check(A, B)
            assert anyio.current_time() - began == 60

    on_virtual_time_of(backend, main)


async def _cancel_after(seconds: float, scope: anyio.CancelScope) -> None:
    await anyio.sleep(seconds)
    scope.cancel()


@BOTH
def test_the_request_ends_with_the_last_caller_in_a_hurry(backend: str) -> None:
    async def main() -> None:
        script = Slow(3.0)
        async with client_of(script) as client:
            ends = await ends_of({str(it): partial(client.check, A, B, timeout=it) for it in (0.5, 1.0, 0.7)})
            assert client.stats().under_way == 0
        assert {name: after for name, (_, after) in ends.items()} == {"0.5": 0.5, "1.0": 1.0, "0.7": 0.7}

    on_virtual_time_of(backend, main)


@BOTH
def test_callers_who_share_a_request_count_as_one_that_waits(backend: str) -> None:
    async def main() -> None:
        script = Slow(1.0)
        async with client_of(script, max_connections=1, max_waiting=1, verify_login=False) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.check, A, B)
                await anyio.sleep(0.1)
                for _ in range(100):
                    tasks.start_soon(client.check, A, C)
                await anyio.sleep(0.1)
                assert client.stats().waiting == 1
                with pytest.raises(OverloadedError):
                    await client.check(C, B)
            assert client.stats().waiting == 0
        assert len(script.asked) == 2

    on_virtual_time_of(backend, main)


@BOTH
def test_a_refusal_reaches_every_caller_as_an_error_of_its_own(backend: str) -> None:
    async def main() -> None:
        script = Slow(1.0)
        async with (
            client_of(script, max_connections=1, max_waiting=0, verify_login=False) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(client.check, A, B)
            await anyio.sleep(0.1)
            ends = await ends_of({str(it): partial(client.check, A, C) for it in range(5)})
        errors = [error for error, _ in ends.values()]
        assert {type(error) for error in errors} == {OverloadedError}
        assert len({id(error) for error in errors}) == 5
        assert len(script.asked) == 1

    on_virtual_time_of(backend, main)
