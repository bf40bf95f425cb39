"""The standard streams, of which any may be closed: then `sys` has None in its place."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Literal, TextIO, TypeAlias

from aioconnections.errors import InvalidInputError

__all__ = ["Stream", "give_up", "is_terminal", "needed", "somebody_to_ask", "standard"]

Stream: TypeAlias = Literal["input", "output", "error"]


def standard(name: Stream) -> TextIO | None:
    """One of them; None if it is closed."""
    streams: dict[Stream, TextIO | None] = {"input": sys.stdin, "output": sys.stdout, "error": sys.stderr}
    return streams[name]


def needed(name: Stream, otherwise: str) -> TextIO:
    """One that nothing can be done without, unless `otherwise`.

    Raises:
        InvalidInputError: it is closed.
    """
    stream = standard(name)
    if stream is None:
        raise InvalidInputError(f"standard {name} is closed; {otherwise}")
    return stream


def is_terminal(name: Stream) -> bool:
    """Whether a person sits there."""
    stream = standard(name)
    return stream is not None and stream.isatty()


def somebody_to_ask() -> bool:
    """Whether a person sits at the terminal of this process, wherever its standard streams lead.

    Nobody can be asked by a process in the background: the terminal would stop it.
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


def give_up(name: Stream) -> None:
    """Let what is still buffered go nowhere, or the interpreter would try to write it once more and complain."""
    stream = standard(name)
    if stream is not None:
        with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 # a device, not a path
            os.dup2(nowhere.fileno(), stream.fileno())
