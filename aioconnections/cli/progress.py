"""What a person sees while a run is under way: a bar with rate and time left, on a terminal only."""

from __future__ import annotations

import logging
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
    "give_up",
    "is_terminal",
    "logged",
    "needed",
    "progress",
    "say",
    "somebody_to_ask",
    "standard",
]


def say(text: str) -> None:
    """Tell the person something, apart from the results. That nobody listens is no reason to stop."""
    listener = standard("error")
    if listener is not None:  # print would take standard output instead
        try:
            print(text, file=listener)
        except OSError:
            give_up("error")


@contextmanager
def progress(total: int | None, *, doing: str, shown: bool = True) -> Generator[OnProgress | None]:
    """What a bulk run is to tell its progress, so that a bar shows it; None without a terminal on stderr.

    Args:
        total: how many items there are, or None if that is not known; then no time left is shown.
        doing: what is done with each, such as "checking".
        shown: False where something else is written to the terminal.
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
    """How fast it goes, and how long it takes; a run that has ended says how fast it was."""
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
    """One of them; None if it is closed."""
    streams: dict[StandardStream, TextIO | None] = {"input": sys.stdin, "output": sys.stdout, "error": sys.stderr}
    return streams[name]


def needed(name: StandardStream, otherwise: str) -> TextIO:
    """One that nothing can be done without, unless `otherwise`.

    Raises:
        InvalidInputError: it is closed.
    """
    stream = standard(name)
    if stream is None:
        raise InvalidInputError(f"standard {name} is closed; {otherwise}")
    return stream


def is_terminal(name: StandardStream) -> bool:
    """Whether a person sits there."""
    stream = standard(name)
    return stream is not None and stream.isatty()


def somebody_to_ask() -> bool:
    """Whether a person sits at the terminal of this process, wherever its standard streams lead.

    A process in the background cannot prompt: the terminal would stop it.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except (OSError, AttributeError):  # there is none, or no such device on this system
        return is_terminal("input")
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def give_up(name: StandardStream) -> None:
    """Let what is still buffered go nowhere, or the interpreter would try to write it once more and complain."""
    stream = standard(name)
    if stream is not None:
        with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 # a device, not a path
            os.dup2(nowhere.fileno(), stream.fileno())


Level: TypeAlias = Literal["debug", "info", "warning"]


class _ToPeople(logging.Handler):
    """Says every record, past a progress bar that may be there."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


@contextmanager
def logged(level: Level | None) -> Generator[None]:
    """Show what the library logs from `level` on; by None nothing at all, not even warnings."""
    log = logging.getLogger("aioconnections")
    handler = logging.NullHandler() if level is None else _ToPeople()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = log.level
    log.addHandler(handler)
    if level is not None:
        log.setLevel(level.upper())
    try:
        yield
    finally:
        log.setLevel(before)
        log.removeHandler(handler)
