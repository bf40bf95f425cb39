"""Text for a terminal: control characters are escaped, and lines end between words."""

from __future__ import annotations

import os
import re
from typing import TextIO

from aioconnections.files.escaping import escaped

__all__ = ["duration", "escaped", "per_second", "width", "wrapped"]

_COLUMNS = 80  # of a terminal that does not know its width


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
