"""Conversion of responses that report a failure to exceptions.

HTML in place of Atom, or a redirect to another path, means a login page (single sign-on in front of the server). A
success without a body has type ``text/html`` too, so the length decides. The text of a message is never interpreted: it
is localised.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from aioconnections import atom
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
from aioconnections.protocol.address import ROOTS, keeps_parameters
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
    "html_page",
    "is_doubtful",
    "is_missing",
    "login_page",
    "names_stopped_application",
    "retry_after",
]

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_CHANGES = frozenset({"POST", "PUT", "DELETE"})
DOUBTFUL = frozenset({400, 403, 404, 409, 410, 417, 421, 426})
"""Refusals that are a verdict only if the application itself wrote them."""
_APPLICATION_SERVER = re.compile(rb"SRVE[0-9]{4}E")
_PLAIN_ERRORS: dict[int, type[ResponseError]] = {400: BadRequestError, 403: ForbiddenError, 404: NotFoundError}
_ERROR_ELEMENTS = {
    f"{{{SN}}}": ("code", ("message", "displaymessage")),
    "{urn:ibm.com/td}": ("errorCode", ("errorMessage",)),
}
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")  # float() also accepts a sign, an exponent, "nan" and "1_000"
_LONGEST_PAUSE = 1e9  # seconds; far above the limit of the retries, and finite
_ROOT = re.compile("|".join(ROOTS))
_MESSAGE_ID = re.compile(r"[A-Z]{3,10}\d{3,5}[A-Z]\b")


def error_of(request: Request, response: Response) -> ResponseError:
    """The error that `response` reports."""
    status = response.status
    if status == 401:
        return AuthenticationError(status, None, "the server refused the login")
    if 300 <= status < 400:
        return _redirect(request, response)
    if login_page(request, response):
        return AuthenticationError(status, None, html_page(request))
    document = error_document(response.body, charset=response.charset) if response.body else None
    code = document.message_id if document else None
    message = (document.message.removeprefix(f"{code}:").strip() if document else "") or _meaning(status)
    if document is None and response.media_type in _HTML:
        message = f"{message}; {request.shown} returned an HTML page, which does not come from Connections"
    if status == 429 or status >= 500:
        kind = ThrottledError if status == 429 else ServerError
        return kind(status, code, message, retry_after(response))
    return _PLAIN_ERRORS.get(status, UnexpectedResponseError)(status, code, message)


def expect(request: Request, response: Response, *statuses: int) -> None:
    """Check that the response has one of these statuses and is not a login page.

    Raises:
        ResponseError: it has another status, or is a login page.
    """
    if response.status not in statuses or login_page(request, response):
        raise error_of(request, response)


def is_missing(response: Response) -> bool:
    """Whether the resource does not exist. The session has already refused a 404 that the application did not write."""
    return response.status == 404


def is_doubtful(response: Response) -> bool:
    """Whether something other than the application may have written a refusal.

    A web server in front responds ``404 text/html`` for every path while the application behind it is stopped
    (recorded: SRVE0255E), and gateways send other refusals with pages of their own.
    """
    return response.status in DOUBTFUL and not response.is_own_form


def head_of(response: Response) -> Hashable:
    """What responses of one origin have in common: status, media type, length, and the names of the header fields."""
    return response.status, response.media_type, response.get(b"content-length"), response.names


def holds_error_document(response: Response) -> bool:
    """Whether the body is an error document of Connections, regardless of the head."""
    return bool(response.body) and error_document(response.body, charset=response.charset) is not None


def names_stopped_application(response: Response) -> bool:
    """Whether the body is a page of the application server that names an error of its own (``SRVE0255E``)."""
    return _APPLICATION_SERVER.search(response.body) is not None


def html_page(request: Request) -> str:
    """The message for a page in place of a document of Connections."""
    return (
        f"{request.shown} returned an HTML page, most likely a login page; check the login, or ask the administrator"
        " for a URL that needs no login in a browser"
    )


def foreign_error(request: Request, response: Response, service: str | None = None) -> ForeignResponseError:
    """The error for a doubtful response; `service` names the service that does not exist at the address."""
    if service is not None:
        error = ForeignResponseError(response.status, None, f"there is no {service}: check the URL")
        error.wrong_address = True
        return error
    kind = response.media_type or "no type"
    return ForeignResponseError(
        response.status,
        None,
        f"the response of {request.shown} ({kind}) does not come from Connections but from a web server or gateway in"
        " front of it; try again later, and if it happens again, ask the administrator of the server",
    )


def login_page(request: Request, response: Response) -> bool:
    """Whether a successful response is an HTML page in place of the document."""
    if not 200 <= response.status < 300 or response.media_type not in _HTML:
        return False
    if request.method in _CHANGES:  # the whole response was read, and is usually empty
        return bool(response.body)
    length = response.get(b"content-length")
    return bool(response.body) or (response.get(b"transfer-encoding") is not None if length is None else length != "0")


def retry_after(response: Response) -> float | None:
    """The pause in seconds that the server asks for: a number, or a date, compared with the server's own clock.

    RFC 9110 allows whole seconds only, but gateways send fractions too, such as ``2.5``. None without such a header, or
    if its value is malformed; never negative or infinite.
    """
    text = response.get(b"retry-after") or ""
    if _SECONDS.fullmatch(text):
        return min(float(text), _LONGEST_PAUSE)
    then, now = _date(text), _date(response.get(b"date") or "")
    return None if then is None or now is None else max(0.0, (then - now).total_seconds())


def _date(text: str) -> datetime | None:
    """A date in one of the three formats of HTTP; ``asctime``, the oldest, does not name the time zone UTC."""
    from email.utils import parsedate_to_datetime  # as `Response.charset`

    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date
    except (ValueError, OverflowError):
        return None


def _redirect(request: Request, response: Response) -> ResponseError:
    """The error of a redirect that was not followed: to a login, or to the same path of another scheme or host."""
    status, asked, location = response.status, request.shown, response.get(b"location") or ""
    try:
        to = urlsplit(location)
        path, host, scheme = to.path, to.hostname, to.scheme
    except ValueError:
        path, host, scheme = "", None, ""
    is_same_page = _local(path) is not None and _local(path) == _local(request.path)
    if is_same_page and not keeps_parameters(request.target, location.partition("#")[0]):
        return UnexpectedResponseError(
            status,
            None,
            f"{asked} redirects to the same page with other parameters, which may name other people: check the URL, or"
            " ask the administrator to correct the redirect",
        )
    # behind a gateway, the server's own path may lack the beginning
    if path and path != request.path and not (path.startswith(ROOTS) and request.path.endswith(path)):
        where = host or "another page of the same server"
        return AuthenticationError(
            status,
            None,
            f"{asked} redirected to {where}, most likely to a login page; check the login, or ask the administrator for"
            " a URL that needs no login in a browser",
        )
    if path and host:
        target = f"{scheme}://{host}" if scheme else host
        return UnexpectedResponseError(status, None, f"{asked} redirects to {target}: check the URL")
    return UnexpectedResponseError(status, None, f"{asked} redirects in a loop, or without a target: check the URL")


def _local(path: str) -> str | None:
    """The part of a path from the root of an application on; None for a path of something else."""
    found = _ROOT.search(path)
    return None if found is None else path[found.start() :]


def _meaning(status: int) -> str:
    """The message for a response without an error document, such as any response to HEAD."""
    if status == 400:
        return "the server found the request invalid, for example because it does not know a person in it"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "not a standard status"


def error_document(body: bytes, *, charset: str | None = None) -> ErrorDocument | None:
    """Read an error document of the server.

    Args:
        body: the body of the response.
        charset: the charset of the HTTP ``Content-Type``, or None.

    Returns:
        The document, or None if the body is something else, for example an HTML page.
    """
    try:
        error = atom.read_document(body, charset=charset, strict=False)
    except AtomError:
        return None
    if error is None:
        return None
    space, _, name = error.tag.rpartition("}")
    names = _ERROR_ELEMENTS.get(f"{space}}}")
    if name != "error" or names is None:
        return None
    texts = {child.tag.rpartition("}")[2]: child.content.strip() for child in error.children}
    code, messages = names
    message = next((texts[name] for name in messages if texts.get(name)), "")
    found = _MESSAGE_ID.match(message)
    return ErrorDocument(texts.get(code) or None, message, found[0] if found else None)
