"""A terminal of its own for a command, whose standard streams lead elsewhere."""

from __future__ import annotations

import fcntl
import os
import subprocess
import termios
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from attrs import define

Start = Callable[..., "subprocess.Popen[str]"]
PairsFile = Callable[..., Path]

QUESTION = b"Password of admin: "


@define
class Terminal:
    """One end is a command's, at the other sits a test."""

    mine: int
    its: int

    def take(self) -> None:
        """Become the terminal of this process, which has none."""
        os.setsid()
        fcntl.ioctl(self.its, termios.TIOCSCTTY, 0)

    def leave_to_another(self) -> None:
        """Likewise, and run in its background."""
        self.take()
        if os.fork():  # the leader of the session stays in the foreground
            os.wait()
            os._exit(0)
        os.setpgid(0, 0)

    def read_until(self, text: bytes) -> None:
        read = b""
        while not read.endswith(text):
            read += os.read(self.mine, 1)


@pytest.fixture
def terminal() -> Generator[Terminal]:
    ends = os.openpty()
    yield Terminal(*ends)
    for end in ends:
        os.close(end)


@pytest.fixture(autouse=True)
def unasked(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("AIOCONNECTIONS_PASSWORD")
    return signed_in


def test_the_password_is_asked_for_at_the_terminal_while_rows_come_through_a_pipe(
    start: Start, pairs_file: PairsFile, terminal: Terminal
) -> None:
    check = start("check", preexec_fn=terminal.take)
    terminal.read_until(QUESTION)
    os.write(terminal.mine, b"secret\n")
    out, err = check.communicate(pairs_file(count=3).read_text("utf-8"), timeout=30)
    assert (check.returncode, len(out.splitlines())) == (0, 4)
    assert err.startswith("3 checked in ")


def test_without_a_terminal_nobody_is_asked(start: Start, pairs_file: PairsFile) -> None:
    check = start("check", pairs_file(), start_new_session=True)
    assert check.communicate(timeout=30)[1].startswith("aioconnections: the password is missing")
    assert check.returncode == 2


def test_a_command_in_the_background_asks_nobody(start: Start, pairs_file: PairsFile, terminal: Terminal) -> None:
    check = start("check", pairs_file(), preexec_fn=terminal.leave_to_another)
    assert check.communicate(timeout=30)[1].startswith("aioconnections: the password is missing")
