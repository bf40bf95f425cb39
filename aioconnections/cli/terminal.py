"""Text for a terminal: control characters are escaped, and lines end between words."""

from __future__ import annotations

import os
import re
from typing import TextIO

from aioconnections.files.escaping import escaped

__all__ = ["amount", "brief", "clock", "duration", "escaped", "is_plain", "per_second", "size", "width", "wrapped"]

_COLUMNS, _ROWS = 80, 24  # of a terminal that does not know its size


def width(stream: TextIO) -> int | None:
    """The number of columns of a terminal; None if the stream is not a terminal."""
    try:
        if not stream.isatty():
            return None
        columns = os.environ.get("COLUMNS", "")
        found = int(columns) if columns.isdecimal() else os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # no file descriptor
        return _COLUMNS
    return found or _COLUMNS


def size(stream: TextIO) -> tuple[int, int]:
    """The numbers of columns and rows of a terminal."""
    try:
        rows = os.environ.get("LINES", "")
        found = int(rows) if rows.isdecimal() else os.get_terminal_size(stream.fileno()).lines
    except (OSError, ValueError):  # no file descriptor
        found = _ROWS
    return width(stream) or _COLUMNS, found or _ROWS


def is_plain() -> bool:
    """Whether the terminal shows text alone: it cannot move the cursor."""
    return os.environ.get("TERM", "") in {"dumb", "unknown"}


def wrapped(text: str, columns: int) -> list[str]:
    """The lines of a paragraph, which end between words. A word that is longer than a line stays whole."""
    if text.isascii() and len(text) < columns:
        return [text]
    from rich.cells import cell_len  # knows that some characters take two columns

    lines, room = [""], columns - 1  # a column is left free, because some terminals begin a new line after the last one
    for word in re.findall(r" *[^ ]+", text):
        taken = cell_len(word)
        if taken <= room or not lines[-1]:
            lines[-1] += word
            room -= taken
        else:
            lines.append(word.lstrip(" "))
            room = columns - 1 - cell_len(lines[-1])
    return lines


def duration(seconds: float) -> str:
    """A duration for people: ``9.3 s``, and from a minute on ``0:16:48``."""
    if round(seconds, 1) < 60:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    return f"{whole // 3_600}:{whole // 60 % 60:02}:{whole % 60:02}"


def per_second(rate: float) -> str:
    """A rate for people: ``98/s``, with a decimal below 10, and with two digits below 0.1."""
    if 0 < rate < 0.1:
        return f"{rate:.2g}/s"
    return f"{rate:,.0f}/s" if round(rate, 1) >= 10 or not rate else f"{rate:.1f}/s"


def amount(count: int) -> str:
    """A number for people: ``1,234``."""
    return f"{count:,}"


def clock(seconds: float) -> str:
    """A duration in whole seconds: ``42 s``, from a minute on ``0:16:48``, from four days on in days."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    return f"{whole / 86_400:.0f} days" if whole >= 96 * 3_600 else duration(whole)


def brief(seconds: float) -> str:
    """A duration with two digits: ``84 ms``, ``1.2 s``."""
    thousandths = seconds * 1_000
    if thousandths < 9.5:
        return f"{thousandths:.1f} ms"
    if thousandths < 950:
        return f"{float(f'{thousandths:.2g}'):.0f} ms"
    return f"{seconds:.1f} s" if seconds < 9.95 else clock(seconds)
