"""Commands with a journal: run again they go on, whatever ended them."""

from __future__ import annotations

import csv
import os
import re
import shlex
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from faulty_disk import Disk

from aioconnections.cli import run
from aioconnections.journal import database
from aioconnections.records import Person, Status
from aioconnections.reference import Directory, Fault

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
NEIGHBOURS = {person.userid: status for person, status in DIRECTORY.neighbours(ME)}
STRANGERS = [person for person in OTHERS if person.userid not in NEIGHBOURS]
COMMUNITY = next(community for community in DIRECTORY.communities if community.invited)

Command = Callable[..., Any]
PairsFile = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]
Once = Callable[[Callable[[], bool], Callable[[], object]], None]

JOURNAL = ("--journal", "my journal.sqlite")
SHORT = ("--attempt-timeout", 0.5)
JOINING = ("invitations accept", "invitations decline")
LISTINGS: dict[str, list[object]] = {
    "accept": ["colleagues", "--userid", ME.userid, "--status", "pending"],
    "remove": ["colleagues", "--userid", ME.userid, "--status", "unconfirmed"],
    "invitations accept": ["invitations", "list"],
    "invitations decline": ["invitations", "list"],
    "invitations revoke": ["community", "invitations", COMMUNITY.uuid],
}


@pytest.fixture(autouse=True)
def me(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    sign_in(monkeypatch, ME)
    return signed_in


def sign_in(monkeypatch: pytest.MonkeyPatch, person: Person) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(person.userid))


def table(header: str, *lines: tuple[object, ...], name: str = "input.csv") -> Path:
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(lines)
    return Path(name)


def people(count: int, *, first: int = 0) -> Path:
    return table("userid", *((person.userid,) for person in STRANGERS[first : first + count]))


def changes(me: Any) -> list[tuple[str, ...]]:
    return [(commit.verb, commit.source, commit.target) for commit in me.app.commits]


def input_of(verb: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something for a command to do, with whoever may do it signed in."""
    if verb.startswith(("community", "invitations")):
        sign_in(monkeypatch, COMMUNITY.invited[0] if verb in JOINING else COMMUNITY.owners[0])
    if verb.endswith("connect"):
        monkeypatch.setenv("AIOCONNECTIONS_USER", "admin")
    listing = LISTINGS.get(verb)
    if listing is not None:
        command(*listing, "-o", "input.csv")
        return Path("input.csv")
    if verb == "community invite":
        inside = {person.userid for person in (*COMMUNITY.owners, *COMMUNITY.members, *COMMUNITY.invited)}
        return table("userid", *((person.userid,) for person in OTHERS[:12] if person.userid not in inside))
    if verb == "invite":
        return people(8)
    others = [person for person, status in DIRECTORY.neighbours(ME) if status is Status.ACCEPTED]
    chosen = {"check": OTHERS[:8], "connect": STRANGERS[:3], "disconnect": others}[verb]
    return table("source_userid,target_userid", *((ME.userid, other.userid) for other in chosen))


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb",
    [
        *("check", "invite", "accept", "remove", "connect", "disconnect", "community invite"),
        *("invitations accept", "invitations decline", "invitations revoke"),
    ],
)
def test_the_same_command_again_writes_the_same_rows_and_does_nothing(
    command: Command, me: Any, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    words = [*verb.split(), *[COMMUNITY.uuid] * (verb == "community invite")]
    file = input_of(verb, command, monkeypatch)
    first = command(*words, file, *JOURNAL, "--ordered")
    assert first.code == 0
    count, changed, asked = len(first.rows), len(me.app.commits), me.app.requests.total
    assert count > 0
    assert changed == (0 if verb == "check" else count)
    again = command(*words, file, *JOURNAL, "--ordered")
    assert (again.code, again.out) == (0, first.out)
    assert re.search(
        rf"; {count} of these from an earlier run; outcomes of an earlier run are \d s old$", again.err.rstrip()
    )
    assert "earlier run" not in first.err
    assert (len(me.app.commits), me.app.requests.total - asked) == (changed, 1)  # the canary
    told = command("report", "my journal.sqlite")
    assert (told.code, len(told.rows)) == (0, count)


@pytest.mark.parametrize("verb", ["check", "invite", "connect"])
def test_a_shorter_input_is_refused_after_its_rows_and_a_longer_one_is_not(
    command: Command, me: Any, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    file = input_of(verb, command, monkeypatch)
    lines = file.read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:4]), encoding="utf-8")
    assert command(verb, file, *JOURNAL).code == 0
    count = len(me.app.commits)
    file.write_text("".join(lines[:3]), encoding="utf-8")
    said = command(verb, file, *JOURNAL)
    assert (said.code, len(said.rows), len(me.app.commits)) == (2, 2, count)
    assert "stopped: the input ends before item 2, which this journal records" in said.err
    named = lines[3].split(",")[-1].strip()
    assert re.search(rf"the input has too few rows; the last recorded one is .*{named}$", said.err.rstrip())
    file.write_text("".join(lines), encoding="utf-8")
    assert command(verb, file, *JOURNAL).code == 0


def test_the_report_says_what_was_wrong_with_a_row(command: Command, me: Any) -> None:
    assert me
    assert command("invite", table("userid", (STRANGERS[0].userid,), ("",)), *JOURNAL).code == 1
    said = command("report", "my journal.sqlite")
    assert [(row["outcome"], row["error"]) for row in said.rows] == [
        ("invited", ""),
        ("failed", "InvalidInputError: line 3: no person: userid, key and email are empty"),
    ]


@pytest.mark.slow
def test_a_killed_run_goes_on_and_nobody_is_invited_twice(command: Command, start: Start, me: Any) -> None:
    me.app.faults = [Fault("stall", at="commit", operation="invite", person=STRANGERS[5])]
    invite = start("invite", people(20), *JOURNAL, "--max-connections", 2, "-o", "result.csv")
    while len(me.app.commits) < 10:
        assert invite.poll() is None
    invite.kill()
    invite.wait(30)
    me.app.faults = []
    told = command("report", "my journal.sqlite")
    assert told.code == 1
    assert told.rows[5]["outcome"] == "in_doubt"
    assert len(told.rows) < 20
    said = command("invite", people(20), *JOURNAL, "--settle", 0, "-o", "result.csv", "--ordered")
    assert said.code == 0
    with Path("result.csv").open(encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    assert [row["userid"] for row in rows] == [str(person.userid) for person in STRANGERS[:20]]
    assert {row["outcome"] for row in rows} == {"invited"}
    assert len(me.app.commits) == len({*changes(me)}) == 20
    assert command("report", "my journal.sqlite").code == 0


def test_who_wants_only_a_report_of_doubts_gets_no_second_invitation(command: Command, start: Start, me: Any) -> None:
    me.app.faults = [Fault("stall", operation="invite")]  # nothing is committed
    invite = start("invite", people(2), *JOURNAL)
    while me.app.requests.by_path["/profiles/atom/connections.do"] < 2:
        assert invite.poll() is None
    invite.kill()
    invite.wait(30)
    me.app.faults = []
    said = command("invite", people(2), *JOURNAL, "--on-unknown", "report")
    assert said.code == 1
    assert [row["outcome"] for row in said.rows] == ["in_doubt", "in_doubt"]
    assert changes(me) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_says_how_to_go_on(
    command: Command, me: Any, once: Once, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("message").write_text("Shall we connect?", encoding="utf-8")
    line = ["invite", people(15), *JOURNAL, "--message-file", "message", "--max-connections", 2]
    line += ["--max-per-second", "5"]  # so that the run lasts much longer than it takes to see that it has begun
    once(lambda: len(me.app.commits) > 4, lambda: os.kill(os.getpid(), number))
    said = command(*line)
    assert said.code == 130
    assert len(said.rows) == 15
    done = Counter(row["outcome"] for row in said.rows)
    assert done["invited"] == len(me.app.commits) < 15
    assert done["unprocessed"] == 15 - done["invited"]
    *_, interrupted, how = said.err.splitlines()
    assert interrupted == "aioconnections: interrupted"
    words = shlex.split(how.removeprefix("aioconnections: to resume: "))
    assert words == ["aioconnections", *map(str, line)]
    monkeypatch.setattr("sys.argv", words)
    again = command(*words[1:])
    assert (again.code, len(again.rows), len(me.app.commits)) == (0, 15, 15)
    assert f"; {done['invited']} of these from an earlier run" in again.err


@pytest.mark.slow
def test_a_run_over_a_pipe_needs_the_same_input_to_go_on(start: Start, me: Any) -> None:
    rows = people(30).read_text(encoding="utf-8")
    invite = start("invite", *JOURNAL, "--max-per-second", "5")
    assert invite.stdin is not None
    invite.stdin.write(rows)
    invite.stdin.close()
    invite.stdin = None
    while len(me.app.commits) < 3:
        assert invite.poll() is None
    invite.send_signal(signal.SIGINT)
    _, err = invite.communicate(timeout=30)
    how = err.splitlines()[-1]
    assert how.startswith("aioconnections: to resume, with the same input: ")
    again = subprocess.run(
        shlex.split(how.partition("input: ")[2]), input=rows, capture_output=True, encoding="utf-8", check=False
    )
    assert (again.returncode, len(again.stdout.splitlines()), len(me.app.commits)) == (0, 31, 30)


@pytest.mark.slow
def test_what_was_never_sent_is_not_in_doubt(command: Command, me: Any, once: Once) -> None:
    me.app.faults = [Fault("stall", at="commit", operation="invite")]
    once(lambda: len(me.app.commits) == 1, lambda: os.kill(os.getpid(), signal.SIGINT))
    said = command("invite", people(10), *JOURNAL, "--max-connections", 5, "--max-per-second", 0.5, *SHORT)
    assert said.code == 130
    assert Counter(row["outcome"] for row in said.rows) == {"in_doubt": 1, "unprocessed": 9}
    recorded = command("report", "my journal.sqlite").rows
    assert Counter(row["outcome"] for row in recorded) == {"in_doubt": 1, "unprocessed": 3}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["reset", "refuse"])
def test_a_server_that_goes_away_leaves_a_run_that_can_go_on(command: Command, me: Any, fault: Any) -> None:
    me.app.faults = [Fault(fault, operation="check", person=OTHERS[n]) for n in range(20, 59)]
    pairs = table("source_userid,target_userid", *((ME.userid, other.userid) for other in OTHERS))
    said = command("check", pairs, *JOURNAL, "--max-outage", 0, "--ordered")
    assert (said.code, len(said.rows)) == (75, 59)
    *_, stopped, how = said.err.splitlines()
    assert stopped.startswith("aioconnections: stopped: the server has been away for 0 s")
    me.app.faults = []
    asked = me.app.requests.total
    assert run(shlex.split(how.removeprefix("aioconnections: to resume: "))[1:]) == 0
    assert me.app.requests.total - asked < 50
    without = [*shlex.split(how.removeprefix("aioconnections: to resume: "))[1:]]
    del without[without.index("--journal") : without.index("--journal") + 2]
    me.app.faults = [Fault(fault, operation="check")]
    assert run(without) == 5


def test_a_login_that_goes_bad_can_go_on_and_one_that_was_never_good_cannot(
    command: Command, me: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = table("source_userid,target_userid", *((ME.userid, other.userid) for other in OTHERS))
    me.refuses_after = 20
    said = command("check", pairs, *JOURNAL)
    assert said.code == 75
    assert "stopped: HTTP 401" in said.err
    to_resume = "aioconnections: to resume, with a login that is not refused: "
    assert said.err.splitlines()[-1].startswith(to_resume)
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "gehe1m")
    said = command("check", pairs, *JOURNAL)
    assert said.code == 3
    assert said.err.splitlines()[-1].startswith(to_resume)
    said = command("check", pairs, "--journal", "other.sqlite")
    assert (said.code, Path("other.sqlite").exists()) == (3, False)
    assert said.err.splitlines()[-1].startswith("aioconnections: stopped: HTTP 401")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
    me.refuses_after = float("inf")
    assert command("check", pairs, *JOURNAL).code == 0


def test_a_run_that_takes_too_long_can_go_on(command: Command, me: Any) -> None:
    me.app.faults = [Fault("stall", operation="check", person=OTHERS[5])]
    pairs = table("source_userid,target_userid", *((ME.userid, other.userid) for other in OTHERS[:10]))
    said = command("check", pairs, *JOURNAL, "--run-timeout", 0.3, *SHORT)
    assert (said.code, len(said.rows)) == (75, 10)
    assert "aioconnections: stopped: the run was not done within 0.3 s\n" in said.err
    me.app.faults = []
    assert command("check", pairs, *JOURNAL).code == 0


def test_without_a_journal_a_run_that_takes_too_long_leaves_rows_unprocessed(command: Command, me: Any) -> None:
    me.app.faults = [Fault("stall", operation="check", person=OTHERS[5])]
    pairs = table("source_userid,target_userid", *((ME.userid, other.userid) for other in OTHERS[:10]))
    said = command("check", pairs, "--run-timeout", 0.3, *SHORT)
    assert (said.code, len(said.rows)) == (1, 10)
    assert said.err.splitlines()[-1] == "aioconnections: stopped: the run was not done within 0.3 s"
    assert "--run-timeout" in next(line for line in command("check", "--help").out.splitlines() if "Exit codes" in line)


def test_a_full_disk_stops_the_run_before_the_next_invitation(
    command: Command, me: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(database, "connect", Disk(150, "from then on", error=apsw.FullError).connect)
        said = command("invite", people(30), *JOURNAL, "--max-connections", 1)
    assert (said.code, len(said.rows)) == (75, 30)
    assert "aioconnections: stopped: the journal my journal.sqlite could not be written: " in said.err
    assert 0 < len(me.app.commits) < 30
    again = command("invite", people(30), *JOURNAL, "--settle", 0)
    assert (again.code, len(me.app.commits), len({*changes(me)})) == (0, 30, 30)


def test_a_result_that_cannot_be_written_can_be_had_again(command: Command, me: Any) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no such device here")
    said = command("invite", people(3), *JOURNAL, "-o", "/dev/full")
    assert said.code == 75
    assert "aioconnections: /dev/full: No space left on device\n" in said.err
    assert "to resume: " in said.err
    again = command("invite", people(3), *JOURNAL)
    assert ([row["outcome"] for row in again.rows], len(me.app.commits)) == (["invited"] * 3, 3)


@pytest.mark.slow
def test_a_reader_that_goes_leaves_a_run_that_can_go_on(command: Command, start: Start, me: Any) -> None:
    file = table("userid,note", *((person.userid, "x" * 5_000) for person in STRANGERS))
    invite = start("invite", file, *JOURNAL, "--max-connections", 2)
    assert invite.stdout is not None
    invite.stdout.close()
    invite.stdout = None
    _, err = invite.communicate(timeout=30)
    assert invite.returncode == 75
    assert "the reader of the result has closed the pipe, so the run was stopped\n" in err
    assert "my journal.sqlite" in err.splitlines()[-1]
    assert command("invite", file, *JOURNAL, "--settle", 0).code == 0
    assert len(me.app.commits) == len(STRANGERS)
