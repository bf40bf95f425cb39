"""A journal whose run could not go on: what it holds is in the result all the same."""

from __future__ import annotations

import csv
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections.records import Status
from aioconnections.reference import Directory, Fault

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
NEIGHBOURS = {person.userid: status for person, status in DIRECTORY.neighbours(ME)}
STRANGERS = [person for person in OTHERS if person.userid not in NEIGHBOURS]
COMMUNITY = next(community for community in DIRECTORY.communities if community.invited)

Command = Callable[..., Any]
Once = Callable[[Callable[[], bool], Callable[[], object]], None]

JOURNAL = ("--journal", "j.sqlite", "--ordered")


@pytest.fixture(autouse=True)
def me(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(ME.userid))
    return signed_in


def table(header: str, *lines: tuple[object, ...]) -> Path:
    path = Path("input.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(lines)
    return path


def people(count: int) -> Path:
    return table("userid", *((person.userid,) for person in STRANGERS[:count]))


def pairs(others: list[Any]) -> Path:
    return table("source_userid,target_userid", *((ME.userid, other.userid) for other in others))


def input_of(verb: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    listing: list[object] = []
    if verb in {"accept", "remove"}:
        listing = ["colleagues", "--userid", ME.userid, "--status", "pending"]
    elif verb.startswith("invitations"):
        who = COMMUNITY.owners[0] if verb.endswith("revoke") else COMMUNITY.invited[0]
        monkeypatch.setenv("AIOCONNECTIONS_USER", str(who.userid))
        listing = ["community", "invitations", COMMUNITY.uuid] if verb.endswith("revoke") else ["invitations", "list"]
    elif verb == "community invite":
        monkeypatch.setenv("AIOCONNECTIONS_USER", str(COMMUNITY.owners[0].userid))
        inside = {person.userid for person in (*COMMUNITY.owners, *COMMUNITY.members, *COMMUNITY.invited)}
        return table("userid", *((person.userid,) for person in OTHERS[:8] if person.userid not in inside))
    elif verb.endswith("connect"):
        monkeypatch.setenv("AIOCONNECTIONS_USER", "admin")
        linked = [person for person in OTHERS if NEIGHBOURS.get(person.userid) is Status.ACCEPTED]
        return pairs(linked if verb == "disconnect" else STRANGERS[:3])
    elif verb == "check":
        return pairs(OTHERS[:8])
    else:
        return people(5)
    assert command(*listing, "-o", "input.csv").code == 0
    return Path("input.csv")


def nowhere() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def away(me: Any) -> Callable[[], None]:
    """Has the server go away."""

    def leave() -> None:
        me.app.faults = [Fault("refuse", status=503)]

    return leave


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb",
    [
        *("check", "invite", "accept", "remove", "connect", "disconnect", "community invite"),
        *("invitations accept", "invitations decline", "invitations revoke"),
    ],
)
def test_a_run_that_is_done_is_written_whole_while_the_server_is_away(
    command: Command, away: Callable[[], None], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    words = [*verb.split(), *[f" {COMMUNITY.uuid}"] * (verb == "community invite")]
    file = input_of(verb, command, monkeypatch)
    first = command(*words, file, *JOURNAL)
    assert (first.code, len(first.rows) > 0) == (0, True)
    away()
    again = command(*words, file, *JOURNAL)
    assert (again.code, again.out) == (75, first.out)
    assert f"; {len(first.rows)} of these from an earlier run; outcomes of an earlier run are " in again.err
    assert again.err.splitlines()[-1].startswith("aioconnections: to resume: ")


def test_a_run_that_is_done_is_written_whole_after_a_wrong_password(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = people(20)
    first = command("invite", file, *JOURNAL)
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "gehe1m")
    again = command("invite", file, *JOURNAL)
    assert (again.code, again.out) == (3, first.out)


def test_a_result_that_is_whole_stays_so(command: Command, away: Callable[[], None]) -> None:
    assert command("invite", people(5), *JOURNAL, "-o", "result.csv").code == 0
    before = Path("result.csv").read_bytes()
    away()
    said = command("invite", people(5), *JOURNAL, "-o", "result.csv")
    assert (said.code, Path("result.csv").read_bytes()) == (75, before)
    assert "; 5 of these from an earlier run; outcomes of an earlier run are " in said.err


def test_a_person_who_comes_twice_does_so_in_what_was_recorded(command: Command, away: Callable[[], None]) -> None:
    file = table("userid", *((STRANGERS[number].userid,) for number in (0, 1, 0)))
    first = command("invite", file, *JOURNAL)
    away()
    assert command("invite", file, *JOURNAL).out == first.out


def test_what_an_earlier_run_left_is_told_from_what_it_has_done(
    command: Command, me: Any, away: Callable[[], None]
) -> None:
    me.app.faults = [
        Fault("stall", at="commit", operation="invite", person=STRANGERS[1]),
        Fault("refuse", status=403, operation="invite", person=STRANGERS[2]),
    ]
    file = table("userid", *((p.userid,) for p in STRANGERS[:3]), ("",))
    command("invite", file, *JOURNAL, "--on-unknown", "report", "--attempt-timeout", 0.5)
    away()
    longer = table("userid", *((p.userid,) for p in STRANGERS[:3]), ("",), *((p.userid,) for p in STRANGERS[4:7]))
    said = command("invite", longer, *JOURNAL)
    assert [row["outcome"] for row in said.rows] == [
        *("invited", "in_doubt", "failed", "unreadable"),
        *["unprocessed"] * 3,
    ]
    counted = "; 1 of these from an earlier run; 1 in doubt; 1 failed; 1 unreadable; 3 unprocessed"
    assert f"{counted}; outcomes of an earlier run are " in said.err


@pytest.mark.slow
def test_what_a_killed_run_has_sent_is_in_doubt(
    command: Command, start: Callable[..., Any], me: Any, away: Callable[[], None]
) -> None:
    me.app.faults = [Fault("stall", at="commit", operation="invite")]
    invite = start("invite", people(3), *JOURNAL, "--max-connections", 1)
    while not me.app.commits:
        assert invite.poll() is None
    invite.kill()
    invite.wait(30)
    away()
    said = command("invite", people(3), *JOURNAL)
    assert [row["outcome"] for row in said.rows] == ["in_doubt", "unprocessed", "unprocessed"]
    assert said.rows[0]["error"] == "InDoubtError: the run ended before the outcome was recorded"


def test_another_input_another_server_and_another_verb_get_nothing_of_it(
    command: Command, me: Any, away: Callable[[], None]
) -> None:
    assert command("check", pairs(OTHERS[:3]), *JOURNAL).code == 0
    away()
    assert [row["status"] for row in command("check", pairs(OTHERS[2:5]), *JOURNAL).rows] == ["", "", ""]
    elsewhere = command("check", pairs(OTHERS[:3]), *JOURNAL, "--url", nowhere())
    assert [row["error"].partition(":")[0] for row in elsewhere.rows] == ["unprocessed"] * 3
    other = command("disconnect", pairs(OTHERS[:3]), *JOURNAL)
    assert [row["outcome"] for row in other.rows] == ["unprocessed"] * 3
    assert [row["status"] != "" for row in command("check", pairs(OTHERS[:3]), *JOURNAL).rows] == [True] * 3
    assert me.app.commits == []


def test_ctrl_c_before_an_earlier_run_is_given_again(command: Command, once: Once, me: Any) -> None:
    file = pairs(OTHERS[:50])
    first = command("check", file, *JOURNAL, "--max-per-second", 0)
    me.app.faults = [Fault("stall", operation="service document")]
    seen = me.app.requests.by_path.total()
    once(lambda: me.app.requests.by_path.total() > seen, lambda: os.kill(os.getpid(), signal.SIGINT))
    again = command("check", file, *JOURNAL)
    assert (again.code, again.out) == (130, first.out)


def test_a_journal_that_cannot_be_read_says_nothing(command: Command, away: Callable[[], None]) -> None:
    assert command("check", pairs(OTHERS[:3]), *JOURNAL).code == 0
    away()
    Path("j.sqlite").write_text("overwritten", encoding="utf-8")
    said = command("check", pairs(OTHERS[:3]), *JOURNAL)
    assert Counter(row["status"] for row in said.rows) == {"": 3}


def test_a_run_that_was_never_recorded_does_not_read_its_journal(
    command: Command, once: Once, me: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aioconnections.journal.summary.report", lambda _: pytest.fail("there is nothing in it"))
    once(lambda: me.app.requests.total > 5, lambda: os.kill(os.getpid(), signal.SIGINT))
    said = command("check", pairs(OTHERS[:50]), *JOURNAL, "--max-per-second", 20)
    assert (said.code, len(said.rows)) == (130, 50)
