"""All kinds of login, and requests without one."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from aioconnections.records import Status
from aioconnections.reference import Directory, app

pytestmark = pytest.mark.asyncio
SERVICE = "/profiles/atom/profileService.do"
CHECK = "/profiles/atom/connection.do?"
MINE = "/communities/service/atom/community/invites/my"
TOKEN = "/oauth2/endpoint/connectionsProvider/token"
ME = "/connections/opensocial/basic/rest/people/@me/"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_cookie_takes_precedence_over_a_password(directory: Directory, ask: Any) -> None:
    server = app(directory)
    alice, bob = directory.people[:2]
    ltpa = (await ask(server, "GET", ME, user=alice)).cookies["LtpaToken2"]
    for cookie in (f"LtpaToken2={ltpa}", f"lcLang=en_US; LtpaToken2={ltpa}; a=b"):
        for user in (None, bob):
            response = await ask(server, "GET", ME, user=user, headers={"Cookie": cookie})
            assert response.json()["entry"]["displayName"] == alice.name
    for wrong in ("LtpaToken2=", "LtpaToken2=!", f"LtpaToken2={ltpa[4:]}", f"LtpaToken={ltpa}", "LtpaToken2=AAAA"):
        assert (await ask(server, "GET", ME, headers={"Cookie": wrong})).status_code == 401
        response = await ask(server, "GET", ME, user=bob, headers={"Cookie": wrong})
        assert response.json()["entry"]["displayName"] == bob.name
    assert (await ask(app(directory), "GET", ME, headers={"Cookie": f"LtpaToken2={ltpa}"})).status_code == 200


async def test_login_form(directory: Directory, ask: Any) -> None:
    server = app(directory, auth="form", context="/ctx")
    alice = directory.people[0]
    for user, status in ((None, 302), (alice, 200), ("nobody", 302)):
        response = await ask(server, "GET", f"/ctx{ME}", user=user)
        assert response.status_code == status
    responses = [
        await ask(server, method, f"/ctx{CHECK}connectionId=x") for method in ("GET", "HEAD", "PUT", "DELETE", "POST")
    ]
    assert {response.status_code for response in responses} == {302}
    (location,) = {response.headers["location"] for response in responses}
    where = urlsplit(location)
    assert f"{where.scheme}://{where.netloc}{where.path}" == "https://connections.example.com/ctx/auth/login"
    page = await ask(server, "GET", location)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert 'action="j_security_check"' in page.text
    target = parse_qs(where.query)["target"][0]
    form = f"j_username={quote(str(alice.email), safe='')}&j_password=secret&target={quote(target, safe='')}"
    signed_in = await ask(server, "POST", "/ctx/auth/j_security_check", content=form, headers=FORM)
    assert signed_in.status_code == 302
    assert signed_in.headers["location"] == "https://connections.example.com/ctx/profiles/atom/connection.do"
    cookie = f"LtpaToken2={signed_in.cookies['LtpaToken2']}"
    own = await ask(server, "GET", f"/ctx{ME}", headers={"Cookie": cookie})
    assert own.json()["entry"]["displayName"] == alice.name
    wrong = await ask(server, "POST", "/ctx/auth/j_security_check", content=form.replace("secret", "x"), headers=FORM)
    assert wrong.status_code == 200
    assert "set-cookie" not in wrong.headers


@pytest.mark.parametrize("target", ["//evil.example.com/x", "https://evil.example.com/x", "x\r\nSet-Cookie: a=b"])
async def test_login_form_redirects_only_to_this_server(directory: Directory, ask: Any, target: str) -> None:
    form = f"j_username=admin&j_password=secret&target={quote(target, safe='')}"
    response = await ask(app(directory, auth="form"), "POST", "/auth/j_security_check", content=form, headers=FORM)
    where = urlsplit(response.headers["location"])
    assert where.netloc == "connections.example.com"
    assert "a" not in response.cookies


async def test_anonymous_read(directory: Directory, ask: Any, pair: Any, query: Any, invitation: Any) -> None:
    server = app(directory, anonymous_read=True)
    for status in Status:
        one, other = pair(status)
        url = CHECK + query(one.key, other.key)
        assert (await ask(server, "HEAD", url)).status_code == (200 if status is Status.ACCEPTED else 404)
        feed = f"/profiles/atom/connections.do?connectionType=colleague&key={one.key}"
        response = await ask(server, "GET", f"{feed}&status={status}")
        assert (b"<entry>" in response.content) is (status is Status.ACCEPTED)
        assert "set-cookie" not in response.headers
        assert (await ask(server, "POST", feed, content=invitation())).status_code == 401
    for own in (SERVICE, MINE, ME):
        assert (await ask(server, "GET", own)).status_code == 401
    assert (await ask(server, "GET", f"{SERVICE}?key={directory.people[0].key}")).status_code == 200
    assert (await ask(server, "GET", SERVICE, user="nobody")).status_code == 401
    in_front = app(directory, anonymous_read=True, auth="form")
    assert (await ask(in_front, "GET", MINE)).status_code == 302


async def test_new_password_replaces_the_old_one(directory: Directory, ask: Any) -> None:
    server = app(directory)
    assert (await ask(server, "GET", SERVICE, user="admin")).status_code == 200
    assert server.password == "secret"
    server.password = "other"
    assert (await ask(server, "GET", SERVICE, user="admin")).status_code == 401
    assert server.password == "other"
    authorization = {"Authorization": "Basic YWRtaW46b3RoZXI="}
    assert (await ask(server, "GET", SERVICE, headers=authorization)).status_code == 200


async def test_tokens_are_refreshed(directory: Directory, ask: Any) -> None:
    alice = directory.people[0]
    server = app(directory, auth="oauth", tokens={"t0": alice}, refresh_tokens={"r0": alice})
    path = SERVICE.replace("/atom/", "/oauth/atom/")
    form = "grant_type=refresh_token&client_id=any&client_secret=secret&refresh_token="
    access, refresh = "t0", "r0"
    for _ in range(3):
        assert (await ask(server, "GET", path, headers={"Authorization": f"Bearer {access}"})).status_code == 200
        server.expire_tokens()
        assert (await ask(server, "GET", path, headers={"Authorization": f"Bearer {access}"})).status_code == 401
        response = await ask(server, "POST", TOKEN, content=form + refresh, headers=FORM)
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json;charset=UTF-8"
        used = await ask(server, "POST", TOKEN, content=form + refresh, headers=FORM)
        assert (used.status_code, used.json()) == (400, {"error": "invalid_grant"})
        issued = response.json()
        assert {**issued, "access_token": "", "refresh_token": ""} == {
            "access_token": "", "token_type": "Bearer", "expires_in": 43199, "scope": "", "refresh_token": "",
        }  # fmt: skip
        access, refresh = issued["access_token"], issued["refresh_token"]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ("", "invalid_client"),
        ("grant_type=refresh_token&client_id=a&client_secret=x&refresh_token=r", "invalid_client"),
        ("grant_type=refresh_token&client_secret=secret&refresh_token=r", "invalid_client"),
        ("grant_type=password&client_id=a&client_secret=secret", "unsupported_grant_type"),
        ("grant_type=refresh_token&client_id=a&client_secret=secret", "invalid_grant"),
        ("grant_type=%zz", "invalid_client"),
    ],
)
async def test_invalid_grant_is_refused(directory: Directory, ask: Any, form: str, error: str) -> None:
    server = app(directory, auth="oauth", refresh_tokens={"r": directory.people[0]})
    response = await ask(server, "POST", TOKEN, content=form, headers=FORM)
    assert response.status_code == (401 if error == "invalid_client" else 400)
    assert response.json() == {"error": error}
    assert (await ask(server, "GET", TOKEN)).status_code == 405
