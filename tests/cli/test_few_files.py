"""A command whose process may open few files: it does with few connections, or says what is missing."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit there")

Start = Callable[..., "subprocess.Popen[str]"]
PairsFile = Callable[..., Path]


@pytest.fixture
def limited(start: Start) -> Callable[..., tuple[int, str]]:
    """Runs a command that may have so many files open; its exit code, and what it said."""

    def call(files: int, *arguments: object) -> tuple[int, str]:
        import resource

        limit = (files, files)
        process = start(*arguments, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit))
        _, said = process.communicate(timeout=60)
        return process.returncode, said

    return call


def test_few_connections_are_named_once_in_the_summary(
    limited: Callable[..., tuple[int, str]], pairs_file: PairsFile, signed_in: Any
) -> None:
    del signed_in
    wide = ("--max-connections", 64, "--max-per-second", 0, "--log-level", "warning")
    code, said = limited(12, "check", pairs_file(count=300), "-o", "result.csv", *wide)
    assert code == 0
    logged, summary, named = said.splitlines()
    assert "WARNING this machine allows no further connection" in logged
    assert summary.startswith("300 checked in ")
    assert named.startswith("aioconnections: this machine limited the connections to ")
    assert named.endswith("; raise the limit of open files (ulimit -n)")
    rows = Path("result.csv").read_text("utf-8").splitlines()[1:]
    assert len(rows) == 300
    assert all(row.split(",")[2] == row.split(",")[3] for row in rows), "every pair as it is"


@pytest.mark.slow
def test_a_journal_that_cannot_be_opened_for_want_of_files_says_so(
    limited: Callable[..., tuple[int, str]], pairs_file: PairsFile, signed_in: Any
) -> None:
    del signed_in
    seen = set[str]()
    for files in range(9, 20):
        code, said = limited(files, "check", pairs_file(count=20), "--journal", "j.sqlite", "-o", "result.csv")
        if code == 0:
            break
        seen.add(said.splitlines()[-1])
    else:
        pytest.fail(f"nothing but {seen}")
    why = "too few file descriptors are left; raise their limit (ulimit -n)"
    assert f"aioconnections: the journal j.sqlite: {why}" in seen


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_the_file_that_was_the_next_one_is_not_blamed(
    command: Callable[..., Any], pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch, signed_in: Any, number: int
) -> None:
    del signed_in
    path = pairs_file(count=2)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "site-packages/some_module.py")

    monkeypatch.setattr("asyncio.new_event_loop", refuse)
    monkeypatch.setattr("asyncio.runners.events.new_event_loop", refuse)
    said = command("check", path)
    assert said.code == 1
    assert said.err.endswith(f"aioconnections: {os.strerror(number)}; raise the limit of open files (ulimit -n)\n")
