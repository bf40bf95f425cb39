"""The results of operations, and the HTTP responses made of them.

An operation returns its result as a value; `ResponseWriter` turns it into status, headers and body. Most requests are
HEADs, so the headers that many responses share are computed once, and the body of a HEAD is not written.
"""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from aioconnections.reference.markup import DECLARATION, SN

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioconnections.reference.settings import Settings

__all__ = [
    "INVALID",
    "NOT_AUTHORIZED",
    "NO_CONNECTION",
    "AtomDocument",
    "DocumentKind",
    "EmptyResult",
    "ErrorResult",
    "Header",
    "LoginRequired",
    "OperationResult",
    "PlainResult",
    "RefusedError",
    "ResponseWriter",
    "ServedApplication",
    "ServerResponse",
    "html_response",
    "plain_response",
]

Header: TypeAlias = tuple[bytes, bytes]
ServedApplication: TypeAlias = Literal["profiles", "communities"]
DocumentKind: TypeAlias = Literal["profiles", "service document", "communities"]
_CACHE_SIZE = 4096
_BODYLESS = frozenset({204, 205, 304})
_EXPIRED: Header = (b"expires", b"Thu, 01 Dec 1994 16:00:00 GMT")
_CONTENT_TYPES: dict[DocumentKind, bytes] = {
    "profiles": b"application/atom+xml;charset=UTF-8",
    "service document": b"application/atomsvc+xml; charset=UTF-8",
    "communities": b"application/atom+xml;charset=UTF-8",
}


class AtomDocument(NamedTuple):
    """An Atom document, written only if the response has a body.

    Attributes:
        kind: determines the headers.
        write: returns the text, given the part of all links before ``/profiles``.
        modified: seconds since 1970; None for documents made at the time of the request, such as feeds.
        headers: additional headers.
        status: 200, or 201 for a created resource.
    """

    kind: DocumentKind
    write: Callable[[str], str]
    modified: int | None = None
    headers: tuple[Header, ...] = ()
    status: int = 200


class EmptyResult(NamedTuple):
    """A success without a body, of type ``text/html`` as recorded."""

    status: int = 200
    application: ServedApplication = "profiles"
    location: str | None = None


class ErrorResult(NamedTuple):
    """An error document. Its ``code`` element repeats the status unless `code` is given."""

    status: int
    message: str
    application: ServedApplication = "profiles"
    code: str | None = None


class LoginRequired(NamedTuple):
    """The operation requires a login, and the requester is anonymous."""


class PlainResult(NamedTuple):
    """A response that is not Atom: JSON, text or HTML."""

    status: int
    content_type: str
    text: str
    headers: tuple[Header, ...] = ()


OperationResult: TypeAlias = AtomDocument | EmptyResult | ErrorResult | LoginRequired | PlainResult


class RefusedError(Exception):
    """Ends an operation with `result`."""

    def __init__(self, result: OperationResult) -> None:
        super().__init__(result)
        self.result = result


INVALID = ErrorResult(400, "CLFRN1172E: The request is invalid.")
"""The response of Profiles to a request that it cannot interpret."""
NOT_AUTHORIZED = ErrorResult(403, "CLFRN1174E: You are not authorized to perform that action.")
NO_CONNECTION = ErrorResult(404, "The connection does not exist.")  # invented: there is no recording


class ServerResponse(NamedTuple):
    """Status, headers and body."""

    status: int
    headers: list[Header]
    body: bytes


class ResponseWriter:
    """Writes the responses of one server."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._dialect = dialect = settings.dialect
        self._front_end_pages = settings.front_end_pages
        self._front_end_status = settings.front_end_status
        self._clock = clock
        self._common: list[Header] = [
            (b"x-lconn-auth", dialect.auth_header.encode()),
            (b"content-language", b"en-US"),
            *([(b"vary", b"Accept-Encoding")] if dialect.varies else []),
        ]
        cacheable: list[Header] = [(b"cache-control", b"private, max-age=600, no-cache=set-cookie"), _EXPIRED]
        private = ", private, must-revalidate" if dialect.is_cloud else ""
        uncacheable: list[Header] = [(b"cache-control", f"no-store, no-cache, must-revalidate{private}".encode())]
        after_write: list[Header] = [
            (b"cache-control", b'no-cache="set-cookie, set-cookie2"'),
            _EXPIRED,
            *([(b"surrogate-control", b"no-store")] if dialect.sends_no_store else []),
        ]
        if not settings.cache_headers:
            cacheable, uncacheable, after_write = [], [], []
        self._document_headers = {
            kind: [
                (b"content-type", content_type),
                *self._common,
                *(uncacheable if kind == "communities" else cacheable),
            ]
            for kind, content_type in _CONTENT_TYPES.items()
        }
        self._empty_headers = [(b"content-type", b"text/html"), *self._common, *after_write]
        self._last_modified: Callable[[int], Header] = lru_cache(_CACHE_SIZE)(_last_modified)
        self._error: Callable[[ErrorResult], ServerResponse] = lru_cache(_CACHE_SIZE)(self._uncached_error)

    def response(
        self,
        result: AtomDocument | ErrorResult | EmptyResult | PlainResult,
        base: str | None,
        cookies: tuple[Header, ...],
    ) -> ServerResponse:
        """The response for `result`; `base` begins all links, and is None if no body will be sent."""
        if isinstance(result, AtomDocument):
            modified = int(self._clock()) if result.modified is None else result.modified
            headers = [*self._document_headers[result.kind], *result.headers, self._last_modified(modified), *cookies]
            # Without Content-Length, as in some recordings, HEAD has the headers of GET without writing the body.
            return ServerResponse(result.status, headers, b"" if base is None else result.write(base).encode())
        if isinstance(result, ErrorResult):
            error = self._error(result)
            return ServerResponse(error.status, [*error.headers, *cookies], error.body)
        if isinstance(result, EmptyResult):
            location = [] if result.location is None else [(b"location", result.location.encode())]
            length = [] if result.status == 204 else [(b"content-length", b"0")]
            return ServerResponse(result.status, [*self._empty_headers, *length, *location, *cookies], b"")
        return plain_response(result, cookies)

    def _uncached_error(self, error: ErrorResult) -> ServerResponse:
        if self._front_end_pages:
            status = self._front_end_status or error.status
            return html_response(status, _phrase(status))
        from_profiles = error.application == "profiles"
        body = _error_document(
            str(error.status) if error.code is None else error.code,
            error.message,
            self._dialect.line_end,
            from_profiles=from_profiles,
        ).encode()
        headers = [
            (b"content-type", b"text/xml;charset=UTF-8"),
            (b"content-length", b"%d" % len(body)),
            *self._common,
        ]
        if error.status == 400 and from_profiles and self._dialect.closes_after_400:
            headers.append((b"connection", b"close"))
        return ServerResponse(error.status, headers, body)


def plain_response(result: PlainResult, cookies: tuple[Header, ...] = ()) -> ServerResponse:
    """The response for a result that is not Atom."""
    body = b"" if result.status in _BODYLESS else result.text.encode(errors="replace")
    headers = [(b"content-type", result.content_type.encode()), (b"content-length", b"%d" % len(body))]
    return ServerResponse(result.status, [*headers, *result.headers, *cookies], body)


def html_response(status: int, text: str, *headers: Header) -> ServerResponse:
    """An HTML page as the application server sends it when no application responds."""
    page = (
        f"<html><head><title>Error {status}</title></head>\n"
        f"<body><h1>Error {status}: {escape(text)}</h1><br><hr><i>IBM WebSphere Application Server</i></body></html>\n"
    )
    return plain_response(PlainResult(status, "text/html;charset=UTF-8", page, headers))


def _error_document(code: str, message: str, line_end: str, *, from_profiles: bool) -> str:
    """An error document of an application, with the blank lines and the padded text of the recordings."""
    lines = [
        *([DECLARATION, *[""] * 8] if from_profiles else [""] * 12),
        f'<error xmlns="{SN}">',
        *("\t<code>", f"\t\t{code}", "\t</code>"),
        *("\t<message>", f"\t\t{escape(message)}", "\t</message>"),
        *("\t<trace>", "\t\tOMITTED" if from_profiles else "\t\t", "\t</trace>"),
        "</error>",
        *[""] * 3,
    ]
    return line_end.join(lines)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown status"


def _last_modified(seconds: int) -> Header:
    return b"last-modified", formatdate(seconds, usegmt=True).encode()
