"""The pool of lanes: opens them on demand, lends them, takes them back, and closes them after some idle time.

Nothing queues here: the caller bounds the number of concurrent requests. A request takes the idle lane of its origin
that was used last, or opens one. Every request, even a cancelled one, ends with `Lane.release` if the response is
complete, and with `Lane.drop` otherwise.
"""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import AsyncGenerator

from anyio import to_thread

from aioconnections.clock import Clock, LoopClock
from aioconnections.errors import (
    ConnectFailedError,
    DeadlineError,
    InvalidInputError,
    LocalLimitError,
    ProtocolError,
)
from aioconnections.protocol.messages import Headers, Origin, Request, Response
from aioconnections.transport import RequestChain
from aioconnections.transport.affinity import LoopAffinity
from aioconnections.transport.chain import LaneChain
from aioconnections.transport.connect import NOT_CONNECTED_IN_TIME, open_wire
from aioconnections.transport.http1 import LARGEST_BODY, MalformedResponseError, ResponseReader
from aioconnections.transport.lane import DeadlineTimer, Lane, LaneStream, OriginPool, TimedWait, malformed
from aioconnections.transport.limits import LocalLimit
from aioconnections.transport.socketwire import Outbox
from aioconnections.transport.tls import ClientCert, Trust, Verify
from aioconnections.transport.wire import UNSOLICITED, Wire

__all__ = ["IDLE_SECONDS", "LanePool"]

IDLE_SECONDS = 8.0  # how long an idle lane is kept; servers close theirs after 10 s and more

_MAX_ORIGINS = 1000
_OPEN_STATES = frozenset({"opening", "lent"})
_CLOSED_MEANWHILE = "the client was closed while the connection was being established"


class LanePool:
    """An `Engine` over its own kept-alive HTTP/1.1 connections.

    No response is given to the wrong request: any data beyond a response closes the connection. If a used connection
    turns out to be closed, a new one replaces it. If that is noticed only after data was sent, the request fails with a
    `ProtocolError` whose `reused` is True. The caller decides whether to repeat it, with `fresh` set so that it gets a
    new connection.

    Not thread-safe, and bound to the event loop and the process that used it first.

    Args:
        max_connections: how many connections are kept open; more are opened only if more requests run at once.
        verify: True for the system's trust store, the path of certificates to trust, a context, or False for no
            verification at all, which warns.
        client_cert: the files of the certificate of the client and of its key, for a server that demands one.
        clock: source of time.
        max_body: largest decoded body in bytes; a larger one is a `ProtocolError`.
        local_limit: tracks how many connections this machine allows. A request that gets none fails with a
            `LocalLimitError`, and may be repeated when one of the open connections is free.
        owner: what error messages call the owner.

    Attributes:
        opened: how many connections were opened so far.
    """

    def __init__(
        self,
        *,
        max_connections: int = 16,
        verify: Verify = True,
        client_cert: ClientCert | None = None,
        clock: Clock | None = None,
        max_body: int = LARGEST_BODY,
        local_limit: LocalLimit | None = None,
        owner: str = "client",
    ) -> None:
        self._affinity = LoopAffinity(owner)
        clock = LoopClock() if clock is None else clock
        self.timer: DeadlineTimer = DeadlineTimer(clock)
        self._local_limit = local_limit or LocalLimit(lambda _: None, max_connections, clock)
        self.opened: int = 0
        self._max_connections = max_connections
        self._max_body = max_body
        self._trust = Trust(verify, client_cert)
        self._outbox = Outbox()
        self._origin_pools: dict[Origin, OriginPool] = {}
        self._latest_pool: OriginPool | None = None

    # --- engine ---

    async def exchange(
        self,
        origin: Origin,
        request: Request,
        common: Headers,
        timeout: float,
        chain: RequestChain | None = None,
    ) -> Response:
        """See `Engine.exchange`.

        Raises:
            TransportError: there is no complete response.
            UsageError: closed, or used from a second event loop or process.
        """
        pool, affinity = self._latest_pool, self._affinity
        if pool is None or pool.origin is not origin or affinity.current_loop() is not affinity.bound_loop:
            pool = self.origin_pool(origin)
        payload = pool.payload(request, common)
        links = None if chain is None else LaneChain(chain, pool, common, self.timer, timeout, self._max_body)
        lane = await self._send(pool, request, payload, timeout, links=links)
        if links is not None and links.failure is not None:
            lane.drop()
            raise links.failure
        reader = lane.reader
        lane.release(IDLE_SECONDS)
        if reader.empty_response is not None:
            return reader.empty_response
        try:
            return reader.response()
        except MalformedResponseError as error:
            failure = malformed(str(error), reader.status)
        raise failure

    @contextlib.asynccontextmanager
    async def stream(
        self, origin: Origin, request: Request, common: Headers, timeout: float
    ) -> AsyncGenerator[LaneStream]:
        """See `Engine.stream`.

        Raises:
            TransportError: there is no response.
            UsageError: closed, or used from a second event loop or process.
        """
        pool = self.origin_pool(origin)
        payload = pool.payload(request, common)
        lane = await self._send(pool, request, payload, timeout, whole=False)
        stream = LaneStream(lane, self.timer, timeout, self._max_body)
        try:
            yield stream
        finally:
            stream.close()
            lane.release(IDLE_SECONDS)

    async def aclose(self) -> None:
        """Close every connection; running requests fail. Further calls do nothing.

        It may be called in any event loop, also after that of the first use has ended. In a process that was forked
        after the first use it leaves the connections to the parent.
        """
        affinity = self._affinity
        if affinity.closed:
            return
        home = None if affinity.is_here else affinity.home
        affinity.close()
        if affinity.forked:
            return
        if home is None:
            await self._close_all()
        elif not await to_thread.run_sync(home.call, self._close_all):
            self._local_limit.close()
            self._abandon()

    async def _close_all(self) -> None:
        self._local_limit.close()
        self.timer.stop()
        entries = list(self.timer.entries)
        for entry in entries:
            entry.drop()
        for entry in entries:
            await entry.closed()

    def _abandon(self) -> None:
        """Close every connection without waiting; the event loop may have ended."""
        self.timer.stop()
        for entry in list(self.timer.entries):
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                entry.drop()

    def __repr__(self) -> str:
        states = Counter(entry.state for entry in list(self.timer.entries))  # another thread may ask
        counts = ", ".join(f"{states[state]} {state}" for state in ("opening", "lent", "idle"))
        return f"<LanePool: {'closed' if self._affinity.closed else counts}>"

    def __del__(self) -> None:
        # the attribute is missing if the constructor was interrupted
        if hasattr(self, "timer") and self.timer.entries and not self._affinity.forked:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=1)
            self._abandon()

    # --- for LaneTransport too ---

    def origin_pool(self, origin: Origin) -> OriginPool:
        """The pool of `origin`, for a request that starts now.

        Raises:
            UsageError: closed, or used from a second event loop or process.
        """
        affinity = self._affinity
        if affinity.current_loop() is not affinity.bound_loop:
            affinity.check()
            self.timer.bind()
        pool = self._latest_pool
        if pool is None or pool.origin is not origin:
            pool = self._latest_pool = self._origin_pools.get(origin) or self._new_origin_pool(origin)
        return pool

    async def connect(self, pool: OriginPool, deadline: float, *, reuse: bool = False) -> Lane:
        """A new lane of `pool`. With `reuse`, an idle one if this machine allows no further connection.

        Raises:
            ConnectFailedError: the connection was not established.
            CertificateError: the server's certificate was refused, or the server refused or misses that of the client.
            DeadlineError: it took too long.
            LocalLimitError: this machine allows no further connection, and no open one is idle.
        """
        self._make_room()
        while True:
            try:
                lane = await self._open(pool, deadline)
            except LocalLimitError as error:
                limit_error = error.with_traceback(None)
            else:
                self._local_limit.has_opened = True
                self.opened += 1
                return lane
            if reuse and (idle := pool.lend(self.timer.now())) is not None:
                return idle
            if not await self._close_one_idle():
                self._local_limit.reached(sum(entry.state in _OPEN_STATES for entry in self.timer.entries))
                raise limit_error

    # --- internal ---

    async def _open(self, pool: OriginPool, deadline: float) -> Lane:
        context = self._trust.context() if pool.origin.scheme == "https" else None
        wire: Wire | None = None
        try:
            with TimedWait(self.timer, "opening", deadline):
                wire = await open_wire(pool.origin, context, self._outbox)
        except BaseException:
            if wire is not None:
                wire.abort()
            raise
        if wire is not None:
            return self._checked(wire, pool)
        if self._affinity.closed:
            raise ConnectFailedError(_CLOSED_MEANWHILE)
        raise DeadlineError(NOT_CONNECTED_IN_TIME, sent="no")

    async def _send(
        self,
        pool: OriginPool,
        request: Request,
        payload: bytes,
        timeout: float,
        *,
        whole: bool = True,
        links: LaneChain | None = None,
    ) -> Lane:
        """The lane of the sent request, once the response is complete; with ``whole=False``, once its head is."""
        timer = self.timer
        now = timer.now()
        deadline = now + timeout
        reuse = not request.fresh
        lane = (pool.lend(now) if reuse else None) or await self.connect(pool, deadline, reuse=reuse)
        while True:
            lane.deadline = deadline
            if deadline < timer.fires_at:
                timer.arm(deadline)
            reader = lane.reader = ResponseReader(request.method, limit=self._max_body, whole=whole)
            try:
                if links is None:
                    await lane.wire.request(reader, payload)
                else:
                    await lane.wire.request(reader, payload, links.use(lane))
                    reader = lane.reader
                    deadline, payload = links.deadline or deadline, links.payload or payload
            except BaseException:
                lane.drop()
                raise
            if reader.failure is None:
                return lane
            failure = lane.failure(timeout)
            lane.drop()
            if not lane.used or not isinstance(failure, ProtocolError) or self._affinity.closed:
                raise failure
            if failure.sent == "maybe":
                failure.reused = True
                raise failure
            lane = await self.connect(pool, deadline)

    def _checked(self, wire: Wire, pool: OriginPool) -> Lane:
        # TLS data may be part of the handshake; HTTP data would be taken for the first response
        if wire.lost or (pool.origin.scheme == "http" and not wire.quiet()):
            wire.abort()
            raise wire.refusal or ConnectFailedError(UNSOLICITED)
        if self._affinity.closed:
            wire.abort()
            raise ConnectFailedError(_CLOSED_MEANWHILE)
        return Lane(wire, pool, self.timer)

    async def _close_one_idle(self) -> bool:
        """Wait until an idle lane has freed its descriptor; False if there is none."""
        entries = self.timer.entries
        closing = next((entry for entry in entries if entry.state == "dropped"), None)
        closing = closing or next((pool.idle[0] for pool in self._origin_pools.values() if pool.idle), None)
        if closing is None:
            return False
        closing.drop()
        await closing.closed()
        return True

    def _make_room(self) -> None:
        """If `max_connections` are open, close the longest idle lane of one origin pool."""
        if len(self.timer.entries) >= self._max_connections:
            idle = next((pool.idle for pool in self._origin_pools.values() if pool.idle), None)
            if idle:
                idle[0].drop()

    def _new_origin_pool(self, origin: Origin) -> OriginPool:
        if origin.scheme not in {"http", "https"}:
            raise InvalidInputError(f"the scheme of the URL must be http or https, got {origin.scheme}")
        if len(self._origin_pools) >= _MAX_ORIGINS:
            self._origin_pools = {known: pool for known, pool in self._origin_pools.items() if pool.idle}
        pool = self._origin_pools[origin] = OriginPool(origin)
        return pool
