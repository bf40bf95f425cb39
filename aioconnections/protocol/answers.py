"""What an answer means when it is not the one hoped for: an HTTP answer becomes an error of ours.

Facts: an answer in HTML where Atom was expected, and a redirect to another path, are logins in disguise (single
sign-on in front of the server); a success without a body is also of type ``text/html``, so the length decides. Nothing
reads the words of a message: they are localised.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from aioconnections.atom import read_document
from aioconnections.errors import (
    AtomError,
    AuthenticationError,
    BadRequestError,
    ForbiddenError,
    ForeignResponseError,
    NotFoundError,
    ResponseError,
    ServerError,
    ThrottledError,
    UnexpectedResponseError,
)
from aioconnections.protocol.entries import SN
from aioconnections.protocol.messages import Request, Response
from aioconnections.records import ErrorDocument

__all__ = [
    "DOUBTFUL",
    "error_document",
    "error_of",
    "expect",
    "foreign_error",
    "head_of",
    "holds_error_document",
    "is_doubtful",
    "is_missing",
    "login_page",
    "names_stopped_application",
    "retry_after",
]

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_CHANGES = frozenset({"POST", "PUT", "DELETE"})
DOUBTFUL = frozenset({400, 403, 404, 409, 410, 417, 421, 426})
"""Refusals that are a verdict only if the application itself made them."""
_APPLICATION_SERVER = re.compile(rb"SRVE[0-9]{4}E")
_PLAIN: dict[int, type[ResponseError]] = {400: BadRequestError, 403: ForbiddenError, 404: NotFoundError}


def error_of(request: Request, response: Response) -> ResponseError:
    """The error that `response` is to `request`."""
    status = response.status
    if status == 401:
        return AuthenticationError(status, None, "the server refused the login")
    if 300 <= status < 400:
        return _redirect(request, response)
    if login_page(request, response):
        return AuthenticationError(status, None, "the server sent an HTML page, most likely its login, as the answer")
    said = error_document(response.body, charset=response.charset) if response.body else None
    code = said.message_id if said else None
    message = (said.message.removeprefix(f"{code}:").strip() if said else "") or _meaning(status)
    if status == 429 or status >= 500:
        kind = ThrottledError if status == 429 else ServerError
        return kind(status, code, message, retry_after(response))
    return _PLAIN.get(status, UnexpectedResponseError)(status, code, message)


def expect(request: Request, response: Response, *statuses: int) -> None:
    """Pass if the answer has one of these statuses and is no login page.

    Raises:
        ResponseError: it is another one.
    """
    if response.status not in statuses or login_page(request, response):
        raise error_of(request, response)


def is_missing(response: Response) -> bool:
    """Whether there is no such thing. A 404 that comes from something in front of the server never gets here."""
    return response.status == 404


def is_doubtful(response: Response) -> bool:
    """Whether a refusal may come from something else than the application that was asked.

    A web server in front answers ``404 text/html`` for every path while the application behind it is stopped
    (recorded: SRVE0255E), and gateways answer other refusals with pages of their own.
    """
    return response.status in DOUBTFUL and not response.is_own_form


def head_of(response: Response) -> Hashable:
    """What responses of one origin have in common: status, media type, length, and the names of the fields."""
    names = frozenset(name.lower() for name, _ in response.fields)
    return response.status, response.media_type, response.get(b"content-length"), names


def holds_error_document(response: Response) -> bool:
    """Whether the body is an error document of Connections, whatever the head says of it."""
    return bool(response.body) and error_document(response.body, charset=response.charset) is not None


def names_stopped_application(response: Response) -> bool:
    """Whether the body is a page of the application server that names an error of its own (``SRVE0255E``)."""
    return _APPLICATION_SERVER.search(response.body) is not None


def foreign_error(response: Response, service: str | None = None) -> ForeignResponseError:
    """The error for a doubtful response. With `service`, there is no such service at the address."""
    if service is not None:
        error = ForeignResponseError(response.status, None, f"there is no {service}: check the URL")
        error.wrong_address = True
        return error
    kind = response.media_type or "no type"
    return ForeignResponseError(
        response.status,
        None,
        f"the response ({kind}) does not come from Connections but from a web server or gateway in front of it;"
        " try again later, and if it stays, ask who runs the server",
    )


def login_page(request: Request, response: Response) -> bool:
    """Whether a success is really an HTML page in place of the answer."""
    if not 200 <= response.status < 300 or response.media_type not in _HTML:
        return False
    if request.method in _CHANGES:  # their answers are here as a whole, and mostly empty ones
        return bool(response.body)
    length = response.get(b"content-length")
    return bool(response.body) or (response.get(b"transfer-encoding") is not None if length is None else length != "0")


def retry_after(response: Response) -> float | None:
    """Seconds that the server asks to wait: given so, or as a date, which is read against the server's own clock.

    None if there is no such header or it makes no sense; never negative.
    """
    text = response.get(b"retry-after") or ""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    then, now = _date(text), _date(response.get(b"date") or "")
    return None if then is None or now is None else max(0.0, (then - now).total_seconds())


def _date(text: str) -> datetime | None:
    """One of the three dates of HTTP; the oldest of them, that of C's ``asctime``, leaves it unsaid that it is UTC."""
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date
    except (ValueError, OverflowError):
        return None


def _redirect(request: Request, response: Response) -> ResponseError:
    """A redirect that was not followed: to another path it is a login, to the same path another scheme or host."""
    status = response.status
    try:
        to = urlsplit(response.get(b"location") or "")
        path, absolute = to.path, bool(to.netloc)
    except ValueError:
        path, absolute = "", False
    if path and path != request.path:
        return AuthenticationError(status, None, "the server redirected to another page, most likely its login")
    if path and absolute:
        advice = "the server redirects to https, to another host or in a circle: check the URL"
        return UnexpectedResponseError(status, None, advice)
    return UnexpectedResponseError(status, None, "the server redirects in a circle or to nowhere")


def _meaning(status: int) -> str:
    """What is said of an answer that says nothing itself, as one to HEAD never does."""
    if status == 400:
        return "the server found the request invalid, for example because it does not know a person in it"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no standard status"


_NAMES = {
    f"{{{SN}}}": ("code", ("message", "displaymessage")),
    "{urn:ibm.com/td}": ("errorCode", ("errorMessage",)),
}
_MESSAGE_ID = re.compile(r"[A-Z]{3,10}\d{3,5}[A-Z]\b")


def error_document(body: bytes, *, charset: str | None = None) -> ErrorDocument | None:
    """Read what the server says of a failure.

    Args:
        body: as it came.
        charset: of the HTTP ``Content-Type``, or None.

    Returns:
        what it says, or None if the body is something else, for example an HTML page: the HTTP status stands.
    """
    try:
        error = read_document(body, charset=charset, strict=False)
    except AtomError:
        return None
    if error is None:
        return None
    space, _, name = error.tag.rpartition("}")
    names = _NAMES.get(f"{space}}}")
    if name != "error" or names is None:
        return None
    said = {child.tag.rpartition("}")[2]: child.content.strip() for child in error.children}
    code, messages = names
    message = next((said[name] for name in messages if said.get(name)), "")
    found = _MESSAGE_ID.match(message)
    return ErrorDocument(said.get(code) or None, message, found[0] if found else None)
