"""What all verbs of a client share: its options, and the session that they talk through."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, cast

import anyio.lowlevel
from attrs import evolve

from aioconnections._version import __version__
from aioconnections.auth import Auth, Basic
from aioconnections.bulk import FlowJob, Job, Outcomes, Subject
from aioconnections.clock import Clock, LoopClock
from aioconnections.errors import BadRequestError, InvalidInputError, NotFoundError, UsageError
from aioconnections.outcomes import Failed, InDoubt, Outcome, Rejected, Unprocessed
from aioconnections.policy.limiter import Limiter
from aioconnections.policy.retry import Retry
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import Flow, Headers
from aioconnections.records import Identity, Person
from aioconnections.session import Session
from aioconnections.slots import Slots
from aioconnections.traffic import Traffic
from aioconnections.transport import Engine
from aioconnections.transport.pool import Lanes
from aioconnections.transport.proxies import proxy_from_environment
from aioconnections.transport.tls import Verify

if TYPE_CHECKING:
    import httpx

__all__ = ["Base", "Who"]

DoneT = TypeVar("DoneT", bound=Outcome)
R = TypeVar("R")

Who: TypeAlias = Identity | Person
"""A person, by an identity or as a record that holds one."""

_NOT_THE_CALLERS = frozenset(
    {"accept-encoding", "authorization", "connection", "content-length", "cookie", "host", "transfer-encoding"}
)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Base:
    """What `Client` is built on; its options are those of `Client`."""

    def __init__(  # noqa: PLR0913 # keyword-only options, each with its default
        self,
        base_url: str,
        *,
        auth: tuple[str, str] | Auth | None = None,
        max_connections: int = 16,
        max_per_second: float | None = 100,
        burst: int = 1,
        attempt_timeout: float = 10.0,
        item_timeout: float = 60.0,
        max_attempts: int = 4,
        headers: Mapping[str, str] | None = None,
        cookies: bool = False,
        verify: Verify = True,
        transport: httpx.AsyncBaseTransport | None = None,
        http_client: httpx.AsyncClient | None = None,
        trust_env: bool = False,
        verify_login: bool = True,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        if not _is_count(max_connections) or not _is_count(max_attempts):
            raise InvalidInputError("max_connections and max_attempts must be whole numbers, at least 1")
        if not attempt_timeout > 0 or not item_timeout > 0:
            raise InvalidInputError("the timeouts must be positive")
        if transport is not None and http_client is not None:
            raise InvalidInputError("transport and http_client exclude each other")
        self._auth = _auth(auth)
        self._address = Address.of(base_url, oauth=getattr(self._auth, "oauth", False))
        self._constant = _constant_headers(headers or {})
        self._limiter = Limiter(max_per_second, burst)
        self._retry = Retry(max_attempts)
        self._timeouts = (attempt_timeout, item_timeout)
        self._max_connections = max_connections
        self._verify_login = verify_login
        self._cookies = cookies
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 # spreads pauses, guards nothing
        self._engine = self._make_engine(transport or http_client, verify, trust_env=trust_env)
        self._session: Session | None = None
        self._home: tuple[object, int] | None = None  # the event loop and the process that the client belongs to
        self._closed = False

    @property
    def max_per_second(self) -> float | None:
        """How many requests may start per second, None for no limit; may be changed at any time."""
        return self._limiter.max_per_second

    @max_per_second.setter
    def max_per_second(self, value: float | None) -> None:
        self._limiter.change(value, self._clock.now() if self._clock is not None else 0.0)

    async def aclose(self) -> None:
        """Close every connection; calls after that raise `UsageError`."""
        self._closed = True
        with anyio.CancelScope(shield=True):
            await self._engine.aclose()

    async def __aenter__(self) -> Self:
        if self._session is not None:
            raise UsageError("a client can be entered only once")
        self._home = (anyio.lowlevel.current_token(), os.getpid())
        if self._clock is None:
            self._clock = LoopClock()
        attempt_timeout, item_timeout = self._timeouts
        traffic = Traffic(
            engine=self._engine,
            slots=Slots(self._max_connections),
            limiter=self._limiter,
            retry=self._retry,
            clock=self._clock,
            chance=self._rng.random,
            attempt_timeout=attempt_timeout,
            item_timeout=item_timeout,
        )
        kind = Session if not self._cookies else _session_with_cookies()
        self._session = kind(traffic, self._address, self._auth, self._constant, verify_login=self._verify_login)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._session is not None else "not entered"
        return f"{type(self).__name__}({self._address.origin}, {state}, {self._engine!r})"

    async def _call(self, flow: Flow[R], *people: Identity) -> R:
        """The result of a conversation that names `people`."""
        session = self._here()
        session.refuse_hidden(*people)
        try:
            return await session.call(flow)
        except (BadRequestError, NotFoundError) as refused:
            error = refused
        raise await session.explained(error, *people)

    async def _found(self, flow: Flow[R | None], person: Identity) -> R | None:
        """The result of a conversation about `person`, of whom the server may say that there is nobody."""
        found = await self._call(flow, person)
        if found is None:
            await self._here().nobody_found(person)
        return found

    async def _done(self, flow: Flow[DoneT], item: object, *people: Identity, **facts: Any) -> DoneT:
        """The outcome of a single change, with what it cost."""
        session = self._here()
        session.refuse_hidden(*people)
        await session.prove()
        meter = session.meter()
        try:
            done = await session.run(flow, meter)
        except (BadRequestError, NotFoundError) as refused:
            error = refused
        else:
            facts |= {"attempts": meter.attempts, "elapsed": meter.elapsed, "waited": meter.waited}
            return evolve(done, item=item, **facts)
        raise await session.explained(error, *people)

    def _many(
        self, understand: Callable[[object], Subject[DoneT]], source: object, *, ordered: bool, **options: bool
    ) -> Outcomes[DoneT | InDoubt | Rejected | Failed | Unprocessed]:
        job: FlowJob[DoneT] = FlowJob(self._here(), understand, **options)
        return self._outcomes(job, source, ordered=ordered)

    def _outcomes(self, job: Job[DoneT], source: object, *, ordered: bool) -> Outcomes[DoneT]:
        items = cast("Iterable[object] | AsyncIterable[object]", source)  # what is neither is refused there
        return Outcomes(job, items, workers=self._max_connections, ordered=ordered)

    def _here(self) -> Session:
        """The session, if it may be used here and now."""
        if self._closed:
            raise UsageError("this client is closed")
        if self._session is None:
            raise UsageError("a client is used inside of its `async with` block")
        if self._home != (anyio.lowlevel.current_token(), os.getpid()):
            raise UsageError("this client belongs to another event loop or process")
        return self._session

    def _make_engine(
        self, door: httpx.AsyncBaseTransport | httpx.AsyncClient | None, verify: Verify, *, trust_env: bool
    ) -> Engine:
        if door is not None:
            from aioconnections.transport.via_httpx import DoorEngine  # httpx costs 100 ms to import

            return DoorEngine(door)
        origin = self._address.origin
        proxy = None if origin.host in _LOOPBACK else proxy_from_environment(origin)
        if proxy is not None and not trust_env:
            warnings.warn(f"{proxy[0]} names a proxy, which is not used: pass trust_env=True to use it", stacklevel=3)
        if origin.scheme == "http" and origin.host not in _LOOPBACK and self._auth is not None:
            warnings.warn("the login is sent over http, readable for everybody on the way", stacklevel=3)
        if proxy is not None and trust_env:
            from aioconnections.transport.via_httpx import HttpxEngine

            return HttpxEngine(verify=verify, proxy=proxy[1])
        return Lanes(max_connections=self._max_connections, verify=verify, clock=self._clock)


def _session_with_cookies() -> type[Session]:
    from aioconnections.cookies import CookieSession  # brings http.cookiejar, and with it urllib.request

    return CookieSession


def _is_count(number: object) -> bool:
    return isinstance(number, int) and number >= 1


def _auth(auth: tuple[str, str] | Auth | None) -> Auth | None:
    if auth is None or isinstance(auth, Auth):
        return auth
    match cast("object", auth):
        case (str(user), str(password)):
            return Basic(user, password)
        case _:
            raise InvalidInputError("auth is a tuple of user and password, an Auth, or None")


def _constant_headers(extra: Mapping[str, str]) -> Headers:
    """What goes with every request; the caller's headers take the place of ours."""
    own = {"User-Agent": f"aioconnections/{__version__}", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    given = {name.lower() for name in extra}
    forbidden = given & _NOT_THE_CALLERS
    if forbidden:
        raise InvalidInputError(f"headers: {', '.join(sorted(forbidden))} cannot be given here")
    return Headers([*((n, v) for n, v in own.items() if n.lower() not in given), *extra.items()])
