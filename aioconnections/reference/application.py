"""The server as an ASGI callable: reads a request, finds the operation and sends its response.

An operation takes effect without an ``await``: completely or not at all, even if the client disconnects.

Bulk runs send mostly HEAD requests, so these are cheap: routes, logins and headers that many requests share are
computed once, and the body of a HEAD is not written.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from aioconnections.reference.accounts import LOGIN, Accounts, LoginEndpoints
from aioconnections.reference.colleagues import ColleagueEndpoints
from aioconnections.reference.commits import Commit, CommitLog
from aioconnections.reference.communities import CommunityEndpoints
from aioconnections.reference.context import ServerContext
from aioconnections.reference.faults import Fault, FaultInjector, FaultSchedule, NoResponseError
from aioconnections.reference.inspection import InspectionEndpoints
from aioconnections.reference.markup import address
from aioconnections.reference.people import ProfileEndpoints
from aioconnections.reference.request import ANONYMOUS, Requester, ServerRequest, parse_query, read_entry
from aioconnections.reference.responses import (
    INVALID,
    Header,
    LoginRequired,
    PlainResult,
    RefusedError,
    ResponseWriter,
    ServerResponse,
    html_response,
    plain_response,
)
from aioconnections.reference.routes import Access, Route, Routes
from aioconnections.reference.settings import CreatedBody, Emails, LoginScheme, Settings, TokenPaths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike

    from aioconnections.records import Identity, Person, Status
    from aioconnections.reference.directory import Directory
    from aioconnections.reference.request import AsgiReceive, AsgiScope, AsgiSend
    from aioconnections.reference.settings import Version

__all__ = ["App", "Requests", "app"]
_LOGIN_ACCESS = frozenset({"password", "oauth"})
_READ_METHODS = frozenset({"GET", "HEAD"})
_MAX_BODY = 1 << 20


def app(  # noqa: PLR0913  # an option for each contradiction between the vendor's pages
    directory: Directory,
    *,
    version: Version = "6.0",
    emails: Emails = "exposed",
    auth: LoginScheme = "basic",
    tokens: Mapping[str, Identity | Person] | None = None,
    refresh_tokens: Mapping[str, Identity | Person] | None = None,
    token_paths: TokenPaths = "oauth",  # noqa: S107  # the kind of a path
    anonymous_read: bool = False,
    invite_201_body: CreatedBody = "empty",
    invitation_delete: Literal[200, 204] = 200,
    max_ps: int = 250,
    page_default: int | None = None,
    lists_omit: float = 0.0,
    lists_omit_inactive: bool = False,
    lists_omit_pending: bool = False,
    cache_headers: bool = True,
    rootless_profile_entry: bool = True,
    dedup: bool = True,
    require_connection_type: bool = True,
    front_end_pages: bool = False,
    front_end_status: int | None = None,
    context: str = "",
    link_base: str | None = None,
    faults: Iterable[Fault] = (),
    fault_seed: int = 0,
    commit_log: str | PathLike[str] | None = None,
    clock: Callable[[], float] = time.time,
) -> App:
    """A Connections server over `directory`, as an ASGI callable.

    It supports these resources, below the path `context` and with the ``oauth`` segment where the product has it; any
    other path gets the 404 of the application server:

    - Profiles: ``connection.do``, ``connections.do``, ``connectionsInCommon.do``, ``profileService.do``,
      ``profile.do``, ``profileEntry.do``, ``search.do``, ``serviceconfigs``; in its Administration API
      ``connections.do`` and ``profileService.do``, for ``admin`` only;
    - Communities: ``community``, ``community/invites``, ``community/invites/my``, ``community/members``;
    - ``/connections/opensocial/…/rest/people/@me/``, and the OAuth 2 token endpoint for refresh tokens, with any
      client id and the client secret ``secret``;
    - for tests, and for ``admin`` with the password only: GET ``/reference/commits`` (lines of JSON; ``after=N`` for
      those with a higher number), GET and PUT ``/reference/faults`` (a JSON list).

    The directory is never modified: a second server over the same directory starts from the same state.

    Args:
        directory: the people that the server knows. All sign in with their e-mail address, userid or key and the
            password ``secret``, or with the ``LtpaToken2`` of an earlier response, which takes precedence over a
            password. ``admin`` also signs in this way and sees all connections; other people see their own connections
            and all accepted ones.
        version: the version of the product to imitate.
        emails: ``hidden``: documents contain no e-mail addresses, and a request that names a person by an e-mail
            address is refused with 400.
        auth: ``basic``: Basic on the plain paths, otherwise 401. ``form``: the same, but a request without a login is
            redirected to a login page. ``oauth``: bearer tokens on the paths with ``oauth``, otherwise 401. Requests
            to the other kind of path get 401.
        tokens: the person of each bearer token.
        refresh_tokens: the person of each refresh token. ``oauth`` requires tokens of either kind; the other values of
            `auth` accept none.
        token_paths: ``ordinary``: with ``oauth``, tokens are accepted on the plain paths, as by a gateway with its own
            login, and the paths with ``oauth`` get 401.
        anonymous_read: whether GET and HEAD need no login, except for the requester's own resources.
        invite_201_body: ``entry``: the response to a creation contains the new entry, as the vendor's pages say;
            ``empty``: its body is empty, as recorded.
        invitation_delete: the status after an invitation to a community was declined or revoked.
        max_ps: the maximum page size; larger requested sizes are silently limited to it.
        page_default: the page size if a request names none. None: 10, and 20 for invitations to communities.
        lists_omit: the share of connections that a list of colleagues leaves out, by `fault_seed`; a check shows them.
            Each of the two lists that a connection is in leaves it out by itself.
        lists_omit_inactive: whether lists of colleagues leave out people whose account is inactive.
        lists_omit_pending: whether lists leave out the invitations that a person has received; a check shows them.
        cache_headers: whether responses have ``Cache-Control``, which allows responses of Profiles to be cached for 10
            minutes.
        rootless_profile_entry: how ``profileEntry.do`` responds for an unknown person: with 200 and a document without
            a root, as recorded, or with 404.
        dedup: False: a repeated invitation is not refused, but made and committed again, so that the commits show what
            a client sends twice.
        require_connection_type: False: an invitation is also accepted without the parameter ``connectionType``.
        front_end_pages: True: a front-end web server replaces error documents by its own HTML pages.
        front_end_status: the status of these pages, from 200 to 599; None for that of the error document.
        context: the path before ``/profiles`` and ``/communities``, such as ``/social``.
        link_base: the beginning of all links, such as ``https://inner.example.com:9443``, as behind a gateway that does
            not rewrite them: the requester knows the server by another host, and `context` is the path that the gateway
            adds. None for the host and `context` of each request.
        faults: faults to inject; see also `App.faults`, which can be set while the server runs.
        fault_seed: seed of the random numbers behind `Fault.chance`.
        commit_log: a file to which each change is appended as a line of JSON before the response is sent; see `Commit`.
        clock: returns the current time in seconds since 1970.

    Raises:
        ValueError: an option has an invalid value.
        OSError: the file `commit_log` cannot be written; for example, it is a directory.
    """
    if bool(tokens or refresh_tokens) is not (auth == "oauth"):
        raise ValueError(
            f"tokens or refresh_tokens are required with auth='oauth' and not accepted otherwise, got auth={auth!r}"
        )
    settings = Settings(
        version=version,
        emails=emails,
        auth=auth,
        token_paths=token_paths,
        anonymous_read=anonymous_read,
        invite_201_body=invite_201_body,
        invitation_delete=invitation_delete,
        max_ps=max_ps,
        page_default=page_default,
        lists_omit=lists_omit,
        lists_omit_inactive=lists_omit_inactive,
        lists_omit_pending=lists_omit_pending,
        omit_seed=fault_seed,
        cache_headers=cache_headers,
        rootless_profile_entry=rootless_profile_entry,
        dedup=dedup,
        require_connection_type=require_connection_type,
        front_end_pages=front_end_pages,
        front_end_status=front_end_status,
        context=context,
        link_base=link_base,
    )
    server = App(
        directory,
        settings,
        accounts=Accounts(directory, settings, tokens or {}, refresh_tokens or {}),
        commits=CommitLog(directory, clock, commit_log),
        clock=clock,
        fault_seed=fault_seed,
    )
    server.faults = faults
    return server


class Requests:
    """Counts of the requests that a server has received.

    Attributes:
        by_status: number of requests by the status of the response; 0 counts those without a response because of a
            fault.
        by_path: number of requests by path, for known paths.
    """

    def __init__(self) -> None:
        self.by_status: Counter[int] = Counter()
        self.by_path: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """The number of all requests, including those to unknown paths."""
        return self.by_status.total()

    def __repr__(self) -> str:
        return f"<Requests: {dict(self.by_status)}>"


class App:
    """The ASGI callable that `app` returns. It counts requests and records changes.

    Attributes:
        directory: the people of the server and their initial relationships.
        requests: counts of the requests so far.
    """

    def __init__(
        self,
        directory: Directory,
        settings: Settings,
        *,
        accounts: Accounts,
        commits: CommitLog,
        clock: Callable[[], float],
        fault_seed: int,
    ) -> None:
        self.directory = directory
        self.requests: Requests = Requests()
        self._settings = settings
        self._clock = clock
        self._commits = commits
        self._schedule = FaultSchedule(directory, fault_seed)
        self._accounts = accounts
        self._context = context = ServerContext(directory, settings, commits)
        self._routes = Routes(
            ColleagueEndpoints(context),
            ProfileEndpoints(context),
            CommunityEndpoints(context),
            LoginEndpoints(accounts),
            InspectionEndpoints(commits, self._schedule),
            context=settings.context,
        )
        self._writer = ResponseWriter(settings, clock)

    @property
    def commits(self) -> Sequence[Commit]:
        """All changes so far, oldest first."""
        return self._commits.commits

    @property
    def faults(self) -> Sequence[Fault]:
        """The faults to inject. Setting them resets all counts."""
        return self._schedule.faults

    @faults.setter
    def faults(self, faults: Iterable[Fault]) -> None:
        self._schedule.faults = tuple(faults)

    @property
    def struck(self) -> list[int]:
        """The number of times that each fault has struck."""
        return self._schedule.struck

    @property
    def password(self) -> str:
        """The password of all people. It can be set."""
        return self._accounts.password

    @password.setter
    def password(self, password: str) -> None:
        self._accounts.password = password

    def expire_tokens(self) -> None:
        """Expire all access tokens issued so far; refresh tokens remain valid."""
        self._accounts.expire_tokens()

    def status(self, source: Identity | Person, target: Identity | Person) -> Status | None:
        """The current status of `target` as `source` sees it; None without a connection or for an unknown person."""
        numbers = self.directory.number_of(source), self.directory.number_of(target)
        row = None if numbers[0] is None or numbers[1] is None else self._context.state.row(numbers[0], numbers[1])
        return None if row is None else row.status

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        """Respond to one request (ASGI)."""
        if scope["type"] == "http":
            await self._respond(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            raise ValueError(f"scope type must be 'http' or 'lifespan', got {scope['type']!r}")

    async def _respond(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        body = b"" if scope["method"] in _READ_METHODS else await _read_body(receive)
        if body is None:
            return
        routed = self._route(scope, body)
        if isinstance(routed, ServerResponse):
            response = routed
        elif self._schedule and (faults := self._faults_for(*routed)):
            injector = FaultInjector(faults, scope, receive, self._clock)
            await self._respond_with_faults(*routed, injector, send)
            return
        else:
            response = self._perform(*routed)
        self.requests.by_status[response.status] += 1
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})

    async def _respond_with_faults(
        self, request: ServerRequest, route: Route, injector: FaultInjector, send: AsgiSend
    ) -> None:
        """Respond, and inject faults between the steps."""
        try:
            response = await injector.inject("request")
            if response is None:
                regular = self._perform(request, route)
                response = await injector.inject("commit") or regular
        except (NoResponseError, ConnectionResetError) as error:
            self.requests.by_status[0] += 1
            if isinstance(error, ConnectionResetError):
                raise
            return
        self.requests.by_status[response.status] += 1
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        body = b"" if request.method == "HEAD" else response.body
        half = len(body) // 2
        await send({"type": "http.response.body", "body": body[:half], "more_body": True})
        with suppress(NoResponseError):
            await injector.inject("half")
            await send({"type": "http.response.body", "body": body[half:]})

    def _route(self, scope: AsgiScope, body: bytes) -> tuple[ServerRequest, Route] | ServerResponse:
        """The request and its route, or the response if the request cannot be routed or is not authorized."""
        path: str = scope["path"]
        route = self._routes.find(path)
        if route is None:
            return html_response(
                404, f"SRVE0255E: A WebGroup/Virtual Host to handle {path[:200]} has not been defined."
            )
        self.requests.by_path[path] += 1
        authorization, cookie, host = _request_headers(scope["headers"])
        method: str = scope["method"]
        requester = self._authenticate(route.access, authorization, cookie, reading=method in _READ_METHODS)
        root = f"{scope['scheme']}://{host}{self._settings.context}"
        if requester is None:
            return self._login_required(route, root)
        if method not in route.methods:
            return html_response(405, "Method not allowed.", (b"allow", route.allowed), *requester.cookies)
        if len(body) > _MAX_BODY:
            return html_response(413, "The request is too long.", (b"connection", b"close"))
        query = parse_query(scope["query_string"])
        if query is None:
            return self._writer.response(INVALID, None, requester.cookies)
        base = self._settings.link_base or root
        return ServerRequest(method, root, base, route.path, requester, query, body), route

    def _authenticate(self, access: Access, authorization: bytes, cookie: bytes, *, reading: bool) -> Requester | None:
        """The requester; None if a login is missing or wrong."""
        if access in _LOGIN_ACCESS:
            requester = self._accounts.login(authorization, cookie, oauth=access == "oauth")
            if requester is None and self._settings.anonymous_read and reading and not authorization:
                return ANONYMOUS
            return requester
        return ANONYMOUS if access == "public" or self._accounts.is_administrator(authorization) else None

    def _perform(self, request: ServerRequest, route: Route) -> ServerResponse:
        """Perform the operation, without waiting."""
        try:
            result = route.methods[request.method].perform(request)
        except RefusedError as refused:
            result = refused.result
        if isinstance(result, LoginRequired):
            return self._login_required(route, request.root)
        base = None if request.method == "HEAD" else request.base
        return self._writer.response(result, base, request.requester.cookies)

    def _login_required(self, route: Route, root: str) -> ServerResponse:
        """A challenge, or a redirect to the login page as a single sign-on sends it."""
        if self._settings.auth == "form" and route.access == "password":
            location = f"{root}{address(LOGIN, {'target': route.path})}"
            return html_response(302, "Sign in first.", (b"location", location.encode()))
        is_plain = route.access == "password"
        takes_token = route.access == "oauth" or (is_plain and self._settings.takes_tokens_on_plain_paths)
        scheme = b"Bearer" if takes_token else b"Basic"
        challenge = (b"www-authenticate", scheme + b' realm="lotus-connections"')
        return plain_response(PlainResult(401, "text/html;charset=ISO-8859-1", "\n", (challenge,)))

    def _faults_for(self, request: ServerRequest, route: Route) -> Sequence[Fault]:
        name = route.methods[request.method].name
        return self._schedule.select(name, route.path, lambda: self._people_of(request)) if name else ()

    def _people_of(self, request: ServerRequest) -> set[int]:
        """All people that a request concerns."""
        context = self._context
        people = context.lookup.all_people(request.query)
        row = context.state.row_with_id(request.first("connectionId"))
        if row is not None:
            people |= {row.source, row.target}
        entry = read_entry(request.body)
        posted = () if entry is None else (context.directory.number(kind, text) for kind, text in entry.people)
        return {number for number in (*people, request.user, *posted) if number is not None}


async def _lifespan(receive: AsgiReceive, send: AsgiSend) -> None:
    """Acknowledge startup and shutdown; neither requires any work."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _read_body(receive: AsgiReceive) -> bytes | None:
    """The body, or the beginning of one that is too long; None if the client disconnected before its end."""
    chunks: list[bytes] = []
    size = 0
    while size <= _MAX_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk: bytes = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if not message.get("more_body", False):
            break
    return b"".join(chunks)


def _request_headers(headers: list[Header]) -> tuple[bytes, bytes, str]:
    """The ``Authorization`` header, the cookies, and the host by which the requester knows the server."""
    authorization, cookie, host = b"", b"", b"localhost"
    for name, value in headers:
        if name == b"authorization":
            authorization = value
        elif name == b"host":
            host = value
        elif name == b"cookie":
            cookie = value if not cookie else cookie + b"; " + value
    return authorization, cookie, host.decode("latin-1")
