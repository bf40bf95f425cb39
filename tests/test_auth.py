"""Logins give their header, and show their secret to nobody else."""

from __future__ import annotations

import copy
import pickle
from base64 import b64decode
from typing import Any

import pytest

from aioconnections import Auth, Basic, Bearer, InvalidInputError
from aioconnections.auth import Secret
from aioconnections.protocol.messages import Response


async def never(*_: object, **__: object) -> Response:
    """A way to send that these logins do not need."""
    raise AssertionError


async def authorization(auth: Auth) -> str:
    first = await auth.headers(never, None)
    again = await auth.headers(never, first)
    assert again == first, "there is no better one after a refusal"
    return first.get("authorization") or ""


@pytest.mark.parametrize("password", ["secret", "", "with:colon", "pässwörd €", "no\u00a0break", "zero\u200bwidth"])
@pytest.mark.anyio
async def test_basic_is_name_and_password_in_utf8(password: str) -> None:
    scheme, _, token = (await authorization(Basic("ajones", password))).partition(" ")
    assert scheme == "Basic"
    assert b64decode(token).decode() == f"ajones:{password}"


@pytest.mark.parametrize(
    ("user", "password"), [("a:b", "x"), ("a\n", "x"), ("a", "x\r"), ("a", "\x00"), ("a", "\ud800")]
)
def test_basic_refuses_what_cannot_be_sent(user: str, password: str) -> None:
    with pytest.raises(InvalidInputError):
        Basic(user, password)


@pytest.mark.anyio
async def test_bearer_is_its_token() -> None:
    assert await authorization(Bearer("abc.DEF-_~+/=")) == "Bearer abc.DEF-_~+/="


@pytest.mark.parametrize("token", ["", "a b", "a\n", "tökén", "\x7f"])
def test_bearer_refuses_what_cannot_be_sent(token: str) -> None:
    with pytest.raises(InvalidInputError):
        Bearer(token)


def test_which_paths_a_login_uses() -> None:
    assert Basic("a", "b").oauth is False
    assert Bearer("t").oauth is True
    assert Bearer("t", oauth_paths=False).oauth is False


def test_ours_are_auths() -> None:
    assert isinstance(Basic("a", "b"), Auth)
    assert isinstance(Bearer("t"), Auth)
    assert not isinstance(("a", "b"), Auth)


def leaks(value: object) -> list[str]:
    """What each way of looking at a value gives away."""
    found: list[str] = []
    ways: list[Any] = [
        repr,
        str,
        format,
        vars,
        copy.copy,
        copy.deepcopy,
        pickle.dumps,
        lambda it: it.__reduce_ex__(4),
        lambda it: it.__getstate__(),
        lambda it: [getattr(it, name) for name in dir(it) if not name.startswith("__")],
    ]
    for look in ways:
        try:
            found.append(repr(look(value)))
        except (TypeError, AttributeError) as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize(
    ("holder", "secrets"),
    [
        (Secret("s3cret"), ["s3cret"]),
        (Basic("ajones", "s3cret"), ["s3cret", "YWpvbmVzOnMzY3JldA"]),
        (Bearer("s3cret"), ["s3cret"]),
        ([Bearer("s3cret")], ["s3cret"]),
    ],
)
def test_no_way_of_looking_shows_the_secret(holder: object, secrets: list[str]) -> None:
    for shown in leaks(holder):
        assert not any(secret in shown for secret in secrets)


@pytest.mark.parametrize("holder", [Secret("s"), Basic("a", "b"), Bearer("t")])
def test_a_secret_is_not_pickled(holder: object) -> None:
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(holder)


def test_a_secret_is_shown_to_the_code_that_sends_it() -> None:
    assert Secret("s3cret").reveal() == "s3cret"
    assert repr(Secret("s3cret")) == "Secret(…)"
    assert repr(Basic("ajones", "x")) == "Basic(…)"
