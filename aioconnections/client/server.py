"""One server as a client sees it: the lanes, the rate and the sessions that all of its users share."""

from __future__ import annotations

import os
import random
import secrets
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeGuard, cast

import anyio
import anyio.lowlevel
from attrs import define, field, frozen

from aioconnections._version import __version__
from aioconnections.auth.credentials import Auth
from aioconnections.clock import Clock, LoopClock
from aioconnections.errors import InvalidInputError, UsageError
from aioconnections.policy.limiter import Limiter
from aioconnections.policy.retry import Retry
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import Headers, Origin
from aioconnections.session.applications import Applications
from aioconnections.session.availability import Availability
from aioconnections.session.call_context import RunScope
from aioconnections.session.runtime import EmailVisibility, Runtime
from aioconnections.session.session import Session
from aioconnections.session.telemetry import LOG, Attempt, Stats, Telemetry
from aioconnections.transport import Engine
from aioconnections.transport.concurrency import ConcurrencyLimiter
from aioconnections.transport.connect import proxy_from_environment
from aioconnections.transport.limits import LocalLimit
from aioconnections.transport.pool import LanePool
from aioconnections.transport.tls import Verify

if TYPE_CHECKING:
    import httpx

    from aioconnections.auth.cookies import Jar

__all__ = ["ClientOptions", "Server", "Timeouts"]

_NOT_THE_CALLERS = frozenset(
    {"accept-encoding", "authorization", "connection", "content-length", "cookie", "host", "transfer-encoding"}
)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_SESSIONS = 10_000
_IDLE = 900.0  # seconds after which a session that nobody uses is forgotten
_GRACE = 60.0  # seconds for which a credential that was renewed is taken for what it was renewed to


@frozen(kw_only=True)
class Timeouts:
    """How long a client waits, in seconds.

    Attributes:
        attempt: for one request, from connecting to the last byte of the response.
        item: for one call or item over all of its attempts, without waits for a connection, for the rate limit and, in
            a bulk run, for a server that is away. An `Auth` may take as long to give its headers.
        run: for one bulk run; after it, nothing more is started and the run stops. None for no limit.
        outage: a bulk run waits this long for a server that is away, before it stops with `ServerUnavailableError`;
            None for no limit. A single call waits at most `item`.

    Raises:
        InvalidInputError: a value that is not a positive number; `outage` may be 0.
    """

    attempt: float = 10.0
    item: float = 60.0
    run: float | None = None
    outage: float | None = 300.0

    def __attrs_post_init__(self) -> None:
        for name, value in (("attempt", self.attempt), ("item", self.item), ("run", self.run)):
            if not (_is_number(value) and value > 0) and not (name == "run" and value is None):
                raise InvalidInputError(f"timeouts.{name} must be positive, got {_shown(value)}")
        if self.outage is not None and not (_is_number(self.outage) and self.outage >= 0):
            raise InvalidInputError(
                f"timeouts.outage must be 0 or more, or None for no limit, got {_shown(self.outage)}"
            )


@frozen(kw_only=True)
class ClientOptions:
    """The options of a client, besides the server and the login; see `Client`."""

    max_connections: int
    max_per_second: float | None
    burst: int
    timeouts: Timeouts
    max_attempts: int
    headers: Mapping[str, str] = field(repr=False)
    cookies: bool
    verify: Verify
    trust_env: bool
    verify_login: bool
    clock: Clock | None
    rng: random.Random
    on_attempt: Callable[[Attempt], object] | None

    def __attrs_post_init__(self) -> None:
        for name, count in (("max_connections", self.max_connections), ("max_attempts", self.max_attempts)):
            if not _is_count(count):
                raise InvalidInputError(f"{name} must be an integer of at least 1, got {_shown(count)}")
        if not isinstance(cast("object", self.timeouts), Timeouts):
            raise InvalidInputError(f"timeouts must be a Timeouts, got {type(self.timeouts).__name__}")
        if self.on_attempt is not None and not callable(self.on_attempt):
            raise InvalidInputError(f"on_attempt must be a function or None, got {type(self.on_attempt).__name__}")


@define
class _Name:
    """The digest that a session is found by."""

    digest: bytes


class Server:
    """What the clients of all users of one server share; it belongs to the client that made it, and closes with it."""

    def __init__(
        self,
        base_url: str,
        auth: Auth | None,
        options: ClientOptions,
        door: httpx.AsyncBaseTransport | httpx.AsyncClient | None,
    ) -> None:
        self.options = options
        self.closed: bool = False
        self.limiter: Limiter = Limiter(options.max_per_second, options.burst)
        self._base_url = base_url
        self._address = self.address_for(auth)
        self._constant = _constant_headers(options.headers)
        self.local_limit: int | None = None
        self._slots = ConcurrencyLimiter(options.max_connections)
        self._retry = Retry(options.max_attempts)
        self._engine = self._make_engine(door, signs_in=auth is not None)
        self._clock = options.clock
        self._runtime: Runtime | None = None
        self._home: tuple[object, int] | None = None  # the event loop and the process that it belongs to
        self._key = secrets.token_bytes(32)
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()  # the one that was used last comes last
        self._renewed: deque[tuple[float, bytes]] = deque()  # until when a former one counts

    def address_for(self, auth: Auth | None) -> Address:
        """The address of the server, for whoever signs in with `auth`.

        Raises:
            InvalidInputError: the base URL is none.
        """
        return Address.of(self._base_url, oauth=getattr(auth, "oauth", False))

    def enter(self) -> None:
        """Belong to the event loop that is running.

        Raises:
            UsageError: it has been entered before.
        """
        if self._runtime is not None:
            raise UsageError("a client can be entered only once")
        self._home = (anyio.lowlevel.current_token(), os.getpid())
        clock = self._clock = self._clock or LoopClock()
        options, slots, chance = self.options, self._slots, self.options.rng.random
        availability = Availability(
            clock, slots, self.limiter, chance, most=options.max_connections, max_outage=options.timeouts.outage
        )
        self._runtime = Runtime(
            engine=self._engine,
            slots=slots,
            limiter=self.limiter,
            retry=self._retry,
            availability=availability,
            applications=Applications(self.limiter, clock, chance, options.timeouts.outage, availability.is_back),
            telemetry=Telemetry(options.on_attempt),
            emails=EmailVisibility(),
            clock=clock,
            chance=chance,
            attempt_timeout=options.timeouts.attempt,
            item_timeout=options.timeouts.item,
        )

    @property
    def runtime(self) -> Runtime:
        """What the requests of all users share."""
        assert self._runtime is not None  # noqa: S101 # it has been entered
        return self._runtime

    def new_run(self) -> RunScope:
        """A new bulk run, with an id that only serves to find it in the log."""
        return RunScope(f"{self.options.rng.getrandbits(32):08x}")

    async def aclose(self) -> None:
        """Close every connection."""
        self.closed = True
        self._sessions.clear()
        self._renewed.clear()
        with anyio.CancelScope(shield=True):
            await self._engine.aclose()

    def change_rate(self, max_per_second: float | None) -> None:
        """Another rate from now on.

        Raises:
            InvalidInputError: it is neither positive nor None.
        """
        self.limiter.change(max_per_second, self._clock.now() if self._clock is not None else 0.0)

    def _limit(self, most: int | None) -> None:
        """This machine allows `most` connections: requests beyond that wait for one, whatever the server bears."""
        self._slots.cap(most)
        if most is not None:
            if self.local_limit is None:
                LOG.warning("this machine allows no further connection: requests wait for one of those that are open")
            self.local_limit = most

    def stats(self) -> Stats:
        """What was done so far.

        Raises:
            UsageError: nothing could be: it has not been entered.
        """
        if self._runtime is None:
            raise UsageError("a client is used inside of its `async with` block")
        runtime = self._runtime
        availability, telemetry = runtime.availability, runtime.telemetry
        responses, failures = telemetry.responses, telemetry.failures
        return Stats(
            attempts=sum(responses.values()) + sum(failures.values()),
            responses=responses,
            failures=failures,
            retries=telemetry.retries,
            retries_left=availability.budget.left,
            probes=availability.probes + runtime.applications.probes,
            under_way=runtime.slots.taken,
            bound=min(availability.concurrency.bound, self._slots.capped or self.options.max_connections),
            local_limit=self.local_limit,
            max_connections=availability.concurrency.most,
            max_per_second=self.limiter.max_per_second,
            waiting_for_server=runtime.is_waiting,
        )

    def check_here(self) -> None:
        """Pass if requests may be sent here and now.

        Raises:
            UsageError: they may not.
        """
        if self.closed:
            raise UsageError("this client is closed")
        if self._runtime is None:
            raise UsageError("a client is used inside of its `async with` block")
        if self._home != (anyio.lowlevel.current_token(), os.getpid()):
            raise UsageError("this client belongs to another event loop or process")

    def session_for(self, auth: Auth | None) -> Session:
        """The session of whoever signs in with `auth`: the same one for equal credentials.

        So they share what was learned of the login, and a wrong password is refused once. Credentials that nobody uses
        for fifteen minutes are forgotten, and so are the oldest of more than ten thousand. One that was renewed counts
        for a minute more, for those who had read it before.
        """
        likeness = self._digest(auth)
        while self._renewed and self._renewed[0][0] <= self._now():
            self._sessions.pop(self._renewed.popleft()[1], None)
        session = self._sessions.get(likeness)
        if session is None:
            jar = _cookie_jar(self._address.origin) if self.options.cookies else None
            verifies = self.options.verify_login
            name = _Name(likeness)
            session = Session(
                self.runtime,
                self.address_for(auth),
                auth,
                self._constant,
                verify_login=verifies,
                jar=jar,
                on_use=lambda session: self._remember(name.digest, session),
                on_renewal=lambda session: self._rename(name, session),
            )
        self._remember(likeness, session)
        return session

    def _rename(self, name: _Name, session: Session) -> None:
        """Find `session` by the digest of its renewed credential; by the former one only for a while."""
        former, name.digest = name.digest, self._digest(session.login.auth)
        self._renewed = deque(entry for entry in self._renewed if entry[1] != name.digest)
        if former != name.digest:
            self._renewed.append((self._now() + _GRACE, former))
        self._remember(name.digest, session)

    def _remember(self, likeness: bytes, session: Session) -> None:
        sessions, now = self._sessions, self._now()
        session.used = now
        sessions[likeness] = session
        sessions.move_to_end(likeness)
        while len(sessions) > _MOST_SESSIONS or next(iter(sessions.values())).used < now - _IDLE:
            sessions.popitem(last=False)

    def _digest(self, auth: Auth | None) -> bytes:
        """What equal credentials have in common, and from which nobody can tell what they are."""
        credential = getattr(auth, "credential", None)
        told = f"{type(auth).__qualname__} {id(auth) if credential is None else credential().reveal()}"
        return blake2b(told.encode(errors="surrogatepass"), key=self._key).digest()

    def _now(self) -> float:
        assert self._clock is not None  # noqa: S101 # it has been entered
        return self._clock.now()

    def _make_engine(self, door: httpx.AsyncBaseTransport | httpx.AsyncClient | None, *, signs_in: bool) -> Engine:
        local_limit = LocalLimit(self._limit, self.options.max_connections, self.options.clock or LoopClock())
        if door is not None:
            from aioconnections.transport.via_httpx import HttpxAdapter  # httpx costs 100 ms to import

            return HttpxAdapter(door, local_limit=local_limit)
        origin, options = self._address.origin, self.options
        proxy = None if origin.host in _LOOPBACK else proxy_from_environment(origin)
        if proxy is not None and not options.trust_env:
            warnings.warn(
                f"{proxy[0]} names a proxy, which is not used; pass trust_env=True (--trust-env) to use it",
                stacklevel=4,
            )
        if origin.scheme == "http" and origin.host not in _LOOPBACK and signs_in:
            warnings.warn("the login is sent over http, readable for everybody on the way", stacklevel=4)
        if proxy is not None and options.trust_env:
            from aioconnections.transport.via_httpx import HttpxEngine

            return HttpxEngine(verify=options.verify, proxy=proxy[1], local_limit=local_limit)
        most = options.max_connections
        return LanePool(max_connections=most, verify=options.verify, clock=options.clock, local_limit=local_limit)

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open" if self._runtime is not None else "not entered"
        return f"{self._address.origin}, {state}, {self._engine!r}"


def _cookie_jar(origin: Origin) -> Jar:
    from aioconnections.auth.cookies import Jar  # imports http.cookiejar, and with it urllib.request

    return Jar(origin)


def _is_number(number: object) -> TypeGuard[float]:
    return isinstance(number, int | float) and not isinstance(number, bool)


def _shown(value: object) -> str:
    """A number, or the type of anything else, which may be a secret in the wrong place."""
    return str(value) if _is_number(value) else type(value).__name__


def _is_count(number: object) -> bool:
    return isinstance(number, int) and number >= 1


def _constant_headers(extra: Mapping[str, str]) -> Headers:
    """What goes with every request; the caller's headers take the place of ours."""
    own = {"User-Agent": f"aioconnections/{__version__}", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    given = {name.lower() for name in extra}
    forbidden = given & _NOT_THE_CALLERS
    if forbidden:
        raise InvalidInputError(f"headers: {', '.join(sorted(forbidden))} cannot be given here")
    return Headers([*((n, v) for n, v in own.items() if n.lower() not in given), *extra.items()])
