"""The question before many items are removed: on a terminal, with the rows in a file or in standard input."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from screen import Terminal

from aioconnections.reference import Directory

Command = Callable[..., Any]
PairsFile = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]

IDS = "".join(["connection_id\n", *(f"c{number}\n" for number in range(11))])
PAIRS = "".join(["source_userid,target_userid\n", *(f"a{number},b\n" for number in range(11))])
HREF = "/communities/service/atom/community/invites?communityUuid=c&userid=m"
INVITATIONS = "".join(["community_uuid,edit_href\n", *(f"c,{HREF}{number}\n" for number in range(11))])
DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest

REMOVERS: dict[tuple[str, ...], tuple[str, str]] = {
    ("remove",): (IDS, "Decline, withdraw or remove 11 connections? [y/N]"),
    ("disconnect",): (PAIRS, "Remove the connections or invitations between the two people of 11 pairs? [y/N]"),
    ("invitations", "decline"): (INVITATIONS, "Decline 11 invitations? [y/N]"),
    ("invitations", "revoke"): (INVITATIONS, "Revoke 11 invitations? [y/N]"),
}


@pytest.fixture
def terminal(signed_in: Any) -> Generator[Terminal]:
    del signed_in
    with Terminal(120) as terminal:
        yield terminal


@pytest.mark.parametrize("words", REMOVERS, ids=" ".join)
def test_more_than_10_items_are_removed_after_a_yes_and_not_after_anything_else(
    terminal: Terminal, pairs_file: PairsFile, signed_in: Any, words: tuple[str, ...]
) -> None:
    content, question = REMOVERS[words]
    result = Path("r.csv")
    result.write_text("of an earlier run\n", encoding="utf-8")
    for answer in ("\n", "x\n", "n\n", "\x04") if words == ("remove",) else ("\n",):
        terminal.start(*words, pairs_file(content), "-o", result)
        terminal.wait_for(question)
        terminal.press(answer)
        assert terminal.wait() == 1
        assert "aioconnections: nothing was changed, because the reply was not yes; --yes omits the question" in (
            " ".join(terminal.screen.text.split())
        )
        terminal.screen.clear()
    assert signed_in.app.requests.total == 0
    assert result.read_text("utf-8") == "of an earlier run\n"
    terminal.start(*words, pairs_file(content), "-o", result)
    terminal.wait_for(question)
    terminal.press("y\n")
    assert terminal.wait() in {0, 1}  # there are no such connections
    assert signed_in.app.requests.total >= 11
    assert len(result.read_text("utf-8").splitlines()) == 12


def test_ctrl_c_at_the_question_ends_the_command(terminal: Terminal, pairs_file: PairsFile, signed_in: Any) -> None:
    terminal.start("remove", pairs_file(IDS))
    terminal.wait_for("[y/N]")
    terminal.press("\x03")
    assert terminal.wait() == 130
    assert terminal.screen.text.splitlines()[-1] == "aioconnections: interrupted"
    assert signed_in.app.requests.total == 0


@pytest.mark.parametrize(
    ("rows", "options"),
    [(11, ["--yes"]), (11, ["-y"]), (10, []), (11, ["--dry-run"])],
    ids=["--yes", "-y", "10", "dry"],
)
def test_nothing_is_asked_with_yes_before_10_items_and_in_a_dry_run(
    terminal: Terminal, pairs_file: PairsFile, rows: int, options: list[str]
) -> None:
    path = pairs_file("".join(IDS.splitlines(keepends=True)[: rows + 1]) + "unreadable,row\n")
    terminal.start("remove", path, "-o", "r.csv", *options)
    assert terminal.wait() in {0, 1}
    assert "[y/N]" not in terminal.screen.text
    assert len(Path("r.csv").read_text("utf-8").splitlines()) == rows + 2


@pytest.mark.slow
def test_the_answer_is_not_read_from_the_rows(terminal: Terminal, signed_in: Any) -> None:
    """The rows come through a pipe that does not end."""
    reader, writer = os.pipe()
    os.write(writer, IDS.encode() + b"y\n" * 20)
    process = terminal.start("remove", "-o", "r.csv", stdin=reader)
    os.close(reader)
    terminal.wait_for("Decline, withdraw or remove more than 10 connections? [y/N]")
    terminal.press("n\n")
    assert terminal.wait() == process.returncode == 1
    assert signed_in.app.requests.total == 0
    os.close(writer)


@pytest.mark.slow
def test_typed_rows_are_read_to_their_end_before_the_question(terminal: Terminal, signed_in: Any) -> None:
    terminal.start("remove", "-o", "r.csv")
    terminal.wait_for("press Ctrl-D to end the input.")
    terminal.press(IDS + "y\n" * 3)
    terminal.press("\x04")
    terminal.wait_for("Decline, withdraw or remove 14 connections? [y/N]")
    terminal.press("no\n")
    assert terminal.wait() == 1
    assert signed_in.app.requests.total == 0


@pytest.mark.slow
def test_a_long_file_is_counted_by_its_lines(terminal: Terminal, pairs_file: PairsFile) -> None:
    terminal.start("remove", pairs_file("connection_id\n" + "".join(f"c{number}\n" for number in range(2_500))))
    terminal.wait_for("Decline, withdraw or remove about 2,500 connections? [y/N]")
    terminal.press("n\n")
    assert terminal.wait() == 1


def test_without_a_terminal_nothing_is_asked(start: Start, pairs_file: PairsFile, signed_in: Any) -> None:
    remove = start("remove", pairs_file(IDS), start_new_session=True, stdin=subprocess.DEVNULL)
    out, err = remove.communicate(timeout=60)
    assert "[y/N]" not in out + err
    assert len(out.splitlines()) == 12
    assert signed_in.app.requests.total >= 11


@pytest.mark.parametrize("words", [("remove",), ("disconnect",), ("invitations", "decline"), ("invitations", "revoke")])
def test_the_help_says_when_the_question_is_asked(command: Command, words: tuple[str, ...]) -> None:
    told = " ".join(command(*words, "--help").out.replace("│", " ").split())
    assert "--yes -y Do not ask before more than 10 rows. Without a terminal" in told
    assert "--yes" not in command("accept", "--help").out
