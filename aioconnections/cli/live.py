"""A few lines at the bottom of a terminal that change, below everything else that the command prints.

The lines are drawn only while the command is in the foreground. They are erased before Ctrl-Z stops the command, which
also restores the cursor, and drawn again after ``fg``. Each drawing fits the size that the terminal has then, so a
change of its size needs no signal.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias, cast

from aioconnections.cli.frame import Line
from aioconnections.cli.progress import give_up
from aioconnections.cli.terminal import size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

__all__ = ["LinesOf", "LiveLines"]

LinesOf: TypeAlias = Callable[[int, int], Sequence[Line]]
"""Gives the lines for a terminal of this many columns and rows."""

# Terminals that continue a long line in the next row when they become narrower; others cut it.
_REFLOWING = ("TMUX", "VTE_VERSION", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "WT_SESSION", "ITERM_SESSION_ID")


class LiveLines:
    """The changing lines of one command.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._terminal = stream
        self._stream = _Unfailing(stream)
        self._live: Live | None = None
        self._shown: Sequence[Line] = ()
        self._columns = 0
        self._lock = threading.RLock()
        self._drawing = False
        self._stopping = False  # Ctrl-Z has come while the lines were drawn
        self._over = False

    @contextmanager
    def shown(self) -> Generator[Callable[[LinesOf], None]]:
        """Yield a function that draws the lines; they are erased at the end of the block."""
        with self._stoppable():
            try:
                yield self._show
            finally:
                with self._lock:
                    self._over = True
                    self._erase()

    def _show(self, lines_of: LinesOf) -> None:
        if self._over or not _is_in_foreground(self._stream):
            return
        with self._lock:
            self._drawing = True
            try:
                self._draw(lines_of)
            finally:
                self._drawing = False
        if self._stopping:
            self._stopping = False
            os.kill(os.getpid(), signal.SIGTSTP)  # this may be another thread than that of the handlers

    def _draw(self, lines_of: LinesOf) -> None:
        from rich.console import Console, ConsoleDimensions
        from rich.live import Live

        columns, rows = size(self._terminal)
        if self._live is None:
            console = Console(file=cast("TextIO", self._stream), highlight=False)
            self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.start()
        elif columns < self._columns and any(os.environ.get(name) for name in _REFLOWING):
            self._erase_overhang(columns)
        self._columns = columns
        self._live.console.size = ConsoleDimensions(columns, rows)
        self._shown = lines_of(columns, rows)
        self._live.update(_rendered(self._shown), refresh=True)

    def _erase_overhang(self, columns: int) -> None:
        """Erase the rows that the shown lines take in addition, after the terminal became narrower."""
        lengths = [len(line.text) + (line.bar + len(line.rest) + 2) * bool(line.bar) for line in self._shown]
        rows = sum(max(0, length - 1) // columns for length in lengths)
        _ = self._stream.write("\r\x1b[2K\x1b[1A" * rows)

    def _erase(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.update("", refresh=True)  # what the end of the display shows once more
            live.stop()
            self._stream.flush()

    @contextmanager
    def _stoppable(self) -> Generator[None]:
        """Erase the lines before Ctrl-Z stops the process."""
        number: signal.Signals | None = getattr(signal, "SIGTSTP", None)  # Windows has none
        is_main = threading.current_thread() is threading.main_thread()
        if number is None or not is_main or signal.getsignal(number) is not signal.SIG_DFL:
            yield
            return
        before = signal.signal(number, self._take)
        try:
            yield
        finally:
            signal.signal(number, before)

    def _take(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._drawing:
            self._stopping = True
        else:
            self._stop_process()

    def _stop_process(self) -> None:
        """Erase the lines, and stop; returns when the process continues."""
        with self._lock:
            self._erase()
        before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)  # without effect if no shell could continue the process
        signal.signal(signal.SIGTSTP, before)


def _is_in_foreground(stream: _Unfailing) -> bool:
    """Whether the terminal belongs to this process; also True if it is not its controlling terminal."""
    with suppress(OSError, ValueError, AttributeError):  # no job control, no file descriptor, no such function
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    return True


def _rendered(lines: Sequence[Line]) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    rendered: list[RenderableType] = []
    for line in lines:
        text = Text(line.text, style=line.style, no_wrap=True, overflow="crop")
        if not line.bar:
            rendered.append(text)
            continue
        grid = Table.grid(padding=(0, 1))
        for _ in range(3):
            grid.add_column(no_wrap=True)
        bar = ProgressBar(total=1.0, completed=line.part, width=line.bar)
        grid.add_row(text, bar, Text(line.rest))
        rendered.append(grid)
    return Group(*rendered)


class _Unfailing:
    """A stream whose writes do not fail, because its terminal may vanish during a run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError:
            give_up("error")
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            give_up("error")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
