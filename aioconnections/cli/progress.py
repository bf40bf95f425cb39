"""Messages on stderr, and the standard streams."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal, TextIO, TypeAlias

from aioconnections.cli.terminal import escaped, width, wrapped
from aioconnections.errors import InvalidInputError

__all__ = [
    "Level",
    "StandardStream",
    "can_prompt",
    "give_up",
    "input_file",
    "is_terminal",
    "needed",
    "prompt",
    "say",
    "standard",
]


def say(*lines: str, wrap: bool = True) -> None:
    """Print lines on stderr, with control characters escaped; a stream that cannot be written is not an error.

    Args:
        lines: the lines; without any, an empty one.
        wrap: whether to end lines between words on a terminal; False for a line to be copied.
    """
    stream = standard("error")
    if stream is None:  # print would use standard output instead
        return
    columns = width(stream) if wrap else None
    try:
        for line in lines or ("",):
            for part in [escaped(line)] if columns is None else wrapped(escaped(line), columns):
                print(part, file=stream)
    except OSError:
        give_up("error")


StandardStream: TypeAlias = Literal["input", "output", "error"]


def standard(name: StandardStream) -> TextIO | None:
    """The standard stream of this name; None if it is closed."""
    streams: dict[StandardStream, TextIO | None] = {"input": sys.stdin, "output": sys.stdout, "error": sys.stderr}
    return streams[name]


def needed(name: StandardStream, advice: str) -> TextIO:
    """The standard stream of this name, which the command requires.

    Raises:
        InvalidInputError: the stream is closed; the message ends with `advice`.
    """
    stream = standard(name)
    if stream is None:
        raise InvalidInputError(f"standard {name} is closed; {advice}")
    return stream


def input_file(path: Path | None) -> Path | io.FileIO:
    """The file to read rows from: standard input, as bytes, for None and "-".

    Raises:
        InvalidInputError: standard input is closed.
    """
    if path is not None and str(path) != "-":
        return path
    stream = needed("input", "name a file")
    if stream.isatty():
        say("Reading rows from the terminal; press Ctrl-D to end the input.")
    # not the stream itself, because a thread that is still reading at exit would hold its lock
    return io.FileIO(stream.fileno(), closefd=False)


def is_terminal(name: StandardStream) -> bool:
    """Whether the stream is a terminal."""
    stream = standard(name)
    return stream is not None and stream.isatty()


def can_prompt() -> bool:
    """Whether the user can be prompted on the controlling terminal, even if the standard streams are redirected.

    A process in the background cannot prompt: the terminal would stop it.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except (OSError, AttributeError):  # no controlling terminal, or no such device on this system
        return is_terminal("input")
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def prompt(question: str) -> str:
    """Ask on the controlling terminal, and return the line that the user types there; empty at the end of input.

    Keys that were pressed before the question are discarded.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except (OSError, AttributeError):  # see `can_prompt`; then standard input is a terminal
        say(question)
        return needed("input", "the reply is read there").readline()
    with os.fdopen(terminal, "r+b", buffering=0) as device, io.TextIOWrapper(device, errors="replace") as reply:
        import termios  # not on every system

        lines = wrapped(escaped(question), width(reply) or 80)
        termios.tcflush(terminal, termios.TCIFLUSH)
        try:
            device.write("\n".join(lines).encode() + b" ")
            line = reply.readline()
        except KeyboardInterrupt:
            device.write(b"\n")
            raise
        if not line.endswith("\n"):  # Ctrl-D
            device.write(b"\n")
        return line


def give_up(name: StandardStream) -> None:
    """Redirect a stream to the null device; otherwise writing the buffered text would fail again at exit."""
    stream = standard(name)
    if stream is not None:
        with suppress(OSError, ValueError), open(os.devnull, "wb") as device:  # noqa: PTH123 # a device, not a path
            os.dup2(device.fileno(), stream.fileno())


Level: TypeAlias = Literal["debug", "info", "warning"]
