"""Whose sockets these are. They belong to the event loop and to the process that opened them, and to no other."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable

from anyio.lowlevel import RunVar

from aioconnections.clock import on_asyncio
from aioconnections.errors import UsageError

__all__ = ["LoopAffinity"]


class LoopAffinity:
    """Refuses whoever comes from elsewhere; the first to come settles where home is.

    ``where() is here`` is the whole check in the ordinary case, cheap enough for every request; `admit` decides if it
    does not hold.
    """

    def __init__(self) -> None:
        self.where: Callable[[], object] = object  # gives something else each time
        self.here: object = None
        self._settled = self._forked = self._closed = False
        _all.add(self)

    def admit(self) -> None:
        """Settle, if nobody has.

        Raises:
            UsageError: closed, or this is another event loop or another process.
        """
        if self._closed:
            raise UsageError("this client is closed")
        if self._forked:
            raise UsageError("this client belongs to the process from which this one was forked: make a new one")
        if not self._settled:
            self._settled = True
            self.where = asyncio._get_running_loop if on_asyncio() else _run  # noqa: SLF001 -- what never raises
            self.here = self.where()
        if self.where() is not self.here:
            raise UsageError("this client belongs to another event loop: make one for each")

    def close(self) -> None:
        """Refuse everybody from now on."""
        self._closed = True
        self._lose()

    @property
    def forked(self) -> bool:
        """Whether this process is not the one in which home is."""
        return self._forked

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def _lose(self) -> None:
        self.where, self.here = object, None

    def leave_behind(self) -> None:
        """This process was forked from the one in which home is."""
        self._forked = True
        self._lose()


_all: weakref.WeakSet[LoopAffinity] = weakref.WeakSet()


def _leave_behind() -> None:
    for home in list(_all):
        home.leave_behind()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_behind)

_this_run: RunVar[object] = RunVar("_this_run")


def _run() -> object:
    """An object that stands for the run of another event loop."""
    try:
        return _this_run.get()
    except LookupError:
        _this_run.set(run := object())
        return run
