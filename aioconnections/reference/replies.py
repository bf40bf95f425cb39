"""Answers as they are sent: status, headers and bytes.

Much of this server's work are HEADs, so what is the same for many of them is worked out once, and a body that nobody
gets is not written.
"""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from aioconnections.reference.answers import Document, Done, Header, Look, Plain, Refused
from aioconnections.reference.documents import error_document, error_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioconnections.reference.settings import Settings

__all__ = ["Replies", "Reply", "page", "plain"]

_REMEMBERED = 4096
_LONG_AGO: Header = (b"expires", b"Thu, 01 Dec 1994 16:00:00 GMT")
_TYPES: dict[Look, bytes] = {
    "profiles": b"application/atom+xml;charset=UTF-8",
    "service document": b"application/atomsvc+xml; charset=UTF-8",
    "communities": b"application/atom+xml;charset=UTF-8",
}


class Reply(NamedTuple):
    """What goes out."""

    status: int
    headers: list[Header]
    body: bytes


class Replies:
    """The headers of one server."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._dialect = dialect = settings.dialect
        self._front_end_pages = settings.front_end_pages
        self._clock = clock
        self._every: list[Header] = [
            (b"x-lconn-auth", dialect.auth_header.encode()),
            (b"content-language", b"en-US"),
            *([(b"vary", b"Accept-Encoding")] if dialect.varies else []),
        ]
        cached: list[Header] = [(b"cache-control", b"private, max-age=600, no-cache=set-cookie"), _LONG_AGO]
        private = ", private, must-revalidate" if dialect.is_cloud else ""
        fresh: list[Header] = [(b"cache-control", f"no-store, no-cache, must-revalidate{private}".encode())]
        written: list[Header] = [
            (b"cache-control", b'no-cache="set-cookie, set-cookie2"'),
            _LONG_AGO,
            *([(b"surrogate-control", b"no-store")] if dialect.says_no_store else []),
        ]
        if not settings.cache_headers:
            cached, fresh, written = [], [], []
        self._looks = {
            look: [(b"content-type", _TYPES[look]), *self._every, *(fresh if look == "communities" else cached)]
            for look in _TYPES
        }
        self._done = [(b"content-type", b"text/html"), *self._every, *written]
        self._last_modified: Callable[[int], Header] = lru_cache(_REMEMBERED)(_last_modified)
        self._refused: Callable[[Refused], Reply] = lru_cache(_REMEMBERED)(self._error_document)

    def reply(self, answer: Document | Refused | Done | Plain, base: str | None, cookies: tuple[Header, ...]) -> Reply:
        """`answer` as it is sent; without a `base` for links nobody will read the body."""
        if isinstance(answer, Document):
            modified = int(self._clock()) if answer.modified is None else answer.modified
            headers = [*self._looks[answer.look], *answer.headers, self._last_modified(modified), *cookies]
            # without a length, as recorded now and then: HEAD need not write the body to answer as GET does
            return Reply(answer.status, headers, b"" if base is None else answer.write(base).encode())
        if isinstance(answer, Refused):
            reply = self._refused(answer)
            return Reply(reply.status, [*reply.headers, *cookies], reply.body)
        if isinstance(answer, Done):
            location = [] if answer.location is None else [(b"location", answer.location.encode())]
            length = [] if answer.status == 204 else [(b"content-length", b"0")]
            return Reply(answer.status, [*self._done, *length, *location, *cookies], b"")
        return plain(answer, cookies)

    def _error_document(self, refused: Refused) -> Reply:
        if self._front_end_pages:
            return page(refused.status, HTTPStatus(refused.status).phrase)
        of_profiles = refused.application == "profiles"
        body = error_document(
            str(refused.status) if refused.code is None else refused.code,
            refused.message,
            self._dialect.line_end,
            declared=of_profiles,
            blank_lines=8 if of_profiles else 12,
        ).encode()
        headers = [
            (b"content-type", b"text/xml;charset=UTF-8"),
            (b"content-length", b"%d" % len(body)),
            *self._every,
        ]
        if refused.status == 400 and of_profiles and self._dialect.closes_after_400:
            headers.append((b"connection", b"close"))
        return Reply(refused.status, headers, body)


def plain(answer: Plain, cookies: tuple[Header, ...] = ()) -> Reply:
    """Something that is no Atom."""
    body = answer.text.encode(errors="replace")
    headers = [(b"content-type", answer.content_type.encode()), (b"content-length", b"%d" % len(body))]
    return Reply(answer.status, [*headers, *answer.headers, *cookies], body)


def page(status: int, text: str, *headers: Header) -> Reply:
    """An answer of the application server, not of an application."""
    return plain(Plain(status, "text/html;charset=UTF-8", error_page(status, text), headers))


def _last_modified(seconds: int) -> Header:
    return b"last-modified", formatdate(seconds, usegmt=True).encode()
