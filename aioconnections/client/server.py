"""One server as a client sees it: the transport, the limits and the sessions that all users share."""

from __future__ import annotations

import os
import random
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, TypeGuard, cast
from weakref import ref

import anyio
from attrs import field

from aioconnections._version import __version__
from aioconnections.auth.credentials import Auth
from aioconnections.clock import Clock, LoopClock
from aioconnections.errors import AuthenticationError, InvalidInputError, UsageError
from aioconnections.policy.changes import Changes
from aioconnections.policy.limiter import Limiter, Starts
from aioconnections.policy.retry import Retry
from aioconnections.policy.status_cache import StatusCache, Statuses
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import Headers, Origin
from aioconnections.reprs import define, frozen, safe_repr
from aioconnections.session.applications import Applications
from aioconnections.session.availability import Availability
from aioconnections.session.call_context import RunScope
from aioconnections.session.call_scope import WaitingCalls
from aioconnections.session.runtime import EmailVisibility, Runtime
from aioconnections.session.session import Session
from aioconnections.session.telemetry import LOG, Attempt, Instrumentation, Stats, Telemetry
from aioconnections.session.turns import Turns
from aioconnections.shared import Here, InProcess, SharedState
from aioconnections.transport import Engine

if TYPE_CHECKING:
    from aioconnections.auth.cookies import Jar
    from aioconnections.shared.settings import RedisShared
    from aioconnections.transport.httpx_family import AnyClient, AnyTransport
    from aioconnections.transport.tls import ClientCert, Verify

__all__ = ["ClientOptions", "Server", "Timeouts", "constant_headers"]

_RESERVED_HEADERS = frozenset(
    {"accept-encoding", "authorization", "connection", "content-length", "cookie", "host", "transfer-encoding"}
)
_MOST_SESSIONS = 10_000
_IDLE = 900.0  # seconds after which an unused session is forgotten
_GRACE = 60.0  # seconds for which a former credential finds the session of the renewed one


@frozen(kw_only=True)
class Timeouts:
    """How long a client waits, in seconds.

    Attributes:
        attempt: limit for one request, from connecting to the last byte of the response.
        item: limit for all attempts of one call or item, excluding waits for a connection, for the rate limit and, in a
            bulk run, for a server that is away. An `Auth` may take the same time to return its headers.
        run: limit for one bulk run, which then stops; None for no limit.
        outage: how long a bulk run waits for a server that is away before it stops with `ServerUnavailableError`; None
            for no limit. A single call waits at most `item`.

    Raises:
        InvalidInputError: a value is not a positive number; `outage` may be 0.
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
    max_waiting: int | None
    burst: int
    timeouts: Timeouts
    max_attempts: int
    headers: Mapping[str, str] = field(repr=False)
    cookies: bool
    verify: Verify
    client_cert: ClientCert | None = field(repr=False)  # may hold a password
    trust_env: bool
    verify_login: bool
    cache: StatusCache | None
    shared: RedisShared | None
    clock: Clock | None
    rng: random.Random | None
    on_attempt: Callable[[Attempt], object] | None
    telemetry: Instrumentation | None

    def __attrs_post_init__(self) -> None:
        for name, count in (("max_connections", self.max_connections), ("max_attempts", self.max_attempts)):
            if not _is_count(count):
                raise InvalidInputError(f"{name} must be an integer of at least 1, got {_shown(count)}")
        if self.max_waiting is not None and not _is_count(self.max_waiting, least=0):
            raise InvalidInputError(
                f"max_waiting must be an integer of at least 0, or None for no limit, got {_shown(self.max_waiting)}"
            )
        if not isinstance(cast("object", self.timeouts), Timeouts):
            raise InvalidInputError(f"timeouts must be a Timeouts, got {type(self.timeouts).__name__}")
        if self.cache is not None and not isinstance(cast("object", self.cache), StatusCache):
            raise InvalidInputError(f"cache must be a StatusCache or None, got {type(self.cache).__name__}")
        if self.on_attempt is not None and not callable(self.on_attempt):
            raise InvalidInputError(f"on_attempt must be a function or None, got {type(self.on_attempt).__name__}")
        if self.telemetry is not None and not isinstance(cast("object", self.telemetry), Instrumentation):
            raise InvalidInputError(f"telemetry must be an OpenTelemetry or None, got {type(self.telemetry).__name__}")


@define
class _Entry:
    """A session, and the digest of its current credential."""

    digest: bytes
    session: Session | None = None
    used: float = 0.0


# Imported with the first client: later, a process may have no file descriptor left for an import. Importing them with
# this module would make up half of the time that importing `Client` takes.
_NEEDED_BY_REQUESTS = (
    "aioconnections.atom.reader",
    "aioconnections.atom.writer",
    "aioconnections.bulk.flows",
    "aioconnections.bulk.run",
    "email.message",
    "email.utils",
    "hashlib",
)


class Server:
    """The parts that the clients of all users of one server share; the first client owns and closes them."""

    def __init__(
        self,
        base_url: str,
        auth: Auth | None,
        options: ClientOptions,
        adapted: AnyTransport | AnyClient | None,
    ) -> None:
        from aioconnections.transport.affinity import LoopAffinity  # see `_NEEDED_BY_REQUESTS`

        for module in _NEEDED_BY_REQUESTS:
            import_module(module)
        self.options = options
        self.closed: bool = False
        self.shared: SharedState = _shared_state(options)
        self.limiter: Starts = self.shared.starts
        self._base_url = base_url
        self._address = self.address_for(auth)
        self._constant = constant_headers(options.headers)
        self.local_limit: int | None = None
        self._turns = Turns(options.max_connections, self.limiter, options.clock or LoopClock())
        self._retry = Retry(options.max_attempts)
        self._engine = self._make_engine(adapted, signs_in=auth is not None)
        self._now: Callable[[], float] = lambda: 0.0  # until `enter`
        self._rng = options.rng or random.Random()  # noqa: S311 # spreads pauses, guards nothing
        self._runtime: Runtime | None = None
        self._affinity = LoopAffinity()
        self._key = os.urandom(32)
        self._lock = Lock()  # guards the sessions: `as_user` may be called in any thread
        self._sessions: OrderedDict[bytes, _Entry] = OrderedDict()  # by digest, least recently used first
        self._renewed: deque[tuple[float, bytes]] = deque()  # former digests, and when they expire

    def address_for(self, auth: Auth | None) -> Address:
        """The address of the server for requests with `auth`.

        Raises:
            InvalidInputError: the base URL is invalid.
        """
        return Address.of(self._base_url, oauth=getattr(auth, "oauth", False))

    def enter(self) -> None:
        """Bind to the running event loop.

        Raises:
            UsageError: the client was entered before.
        """
        if self._runtime is not None:
            state = "is open already: use it as it is" if not self.closed else "is closed"
            raise UsageError(f"a client can be entered only once, and this one {state}; create another one")
        if self.closed:
            raise UsageError("this client is closed; create another one")
        self._affinity.check()
        if self.options.rng is None:  # processes that are forked from one must not draw the same numbers
            self._rng = random.Random()  # noqa: S311 # see above
        clock = self.options.clock or LoopClock()
        now = self._now = clock.here() if isinstance(clock, LoopClock) else clock.now
        options, turns, chance, changes = self.options, self._turns, self._rng.random, Changes()
        telemetry = Telemetry(options.on_attempt)
        if options.telemetry is not None:
            telemetry.observer = options.telemetry.observe(self._address, telemetry.counts)
        availability = Availability(
            clock, turns, self.shared, chance, most=options.max_connections, max_outage=options.timeouts.outage
        )
        self._runtime = Runtime(
            engine=self._engine,
            turns=turns,
            waiting=WaitingCalls(options.max_waiting),
            shared=self.shared,
            limiter=self.limiter,
            retry=self._retry,
            availability=availability,
            applications=Applications(self.limiter, clock, chance, options.timeouts.outage, availability.recovered),
            telemetry=telemetry,
            emails=EmailVisibility(),
            changes=changes,
            statuses=None if options.cache is None else Statuses(options.cache, changes),
            clock=clock,
            now=now,
            chance=chance,
            attempt_timeout=options.timeouts.attempt,
            item_timeout=options.timeouts.item,
        )
        if telemetry.observer is not None:
            telemetry.observer.watch(ref(self._runtime))

    @property
    def runtime(self) -> Runtime:
        """Shared by the requests of all users."""
        assert self._runtime is not None  # noqa: S101 # set by `enter`
        return self._runtime

    @property
    def run_lanes(self) -> int:
        """How many requests all bulk runs together may have under way; see `Turns`."""
        return max(1, self.options.max_connections - 1)

    def new_run(self, verb: str) -> RunScope:
        """A new bulk run; its id identifies it in the log."""
        return RunScope(f"{self._rng.getrandbits(32):08x}", verb)

    async def open(self) -> None:
        """Begin to share with other processes, after `enter`.

        Raises:
            SharedStoreError: the store is away, or refuses to work.
            UsageError: the event loop is not asyncio's, or a package is missing.
        """
        runtime, timeouts = self.runtime, self.options.timeouts
        availability, turns = runtime.availability, self._turns
        here = Here(
            clock=runtime.clock,
            attempt_timeout=timeouts.attempt,
            outage_timeout=timeouts.outage,
            waiting=lambda: turns.needed,
            review=turns.review,
            fail=lambda error, runs: turns.fail(error, runs=runs),
            paused=availability.heard_of_pause,
            went_away=availability.heard_of_outage,
            logins=self._logins,
        )
        try:
            await self.shared.open(here)
        except BaseException:
            await self.aclose()
            raise

    def _logins(self) -> dict[str, Callable[[AuthenticationError], object]]:
        """The logins in use that have a name in the shared store; see `Here.logins`."""
        with self._lock:
            sessions = [entry.session for entry in self._sessions.values() if entry.session is not None]
        named = ((session.shared_name(), session) for session in sessions)
        return {name: session.heard_of_refusal for name, session in named if name is not None}

    async def aclose(self) -> None:
        """Close all connections."""
        self.closed = True
        with self._lock:
            self._sessions.clear()
            self._renewed.clear()
        try:
            with anyio.CancelScope(shield=True):
                await self.shared.aclose()
                await self._engine.aclose()
        finally:
            if self._runtime is not None and self._runtime.telemetry.observer is not None:
                self._runtime.telemetry.observer.close()

    def change_rate(self, max_per_second: float | None) -> None:
        """Change the rate limit.

        Raises:
            InvalidInputError: `max_per_second` is neither positive nor None.
            UsageError: the client was entered, and this is not its event loop.
        """
        if self._runtime is not None and not self._affinity.is_here:
            raise UsageError(
                "max_per_second can be set only in the event loop of the client; from another thread, pass "
                'setattr, client, "max_per_second" and the value to loop.call_soon_threadsafe or '
                "anyio.from_thread.run_sync"
            )
        self.limiter.change(max_per_second, self._now())
        if self._runtime is not None:
            self._turns.review()

    def _limit(self, most: int | None) -> None:
        """Record that this machine allows only `most` connections, so that further requests wait; None for no limit."""
        self._turns.cap(most)
        if most is not None:
            if self.local_limit is None:
                LOG.warning("this machine allows no further connection: requests wait for one of the open connections")
            self.local_limit = most

    def stats(self, session: Session | None) -> Stats:
        """The statistics so far, in any thread; `wait` is that of one session.

        Raises:
            UsageError: the client was not entered.
        """
        if self._runtime is None:
            raise UsageError("the client was not entered; use it inside its `async with` block")
        runtime = self._runtime
        availability, telemetry, statuses = runtime.availability, runtime.telemetry, runtime.statuses
        responses, failures = dict(telemetry.responses), dict(telemetry.failures)  # they grow if another thread asks
        return Stats(
            attempts=sum(responses.values()) + sum(failures.values()),
            responses=responses,
            failures=failures,
            retries=telemetry.counts.retries,
            retries_left=availability.budget.left,
            probes=availability.probes + runtime.applications.probes,
            under_way=runtime.turns.taken,
            waiting=runtime.waiting.count,
            bound=min(availability.concurrency.bound, self._turns.capped or self.options.max_connections),
            local_limit=self.local_limit,
            max_connections=availability.concurrency.most,
            max_per_second=self.limiter.max_per_second,
            waiting_for_server=runtime.is_waiting,
            paced=availability.pace.per_second,
            wait=runtime.wait() or (None if session is None else session.wait),
            joined=telemetry.counts.joined,
            cache_entries=0 if statuses is None else len(statuses),
            cache_hits=0 if statuses is None else statuses.hits,
            cache_stale=0 if statuses is None else statuses.stale,
            cache_misses=0 if statuses is None else statuses.misses,
        )

    def check_usable(self) -> None:
        """Check what holds for every thread.

        Raises:
            UsageError: the client is closed, was not entered, or was entered before this process was forked.
        """
        if self.closed:
            raise UsageError("this client is closed")
        if self._runtime is None:
            raise UsageError("the client was not entered; use it inside its `async with` block")
        self._affinity.check_open()

    def check_here(self) -> None:
        """Check that requests may be sent in the running event loop.

        Raises:
            UsageError: the client is closed, was not entered, or belongs to another event loop or process.
        """
        self.check_usable()
        self._affinity.check()

    def session_for(self, auth: Auth | None) -> Session:
        """The session for `auth`: the same one for equal credentials, so that a wrong password is refused once.

        It may be called in any thread. Credentials that are unused for fifteen minutes are forgotten, as are the least
        recently used of more than ten thousand. After a renewal the former credential is valid for another minute, for
        callers that read it before.
        """
        digest, address = self._digest(auth), self.address_for(auth)
        with self._lock:
            while self._renewed and self._renewed[0][0] <= self._now():
                self._sessions.pop(self._renewed.popleft()[1], None)
            entry = self._sessions.get(digest) or _Entry(digest)
            if entry.session is None:
                entry.session = Session(
                    self.runtime,
                    address,
                    auth,
                    self._constant,
                    verify_login=self.options.verify_login,
                    jar=_cookie_jar(self._address.origin) if self.options.cookies else None,
                    on_use=lambda: self._used(entry),
                    on_renewal=lambda: self._renewed_credential(entry, auth),
                )
            self._touch(entry)
            return entry.session

    def _renewed_credential(self, entry: _Entry, auth: Auth | None) -> None:
        """Store the session under its renewed credential, and keep the former one valid for a while."""
        digest = self._digest(auth)
        with self._lock:
            former, entry.digest = entry.digest, digest
            self._renewed = deque(each for each in self._renewed if each[1] != digest)
            if former != digest:
                self._renewed.append((self._now() + _GRACE, former))
            self._touch(entry)

    def _used(self, entry: _Entry) -> None:
        """Record the use of a session."""
        with self._lock:
            self._touch(entry)

    def _touch(self, entry: _Entry) -> None:
        """Make a session the one that was used last, and forget unused ones; for the holder of the lock."""
        sessions, now = self._sessions, self._now()
        entry.used = now
        sessions[entry.digest] = entry
        sessions.move_to_end(entry.digest)
        while len(sessions) > _MOST_SESSIONS or next(iter(sessions.values())).used < now - _IDLE:
            sessions.popitem(last=False)

    def _digest(self, auth: Auth | None) -> bytes:
        """A keyed digest that is equal for equal credentials and does not reveal them."""
        credential = getattr(auth, "credential", None)
        secret = id(auth) if credential is None else credential().reveal()
        text = f"{id(type(auth))} {getattr(auth, 'oauth', False)} {secret}"  # several classes may have one name
        from hashlib import blake2b

        return blake2b(text.encode(errors="surrogatepass"), key=self._key).digest()

    def _make_engine(self, adapted: AnyTransport | AnyClient | None, *, signs_in: bool) -> Engine:
        from aioconnections.transport.limits import LocalLimit  # see `_NEEDED_BY_REQUESTS`
        from aioconnections.transport.pool import LanePool
        from aioconnections.transport.proxies import Proxy, is_loopback, proxy_variable

        local_limit = LocalLimit(self._limit, self.options.max_connections, self.options.clock or LoopClock())
        if adapted is not None:
            from aioconnections.transport.via_httpx import HttpxAdapter  # httpx costs 100 ms to import

            return HttpxAdapter(adapted, local_limit=local_limit)
        origin, options = self._address.origin, self.options
        variable = proxy_variable(origin)
        if variable is not None and not options.trust_env:
            warnings.warn(
                f"{variable} names a proxy, which is not used; pass trust_env=True (--trust-env) to use it",
                stacklevel=4,
            )
        if origin.scheme == "http" and not is_loopback(origin.host) and signs_in:
            warnings.warn("the login is sent unencrypted over http; use an https URL", stacklevel=4)
        if origin.scheme == "http" and options.client_cert is not None:
            warnings.warn("the client certificate is not used over http; use an https URL", stacklevel=4)
        if variable is not None and options.trust_env:
            proxy = Proxy.of(variable, os.environ[variable])
            from aioconnections.transport.via_httpx import HttpxEngine

            return HttpxEngine(
                verify=options.verify, client_cert=options.client_cert, proxy=proxy, local_limit=local_limit
            )
        return LanePool(
            max_connections=options.max_connections,
            verify=options.verify,
            client_cert=options.client_cert,
            clock=options.clock,
            local_limit=local_limit,
        )

    @safe_repr
    def __repr__(self) -> str:
        state = "closed" if self.closed else "open" if self._runtime is not None else "not entered"
        return f"{self._address.origin}, {state}, {self._engine!r}"


def _shared_state(options: ClientOptions) -> SharedState:
    if options.shared is None:
        return InProcess(Limiter(options.max_per_second, options.burst))
    from aioconnections.shared.redis import RedisState
    from aioconnections.shared.settings import RedisShared

    if not isinstance(cast("object", options.shared), RedisShared):
        raise InvalidInputError(f"shared must be a RedisShared or None, got {type(options.shared).__name__}")
    Limiter(options.max_per_second, options.burst)  # refuses invalid values
    return RedisState(options.shared, options.max_per_second, options.burst)


def _cookie_jar(origin: Origin) -> Jar:
    from aioconnections.auth.cookies import Jar  # imports http.cookiejar, and with it urllib.request

    return Jar(origin)


def _is_number(number: object) -> TypeGuard[float]:
    return isinstance(number, int | float) and not isinstance(number, bool)


def _shown(value: object) -> str:
    """A number, or the type of anything else, which may be a secret in the wrong place."""
    return str(value) if _is_number(value) else type(value).__name__


def _is_count(number: object, least: int = 1) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= least


def constant_headers(extra: Mapping[str, str]) -> Headers:
    """The headers of every request, without the login; the caller's headers replace ours.

    Raises:
        InvalidInputError: a header is set by the client itself, or cannot be sent.
    """
    own = {"User-Agent": f"aioconnections/{__version__}", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    if not isinstance(cast("object", extra), Mapping):
        raise InvalidInputError(f"headers must be a mapping of names to values, got {type(extra).__name__}")
    for text in (*extra, *extra.values()):
        if not isinstance(cast("object", text), str):
            raise InvalidInputError(f"the names and values of headers must be text, got {type(text).__name__}")
    given = {name.lower() for name in extra}
    forbidden = given & _RESERVED_HEADERS
    if forbidden:
        raise InvalidInputError(f"headers must not contain {', '.join(sorted(forbidden))}: the client sets them")
    return Headers([*((n, v) for n, v in own.items() if n.lower() not in given), *extra.items()])
