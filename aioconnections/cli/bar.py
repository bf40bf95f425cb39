"""The progress of a run on stderr: a bar on a terminal, elsewhere a line every 30 seconds."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TextIO, cast

from attrs import define

from aioconnections.cli.progress import give_up, is_terminal, say, standard
from aioconnections.cli.terminal import duration, per_second, wrapped

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from aioconnections.client.caller import OnProgress
    from aioconnections.session.telemetry import Progress

__all__ = ["progress"]

_INTERVAL = 30  # seconds
_NARROWEST, _WIDEST = 10, 40  # columns of the bar


@contextmanager
def progress(
    total: int | None, *, doing: str, shown: bool = True, unreadable: Callable[[], int] = lambda: 0
) -> Generator[OnProgress | None]:
    """Yield a progress hook for a bulk run, which updates a bar or prints lines; None if neither is wanted.

    The bar is removed at the end, because the summary replaces it.

    Args:
        total: number of items; None if unknown, in which case the time left is not shown.
        doing: label of the bar, such as "checking".
        shown: False if rows are written to the terminal.
        unreadable: number of rows that could not be read, which the client counts as failed.
    """
    stream = standard("error")
    if stream is None or not is_terminal("error") or os.environ.get("TERM", "") in {"dumb", "unknown"}:
        yield None if stream is None else _ProgressLines(total, doing, unreadable).show
        return
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(file=cast("TextIO", _Unfailing(stream)))
    live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
    with live:

        def show(progress: Progress) -> None:
            live.update(_bar(_text(progress, total, unreadable()), progress, total, doing, console), refresh=True)

        yield show


@define
class _ProgressLines:
    """Prints a line every 30 seconds of a run."""

    total: int | None
    doing: str
    unreadable: Callable[[], int]
    printed: float = 0.0  # multiples of the interval

    def show(self, progress: Progress) -> None:
        if progress.done or progress.elapsed // _INTERVAL <= self.printed:
            return
        self.printed = progress.elapsed // _INTERVAL
        say(f"aioconnections: {self.doing} {_text(progress, self.total, self.unreadable())}")


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


def _bar(text: str, progress: Progress, total: int | None, doing: str, console: Console) -> RenderableType:
    """One line with a bar, if there is room for it; else text alone, in as many lines as it needs."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    room = console.width - len(doing) - len(text) - 3  # two spaces, and a free column at the end
    if total is None or room < _NARROWEST:
        return Text("\n".join(wrapped(f"{doing} {text}", console.width)))
    line = Table.grid(padding=(0, 1))
    for _ in range(3):
        line.add_column(no_wrap=True)
    bar = ProgressBar(total=max(total, 1), completed=_finished(progress), width=min(room, _WIDEST))
    line.add_row(doing, bar, Text(text))
    return line


def _text(progress: Progress, total: int | None, unreadable: int) -> str:
    """The number of items, the rate, the time left and the failures; for a finished run the duration."""
    tally = progress.tally
    failed = max(tally.failed - unreadable, 0)
    counts = {"rejected": tally.rejected, "failed": failed, "in doubt": tally.in_doubt, "unreadable": unreadable}
    failures = [f"{count:,} {what}" for what, count in counts.items() if count]
    done = f"{_finished(progress)}/{'?' if total is None else total}"
    return ", ".join([f"{done} {_pace(progress, total)}", *failures])


def _finished(progress: Progress) -> int:
    return progress.tally.read - progress.tally.in_flight


def _pace(progress: Progress, total: int | None) -> str:
    if progress.waiting_for_server:
        return "waiting for the server"
    if progress.done:
        return f"in {duration(progress.elapsed)}"
    left = None if total is None else progress.time_left(total)
    return per_second(progress.rate) + ("" if left is None else f", {timedelta(seconds=round(left))} left")
