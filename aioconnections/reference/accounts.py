"""Who asks: the login of a request, and the cookies that the server answers it with."""

from __future__ import annotations

from base64 import b64decode, b64encode
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from itertools import count
from typing import TYPE_CHECKING, Literal, NamedTuple

from aioconnections.records import Identity, Person

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aioconnections.reference.answers import Header
    from aioconnections.reference.directory import Directory
    from aioconnections.reference.settings import Settings

__all__ = ["ANONYMOUS", "PASSWORD", "Accounts", "Session"]

PASSWORD = "secret"  # noqa: S105  # everyone's, and meant to be known: this is a server for tests

_REMEMBERED = 1024
_NUMBER_BYTES = 8


class Session(NamedTuple):
    """A user who has signed in, by number, and what every answer to them sets. Nobody's number is None."""

    user: int | None
    cookies: tuple[Header, ...]


ANONYMOUS = Session(None, ())


class Accounts:
    """The logins that one server accepts.

    The applications look the same on their plain paths and on those with ``oauth``; the first take Basic or the cookie
    of an earlier login, the second a bearer token. A server accepts one of the two. A cookie goes before a password,
    whoever they belong to: so do those of the product.
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
        self._password = PASSWORD
        self._tokens = {token: self._number_of(who) for token, who in tokens.items()}
        self._refresh_tokens = {token: self._number_of(who) for token, who in refresh_tokens.items()}
        self._issued = count(1)
        self._login: Callable[[bytes, bytes], Session | None] = lru_cache(_REMEMBERED)(self._read)

    @property
    def password(self) -> str:
        """Everybody's password."""
        return self._password

    @password.setter
    def password(self, password: str) -> None:
        self._password = password
        self._forget()

    def login(self, authorization: bytes, cookie: bytes, *, oauth: bool) -> Session | None:
        """Who sends these headers, either of which may be empty, on one of the two kinds of path; None if nobody."""
        if not (authorization or cookie) or oauth is not (self._settings.auth == "oauth"):
            return None
        return self._login(authorization, cookie)

    def is_administrator(self, authorization: bytes) -> bool:
        """Whether this is the administrator's password, which opens some doors on every server."""
        kind, _, credentials = authorization.partition(b" ")
        try:
            return kind.lower() == b"basic" and self._basic(credentials) == self._directory.administrator
        except ValueError:
            return False

    def by_password(self, name: str, password: str) -> Session | None:
        """People sign in as the directory allows: with their e-mail address, their userid or their key."""
        if password != self._password:
            return None
        kinds: tuple[Literal["email", "userid", "key"], ...] = ("email", "userid", "key")
        found = (self._directory.number(kind, name) for kind in kinds)
        return self._session(next((number for number in found if number is not None), None))

    def refresh(self, refresh_token: str) -> tuple[str, str] | None:
        """A new access token and a new refresh token, which replaces this one."""
        user = self._refresh_tokens.pop(refresh_token, None)
        if user is None:
            return None
        number = next(self._issued)
        access, refresh = (
            blake2b(f"{kind} {number} {user}".encode(), digest_size=20).hexdigest() for kind in ("access", "refresh")
        )
        self._tokens[access] = user
        self._refresh_tokens[refresh] = user
        self._forget()
        return access, refresh

    def expire_tokens(self) -> None:
        """No access token given out so far is good any more; refresh tokens are."""
        self._tokens.clear()
        self._forget()

    def _forget(self) -> None:
        self._login = lru_cache(_REMEMBERED)(self._read)

    def _read(self, authorization: bytes, cookie: bytes) -> Session | None:
        kind, _, credentials = authorization.partition(b" ")
        try:
            if self._settings.auth == "oauth":
                user = self._tokens.get(credentials.strip().decode()) if kind.lower() == b"bearer" else None
            else:
                user = self._by_cookie(cookie)
                if user is None and kind.lower() == b"basic":
                    user = self._basic(credentials)
        except ValueError:  # neither base64 nor UTF-8
            return None
        return self._session(user)

    def _basic(self, credentials: bytes) -> int | None:
        name, _, password = b64decode(credentials.strip(), validate=True).decode().partition(":")
        session = self.by_password(name, password)
        return None if session is None else session.user

    def _by_cookie(self, cookie: bytes) -> int | None:
        """Whose ``LtpaToken2`` this is. Its value is taken raw; one that is wrong is as good as none."""
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

    def _session(self, user: int | None) -> Session | None:
        return None if user is None else Session(user, self._cookies(user))

    def _number_of(self, who: Identity | Person) -> int:
        number = self._directory.number_of(who)
        if number is None:
            raise ValueError(f"a token is given to {who}, who is not in the directory")
        return number

    def _cookies(self, user: int) -> tuple[Header, ...]:
        """As recorded after a Basic login. The values are invented, with the characters that real ones have."""
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
    """The number hidden by a digest, or the other way round."""
    return int.from_bytes(number, "big") ^ int.from_bytes(digest[:_NUMBER_BYTES], "big")
