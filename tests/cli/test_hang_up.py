"""A terminal that is closed during a run: the run ends as after SIGTERM, and its journal is complete."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from screen import Terminal

from aioconnections.reference import Directory

Command = Callable[..., Any]
PairsFile = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
NEIGHBOURS = {person.userid for person, _ in DIRECTORY.neighbours(ME)}
STRANGERS = [person for person in OTHERS if person.userid not in NEIGHBOURS][:20]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def me(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(ME.userid))
    return signed_in


@pytest.fixture
def terminal(me: Any) -> Generator[Terminal]:
    del me
    with Terminal(80) as terminal:
        yield terminal


@pytest.mark.parametrize("output", [["-o", "r.csv"], []], ids=["a bar", "rows on the terminal"])
def test_a_closed_terminal_ends_a_run_whose_journal_is_complete(
    terminal: Terminal, command: Command, pairs_file: PairsFile, me: Any, output: list[str]
) -> None:
    people = pairs_file("".join(["userid\n", *(f'"{person.userid}"\n' for person in STRANGERS)]))
    # The view appears after 2 s, when half of the people are still to be invited.
    process = terminal.start("invite", people, "--journal", "j.sqlite", "--max-per-second", 4, *output)
    terminal.wait_for("invited" if not output else "inviting ━")
    while len(me.app.commits) < 3:
        assert process.poll() is None
    terminal.hang_up()
    assert process.wait(60) == 130
    sent = len(me.app.commits)
    assert 3 <= sent < 20
    report = command("report", "j.sqlite")
    assert Counter(row["outcome"] for row in report.rows)["invited"] == sent
    if output:
        assert len(Path("r.csv").read_text("utf-8").splitlines()) == 21, "each row of the input is in the result"
    again = command("invite", people, "--journal", "j.sqlite", "--max-per-second", 0)
    assert again.code == 0, again.err
    assert len(me.app.commits) == len({commit.target for commit in me.app.commits}) == 20


def test_sighup_prints_the_command_that_resumes(start: Start, pairs_file: PairsFile, me: Any) -> None:
    people = pairs_file("".join(["userid\n", *(f'"{person.userid}"\n' for person in STRANGERS)]))
    invite = start("invite", people, "--journal", "j.sqlite", "--max-per-second", 10)
    while len(me.app.commits) < 3:
        assert invite.poll() is None
    invite.send_signal(signal.SIGHUP)
    _, err = invite.communicate(timeout=60)
    assert invite.returncode == 130
    assert err.splitlines()[-2] == "aioconnections: interrupted"
    assert err.splitlines()[-1].startswith("aioconnections: to resume: ")


def test_a_run_under_nohup_goes_on(start: Start, pairs_file: PairsFile, me: Any) -> None:
    people = pairs_file("".join(["userid\n", *(f'"{person.userid}"\n' for person in STRANGERS)]))
    ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731 # as nohup does
    invite = start("invite", people, "--no-journal", "--max-per-second", 20, preexec_fn=ignore)
    while len(me.app.commits) < 3:
        assert invite.poll() is None
    invite.send_signal(signal.SIGHUP)
    out, _ = invite.communicate(timeout=60)
    assert (invite.returncode, len(out.splitlines())) == (0, 21)
