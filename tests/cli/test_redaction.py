"""Secrets are planted, a command ends in every way that there is, and what it left behind is searched for them."""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections.records import Email
from aioconnections.reference import Directory, Fault, app

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
NEIGHBOURS = {person.userid for person, _ in DIRECTORY.neighbours(ME)}
STRANGERS = [person for person in OTHERS if person.userid not in NEIGHBOURS][:12]

PASSWORD = "gehe1m pl4nted"
TOKEN = "t0ken.pl4nted-0123456789"
MESSAGE = "Pl4nted: shall we connect?"
ADDRESSES = [str(person.email) for person in (ME, *STRANGERS)]

LEVELS = pytest.mark.parametrize("level", [None, "warning", "info", "debug"])


def encoded(user: object, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


SECRETS = (PASSWORD, TOKEN, encoded(ME.email, PASSWORD), encoded(ME.email, "secret"), MESSAGE, "Pl4nted")

DEFECT = """
import sys, traceback
from aioconnections.cli.writing import Writing

def broken(self, outcome):
    raise ZeroDivisionError

def with_locals(kind, error, trace):
    print("TOLD", *traceback.TracebackException(kind, error, trace).format(), sep="\\n", file=sys.stderr)
    print("WITH LOCALS", file=sys.stderr)
    lines = traceback.TracebackException(kind, error, trace, capture_locals=True).format()
    print(*lines, sep="\\n", file=sys.stderr)

Writing.take = broken
sys.excepthook = with_locals
from aioconnections.__main__ import main
main()
"""


class Left:
    """What a command left behind."""

    def __init__(self, process: subprocess.Popen[str], out: str, err: str) -> None:
        self.code: int = process.returncode
        self.out, self.err = out, err
        self.arguments = "\0".join(map(str, process.args))  # type: ignore[arg-type] # a list
        files = [path for path in Path().iterdir() if path.name.startswith("j.sqlite")]
        self.journal = b"".join(path.read_bytes() for path in files)

    def assert_clean(self) -> None:
        texts = {
            "stdout": self.out,
            "stderr": self.err,
            "arguments": self.arguments,
            "journal": self.journal.decode("latin1"),
        }
        assert [(name, secret) for name, text in texts.items() for secret in SECRETS if secret in text] == []
        told = self.err.partition("WITH LOCALS")[0]  # there they are reprs of records
        assert [address for address in ADDRESSES if address.lower() in (told + self.arguments).lower()] == []


@pytest.fixture
def leave(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Left]:
    """Invites people, and says what that left behind."""
    signed_in.app = app(DIRECTORY, auth="oauth", tokens={TOKEN: ME.userid})  # type: ignore[dict-item] # there is one
    for name, text in {"token": TOKEN, "password": PASSWORD, "message": MESSAGE}.items():
        Path(name).write_text(text + "\n", encoding="utf-8")
    Path("people.csv").write_text("\n".join(["email", *(f"{p.email}" for p in STRANGERS)]), encoding="utf-8")
    for name in ("USER", "PASSWORD"):
        monkeypatch.delenv(f"AIOCONNECTIONS_{name}")

    def call(
        *options: object, level: str | None, script: str = "", meanwhile: Callable[..., object] | None = None
    ) -> Left:
        program = ["-c", script] if script else ["-m", "aioconnections"]
        words = ["invite", "people.csv", "--journal", "j.sqlite", "--message-file", "message", *map(str, options)]
        if level is not None:
            words += ["--log-level", level]
        process = subprocess.Popen(
            [sys.executable, *program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            if meanwhile is not None:
                meanwhile(process)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        return Left(process, out, err)

    return call


@pytest.mark.slow
@LEVELS
def test_a_good_run(leave: Callable[..., Left], signed_in: Any, level: str | None) -> None:
    signed_in.app.faults = [Fault("refuse", operation="invite", status=429, retry_after="0", times=1)]
    left = leave("--token-file", "token", level=level)
    assert (left.code, left.out.count(",invited,")) == (0, len(STRANGERS))
    assert ADDRESSES[1] in left.out
    assert ADDRESSES[1].encode() in left.journal
    left.assert_clean()
    log = re.findall(r" (DEBUG|INFO|WARNING) (.*)", left.err)
    assert {name for name, _ in log} == {"debug": {"DEBUG", "INFO"}, "info": {"INFO"}}.get(str(level), set())
    assert (("DEBUG", "POST") in [(name, text[:4]) for name, text in log]) is (level == "debug")


@pytest.mark.slow
@LEVELS
def test_a_wrong_password(leave: Callable[..., Left], signed_in: Any, level: str | None) -> None:
    signed_in.app = app(DIRECTORY)
    left = leave("--user", ME.userid, "--password-file", "password", level=level)
    assert (left.code, left.out.count(",unprocessed,")) == (3, len(STRANGERS))
    assert ("WARNING the login was refused" in left.err) is (level is not None)
    left.assert_clean()


@pytest.mark.slow
@LEVELS
def test_a_right_password(leave: Callable[..., Left], signed_in: Any, level: str | None) -> None:
    signed_in.app = app(DIRECTORY)
    Path("password").write_text("secret\n", encoding="utf-8")
    left = leave("--user", ME.userid, "--password-file", "password", level=level)
    assert (left.code, left.out.count(",invited,")) == (0, len(STRANGERS))
    assert encoded(ME.userid, "secret") not in left.out + left.err + left.journal.decode("latin1")
    left.assert_clean()


@pytest.mark.slow
@LEVELS
def test_a_server_that_is_not_there(leave: Callable[..., Left], level: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    left = leave("--token-file", "token", "--url", url, level=level)
    assert (left.code, left.out.count(",unprocessed,")) == (5, len(STRANGERS))
    left.assert_clean()


@pytest.mark.slow
@LEVELS
def test_a_defect_with_a_traceback(leave: Callable[..., Left], level: str | None) -> None:
    left = leave("--token-file", "token", level=level, script=DEFECT)
    assert left.code == 1
    assert "ZeroDivisionError\n" in left.err.partition("WITH LOCALS")[0].partition("TOLD")[2]
    assert "message = TypedMessage(" in left.err.partition("WITH LOCALS")[2]  # locals of ours are there
    left.assert_clean()


@pytest.mark.slow
@LEVELS
def test_an_end_in_the_middle(leave: Callable[..., Left], signed_in: Any, level: str | None) -> None:
    signed_in.app.faults = [Fault("delay", operation="invite", seconds=0.1)]

    def interrupt(process: subprocess.Popen[str]) -> None:
        while not signed_in.app.commits:
            assert process.poll() is None
        arguments = Path(f"/proc/{process.pid}/cmdline")
        if arguments.exists():
            assert [secret for secret in (*SECRETS, *ADDRESSES) if secret in arguments.read_text()] == []
        os.kill(process.pid, signal.SIGINT)

    left = leave("--token-file", "token", "--max-connections", 2, level=level, meanwhile=interrupt)
    assert left.code == 130
    assert "to resume: " in left.err
    assert ",invited," in left.out
    left.assert_clean()


def test_what_is_planted_would_be_found() -> None:
    process = subprocess.Popen([sys.executable, "-c", f"print({MESSAGE!r})"], stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate(timeout=60)
    for left in (Left(process, "", ""), Left(process, "", ADDRESSES[1]), Left(process, TOKEN, "")):
        with pytest.raises(AssertionError):
            left.assert_clean()
    assert MESSAGE in out
    assert Email(ADDRESSES[1]) == STRANGERS[0].email
