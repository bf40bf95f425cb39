"""Who signs in, and how: `Auth` objects give the headers that prove it.

A secret lives in a `Secret`, which shows it to nothing but the code that sends it.
"""

from __future__ import annotations

import unicodedata
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn, Protocol, runtime_checkable

import anyio

from aioconnections.errors import InvalidInputError
from aioconnections.protocol.messages import Headers, Response

__all__ = ["Auth", "Basic", "Bearer", "Ltpa", "Secret", "Send", "bearer_header", "is_visible"]


class Send(Protocol):
    """Sends one request for an `Auth`, without any credential of the client's, and returns the whole answer."""

    async def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Send a request to `url`, absolute or a path on the client's own server.

        Raises:
            TransportError: no complete answer came.
        """
        ...


@runtime_checkable
class Auth(Protocol):
    """Proves who is signed in.

    An implementation may have an attribute ``oauth = True``: its requests then go to the paths that OAuth logins use
    (``/profiles/oauth/atom/…``). It may have a method ``credential() -> Secret``: objects of one class with
    equal secrets are then taken for the same login, which is proved once; without it each object is a login of its own.
    """

    async def headers(self, send: Send, refused: Headers | None) -> Headers:
        """The headers that go with every request; asked once, and reused until the server answers 401.

        Then it is asked once more, however many requests are under way, with the headers that were refused. To give
        the same ones again, or to raise anything, means that there are no better ones: the client stops using this
        credential. What is raised when nothing was refused goes to the caller, as it is.
        """
        ...


class Secret:
    """Text that no ``repr``, ``str``, ``vars``, copy or pickle shows."""

    __slots__ = ("_reveal",)

    def __init__(self, text: str) -> None:
        self._reveal: Callable[[], str] = lambda: text

    def reveal(self) -> str:
        """The text itself, for the code that sends it."""
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


class _OneHeader:
    """A login that is one header, always the same unless the caller knows how to get a better one."""

    __slots__ = ("_lock", "_name", "_renew", "_value")

    oauth = False

    def __init__(self, name: str, value: str, renew: Callable[[], Awaitable[str]] | None = None) -> None:
        self._name = name
        self._value = Secret(value)
        self._renew = renew
        self._lock = anyio.Lock()  # several clients may have this login

    async def headers(self, send: Send, refused: Headers | None) -> Headers:
        """The header; after a refusal a new one, if there is a way to get it.

        Raises:
            InvalidInputError: the new one holds characters that cannot be sent.
        """
        del send
        if self._renew is not None and refused is not None:
            async with self._lock:
                if refused == self._header():
                    self._value = Secret(await self._renew())
        return self._header()

    def credential(self) -> Secret:
        """What two equal logins have in common."""
        return self._value

    def _header(self) -> Headers:
        return Headers([(self._name, self._value.reveal())])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Basic(_OneHeader):
    """User name and password (RFC 7617, in UTF-8).

    Raises:
        InvalidInputError: the name holds a colon, or either holds a control character.
    """

    __slots__ = ()

    def __init__(self, user: str, password: str) -> None:
        if ":" in user or any(unicodedata.category(c) in {"Cc", "Cs"} for c in user + password):
            raise InvalidInputError("user and password hold no control characters, and the user no colon")
        super().__init__("Authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode())


class Bearer(_OneHeader):
    """A token that was got elsewhere (RFC 6750).

    Args:
        token: as it goes on the wire.
        oauth_paths: use the paths that OAuth logins use (``/profiles/oauth/atom/…``), as the vendor's OAuth provider
            expects; False for a gateway in front of the server that takes tokens on the ordinary paths.
        renew: gets another token once the server has refused this one with 401; however many requests are under way,
            it is called once.

    Raises:
        InvalidInputError: the token is empty or holds characters that cannot be sent.
    """

    __slots__ = ("oauth",)

    def credential(self) -> Secret:
        """The token, and which paths it is for."""
        return Secret(f"{self._value.reveal()} {self.oauth}")

    def __init__(
        self, token: str, *, oauth_paths: bool = True, renew: Callable[[], Awaitable[str]] | None = None
    ) -> None:
        async def again(get: Callable[[], Awaitable[str]]) -> str:
            return bearer_header(await get())

        self.oauth: bool = oauth_paths
        super().__init__("Authorization", bearer_header(token), None if renew is None else lambda: again(renew))


class Ltpa(_OneHeader):
    """The cookies of a single sign-on that was made elsewhere: ``LtpaToken2``, ``LtpaToken``, ``SMSESSION``.

    They are sent raw: the values hold ``/``, ``+`` and ``=``, and servers know them neither quoted nor encoded.

    Args:
        value: of the cookie `name`, as the server has set it.
        name: of that cookie.
        others: further cookies that the sign-on needs, value by name.
        renew: gets all cookies anew, value by name, once the server has refused these with 401; however many requests
            are under way, it is called once.

    Raises:
        InvalidInputError: a name or a value cannot be sent in a ``Cookie`` header as it is.
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
        async def again(get: Callable[[], Awaitable[Mapping[str, str]]]) -> str:
            return _cookies(await get())

        cookies = _cookies({name: value, **(others or {})})
        super().__init__("Cookie", cookies, None if renew is None else lambda: again(renew))


def bearer_header(token: str) -> str:
    """The value of the header that carries `token`.

    Raises:
        InvalidInputError: the token is empty or holds characters that cannot be sent.
    """
    if not token or not is_visible(token):
        raise InvalidInputError("a bearer token is printable ASCII without blanks")
    return f"Bearer {token}"


def _cookies(cookies: Mapping[str, str]) -> str:
    """What a ``Cookie`` header holds (RFC 6265, section 4.2.1)."""
    for name, value in cookies.items():
        if not (name and value and is_visible(name + value)) or ";" in name + value or "=" in name:
            raise InvalidInputError("a cookie's name and value are printable ASCII without blanks and semicolons")
    if not cookies:
        raise InvalidInputError("a login by cookies needs one at least")
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def is_visible(text: str) -> bool:
    """Whether this is ASCII without blanks and control characters."""
    return text.isascii() and text.isprintable() and " " not in text
