"""SIGINT (Ctrl-C), SIGTERM and SIGHUP: the first signal ends the reading, the second ends the command at once.

A command handles them from its start until it has reported how it ended. Before a run begins, the first signal
ends the command. After a run, signals are ignored, except while the command waits for the reader of its output.

SIGHUP means that the terminal was closed. The kernel and the shell may both send it, so only the first counts.
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
from typing import NoReturn, ParamSpec, TypeVar

__all__ = ["Signals", "end_with", "ignore_signals", "take_over"]

P = ParamSpec("P")
T = TypeVar("T")

_HANG_UP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none
_NUMBERS = (signal.SIGINT, signal.SIGTERM) if _HANG_UP is None else (signal.SIGINT, signal.SIGTERM, _HANG_UP)


def _handled() -> list[signal.Signals]:
    """The signals to handle: none outside the main thread, and none that is ignored, as Ctrl-C in a background job."""
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]


def take_over() -> Callable[[], None]:
    """Make SIGTERM and SIGHUP act like Ctrl-C, and return a function that restores the handlers of all signals."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number
        on_interrupt = signal.getsignal(signal.SIGINT)  # the handler of asyncio while its loop runs
        (on_interrupt if callable(on_interrupt) else signal.default_int_handler)(signal.SIGINT, frame)

    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        return lambda: None
    before = [(number, signal.getsignal(number)) for number in _NUMBERS]
    for number, handler in before:
        if number == signal.SIGTERM or (number != signal.SIGINT and handler is not signal.SIG_IGN):  # as under nohup
            signal.signal(number, interrupt)

    def restore() -> None:
        for number, handler in before:
            signal.signal(number, handler)

    return restore


def ignore_signals() -> None:
    """Ignore all signals, so that a command that has ended can report it."""
    Signals.installed().ignore()


def end_with(code: int) -> NoReturn:
    """End the process with this code, even if signals arrive meanwhile."""

    def exit_now(number: int, frame: FrameType | None) -> None:
        del number, frame
        os._exit(code)

    def ignore() -> None:  # the interpreter drops its handlers before it ends, but keeps SIG_IGN
        for number in _handled():
            signal.signal(number, signal.SIG_IGN)

    for number in _handled():
        signal.signal(number, exit_now)
    _ = atexit.register(ignore)
    sys.exit(code)


class Signals:
    """What the next signal does: it raises `KeyboardInterrupt`, ends a run, or is ignored.

    Attributes:
        count: number of signals so far.
    """

    def __init__(self) -> None:
        self.count: int = 0
        self._blocking = False
        self._hung_up = False
        self._act: Callable[[], object] = self._interrupt

    @classmethod
    def installed(cls) -> Signals:
        """Handle the signals from now on, until the command restores the handlers of `take_over`."""
        signals = cls()
        for number in _handled():
            signal.signal(number, signals._take)
        return signals

    @property
    def at_once(self) -> bool:
        """Whether the second signal has arrived, which ends the command without further waiting."""
        return self.count > 1

    @contextmanager
    def during_run(self, stop: Callable[[], object], stop_at_once: Callable[[], object]) -> Generator[None]:
        """Call `stop` on the first signal, and `stop_at_once` on later ones, between any two instructions.

        After the block the first signal has no effect; the second raises `KeyboardInterrupt`.
        """

        def act() -> None:
            if not self.at_once:
                stop()
                return
            stop_at_once()
            if self._blocking:  # elsewhere the exception would leave the client or the loop in an undefined state
                raise KeyboardInterrupt

        def act_afterwards() -> None:
            if self.at_once:
                self._interrupt()

        self._act = act
        try:
            yield
        finally:
            self._act = act_afterwards

    def interruptible(self, call: Callable[P, T]) -> Callable[P, T]:
        """Wrap a function that may block for long: the second signal raises `KeyboardInterrupt` in it."""

        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            before, self._blocking = self._blocking, True
            try:
                return call(*args, **kwargs)
            finally:
                self._blocking = before

        return wrapper

    @contextmanager
    def interrupting(self) -> Generator[None]:
        """Raise `KeyboardInterrupt` on the next signal; for a block that waits for the reader of the output."""
        self._act = self._interrupt
        try:
            yield
        finally:
            self.ignore()

    def ignore(self) -> None:
        """Ignore all further signals."""
        self._act = lambda: None

    def _interrupt(self) -> None:
        self.ignore()
        raise KeyboardInterrupt

    def _take(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == _HANG_UP:
            if self._hung_up:
                return
            self._hung_up = True
        self.count += 1
        self._act()
