from __future__ import annotations

import pytest

from aioconnections.auth.credentials import Auth
from aioconnections.auth.environment import client_cert_of_environment, login_of_environment
from aioconnections.errors import InvalidInputError
from aioconnections.protocol.messages import Headers

NAMES = ("USER", "PASSWORD", "TOKEN", "CLIENT_CERT", "CLIENT_KEY", "CLIENT_KEY_PASSWORD")


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"AIOCONNECTIONS_{name}", raising=False)


def given(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"AIOCONNECTIONS_{name}", value)


async def header(auth: Auth) -> str | None:
    async def send(*_: object, **__: object) -> object:
        raise AssertionError

    headers: Headers = await auth.headers(send, None)  # type: ignore[arg-type] # never called
    return headers.get("Authorization")


@pytest.mark.asyncio
async def test_a_process_that_cannot_ask_signs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, USER="me", PASSWORD="secret")
    assert await header(login_of_environment()) == "Basic bWU6c2VjcmV0"
    given(monkeypatch, TOKEN="t0ken")
    found = login_of_environment(oauth_paths=False)
    assert await header(found) == "Bearer t0ken"
    assert not getattr(found, "oauth", False)
    assert getattr(login_of_environment(), "oauth", False)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "the login is missing: set AIOCONNECTIONS_USER and"),
        ({"USER": "", "TOKEN": "", "PASSWORD": "secret"}, "the login is missing"),
        ({"USER": "me"}, "the password is missing: set AIOCONNECTIONS_PASSWORD"),
        ({"USER": "me", "PASSWORD": ""}, "the password is missing"),
    ],
)
def test_without_a_login_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, values: dict[str, str], problem: str) -> None:
    given(monkeypatch, **values)
    with pytest.raises(InvalidInputError, match=problem):
        login_of_environment()


def test_the_client_certificate_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client_cert_of_environment() is None
    given(monkeypatch, CLIENT_CERT="cert.pem")
    assert client_cert_of_environment() is None
    given(monkeypatch, CLIENT_KEY="key.pem")
    assert client_cert_of_environment() == ("cert.pem", "key.pem")
    given(monkeypatch, CLIENT_KEY_PASSWORD="secret")
    assert client_cert_of_environment() == ("cert.pem", "key.pem", "secret")
