"""Cookies are dropped, unless the login has a jar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anyio
import httpx
import pytest
from doors import URL, no_connection, on_virtual_time, service_document
from leaks import leaks

from aioconnections import AuthenticationError, Bearer, Checked, Client, Headers, Ltpa, Response, Send, Userid
from aioconnections.auth.cookies import Jar
from aioconnections.protocol.address import split_url
from aioconnections.protocol.messages import Request
from aioconnections.reference import Directory, app

A, B = Userid("a"), Userid("b")
CHECK = "/profiles/atom/connection.do?x"


class CookieServer(httpx.AsyncBaseTransport):
    """A server that sets `cookies` with each response, and records those that it receives."""

    def __init__(self, *cookies: str, refuses: Callable[[httpx.Request], bool] = lambda _: False) -> None:
        self._cookies = cookies
        self._refuses = refuses
        self.sent: list[str | None] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert len(request.headers.get_list("cookie")) <= 1
        self.sent.append(request.headers.get("cookie"))
        response = service_document() if request.url.path.endswith("profileService.do") else no_connection()
        if self._refuses(request):
            response = httpx.Response(401)
        for cookie in self._cookies:
            response.headers = httpx.Headers([*response.headers.multi_items(), ("set-cookie", cookie)])
        return response


def client_of(server: httpx.AsyncBaseTransport, auth: Any = ("ajones", "secret"), **options: Any) -> Client:
    return Client(URL, **{"auth": auth, "transport": server, "max_per_second": None, "cookies": True} | options)


@pytest.mark.anyio
async def test_cookies_are_dropped_by_default() -> None:
    server = CookieServer("LtpaToken2=a; Path=/")
    async with client_of(server, cookies=False) as client:
        for _ in range(3):
            await client.check(A, B)
    assert server.sent == [None] * 4


@pytest.mark.anyio
async def test_a_jar_sends_cookies_back_unchanged() -> None:
    server = CookieServer("LtpaToken2=a/b+c==; Path=/; HttpOnly; Secure", 'x="q,%2F"; Path=/profiles')
    async with client_of(server) as client:
        await client.check(A, B)
        await client.check(A, B)
    assert server.sent[0] is None
    assert {frozenset((sent or "").split("; ")) for sent in server.sent[1:]} == {
        frozenset({"LtpaToken2=a/b+c==", 'x="q,%2F"'})
    }


@pytest.mark.anyio
async def test_every_client_has_its_own_jar() -> None:
    first, second = CookieServer("LtpaToken2=first; Path=/"), CookieServer("LtpaToken2=second; Path=/")
    async with client_of(first) as one, client_of(second, ("bob", "secret")) as other:
        await one.check(A, B)
        await other.check(A, B)
        await one.check(A, B)
    assert first.sent == [None, "LtpaToken2=first", "LtpaToken2=first"]
    assert second.sent == [None, "LtpaToken2=second"]


@pytest.mark.anyio
async def test_an_expired_session_is_renewed_with_the_password() -> None:
    ended = False

    def refuses(request: httpx.Request) -> bool:
        return ended and "cookie" in request.headers

    server = CookieServer("LtpaToken2=a; Path=/", refuses=refuses)
    async with client_of(server) as client:
        await client.check(A, B)
        ended = True
        assert await client.check(A, B) is None
    assert server.sent == [None, "LtpaToken2=a", "LtpaToken2=a", None]


@pytest.mark.parametrize("in_run", [False, True])
def test_servers_that_do_not_share_their_sessions_never_refuse_the_password(*, in_run: bool) -> None:
    server = CookieServer("JSESSIONID=a; Path=/", refuses=lambda request: "cookie" in request.headers)

    async def main() -> None:
        async with client_of(server, max_connections=8, max_per_second=100) as client:
            if in_run:
                outcomes = await client.check_many((Userid(f"a{n}"), B) for n in range(40)).collect()
                assert all(isinstance(outcome, Checked) for outcome in outcomes)
            else:
                async with anyio.create_task_group() as tasks:
                    for number in range(40):
                        tasks.start_soon(client.check, Userid(f"a{number}"), B)

    on_virtual_time(main)
    assert server.sent.count(None) == 41


@pytest.mark.anyio
async def test_a_wrong_password_is_sent_once_even_if_the_refusal_sets_cookies() -> None:
    server = CookieServer("LtpaToken2=a; Path=/", refuses=lambda _: True)
    async with client_of(server) as client:
        for _ in range(2):
            with pytest.raises(AuthenticationError):
                await client.check(A, B)
    assert server.sent == [None]


@pytest.mark.anyio
async def test_a_cookie_login_is_sent_without_other_cookies() -> None:
    server = CookieServer("LtpaToken2=other; Path=/")
    async with client_of(server, Ltpa("mine")) as client:
        await client.check(A, B)
        await client.check(A, B)
    assert server.sent == ["LtpaToken2=mine"] * 3


@pytest.mark.anyio
async def test_a_renewal_is_sent_without_cookies() -> None:
    class FetchingAuth(Bearer):
        async def headers(self, send: Send, refused: Headers | None) -> Headers:
            await send("GET", "/token")
            await send("GET", "https://sso.example.com/token")
            return Headers([("Authorization", "Bearer new" if refused else "Bearer old")])

    def refuses(request: httpx.Request) -> bool:
        return ended and request.headers.get("authorization") == "Bearer old"

    ended = False
    server = CookieServer("a=b; Path=/", refuses=refuses)
    async with client_of(server, FetchingAuth("x")) as client:
        await client.check(A, B)
        ended = True
        assert await client.check(A, B) is None
    fetched, refused_alone_too = [None, None], ["a=b", None]
    assert server.sent == [*fetched, None, "a=b", *refused_alone_too, *fetched, None]


@pytest.mark.asyncio
async def test_cookies_of_a_listing_are_kept() -> None:
    directory = Directory.generate(people=50, seed=7)
    sent: list[str | None] = []

    class Recording(httpx.ASGITransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request.headers.get("cookie"))
            return await super().handle_async_request(request)

    transport = Recording(app(directory))
    async with client_of(transport, ("admin", "secret"), verify_login=False) as client:
        assert [person async for person in client.colleagues(directory.people[0])]
        await client.check(*directory.people[:2])
    assert sent[0] is None
    assert "LtpaToken2=" in (sent[-1] or "")


def jar_after(*cookies: str, origin: str = URL, path: str = CHECK) -> Jar:
    jar = Jar(split_url(origin)[0])
    fields = tuple((b"Set-Cookie", cookie.encode("latin-1")) for cookie in cookies)
    jar.keep(Request("GET", path), Response(200, fields))
    return jar


def sent_to(jar: Jar, path: str = CHECK) -> str | None:
    return jar.header(Request("GET", path)).get("cookie")


@pytest.mark.parametrize(
    ("set_", "sent"),
    [
        ({"/": "a=b; Path=/"}, {CHECK: "a=b", "/communities/x": "a=b"}),
        ({"/": "a=b; Path=/profiles"}, {CHECK: "a=b", "/communities/x": None}),
        ({CHECK: "a=b"}, {CHECK: "a=b", "/profiles/x": None}),
        ({"/": "a=b; Path=/; Domain=.example.com"}, {CHECK: "a=b"}),
        ({"/": "a=b; Path=/; Domain=elsewhere.com"}, {CHECK: None}),
        ({"/": "a=b; Path=/; Max-Age=0"}, {CHECK: None}),
        ({"/": "a=b; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, {CHECK: None}),
        ({"/": "a=b; Path=/; Max-Age=1000"}, {CHECK: "a=b"}),
        ({"/": "a=\u00e4; Path=/"}, {CHECK: None}),
        ({"/": f"a={'b' * 4096}; Path=/"}, {CHECK: None}),
    ],
)
def test_cookies_are_sent_where_they_apply(set_: Mapping[str, str], sent: Mapping[str, str | None]) -> None:
    ((path, cookie),) = set_.items()
    jar = jar_after(cookie, path=path)
    assert {path: sent_to(jar, path) for path in sent} == sent


@pytest.mark.parametrize(("origin", "sent"), [("http://connections.example.com", None), (URL, "a=b")])
def test_a_secure_cookie_is_sent_over_https_only(origin: str, sent: str | None) -> None:
    assert sent_to(jar_after("a=b; Path=/; Secure", origin=origin)) == sent


def test_a_cookie_is_replaced_or_removed_by_a_later_one() -> None:
    jar = jar_after("a=b; Path=/", "a=c; Path=/")
    assert sent_to(jar) == "a=c"
    jar.keep(Request("GET", CHECK), Response(200, ((b"set-cookie", b"a=; Path=/; Max-Age=0"),)))
    assert sent_to(jar) is None


def test_the_number_of_cookies_is_limited() -> None:
    assert len((sent_to(jar_after(*(f"c{n}=x; Path=/" for n in range(50)))) or "").split("; ")) == 50
    assert sent_to(jar_after(*(f"c{n}=x; Path=/" for n in range(51)))) is None


def test_the_values_of_cookies_are_never_shown() -> None:
    jar = jar_after("LtpaToken2=s3cret; Path=/")
    assert repr(jar) == "Jar(https://connections.example.com, 1 cookies)"
    for shown in leaks(jar):
        assert "s3cret" not in shown
