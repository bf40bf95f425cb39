"""What a person sees while a run is under way: a bar with rate and time left, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TypeAlias

__all__ = ["Advance", "progress", "say"]

Advance: TypeAlias = Callable[[], None]


def say(text: str) -> None:
    """Tell the person something, apart from the results. That nobody listens is no reason to stop."""
    with suppress(OSError):
        print(text, file=sys.stderr)  # noqa: T201 # stderr is for people


@contextmanager
def progress(total: int | None, *, doing: str, shown: bool = True) -> Generator[Advance]:
    """A function to be called once per item. Without a terminal on stderr it does nothing.

    Args:
        total: how many items there are, or None if that is not known; then no time left is shown.
        doing: what is done with each, such as "checking".
        shown: False where something else is written to the terminal.
    """
    if not shown or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed else "–/s", style="progress.data.speed")

    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, speed_estimate_period=10, redirect_stdout=False) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda: bar.advance(task)
