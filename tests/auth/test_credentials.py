"""Credentials provide their header, and never show their secret."""

from __future__ import annotations

import pickle
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from leaks import leaks

from aioconnections import Auth, Basic, Bearer, InvalidInputError, Ltpa
from aioconnections.auth.credentials import Secret
from aioconnections.protocol.messages import Headers, Response


async def never(*_: object, **__: object) -> Response:
    """A `Send` that must not be called."""
    raise AssertionError


async def authorization(auth: Auth) -> str:
    first = await auth.headers(never, None)
    again = await auth.headers(never, first)
    assert again == first, "these credentials cannot be renewed"
    return first.get("authorization") or ""


@pytest.mark.parametrize("password", ["secret", "", "with:colon", "pässwörd €", "no\u00a0break", "zero\u200bwidth"])
@pytest.mark.anyio
async def test_basic_encodes_user_and_password_in_utf8(password: str) -> None:
    scheme, _, token = (await authorization(Basic("ajones", password))).partition(" ")
    assert scheme == "Basic"
    assert b64decode(token).decode() == f"ajones:{password}"


@pytest.mark.parametrize(
    ("user", "password", "problem"),
    [
        ("a:b", "x", "user must not contain a colon"),
        ("a\n", "x", "user must not contain control characters or lone surrogates"),
        ("a", "x\r", "password must not contain control characters or lone surrogates"),
        ("a", "\x00", "password must not contain control characters or lone surrogates"),
        ("a", "\ud800", "password must not contain control characters or lone surrogates"),
    ],
)
def test_basic_refuses_what_cannot_be_sent(user: str, password: str, problem: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Basic(user, password)
    assert str(caught.value) == problem


@pytest.mark.anyio
async def test_bearer_sends_its_token() -> None:
    assert await authorization(Bearer("abc.DEF-_~+/=")) == "Bearer abc.DEF-_~+/="


@pytest.mark.parametrize("token", ["", "a b", "a\n", "tökén", "\x7f"])
def test_bearer_refuses_what_cannot_be_sent(token: str) -> None:
    with pytest.raises(InvalidInputError, match="the bearer token must be non-empty printable ASCII without spaces"):
        Bearer(token)


@pytest.mark.anyio
async def test_the_cookies_of_a_single_sign_on_are_sent_unchanged() -> None:
    raw = 'AbC/d+e=="quoted",%2F'
    login = Ltpa(raw, others={"LtpaToken": "x=", "SMSESSION": "y"})
    assert [*await login.headers(never, None)] == [("Cookie", f"LtpaToken2={raw}; LtpaToken=x=; SMSESSION=y")]
    assert [*await Ltpa("v", name="LtpaToken").headers(never, None)] == [("Cookie", "LtpaToken=v")]


@pytest.mark.parametrize(
    ("name", "value"),
    [("LtpaToken2", v) for v in ("", "a b", "a;b", "a\r\nb", "ä")] + [(n, "v") for n in ("", "a=b", "a;b", "a b", "ä")],
)
def test_a_cookie_that_cannot_be_sent_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Ltpa(value, name=name)
    with pytest.raises(InvalidInputError):
        Ltpa("v", others={name: value})
    assert str(caught.value) == (
        "the name and value of a cookie must be non-empty printable ASCII without spaces and semicolons, "
        "the name also without an equals sign"
    )


def renewing(*values: Any) -> Callable[[], Awaitable[Any]]:
    remaining = iter(values)

    async def renew() -> Any:
        await anyio.lowlevel.checkpoint()
        return next(remaining)

    return renew


@pytest.mark.parametrize(
    ("login", "sent"),
    [
        (lambda: Bearer("one", renew=renewing("two")), ["Bearer one", "Bearer two"]),
        (
            lambda: Ltpa("one", renew=renewing({"LtpaToken2": "two", "SMSESSION": "s"})),
            ["LtpaToken2=one", "LtpaToken2=two; SMSESSION=s"],
        ),
    ],
)
@pytest.mark.anyio
async def test_concurrent_refusals_renew_a_credential_once(login: Callable[[], Auth], sent: list[str]) -> None:
    auth = login()
    first = await auth.headers(never, None)
    assert await auth.headers(never, None) == first
    given: list[Headers] = []

    async def one() -> None:
        given.append(await auth.headers(never, first))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(one)
    assert [value for headers in (first, given[0]) for _, value in headers] == sent
    assert given == given[:1] * 5


@pytest.mark.parametrize(
    "login",
    [
        lambda: Bearer("one", renew=renewing("t w o")),
        lambda: Ltpa("one", renew=renewing({})),
        lambda: Ltpa("one", renew=renewing({"a": ";"})),
    ],
)
@pytest.mark.anyio
async def test_a_renewed_credential_that_cannot_be_sent_is_refused(login: Callable[[], Auth]) -> None:
    auth = login()
    first = await auth.headers(never, None)
    with pytest.raises(InvalidInputError):
        await auth.headers(never, first)


def test_paths_for_oauth() -> None:
    assert Basic("a", "b").oauth is False
    assert Ltpa("v").oauth is False
    assert Bearer("t").oauth is True
    assert Bearer("t", oauth_paths=False).oauth is False


def test_credentials_implement_auth() -> None:
    assert isinstance(Basic("a", "b"), Auth)
    assert isinstance(Bearer("t"), Auth)
    assert isinstance(Ltpa("v"), Auth)
    assert not isinstance(("a", "b"), Auth)


@pytest.mark.parametrize(
    ("holder", "secrets"),
    [
        (Secret("s3cret"), ["s3cret"]),
        (Basic("ajones", "s3cret"), ["s3cret", "YWpvbmVzOnMzY3JldA"]),
        (Bearer("s3cret"), ["s3cret"]),
        ([Bearer("s3cret")], ["s3cret"]),
        (Ltpa("s3cret/+=", others={"SMSESSION": "t0ken"}), ["s3cret", "t0ken"]),
    ],
)
def test_secrets_are_never_shown(holder: object, secrets: list[str]) -> None:
    for shown in leaks(holder):
        assert not any(secret in shown for secret in secrets)


@pytest.mark.parametrize("holder", [Secret("s"), Basic("a", "b"), Bearer("t"), Ltpa("v")])
def test_a_secret_is_not_pickled(holder: object) -> None:
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(holder)


def test_a_secret_is_revealed_on_request() -> None:
    assert Secret("s3cret").reveal() == "s3cret"
    assert repr(Secret("s3cret")) == "Secret(…)"
    assert repr(Basic("ajones", "x")) == "Basic(…)"
