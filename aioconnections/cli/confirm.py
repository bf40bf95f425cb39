"""Ask before a command removes many items.

The question is for people: it appears on the controlling terminal, and the reply is read there, so standard input
may hold the rows. Without a terminal, as in a scheduled job, nothing is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TypeVar

from aioconnections.cli.exits import SOME_BAD, Ended
from aioconnections.cli.progress import can_prompt, is_terminal, prompt, say
from aioconnections.files.rows import BadRowError
from aioconnections.files.source import count_rows

__all__ = ["asked"]

T = TypeVar("T")

_UNASKED = 10  # items
_MOST_COUNTED = 1_000  # rows that are read before the question; more are estimated


def asked(rows: Iterator[T | BadRowError], question: str, path: Path | None) -> Iterator[T | BadRowError]:
    """The same rows, after the user has agreed, if there are more than 10 and the user can be asked.

    No more rows of a pipe are read before the question than it needs, because a pipe may be slow or endless.

    Args:
        rows: the rows.
        question: the question, with ``{}`` for the number of items.
        path: the file of the rows; None for a pipe.

    Raises:
        Ended: the user has not agreed. Nothing was done.
    """
    if not can_prompt():
        return rows
    lines = count_rows(path)
    most = _UNASKED + 1 if lines is None else _MOST_COUNTED
    if is_terminal("input") and lines is None:
        most = sys.maxsize  # the rows are typed; if some were left, the next one would be read as the reply
    ahead: list[T | BadRowError] = []
    good = 0
    for row in rows:
        ahead.append(row)
        good += not isinstance(row, BadRowError)
        if good >= most:
            break
    if good > _UNASKED:
        number = f"{good:,}"
        if good >= most:
            number = f"more than {_UNASKED}" if lines is None else f"about {max(lines, good):,}"
        if prompt(f"{question.format(number)} [y/N]").strip().lower() not in {"y", "yes"}:
            say("aioconnections: nothing was changed, because the reply was not yes; --yes omits the question")
            raise Ended(SOME_BAD, resumable=False)
    return chain(ahead, rows)
