"""Event-loop and process affinity: sockets work only in the loop and the process that opened them."""

from __future__ import annotations

import os
import weakref
from asyncio import _get_running_loop as running_asyncio_loop  # public; returns None outside a loop
from collections.abc import Callable

from anyio.lowlevel import RunVar

from aioconnections.clock import on_asyncio
from aioconnections.errors import UsageError

__all__ = ["LoopAffinity"]


class LoopAffinity:
    """Binds its owner to the first event loop and process that use it, and refuses all others.

    ``current_loop() is bound_loop`` is the fast check for every request. If it is false, `check` decides.
    """

    def __init__(self) -> None:
        self.current_loop: Callable[[], object] = object  # never identical to `bound_loop`
        self.bound_loop: object = None
        self._bound = self._forked = self._closed = False
        _instances.add(self)

    def check(self) -> None:
        """Bind to the running event loop at the first call.

        Raises:
            UsageError: the instance is closed, or `check` was called from another event loop or process.
        """
        if self._closed:
            raise UsageError("this client is closed")
        if self._forked:
            raise UsageError("this client was used before the process was forked; create a client in each process")
        if not self._bound:
            self._bound = True
            self.current_loop = running_asyncio_loop if on_asyncio() else _trio_run
            self.bound_loop = self.current_loop()
        if self.current_loop() is not self.bound_loop:
            raise UsageError("this client belongs to another event loop; create a client in each event loop")

    def close(self) -> None:
        """Refuse all further use."""
        self._closed = True
        self._invalidate()

    @property
    def forked(self) -> bool:
        """Whether this process was forked after the instance was made."""
        return self._forked

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def mark_forked(self) -> None:
        """Refuse all further use in this forked process."""
        self._forked = True
        self._invalidate()

    def _invalidate(self) -> None:
        self.current_loop, self.bound_loop = object, None


_instances: weakref.WeakSet[LoopAffinity] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for affinity in list(_instances):
        affinity.mark_forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

_run_marker: RunVar[object] = RunVar("_run_marker")


def _trio_run() -> object:
    """An object that identifies the current run of trio."""
    try:
        return _run_marker.get()
    except LookupError:
        _run_marker.set(marker := object())
        return marker
