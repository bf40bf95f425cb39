"""Event-loop and process affinity: sockets work only in the loop and the process that opened them."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from asyncio import _get_running_loop as running_asyncio_loop  # public; returns None outside a loop
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from anyio.lowlevel import RunVar

from aioconnections.clock import on_asyncio
from aioconnections.errors import UsageError

__all__ = ["EventLoop", "LoopAffinity"]

_LONGEST_CALL = 5.0  # seconds


class LoopAffinity:
    """Binds its owner to the first event loop and process that use it, and refuses all others.

    ``current_loop() is bound_loop`` is the fast check for every request. If it is false, `check` decides.

    Args:
        owner: what error messages call the owner.
    """

    def __init__(self, owner: str = "client") -> None:
        self.current_loop: Callable[[], object] = object  # never identical to `bound_loop`
        self.bound_loop: object = None
        self._owner = owner
        self._home: EventLoop | None = None
        self._forked = self._closed = False
        _instances.add(self)

    def check(self) -> None:
        """Bind to the running event loop at the first call.

        Raises:
            UsageError: the instance is closed, or `check` was called outside the event loop or process of its first
                call.
        """
        self.check_open()
        if self._home is None:
            current_loop = running_asyncio_loop if on_asyncio() else _trio_run
            loop = current_loop()
            if loop is None:
                raise UsageError(f"this {self._owner} must be used in an event loop, and none runs in this thread")
            self.current_loop, self.bound_loop = current_loop, loop
            self._home = _AsyncioLoop(loop) if isinstance(loop, asyncio.AbstractEventLoop) else _TrioRun()
        if self.current_loop() is not self.bound_loop:
            raise UsageError(
                f"this {self._owner} belongs to another event loop; create one in each event loop (each asyncio.run "
                "has its own), or call it there, with asyncio.run_coroutine_threadsafe or anyio.from_thread.run"
            )

    def check_open(self) -> None:
        """Check what holds for every thread.

        Raises:
            UsageError: the instance is closed, or was used before this process was forked.
        """
        if self._closed:
            raise UsageError(f"this {self._owner} is closed")
        if self._forked:
            raise UsageError(
                f"this {self._owner} was used before the process was forked; create one in each process, or use it "
                "only after the fork"
            )

    @property
    def is_here(self) -> bool:
        """Whether the caller runs in the event loop of the instance, or may bind it."""
        return self._home is None or self.current_loop() is self.bound_loop

    @property
    def home(self) -> EventLoop | None:
        """The event loop of the instance; None if it is not bound."""
        return self._home

    def close(self) -> None:
        """Refuse all further use."""
        self._closed = True
        self._invalidate()

    @property
    def forked(self) -> bool:
        """Whether the instance was used before this process was forked."""
        return self._forked

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def mark_forked(self) -> None:
        """Refuse all further use in this forked process, if the instance was used before."""
        if self._home is not None:
            self._forked = True
            self._invalidate()

    def _invalidate(self) -> None:
        self.current_loop, self.bound_loop = object, None


class EventLoop(Protocol):
    """An event loop, as another thread or a later event loop sees it."""

    def call(self, function: Callable[[], Awaitable[object]]) -> bool:
        """Call an async function in the event loop and wait until it is done; False if the event loop does not run.

        Blocks: call it in a worker thread. If the event loop is blocked itself, it returns after some seconds, and the
        call is made later.
        """
        ...


class _AsyncioLoop:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def call(self, function: Callable[[], Awaitable[object]]) -> bool:
        """See `EventLoop.call`."""

        async def called() -> None:
            await function()

        if not self._loop.is_running():
            return False
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(called(), self._loop).result(_LONGEST_CALL)
        return True


class _TrioRun:
    def __init__(self) -> None:
        import trio

        self._token = trio.lowlevel.current_trio_token()

    def call(self, function: Callable[[], Awaitable[object]]) -> bool:
        """See `EventLoop.call`."""
        import trio

        done = threading.Event()

        async def called() -> None:
            try:
                await function()
            finally:
                done.set()

        try:
            self._token.run_sync_soon(trio.lowlevel.spawn_system_task, called)
        except trio.RunFinishedError:
            return False
        done.wait(_LONGEST_CALL)
        return True


_instances: weakref.WeakSet[LoopAffinity] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for affinity in list(_instances):
        affinity.mark_forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

_run_marker: RunVar[object] = RunVar("_run_marker")


def _trio_run() -> object:
    """An object that identifies the current run of trio; None if there is none."""
    try:
        return _run_marker.get()
    except LookupError:
        _run_marker.set(marker := object())
        return marker
    except RuntimeError:
        return None
