"""Texts and numbers in the document."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape

from aioconnections.files.escaping import escaped

__all__ = ["clock_time", "count", "duration", "latency", "moment", "rate", "shown", "without_login"]

_USERINFO = re.compile(r"(?<=://)[^/\s@]*@")


def without_login(text: str) -> str:
    """The text without the login in each URL."""
    return _USERINFO.sub("", text)


def shown(text: str, most: int) -> str:
    """A text of others as HTML of at most `most` bytes and an ellipsis.

    Control characters, bidirectional controls and surrogates are shown as escapes. The login in a URL is left out.
    """
    pieces: list[str] = []
    left = most
    for char in escaped(without_login(text)[: most + 1]):
        piece = escape(char)
        left -= len(piece.encode())
        if left < 0:
            return f"{''.join(pieces)}…"
        pieces.append(piece)
    return "".join(pieces)


def count(number: float) -> str:
    """``12,345``."""
    return f"{number:,.0f}"


def rate(per_second: float) -> str:
    """``98/s``, with a decimal below 10."""
    return f"{per_second:,.0f}/s" if per_second >= 10 or not per_second else f"{per_second:.2g}/s"


def latency(seconds: float | None) -> str:
    """``24 ms`` or ``1.5 s``."""
    if seconds is None:
        return "–"  # a dash in an empty cell
    if seconds < 0.9995:
        return f"{seconds * 1e3:.2g} ms" if seconds < 0.01 else f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:,.0f} s"


def duration(seconds: float) -> str:
    """``0.4 s``, ``45 s``, ``12 min 5 s``, ``3 h 20 min`` or ``2 d 4 h``."""
    if seconds < 9.95:
        return f"{seconds:.0f} s" if seconds == round(seconds) else f"{seconds:.1f} s"
    whole = round(seconds)
    for size, name, part, part_name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size:,} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"


def moment(at: datetime) -> str:
    """A time for people, in UTC, which the document states."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def clock_time(at: float, span: float) -> str:
    """A label of the time axis; `span` is the number of seconds that the axis covers."""
    form = "%H:%M:%S" if span < 3_600 else "%H:%M" if span < 86_400 else "%d %b %H:%M" if span < 2e7 else "%Y-%m-%d"
    return datetime.fromtimestamp(at, UTC).strftime(form)
