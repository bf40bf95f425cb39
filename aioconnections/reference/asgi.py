"""The server as a bare ASGI callable: reads the request, finds the operation, and sends what it answers.

A request takes effect without an await in between, so at once or not at all, whatever the client does meanwhile.

It is the other end of bulk runs, so the way of a HEAD is short: what is the same for many requests (the reading of a
path, a login, the headers of an answer) is worked out once, and a body that nobody gets is not written.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from aioconnections.reference.accounts import ANONYMOUS, Accounts, Session
from aioconnections.reference.answers import INVALID, Header, LoginNeeded, Refusal
from aioconnections.reference.colleagues import Colleagues
from aioconnections.reference.commits import Commit, Commits
from aioconnections.reference.communities import Communities
from aioconnections.reference.entrance import LOGIN, Entrance
from aioconnections.reference.faults import Fault, Faults
from aioconnections.reference.inspection import Inspection
from aioconnections.reference.markup import address
from aioconnections.reference.people import People
from aioconnections.reference.posted import read_entry
from aioconnections.reference.query import parse_query
from aioconnections.reference.replies import Replies, Reply, page
from aioconnections.reference.request import Request
from aioconnections.reference.routes import Door, Route, Routes
from aioconnections.reference.trouble import NoAnswerError, Receive, Scope, Send, Trouble
from aioconnections.reference.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from aioconnections.records import Identity, Person, Status
    from aioconnections.reference.directory import Directory
    from aioconnections.reference.settings import Settings

__all__ = ["App", "Requests"]

_WITH_LOGIN = frozenset({"password", "oauth"})
_READING = frozenset({"GET", "HEAD"})
_LONGEST_BODY = 1 << 20


class Requests:
    """What a server was asked since it was made.

    Attributes:
        by_status: how many were answered with each status; those under 0 got no answer because of a fault.
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


class App:
    """What `app` returns: an ASGI callable that counts, and remembers what was changed.

    Attributes:
        directory: whom the server knows, and how things stood at the beginning.
        requests: what it was asked so far.
    """

    def __init__(
        self,
        directory: Directory,
        settings: Settings,
        *,
        logins: tuple[Mapping[str, Identity | Person], Mapping[str, Identity | Person]],
        commits: Commits,
        clock: Callable[[], float] = time.time,
        fault_seed: int = 0,
    ) -> None:
        self.directory = directory
        self.requests: Requests = Requests()
        self._settings = settings
        self._clock = clock
        self._commits = commits
        self._fault_seed = fault_seed
        self._faults = Faults(directory, (), fault_seed)
        self._accounts = Accounts(directory, settings, *logins)
        self._world = world = World(directory, settings, commits)
        self._routes = Routes(
            Colleagues(world),
            People(world),
            Communities(world),
            Entrance(self._accounts),
            Inspection(commits, self),
        )
        self._replies = Replies(settings, clock)

    @property
    def commits(self) -> Sequence[Commit]:
        """All changes so far, oldest first."""
        return self._commits.made

    @property
    def faults(self) -> Sequence[Fault]:
        """The faults that requests meet with. Setting them begins all counting anew."""
        return self._faults.faults

    @faults.setter
    def faults(self, faults: Iterable[Fault]) -> None:
        self._faults = Faults(self.directory, faults, self._fault_seed)

    @property
    def struck(self) -> list[int]:
        """How often each of the faults has struck."""
        return self._faults.struck

    @property
    def password(self) -> str:
        """Everybody's password. It can be set."""
        return self._accounts.password

    @password.setter
    def password(self, password: str) -> None:
        self._accounts.password = password

    def expire_tokens(self) -> None:
        """No access token given out so far is good any more; refresh tokens are."""
        self._accounts.expire_tokens()

    def status(self, source: Identity | Person, target: Identity | Person) -> Status | None:
        """What `source` sees of `target` now; None if there is nothing, or nobody."""
        numbers = self.directory.number_of(source), self.directory.number_of(target)
        row = None if numbers[0] is None or numbers[1] is None else self._world.state.row(numbers[0], numbers[1])
        return None if row is None else row.status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            raise ValueError(f"this server speaks HTTP, not {scope['type']}")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b"" if scope["method"] in _READING else await _body(receive)
        if body is None:  # the client went before it had said everything
            return
        request = self._let_in(scope, body)
        if isinstance(request, Reply):
            reply = request
        elif self._faults.faults and (met := self._met(request)):
            await self._troubled(request, Trouble(met, scope, receive, self._clock), send)
            return
        else:
            reply = self._perform(request)
        self.requests.by_status[reply.status] += 1
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _troubled(self, request: Request, trouble: Trouble, send: Send) -> None:
        """Answer with faults between the steps."""
        try:
            reply = await trouble.come("request")
            if reply is None:
                done = self._perform(request)
                reply = await trouble.come("commit") or done
        except (NoAnswerError, ConnectionResetError) as end:
            self.requests.by_status[0] += 1
            if isinstance(end, ConnectionResetError):
                raise
            return
        self.requests.by_status[reply.status] += 1
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        body = b"" if request.method == "HEAD" else reply.body
        half = len(body) // 2
        await send({"type": "http.response.body", "body": body[:half], "more_body": True})
        with suppress(NoAnswerError):
            await trouble.come("half")
            await send({"type": "http.response.body", "body": body[half:]})

    def _let_in(self, scope: Scope, body: bytes) -> Request | Reply:
        """The request, if there is an operation for it and the user may come in."""
        path: str = scope["path"]
        route = self._routes.find(path)
        if route is None:
            return page(404, f"SRVE0255E: A WebGroup/Virtual Host to handle {path[:200]} has not been defined.")
        self.requests.by_path[path] += 1
        authorization, cookie, host = _wanted_headers(scope["headers"])
        method: str = scope["method"]
        session = self._session(route.door, authorization, cookie, reading=method in _READING)
        origin = f"{scope['scheme']}://{host}"
        if session is None:
            return self._login_needed(route, origin)
        if method not in route.methods:
            return page(405, "Method not allowed.", (b"allow", route.allowed), *session.cookies)
        if len(body) > _LONGEST_BODY:
            return page(413, "The request is too long.", (b"connection", b"close"))
        query = parse_query(scope["query_string"])
        if query is None:
            return self._replies.reply(INVALID, None, session.cookies)
        return Request(method, origin, route, session, query, body)

    def _session(self, door: Door, authorization: bytes, cookie: bytes, *, reading: bool) -> Session | None:
        """Who comes in by this door; None if nobody may."""
        if door in _WITH_LOGIN:
            session = self._accounts.login(authorization, cookie, oauth=door == "oauth")
            if session is None and self._settings.anonymous_read and reading and not authorization:
                return ANONYMOUS
            return session
        return ANONYMOUS if door == "open" or self._accounts.is_administrator(authorization) else None

    def _perform(self, request: Request) -> Reply:
        """The operation takes effect. Nothing in it waits."""
        try:
            answer = request.route.methods[request.method].answer(request)
        except Refusal as refusal:
            answer = refusal.answer
        if isinstance(answer, LoginNeeded):
            return self._login_needed(request.route, request.origin)
        base = None if request.method == "HEAD" else request.base
        return self._replies.reply(answer, base, request.session.cookies)

    def _login_needed(self, route: Route, origin: str) -> Reply:
        """The challenge; or a redirect to the login page, as a single sign-on in front of everything has it."""
        if self._settings.auth == "form" and route.door == "password":
            where = f"{origin}{route.context}{address(LOGIN, {'target': route.path})}"
            return page(302, "Sign in first.", (b"location", where.encode()))
        scheme = b"Bearer" if route.door == "oauth" else b"Basic"
        return page(401, "The login is missing or wrong.", (b"www-authenticate", scheme + b' realm="IBM Connections"'))

    def _met(self, request: Request) -> Sequence[Fault]:
        """The faults for this request."""
        name = request.route.methods[request.method].name
        return self._faults.striking(name, request.route.path, lambda: self._concerned(request)) if name else ()

    def _concerned(self, request: Request) -> set[int]:
        """Everybody with whom a request has to do."""
        world = self._world
        people = world.lookup.concerned(request.query)
        row = world.state.row_with_id(request.first("connectionId"))
        if row is not None:
            people |= {row.source, row.target}
        entry = read_entry(request.body)
        named = () if entry is None else (world.directory.number(kind, text) for kind, text in entry.people)
        return {number for number in (*people, request.user, *named) if number is not None}


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing has to be set up or torn down: say so."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _body(receive: Receive) -> bytes | None:
    """What was sent, or the beginning of what is too long; None if the client went before it was complete."""
    chunks: list[bytes] = []
    size = 0
    while size <= _LONGEST_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk: bytes = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if not message.get("more_body", False):
            break
    return b"".join(chunks)


def _wanted_headers(headers: list[Header]) -> tuple[bytes, bytes, str]:
    """The ``Authorization``, the cookies, and the host that the caller knows this server by."""
    authorization, cookie, host = b"", b"", b"localhost"
    for name, value in headers:
        if name == b"authorization":
            authorization = value
        elif name == b"host":
            host = value
        elif name == b"cookie":
            cookie = value if not cookie else cookie + b"; " + value
    return authorization, cookie, host.decode("latin-1")
