"""Ctrl-C and SIGTERM: the first ends a command in order, the second at once, and neither keeps it from saying so.

A command takes signals over before it does anything, and does not give them back before it has said how it ended. What
one means while a run goes on is for the run to say; before that it ends the command; after it, there are only moments
left, in which signals are borne.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = ["Signals", "bear", "end_with", "take_over"]

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_ALL = float("inf")


def _ours() -> list[signal.Signals]:
    """The signals that are not ignored, as Ctrl-C is in a background job; none in a thread, which gets no signals."""
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]


def take_over() -> Callable[[], None]:
    """Let SIGTERM end a command as Ctrl-C does; returns what gives both signals back to whoever had them before."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number
        on_interrupt = signal.getsignal(signal.SIGINT)  # asyncio looks after it while it runs
        (on_interrupt if callable(on_interrupt) else signal.default_int_handler)(signal.SIGINT, frame)

    if threading.current_thread() is not threading.main_thread():  # nobody else gets signals
        return lambda: None
    before = [(number, signal.getsignal(number)) for number in _NUMBERS]
    signal.signal(signal.SIGTERM, interrupt)

    def give_back() -> None:
        for number, handler in before:
            signal.signal(number, handler)

    return give_back


def bear() -> None:
    """Let no signal keep a command that has ended from saying so."""
    _ = Signals.counted(borne=_ALL)


def end_with(code: int) -> NoReturn:
    """End the process with this code, whatever signals still come: not even by dying of one."""

    def at_once(number: int, frame: FrameType | None) -> None:
        del number, frame
        os._exit(code)

    def ignore() -> None:  # the interpreter forgets handlers before it is at its end, and this it keeps
        for number in _ours():
            signal.signal(number, signal.SIG_IGN)

    for number in _ours():
        signal.signal(number, at_once)
    _ = atexit.register(ignore)
    sys.exit(code)


class Signals:
    """Those that have come since a run was about to begin.

    Args:
        borne: how many pass unheard where no run listens; the next raises `KeyboardInterrupt`, which it does once.
    """

    def __init__(self, *, borne: float = 0) -> None:
        self.count: int = 0
        self._borne = borne
        self._heard: tuple[Callable[[], object], Callable[[], object]] | None = None

    @classmethod
    def counted(cls, *, borne: float = 0) -> Signals:
        """From now on, until the command gives signals back; the third kills."""
        signals = cls(borne=borne)
        for number in _ours():
            signal.signal(number, signals._take)
        return signals

    @property
    def at_once(self) -> bool:
        """Whether the second has come, and nothing more is waited for."""
        return self.count > 1

    @contextmanager
    def heard(self, stop: Callable[[], object], hurry: Callable[[], object]) -> Generator[None]:
        """The first calls `stop`, the second `hurry`, between any two instructions; after that, one more is borne."""
        self._heard = stop, hurry
        try:
            yield
        finally:
            self._borne = 1
            self._heard = None

    @contextmanager
    def impatient(self) -> Generator[None]:
        """The next one raises `KeyboardInterrupt`: here is waited for somebody else. After that, all are borne."""
        self._borne = self.count
        try:
            yield
        finally:
            self.bear()

    def bear(self) -> None:
        """Bear all that still come."""
        self._borne = _ALL

    def _take(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.count += 1
        if self.at_once:
            for one in _ours():
                signal.signal(one, signal.SIG_DFL)
        if self._heard is not None:
            self._heard[self.at_once]()
        elif self.count > self._borne:
            self.bear()
            raise KeyboardInterrupt
