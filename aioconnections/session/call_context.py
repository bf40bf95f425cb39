"""The call or the bulk run that a request belongs to.

A `CallContext` is created for each conversation and passed down to the code that sends its requests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import TypeVar

import anyio

from aioconnections.clock import Clock, Timer
from aioconnections.errors import ConnectionsError, DeadlineError
from aioconnections.session.call_scope import CallScope
from aioconnections.session.parking import Parking
from aioconnections.session.telemetry import Observed

__all__ = ["BeforeSend", "CallContext", "NotMade", "RunScope", "SentCanary", "SharedContext"]

T = TypeVar("T")

BeforeSend = Callable[[int], Awaitable[None]]
"""Awaited before each attempt at a change, with the number of the change within the conversation. If it raises, the
change is not sent: a journal records the intent here (write-ahead)."""

NotMade = Callable[[ConnectionsError], Awaitable[None]]
"""Awaited when a change that was sent was certainly not made, with the reason."""


class RunScope:
    """The part of a bulk run that its requests need: when it ends, and how many of its changes are unsettled.

    Args:
        run_id: identifies the run in the log.
        verb: what the run does, such as ``check_many``.

    Attributes:
        id: identifies the run in the log.
        verb: what the run does.
        retries: number of its requests that repeated an earlier one.
        observed: observes the run; None without telemetry, and before it begins.
        until: no request of the run starts at this time or later.
        ended: the error given to requests that could not start because the run was over; None before the first.
    """

    __slots__ = (
        "_over",
        "_settled",
        "_unsettled",
        "_waiting",
        "_why",
        "ended",
        "id",
        "observed",
        "retries",
        "until",
        "verb",
    )

    def __init__(self, run_id: str, verb: str = "run") -> None:
        self.id: str = run_id
        self.verb: str = verb
        self.retries: int = 0
        self.observed: Observed | None = None
        self.until: float = float("inf")
        self.ended: ConnectionsError | None = None
        self._why: ConnectionsError = DeadlineError("the run has ended", sent="no")
        self._over = False
        self._waiting: set[anyio.CancelScope] = set()
        self._unsettled = 0
        self._settled: anyio.Event | None = None

    @property
    def is_over(self) -> bool:
        """Whether no further request of the run starts."""
        return self._over or self.ended is not None

    def end_at(self, moment: float, why: ConnectionsError) -> None:
        """Start no request from `moment` on; later requests raise `why`."""
        self.until = moment
        self._why = why

    def end(self, now: float, why: ConnectionsError) -> None:
        """Start no request from now on and end all waiting; requests under way continue."""
        if now < self.until:
            self.end_at(now, why)
        self._over = True
        for scope in self._waiting:
            scope.cancel()

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Await `awaitable`, at most until the run ends.

        Raises:
            ConnectionsError: the run ended first; the error says why.
        """
        with anyio.CancelScope() as scope:
            if self._over:
                scope.cancel()
            self._waiting.add(scope)
            try:
                return await awaitable
            finally:
                self._waiting.discard(scope)
        self.ended = self._why
        raise copy(self._why)

    def change_begun(self) -> None:
        """Count an item that is about to send its first change."""
        self._unsettled += 1

    def change_settled(self) -> None:
        """Count an item whose changes have a known and recorded result."""
        self._unsettled -= 1
        if not self._unsettled and self._settled is not None:
            self._settled.set()

    async def until_settled(self) -> None:
        """Wait until every change that was sent is settled."""
        while self._unsettled:
            self._settled = anyio.Event()
            await self._settled.wait()

    def check(self, moment: float) -> None:
        """Raise if a request may not start at `moment`.

        Raises:
            ConnectionsError: the run is over by then; the error says why.
        """
        if moment >= self.until:
            self.ended = self._why
            raise copy(self._why)

    def __repr__(self) -> str:
        return f"RunScope({self.id}, {self._unsettled} unsettled)"


class SentCanary:
    """The requests of one canary.

    Args:
        on_sent: called with the time at which a request is sent; returns the number of that canary.

    Attributes:
        first: number and time of the first request; None before it is sent.
        count: how many requests were sent.
    """

    __slots__ = ("_on_sent", "count", "first")

    def __init__(self, on_sent: Callable[[float], int]) -> None:
        self._on_sent = on_sent
        self.first: tuple[int, float] | None = None
        self.count: int = 0

    def sent(self, moment: float) -> None:
        """Note that a request is sent at `moment`."""
        self.count += 1
        number = self._on_sent(moment)
        if self.first is None:
            self.first = number, moment


class CallContext:
    """Deadline, attempts and waiting time of one conversation; see `Outcome` for the meaning of the figures.

    Args:
        now: gives the current time.
        seconds: how long the conversation may take, without the time in `waited`.
        run: the bulk run; None for a single call, which waits for an unavailable server at most `seconds`.
        call: the single call; None in a run, and for a request that belongs to neither.
        parking: frees the worker while the item waits; None for a single call.
        before_send: see `BeforeSend`.
        not_made: see `NotMade`.
        on_change: called when a change is about to be sent, and once its result is known or will not become known.
        is_proof: whether the request is a canary: it proves the login or probes an application, and its response
            says nothing about the requests that wait for it.
        canary: set for a canary of an application, which does not wait for that application.

    Attributes:
        now: gives the current time.
        attempts: number of requests sent.
        attempts_before: number of requests sent before the present one, which may be sent more than once.
        waited: seconds spent waiting for the server, a slot or the rate limit.
        changes: number of changes that the conversation has requested.
        changed_at: time of the last change that may have been made; None if there is none.
        sent_at: time of the last request.
        has_intent: whether a change was about to be sent, or was sent, and is not settled.
        queued_at: time since which a request has waited for a slot or the rate limit; None if it does not.
        cookie_refused: whether the server refused a cookie, so that the login is tried without cookies.
    """

    __slots__ = (
        "_allowed_from",
        "_before_send",
        "_changed_before",
        "_not_made",
        "_on_change",
        "_seconds",
        "_started",
        "attempts",
        "attempts_before",
        "call",
        "canary",
        "changed_at",
        "changes",
        "cookie_refused",
        "has_intent",
        "is_proof",
        "now",
        "parking",
        "queued_at",
        "run",
        "sent_at",
        "waited",
    )

    def __init__(  # noqa: PLR0913 # one for each thing that a conversation may need of its call or run
        self,
        now: Callable[[], float],
        seconds: float,
        run: RunScope | None = None,
        parking: Parking | None = None,
        *,
        call: CallScope | None = None,
        before_send: BeforeSend | None = None,
        not_made: NotMade | None = None,
        on_change: Callable[[], object] | None = None,
        is_proof: bool = False,
        canary: SentCanary | None = None,
    ) -> None:
        self.now: Callable[[], float] = now
        self._started = self._allowed_from = now()  # the second one without the time in `waited`
        self._seconds = seconds
        self._before_send = before_send
        self._not_made = not_made
        self._on_change = on_change
        self._changed_before: float | None = None
        self.run: RunScope | None = run
        self.call: CallScope | None = call
        self.parking: Parking | None = parking
        self.is_proof: bool = is_proof
        self.canary: SentCanary | None = canary
        self.attempts: int = 0
        self.attempts_before: int = 0
        self.waited: float = 0.0
        self.changes: int = 0
        self.changed_at: float | None = None
        self.sent_at: float = float("-inf")
        self.has_intent: bool = False
        self.queued_at: float | None = None
        self.cookie_refused: bool = False

    def restart(self, moment: float, *, attempts: int) -> None:
        """Begin another conversation at `moment`, in place of one that has ended.

        Args:
            moment: its start.
            attempts: 1 if its first request is sent at that time, else 0.
        """
        self._started = self._allowed_from = self.sent_at = moment
        self.attempts = attempts
        self.waited = 0.0

    def extend(self) -> None:
        """Restart the time allowed for the conversation: each page of a listing may take as long as one item."""
        self._allowed_from = self.now() - self.waited

    @property
    def elapsed(self) -> float:
        """Seconds since the start, without those in `waited`."""
        return self.now() - self._started - self.waited

    @property
    def lasted(self) -> float:
        """Seconds since the start."""
        return self.now() - self._started

    def seconds_left(self, moment: float) -> float:
        """Seconds from `moment` to the deadline of the conversation; negative after it."""
        left = self._allowed_from + self.waited + self._seconds - moment
        return left if self.call is None else min(left, self.call.until - moment)

    def check(self, moment: float) -> float:
        """The seconds that a request starting at `moment` may take.

        Raises:
            DeadlineError: the deadline of the conversation has passed.
            ConnectionsError: the run is over; the error says why.
        """
        seconds = self._allowed_from + self.waited + self._seconds - moment
        if seconds <= 0:
            raise DeadlineError(f"not done within the item timeout of {self._seconds:g} s", sent="no")
        if self.run is not None and moment >= self.run.until:
            self.run.check(moment)
        if self.call is not None:
            self.call.check(moment)
            seconds = min(seconds, self.call.until - moment)
        return seconds

    async def send_change(self, moment: float) -> None:
        """Record that a change is about to be sent at `moment`.

        Raises:
            ConnectionsError: the change must not be sent.
        """
        run = self.run
        if run is not None and not self.has_intent:
            run.change_begun()
        self.has_intent = True
        if self._before_send is not None:
            await self._before_send(self.changes)
            moment = self.now()
            if run is not None:
                run.check(moment)  # the run may have ended during the wait
        if self._on_change is not None:
            self._on_change()
        self._changed_before, self.changed_at = self.changed_at, moment

    async def change_not_made(self, reason: ConnectionsError) -> None:
        """Record that the last change was certainly not made."""
        self.changed_at = self._changed_before
        if self._not_made is not None:
            await self._not_made(reason)
        self.settle()

    def settle(self) -> None:
        """Record that the changes have a known result, or that their result will not become known."""
        if not self.has_intent:
            return
        self.has_intent = False
        if self._on_change is not None:
            self._on_change()
        if self.run is not None:
            self.run.change_settled()

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Await `awaitable`, at most until the end of the run, or the deadline of the call.

        Raises:
            ConnectionsError: the run ended first, or the deadline has passed; the error says which.
        """
        if self.run is not None:
            return await self.run.wait(awaitable)
        return await (awaitable if self.call is None else self.call.wait(awaitable))

    def queued(self) -> AbstractContextManager[None]:
        """A block in which a single call waits before its next request; see `CallScope.queued`."""
        return nullcontext() if self.call is None else self.call.queued()

    def limited(self, exchange: Awaitable[T]) -> Awaitable[T]:
        """The `exchange` of one attempt, which ends at the deadline of the conversation if that may be put off."""
        return exchange

    def parked(self) -> AbstractContextManager[None]:
        """A block for a long wait: in a run, the worker continues with other items meanwhile."""
        return nullcontext() if self.parking is None else self.parking()

    def since_change(self) -> float | None:
        """Seconds since the last change that may have been made; None if there is none."""
        return None if self.changed_at is None else self.now() - self.changed_at

    def __repr__(self) -> str:
        return f"CallContext({self.attempts} attempts, {self.changes} changes)"


class SharedContext(CallContext):
    """The context of a conversation for several callers, which ends at the deadline of the latest one.

    An attempt is not cut short for the first caller: `limited` ends it at the deadline that holds by then.

    Args:
        clock: gives the time, and timers.
        now: gives the current time.
        seconds: how long a caller waits, without the time in `waited`.
        attempt_timeout: limit for one attempt.
        call: counts the conversation among the calls that wait.
    """

    __slots__ = ("_attempt_timeout", "_clock", "_timer", "_until")

    def __init__(
        self, clock: Clock, now: Callable[[], float], seconds: float, attempt_timeout: float, call: CallScope
    ) -> None:
        super().__init__(now, seconds, call=call)
        self._clock = clock
        self._attempt_timeout = attempt_timeout
        self._timer: Timer | None = None
        self._until = float("-inf")  # the latest deadline of a caller's own

    @property
    def allowed_from(self) -> float:
        """When the time of the latest caller began, minus the time in `waited` until then."""
        return self._allowed_from

    def join(self) -> float:
        """Let one more caller wait; returns its `allowed_from`."""
        moment = self.now()
        self._allowed_from = moment - self._waited_until(moment)
        return self._allowed_from

    def reach(self, until: float) -> None:
        """Let a caller with a deadline of its own wait."""
        self._until = max(self._until, until)

    def seconds_left(self, moment: float) -> float:
        """See `CallContext`."""
        return max(super().seconds_left(moment), self._until - moment)

    def left_for(self, allowed_from: float, moment: float) -> float:
        """Seconds from `moment` to the deadline of a caller."""
        return allowed_from + self._waited_until(moment) + self._seconds - moment

    def _waited_until(self, moment: float) -> float:
        return self.waited + (0.0 if self.queued_at is None else moment - self.queued_at)

    def check(self, moment: float) -> float:
        """See `CallContext`; an attempt may take any time here."""
        if self._until <= moment:
            super().check(moment)
        return float("inf")

    def limited(self, exchange: Awaitable[T]) -> Awaitable[T]:
        """See `CallContext`."""
        return exchange if self.seconds_left(self.now()) >= self._attempt_timeout else self._until_deadline(exchange)

    async def _until_deadline(self, exchange: Awaitable[T]) -> T:
        began = self.now()
        with anyio.CancelScope() as scope:
            self._watch(scope)
            try:
                return await exchange
            finally:
                if self._timer is not None:
                    self._timer.cancel()
        raise DeadlineError(f"no complete response within {self.now() - began:.3g} s", sent="maybe")

    def _watch(self, scope: anyio.CancelScope) -> None:
        """Cancel `scope` at the deadline, which may be put off until then."""
        moment = self.now()
        left = self.seconds_left(moment)
        if left <= 0:
            scope.cancel()
        else:
            self._timer = self._clock.call_at(moment + left, lambda: self._watch(scope))
