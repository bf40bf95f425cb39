"""Single calls wait in a queue with a bound, and no longer than their caller allows."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

import anyio
import httpx
import pytest
from doors import (
    Script,
    Slow,
    answered,
    client_of,
    connected,
    everything,
    on_virtual_time_of,
    pairs,
    service_document,
)

from aioconnections import (
    DeadlineError,
    Email,
    InDoubtError,
    InvalidInputError,
    Invitation,
    OverloadedError,
    ServerUnavailableError,
    Status,
    Timeouts,
    Userid,
)
from aioconnections.errors import http_headers, http_status

BOTH = pytest.mark.parametrize("backend", ["asyncio", "trio"])
A, B = Userid("a1"), Userid("b1")
_numbers = count(2)
INVITATION = Invitation(
    None,
    "9b8f4c2e-6f0d-4a53-8f1b-0d5c3a1e7b42",
    edit_href="https://connections.example.com/communities/service/atom/community/invites?x=1",
)


def another() -> Userid:
    """A person about whom no other call of these tests asks, because equal questions are sent once."""
    return Userid(f"b{next(_numbers)}")


@BOTH
@pytest.mark.parametrize("proved", [True, False])
def test_of_a_thousand_callers_those_who_cannot_be_served_in_time_are_refused_at_once(
    backend: str, *, proved: bool
) -> None:
    ends: list[tuple[str, float]] = []

    async def main() -> None:
        async with client_of(Slow(0.9, canary_latency=0.5), max_waiting=50) as client:
            if proved:
                await client.check(A, B)

            async def ask() -> None:
                began = anyio.current_time()
                try:
                    await client.check(A, another(), timeout=5)
                except (DeadlineError, OverloadedError) as error:
                    ends.append((type(error).__name__, anyio.current_time() - began))
                else:
                    ends.append(("done", anyio.current_time() - began))

            async with anyio.create_task_group() as tasks:
                for _ in range(1000):
                    tasks.start_soon(ask)
                await anyio.sleep(0.1)
                assert client.stats().waiting == 50
            assert client.stats().waiting == 0
            assert await client.check(A, B) is Status.ACCEPTED

    on_virtual_time_of(backend, main)
    counts = Counter(name for name, _ in ends)
    served = 50 + (16 if proved else 1)  # besides those who wait: those under way, or the one that proves the login
    assert counts == {"done": served, "OverloadedError": 1000 - served}
    assert all(seconds == 0 for name, seconds in ends if name == "OverloadedError")


@BOTH
def test_a_refused_call_has_sent_nothing_and_says_so_to_a_web_application(backend: str) -> None:
    async def main() -> None:
        script = Slow(1.0)
        async with client_of(script, max_connections=1, max_waiting=0, verify_login=False) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.check, A, B)
                await anyio.sleep(0.5)
                with pytest.raises(OverloadedError, match="max_waiting") as refused:
                    await client.invite(B)
            assert (http_status(refused.value), http_headers(refused.value)) == (503, {"Retry-After": "5"})
            assert sum(script.seen.values()) == 1

    on_virtual_time_of(backend, main)


@BOTH
def test_a_call_that_was_let_in_is_not_refused_later(backend: str) -> None:
    """Its second request waits, too, although others wait already."""

    async def main() -> None:
        script = Slow(1.0)
        async with client_of(script, max_connections=1, max_waiting=1, verify_login=False) as client:
            found: list[Any] = []

            async def ask() -> None:
                try:
                    found.append(await client.check(A, another()))
                except OverloadedError as error:
                    found.append(error)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                tasks.start_soon(ask)
                await anyio.sleep(0.5)
                assert client.stats().waiting == 1
                tasks.start_soon(ask)
        assert [type(it) for it in found] == [OverloadedError, Status, Status]

    on_virtual_time_of(backend, main)


@BOTH
def test_bulk_runs_do_not_count(backend: str) -> None:
    async def main() -> None:
        script = Slow(1.0)
        async with (
            client_of(script, max_connections=2, max_waiting=0) as client,
            client.check_many(pairs(20)) as one,
            client.check_many(pairs(20)) as other,
        ):
            await anyio.sleep(0.5)
            assert client.stats().waiting == 0
            assert await client.check(A, B) is Status.ACCEPTED
            assert len([outcome async for outcome in one]) + len([outcome async for outcome in other]) == 40

    on_virtual_time_of(backend, main)


@BOTH
def test_the_first_page_of_a_listing_may_be_refused(backend: str) -> None:
    async def main() -> None:
        script = Slow(1.0)
        async with (
            client_of(script, max_connections=1, max_waiting=0, verify_login=False) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(client.check, A, B)
            await anyio.sleep(0.5)
            with pytest.raises(OverloadedError):
                await anext(aiter(client.colleagues(A)))

    on_virtual_time_of(backend, main)


@BOTH
def test_cancelled_calls_leave_the_queue(backend: str) -> None:
    async def main() -> None:
        async with client_of(Slow(1.0), max_connections=1, max_waiting=1000) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(1000):
                    tasks.start_soon(client.check, A, another())
                await anyio.sleep(0.5)
                assert client.stats().waiting == 999
                tasks.cancel_scope.cancel()
            assert (client.stats().waiting, client.stats().under_way) == (0, 0)
            assert await client.check(A, B) is Status.ACCEPTED

    on_virtual_time_of(backend, main)


@BOTH
@pytest.mark.parametrize("limit", [{"max_connections": 1}, {"max_per_second": 0.01}])
def test_the_timeout_of_a_call_includes_its_waits(backend: str, limit: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(Slow(100.0), verify_login=False, **limit) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.check, A, B)
            await anyio.sleep(0.5)
            began = anyio.current_time()
            with pytest.raises(DeadlineError, match=r"timeout of 2\.5 s") as late:
                await client.check(A, another(), timeout=2.5)
            assert (anyio.current_time() - began, late.value.sent) == (2.5, "no")
            tasks.cancel_scope.cancel()

    on_virtual_time_of(backend, main)


@BOTH
def test_the_timeout_of_a_call_ends_its_request_and_says_nothing_about_the_server(backend: str) -> None:
    async def main() -> None:
        script = Slow(3.0)
        async with client_of(script) as client:
            await client.check(A, B)
            for _ in range(20):
                began = anyio.current_time()
                with pytest.raises(DeadlineError) as late:
                    await client.check(A, B, timeout=0.5)
                assert (anyio.current_time() - began, late.value.sent) == (0.5, "maybe")
            stats = client.stats()
            assert (stats.bound, stats.waiting_for_server) == (16, False)
            assert await client.check(A, B, timeout=4) is Status.ACCEPTED

    on_virtual_time_of(backend, main)


@BOTH
def test_a_long_timeout_takes_the_place_of_the_time_for_an_item(backend: str) -> None:
    async def main() -> None:
        timeouts = Timeouts(attempt=100, item=10)
        async with client_of(Slow(20.0), timeouts=timeouts) as client:
            with pytest.raises(DeadlineError):
                await client.check(A, B)
            assert await client.check(A, B, timeout=30) is Status.ACCEPTED

    on_virtual_time_of(backend, main)


@BOTH
def test_a_repeated_request_may_have_arrived(backend: str) -> None:
    """The first attempt got a response, and the second one waits for the rate limit until the timeout."""

    async def main() -> None:
        script = Script(lambda _: answered(httpx.Response(503)))
        async with client_of(script, max_per_second=0.1, verify_login=False) as client:
            with pytest.raises(DeadlineError) as late:
                await client.check(A, B, timeout=5)
            assert (len(script.asked), late.value.sent) == (1, "maybe")

    on_virtual_time_of(backend, main)


@BOTH
def test_a_change_whose_time_is_over_while_it_waits_was_not_made(backend: str) -> None:
    async def main() -> None:
        script = Slow(1.0)
        async with client_of(script, max_per_second=0.1, burst=1) as client:
            with pytest.raises(DeadlineError) as late:
                await client.invite(B, timeout=5)
            assert (late.value.sent, len(script.asked)) == ("no", 0)

    on_virtual_time_of(backend, main)


@BOTH
def test_a_change_whose_response_does_not_arrive_in_time_is_in_doubt(backend: str) -> None:
    async def main() -> None:
        script = Slow(30.0)
        async with client_of(script) as client:
            began = anyio.current_time()
            with pytest.raises(InDoubtError, match="do not repeat it"):
                await client.invite(B, timeout=5)
            assert anyio.current_time() - began == 5, "the settle time of 30 s would be too long"
            assert len(script.asked) == 1

    on_virtual_time_of(backend, main)


@BOTH
def test_one_impatient_caller_does_not_end_the_proof_of_the_login_for_others(backend: str) -> None:
    async def main() -> None:
        async with client_of(Slow(0.0, canary_latency=2.0)) as client:
            found: list[Any] = []

            async def ask(timeout: float) -> None:
                try:
                    found.append(await client.check(A, B, timeout=timeout))
                except DeadlineError as error:
                    found.append(type(error))

            async with anyio.create_task_group() as tasks:
                for seconds in (0.5, 1.0, 10.0):
                    tasks.start_soon(ask, seconds)
                    await anyio.sleep(0.01)
            assert found == [DeadlineError, DeadlineError, Status.ACCEPTED]

    on_virtual_time_of(backend, main)


@BOTH
def test_a_call_waits_for_a_server_that_is_away_until_its_timeout(backend: str) -> None:
    async def main() -> None:
        async def answer(_: httpx.Request) -> httpx.Response:
            return httpx.Response(503)

        def canary(_: httpx.Request) -> httpx.Response:
            return service_document() if len(script.asked) < 8 else httpx.Response(503)

        script = Script(answer, canary)
        async with client_of(script, max_waiting=1) as client, anyio.create_task_group() as tasks:

            async def ask(seconds: float) -> None:
                with pytest.raises(ServerUnavailableError):
                    await client.check(A, B, timeout=seconds)

            run = client.check_many(pairs(100))
            tasks.start_soon(everything, run)
            await anyio.sleep(30)
            assert client.stats().waiting_for_server
            began = anyio.current_time()
            await ask(7)
            assert anyio.current_time() - began == pytest.approx(7)
            tasks.start_soon(ask, 7)
            await anyio.sleep(1)
            with pytest.raises(OverloadedError):
                await client.check(A, another())
            await anyio.sleep(10)
            tasks.cancel_scope.cancel()

    on_virtual_time_of(backend, main)


@BOTH
def test_an_auth_that_takes_too_long(backend: str) -> None:
    class Sleepy:
        async def headers(self, *_: object) -> Any:
            await anyio.sleep_forever()

    async def main() -> None:
        async with client_of(Script(connected), auth=Sleepy()) as client:
            began = anyio.current_time()
            with pytest.raises(DeadlineError):
                await client.me(timeout=3)
            assert anyio.current_time() - began == 3

    on_virtual_time_of(backend, main)


@BOTH
def test_the_question_whether_addresses_are_hidden_is_part_of_the_call(backend: str) -> None:
    class Unsaid(Script):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if "serviceconfigs" in request.url.path:
                await anyio.sleep_forever()
            return await super().handle_async_request(request)

    async def main() -> None:
        script = Unsaid(lambda _: answered(httpx.Response(200, headers={"content-type": "application/atom+xml"})))
        async with client_of(script) as client:
            began = anyio.current_time()
            with pytest.raises(Exception, match=r".") as failure:  # the time is what matters
                await client.profile(Email("nobody@example.com"), timeout=3)
            assert anyio.current_time() - began <= 3, failure

    on_virtual_time_of(backend, main)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), True, "5"])
def test_a_timeout_is_a_positive_number(timeout: Any) -> None:
    async def main() -> None:
        script = Script(connected)
        async with client_of(script) as client:
            community, invitations = (
                client.community("9b8f4c2e-6f0d-4a53-8f1b-0d5c3a1e7b42"),
                client.community_invitations,
            )
            for call in (
                lambda: client.check(A, B, timeout=timeout),
                lambda: client.connection(A, B, timeout=timeout),
                lambda: client.profile(A, timeout=timeout),
                lambda: client.service_document(A, timeout=timeout),
                lambda: client.me(timeout=timeout),
                lambda: client.invite(A, timeout=timeout),
                lambda: client.accept("id", timeout=timeout),
                lambda: client.remove("id", timeout=timeout),
                lambda: client.admin.connect(A, B, timeout=timeout),
                lambda: client.admin.disconnect(A, B, timeout=timeout),
                lambda: community.invite(A, timeout=timeout),
                lambda: invitations.get(INVITATION, timeout=timeout),
                lambda: invitations.accept(INVITATION, timeout=timeout),
                lambda: invitations.decline(INVITATION, timeout=timeout),
                lambda: invitations.revoke(INVITATION, timeout=timeout),
            ):
                with pytest.raises(
                    InvalidInputError, match="timeout must be a positive number of seconds, or None, got"
                ):
                    await call()
        assert not script.seen

    on_virtual_time_of("asyncio", main)


@pytest.mark.parametrize("value", [-1, 1.5, True, "secret"])
def test_max_waiting_is_a_count(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="max_waiting must be an integer of at least 0, or None") as refused:
        client_of(Script(connected), max_waiting=value)
    assert "secret" not in str(refused.value)
