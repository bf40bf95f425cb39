"""The server as a bare ASGI callable: reads the request, asks `rules`, and puts the answer into headers and bytes.

It is the other end of bulk runs, so the way of a HEAD is short: what is the same for many requests (the reading of a
path, a login, the headers of an answer) is worked out once, and a body that nobody gets is not written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from email.utils import formatdate
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from aioconnections.records import Identity, Person, Status
from aioconnections.reference.accounts import Accounts, Header, Scheme, Session
from aioconnections.reference.dialect import DIALECTS, Version
from aioconnections.reference.directory import Directory
from aioconnections.reference.documents import Documents, error_document, error_page
from aioconnections.reference.query import parse_query
from aioconnections.reference.rules import INVALID, Answer, ConnectionFound, Emails, Refused, Rules, ServiceDocument

__all__ = ["App", "Requests", "app"]

_Scope: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PATH = re.compile(r"(?P<context>.*)/profiles(?P<oauth>/oauth)?/atom/(?P<resource>[A-Za-z]+\.do)")
_REMEMBERED = 4096
_PROFILE_CHANGED = 1_488_323_045_678  # when all profiles were last changed, in milliseconds since 1970


class _Route(NamedTuple):
    """A path: what stands before ``/profiles``, whether it is the form for bearer tokens, and what is asked for."""

    context: str
    oauth: bool
    resource: str


class _Reply(NamedTuple):
    status: int
    headers: list[Header]
    body: bytes


class Requests:
    """What a server was asked since it was made.

    Attributes:
        by_status: how many were answered with each status.
        by_path: how many there were for each path that the server knows.
    """

    def __init__(self) -> None:
        self.by_status: Counter[int] = Counter()
        self.by_path: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """How many there were, those for unknown paths included."""
        return self.by_status.total()

    def __repr__(self) -> str:
        return f"<Requests: {dict(self.by_status)}>"


def app(
    directory: Directory,
    *,
    version: Version = "6.0",
    emails: Emails = "exposed",
    auth: Scheme = "basic",
    tokens: Mapping[str, Identity | Person] | None = None,
) -> App:
    """A Connections server over `directory`, as an ASGI callable.

    It answers GET and HEAD of ``connection.do`` (check, and one connection by its id) and of ``profileService.do``
    under ``/profiles/atom/``, ``/profiles/oauth/atom/``, and below any context path. Everybody has to sign in.

    Args:
        directory: whom the server knows. Everybody signs in with their e-mail address, userid or key and the password
            ``secret``; so does ``admin``, to whom all connections are visible.
        version: which product to imitate.
        emails: ``hidden``: no document holds an e-mail address, and naming somebody by one is refused with 400.
        auth: ``basic``: Basic on the plain paths. ``oauth``: bearer tokens on the paths with ``oauth``. Requests on
            the other kind of path get 401.
        tokens: whose each bearer token is; needed for ``oauth``.

    Raises:
        ValueError: an option has a value that is not in this list.
    """
    if version not in DIALECTS:
        raise ValueError(f"version is one of {', '.join(DIALECTS)}, not {version!r}")
    if emails not in {"exposed", "hidden"}:
        raise ValueError(f"emails is exposed or hidden, not {emails!r}")
    if auth not in {"basic", "oauth"}:
        raise ValueError(f"auth is basic or oauth, not {auth!r}")
    if bool(tokens) is not (auth == "oauth"):
        raise ValueError('auth="oauth" and tokens go together')
    return App(directory, version, emails, auth, tokens or {})


class App:
    """What `app` returns: an ASGI callable that counts.

    Attributes:
        directory: whom the server knows.
        requests: what it was asked so far.
    """

    def __init__(
        self,
        directory: Directory,
        version: Version,
        emails: Emails,
        auth: Scheme,
        tokens: Mapping[str, Identity | Person],
    ) -> None:
        self.directory = directory
        self.requests: Requests = Requests()
        self._dialect = dialect = DIALECTS[version]
        self._accounts = Accounts(directory, dialect, auth, tokens)
        self._documents = Documents(directory, dialect, emails)
        rules = Rules(directory, dialect, emails)
        self._resources = {"connection.do": rules.connection, "profileService.do": rules.service_document}
        self._every_answer: list[Header] = [
            (b"x-lconn-auth", dialect.auth_header.encode()),
            (b"content-language", b"en-US"),
            *([(b"vary", b"Accept-Encoding")] if dialect.varies else []),
        ]
        self._cached: list[Header] = [
            *self._every_answer,
            (b"cache-control", b"private, max-age=600, no-cache=set-cookie"),
            (b"expires", b"Thu, 01 Dec 1994 16:00:00 GMT"),
        ]
        self._connection = {
            status: [
                (b"content-type", b"application/atom+xml;charset=UTF-8"),
                (b"x-profiles-connection-type", b"colleague"),
                (b"x-profiles-connection-status", status.encode()),
                *self._cached,
            ]
            for status in Status
        }
        self._route: Callable[[str], _Route | None] = lru_cache(_REMEMBERED)(_route)
        self._last_modified: Callable[[int], Header] = lru_cache(_REMEMBERED)(_last_modified)
        self._refused: Callable[[Refused], _Reply] = lru_cache(maxsize=None)(self._error_document)

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            reply = self._reply(scope)
            self.requests.by_status[reply.status] += 1
            await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})
        else:
            raise ValueError(f"this server speaks HTTP, not {scope['type']}")

    def _reply(self, scope: _Scope) -> _Reply:
        path: str = scope["path"]
        route = self._route(path)
        decide = None if route is None else self._resources.get(route.resource)
        if route is None or decide is None:
            return _page(404, f"SRVE0255E: A WebGroup/Virtual Host to handle {path[:200]} has not been defined.")
        self.requests.by_path[path] += 1
        authorization, host = _wanted_headers(scope["headers"])
        session = self._accounts.login(authorization, oauth=route.oauth)
        if session is None:
            return _page(401, "The login is missing or wrong.", self._accounts.challenge(oauth=route.oauth))
        if scope["method"] not in {"GET", "HEAD"}:
            return _page(405, "Method not allowed.", (b"allow", b"GET, HEAD"), *session.cookies)
        query = parse_query(scope["query_string"])
        answer = INVALID if query is None else decide(query, session.user)
        base = None if scope["method"] == "HEAD" else f"{scope['scheme']}://{host}{route.context}"
        return self._written(answer, session, base)

    def _written(self, answer: Answer, session: Session, base: str | None) -> _Reply:
        """`answer` as it is sent; without a `base` for links nobody will read the body."""
        if isinstance(answer, ConnectionFound):
            row = answer.row
            headers = [*self._connection[row.status], self._last_modified(row.updated // 1000), *session.cookies]
            # without a length, as recorded now and then: HEAD need not write the body to answer as GET does
            text = "" if base is None else self._documents.connection_entry(row, base, with_message=answer.with_message)
            return _Reply(200, headers, text.encode())
        if isinstance(answer, Refused):
            reply = self._refused(answer)
            return _Reply(reply.status, [*reply.headers, *session.cookies], reply.body)
        return self._service_document(answer, session, base)

    def _service_document(self, answer: ServiceDocument, session: Session, base: str | None) -> _Reply:
        headers = [
            (b"content-type", b"application/atomsvc+xml; charset=UTF-8"),
            *self._cached,
            self._last_modified(_PROFILE_CHANGED // 1000),
            *session.cookies,
        ]
        text = "" if base is None else self._documents.service_document(answer.person, base, _PROFILE_CHANGED)
        return _Reply(200, headers, text.encode())

    def _error_document(self, refused: Refused) -> _Reply:
        body = error_document(refused.status, refused.message, self._dialect.line_end).encode()
        headers = [
            (b"content-type", b"text/xml;charset=UTF-8"),
            (b"content-length", b"%d" % len(body)),
            *self._every_answer,
        ]
        if refused.status == 400 and self._dialect.closes_after_400:
            headers.append((b"connection", b"close"))
        return _Reply(refused.status, headers, body)


async def _lifespan(receive: _Receive, send: _Send) -> None:
    """Nothing has to be set up or torn down: say so."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _route(path: str) -> _Route | None:
    found = _PATH.fullmatch(path)
    return found and _Route(found["context"], found["oauth"] is not None, found["resource"])


def _wanted_headers(headers: list[Header]) -> tuple[bytes | None, str]:
    """The ``Authorization`` and the host that the caller knows this server by."""
    authorization, host = None, b"localhost"
    for name, value in headers:
        if name == b"authorization":
            authorization = value
        elif name == b"host":
            host = value
    return authorization, host.decode("latin-1")


def _last_modified(seconds: int) -> Header:
    return b"last-modified", formatdate(seconds, usegmt=True).encode()


def _page(status: int, text: str, *headers: Header) -> _Reply:
    """An answer of the application server, not of Profiles."""
    body = error_page(status, text).encode(errors="replace")
    html = (b"content-type", b"text/html;charset=UTF-8")
    return _Reply(status, [html, (b"content-length", b"%d" % len(body)), *headers], body)
