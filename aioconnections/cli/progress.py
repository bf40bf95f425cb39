"""Messages and the progress bar on stderr, and the standard streams."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias

from aioconnections.errors import InvalidInputError

if TYPE_CHECKING:
    from aioconnections.client.caller import OnProgress
    from aioconnections.session.telemetry import Progress

__all__ = [
    "Level",
    "StandardStream",
    "can_prompt",
    "give_up",
    "is_terminal",
    "needed",
    "progress",
    "say",
    "standard",
]


def say(text: str) -> None:
    """Print a message on stderr; a stream that is closed or cannot be written is not an error."""
    stream = standard("error")
    if stream is not None:  # print would use standard output instead
        try:
            print(text, file=stream)
        except OSError:
            give_up("error")


@contextmanager
def progress(total: int | None, *, doing: str, shown: bool = True) -> Generator[OnProgress | None]:
    """Yield a progress hook for a bulk run, which updates a bar; None without a terminal on stderr.

    Args:
        total: number of items; None if unknown, in which case the time left is not shown.
        doing: label of the bar, such as "checking".
        shown: False if rows are written to the terminal.
    """
    if not shown or not is_terminal("error"):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}", markup=False))
    with Bar(*columns, console=Console(stderr=True), redirect_stdout=False) as bar:
        task = bar.add_task(doing, total=total, pace="")

        def show(progress: Progress) -> None:
            finished = progress.tally.read - progress.tally.in_flight
            bar.update(task, completed=finished, pace=_pace(progress, total))

        yield show


def _pace(progress: Progress, total: int | None) -> str:
    """The rate and the time left, or for a finished run its mean rate and duration."""
    if progress.waiting_for_server:
        return "waiting for the server"
    if progress.done:
        finished = progress.tally.read - progress.tally.in_flight
        return f"{finished / max(progress.elapsed, 1e-3):,.0f}/s in {_time(progress.elapsed)}"
    left = None if total is None else progress.time_left(total)
    return f"{progress.rate:,.0f}/s" + ("" if left is None else f", {_time(left)} left")


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


StandardStream: TypeAlias = Literal["input", "output", "error"]


def standard(name: StandardStream) -> TextIO | None:
    """The standard stream of this name; None if it is closed."""
    streams: dict[StandardStream, TextIO | None] = {"input": sys.stdin, "output": sys.stdout, "error": sys.stderr}
    return streams[name]


def needed(name: StandardStream, advice: str) -> TextIO:
    """The standard stream of this name, which the command requires.

    Raises:
        InvalidInputError: the stream is closed; the message ends with `advice`.
    """
    stream = standard(name)
    if stream is None:
        raise InvalidInputError(f"standard {name} is closed; {advice}")
    return stream


def is_terminal(name: StandardStream) -> bool:
    """Whether the stream is a terminal."""
    stream = standard(name)
    return stream is not None and stream.isatty()


def can_prompt() -> bool:
    """Whether the user can be prompted on the controlling terminal, even if the standard streams are redirected.

    A process in the background cannot prompt: the terminal would stop it.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except (OSError, AttributeError):  # no controlling terminal, or no such device on this system
        return is_terminal("input")
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def give_up(name: StandardStream) -> None:
    """Redirect a stream to the null device; otherwise writing the buffered text would fail again at exit."""
    stream = standard(name)
    if stream is not None:
        with suppress(OSError, ValueError), open(os.devnull, "wb") as device:  # noqa: PTH123 # a device, not a path
            os.dup2(device.fileno(), stream.fileno())


Level: TypeAlias = Literal["debug", "info", "warning"]
