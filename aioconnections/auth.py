"""Who signs in, and how: `Auth` objects give the headers that prove it.

A secret lives in a `Secret`, which shows it to nothing but the code that sends it.
"""

from __future__ import annotations

import unicodedata
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import NoReturn, Protocol, runtime_checkable

from aioconnections.errors import InvalidInputError
from aioconnections.protocol.messages import Headers, Response

__all__ = ["Auth", "Basic", "Bearer", "Send"]


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
    (``/profiles/oauth/atom/…``).
    """

    async def headers(self, send: Send, refused: Headers | None) -> Headers:
        """The headers that go with every request; asked once, and reused until the server answers 401.

        Then it is asked once more, however many requests are under way, with the headers that were refused. To give
        the same ones again, or to raise a `ConnectionsError`, means that there are no better ones: the client stops
        using this credential.
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


class _Constant:
    """A login that is one header, always the same."""

    __slots__ = ("_authorization",)

    oauth = False

    def __init__(self, authorization: str) -> None:
        self._authorization = Secret(authorization)

    async def headers(self, send: Send, refused: Headers | None) -> Headers:
        """The same header every time; nothing is sent to get it."""
        del send, refused
        return Headers([("Authorization", self._authorization.reveal())])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Basic(_Constant):
    """User name and password (RFC 7617, in UTF-8).

    Raises:
        InvalidInputError: the name holds a colon, or either holds a control character.
    """

    __slots__ = ()

    def __init__(self, user: str, password: str) -> None:
        if ":" in user or any(unicodedata.category(c) in {"Cc", "Cs"} for c in user + password):
            raise InvalidInputError("user and password hold no control characters, and the user no colon")
        super().__init__("Basic " + b64encode(f"{user}:{password}".encode()).decode())


class Bearer(_Constant):
    """A token that was got elsewhere (RFC 6750).

    Args:
        token: as it goes on the wire.
        oauth_paths: use the paths that OAuth logins use (``/profiles/oauth/atom/…``), as the vendor's OAuth provider
            expects; False for a gateway in front of the server that takes tokens on the ordinary paths.

    Raises:
        InvalidInputError: the token is empty or holds characters that cannot be sent.
    """

    __slots__ = ("oauth",)

    def __init__(self, token: str, *, oauth_paths: bool = True) -> None:
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise InvalidInputError("a bearer token is printable ASCII without blanks")
        self.oauth: bool = oauth_paths
        super().__init__(f"Bearer {token}")
