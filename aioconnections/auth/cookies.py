"""The cookie jar of one signed-in user: stores what the server sets and sends it back, as a browser does.

The product sets ``LtpaToken2`` and a session cookie with every response. On a request they take precedence over the
``Authorization`` header. So a jar belongs to one credential, and is emptied when the server refuses its cookies.
"""

from __future__ import annotations

from email.message import Message
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.request import Request as UrllibRequest

from aioconnections.protocol.messages import NO_HEADERS, Headers, Origin, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse


__all__ = ["Jar"]

# the minimum that RFC 6265, section 6.1, asks a browser to store for each server
_MAX_COOKIES = 50
_LONGEST_COOKIE = 4096  # bytes


class Jar:
    """The cookies of one origin; path, ``Secure`` and expiry select those for a request (RFC 6265).

    ``repr`` and ``vars`` do not show their values.
    """

    __slots__ = ("_jar", "_origin")

    def __init__(self, origin: Origin) -> None:
        jar = CookieJar()
        self._jar: Callable[[], CookieJar] = lambda: jar
        self._origin = origin

    def header(self, request: Request) -> Headers:
        """The ``Cookie`` header for `request`, or no headers."""
        outgoing = self._for_urllib(request)
        self._jar().add_cookie_header(outgoing)
        value = outgoing.get_header("Cookie")
        return NO_HEADERS if value is None else Headers([("Cookie", value)])

    def keep(self, request: Request, response: Response) -> None:
        """Store the cookies that `response` sets, except those that could not be sent back unchanged."""
        message = Message()
        for line in response.get_all(b"set-cookie"):
            if line.isascii() and line.isprintable() and len(line) <= _LONGEST_COOKIE:
                message["Set-Cookie"] = line
        if message:
            jar = self._jar()
            jar.extract_cookies(cast("HTTPResponse", _ResponseInfo(message)), self._for_urllib(request))
            if len(jar) > _MAX_COOKIES:
                jar.clear()

    def empty(self) -> None:
        """Remove all cookies."""
        self._jar().clear()

    def _for_urllib(self, request: Request) -> UrllibRequest:
        return UrllibRequest(f"{self._origin}{request.target}")  # noqa: S310 # http or https, and nothing is opened

    def __repr__(self) -> str:
        return f"Jar({self._origin}, {len(self._jar())} cookies)"


class _ResponseInfo(NamedTuple):
    """The part of a response that `http.cookiejar` uses."""

    message: Message

    def info(self) -> Message:
        return self.message
