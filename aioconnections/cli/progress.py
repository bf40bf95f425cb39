"""What a person sees while a run is under way: a bar with rate and time left, on a terminal only."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from aioconnections.cli.streams import give_up, is_terminal, standard

if TYPE_CHECKING:
    from aioconnections.client.base import OnProgress
    from aioconnections.telemetry import Progress

__all__ = ["progress", "say"]


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
