"""Credentials: `Auth` objects provide the headers that authenticate requests.

A secret is kept in a `Secret`, which reveals it only to the code that sends it.
"""

from __future__ import annotations

import unicodedata
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn, Protocol, runtime_checkable

import anyio

from aioconnections.errors import InvalidInputError
from aioconnections.protocol.messages import Headers, Response

__all__ = ["Auth", "Basic", "Bearer", "Ltpa", "Secret", "Send", "bearer_header", "check_text", "is_visible"]


class Send(Protocol):
    """Sends one request for an `Auth`, without the client's credential, and returns the whole response."""

    async def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Send a request to `url`: absolute, a path on the client's server, or relative to the client's base URL.

        Raises:
            TransportError: there is no complete response.
        """
        ...


@runtime_checkable
class Auth(Protocol):
    """A credential for one user.

    An implementation may have an attribute ``oauth = True``: requests then use the paths for OAuth
    (``/profiles/oauth/atom/…``). It may have a method ``credential() -> Secret``: objects of one class with equal
    secrets then count as the same login, which is verified once. Without it, each object is a login of its own.
    """

    async def headers(self, send: Send, refused: Headers | None) -> Headers:
        """The headers for every request. Called once; the result is reused until the server responds with 401.

        Then it is called once more, however many requests are running, with the `refused` headers. If it returns the
        same headers again or raises, the client stops using this credential. An exception raised when nothing was
        refused is passed on to the caller unchanged.
        """
        ...


class Secret:
    """Text that ``repr``, ``str`` and ``vars`` do not show, and that cannot be pickled or copied."""

    __slots__ = ("_reveal",)

    def __init__(self, text: str) -> None:
        self._reveal: Callable[[], str] = lambda: text

    def reveal(self) -> str:
        """The text, for the code that sends it."""
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


class _OneHeader:
    """A credential that is one header, constant unless the caller provides a way to renew it."""

    __slots__ = ("_lock", "_name", "_renew", "_value")

    oauth = False

    def __init__(self, name: str, value: str, renew: Callable[[], Awaitable[str]] | None = None) -> None:
        self._name = name
        self._value = Secret(value)
        self._renew = renew
        self._lock = anyio.Lock()  # several clients may share this credential

    async def headers(self, send: Send, refused: Headers | None) -> Headers:
        """The header; after a refusal a renewed one, if `renew` was given.

        Raises:
            InvalidInputError: the renewed header contains characters that cannot be sent.
        """
        del send
        if self._renew is not None and refused is not None:
            async with self._lock:
                if refused == self._header():
                    self._value = Secret(await self._renew())
        return self._header()

    @property
    def is_renewable(self) -> bool:
        """Whether a refusal says little, because another credential follows."""
        return self._renew is not None

    def credential(self) -> Secret:
        """The secret that identifies this login."""
        return self._value

    def _header(self) -> Headers:
        return Headers([(self._name, self._value.reveal())])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Basic(_OneHeader):
    """User name and password (RFC 7617, in UTF-8).

    Raises:
        InvalidInputError: `user` contains a colon, or either argument is not text or contains a control character.
    """

    __slots__ = ()

    def __init__(self, user: str, password: str) -> None:
        for name, value in (("user", user), ("password", password)):
            check_text(name, value)
            if any(unicodedata.category(c) in {"Cc", "Cs"} for c in value):
                raise InvalidInputError(f"{name} must not contain control characters or lone surrogates")
        if ":" in user:
            raise InvalidInputError("user must not contain a colon")
        super().__init__("Authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode())


class Bearer(_OneHeader):
    """A bearer token obtained elsewhere (RFC 6750).

    Args:
        token: the token as it is sent.
        oauth_paths: use the paths for OAuth (``/profiles/oauth/atom/…``), as the vendor's OAuth provider expects;
            False for a gateway in front of the server that accepts tokens on the ordinary paths.
        renew: returns another token after the server has refused this one with 401. It is called once, however many
            requests are running.

    Raises:
        InvalidInputError: the token is empty or contains characters that cannot be sent.
    """

    __slots__ = ("oauth",)

    def __init__(
        self, token: str, *, oauth_paths: bool = True, renew: Callable[[], Awaitable[str]] | None = None
    ) -> None:
        async def renewed(get: Callable[[], Awaitable[str]]) -> str:
            return bearer_header(await get())

        self.oauth: bool = oauth_paths
        super().__init__("Authorization", bearer_header(token), None if renew is None else lambda: renewed(renew))

    def credential(self) -> Secret:
        """The token, with `oauth_paths`, which distinguishes logins too."""
        return Secret(f"{self._value.reveal()} {self.oauth}")


class Ltpa(_OneHeader):
    """Cookies of a single sign-on obtained elsewhere: ``LtpaToken2``, ``LtpaToken``, ``SMSESSION``.

    They are sent unchanged: the values contain ``/``, ``+`` and ``=``, and servers accept them neither quoted nor
    encoded.

    Args:
        value: value of the cookie `name`, as the server has set it.
        name: name of that cookie.
        others: further cookies that the sign-on needs, as values by name.
        renew: returns new values of all cookies, by name, after the server has refused these with 401. It is called
            once, however many requests are running.

    Raises:
        InvalidInputError: a name or a value cannot be sent unchanged in a ``Cookie`` header.
    """

    __slots__ = ()

    def __init__(
        self,
        value: str,
        *,
        name: str = "LtpaToken2",
        others: Mapping[str, str] | None = None,
        renew: Callable[[], Awaitable[Mapping[str, str]]] | None = None,
    ) -> None:
        async def renewed(get: Callable[[], Awaitable[Mapping[str, str]]]) -> str:
            return _cookies(await get())

        if others is not None:
            _check_mapping(others)
        cookies = _cookies({name: value, **(others or {})})
        super().__init__("Cookie", cookies, None if renew is None else lambda: renewed(renew))


def check_text(name: str, value: object) -> None:
    """Check the type of a secret or a name; the error does not show the value.

    Raises:
        InvalidInputError: `value` is not text.
    """
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be text, got {type(value).__name__}")


def bearer_header(token: str) -> str:
    """The value of the ``Authorization`` header for `token`.

    Raises:
        InvalidInputError: the token is empty or contains characters that cannot be sent.
    """
    check_text("the bearer token", token)
    if not token or not is_visible(token):
        raise InvalidInputError("the bearer token must be non-empty printable ASCII without spaces")
    return f"Bearer {token}"


def _cookies(cookies: Mapping[str, str]) -> str:
    """The value of a ``Cookie`` header (RFC 6265, section 4.2.1)."""
    _check_mapping(cookies)
    for name, value in cookies.items():
        check_text("the name of a cookie", name)
        check_text("the value of a cookie", value)
        if not (name and value and is_visible(name + value)) or ";" in name + value or "=" in name:
            raise InvalidInputError(
                "the name and value of a cookie must be non-empty printable ASCII without spaces and semicolons, "
                "the name also without an equals sign"
            )
    if not cookies:
        raise InvalidInputError("renew must return at least one cookie, got none")
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _check_mapping(cookies: object) -> None:
    if not isinstance(cookies, Mapping):
        raise InvalidInputError(f"cookies must be a mapping of names to values, got {type(cookies).__name__}")


def is_visible(text: str) -> bool:
    """Whether `text` is ASCII without spaces and control characters."""
    return text.isascii() and text.isprintable() and " " not in text
