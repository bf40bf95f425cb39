"""Ctrl-C and SIGTERM: the first ends a command in order, the second at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from attrs import define

__all__ = ["Signals", "in_order", "terminable"]


@contextmanager
def terminable() -> Generator[None]:
    """Let SIGTERM end a command as Ctrl-C does; asyncio, which looks after Ctrl-C while it runs, need not know."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number
        on_interrupt = signal.getsignal(signal.SIGINT)  # not callable in a background job, which ignores Ctrl-C
        (on_interrupt if callable(on_interrupt) else signal.default_int_handler)(signal.SIGINT, frame)

    if threading.current_thread() is not threading.main_thread():  # nobody else gets signals
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@define
class Signals:
    """How many have come."""

    count: int = 0

    @property
    def at_once(self) -> bool:
        """Whether the second has come, and nothing more is waited for."""
        return self.count > 1


@contextmanager
def in_order(stop: Callable[[], object], hurry: Callable[[], object]) -> Generator[Signals]:
    """The first signal calls `stop`, the second `hurry`, between any two instructions; the third kills."""
    signals = Signals()

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        signals.count += 1
        if not signals.at_once:
            stop()
            return
        for one, _ in before:
            signal.signal(one, signal.SIG_DFL)
        hurry()

    if threading.current_thread() is not threading.main_thread():  # nobody else gets signals
        yield signals
        return
    looked_after = [
        number
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN  # Ctrl-C is ignored in a background job
    ]
    before = [(number, signal.getsignal(number)) for number in looked_after]
    try:
        for number, _ in before:
            signal.signal(number, interrupt)
        yield signals
    finally:
        for number, handler in before:
            signal.signal(number, handler)
