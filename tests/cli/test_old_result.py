"""The result of an earlier run is replaced by what a run has done, and by nothing less."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections.cli.verbs import CHECK
from aioconnections.cli.writing import Writing
from aioconnections.columns import Untyped
from aioconnections.errors import DeadlineError
from aioconnections.files.rows import PAIRS, InputRow, RowPair
from aioconnections.outcomes import Checked, Failed, Outcome, Unprocessed
from aioconnections.records import Pair, Userid
from aioconnections.reference import Fault

Command = Callable[..., Any]
PairsFile = Callable[..., Path]
Once = Callable[[Callable[[], bool], Callable[[], object]], None]

OLD = "the result of yesterday\n"
LEFT = "aioconnections: keep.csv is unchanged, because nothing was done"
OUTPUT = ("-o", "keep.csv")

pytestmark = pytest.mark.usefixtures("signed_in")


@pytest.fixture(autouse=True)
def old() -> Path:
    path = Path("keep.csv")
    path.write_text(OLD, encoding="utf-8")
    return path


def test_a_wrong_password_costs_no_old_result(
    command: Command, pairs_file: PairsFile, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "gehe1m")
    said = command("check", pairs_file(count=3_000), *OUTPUT)
    assert (said.code, old.read_text("utf-8")) == (3, OLD)
    summary, *rest = said.err.splitlines()
    assert summary.endswith("; 3,000 unprocessed")
    assert rest == ["aioconnections: stopped: HTTP 401: the server refused the login", LEFT]


def test_a_login_that_was_forgotten_costs_none(
    command: Command, pairs_file: PairsFile, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIOCONNECTIONS_USER")
    said = command("check", pairs_file(), *OUTPUT)
    assert (said.code, old.read_text("utf-8"), said.err.splitlines()[-1]) == (3, OLD, LEFT)


def test_a_server_that_is_not_there_costs_none(command: Command, pairs_file: PairsFile, old: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    said = command("check", pairs_file(), *OUTPUT, "--url", url)
    assert (said.code, old.read_text("utf-8"), said.err.splitlines()[-1]) == (5, OLD, LEFT)


def test_ctrl_c_before_anything_was_done_costs_none(
    command: Command, pairs_file: PairsFile, old: Path, signed_in: Any, once: Once
) -> None:
    signed_in.app.faults = [Fault("stall")]
    once(lambda: bool(signed_in.app.requests.by_path), lambda: os.kill(os.getpid(), signal.SIGINT))
    said = command("check", pairs_file(), *OUTPUT)
    assert (said.code, old.read_text("utf-8")) == (130, OLD)
    assert said.err.splitlines()[-2:] == [LEFT, "aioconnections: interrupted"]


@pytest.mark.parametrize("there", ["nothing", "an empty file"])
def test_where_there_is_no_old_result_every_row_is_written(
    command: Command, pairs_file: PairsFile, old: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    if there == "nothing":
        old.unlink()
    else:
        old.write_text("", encoding="utf-8")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "gehe1m")
    said = command("check", pairs_file(), *OUTPUT)
    assert (said.code, len(old.read_text("utf-8").splitlines())) == (3, 21)
    assert LEFT not in said.err


def test_a_run_that_has_done_something_replaces_it_whatever_ended_the_run(
    command: Command, pairs_file: PairsFile, old: Path, signed_in: Any
) -> None:
    signed_in.refuses_after = 5
    said = command("check", pairs_file(), *OUTPUT)
    rows = old.read_text("utf-8").splitlines()
    assert (said.code, len(rows)) == (3, 21)
    assert rows[0].startswith("source_email,")
    assert LEFT not in said.err


def test_a_run_that_went_to_its_end_replaces_it_whatever_its_rows_say(
    command: Command, pairs_file: PairsFile, old: Path
) -> None:
    said = command("check", pairs_file("source_email,target_email\n,b@x\n"), *OUTPUT)
    assert said.code == 1
    assert old.read_text("utf-8").endswith('line 2: no source: source_userid, source_key and source_email are empty"\n')


@pytest.mark.slow
def test_a_killed_run_leaves_what_it_has_done(
    start: Callable[..., subprocess.Popen[str]], pairs_file: PairsFile, old: Path
) -> None:
    check = start("check", pairs_file(count=1_000), *OUTPUT, "--max-per-second", 10)
    while len(old.read_bytes().splitlines()) < 2:
        assert check.poll() is None
    check.kill()
    check.wait(30)
    text = old.read_bytes()
    assert text.startswith(b"source_email,")
    assert len(text) < io.DEFAULT_BUFFER_SIZE  # it had not to wait for more


def outcomes(*kinds: type[Outcome]) -> list[Outcome]:
    items = [PAIRS.item({"source": "a", "target": str(index)}, index, Untyped("userid")) for index in range(len(kinds))]
    facts: dict[type[Outcome], dict[str, Any]] = {
        Checked: {"status": None, "pair": Pair(Userid("a"), Userid("b"))},
        Failed: {"error": DeadlineError("late", sent="no")},
    }
    return [
        kind(**facts.get(kind, {"reason": "no"}), index=index, item=items[index]) for index, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize(
    ("kinds", "written"),
    [
        ([Failed, Unprocessed], 0),
        ([Failed, Unprocessed, Checked], 3),
        ([Checked, Failed], 2),
        ([Failed] * 1_000, 0),
        ([Failed] * 1_001, 1_001),
    ],
    ids=["undone", "undone and done", "done and undone", "as many as are held", "too many"],
)
def test_what_says_that_nothing_was_done_waits_for_more(kinds: list[type[Outcome]], written: int) -> None:
    rows: list[InputRow] = []
    writing: Writing[RowPair] = Writing(rows.append, CHECK, ("status", "http_status", "error"), held=[])
    for outcome in outcomes(*kinds):
        writing.take(outcome)
    assert [row["target"] for row in rows] == [str(index) for index in range(written)]
    writing.release()
    assert len(rows) == len(kinds)
