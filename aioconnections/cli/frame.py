"""The lines of the live view, for a terminal of any size. Nothing here looks at a clock or at a terminal.

Each line consists of parts, and each part has spellings of different lengths. In a narrow terminal the least important
parts are spelled shorter, then left out: no number is ever cut, and no line is longer than the terminal is wide. In a
low terminal the least important lines are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, field, frozen

from aioconnections.cli.terminal import amount, brief, clock, per_second
from aioconnections.session.telemetry import Wait

__all__ = ["Line", "Picture", "Piece", "fitted", "lines_of"]

_GAP = "   "
_NARROWEST, _WIDEST = 10, 60  # columns of the bar


@frozen
class Piece:
    """A part of a line.

    Attributes:
        texts: spellings, the longest first.
        rank: importance; of several parts with as many spellings, the one of the lowest rank is shortened first, and
            left out first.
    """

    texts: tuple[str, ...]
    rank: int = 0


@frozen
class Line:
    """A line of the view: text, which may have a bar in it.

    Attributes:
        text: the text, or what is left of the bar.
        bar: width of the bar in columns; 0 for none.
        part: how much of it is done, from 0 to 1.
        rest: what is right of the bar.
        style: style of the text.
    """

    text: str
    bar: int = 0
    part: float = 0.0
    rest: str = ""
    style: str = ""


@frozen(kw_only=True)
class Picture:
    """A moment of a run, as the view shows it.

    Attributes:
        doing: what the run does, such as "checking".
        elapsed: seconds since the run began.
        finished: number of finished items.
        total: number of items, if it is known.
        replayed: number of finished items whose outcome comes from an earlier run.
        rate: requests per second, or items per second if `counts_requests` is False.
        counts_requests: see `rate`.
        limit: limit of requests per second; None for no limit.
        paced: a lower limit that the server imposes, if any.
        under_way: number of requests under way; None if it is not known.
        bound: number of requests that may be under way now.
        most: limit of requests under way.
        times: the time in seconds that half of the recent items took at most, and 95 % of them; empty if not known.
        retries: number of repeated requests.
        outcomes: counts of good outcomes by label.
        failures: counts of other outcomes by label.
        more: other facts.
        left: seconds of work left; None if they are not known.
        wait: what the run waits for, if anything.
        note: another reason why nothing happens.
    """

    doing: str
    elapsed: float
    finished: int
    total: int | None = None
    replayed: int = 0
    rate: float = 0.0
    counts_requests: bool = True
    limit: float | None = None
    paced: float | None = None
    under_way: int | None = None
    bound: int = 0
    most: int = 0
    times: tuple[float, ...] = ()
    retries: int = 0
    outcomes: Sequence[tuple[str, int]] = ()
    failures: Sequence[tuple[str, int]] = ()
    more: Sequence[str] = ()
    left: float | None = field(default=None)
    wait: Wait | None = None
    note: str | None = None


def lines_of(picture: Picture, columns: int, rows: int) -> list[Line]:
    """The lines of the view in a terminal of this size; one column and one row are left free.

    Args:
        picture: what to show.
        columns: width of the terminal.
        rows: height of the terminal.
    """
    width = columns - 1  # some terminals begin a new line after the last column
    lines = [  # with the rank of each
        (5, _head(picture, width)),
        (6, Line(fitted(_counts(picture), width))),
        (1, Line(fitted(_speed(picture), width))),
        (3, Line(fitted(_labels(picture.outcomes), width))),
        (4, Line(fitted(_labels(picture.failures), width), style="red")),
        (7, Line(fitted(_waiting(picture), width), style="yellow")),
    ]
    shown = [(rank, line) for rank, line in lines if line.text or line.bar or line.rest]
    kept = sorted((rank for rank, _ in shown), reverse=True)[: max(rows - 1, 1)]
    return [line for rank, line in shown if rank in kept]


def fitted(parts: Sequence[Piece], width: int) -> str:
    """The parts in one line of at most `width` columns, as many and as long as possible; empty if none fits."""
    chosen = [part for part in parts if part.texts]
    while chosen:
        text = _GAP.join(part.texts[0] for part in chosen)
        if len(text) <= width:
            return text
        place = max(range(len(chosen)), key=lambda place: (len(chosen[place].texts), -chosen[place].rank, place))
        if len(chosen[place].texts) > 1:
            chosen[place] = evolve(chosen[place], texts=chosen[place].texts[1:])
        else:
            del chosen[place]
    return ""


def _head(picture: Picture, width: int) -> Line:
    """The bar with the part that is done, and the time left."""
    total, left = picture.total, _time_left(picture)
    doing = Piece((picture.doing,), 1)
    if total is None:
        return Line(fitted([doing, Piece((f"for {clock(picture.elapsed)}",), 2), Piece(left[:1], 0)], width))
    part = min(picture.finished / total, 1.0) if total else 1.0
    percent = f"{int(part * 100)}%"
    for spelling in left or ("",):
        rest = f"{percent}{_GAP}{spelling}".rstrip()
        room = width - len(picture.doing) - len(rest) - 2
        if room >= _NARROWEST:
            return Line(picture.doing, min(room, _WIDEST), part, rest)
    return Line(fitted([doing, Piece((percent,), 3), Piece(left, 2)], width))


def _time_left(picture: Picture) -> tuple[str, ...]:
    """How long the run will take, with the rest of a pause; an outage has no known end."""
    wait, left = picture.wait, picture.left
    if picture.total is not None and picture.finished >= picture.total:
        return ()
    if left is None or (wait is not None and wait.reason not in {"pause", "login"}):
        return "time left unknown", "? left"
    if wait is not None and wait.left is not None:
        left += wait.left
    return (f"{clock(left)} left",)


def _counts(picture: Picture) -> list[Piece]:
    """How many items are done, and how fast."""
    done = amount(picture.finished)
    of = "" if picture.total is None else f" of {amount(picture.total)}"
    short = "" if picture.total is None else f"/{amount(picture.total)}"
    parts = [Piece((f"{done}{of} done", f"{done}{of}", f"{done}{short}", done), 9)]
    if picture.replayed:
        replayed = amount(picture.replayed)
        parts.append(Piece((f"{replayed} from an earlier run", f"{replayed} earlier"), 6))
    parts.append(Piece(_rate(picture), 8))
    if picture.under_way is not None:
        now, bound, most = amount(picture.under_way), amount(picture.bound), amount(picture.most)
        full = f"{now} of {bound} connections"
        lowered = (f"{full}, lowered from {most}",) if picture.bound < picture.most else ()
        parts.append(Piece((*lowered, full, f"{now} of {bound} conn.", f"{now}/{bound}"), 5))
    parts.extend(Piece((text,), 4) for text in picture.more)
    return parts


def _rate(picture: Picture) -> tuple[str, ...]:
    """The rate of the last seconds against the limit, or against what the server allows if that is less."""
    rate, limit, paced = picture.rate, picture.limit, picture.paced
    now = per_second(rate).removesuffix("/s")
    if limit is None and paced is None:
        return f"{now}/s, no limit", f"{now}/s"
    if paced is not None and (limit is None or paced < limit):
        of = f"{now} of {per_second(paced)}"
        return f"{of}, paced by the server", f"{of} paced", f"{now}/s"
    if not picture.counts_requests and limit is not None and rate > limit:  # lists answer in place of requests
        return (f"{now}/s",)
    return f"{now} of {per_second(limit or 0.0)}", f"{now}/s"


def _speed(picture: Picture) -> list[Piece]:
    """How long items take, and how many requests were repeated."""
    parts: list[Piece] = []
    if picture.times:
        half, most = (brief(seconds) for seconds in picture.times)
        parts += [Piece((f"p50 {half}",), 2), Piece((f"p95 {most}",), 3)]
    if picture.retries:
        parts.append(Piece((f"{amount(picture.retries)} {'retry' if picture.retries == 1 else 'retries'}",), 1))
    return parts


def _labels(counts: Sequence[tuple[str, int]]) -> list[Piece]:
    """Counts by label; those with the largest counts are the last to be left out."""
    found = [(label, count) for label, count in counts if count]
    order = sorted(count for _, count in found)
    return [Piece((f"{label} {amount(count)}",), order.index(count)) for label, count in found]


_AWAY = {
    "server": ("server unavailable", "server away"),
    "profiles": ("Profiles unavailable", "Profiles away"),
    "communities": ("Communities unavailable", "Communities away"),
    "shared": ("shared store unavailable", "store away"),
}


def _waiting(picture: Picture) -> list[Piece]:
    """Why nothing is sent."""
    wait = picture.wait
    if wait is None:
        return [] if picture.note is None else [Piece((picture.note, picture.note.partition(":")[0]))]
    if wait.reason == "login":
        return [Piece(("waiting for the login", "login"))]
    left = None if wait.left is None else clock(wait.left)
    if wait.reason == "pause":
        return [Piece(_paused(wait, left or "0 s"))]
    name, short = _AWAY[wait.reason]
    lasted = clock(wait.lasted or 0.0)
    probe = "" if wait.probe_in is None else f", next probe in {clock(wait.probe_in)}"
    brief_probe = "" if wait.probe_in is None else f", probe in {clock(wait.probe_in)}"
    if wait.probe_in is not None and wait.probe_in < 0.5:
        probe = brief_probe = ", probing"
    end = ", waits without limit" if left is None else f", gives up in {left}"
    brief_end = "" if left is None else f", ends in {left}"
    spellings = [
        f"{name} for {lasted}{probe}{end}",
        f"{short} {lasted}{brief_probe}{brief_end}",
        f"{short} {lasted}{brief_end}",
        f"{short} {lasted}",
        short,
        "away",
    ]
    return [Piece(tuple(dict.fromkeys(spellings)))]


def _paused(wait: Wait, left: str) -> tuple[str, ...]:
    if wait.pause is None:
        return f"paused: the server asked another process for it, {left} left", f"paused, {left} left", "paused"
    asked = clock(wait.pause)
    return (
        f"paused: the server asked for {asked} (Retry-After), {left} left",
        f"paused: Retry-After {asked}, {left} left",
        f"paused, {left} left",
        "paused",
    )
