"""The pool of lanes: lent, returned, opened when first needed, closed when idle too long.

Nothing queues here. Whoever calls bounds how many requests are under way, so a request takes an idle lane of its
origin, the one used last, or opens one. Every way out of a request, being cancelled included, passes one of two
doors: `Lane.release`, when the answer is complete, and `Lane.drop`, in all other cases.
"""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import AsyncGenerator

from aioconnections.clock import Clock, LoopClock
from aioconnections.errors import (
    ConnectFailedError,
    DeadlineError,
    InvalidInputError,
    LocalLimitError,
    ProtocolError,
)
from aioconnections.protocol.messages import Headers, Origin, Request, Response
from aioconnections.transport.affinity import LoopAffinity
from aioconnections.transport.connect import open_wire
from aioconnections.transport.http1 import Answer, BadAnswerError
from aioconnections.transport.lane import Lane, OriginPool, Waiting, Watch, malformed
from aioconnections.transport.limits import Ceiling
from aioconnections.transport.socketwire import Outbox
from aioconnections.transport.streaming import LaneStream
from aioconnections.transport.tls import Trust, Verify
from aioconnections.transport.wire import Wire

__all__ = ["Lanes"]

REST = 8.0  # seconds that an idle lane is kept; servers close theirs after 10 and more
LARGEST_BODY = 64 * 1024 * 1024
_MOST_ORIGINS = 1000
_OPEN = frozenset({"opening", "lent"})


class Lanes:
    """An `Engine` over kept-alive HTTP/1.1 connections of its own.

    It gives no answer to the wrong request: whatever a server sends beyond an answer closes the connection. Where a
    connection that was used before turns out to be closed, a fresh one takes its place. If that is found only after
    something was sent, the request fails with a `ProtocolError` that says so, `reused`: whether it may be repeated, as
    a request that wants a `fresh` connection, is not decided here.

    Not thread-safe, and bound to the event loop and the process that used it first.

    Args:
        max_connections: how many connections are kept open; more are opened only if more requests are under way.
        verify: True for the system's trust store, a path of certificates to trust, a context, or False for no
            verification at all, which gives a warning.
        clock: where time comes from.
        max_body: bytes that a body may have, decoded; a longer one is a `ProtocolError`.
        ceiling: learns how many connections this machine allows. A request that finds none fails with a
            `LocalLimitError`, and may be made again when one of those that are open is free.
    """

    def __init__(
        self,
        *,
        max_connections: int = 16,
        verify: Verify = True,
        clock: Clock | None = None,
        max_body: int = LARGEST_BODY,
        ceiling: Ceiling | None = None,
    ) -> None:
        self._home = LoopAffinity()
        clock = LoopClock() if clock is None else clock
        self.watch: Watch = Watch(clock)
        self._ceiling = ceiling or Ceiling(lambda _: None, max_connections, clock)
        self._max_connections = max_connections
        self._max_body = max_body
        self._trust = Trust(verify)
        self._outbox = Outbox()
        self._origin_pools: dict[Origin, OriginPool] = {}
        self._pool: OriginPool | None = None

    # --- the seam ---

    async def exchange(self, origin: Origin, request: Request, common: Headers, timeout: float) -> Response:
        """See `Engine.exchange`.

        Raises:
            TransportError: there is no complete answer.
            UsageError: closed, or used from a second event loop or process.
        """
        pool = self.enter(origin)
        payload = pool.payload(request, common)
        lane = await self._ask(pool, request, payload, timeout)
        answer = lane.answer
        lane.release(REST)
        try:
            return answer.response()
        except BadAnswerError as error:
            failure = malformed(str(error), answer.status)
        raise failure

    @contextlib.asynccontextmanager
    async def stream(
        self, origin: Origin, request: Request, common: Headers, timeout: float
    ) -> AsyncGenerator[LaneStream]:
        """See `Engine.stream`.

        Raises:
            TransportError: there is no answer.
            UsageError: closed, or used from a second event loop or process.
        """
        pool = self.enter(origin)
        payload = pool.payload(request, common)
        lane = await self._ask(pool, request, payload, timeout, whole=False)
        stream = LaneStream(lane, self.watch, self._max_body)
        try:
            yield stream
        finally:
            stream.close()
            lane.release(REST)

    async def aclose(self) -> None:
        """Close every connection; what is under way fails. Calling it again does nothing.

        Raises:
            UsageError: called from another event loop or process than the lanes were used from.
        """
        if self._home.closed:
            return
        self._home.admit()
        self._home.close()
        self._ceiling.close()
        self.watch.stop()
        entries = list(self.watch.entries)
        for entry in entries:
            entry.drop()
        for entry in entries:
            await entry.closed()

    def __repr__(self) -> str:
        states = Counter(entry.state for entry in self.watch.entries)
        shown = ", ".join(f"{states[state]} {state}" for state in ("opening", "lent", "idle"))
        return f"<Lanes: {'closed' if self._home.closed else shown}>"

    def __del__(self) -> None:
        # a constructor that was interrupted leaves nothing behind that would have to be told of
        if hasattr(self, "watch") and self.watch.entries and not self._home.forked:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=1)
            self.watch.stop()
            for entry in list(self.watch.entries):
                with contextlib.suppress(RuntimeError):  # the event loop is gone
                    entry.drop()

    # --- what LaneTransport builds on too ---

    def enter(self, origin: Origin) -> OriginPool:
        """The pool of `origin`, for a request that begins here and now.

        Raises:
            UsageError: closed, or used from a second event loop or process.
        """
        home = self._home
        if home.where() is not home.here:
            home.admit()
            self.watch.settle()
        pool = self._pool
        if pool is None or pool.origin is not origin:
            pool = self._pool = self._origin_pools.get(origin) or self._new_origin_pool(origin)
        return pool

    async def connect(self, pool: OriginPool, deadline: float, *, reuse: bool = False) -> Lane:
        """A new lane to `pool`; with `reuse` one that is idle by then, where this machine allows no further one.

        Raises:
            ConnectFailedError: it did not come about.
            CertificateError: the server's certificate was not accepted.
            DeadlineError: it took too long.
            LocalLimitError: this machine allows no further connection, and none that is open is idle.
        """
        self._make_room()
        while True:
            try:
                lane = await self._open(pool, deadline)
            except LocalLimitError as error:
                limit = error.with_traceback(None)
            else:
                self._ceiling.has_opened = True
                return lane
            if reuse and (idle := pool.lend(self.watch.now())) is not None:
                return idle
            if not await self._give_up_one():
                self._ceiling.reached(sum(entry.state in _OPEN for entry in self.watch.entries))
                raise limit

    # --- inside ---

    async def _open(self, pool: OriginPool, deadline: float) -> Lane:
        context = self._trust.context() if pool.origin.scheme == "https" else None
        wire: Wire | None = None
        try:
            with Waiting(self.watch, "opening", deadline):
                wire = await open_wire(pool.origin, context, self._outbox)
        except BaseException:
            if wire is not None:
                wire.abort()
            raise
        if wire is not None:
            return self._checked(wire, pool)
        if self._home.closed:
            raise ConnectFailedError("the client was closed meanwhile")
        raise DeadlineError("no connection came about before its time was over", sent="no")

    async def _ask(
        self, pool: OriginPool, request: Request, payload: bytes, timeout: float, *, whole: bool = True
    ) -> Lane:
        """A lane on which the request was answered: completely, or with ``whole=False`` at least with a head."""
        watch = self.watch
        now = watch.now()
        deadline = now + timeout
        reuse = not request.fresh
        lane = (pool.lend(now) if reuse else None) or await self.connect(pool, deadline, reuse=reuse)
        while True:
            lane.deadline = deadline
            if deadline < watch.at:
                watch.arm(deadline)
            answer = lane.answer = Answer(request.method, limit=self._max_body, whole=whole)
            try:
                await lane.wire.ask(answer, payload)
            except BaseException:
                lane.drop()
                raise
            if answer.failure is None:
                return lane
            failure = lane.failure()
            lane.drop()
            if not lane.used or not isinstance(failure, ProtocolError) or self._home.closed:
                raise failure
            if failure.sent == "maybe":
                failure.reused = True
                raise failure
            lane = await self.connect(pool, deadline)

    def _checked(self, wire: Wire, pool: OriginPool) -> Lane:
        # TLS has things to say unasked; what HTTP says unasked would be taken for the first answer
        if wire.lost or (pool.origin.scheme == "http" and not wire.quiet()):
            wire.abort()
            raise ConnectFailedError("the server spoke, or hung up, before it was asked")
        if self._home.closed:
            wire.abort()
            raise ConnectFailedError("the client was closed meanwhile")
        return Lane(wire, pool, self.watch)

    async def _give_up_one(self) -> bool:
        """Wait until an idle lane has given its descriptor back; False if there is none."""
        entries = self.watch.entries
        closing = next((entry for entry in entries if entry.state == "dropped"), None)
        closing = closing or next((pool.idle[0] for pool in self._origin_pools.values() if pool.idle), None)
        if closing is None:
            return False
        closing.drop()
        await closing.closed()
        return True

    def _make_room(self) -> None:
        """Close the idle lane that has waited longest at some pool, if there are enough connections."""
        if len(self.watch.entries) >= self._max_connections:
            resting = next((pool.idle for pool in self._origin_pools.values() if pool.idle), None)
            if resting:
                resting[0].drop()

    def _new_origin_pool(self, origin: Origin) -> OriginPool:
        if origin.scheme not in {"http", "https"}:
            raise InvalidInputError("lanes lead to http and https alone")
        if len(self._origin_pools) >= _MOST_ORIGINS:
            self._origin_pools = {known: pool for known, pool in self._origin_pools.items() if pool.idle}
        pool = self._origin_pools[origin] = OriginPool(origin)
        return pool
