"""A jar for one signed-in user: keeps what the server sets and sends it back, as a browser does.

The product sets ``LtpaToken2`` and a session cookie with every answer, and takes them for a login that goes before the
``Authorization`` header. So a jar belongs to one credential, and is emptied when the server refuses what is in it.
"""

from __future__ import annotations

from email.message import Message
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.request import Request as Url

from aioconnections.protocol.messages import NO_HEADERS, Headers, Origin, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse


__all__ = ["Jar"]

_MOST_COOKIES = 50  # of one server, and how long one may be: what RFC 6265, section 6.1, has a browser keep
_LONGEST_COOKIE = 4096


class Jar:
    """The cookies of one origin; path, ``Secure`` and expiry decide which of them a request gets (RFC 6265).

    No ``repr``, ``vars``, copy or pickle shows what is in it.
    """

    __slots__ = ("_jar", "_origin")

    def __init__(self, origin: Origin) -> None:
        jar = CookieJar()
        self._jar: Callable[[], CookieJar] = lambda: jar
        self._origin = origin

    def header(self, request: Request) -> Headers:
        """The ``Cookie`` header for `request`, or no headers."""
        url = self._url(request)
        self._jar().add_cookie_header(url)
        value = url.get_header("Cookie")
        return NO_HEADERS if value is None else Headers([("Cookie", value)])

    def keep(self, request: Request, response: Response) -> None:
        """Take in what `response` sets; what could not be sent back as it is, is left out."""
        said = Message()
        for line in response.get_all(b"set-cookie"):
            if line.isascii() and line.isprintable() and len(line) <= _LONGEST_COOKIE:
                said["Set-Cookie"] = line
        if said:
            jar = self._jar()
            jar.extract_cookies(cast("HTTPResponse", _Said(said)), self._url(request))
            if len(jar) > _MOST_COOKIES:
                jar.clear()

    def empty(self) -> None:
        """Forget everything."""
        self._jar().clear()

    def _url(self, request: Request) -> Url:
        return Url(f"{self._origin}{request.target}")  # noqa: S310 # http or https, and nothing is opened

    def __repr__(self) -> str:
        return f"Jar({self._origin}, {len(self._jar())} cookies)"


class _Said(NamedTuple):
    """As much of an answer as `http.cookiejar` looks at."""

    message: Message

    def info(self) -> Message:
        return self.message
