"""Logins: proved once before anything else, and left alone once they are refused."""

from __future__ import annotations

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
    no_connection,
    on_virtual_time,
    on_virtual_time_of,
    one_after_the_other,
    pairs,
    refusal,
    status,
)

from aioconnections import (
    AuthenticationError,
    Client,
    ConnectFailedError,
    Email,
    Failed,
    NotFoundError,
    Rejected,
    ServerUnavailableError,
    Status,
    UnexpectedResponseError,
    Userid,
)

pytestmark = pytest.mark.anyio
A, B = Userid("a"), Userid("b")


@pytest.mark.parametrize(
    ("canary", "error"),
    [
        (httpx.Response(401), AuthenticationError),
        (httpx.Response(200, html="<form>"), AuthenticationError),
        (httpx.Response(404, html="SRVE0255E"), NotFoundError),
        (httpx.Response(200, json={}), UnexpectedResponseError),
    ],
)
async def test_nothing_is_asked_before_address_and_login_are_proved(
    canary: httpx.Response, error: type[Exception]
) -> None:
    script = Script(lambda _: pytest.fail("asked"), canary=lambda _: canary)
    async with client_of(script) as client:
        for _ in range(2):
            with pytest.raises(error):
                await client.check(A, B)
    assert script.seen.total() == (1 if error is AuthenticationError else 2)


@pytest.mark.parametrize("options", [{"auth": None}, {"verify_login": False}])
async def test_the_canary_can_be_left_out(options: dict[str, object]) -> None:
    script = one_after_the_other(no_connection(), no_connection())
    async with client_of(script, **options) as client:
        assert await client.check(A, B) is None
        assert await client.check(A, B) is None
    assert set(script.seen) == {"/profiles/atom/connection.do"}


async def test_many_at_once_send_one_canary() -> None:
    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        return status("accepted")

    script = Script(answer)
    async with client_of(script) as client, anyio.create_task_group() as tasks:
        for pair in pairs(40):
            tasks.start_soon(client.check, pair.source, pair.target)
    assert script.seen["/profiles/atom/profileService.do"] == 1
    assert script.most == 16


async def test_those_who_wait_for_a_canary_that_fails_share_its_failure() -> None:
    def canary(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    script = Script(lambda _: pytest.fail("asked"), canary=canary)
    failures = 0

    async def one(client: Client) -> None:
        nonlocal failures
        with pytest.raises(ConnectFailedError):
            await client.check(A, B)
        failures += 1

    async with client_of(script, max_attempts=1) as client, anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(one, client)
    assert failures == 10
    assert script.seen.total() == 1


def test_a_canary_that_hangs_survives_the_call_that_began_it_and_is_repeated(anyio_backend_name: str) -> None:
    class HangsAtFirst(Script):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if not self.seen:
                self.seen["hung"] += 1
                await anyio.sleep_forever()
            return await super().handle_async_request(request)

    script = HangsAtFirst(lambda _: answered(status("accepted")))
    found = []

    async def follower(client: Client) -> None:
        found.append(await client.check(A, B))

    async def main() -> None:
        async with client_of(script) as client, anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as first:
                    first.start_soon(client.check, A, B)
                    await anyio.sleep(1)
                    tasks.start_soon(follower, client)
                    await anyio.sleep(1)
                    scope.cancel()

    on_virtual_time_of(anyio_backend_name, main)
    assert found == [Status.ACCEPTED]
    assert script.seen["hung"] == script.seen["/profiles/atom/profileService.do"] == 1


def test_the_canary_goes_again_after_ten_minutes() -> None:
    async def main() -> None:
        script = one_after_the_other(*(status("accepted") for _ in range(3)))
        async with client_of(script) as client:
            await client.check(A, B)
            await trio.sleep(599)
            await client.check(A, B)
            assert script.seen["/profiles/atom/profileService.do"] == 1
            await trio.sleep(2)
            await client.check(A, B)
            assert script.seen["/profiles/atom/profileService.do"] == 2

    on_virtual_time(main)


async def test_a_dead_server_stops_the_run_as_unavailable() -> None:
    def canary(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    script = Script(lambda _: pytest.fail("asked"), canary=canary)
    async with client_of(script, max_attempts=1) as client, client.check_many([(A, B)] * 99) as outcomes:
        assert [outcome async for outcome in outcomes] == []
    assert isinstance(outcomes.stopped, ServerUnavailableError)
    assert script.seen.total() == 1


def test_that_nobody_can_ask_whether_addresses_are_hidden_is_no_news_of_the_item() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        if "unknown" not in str(request.url):
            return httpx.Response(401)
        await trio.testing.wait_all_tasks_blocked()  # until the login is known to be refused
        return refusal(400)

    async def main() -> None:
        people = [Email("unknown@example.com"), Email("b@example.com")]
        async with client_of(Script(answer)) as client:
            async with client.check_many([(A, person) for person in people], ordered=True) as outcomes:
                kinds = [type(outcome) async for outcome in outcomes]
            assert isinstance(outcomes.stopped, AuthenticationError)
        assert kinds == [Rejected, Failed]

    on_virtual_time(main)
