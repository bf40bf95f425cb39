"""What a command's help says of its columns is what the command writes."""

from __future__ import annotations

import re
from collections.abc import Callable
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
    assert said.err == "nothing was sent\n"
    assert signed_in.app.requests.total == 0
