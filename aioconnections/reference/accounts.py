"""Who asks: the login of a request, and the cookies that the server answers it with."""

from __future__ import annotations

from base64 import b64decode, b64encode
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from aioconnections.records import Identity, Person

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aioconnections.reference.dialect import Dialect
    from aioconnections.reference.directory import Directory

__all__ = ["PASSWORD", "Accounts", "Header", "Scheme", "Session"]

PASSWORD = "secret"  # noqa: S105  # everyone's, and meant to be known: this is a server for tests
Scheme: TypeAlias = Literal["basic", "oauth"]
Header: TypeAlias = tuple[bytes, bytes]

_REMEMBERED = 1024
_CHALLENGES: dict[Scheme, bytes] = {
    "basic": b'Basic realm="IBM Connections"',
    "oauth": b'Bearer realm="IBM Connections"',
}


class Session(NamedTuple):
    """A user who has signed in, by number, and what every answer to them sets."""

    user: int
    cookies: tuple[Header, ...]


class Accounts:
    """The logins that one server accepts.

    The application looks the same under ``/profiles/atom`` and ``/profiles/oauth/atom``; the first takes Basic, the
    second a bearer token. A server accepts one of the two.
    """

    def __init__(
        self, directory: Directory, dialect: Dialect, scheme: Scheme, tokens: Mapping[str, Identity | Person]
    ) -> None:
        self._directory = directory
        self._dialect = dialect
        self._scheme = scheme
        self._tokens = {token: self._number_of(who) for token, who in tokens.items()}
        self._login: Callable[[bytes], Session | None] = lru_cache(_REMEMBERED)(self._read)

    def login(self, authorization: bytes | None, *, oauth: bool) -> Session | None:
        """Who this ``Authorization`` header is, on one of the two kinds of path; None if nobody."""
        if authorization is None or oauth is not (self._scheme == "oauth"):
            return None
        return self._login(authorization)

    @staticmethod
    def challenge(*, oauth: bool) -> Header:
        """The header that asks for a login."""
        return b"www-authenticate", _CHALLENGES["oauth" if oauth else "basic"]

    def _read(self, authorization: bytes) -> Session | None:
        kind, _, credentials = authorization.partition(b" ")
        try:
            if self._scheme == "oauth":
                user = self._tokens.get(credentials.strip().decode()) if kind.lower() == b"bearer" else None
            else:
                user = self._basic(credentials) if kind.lower() == b"basic" else None
        except ValueError:  # neither base64 nor UTF-8
            return None
        return None if user is None else Session(user, self._cookies(user))

    def _basic(self, credentials: bytes) -> int | None:
        """People sign in as the directory allows: with their e-mail address, their userid or their key."""
        name, _, password = b64decode(credentials.strip(), validate=True).decode().partition(":")
        if password != PASSWORD:
            return None
        found = (self._directory.number(kind, name) for kind in ("email", "userid", "key"))
        return next((number for number in found if number is not None), None)

    def _number_of(self, who: Identity | Person) -> int:
        number = self._directory.number_of(who)
        if number is None:
            raise ValueError(f"a token is given to {who}, who is not in the directory")
        return number

    def _cookies(self, user: int) -> tuple[Header, ...]:
        """As recorded after a Basic login. The values are invented, with the characters that real ones have."""
        seed = f"{self._dialect.generator} {user}".encode()
        session = f"0000{blake2b(seed, digest_size=12).hexdigest()}:1a2b3c4d"
        cookies = [f"{self._dialect.session_cookie}={session}; Path=/; HttpOnly", "lcLang=en_US; Path=/"]
        for name in self._dialect.ltpa_cookies:
            token = b64encode(blake2b(seed + name.encode(), digest_size=64).digest()).decode()
            cookies.append(f"{name}={token}; Path=/; HttpOnly")
        return tuple((b"set-cookie", cookie.encode()) for cookie in cookies)
