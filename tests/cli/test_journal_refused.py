"""Journals that cannot be used: each is refused with exit code 2 and a line that says why, and nothing is lost."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections.journal import report
from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
NEIGHBOURS = {person.userid for person, _ in DIRECTORY.neighbours(ME)}
STRANGERS = [person for person in OTHERS if person.userid not in NEIGHBOURS]

Command = Callable[..., Any]

JOURNAL = ("--journal", "my journal.sqlite")


@pytest.fixture(autouse=True)
def me(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(ME.userid))
    return signed_in


def table(header: str, *lines: tuple[object, ...]) -> Path:
    with Path("input.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(lines)
    return Path("input.csv")


def people(count: int) -> Path:
    return table("userid", *((person.userid,) for person in STRANGERS[:count]))


@pytest.mark.parametrize("line", ["3", "1"])
def test_a_changed_input_is_refused_with_the_difference(command: Command, me: Any, line: str) -> None:
    assert command("invite", people(3), *JOURNAL).code == 0
    number = int(line) - 1
    now = [person.userid for person in STRANGERS[:3]]
    was, now[number] = now[number], STRANGERS[7].userid
    said = command("invite", table("userid", *((userid,) for userid in now)), *JOURNAL)
    assert said.code == 2
    *_, stopped, difference = said.err.splitlines()
    assert stopped == f"aioconnections: stopped: item {number} differs from the run that this journal records"
    assert difference == f"aioconnections: line {number + 2} was userid {was} and is now userid {STRANGERS[7].userid}"
    assert len(me.app.commits) == 3
    assert command("invite", people(5), *JOURNAL).code == 0  # a longer one is fine


def test_a_changed_message_is_refused_and_not_shown(command: Command, me: Any) -> None:
    assert command("invite", people(1), *JOURNAL, "--message", "one").code == 0
    said = command("invite", people(1), *JOURNAL, "--message", "another")
    assert said.code == 2
    same = "aioconnections: line 2 is the same, but the text sent with it has changed"
    assert said.err.splitlines()[-1] == same
    said = command("invite", "--userid", STRANGERS[1].userid, *JOURNAL, "--message", "one")
    assert said.err.splitlines()[-1].startswith("aioconnections: the row was userid ")
    assert len(me.app.commits) == 1


def test_a_row_that_is_unreadable_now_is_a_difference_too(command: Command) -> None:
    assert command("invite", people(1), *JOURNAL).code == 0
    said = command("invite", table("userid", ("",)), *JOURNAL)
    assert said.code == 2
    assert said.err.splitlines()[-1].endswith(f"line 2 was userid {STRANGERS[0].userid} and is now unreadable")


def test_a_journal_in_use_is_left_alone_and_so_is_the_result(command: Command, me: Any) -> None:
    assert command("invite", people(3), *JOURNAL, "-o", "result.csv").code == 0
    before, asked = Path("result.csv").read_bytes(), len(me.app.commits)
    with report("my journal.sqlite"):
        said = command("invite", people(9), *JOURNAL, "-o", "result.csv")
    assert (said.code, len(me.app.commits)) == (2, asked)
    assert said.err == "aioconnections: the journal my journal.sqlite is in use by another run or report\n"
    assert Path("result.csv").read_bytes() == before


def test_a_journal_of_another_run_is_refused_and_says_which(
    command: Command, me: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("invite", people(3), *JOURNAL).code == 0
    pairs = table("source_userid,target_userid", (ME.userid, OTHERS[0].userid))
    other = "aioconnections: the journal my journal.sqlite belongs to another run: "
    said = command("check", pairs, *JOURNAL)
    assert (said.code, said.out, said.err) == (2, "", f"{other}its verb is invite, not check; choose another path\n")
    url = me.url.replace("127.0.0.1", "localhost")
    said = command("invite", people(3), *JOURNAL, "--url", url)
    assert (said.code, said.err) == (2, f"{other}its server is {me.url}, not {url}; choose another path\n")
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(STRANGERS[9].userid))
    said = command("invite", people(3), *JOURNAL)
    assert (said.code, said.err) == (2, f"{other}another user was signed in; choose another path\n")


@pytest.mark.parametrize("content", ["", "userid\na\n", "x" * 5_000])
def test_what_is_no_journal_is_said_so_and_not_touched(command: Command, content: str) -> None:
    Path("j.sqlite").write_text(content, encoding="utf-8")
    for words in (["invite", people(1), "--journal"], ["report"]):
        said = command(*words, "j.sqlite")
        assert (said.code, said.out) == (2, "")
        assert "j.sqlite" in said.err
        assert "not a journal" in said.err
        assert len(said.err.splitlines()) == 1
    assert Path("j.sqlite").read_text("utf-8") == content


@pytest.mark.parametrize("output", ["j.sqlite", "./j.sqlite", "j.sqlite-wal", "link", "hard link"])
def test_the_result_is_not_written_over_the_journal(command: Command, me: Any, output: str) -> None:
    assert command("invite", people(1), "--journal", "j.sqlite").code == 0
    Path("link").symlink_to("j.sqlite")
    Path("hard link").hardlink_to("j.sqlite")
    before, asked = Path("j.sqlite").read_bytes(), me.app.requests.total
    for words in (["invite", people(1), "--journal"], ["report"]):
        said = command(*words, "j.sqlite", "-o", output)
        assert (said.code, said.err) == (
            2,
            "aioconnections: the result cannot be written over the journal; choose another file\n",
        )
    assert Path("j.sqlite").read_bytes() == before
    assert me.app.requests.total == asked


@pytest.mark.parametrize(
    ("journal", "problem"),
    [
        ("no/j.sqlite", "no/j.sqlite is in a folder that does not exist"),
        (".", ". is a folder"),
        ("", ". is a folder"),
        ("/", "/ is a folder"),
        ("folder", "folder is a folder"),
    ],
)
def test_a_path_where_no_journal_can_be(command: Command, me: Any, journal: str, problem: str) -> None:
    Path("folder").mkdir()
    for words in (["report"], ["invite", people(1), "-o", "result.csv", "--journal"]):
        said = command(*words, journal)
        assert (said.code, said.out) == (2, "")
        assert said.err == f"aioconnections: the journal {problem}; choose another file\n"
    assert me.app.commits == []
    assert not Path("result.csv").exists()
