"""Standard streams that are closed, full, or that nobody reads: a line that names them, and no traceback."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from aioconnections.cli.progress import input_file
from aioconnections.files.source import opened

Start = Callable[..., "subprocess.Popen[str]"]
Stream = Literal["stdin", "stdout", "stderr"]

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
ASKED = pytest.mark.parametrize("words", [["--help"], ["--version"], ["check", "--help"]], ids=" ".join)


def to_nobody(start: Start, *words: str, stream: Stream = "stdout") -> tuple[int, str, str]:
    """The exit code, and what is said to the other streams, if nobody reads one of them."""
    reader, writer = os.pipe()
    os.close(reader)
    process = start(*words, **{stream: writer})
    os.close(writer)
    out, err = process.communicate(timeout=30)
    return process.returncode, out or "", err or ""


def to_a_full_disk(start: Start, *words: str, stream: Stream = "stdout") -> tuple[int, str, str]:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        process = start(*words, **{stream: full})
    out, err = process.communicate(timeout=30)
    return process.returncode, out or "", err or ""


@ASKED
def test_who_has_seen_enough_of_the_help_is_told_nothing(start: Start, words: list[str]) -> None:
    assert to_nobody(start, *words) == (0, "", "")


@FULL
@ASKED
def test_a_full_disk_behind_the_help_is_named(start: Start, words: list[str]) -> None:
    assert to_a_full_disk(start, *words) == (1, "", "aioconnections: standard output: No space left on device\n")


@pytest.mark.parametrize("lost", [to_nobody, pytest.param(to_a_full_disk, marks=FULL)], ids=["unread", "full"])
def test_a_complaint_that_nobody_sees_remains_one(start: Start, lost: Callable[..., Any]) -> None:
    assert lost(start, "chekc", stream="stderr") == (2, "", "")


@pytest.mark.parametrize("lost", [to_nobody, pytest.param(to_a_full_disk, marks=FULL)], ids=["unread", "full"])
def test_that_nobody_sees_why_does_not_change_the_exit_code(start: Start, lost: Callable[..., Any]) -> None:
    assert lost(start, "report", "missing.sqlite", stream="stderr") == (2, "", "")


def test_a_server_whose_address_nobody_reads_does_not_blame_its_port(start: Start) -> None:
    said = to_nobody(start, "serve", "--people", "20")
    assert said == (1, "", "aioconnections: standard output: Broken pipe\n")


@FULL
def test_a_full_disk_behind_the_address_of_a_server(start: Start) -> None:
    said = to_a_full_disk(start, "serve", "--people", "20")
    assert said == (1, "", "aioconnections: standard output: No space left on device\n")


def closed(start: Start, *words: str, fd: int) -> tuple[int, str, str]:
    """The exit code, and what is said, if a standard stream is closed before the command starts."""
    process = start(*words, preexec_fn=lambda: os.close(fd))
    out, err = process.communicate("", timeout=30)
    return process.returncode, out, err


@pytest.mark.usefixtures("signed_in")
def test_without_standard_input_a_file_has_to_be_named(start: Start) -> None:
    said = closed(start, "check", fd=0)
    assert said == (2, "", "aioconnections: standard input is closed; name a file\n")


@pytest.mark.usefixtures("signed_in")
def test_without_standard_input_nobody_is_asked_for_a_password(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIOCONNECTIONS_PASSWORD")
    code, out, err = closed(start, "check", "pairs.csv", fd=0)
    assert (code, out) == (2, "")
    assert err.startswith("aioconnections: the password is missing")


@pytest.mark.slow
@pytest.mark.parametrize("words", [["check", "pairs.csv"], ["search", "--name", "a*"]], ids=" ".join)
def test_without_standard_output_a_file_has_to_be_named(
    start: Start, pairs_file: Callable[..., Path], signed_in: Any, words: list[str]
) -> None:
    pairs_file()
    said = closed(start, *words, fd=1)
    assert said == (2, "", "aioconnections: standard output is closed; name a file with --output\n")
    assert signed_in.app.requests.total == 0
    assert closed(start, *words, "-o", "result.csv", fd=1)[0] == 0
    assert len(Path("result.csv").read_text("utf-8").splitlines()) > 1


def test_a_server_without_standard_output(start: Start) -> None:
    problem = "standard output is closed; the command prints its URL there"
    assert closed(start, "serve", fd=1) == (2, "", f"aioconnections: {problem}\n")


@pytest.mark.slow
@pytest.mark.usefixtures("signed_in")
def test_without_standard_error_the_rows_are_alone(start: Start, pairs_file: Callable[..., Path]) -> None:
    code, out, _ = closed(start, "check", str(pairs_file()), fd=2)
    assert (code, len(out.splitlines())) == (0, 21)


@pytest.mark.parametrize("path", [None, Path("-")])
def test_standard_input_stays_open(path: Path | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("one\ntwo\n")
    with (tmp_path / "input").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        with opened(input_file(path)) as file:
            assert list(file) == ["one\n", "two\n"]
        assert os.fstat(stdin.fileno())


def test_who_has_to_type_is_told_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    inner, outer = os.openpty()
    try:
        with open(outer, encoding="utf-8", closefd=False) as stdin:  # a descriptor, not a path
            monkeypatch.setattr("sys.stdin", stdin)
            with opened(input_file(None)):
                assert capsys.readouterr().err == "Reading rows from the terminal; press Ctrl-D to end the input.\n"
    finally:
        os.close(inner)
        os.close(outer)
