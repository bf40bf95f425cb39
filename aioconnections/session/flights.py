"""Single-flight: a question that is under way already is not sent again.

Each question runs in a task of its own, the *flight*, so that no caller depends on another one. A caller that is
cancelled, or whose own deadline has passed, leaves the flight, and the last one that leaves cancels it and waits until
it has ended: a flight never outlives its callers, so it needs no other owner. `Client` has no task group, because it
may be entered and left in different tasks, such as those of test fixtures.

A flight cannot be joined after a change that may have made its response outdated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from contextlib import suppress
from contextvars import copy_context
from copy import copy
from functools import partial
from typing import Any, Generic, TypeVar, cast

import anyio

from aioconnections.clock import Timer, is_cancelled, on_asyncio
from aioconnections.errors import ConnectionsError, DeadlineError, ServerUnavailableError
from aioconnections.protocol.messages import Flow
from aioconnections.records import Identity
from aioconnections.session.call_context import CallContext, SharedContext
from aioconnections.session.call_scope import CallScope, away
from aioconnections.session.runtime import Runtime

__all__ = ["Flights"]

R = TypeVar("R")

_TICK = 0.05  # seconds between looks at a deadline that moves because a request is queued


class Flights:
    """The questions of one signed-in user that are under way.

    Args:
        runtime: shared by all users of the client.
        begin_call: proves the login if that is due, and gives the context of a call.
        new_call: gives a new call without a deadline.
        converse: holds a conversation.
    """

    def __init__(
        self,
        runtime: Runtime,
        begin_call: Callable[[CallScope], Awaitable[CallContext]],
        new_call: Callable[[], CallScope],
        converse: Callable[[Flow[Any], CallContext], Awaitable[Any]],
    ) -> None:
        self._runtime = runtime
        self._begin_call = begin_call
        self._new_call = new_call
        self._converse = converse
        self._under_way: dict[Hashable, _Flight[Any]] = {}

    async def ask(
        self,
        question: Hashable,
        people: Iterable[Identity] | None,
        begin: Callable[[], Flow[R]],
        call: CallScope,
        landed: Callable[[R, CallContext, int], object] | None = None,
    ) -> tuple[R, CallContext]:
        """The result of a question, and the context of its conversation, which may serve several callers.

        Args:
            question: what is asked.
            people: whose connections the result depends on; None if that is not known.
            begin: begins the conversation.
            call: the call of this caller, which bounds its own wait.
            landed: called once with the result, the context, and `Changes.count` at the start of the conversation.

        Raises:
            ConnectionsError: there is no result, or not in time for this caller.
        """
        runtime, flight = self._runtime, self._under_way.get(question)
        if flight is None or not runtime.changes.unchanged(people, flight.since):
            flight = self._under_way[question] = _Flight[R](runtime, self._new_call())
            caller = flight.board(call)  # before the start: an eager task may end at once
            flight.start(partial(self._fly, question, flight, begin, landed), partial(self._ended, question, flight))
        else:
            runtime.telemetry.counts.joined += 1
            caller = flight.board(call)
        too_late: ConnectionsError | None = None
        try:
            await call.wait(caller.woken.wait())
        except DeadlineError as late:
            too_late = flight.late(late)
        except BaseException as error:
            await self._leave(question, flight, caller, waits=not isinstance(error, GeneratorExit))
            raise
        await self._leave(question, flight, caller)
        if too_late is not None:
            raise too_late
        failure, caller.failure = caller.failure, None
        try:
            if failure is not None:
                raise failure
        finally:
            del failure
        if flight.has_landed and flight.context is not None:
            return flight.result, flight.context
        context = await self._begin_call(call)  # other code has cancelled the task of the flight
        return await self._converse(begin(), context), context

    async def _leave(self, question: Hashable, flight: _Flight[Any], caller: _Caller, *, waits: bool = True) -> None:
        """Let a caller leave its flight. The last one cancels the flight, and waits for its end."""
        if flight.leave(caller) or flight.ended.is_set():
            return
        self._forget(question, flight)
        if not waits:  # the coroutine of the caller is closed, perhaps after its event loop
            with suppress(RuntimeError):
                flight.scope.cancel()
            return
        flight.scope.cancel()
        with anyio.CancelScope(shield=True):
            await flight.ended.wait()

    async def _fly(
        self,
        question: Hashable,
        flight: _Flight[R],
        begin: Callable[[], Flow[R]],
        landed: Callable[[R, CallContext, int], object] | None,
    ) -> None:
        """The task of a flight. It raises nothing but its own cancellation."""
        failure: BaseException | None = None
        try:
            with flight.scope:
                _ = await self._begin_call(flight.call)
                context = flight.depart()
                result = cast("R", await self._converse(begin(), context))
                if landed is not None:
                    landed(result, context, flight.since)
                flight.land(result)
        except BaseException as error:  # each caller raises it
            if isinstance(error, anyio.get_cancelled_exc_class()) and is_cancelled():
                raise
            failure = error
        finally:
            self._forget(question, flight)
            flight.end(failure)
            del failure

    def _ended(self, question: Hashable, flight: _Flight[Any]) -> None:
        """Wake the callers if the task has ended without a step, because it was cancelled before the first one."""
        if not flight.ended.is_set():
            self._forget(question, flight)
            flight.end(None)

    def _forget(self, question: Hashable, flight: _Flight[Any]) -> None:
        if self._under_way.get(question) is flight:
            del self._under_way[question]

    def __repr__(self) -> str:
        return f"Flights({len(self._under_way)} under way)"


class _Caller:
    """A caller that waits for a flight; its own deadline `until`, if it has one, takes the place of the usual one."""

    __slots__ = ("allowed_from", "failure", "until", "woken")

    def __init__(self, until: float | None) -> None:
        self.until: float | None = until
        self.allowed_from: float = 0.0  # see `SharedContext`
        self.failure: BaseException | None = None
        self.woken: anyio.Event = anyio.Event()

    def fail(self, failure: BaseException | None) -> None:
        """Wake the caller; it raises `failure`."""
        self.failure = failure
        self.woken.set()


class _Flight(Generic[R]):
    """A question under way, and its callers.

    Attributes:
        since: `Changes.count` at its start.
        call: counts the flight among the calls that wait.
        callers: the callers that wait without a deadline of their own, in the order of their usual ones.
        hurried: the other callers.
        context: context of the conversation; None before it has begun.
        result: the result, if `has_landed`.
        ended: set when the task has ended.
        scope: cancels the task.
    """

    result: R

    def __init__(self, runtime: Runtime, call: CallScope) -> None:
        self.since: int = runtime.changes.count
        self.call = call
        self.callers: list[_Caller] = []
        self.hurried: dict[_Caller, None] = {}
        self.context: SharedContext | None = None
        self.has_landed: bool = False
        self.ended: anyio.Event = anyio.Event()
        self.scope: anyio.CancelScope = anyio.CancelScope()
        self._runtime = runtime
        self._timer: Timer | None = None
        self._task: object = None
        self._is_mixed = False  # whether a caller had a deadline of its own, so that the usual ones need timers

    def start(self, run: Callable[[], Coroutine[Any, Any, None]], ended: Callable[[], object]) -> None:
        """Start the task, which has no parent that could cancel it; on asyncio, `ended` is called after its end.

        It runs in a copy of the context of this caller, the first one.
        """
        if on_asyncio():
            task = self._task = asyncio.get_running_loop().create_task(run())  # the event loop holds it only weakly
            task.add_done_callback(lambda _: ended())
            return
        import trio

        trio.lowlevel.spawn_system_task(run, context=copy_context())

    def board(self, call: CallScope) -> _Caller:
        """Add a caller."""
        caller = _Caller(None if call.timeout is None else call.until)
        if caller.until is not None:
            self.hurried[caller] = None
            self._is_mixed = True
            if self.context is not None:
                self.context.reach(caller.until)
            self._review_unless_timed()
            return caller
        if self.context is not None:
            caller.allowed_from = self.context.join()
        self.callers.append(caller)
        self._review_unless_timed()
        return caller

    def leave(self, caller: _Caller) -> bool:
        """Remove a caller; returns whether others are left."""
        if caller in self.callers:
            self.callers.remove(caller)
        self.hurried.pop(caller, None)
        return bool(self.callers or self.hurried)

    def depart(self) -> SharedContext:
        """Begin the conversation: the time of the callers so far begins too."""
        runtime = self._runtime
        self.context = SharedContext(
            runtime.clock, runtime.now, runtime.item_timeout, runtime.attempt_timeout, self.call
        )
        for caller in self.callers:
            caller.allowed_from = self.context.allowed_from
        for caller in self.hurried:
            if caller.until is not None:
                self.context.reach(caller.until)
        self._review_unless_timed()
        return self.context

    def late(self, late: DeadlineError) -> ConnectionsError:
        """The error for a caller whose own deadline has passed."""
        if self._runtime.is_waiting:
            return away(late)
        sent = self.context is not None and self.context.attempts > 0
        return DeadlineError(str(late), sent="maybe" if sent else "no")

    def land(self, result: R) -> None:
        """Keep the result."""
        self.result = result
        self.has_landed = True

    def end(self, failure: BaseException | None) -> None:
        """Wake all callers; each gets an exception object of its own."""
        if self._timer is not None:
            self._timer.cancel()
        waiting = [*self.callers, *self.hurried]
        failures = [None if failure is None else _own_copy(failure) for _ in waiting[1:]]
        for caller, own in zip(waiting, [failure, *failures], strict=False):
            caller.fail(own)
        self.callers.clear()
        self.hurried.clear()
        self.ended.set()

    def _review_unless_timed(self) -> None:
        if self._timer is None:
            self._review()

    def _review(self) -> None:
        """Wake the callers whose deadline has passed, unless it is that of the conversation; look again at the next."""
        context, runtime = self.context, self._runtime
        self._timer = None
        while self.callers and context is not None:
            if not self._is_mixed and self.callers[0].allowed_from == context.allowed_from:
                return
            moment = runtime.now()
            left = context.left_for(self.callers[0].allowed_from, moment)
            if left > 0:
                wait = left if context.queued_at is None else max(left, _TICK)
                self._timer = runtime.clock.call_at(moment + wait, self._review)
                return
            self.callers.pop(0).fail(_late(runtime))


def _late(runtime: Runtime) -> ConnectionsError:
    seconds = f"{runtime.item_timeout:g} s"
    if runtime.is_waiting:
        return ServerUnavailableError(f"the server was not available within the item timeout of {seconds}")
    return DeadlineError(f"not done within the item timeout of {seconds}", sent="maybe")


def _own_copy(error: BaseException) -> BaseException:
    """The same exception for another caller; the very object if it cannot be copied."""
    try:
        twin = copy(error)
    except Exception:  # noqa: BLE001 # of an exception class of the caller's own code
        return error
    if type(twin) is not type(error):
        return error
    if hasattr(twin, "__notes__"):
        twin.__notes__ = [*twin.__notes__]
    twin.__cause__, twin.__context__ = error.__cause__, error.__context__
    twin.__suppress_context__ = error.__suppress_context__
    return twin.with_traceback(error.__traceback__)
