"""What an answer means when it is not the one hoped for: an HTTP answer becomes an error of ours.

Facts: an answer in HTML where Atom was expected, and a redirect to another path, are logins in disguise (single
sign-on in front of the server); a success without a body is also of type ``text/html``, so the length decides. Nothing
reads the words of a message: they are localised.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from aioconnections.errors import (
    AnswerError,
    AuthenticationError,
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    ServerError,
    ThrottledError,
    UnexpectedAnswerError,
)
from aioconnections.protocol.messages import Request, Response

__all__ = ["error_of", "login_page", "retry_after"]

_PLAIN: dict[int, type[AnswerError]] = {400: BadRequestError, 403: ForbiddenError, 404: NotFoundError}


def error_of(request: Request, response: Response) -> AnswerError:
    """The error that `response` is to `request`."""
    status = response.status
    if status == 401:
        return AuthenticationError(status, None, "the server refused the login")
    if 300 <= status < 400:
        return _redirect(request, response)
    if login_page(response):
        return AuthenticationError(status, None, "the server sent an HTML page, most likely its login, as the answer")
    phrase = _phrase(status)
    if status == 429 or status >= 500:
        kind = ThrottledError if status == 429 else ServerError
        return kind(status, None, phrase, retry_after(response))
    return _PLAIN.get(status, UnexpectedAnswerError)(status, None, phrase)


def login_page(response: Response) -> bool:
    """Whether a success is really an HTML page in place of the answer."""
    if not 200 <= response.status < 300 or response.media_type not in {"text/html", "application/xhtml+xml"}:
        return False
    return bool(response.body) or (response.get(b"content-length") or "0") != "0"


def retry_after(response: Response) -> float | None:
    """Seconds that the server asks to wait: given so, or as a date, which is read against the server's own clock.

    None if there is no such header or it makes no sense; never negative.
    """
    text = response.get(b"retry-after") or ""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        then = parsedate_to_datetime(text)
        now = parsedate_to_datetime(response.get(b"date") or "")
        return max(0.0, (then - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None


def _redirect(request: Request, response: Response) -> AnswerError:
    """A redirect that was not followed: to another path it is a login, to the same path another scheme or host."""
    status = response.status
    try:
        to = urlsplit(response.get(b"location") or "")
        path, scheme = to.path, to.scheme
    except ValueError:
        path = scheme = ""
    if path and path != request.path:
        return AuthenticationError(status, None, "the server redirected to another page, most likely its login")
    if scheme == "https":
        return UnexpectedAnswerError(status, None, "the server redirects to https or to another host: check the URL")
    return UnexpectedAnswerError(status, None, "the server redirects in a circle or to nowhere")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no standard status"
