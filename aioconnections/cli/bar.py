"""The progress of a run on stderr: a live view on a terminal, elsewhere a line every 30 seconds."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from attrs import define, field

from aioconnections.cli.meter import Meter, Rate, TimeLeft
from aioconnections.cli.progress import is_terminal, say, standard
from aioconnections.cli.terminal import duration, is_plain, per_second

if TYPE_CHECKING:
    from aioconnections.cli.frame import Picture
    from aioconnections.client.caller import OnProgress
    from aioconnections.outcomes import Tally
    from aioconnections.session.telemetry import Progress, Stats

__all__ = ["LIVE_AFTER", "Total", "Watched", "progress"]

Total: TypeAlias = int | Callable[[], int | None] | None
"""The number of items, or a function that gives it once it is known; None if it is unknown."""

LIVE_AFTER = 2.0  # seconds: shorter runs show no view, and sum up in one line
_INTERVAL = 30  # seconds


@define
class Watched:
    """Where the view finds what a run does not report.

    Attributes:
        meter: measures the run.
        stats: the statistics of the client; None without a client.
        note: says why nothing happens, besides what the statistics know.
        more: further facts.
    """

    meter: Meter = field(factory=Meter)
    stats: Callable[[], Stats] | None = None
    note: Callable[[], str | None] = lambda: None
    more: Callable[[], Sequence[str]] = lambda: ()


@contextmanager
def progress(
    total: Total,
    *,
    doing: str,
    shown: bool = True,
    unreadable: Callable[[], int] = lambda: 0,
    watched: Watched | None = None,
) -> Generator[OnProgress | None]:
    """Yield a progress hook for a bulk run, which updates a live view or prints lines; None if neither is wanted.

    The view appears after two seconds, and is erased at the end, because the summary replaces it.

    Args:
        total: number of items; without it, the time left is not shown.
        doing: what the run does, such as "checking".
        shown: False if rows are written to the terminal.
        unreadable: number of rows that could not be read, which the client counts as failed.
        watched: what else the view shows.
    """
    stream = standard("error")
    if stream is None or not is_terminal("error") or is_plain():
        yield None if stream is None else _ProgressLines(total, doing, unreadable).show
        return
    view = _View(total, doing, unreadable, watched or Watched())
    if not shown:
        yield view.note
        return
    from aioconnections.cli.frame import lines_of
    from aioconnections.cli.live import LiveLines

    with LiveLines(stream).shown() as draw:

        def show(progress: Progress) -> None:
            picture = view.picture(progress)
            if progress.elapsed >= LIVE_AFTER and not progress.done:
                draw(lambda columns, rows: lines_of(picture, columns, rows))

        yield show


@define
class _ProgressLines:
    """Prints a line every 30 seconds of a run."""

    total: Total
    doing: str
    unreadable: Callable[[], int]
    printed: float = 0.0  # multiples of the interval

    def show(self, progress: Progress) -> None:
        if progress.done or progress.elapsed // _INTERVAL <= self.printed:
            return
        self.printed = progress.elapsed // _INTERVAL
        say(f"aioconnections: {self.doing} {_text(progress, _known(self.total), self.unreadable())}")


@define
class _View:
    """Makes the pictures of one run from its reports."""

    total: Total
    doing: str
    unreadable: Callable[[], int]
    watched: Watched
    _rate: Rate = field(factory=Rate)
    _left: TimeLeft = field(factory=TimeLeft)
    _at: float = 0.0

    def note(self, progress: Progress) -> None:
        """Measure without a view."""
        _ = self.picture(progress)

    def picture(self, progress: Progress) -> Picture:
        """The picture of this moment."""
        from aioconnections.cli.frame import Picture

        watched, total, now = self.watched, _known(self.total), progress.elapsed
        meter, stats = watched.meter, None if watched.stats is None else watched.stats()
        meter.times.mark(now)
        if progress.waiting_for_server:
            meter.held += now - self._at
        self._at = now
        finished, limit = _finished(progress), progress.max_per_second
        total = None if total is None else max(total, progress.tally.read)  # an estimate, or a file that grows
        requests = None if stats is None else stats.attempts
        wait = None if stats is None else stats.wait
        left = None
        if total is not None:
            left = self._left.note(
                now,
                total=total,
                finished=finished,
                replayed=meter.replayed,
                limit=limit,
                requests=requests,
                waiting=wait is not None or progress.waiting_for_server,
            )
        return Picture(
            doing=self.doing,
            elapsed=now,
            finished=finished,
            total=total,
            replayed=meter.replayed,
            rate=progress.rate if requests is None else self._rate.note(now, requests),
            counts_requests=requests is not None,
            limit=limit,
            paced=None if stats is None else stats.paced,
            under_way=None if stats is None else stats.under_way,
            bound=0 if stats is None else stats.bound,
            most=0 if stats is None else stats.max_connections,
            times=meter.times.recent(0.5, 0.95),
            retries=0 if stats is None else stats.retries,
            outcomes=_outcomes(progress.tally),
            failures=_failures(progress.tally, self.unreadable()),
            more=watched.more(),
            left=left,
            wait=wait,
            note=watched.note() or _input_note(progress, total),
        )


def _input_note(progress: Progress, total: int | None) -> str | None:
    """Says that the input gives no rows: all that were read are finished, and a pipe may have more."""
    return "waiting for rows of the input" if total is None and not progress.tally.in_flight else None


_STATUSES = {"status_accepted": "accepted", "status_pending": "pending", "status_unconfirmed": "unconfirmed"}
_GOOD = ("invited", "already_exists", "accepted", "removed", "connected", "resolved", "listed", "duplicate")


def _outcomes(tally: Tally) -> list[tuple[str, int]]:
    """Counts of good outcomes; of checks, each status, with zeros, so that the line does not change its form."""
    counts = tally.as_dict()
    found = [(name.replace("_", " "), counts[name]) for name in _GOOD]
    if tally.checked:
        found += [(label, counts[name]) for name, label in _STATUSES.items()] + [("none", tally.status_none)]
        found.append(("from lists", tally.via_list))
    return found


def _failures(tally: Tally, unreadable: int) -> list[tuple[str, int]]:
    failed = max(tally.failed - unreadable, 0)
    counts = {"rejected": tally.rejected, "failed": failed, "in doubt": tally.in_doubt, "unreadable": unreadable}
    return [*counts.items()]


def _known(total: Total) -> int | None:
    return total() if callable(total) else total


def _text(progress: Progress, total: int | None, unreadable: int) -> str:
    """The number of items, the rate, the time left and the failures; for a finished run the duration."""
    failures = [f"{count:,} {what}" for what, count in _failures(progress.tally, unreadable) if count]
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
