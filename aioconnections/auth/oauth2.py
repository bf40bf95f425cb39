"""OAuth 2 with the product's own provider: authorization codes, refresh tokens and JSON responses."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode

import anyio

from aioconnections.auth.credentials import Secret, Send, bearer_header, check_text, is_visible
from aioconnections.errors import AuthenticationError, InvalidInputError, UnexpectedResponseError
from aioconnections.protocol.address import split_url
from aioconnections.protocol.messages import Headers, Request, Response
from aioconnections.protocol.responses import error_of, login_page
from aioconnections.reprs import frozen, safe_repr

__all__ = ["TOKEN_URL", "OAuth2", "Tokens"]

TOKEN_URL = "oauth2/endpoint/connectionsProvider/token"  # noqa: S105 # a path, below the base URL of the client
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ERROR_CODES = frozenset(  # RFC 6749, section 5.2: the only text of the response that our errors repeat
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
    """Tokens issued by the provider; `Secret.reveal` is for the code that stores them.

    Attributes:
        access_token: sent with requests.
        refresh_token: replaces the earlier refresh token; None if the provider issued none.
        expires_in: lifetime of the access token in seconds, as declared by the provider, or None. The client does not
            rely on it: it renews the token when the server responds with 401.
    """

    access_token: Secret
    refresh_token: Secret | None
    expires_in: float | None


class OAuth2:
    """Tokens of the OAuth 2 provider of a Connections server on premises, renewed as needed.

    They are renewed before the first request if there is no access token, and once whenever the server responds with
    401, however many requests are running. The provider issues a new refresh token each time, which replaces the old
    one: use `on_tokens` to store it.

    One object may serve several clients. A renewal is not cancelled with the call that began it, because the old
    refresh token would be spent and the new one lost.

    Args:
        client_id: id of the registered application.
        client_secret: secret of the registered application.
        refresh_token: the stored refresh token.
        access_token: the stored access token, if it may still be valid.
        token_url: the provider's token endpoint: a path on the client's server, or an ``https`` URL of another. By
            default ``oauth2/endpoint/connectionsProvider/token`` below the client's base URL.
        oauth_paths: use the paths for OAuth (``/profiles/oauth/atom/…``); False for a gateway that accepts tokens on
            the ordinary paths.
        on_tokens: called with new tokens before they are used; its exceptions are raised to the caller.

    Raises:
        InvalidInputError: an argument is empty or cannot be sent, or `token_url` is neither a path nor ``https``.
    """

    __slots__ = ("_application", "_authorization", "_grant", "_lock", "_on_tokens", "_token_url", "oauth")

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        *,
        access_token: str | None = None,
        token_url: str = TOKEN_URL,
        oauth_paths: bool = True,
        on_tokens: Callable[[Tokens], None] | None = None,
    ) -> None:
        self.oauth: bool = oauth_paths
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
        oauth_paths: bool = True,
        on_tokens: Callable[[Tokens], None] | None = None,
    ) -> OAuth2:
        """A login that exchanges an authorization code for its first tokens before the first request.

        The provider issues the code on the page where the user gives consent (``…/connectionsProvider/authorize``). It
        is valid for about a minute.

        Args:
            client_id: as in `OAuth2`.
            client_secret: as in `OAuth2`.
            code: the authorization code.
            redirect_uri: the redirect URI with which the application requested the code.
            token_url: as in `OAuth2`.
            oauth_paths: as in `OAuth2`.
            on_tokens: as in `OAuth2`.

        Raises:
            InvalidInputError: as for `OAuth2`.
        """
        auth = cls(client_id, client_secret, code, token_url=token_url, oauth_paths=oauth_paths, on_tokens=on_tokens)
        auth._grant = _form(grant_type="authorization_code", code=code, redirect_uri=redirect_uri)
        return auth

    async def headers(self, send: Send, refused: Headers | None) -> Headers:
        """The header with the access token, renewed if there is none or if it was refused.

        Raises:
            AuthenticationError: the provider refuses to issue a token.
            ResponseError: the provider sends any other response without a token.
            TransportError: there is no complete response.
        """
        async with self._lock:  # a refresh token is valid for one renewal: concurrent callers wait for its result
            if not self._authorization.reveal() or refused == self._headers():
                await self._renew(send)
            return self._headers()

    @property
    def is_renewable(self) -> bool:
        """Whether a refusal says little, because another credential follows; True."""
        return True

    def credential(self) -> Secret:
        """The grant for the next tokens, with the application's credentials; it changes with every renewal."""
        return Secret(f"{self._grant.reveal()}&{self._application.reveal()}")

    async def _renew(self, send: Send) -> None:
        body = self.credential().reveal().encode()
        with anyio.CancelScope(shield=True):  # bounded: `send` ends within the timeout of one attempt
            tokens = _tokens(await send("POST", self._token_url, headers=_HEADERS, body=body))
            self._authorization = Secret(bearer_header(tokens.access_token.reveal()))
            if tokens.refresh_token is not None:
                self._grant = _refresh_grant(tokens.refresh_token.reveal())
            if self._on_tokens is not None:
                self._on_tokens(tokens)

    def _headers(self) -> Headers:
        return Headers([("Authorization", self._authorization.reveal())])

    @safe_repr
    def __repr__(self) -> str:
        return "OAuth2(…)"


def _refresh_grant(refresh_token: str) -> Secret:
    return _form(grant_type="refresh_token", refresh_token=refresh_token)


def _form(**fields: str) -> Secret:
    """URL-encoded form fields."""
    for name, value in fields.items():
        check_text(name, value)
        if not value or any(unicodedata.category(c) in {"Cc", "Cs"} for c in value):
            raise InvalidInputError(f"{name} must not be empty or contain control characters or lone surrogates")
    return Secret(urlencode(fields))


def _endpoint(url: str) -> str:
    """The URL, if it is one that a secret may be sent to."""
    check_text("token_url", url)
    if url != TOKEN_URL and (not url.startswith("/") or url.startswith("//")):
        origin, _ = split_url(url)
        if origin.scheme != "https" and origin.host not in _LOOPBACK:
            raise InvalidInputError(
                f"token_url must be a path on the client's server or an https URL, got a URL of {origin}"
            )
    return url


def _tokens(response: Response) -> Tokens:
    """The tokens of the provider's response (RFC 6749, sections 5.1 and 5.2)."""
    if response.status in {400, 401, 403}:
        error = _json(response).get("error")
        reason = f": {error}" if isinstance(error, str) and error in _ERROR_CODES else ""
        raise AuthenticationError(response.status, None, f"the token endpoint refused to issue a token{reason}")
    request = Request("POST", f"/{TOKEN_URL}")
    if response.status != 200 or login_page(request, response):
        raise error_of(request, response)
    fields = _json(response)
    access, refresh = _secret(fields, "access_token"), _secret(fields, "refresh_token")
    if access is None:
        raise UnexpectedResponseError(200, None, "the response of the token endpoint contains no valid access_token")
    seconds = fields.get("expires_in")
    return Tokens(access, refresh, float(seconds) if isinstance(seconds, int | float) else None)


def _secret(fields: dict[str, Any], name: str) -> Secret | None:
    """The token in the field `name`, or None; tokens are visible ASCII (RFC 6749, appendix A)."""
    value = fields.get(name)
    return Secret(value) if isinstance(value, str) and value and is_visible(value) else None


def _json(response: Response) -> dict[str, Any]:
    """The JSON object in the body, or an empty one."""
    try:
        value = json.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
