"""The exception tree.

::

    ConnectionsError
    ├── InvalidInputError               also a ValueError: refused before anything was sent
    ├── TransportError                  no complete response; ``sent`` says whether the request may have arrived
    │   ├── ConnectFailedError          name lookup failed, refused, unreachable, TLS handshake failed
    │   ├── CertificateError            the certificate of the server or of the client was refused; never retried
    │   ├── ProxyError                  the proxy could not be reached, or did not pass the request on
    │   ├── LocalLimitError             out of file descriptors, socket memory or threads; ``sent="no"``
    │   ├── DeadlineError               the time allowed for the attempt, the item or the run has run out
    │   └── ProtocolError               the connection was lost, or the response was not valid HTTP
    ├── ResponseError                   a complete response that reports a failure
    │   ├── BadRequestError             400
    │   ├── AuthenticationError         401, a redirect to a login, or a login page instead of the document
    │   ├── ForbiddenError              403
    │   ├── NotFoundError               404
    │   ├── ThrottledError              429; ``retry_after`` in seconds, if the server gave it
    │   ├── ServerError                 5xx
    │   └── UnexpectedResponseError     any other response that the protocol does not define
    │       └── ForeignResponseError    written by something in front of Connections: no verdict, nothing was done
    ├── ServerUnavailableError          the server was away for longer than the caller allows
    ├── SharedStoreError                the store that several processes share is away, or refuses to work
    ├── OverloadedError                 too many calls of this client wait already; nothing was sent
    ├── InDoubtError                    a change was sent, and its result is not known
    ├── AtomError                       a document that is not acceptable Atom
    ├── IncompleteListError             a list does not have as many entries as the server says
    ├── InconsistentListsError          lists of colleagues contradict other responses
    ├── JournalError
    │   ├── JournalLockedError          another process has the journal open
    │   ├── JournalBoundError           the journal records a run of another verb, server or user
    │   ├── JournalMismatchError        the input differs from the run that the journal records
    │   ├── JournalFinishedError        the journal records a finished check, and no ``max_age`` was given
    │   ├── JournalLogMissingError      the journal was not closed, and the file with its latest rows is missing
    │   └── JournalDiskError            the disk is full or failing
    ├── ClusterError                    the cluster cannot do a part of a run: no workers, no scheduler, dead workers
    └── UsageError                      also a RuntimeError: the library was called in a way that cannot work

All can be pickled. None holds a request, a header, a secret or the text of a document, and none is chained to an
exception that does. The text of an error never contains an e-mail address that the server wrote: see
`ResponseError.message`.
"""

from __future__ import annotations

import math
import re
from typing import Any, Literal

__all__ = [
    "AtomError",
    "AuthenticationError",
    "BadRequestError",
    "CertificateError",
    "ClusterError",
    "ConnectFailedError",
    "ConnectionsError",
    "DeadlineError",
    "ForbiddenError",
    "ForeignResponseError",
    "InDoubtError",
    "IncompleteListError",
    "InconsistentListsError",
    "InvalidInputError",
    "JournalBoundError",
    "JournalDiskError",
    "JournalError",
    "JournalFinishedError",
    "JournalLockedError",
    "JournalLogMissingError",
    "JournalMismatchError",
    "LocalLimitError",
    "NotFoundError",
    "OverloadedError",
    "ProtocolError",
    "ProxyError",
    "ResponseError",
    "ServerError",
    "ServerUnavailableError",
    "SharedStoreError",
    "ThrottledError",
    "TransportError",
    "UnexpectedResponseError",
    "UsageError",
    "http_headers",
    "http_status",
]

_LONGEST_MESSAGE = 300
Sent = Literal["no", "maybe"]

_PART = r"[^\s<>()\[\]{}\"\u201c\u201d\xab\xbb`,;:/?&]+"
_WORD = re.compile(rf'"[^"]{{1,64}}"@{_PART}|{_PART}&(?:#64|#x40|commat);{_PART}|{_PART}', re.IGNORECASE)
_AT = re.compile(r".(?:[@\ufe6b\uff20]|%(?:25)*40|&(?:#64|#x40|commat);).", re.IGNORECASE | re.DOTALL)
_AROUND = ".!'\u2018\u2019\u2026"
_ADDRESS = "(an e-mail address)"


def _tidy(text: str) -> str:
    """Text that is safe to print: one line of limited length, without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST_MESSAGE]).split())
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 1] + "…"


def _without_addresses(text: str) -> str:
    """Replace e-mail addresses, also percent-encoded ones, in text that a server wrote."""

    def replaced(match: re.Match[str]) -> str:
        word = match[0]
        if not _AT.search(word):
            return word
        before, after = len(word) - len(word.lstrip(_AROUND)), len(word.rstrip(_AROUND))
        return f"{word[:before]}{_ADDRESS}{word[after:]}"

    return _WORD.sub(replaced, text[: 8 * _LONGEST_MESSAGE])


def _restore(kind: type[ConnectionsError], args: tuple[Any, ...], state: dict[str, Any]) -> ConnectionsError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ConnectionsError(Exception):
    """Base class of the errors of this library."""

    def __init__(self, message: str) -> None:
        super().__init__(_tidy(message))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


class InvalidInputError(ConnectionsError, ValueError):
    """A value that cannot be sent. Raised before anything is sent."""


class TransportError(ConnectionsError):
    """No complete response arrived.

    Attributes:
        sent: ``"no"`` if the server certainly did not get the request, else ``"maybe"``.
        status: HTTP status code, if the head of the response arrived; else None.
        deterministic: whether the same request would fail in the same way again, because the response is not HTTP, its
            length is ambiguous, the server does not speak TLS, or its certificate is not trusted.
    """

    deterministic: bool = False

    def __init__(self, message: str, *, sent: Sent, status: int | None = None) -> None:
        super().__init__(message)
        self.sent: Sent = sent
        self.status = status

    @property
    def blocks_all_requests(self) -> bool:
        """Whether every request to this server would fail, because no connection to it can be used."""
        return self.deterministic and isinstance(self, ConnectFailedError | CertificateError)


class ConnectFailedError(TransportError):
    """No connection was established, or the server expects TLS at this port; no request has reached it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent="no")


class CertificateError(TransportError):
    """The server's certificate was refused, or the server demands another client certificate; a retry would fail too.

    Nothing was sent, except in the rare case that a server demands the certificate only after it has got a request.
    """

    deterministic: bool = True

    def __init__(self, message: str) -> None:
        super().__init__(message, sent="no")


class ProxyError(TransportError):
    """The proxy could not be reached, or did not pass the request on. The error says nothing about the server.

    Attributes:
        proxy: host and port of the proxy, if known; else None.
        status: HTTP status of the proxy's response: 407 if it asks for a login; None without a response.
    """

    def __init__(self, message: str, *, proxy: str | None = None, status: int | None = None, sent: Sent = "no") -> None:
        super().__init__(message, sent=sent, status=status)
        self.proxy = proxy


class LocalLimitError(TransportError):
    """This process or machine is out of file descriptors, socket memory or threads.

    No connection was opened and nothing was sent; the error says nothing about the server.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, sent="no")


class DeadlineError(TransportError):
    """The time allowed for the attempt, the item or the run has run out."""


class ProtocolError(TransportError):
    """The connection was lost during the exchange, or the response was not valid HTTP.

    Attributes:
        reused: whether the connection had carried an earlier request, so that the server may just have closed it.
    """

    reused: bool = False


class ResponseError(ConnectionsError):
    """A complete response that reports a failure.

    Attributes:
        status: the HTTP status code.
        code: the vendor's message id (``CLFRN1172E``), if the error document holds one.
        message: the vendor's message, or a description of the failure; one line, at most 300 characters. It may name
            people: in the text of the error (``str``, ``args``), e-mail addresses are replaced.
    """

    def __init__(self, status: int, code: str | None, message: str) -> None:
        tidy = _tidy(message)
        code = _tidy(code) if code else None
        shown = _without_addresses(message)
        super().__init__(_without_addresses(f"HTTP {status}: {code}: ") + shown if code else f"HTTP {status}: {shown}")
        self.status = status
        self.code = code
        self.message = tidy


class BadRequestError(ResponseError):
    """400: the server found the request invalid, for example because it does not know a person in it."""


class AuthenticationError(ResponseError):
    """The login was refused, or is missing: 401, a redirect to a login, or a login page instead of the document."""


class ForbiddenError(ResponseError):
    """403: the signed-in user is not allowed to do this."""


class NotFoundError(ResponseError):
    """404: the resource does not exist. A method that returns None for a missing resource does not raise this error."""


class ThrottledError(ResponseError):
    """429: the server asks for fewer requests.

    Attributes:
        retry_after: pause in seconds that the server asked for, or None.
    """

    def __init__(self, status: int, code: str | None, message: str, retry_after: float | None = None) -> None:
        super().__init__(status, code, message)
        self.retry_after = retry_after


class ServerError(ResponseError):
    """5xx: the server, or something in front of it, failed.

    Attributes:
        retry_after: pause in seconds that the server asked for, or None.
    """

    def __init__(self, status: int, code: str | None, message: str, retry_after: float | None = None) -> None:
        super().__init__(status, code, message)
        self.retry_after = retry_after


class UnexpectedResponseError(ResponseError):
    """A response that the protocol does not define."""


class ForeignResponseError(UnexpectedResponseError):
    """A 4xx response that does not come from Connections itself, for example the HTML page of a web server.

    It is not a verdict on the request, and a change that got such a response was not made.

    Attributes:
        wrong_address: whether no such application exists at this address.
    """

    wrong_address: bool = False


class ServerUnavailableError(ConnectionsError):
    """The server could not be reached, or responded only with failures, for longer than the caller allows."""


class SharedStoreError(ConnectionsError):
    """The store that several processes share, see `RedisShared`, is away or refuses to work.

    No request is sent without it, because the processes together might exceed their rate.

    Attributes:
        temporary: whether the store may work again without a change to its settings or ours.
    """

    def __init__(self, message: str, *, temporary: bool = True) -> None:
        super().__init__(message)
        self.temporary = temporary


class OverloadedError(ConnectionsError):
    """As many single calls as `max_waiting` allows are waiting already. Nothing was sent."""


class InDoubtError(ConnectionsError):
    """A change was sent, its response was lost, and verification did not settle whether it was made."""


class AtomError(ConnectionsError):
    """A document that is not acceptable Atom.

    Attributes:
        reason: what is wrong, without text of the document.
        line: one-based, or None.
        column: zero-based, or None.
        element: local name of the element concerned, or None.
    """

    def __init__(
        self, reason: str, line: int | None = None, column: int | None = None, element: str | None = None
    ) -> None:
        where = f" (line {line}, column {column})" if line is not None else ""
        inside = f" in <{element}>" if element else ""
        super().__init__(f"{reason}{inside}{where}")
        self.reason: str = _tidy(reason)
        self.line = line
        self.column = column
        self.element = element


class InconsistentListsError(ConnectionsError):
    """Lists of colleagues contradicted other responses after people whom they do not name had counted as unconnected.

    Attributes:
        doubtful: number of outcomes that were delivered and rest on such lists.
    """

    def __init__(self, doubtful: int) -> None:
        super().__init__(
            f"lists of colleagues contradict other responses, so {doubtful:,} outcomes without a connection that were "
            "found by lists are doubtful; check again without a plan"
        )
        self.doubtful = doubtful


class IncompleteListError(ConnectionsError):
    """The entries of a list are not as many as its total says, even after repeated reading.

    Attributes:
        found: number of different entries that were found.
        total: the total that the server gave last; None if it gave none.
    """

    def __init__(self, found: int, total: int | None) -> None:
        stated = "gives no total" if total is None else f"gives a total of {total:,}"
        super().__init__(f"the list may be incomplete: it has {found:,} entries, and the server {stated}")
        self.found = found
        self.total = total


class JournalError(ConnectionsError):
    """Base class of the errors of the journal of a bulk run."""


class JournalLockedError(JournalError):
    """Another process has this journal open."""


class JournalBoundError(JournalError):
    """The journal belongs to a run of another verb, on another server or by another user."""


class JournalMismatchError(JournalError):
    """The input differs from the input of the run that the journal records.

    Attributes:
        index: zero-based position in the input.
        was: the item in the journal.
        now: the item in the input; empty if the input ends before it.
    """

    def __init__(self, index: int, was: str, now: str) -> None:
        differs = f"item {index} differs from the run that this journal records"
        super().__init__(differs if now else f"the input ends before item {index}, which this journal records")
        self.index = index
        self.was = was
        self.now = now


class JournalFinishedError(JournalError):
    """The journal records a finished check, and the run did not say how old its outcomes may be.

    Pass ``Journal(path, max_age=…)``, or choose another path.
    """


class JournalLogMissingError(JournalError):
    """The journal was not closed, and its log, the file with ``-wal`` at the end of its name, is missing.

    The log may record the latest requests. Restore it; if it is lost, pass ``Journal(path, lost_log="in_doubt")``.
    """


class JournalDiskError(JournalError):
    """The disk under the journal is full or failing, or another program has removed or replaced one of its files."""


class ClusterError(ConnectionsError):
    """A cluster cannot do a part of a run: it has no workers or no scheduler, or workers have died repeatedly."""


class UsageError(ConnectionsError, RuntimeError):
    """The library was called in a way that cannot work: a closed client, a second event loop, a fork."""


_RETRY_AFTER = 5  # seconds, if the server did not ask for a pause
_LONGEST_RETRY_AFTER = 86_400

_HTTP_STATUS: dict[type[ConnectionsError], int] = {
    ConnectionsError: 502,
    InvalidInputError: 422,
    BadRequestError: 422,
    AuthenticationError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ThrottledError: 503,
    ServerUnavailableError: 503,
    SharedStoreError: 503,
    OverloadedError: 503,
    LocalLimitError: 503,
    DeadlineError: 504,
    InDoubtError: 504,
    JournalError: 500,
    ClusterError: 503,
    UsageError: 500,
}


def http_status(error: ConnectionsError) -> int:
    """The HTTP status with which a web application responds when a call of this library raised `error`.

    =====  =========================================================================================
    422    invalid input, also if the server found it invalid (`BadRequestError`)
    401    the login was refused
    403    the signed-in user is not allowed to do this
    404    the resource does not exist
    503    throttled, overloaded or unavailable, also a shared store: `http_headers` gives ``Retry-After``
    504    the deadline has passed, or a change is in doubt, which must not simply be repeated
    500    the fault is in this application: the library was used in a wrong way, or a journal failed
    502    any other failure of the server or of the way to it
    =====  =========================================================================================

    For FastAPI and Starlette, as an exception handler of `ConnectionsError`::

        async def failed(request, error):
            content, status = {"detail": str(error)}, http_status(error)
            return JSONResponse(content, status, headers=http_headers(error))
    """
    if isinstance(error, ServerError) and error.status == 503:
        return 503
    return next(_HTTP_STATUS[kind] for kind in type(error).__mro__ if kind in _HTTP_STATUS)


def http_headers(error: ConnectionsError) -> dict[str, str]:
    """The headers that belong to `http_status`: ``Retry-After`` in whole seconds with a 503, otherwise none.

    The pause is the one that the server asked for, rounded up, or five seconds.
    """
    if http_status(error) != 503:
        return {}
    requested = error.retry_after if isinstance(error, ThrottledError | ServerError) else None
    seconds = _RETRY_AFTER if requested is None else math.ceil(min(max(requested, 1), _LONGEST_RETRY_AFTER))
    return {"Retry-After": str(seconds)}
