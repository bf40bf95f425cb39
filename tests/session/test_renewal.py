"""Tokens that go stale: renewed once for all who wait, by an `Auth` that may fail at it."""

from __future__ import annotations

from collections import Counter

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
    service_document,
    status,
)

from aioconnections import (
    AuthenticationError,
    Bearer,
    Checked,
    Client,
    ConnectFailedError,
    DeadlineError,
    Invited,
    Status,
    Unprocessed,
    Userid,
)
from aioconnections.auth.credentials import Send
from aioconnections.protocol.messages import Headers

pytestmark = pytest.mark.anyio
A, B = Userid("a"), Userid("b")


class Tokens:
    """A login that knows some tokens and gives the next one when one is refused."""

    oauth = True

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.asked = 0

    async def headers(self, send: Send, refused: Headers | None) -> Headers:  # noqa: ARG002 # needs no request
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        if refused is not None and len(self.tokens) > 1:
            del self.tokens[0]
        return Headers([("Authorization", f"Bearer {self.tokens[0]}")])


def only(token: str) -> Script:
    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        right = request.headers["authorization"] == f"Bearer {token}"
        return status("accepted") if right else httpx.Response(401)

    def canary(request: httpx.Request) -> httpx.Response:
        return service_document() if request.headers["authorization"] == f"Bearer {token}" else httpx.Response(401)

    return Script(answer, canary)


async def test_a_stale_token_is_renewed_once_for_all() -> None:
    auth, script = Tokens("stale", "fresh"), only("fresh")
    pairs = [(A, Userid(str(n))) for n in range(200)]
    client = client_of(script, auth=auth, verify_login=False)
    async with client, client.check_many(pairs) as outcomes:
        assert [outcome async for outcome in outcomes if not hasattr(outcome, "status")] == []
    assert auth.asked == 2
    assert outcomes.tally.checked == 200
    assert len(script.asked) <= 200 + 16
    assert set(script.seen) == {"/profiles/oauth/atom/connection.do"}


async def test_a_token_can_go_stale_more_than_once() -> None:
    auth = Tokens("one", "two", "three")
    current = iter(["one", "one", "two", "two", "three"])
    good = next(current)

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal good
        if request.headers["authorization"] != f"Bearer {good}":
            return httpx.Response(401)
        good = next(current, good)
        return status("accepted")

    async with client_of(Script(answer), auth=auth, verify_login=False) as client:
        for _ in range(6):
            assert await client.check(A, B) is Status.ACCEPTED
    assert auth.asked == 3


async def test_an_auth_that_raises_loses_no_item_of_a_run() -> None:
    class Defective(Tokens):
        async def headers(self, send: Send, refused: Headers | None) -> Headers:
            if refused is not None:
                raise OSError("the file with the token is gone")
            return await super().headers(send, refused)

    left = iter(range(50))

    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        return httpx.Response(401) if next(left, None) is None else status("accepted")

    pairs = [(A, Userid(str(n))) for n in range(200)]
    async with client_of(Script(answer), auth=Defective("good")) as client, client.check_many(pairs) as outcomes:
        seen = [outcome async for outcome in outcomes]
    assert isinstance(outcomes.stopped, AuthenticationError)
    assert sorted(outcome.index for outcome in seen) == list(range(outcomes.tally.read))
    assert outcomes.tally.checked == 50


async def test_a_change_vouches_for_a_token_as_a_question_does() -> None:
    """Tokens that last for five requests each, in a run that asks nothing."""
    auth, sent = Tokens(*(str(n) for n in range(8))), Counter[str]()

    async def answer(request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"]
        sent[token] += 1
        return httpx.Response(401) if sent[token] > 5 else httpx.Response(201, html="")

    client = client_of(Script(answer), auth=auth, max_connections=1)
    async with client, client.invite_many([Userid(str(n)) for n in range(40)], journal=None) as outcomes:
        assert {type(outcome) async for outcome in outcomes} == {Invited}
    assert outcomes.tally.invited == 40
    assert auth.asked == 8


async def test_a_token_that_stays_refused_costs_two_requests() -> None:
    auth, script = Tokens("stale", "stale too"), only("other")
    async with client_of(script, auth=auth) as client:
        for _ in range(3):
            with pytest.raises(AuthenticationError):
                await client.check(A, B)
    assert script.seen == {"/profiles/oauth/atom/profileService.do": 2}


async def test_while_a_token_is_renewed_nobody_sends_the_old_one() -> None:
    class Slow(Tokens):
        async def headers(self, send: Send, refused: Headers | None) -> Headers:
            for _ in range(50):
                await anyio.lowlevel.checkpoint()
            return await super().headers(send, refused)

    auth, script = Slow("stale", "fresh"), only("fresh")
    client = client_of(script, auth=auth, verify_login=False, max_connections=4)
    async with client, anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(client.check, A, B)
    assert auth.asked == 2
    assert len(script.asked) <= 100 + 4  # those that were under way when the first refusal came


async def test_a_late_answer_to_the_old_token_does_not_vouch_for_the_new_one() -> None:
    class Notes(Tokens):
        async def headers(self, send: Send, refused: Headers | None) -> Headers:
            if refused is not None:
                renewed.set()
            return await super().headers(send, refused)

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params["targetUserid"] == "slow":
            await late.wait()
            return status("accepted")
        if renewed.is_set():
            late.set()
            await anyio.wait_all_tasks_blocked()
        return httpx.Response(401)

    renewed, late = anyio.Event(), anyio.Event()
    auth = Notes("stale", "stale too", "never asked for")
    async with client_of(Script(answer), auth=auth, verify_login=False) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.check, A, Userid("slow"))
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(AuthenticationError):
            await client.check(A, B)
    assert auth.asked == 2


async def test_one_request_that_is_refused_with_every_token_does_not_use_them_up() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        return httpx.Response(401) if request.url.params["targetUserid"] == "0" else status("accepted")

    auth, script = Tokens(*map(str, range(1000))), Script(answer)
    pairs = [(A, Userid(str(n))) for n in range(1000)]
    async with client_of(script, auth=auth) as client, client.check_many(pairs) as outcomes:
        assert len([outcome async for outcome in outcomes if not isinstance(outcome, Checked | Unprocessed)]) == 1
    assert isinstance(outcomes.stopped, AuthenticationError)
    assert auth.asked <= 3


def test_an_auth_that_does_not_come_back_has_as_much_time_as_an_item() -> None:
    class Hangs:
        async def headers(self, send: Send, refused: Headers | None) -> Headers:  # noqa: ARG002 # needs no request
            await anyio.sleep_forever()
            raise AssertionError

    async def one(client: Client) -> None:
        with pytest.raises(DeadlineError):
            await client.check(A, B)

    async def main() -> None:
        started = trio.current_time()
        script = Script(lambda _: pytest.fail("asked"))
        async with client_of(script, auth=Hangs(), verify_login=False) as client, anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(one, client)
        assert trio.current_time() - started == pytest.approx(60)

    on_virtual_time(main)


async def test_the_same_token_again_or_an_error_closes_the_gate() -> None:
    class Broken(Tokens):
        async def headers(self, send: Send, refused: Headers | None) -> Headers:
            if refused is not None:
                raise ConnectFailedError("the token endpoint is away")
            return await super().headers(send, refused)

    class Defective(Tokens):
        async def headers(self, send: Send, refused: Headers | None) -> Headers:
            if refused is not None:
                raise OSError("the keyring is locked")
            return await super().headers(send, refused)

    for auth in (Tokens("stale"), Broken("stale", "fresh"), Defective("stale", "fresh"), Bearer("stale")):
        script = only("fresh")
        async with client_of(script, auth=auth) as client:
            for _ in range(2):
                with pytest.raises(AuthenticationError):
                    await client.check(A, B)
        assert script.seen.total() == 1


async def test_an_auth_sends_its_own_requests_without_any_credential() -> None:
    seen = []

    class Fetches:
        async def headers(self, send: Send, refused: Headers | None) -> Headers:
            assert refused is None
            answer = await send("POST", "/token", headers={"X-Client": "me"}, body=b"grant")
            return Headers([("Authorization", "Bearer " + answer.body.decode())])

    class Endpoint(Script):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/token":
                seen.append((request.method, request.headers.get("authorization"), await request.aread()))
                return httpx.Response(200, text="fetched")
            assert request.headers["authorization"] == "Bearer fetched"
            return await super().handle_async_request(request)

    async with client_of(Endpoint(lambda _: answered(status("pending"))), auth=Fetches()) as client:
        assert await client.check(A, B) is Status.PENDING
    assert seen == [("POST", None, b"grant")]
