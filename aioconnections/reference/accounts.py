"""Accounts of a server: logins, cookies, tokens, and the endpoints at which people sign in."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from html import escape
from itertools import count
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlsplit

from attrs import frozen

from aioconnections.records import Identity, Person, identity_of
from aioconnections.reference.request import Parameters, Requester, parse_query
from aioconnections.reference.responses import OperationResult, PlainResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aioconnections.reference.directory import Directory
    from aioconnections.reference.request import ServerRequest
    from aioconnections.reference.responses import Header
    from aioconnections.reference.settings import Settings

__all__ = ["LOGIN", "SIGN_IN", "TOKEN", "Accounts", "LoginEndpoints", "login_page"]
LOGIN = "/auth/login"
SIGN_IN = "/auth/j_security_check"
TOKEN = "/oauth2/endpoint/connectionsProvider/token"  # noqa: S105  # a path
_PASSWORD = "secret"  # noqa: S105  # of all people, and public: this is a server for tests
_CACHE_SIZE = 1024
_NUMBER_BYTES = 8
_TOKEN_LIFETIME = 43_199  # seconds, as recorded
_HTML = "text/html;charset=UTF-8"


class Accounts:
    """The logins that one server accepts.

    The applications have the same resources on plain paths, with Basic or the cookie of an earlier login, and on paths
    with ``oauth``, with a bearer token. A server accepts one of the two. As in the product, a cookie takes precedence
    over a password, even of another person.
    """

    def __init__(
        self,
        directory: Directory,
        settings: Settings,
        tokens: Mapping[str, Identity | Person],
        refresh_tokens: Mapping[str, Identity | Person],
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._password = _PASSWORD
        self._tokens = {token: self._number_of(person) for token, person in tokens.items()}
        self._refresh_tokens = {token: self._number_of(person) for token, person in refresh_tokens.items()}
        self._issued = count(1)
        self._cached_login: Callable[[bytes, bytes], Requester | None] = lru_cache(_CACHE_SIZE)(self._uncached_login)

    @property
    def password(self) -> str:
        """The password of all people."""
        return self._password

    @password.setter
    def password(self, password: str) -> None:
        self._password = password
        self._clear_cache()

    def login(self, authorization: bytes, cookie: bytes, *, oauth: bool) -> Requester | None:
        """The requester with these headers, either of which may be empty; None without a valid login.

        Args:
            authorization: value of the ``Authorization`` header.
            cookie: value of the ``Cookie`` header.
            oauth: whether the path is one for bearer tokens.
        """
        if not (authorization or cookie) or oauth is not self._settings.takes_tokens_on_oauth_paths:
            return None
        return self._cached_login(authorization, cookie)

    def is_administrator(self, authorization: bytes) -> bool:
        """Whether the header has the administrator's password, which some paths accept on every server."""
        kind, _, credentials = authorization.partition(b" ")
        try:
            return kind.lower() == b"basic" and self._basic(credentials) == self._directory.administrator
        except ValueError:
            return False

    def by_password(self, name: str, password: str) -> Requester | None:
        """The requester with this e-mail address, userid or key and this password."""
        if password != self._password:
            return None
        kinds: tuple[Literal["email", "userid", "key"], ...] = ("email", "userid", "key")
        found = (self._directory.number(kind, name) for kind in kinds)
        return self._requester(next((number for number in found if number is not None), None))

    def refresh(self, refresh_token: str) -> tuple[str, str] | None:
        """A new access token and a new refresh token, which replaces `refresh_token`."""
        user = self._refresh_tokens.pop(refresh_token, None)
        if user is None:
            return None
        number = next(self._issued)
        access, refresh = (
            blake2b(f"{kind} {number} {user}".encode(), digest_size=20).hexdigest() for kind in ("access", "refresh")
        )
        self._tokens[access] = user
        self._refresh_tokens[refresh] = user
        self._clear_cache()
        return access, refresh

    def expire_tokens(self) -> None:
        """Expire all access tokens issued so far; refresh tokens remain valid."""
        self._tokens.clear()
        self._clear_cache()

    def _clear_cache(self) -> None:
        self._cached_login = lru_cache(_CACHE_SIZE)(self._uncached_login)

    def _uncached_login(self, authorization: bytes, cookie: bytes) -> Requester | None:
        kind, _, credentials = authorization.partition(b" ")
        try:
            if self._settings.auth == "oauth":
                user = self._tokens.get(credentials.strip().decode()) if kind.lower() == b"bearer" else None
            else:
                user = self._by_cookie(cookie)
                if user is None and kind.lower() == b"basic":
                    user = self._basic(credentials)
        except ValueError:  # not base64 or not UTF-8
            return None
        return self._requester(user)

    def _basic(self, credentials: bytes) -> int | None:
        name, _, password = b64decode(credentials.strip(), validate=True).decode().partition(":")
        requester = self.by_password(name, password)
        return None if requester is None else requester.user

    def _by_cookie(self, cookie: bytes) -> int | None:
        """The user of an ``LtpaToken2``. Its value is not unquoted; an invalid one is ignored."""
        for part in cookie.split(b";"):
            name, _, value = part.strip().partition(b"=")
            if name == b"LtpaToken2":
                try:
                    raw = b64decode(value, validate=True)
                except ValueError:
                    continue
                user = _masked(raw[:_NUMBER_BYTES], raw[_NUMBER_BYTES:])
                if compare_digest(raw, self._ltpa("LtpaToken2", user)):
                    return user
        return None

    def _requester(self, user: int | None) -> Requester | None:
        return None if user is None else Requester(user, self._cookies(user))

    def _number_of(self, person: Identity | Person) -> int:
        number = self._directory.number_of(person)
        if number is None:
            raise ValueError(f"the person of a token must be in the directory, got {identity_of(person)}")
        return number

    def _cookies(self, user: int) -> tuple[Header, ...]:
        """Cookies as recorded after a Basic login. The values are invented, with the same set of characters."""
        dialect = self._settings.dialect
        session = f"0000{blake2b(f'{dialect.generator} {user}'.encode(), digest_size=12).hexdigest()}:1a2b3c4d"
        cookies = [f"{dialect.session_cookie}={session}; Path=/; HttpOnly", "lcLang=en_US; Path=/"]
        cookies += [
            f"{name}={b64encode(self._ltpa(name, user)).decode()}; Path=/; HttpOnly" for name in dialect.ltpa_cookies
        ]
        return tuple((b"set-cookie", cookie.encode()) for cookie in cookies)

    def _ltpa(self, name: str, user: int) -> bytes:
        seed = f"{self._settings.dialect.generator} {user}{name}".encode()
        digest = blake2b(seed, digest_size=56).digest()
        return _masked(user.to_bytes(_NUMBER_BYTES, "big"), digest).to_bytes(_NUMBER_BYTES, "big") + digest


def _masked(number: bytes, digest: bytes) -> int:
    """`number` XOR the beginning of `digest`; applying it twice gives the number again."""
    return int.from_bytes(number, "big") ^ int.from_bytes(digest[:_NUMBER_BYTES], "big")


@frozen
class LoginEndpoints:
    """The public endpoints: the form of a single sign-on, and the token endpoint of OAuth 2."""

    accounts: Accounts

    def form(self, request: ServerRequest) -> OperationResult:
        """GET the login page."""
        return PlainResult(200, _HTML, login_page(request.first("target")))

    def sign_in(self, request: ServerRequest) -> OperationResult:
        """POST the form: a redirect to the target with cookies, or the form again."""
        form = _form(request)
        target = form.get("target", "")
        requester = self.accounts.by_password(form.get("j_username", ""), form.get("j_password", ""))
        if requester is None:
            return PlainResult(200, _HTML, login_page(target))
        # Always a path on this server: an open redirect would let other sites use this login page.
        path = quote(urlsplit(target)._replace(scheme="", netloc="").geturl().lstrip("/"), safe="/?&=%+")
        return PlainResult(302, _HTML, "", ((b"location", f"{request.root}/{path}".encode()), *requester.cookies))

    def token(self, request: ServerRequest) -> OperationResult:
        """POST to the token endpoint: a new pair of tokens as JSON for a refresh token (RFC 6749, section 6)."""
        form = _form(request)
        if not form.get("client_id") or form.get("client_secret") != _PASSWORD:
            return _json(401, {"error": "invalid_client"})
        if form.get("grant_type") != "refresh_token":
            return _json(400, {"error": "unsupported_grant_type"})
        issued = self.accounts.refresh(form.get("refresh_token", ""))
        if issued is None:
            return _json(400, {"error": "invalid_grant"})
        access, refresh = issued
        return _json(
            200,
            {
                "access_token": access,
                "token_type": "Bearer",
                "expires_in": _TOKEN_LIFETIME,
                "scope": "",
                "refresh_token": refresh,
            },
        )


def login_page(target: str) -> str:
    """An HTML page with a login form, which leads to `target`."""
    return (
        "<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>\n"
        f'<form method="post" action="{SIGN_IN.rpartition("/")[2]}">\n'
        f'<input type="hidden" name="target" value="{escape(target)}">\n'
        '<input name="j_username"><input name="j_password" type="password"><button>Log in</button>\n'
        "</form></body></html>\n"
    )


def _form(request: ServerRequest) -> dict[str, str]:
    fields: Parameters = parse_query(request.body.strip()) or {}
    return {name: values[0] for name, values in fields.items()}


def _json(status: int, value: dict[str, object]) -> PlainResult:
    headers = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))
    return PlainResult(status, "application/json;charset=UTF-8", json.dumps(value), headers)
