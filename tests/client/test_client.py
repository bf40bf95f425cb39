"""Single calls, redirects, headers, options, and misuse."""

from __future__ import annotations

import os
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from doors import (
    URL,
    Script,
    answered,
    client_of,
    no_connection,
    one_after_the_other,
    refusal,
    status,
)

from aioconnections import (
    AuthenticationError,
    BadRequestError,
    Bearer,
    Client,
    Email,
    InvalidInputError,
    Journal,
    Key,
    Outcomes,
    Pair,
    Person,
    ServerError,
    Status,
    Timeouts,
    UnexpectedResponseError,
    UsageError,
    Userid,
)
from aioconnections.transport.pool import LanePool

pytestmark = pytest.mark.anyio
A, B = Userid("a"), Userid("b")


async def test_check_asks_once_and_answers_with_the_status() -> None:
    script = one_after_the_other(status("accepted"), status("PENDING"), no_connection())
    async with client_of(script) as client:
        assert await client.check(Email("zoë+1@example.com"), Key("k&1")) is Status.ACCEPTED
        assert await client.check(Person(userid=A), B) is Status.PENDING
        assert await client.check(B, A) is None
    first = script.asked[0]
    assert first.raw_path == (
        b"/profiles/atom/connection.do?connectionType=colleague&sourceEmail=zo%C3%AB%2B1%40example.com&targetKey=k%261"
    )
    assert script.seen["/profiles/atom/profileService.do"] == 1


async def test_what_cannot_be_sent_is_refused_before_anything_is() -> None:
    script = one_after_the_other()
    async with client_of(script) as client:
        with pytest.raises(InvalidInputError, match="same person"):
            await client.check(A, A)
        with pytest.raises(InvalidInputError):
            await client.check("a", B)  # type: ignore[arg-type] # a call that type checkers must refuse
    assert not script.seen


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(400), BadRequestError),
        (httpx.Response(200, headers={"content-type": "text/html"}), AuthenticationError),
        (httpx.Response(302, headers={"location": f"{URL}/login.jsp"}), AuthenticationError),
        (httpx.Response(500), ServerError),
        (refusal(410), UnexpectedResponseError),
    ],
)
async def test_other_answers_are_typed_errors(answer: httpx.Response, error: type[Exception]) -> None:
    async with client_of(one_after_the_other(answer)) as client:
        with pytest.raises(error) as caught:
            await client.check(A, B)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_redirects_within_the_origin_are_followed_three_times_at_the_most() -> None:
    query = "?connectionType=colleague&sourceUserid=a&targetUserid=b"

    def to(where: str, code: int = 301) -> httpx.Response:
        return httpx.Response(code, headers={"location": f"{where}{query}"})

    here = to("/other/connection.do"), to(f"{URL}/third", 308), to("fourth")
    async with client_of(one_after_the_other(*here, status("accepted"))) as client:
        assert await client.check(A, B) is Status.ACCEPTED
    script = one_after_the_other(*here, to("/fifth"))
    async with client_of(script) as client:
        with pytest.raises(AuthenticationError):
            await client.check(A, B)
    assert [url.path for url in script.asked] == [
        "/profiles/atom/connection.do",
        "/other/connection.do",
        "/third",
        "/fourth",
    ]


@pytest.mark.parametrize(
    "where", ["https://evil.example.com/", "http://connections.example.com/x", "//evil.example.com/x", "", "/a b"]
)
async def test_no_redirect_leads_to_another_origin(where: str) -> None:
    script = one_after_the_other(httpx.Response(301, headers={"location": where}))
    async with client_of(script) as client:
        with pytest.raises((AuthenticationError, UnexpectedResponseError)):
            await client.check(A, B)
    assert len(script.asked) == 1


async def test_headers_go_with_every_request_and_nothing_secret_can_be_smuggled_into_them() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["user-agent"] == "mine/1"
        assert request.headers["x-trace"] == "7"
        assert request.headers["accept"] == "*/*"
        return await answered(status("accepted"))

    async with client_of(Script(answer), headers={"user-agent": "mine/1", "X-Trace": "7"}) as client:
        await client.check(A, B)
    for name in ("Authorization", "cookie", "Host", "Accept-Encoding"):
        with pytest.raises(InvalidInputError):
            client_of(Script(answer), headers={name: "x"})
    with pytest.raises(InvalidInputError):
        client_of(Script(answer), headers={"X": "a\r\nY: b"})


@pytest.mark.parametrize(
    "options",
    [
        {"max_connections": 0},
        {"max_connections": 2.5},  # would never be used up
        {"max_per_second": 0},
        {"burst": 0},
        {"max_attempts": 0},
        {"auth": "secret"},
        {"auth": "ab"},
        {"auth": httpx.BasicAuth("a", "secret")},
        {"auth": ("a", "b", "c")},
        {"auth": ("a:b", "c")},
        {"http_client": httpx.AsyncClient()},
        {"max_per_second": "secret"},
        {"timeouts": "secret"},
        {"auth": Bearer},
        {"on_attempt": "secret"},
        {"transport": "secret"},
        {"transport": None, "http_client": 5},
    ],
)
def test_options_that_cannot_be_used(options: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        client_of(one_after_the_other(), **options)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"attempt": 0}, "timeouts.attempt must be positive, got 0"),
        ({"attempt": "secret"}, "timeouts.attempt must be positive, got str"),
        ({"item": -1}, "timeouts.item must be positive, got -1"),
        ({"item": True}, "timeouts.item must be positive, got bool"),
        ({"item": None}, "timeouts.item must be positive, got NoneType"),
        ({"run": float("nan")}, "timeouts.run must be positive, got nan"),
        ({"outage": -1}, "timeouts.outage must be 0 or more, or None for no limit, got -1"),
        ({"outage": float("nan")}, "timeouts.outage must be 0 or more, or None for no limit, got nan"),
        ({"outage": "secret"}, "timeouts.outage must be 0 or more, or None for no limit, got str"),
    ],
)
def test_timeouts_that_cannot_be_used(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Timeouts(**values)
    assert str(caught.value) == message


def test_timeouts_without_limits() -> None:
    assert Timeouts(run=None, outage=None) == Timeouts(attempt=10, item=60, run=None, outage=None)


async def test_a_client_belongs_to_its_block_and_its_loop() -> None:
    client = client_of(one_after_the_other(status("accepted")))
    assert "not entered" in repr(client)
    with pytest.raises(UsageError):
        await client.check(A, B)
    async with client:
        assert "open" in repr(client)
        with pytest.raises(UsageError, match="once"):
            await client.__aenter__()

        def elsewhere() -> None:
            with pytest.raises(UsageError, match="another event loop"):
                anyio.run(client.check, A, B)

        await anyio.to_thread.run_sync(elsewhere)
        assert await client.check(A, B) is Status.ACCEPTED
    assert "closed" in repr(client)
    assert "secret" not in repr(client)
    with pytest.raises(UsageError, match="closed"):
        await client.check(A, B)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
async def test_a_forked_process_cannot_use_the_client() -> None:
    async with client_of(one_after_the_other(status("accepted"))) as client:
        child = os.fork()
        if child == 0:
            refused = False
            try:
                client.check(A, B).send(None)
            except UsageError as error:
                refused = "forked" in str(error)
            except BaseException:  # noqa: BLE001, S110 -- the child must not return to pytest
                pass
            os._exit(0 if refused else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0  # noqa: ASYNC222 -- the child is ending
        assert await client.check(A, B) is Status.ACCEPTED


def test_a_login_over_plain_http_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="unencrypted"):
        Client("http://connections.example.com", auth=("ajones", "secret"))
    Client("http://127.0.0.1:1", auth=("ajones", "secret"))


def test_a_proxy_of_the_environment_is_named_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hidden@proxy.example.com:3128")
    with pytest.warns(UserWarning, match="HTTPS_PROXY names a proxy") as caught:
        Client(URL)
    assert "hidden" not in str(caught[0].message)
    Client(URL, trust_env=True)
    Client("http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "connections.example.com")
    Client(URL)


async def test_a_caller_who_brings_a_client_keeps_it() -> None:
    script = one_after_the_other(status("accepted"))
    async with httpx.AsyncClient(transport=script) as http_client:
        async with Client(URL, auth=("ajones", "secret"), http_client=http_client) as client:
            assert await client.check(A, B) is Status.ACCEPTED
        assert not http_client.is_closed
    assert script.closed


async def test_pairs_of_people_use_the_best_identity_there_is() -> None:
    script = one_after_the_other(status("accepted"))
    ann = Person(name="Ann", email=Email("ann@example.com"), userid=Userid("U1"))
    async with client_of(script) as client, client.check_many([(ann, Person(key=Key("K2")))]) as outcomes:
        (outcome,) = [outcome async for outcome in outcomes]
    assert outcome.pair == Pair(Userid("U1"), Key("K2"))


@pytest.mark.parametrize("kind", [LanePool, Journal, Outcomes])
def test_ctrl_c_in_a_constructor_leaves_no_error_behind(kind: type[object]) -> None:
    """Python would show an exception in ``__del__`` on stderr, and nowhere else."""
    half_made = kind.__new__(kind)
    del half_made
