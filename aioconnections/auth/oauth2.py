"""OAuth 2 as the product's own provider has it: authorization codes and refresh tokens, answered in JSON."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode

import anyio
from attrs import frozen

from aioconnections.auth.credentials import Secret, Send, bearer_header, is_visible
from aioconnections.errors import AuthenticationError, InvalidInputError, UnexpectedResponseError
from aioconnections.protocol.address import split_url
from aioconnections.protocol.answers import error_of, login_page
from aioconnections.protocol.messages import Headers, Request, Response

__all__ = ["TOKEN_URL", "OAuth2", "Tokens"]

TOKEN_URL = "/oauth2/endpoint/connectionsProvider/token"  # noqa: S105 # a path
_FORM_TO_JSON = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_REFUSALS = frozenset(  # RFC 6749, section 5.2: the only words of the answer that are repeated
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)


@frozen
class Tokens:
    """What the provider has given out; `Secret.reveal` is for the code that stores it.

    Attributes:
        access_token: what requests are signed with.
        refresh_token: what the next tokens are got with, instead of any earlier one. None: there is none.
        expires_in: seconds that the provider says the access token is good for, or None. The client does not rely on
            it: it goes by the server's 401.
    """

    access_token: Secret
    refresh_token: Secret | None
    expires_in: float | None


class OAuth2:
    """Tokens of the OAuth 2 provider of a Connections server on premises, renewed as needed.

    They are renewed before the first request if there is no access token, and once whenever the server answers 401,
    however many requests are under way. The provider gives a new refresh token each time, which replaces the old one:
    `on_tokens` is where to store it. Requests go to the paths of OAuth logins (``/profiles/oauth/atom/…``).

    One such object may serve several clients. A renewal that has begun is not cancelled with the call that began it,
    for the old refresh token would then be spent and the new one lost.

    Args:
        client_id: of the registered application.
        client_secret: of the registered application.
        refresh_token: as stored from the last time.
        access_token: as stored from the last time, if it may still be good.
        token_url: the provider's token endpoint: a path on the client's own server, or an ``https`` URL of another.
        on_tokens: called with new tokens before they are used; what it raises is raised to whoever asked.

    Raises:
        InvalidInputError: an argument is empty or cannot be sent, or `token_url` is neither a path nor ``https``.
    """

    __slots__ = ("_application", "_authorization", "_grant", "_lock", "_on_tokens", "_token_url")

    oauth = True

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        *,
        access_token: str | None = None,
        token_url: str = TOKEN_URL,
        on_tokens: Callable[[Tokens], None] | None = None,
    ) -> None:
        self._application = _form(client_id=client_id, client_secret=client_secret)
        self._grant = _refresh_grant(refresh_token)
        self._authorization = Secret("" if access_token is None else bearer_header(access_token))
        self._token_url = _endpoint(token_url)
        self._on_tokens = on_tokens
        self._lock = anyio.Lock()

    @classmethod
    def from_code(
        cls,
        client_id: str,
        client_secret: str,
        code: str,
        *,
        redirect_uri: str,
        token_url: str = TOKEN_URL,
        on_tokens: Callable[[Tokens], None] | None = None,
    ) -> OAuth2:
        """A login that trades an authorization code for its first tokens, when the first request needs them.

        The code comes from the provider's page where the user has agreed (``…/connectionsProvider/authorize``), and
        is good for about a minute.

        Args:
            client_id: as in `OAuth2`.
            client_secret: as in `OAuth2`.
            code: what the provider gave to the application.
            redirect_uri: what the application gave to the provider.
            token_url: as in `OAuth2`.
            on_tokens: as in `OAuth2`.

        Raises:
            InvalidInputError: as for `OAuth2`.
        """
        made = cls(client_id, client_secret, code, token_url=token_url, on_tokens=on_tokens)
        made._grant = _form(grant_type="authorization_code", code=code, redirect_uri=redirect_uri)
        return made

    async def headers(self, send: Send, refused: Headers | None) -> Headers:
        """The header with the access token; a new one if there is none, or if it was refused.

        Raises:
            AuthenticationError: the provider refuses to give one.
            ResponseError: it answers something else.
            TransportError: no complete answer came.
        """
        async with self._lock:  # a refresh token is good for one renewal: the next waits for what this one brings
            if not self._authorization.reveal() or refused == self._signed():
                await self._renew(send)
            return self._signed()

    def credential(self) -> Secret:
        """The grant that the next tokens are got with, and for which application; it changes with every renewal."""
        return Secret(f"{self._grant.reveal()}&{self._application.reveal()}")

    async def _renew(self, send: Send) -> None:
        body = self.credential().reveal().encode()
        with anyio.CancelScope(shield=True):  # `send` ends within the time of one attempt
            tokens = _tokens(await send("POST", self._token_url, headers=_FORM_TO_JSON, body=body))
            self._authorization = Secret(bearer_header(tokens.access_token.reveal()))
            if tokens.refresh_token is not None:
                self._grant = _refresh_grant(tokens.refresh_token.reveal())
            if self._on_tokens is not None:
                self._on_tokens(tokens)

    def _signed(self) -> Headers:
        return Headers([("Authorization", self._authorization.reveal())])

    def __repr__(self) -> str:
        return "OAuth2(…)"


def _refresh_grant(refresh_token: str) -> Secret:
    return _form(grant_type="refresh_token", refresh_token=refresh_token)


def _form(**fields: str) -> Secret:
    """Part of a form, as it is sent."""
    if not all(fields.values()) or any(unicodedata.category(c) in {"Cc", "Cs"} for c in "".join(fields.values())):
        raise InvalidInputError(f"{' and '.join(fields)} must not be empty nor hold control characters")
    return Secret(urlencode(fields))


def _endpoint(url: str) -> str:
    """The URL of a token endpoint that a secret may be sent to."""
    if not url.startswith("/") or url.startswith("//"):
        origin, _ = split_url(url)
        if origin.scheme != "https" and origin.host not in _LOOPBACK:
            raise InvalidInputError("token_url is a path on the client's own server, or an https URL")
    return url


def _tokens(answer: Response) -> Tokens:
    """What the provider's answer gives (RFC 6749, sections 5.1 and 5.2)."""
    if answer.status in {400, 401, 403}:
        said = _json(answer).get("error")
        word = f": {said}" if isinstance(said, str) and said in _REFUSALS else ""
        raise AuthenticationError(answer.status, None, f"the token endpoint refused to give a token{word}")
    request = Request("POST", TOKEN_URL)
    if answer.status != 200 or login_page(request, answer):
        raise error_of(request, answer)
    fields = _json(answer)
    access, refresh = _secret(fields, "access_token"), _secret(fields, "refresh_token")
    if access is None:
        raise UnexpectedResponseError(200, None, "the token endpoint answered without a usable token")
    seconds = fields.get("expires_in")
    return Tokens(access, refresh, float(seconds) if isinstance(seconds, int | float) else None)


def _secret(fields: dict[str, Any], name: str) -> Secret | None:
    """A token of the answer, if it is one; RFC 6749 (appendix A) has them of visible ASCII."""
    value = fields.get(name)
    return Secret(value) if isinstance(value, str) and value and is_visible(value) else None


def _json(answer: Response) -> dict[str, Any]:
    """The object that an answer holds, or an empty one."""
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
