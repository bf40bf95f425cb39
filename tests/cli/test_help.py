"""What a command's help says of its columns is what the command writes."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

Command = Callable[..., Any]

NUMBERS = {"four": 4, "five": 5, "eight": 8}
PAIRS = "source_userid,target_userid\na,b\n"
PEOPLE = "userid\na\n"
INVITATIONS = "community_uuid,edit_href\nc,/communities/service/atom/community/invites?communityUuid=c&userid=m\n"
COMMANDS: dict[tuple[str, ...], str] = {
    ("check",): PAIRS,
    ("invite",): PEOPLE,
    ("accept",): "connection_id\nc1\n",
    ("remove",): "connection_id\nc1\n",
    ("profile",): PEOPLE,
    ("connect",): PAIRS,
    ("disconnect",): PAIRS,
    ("community", "invite", "c"): PEOPLE,
    ("invitations", "accept"): INVITATIONS,
    ("invitations", "decline"): INVITATIONS,
    ("invitations", "revoke"): INVITATIONS,
}


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_columns_that_are_added(
    command: Command, signed_in: Any, pairs_file: Callable[..., Any], words: tuple[str, ...]
) -> None:
    told = " ".join(command(*(word for word in words if word != "c"), "--help").out.split())
    found = re.search(r"written with (\w+) more columns, which replace columns of the same names: (.*?)\. ", told + " ")
    assert found is not None
    names = [part.strip() for part in re.split(r", | and ", re.sub(r" \(.*?\)", "", found[2]))]
    assert NUMBERS[found[1]] == len(names)
    said = command(*words, pairs_file(COMMANDS[words]), *["--no-journal"] * ("invite" in words))
    assert list(said.rows[0])[-len(names) :] == names
    assert signed_in.app.commits == []


def test_the_usage_line_names_the_arguments(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    listed = re.findall(r"^│ (\w+) +(\w.*?) *│$", command("--help").out, re.MULTILINE)
    assert len(listed) == 21
    assert command("--unknown", "x", "--help").out == command("--help").out
    for name, description in listed:
        usage, summary, *panels = command(name, "--help").out.split("\n\n")
        assert " ".join(summary.split()) == description
        words = usage.split()
        assert words[:3] == ["Usage:", "aioconnections", name]
        arguments = re.findall(r"│ (?:\*  )?([A-Z]+)\b", "".join(panels).partition("─ Parameters ─")[0])
        assert [word.strip("[]") for word in words[3:] if word not in {"[OPTIONS]", "COMMAND"}] == arguments


def test_a_paragraph_of_help_fills_the_width_of_the_terminal(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (60, 100, 140):
        monkeypatch.setenv("COLUMNS", str(columns))
        filled = command("check", "--help").out.partition("\nExample")[0]
        for line, after in pairwise(filled.splitlines()):
            text, next_word = line.strip("│ "), (after.strip("│ ").split() or [""])[0]
            if re.search(r"\w$", text) and re.match("[a-z]", next_word):
                assert len(line.rstrip("│ ")) + len(next_word) >= columns - 4


FORECAST = """1 pair
plan  requests  time at 100/s
head         2          0.0 s
auto         2          0.0 s
head is exact unless requests are repeated; auto is estimated from lists of usual length
"""


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_dry_run_of_each_sends_nothing(
    command: Command, signed_in: Any, pairs_file: Callable[..., Any], words: tuple[str, ...]
) -> None:
    said = command(*words, pairs_file(COMMANDS[words]), "--dry-run", *["--no-journal"] * ("invite" in words))
    (row,) = said.rows
    assert list(row)[-5:] == ["method", "url", "body", "then", "error"]
    assert (said.code, row["error"]) == (0, "")
    assert row["url"].startswith(f"{signed_in.url}/")
    assert bool(row["body"]) is (row["method"] in {"POST", "PUT"})
    assert said.err == f"{FORECAST * ('check' in words)}nothing was sent\n"
    assert signed_in.app.requests.total == 0


def test_a_server_that_was_never_there_is_not_waited_for_and_the_help_says_so(
    command: Command, pairs_file: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("AIOCONNECTIONS_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
    assert command("check", pairs_file(PAIRS), "--user", "me", "--max-outage", "none").code == 5
    told = re.sub(r"[│\s]+", " ", command("check", "--help").out)
    assert "before the login is proved, ends the run after a few attempts" in told
