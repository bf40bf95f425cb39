"""OAuth 2: tokens are obtained from the provider, renewed, and never shown."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import anyio
import anyio.lowlevel
import pytest
from leaks import leaks

from aioconnections import (
    Auth,
    AuthenticationError,
    ConnectFailedError,
    ForbiddenError,
    Headers,
    InvalidInputError,
    OAuth2,
    Response,
    ResponseError,
    ServerError,
    ThrottledError,
    Tokens,
    TransportError,
    UnexpectedResponseError,
)

URL = "oauth2/endpoint/connectionsProvider/token"


class Provider:
    """A token endpoint that returns `responses` in order, and records the requests."""

    def __init__(self, *responses: Response | TransportError) -> None:
        self._responses = iter(responses)
        self.urls: list[str] = []
        self.forms: list[dict[str, str]] = []

    async def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        assert method == "POST"
        assert headers is not None
        assert headers["Content-Type"] == "application/x-www-form-urlencoded"
        self.urls.append(url)
        self.forms.append(dict(parse_qsl((body or b"").decode(), strict_parsing=True)))
        await anyio.lowlevel.checkpoint()
        response = next(self._responses)
        if isinstance(response, TransportError):
            raise response
        return response


def response_with(status: int = 200, content: bytes | None = None, **fields: object) -> Response:
    body = json.dumps(fields).encode() if content is None else content
    return Response(status, ((b"Content-Type", b"application/json"),), body)


def tokens(number: int) -> Response:
    return response_with(
        access_token=f"access{number}",
        token_type="Bearer",
        expires_in=43199,
        scope="",
        refresh_token=f"refresh{number}",
    )


def shown(headers: Headers) -> str | None:
    return headers.get("authorization")


@pytest.mark.anyio
async def test_an_access_token_is_fetched_before_the_first_use() -> None:
    provider = Provider(tokens(1))
    auth = OAuth2("my app", "s3cret &=", "refresh0")
    assert shown(await auth.headers(provider, None)) == "Bearer access1"
    assert shown(await auth.headers(provider, None)) == "Bearer access1"
    assert provider.urls == [URL]
    assert provider.forms == [
        {
            "grant_type": "refresh_token",
            "refresh_token": "refresh0",
            "client_id": "my app",
            "client_secret": "s3cret &=",
        }
    ]


@pytest.mark.anyio
async def test_each_renewal_uses_and_reports_the_latest_refresh_token() -> None:
    provider = Provider(tokens(1), response_with(access_token="access2"), tokens(3))
    stored: list[Tokens] = []
    auth = OAuth2("app", "s", "refresh0", access_token="access0", on_tokens=stored.append)
    headers = await auth.headers(provider, None)
    assert shown(headers) == "Bearer access0"
    for _ in range(3):
        headers = await auth.headers(provider, headers)
    assert shown(headers) == "Bearer access3"
    assert [form["refresh_token"] for form in provider.forms] == ["refresh0", "refresh1", "refresh1"]
    refreshed = [issued.refresh_token and issued.refresh_token.reveal() for issued in stored]
    assert [issued.access_token.reveal() for issued in stored] == ["access1", "access2", "access3"]
    assert refreshed == ["refresh1", None, "refresh3"]
    assert [issued.expires_in for issued in stored] == [43199, None, 43199]


@pytest.mark.anyio
async def test_a_code_is_exchanged_for_the_first_tokens() -> None:
    provider = Provider(tokens(1), tokens(2))
    auth = OAuth2.from_code("app", "s", "c0de", redirect_uri="https://app.example.com/back")
    headers = await auth.headers(provider, None)
    assert shown(await auth.headers(provider, headers)) == "Bearer access2"
    sent = {"client_id": "app", "client_secret": "s"}
    assert provider.forms == [
        sent | {"grant_type": "authorization_code", "code": "c0de", "redirect_uri": "https://app.example.com/back"},
        sent | {"grant_type": "refresh_token", "refresh_token": "refresh1"},
    ]


@pytest.mark.anyio
async def test_clients_that_share_a_login_use_one_refresh_token() -> None:
    provider = Provider(tokens(1))
    auth = OAuth2("app", "s", "refresh0", access_token="access0")
    refused = await auth.headers(provider, None)
    given: list[str | None] = []

    async def one() -> None:
        given.append(shown(await auth.headers(provider, refused)))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(one)
    assert given == ["Bearer access1"] * 5
    assert len(provider.forms) == 1


@pytest.mark.anyio
async def test_a_renewal_outlives_the_call_that_began_it() -> None:
    provider = Provider(tokens(1))
    stored: list[Tokens] = []
    auth = OAuth2("app", "s", "refresh0", on_tokens=stored.append)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await auth.headers(provider, None)
    assert provider.forms == []  # cancelled before it began
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(auth.headers, provider, None)
        while not provider.forms:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert len(stored) == 1
    assert shown(await auth.headers(provider, None)) == "Bearer access1"


@pytest.mark.anyio
async def test_an_exception_of_on_tokens_loses_no_token() -> None:
    def full(_: Tokens) -> None:
        raise OSError("disk full")

    auth = OAuth2("app", "s", "refresh0", on_tokens=full)
    provider = Provider(tokens(1))
    with pytest.raises(OSError, match="disk full"):
        await auth.headers(provider, None)
    assert shown(await auth.headers(provider, None)) == "Bearer access1"


@pytest.mark.parametrize(
    ("response", "error", "words"),
    [
        (response_with(400, error="invalid_grant"), AuthenticationError, "invalid_grant"),
        (response_with(401, error="invalid_client"), AuthenticationError, "invalid_client"),
        (response_with(400, error="refresh0 s3cret"), AuthenticationError, "refused to issue a token"),
        (response_with(403, error=["x"]), AuthenticationError, "refused to issue a token"),
        (response_with(400, b"<html>s3cret"), AuthenticationError, "refused to issue a token"),
        (response_with(400, b"[" * 100_000), AuthenticationError, "refused to issue a token"),
        (Response(302, ((b"Location", b"https://sso.example.com/login"),)), AuthenticationError, "login"),
        (Response(200, ((b"Content-Type", b"text/html"),), b"<form>"), AuthenticationError, "HTML"),
        (response_with(200, b"not JSON"), UnexpectedResponseError, "token"),
        (response_with(200, b"[]"), UnexpectedResponseError, "token"),
        (response_with(access_token=7), UnexpectedResponseError, "token"),
        (response_with(access_token="a\r\nX: s3cret"), UnexpectedResponseError, "token"),
        (response_with(404), ResponseError, "404"),
        (response_with(429), ThrottledError, "429"),
        (response_with(503), ServerError, "503"),
    ],
)
@pytest.mark.anyio
async def test_refusals_of_the_provider_are_typed_errors_without_secrets(
    response: Response, error: type[ResponseError], words: str
) -> None:
    auth = OAuth2("app", "s3cret", "refresh0")
    with pytest.raises(error, match=words) as caught:
        await auth.headers(Provider(response), None)
    assert not isinstance(caught.value, ForbiddenError)
    assert caught.value.__context__ is None
    for shown_ in (str(caught.value), repr(caught.value), repr(vars(caught.value)), repr(pickle.dumps(caught.value))):
        assert "s3cret" not in shown_
        assert "refresh0" not in shown_


@pytest.mark.anyio
async def test_a_transport_error_is_raised_and_the_next_call_tries_again() -> None:
    auth = OAuth2("app", "s", "refresh0")
    provider = Provider(ConnectFailedError("refused"), tokens(1))
    with pytest.raises(ConnectFailedError):
        await auth.headers(provider, None)
    assert shown(await auth.headers(provider, None)) == "Bearer access1"


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": ""},
        {"client_secret": ""},
        {"client_secret": "s3cret\ud800"},
        {"refresh_token": "s3cret\n"},
        {"access_token": "s3 cret"},
        {"access_token": ""},
        {"token_url": "http://elsewhere.example.com/token"},
        {"token_url": "//elsewhere.example.com/token"},
        {"token_url": "token"},
        {"token_url": "https://me:s3cret@elsewhere.example.com/token"},
    ],
)
def test_what_cannot_be_sent_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        OAuth2(**{"client_id": "app", "client_secret": "s", "refresh_token": "r"} | changed)
    assert "s3" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("url", ["/sso/token", "https://sso.example.com/token", "http://localhost:8080/token"])
@pytest.mark.anyio
async def test_another_token_endpoint(url: str) -> None:
    provider = Provider(tokens(1))
    await OAuth2("app", "s", "r", token_url=url).headers(provider, None)
    assert provider.urls == [url]


@pytest.mark.anyio
async def test_secrets_are_never_shown() -> None:
    stored: list[Tokens] = []
    made = [
        OAuth2("app", "s3cret", "refresh0", access_token="access0", on_tokens=stored.append),
        OAuth2.from_code("app", "s3cret", "c0de", redirect_uri="https://app.example.com/back"),
    ]
    auth = made[0]
    secrets = ("s3cret", "refresh0", "refresh1", "access0", "access1", "c0de")
    await auth.headers(Provider(tokens(1)), await auth.headers(Provider(), None))
    for holder in (*made, *stored, stored):
        for shown_ in leaks(holder):
            assert not any(secret in shown_ for secret in secrets)
    for holder in (*made, *stored):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(holder)
    assert repr(auth) == "OAuth2(…)"
    assert isinstance(auth, Auth)
    assert auth.oauth is True
