"""A terminal with a screen: what a person sees of a command, and the keys that they press.

The screen knows the control sequences that a command line needs: moving the cursor, erasing, hiding the cursor and
colours. Any other sequence fails the test, as would a control character that a name has carried to the terminal.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from types import TracebackType
from typing import Any, Self

__all__ = ["Screen", "Terminal"]

_SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")
_ERASURE = re.compile(r"(\r?\x1b\[2K(?:\x1b\[1A\x1b\[2K)*)")  # of one line, or of several from below
_LONGEST = 60.0  # seconds, against a command that hangs


class Screen:
    """The lines of a terminal, without an end to its height.

    Attributes:
        columns: width in characters.
        lines: text of each line.
        is_cursor_visible: whether the cursor is shown.
        colours: parameters of the colour sequences so far.
        cuts: numbers of the lines that the terminal has ended because they were full.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines = [""]
        self.is_cursor_visible = True
        self.colours: list[str] = []
        self.cuts: list[int] = []
        self._row = self._column = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Show what a program has written."""
        text, self._rest = self._rest + text, ""
        at = 0
        while at < len(text):
            if text[at] != "\x1b":
                self._put(text[at])
                at += 1
                continue
            found = _SEQUENCE.match(text, at)
            if found is None:
                assert len(text) - at < 40, f"unknown sequence {text[at : at + 12]!r}"
                self._rest = text[at:]
                return
            self._obey(*found.groups())
            at = found.end()

    def clear(self) -> None:
        """Forget what is shown."""
        self.lines, self.cuts = [""], []
        self._row = self._column = 0

    @property
    def text(self) -> str:
        """What is visible, without spaces at the ends of lines and without empty lines at the end."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n")

    def _put(self, character: str) -> None:
        if character == "\n":
            self._row += 1
        elif character == "\r":
            self._column = 0
        elif character == "\x07":
            pass
        else:
            assert character.isprintable(), f"control character {character!r}"
            if self._column == self.columns:
                self.cuts.append(self._row)
                self._row, self._column = self._row + 1, 0
            line = self._line().ljust(self._column)
            self.lines[self._row] = line[: self._column] + character + line[self._column + 1 :]
            self._column += 1
        self._line()

    def _line(self) -> str:
        self.lines += [""] * (self._row + 1 - len(self.lines))
        return self.lines[self._row]

    def _obey(self, private: str, parameters: str, verb: str) -> None:
        number = int(parameters.partition(";")[0] or 0)
        match private + verb:
            case "A":
                self._row = max(0, self._row - max(number, 1))
            case "B":
                self._row += max(number, 1)
            case "G":
                self._column = max(number, 1) - 1
            case "K" if number == 2:
                self.lines[self._row] = ""
            case "K" if number == 0:
                self.lines[self._row] = self._line()[: self._column]
            case "?h" | "?l" if number == 25:
                self.is_cursor_visible = verb == "h"
            case "m":
                self.colours.append(parameters)
            case "?h" | "?l" if number == 2004:
                pass  # bracketed paste
            case _:
                raise AssertionError(f"unknown sequence {private}{parameters}{verb}")


class Terminal:
    """A pseudo-terminal, which is the controlling terminal of one command.

    Args:
        columns: width; the height is 24 lines.

    Attributes:
        screen: what is shown.
        frames: what was shown after each write of the command, and before each erasure of lines.
    """

    def __init__(self, columns: int) -> None:
        self.screen = Screen(columns)
        self.frames: list[str] = []
        self._mine, self._its = os.openpty()
        fcntl.ioctl(self._its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._process: subprocess.Popen[bytes] | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def start(self, *words: object, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command on this terminal; `options` may lead its streams elsewhere."""
        environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        environment |= {"TERM": "xterm-256color", "PYTHONUNBUFFERED": ""} | options.pop("env", {})
        streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), self._its)
        line = [sys.executable, "-m", "aioconnections", *map(str, words)]
        self._process = subprocess.Popen(line, env=environment, preexec_fn=self._take, **streams | options)  # noqa: PLW1509 # only two system calls
        return self._process

    def _take(self) -> None:
        os.setsid()
        fcntl.ioctl(self._its, termios.TIOCSCTTY, 0)

    def press(self, keys: str) -> None:
        """Send keys to the command."""
        os.write(self._mine, keys.encode())

    def wait_for(self, text: str) -> None:
        """Show what the command writes until the screen has this text."""
        end = time.monotonic() + _LONGEST
        while text not in self.screen.text:
            assert self._show(end), f"the command has ended; the screen shows:\n{self.screen.text}"

    def wait(self) -> int:
        """Show what the command writes until it ends; return its exit code."""
        assert self._process is not None
        end = time.monotonic() + _LONGEST
        while self._process.poll() is None:
            self._show(end, pause=0.05)
        while select.select([self._mine], [], [], 0)[0] and self._show(end):
            pass
        return self._process.returncode

    def hang_up(self) -> None:
        """Close the window: the command gets SIGHUP, and its terminal is gone."""
        os.close(self._its)
        os.close(self._mine)
        self._mine = self._its = -1

    def _show(self, end: float, pause: float = _LONGEST) -> bool:
        """Show what the command has written; False if there is no more."""
        assert time.monotonic() < end, f"the command hangs; the screen shows:\n{self.screen.text}"
        if not select.select([self._mine], [], [], pause)[0]:
            return True
        read = os.read(self._mine, 65_536)
        # A character may arrive in two parts, and several writes may be read together.
        for part in _ERASURE.split(self._decoder.decode(read)):
            self.screen.feed(part)
            if not _ERASURE.fullmatch(part):
                self.frames.append(self.screen.text)
        return bool(read)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        for end in (self._mine, self._its):
            if end >= 0:
                os.close(end)
