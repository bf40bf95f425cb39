"""``--retry``: what an earlier run has not done is done, and nothing else."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from aioconnections.cli.output import rows_to
from aioconnections.records import Status
from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
NEIGHBOURS = {person.userid: status for person, status in DIRECTORY.neighbours(ME)}
STRANGERS = [str(person.userid) for person in OTHERS if person.userid not in NEIGHBOURS]
COLLEAGUES = [str(person.userid) for person, status in DIRECTORY.neighbours(ME) if status is Status.ACCEPTED]
COMMUNITY = next(community for community in DIRECTORY.communities if community.invited)
INSIDE = {person.userid for person in (*COMMUNITY.owners, *COMMUNITY.members, *COMMUNITY.invited)}
GUESTS = [str(person.userid) for person in OTHERS if person.userid not in INSIDE]

Command = Callable[..., Any]
Row = Mapping[str, object]


@pytest.fixture(autouse=True)
def me(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(ME.userid))
    return signed_in


def result(rows: list[Row], name: str = "result.csv", **form: Any) -> Path:
    """A result of an earlier run, with these rows."""
    path = Path(name)
    if name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]), **{"lineterminator": "\n"} | form)
    table.writeheader()
    table.writerows(rows)
    path.write_bytes(text.getvalue().encode())
    return path


def read(name: str) -> list[dict[str, Any]]:
    text = Path(name).read_text("utf-8-sig")
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(io.StringIO(text), delimiter=";" if ";" in text.splitlines()[0] else ","))


def checked(target: str, status: str | None, note: str = "x") -> Row:
    cost = {"http_status": 200 if status else None, "attempts": 9, "elapsed_ms": 9}
    pair = {"source_userid": str(ME.userid), "note": note, "target_userid": target}
    return {**pair, "status": status, **cost, "error": None if status else "DeadlineError: late"}


def invited(userid: str, outcome: str, note: str = "x") -> Row:
    done = {"connection_id": "old" if outcome == "invited" else None, "attempts": 9, "elapsed_ms": 9}
    return {"userid": userid, "note": note, "outcome": outcome, **done, "error": None}


def changes(me: Any) -> list[tuple[str, str]]:
    return [(commit.verb, str(commit.target)) for commit in me.app.commits]


CHECKED = [
    checked(COLLEAGUES[0], "accepted", "1"),
    checked(COLLEAGUES[1], None, "2"),
    checked(STRANGERS[0], "none", "3"),
]
CHECKED.append(checked(STRANGERS[1], None, "4"))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_check_asks_for_what_has_no_status(command: Command, me: Any, form: str) -> None:
    path = result(CHECKED, f"result.{form}")
    before = path.read_bytes()
    said = command("check", "--retry", path, "-o", f"new.{form}", "--ordered")
    assert said.code == 0, said.err
    assert me.app.requests.total == 3  # a proof of the login, and two checks
    new = read(f"new.{form}")
    assert [(row["note"], row["status"]) for row in new] == [("2", "accepted"), ("4", "none")]
    assert list(new[0]) == list(CHECKED[0])
    assert path.read_bytes() == before


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_result_may_be_completed_in_its_own_file(command: Command, form: str) -> None:
    path = result(CHECKED, f"result.{form}")
    path.chmod(0o640)
    said = command("check", "--retry", path, "-o", path)
    assert said.code == 0, said.err
    new = read(path.name)
    assert [(row["note"], row["status"]) for row in new] == [
        ("1", "accepted"),
        ("2", "accepted"),
        ("3", "none"),
        ("4", "none"),
    ]
    assert [str(row["attempts"]) for row in new] == ["9", "1", "9", "1"]
    assert path.stat().st_mode & 0o777 == 0o640
    assert [file.name for file in Path().iterdir()] == [path.name]


def test_the_form_of_the_result_is_kept(command: Command) -> None:
    path = result(CHECKED, delimiter=";", lineterminator="\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert command("check", "--retry", path, "-o", path).code == 0
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfsource_userid;note;target_userid;status;")
    assert raw.count(b"\r\n") == raw.count(b"\n") == 5


def test_a_link_stays_a_link(command: Command) -> None:
    path = result(CHECKED)
    Path("link.csv").symlink_to(path)
    assert command("check", "--retry", path, "-o", "link.csv").code == 0
    assert Path("link.csv").is_symlink()
    assert all(row["status"] for row in read("result.csv"))


OUTCOMES = ["invited", "failed", "already_exists", "unprocessed", "rejected", "in_doubt", "duplicate", "", "unreadable"]


def result_of_invitations(people: list[str], name: str = "result.csv") -> Path:
    return result([invited(userid, outcome, outcome) for userid, outcome in zip(people, OUTCOMES, strict=False)], name)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("words", [("invite",), ("community", "invite", COMMUNITY.uuid)], ids=" ".join)
def test_an_invitation_in_doubt_is_reported_and_not_sent_again(
    command: Command, me: Any, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], form: str
) -> None:
    people = STRANGERS
    if words[0] == "community":
        people = GUESTS
        monkeypatch.setenv("AIOCONNECTIONS_USER", str(COMMUNITY.owners[0].userid))
    path = result_of_invitations(people, f"result.{form}")
    said = command(*words, "--retry", path, "--no-journal", "--ordered", "-o", f"new.{form}")
    assert said.code == 1
    assert [(row["note"], row["outcome"]) for row in read(f"new.{form}")] == [
        ("failed", "invited"),
        ("unprocessed", "invited"),
        ("in_doubt", "in_doubt"),
        ("", "in_doubt"),
        ("unreadable", "invited"),
    ]
    problem = "in doubt since the earlier run, so it is not sent again; look whether it was made"
    assert read(f"new.{form}")[2]["error"].endswith(problem)
    assert len(changes(me)) == 3
    assert "3 invited; 2 in doubt" in said.err


def test_an_invitation_in_doubt_stays_in_its_file(command: Command, me: Any) -> None:
    path = result_of_invitations(STRANGERS)
    for _ in range(2):
        assert command("invite", "--retry", path, "--no-journal", "-o", path).code == 1
        assert [row["outcome"] for row in read(path.name)] == [
            *("invited", "invited", "already_exists", "invited", "rejected", "in_doubt", "duplicate", "in_doubt"),
            "invited",
        ]
    assert len(changes(me)) == 3


@pytest.mark.parametrize("verb", ["remove", "disconnect", "connect"])
def test_other_changes_in_doubt_are_made(command: Command, me: Any, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    if verb != "remove":
        monkeypatch.setenv("AIOCONNECTIONS_USER", "admin")
    people = STRANGERS if verb == "connect" else COLLEAGUES
    path = result(
        [
            {"source_userid": str(ME.userid), "target_userid": userid, "outcome": outcome, "error": None}
            for userid, outcome in zip(people, ["in_doubt", "removed"], strict=False)
        ]
    )
    said = command(verb, "--retry", path)
    assert said.code == 0, said.err
    assert [row["target_userid"] for row in said.rows] == people[:1]
    assert len(changes(me)) == 1


def test_a_profile_that_was_not_found_is_an_answer(command: Command) -> None:
    outcomes = ["resolved", "unknown", "failed"]
    path = result([{"userid": u, "outcome": o, "name": None} for u, o in zip(STRANGERS, outcomes, strict=False)])
    said = command("profile", "--retry", path)
    assert [(row["userid"], row["outcome"]) for row in said.rows] == [(STRANGERS[2], "resolved")]


def test_a_dry_run_shows_what_would_be_retried_and_replaces_no_result(command: Command, me: Any) -> None:
    path = result_of_invitations(STRANGERS)
    said = command("invite", "--retry", path, "--no-journal", "--dry-run")
    assert [bool(row["url"]) for row in said.rows] == [True, True, False, False, True]
    before = path.read_bytes()
    said = command("invite", "--retry", path, "--no-journal", "--dry-run", "-o", path)
    assert (said.code, path.read_bytes()) == (2, before)
    assert "the result cannot be written over its own input" in said.err
    assert me.app.requests.total == 0


def test_nothing_done_leaves_the_result_as_it_is(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    path = result(CHECKED)
    before = path.read_bytes()
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "gehe1m")
    said = command("check", "--retry", path, "-o", path)
    assert (said.code, path.read_bytes()) == (3, before)
    assert "result.csv is unchanged, because nothing was done" in said.err


def test_a_run_that_ends_early_keeps_what_was_answered(command: Command, me: Any) -> None:
    path = result(
        [checked(userid, "none" if count % 3 else None, str(count)) for count, userid in enumerate(STRANGERS)]
    )
    me.refuses_after = 4
    said = command("check", "--retry", path, "-o", path, "--max-connections", 1)
    assert said.code == 3
    rows = read(path.name)
    assert [row["note"] for row in rows] == [str(count) for count in range(len(STRANGERS))]
    assert sum(not row["status"] for row in rows) == len(STRANGERS[::3]) - 3
    me.refuses_after = float("inf")
    assert command("check", "--retry", path, "-o", path).code == 0
    assert all(row["status"] for row in read(path.name))


def test_with_a_journal_the_result_changes_only_when_the_run_is_finished(command: Command, me: Any) -> None:
    path = result([invited(userid, "failed") for userid in STRANGERS[:8]])
    before = path.read_bytes()
    me.refuses_after = 5
    line = ("invite", "--retry", path, "-o", path, "--journal", "j.sqlite", "--max-connections", 1)
    said = command(*line)
    assert (said.code, path.read_bytes()) == (75, before)
    assert "result.csv is unchanged; the outcomes are in the journal" in said.err
    me.refuses_after = float("inf")
    assert command(*line).code == 0
    assert [row["outcome"] for row in read(path.name)] == ["invited"] * 8
    assert sorted(target for _, target in changes(me)) == sorted({target for _, target in changes(me)})


@pytest.mark.skipif(os.name != "posix", reason="a folder that cannot be written to")
def test_a_result_that_cannot_be_replaced_is_not_lost(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    path = result(CHECKED)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    said = command("check", "--retry", path, "-o", path)
    assert (said.code, path.read_bytes()) == (1, before)
    assert said.err.endswith("aioconnections: result.csv: No space left on device\n")
    assert [file.name for file in Path().iterdir()] == [path.name]


@pytest.mark.parametrize("taken", [0, 2])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_result_that_has_changed_meanwhile_is_left_alone(
    command: Command, monkeypatch: pytest.MonkeyPatch, form: str, taken: int
) -> None:
    path, changed = result(CHECKED, f"result.{form}"), result(CHECKED[2:], f"changed.{form}")
    content = changed.read_bytes()
    names = [f"{path.name}.retried{number or ''}" for number in (0, 2, 3)]
    for name in names[:taken]:
        Path(name).write_text("another")
    dump = pickle.dump

    def change(*arguments: Any) -> None:
        dump(*arguments)
        if changed.exists():
            changed.replace(path)

    monkeypatch.setattr("pickle.dump", change)
    said = command("check", "--retry", path, "-o", path)
    assert (said.code, path.read_bytes()) == (1, content)
    assert said.err.endswith(
        f"aioconnections: {path.name}: it has changed during the run and is left as it is; "
        f"the retried rows are in {names[taken]}\n"
    )
    rows = Path(names[taken]).rename(f"retried.{form}")
    assert [(row["note"], row["status"]) for row in read(rows.name)] == [("2", "accepted"), ("4", "none")]
    assert {Path(name).read_text() for name in names[:taken]} <= {"another"}


def test_a_changed_result_of_parquet_is_left_alone(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    source, path = result(CHECKED), Path("result.parquet")
    parquet.write_table(pytest.importorskip("pyarrow.csv").read_csv(source), path)
    dump = pickle.dump

    def change(*arguments: Any) -> None:
        dump(*arguments)
        path.write_bytes(b"another")

    monkeypatch.setattr("pickle.dump", change)
    assert command("check", "--retry", path, "-o", path).code == 1
    assert path.read_bytes() == b"another"
    rows = parquet.read_table("result.parquet.retried").to_pylist()
    assert [(row["note"], row["status"]) for row in rows] == [(2, "accepted"), (4, "none")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_a_result_to_which_another_run_writes_is_left_alone(command: Command, me: Any) -> None:
    path = result(CHECKED)
    before = path.read_bytes()
    with rows_to(path, "csv", (), source=None):
        said = command("check", "--retry", path, "-o", path)
        assert (said.code, path.read_bytes()) == (2, before)
    assert said.err == "aioconnections: result.csv is being written by another run; wait for its end\n"
    assert me.app.requests.total == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("check", "in.csv", "--retry", "result.csv"), "a file and --retry cannot be used together"),
        (("invite", "--email", "a@x", "--retry", "result.csv", "--no-journal"), "--email and --retry cannot be used"),
        (("check", "--retry", "missing.csv"), "missing.csv: No such file or directory"),
        (
            ("check", "--retry", "other.csv"),
            "other.csv has no column status, so it is not the result of an earlier run",
        ),
        (("disconnect", "--retry", "other.csv"), "other.csv has no column outcome"),
        (("check", "--retry", "result.csv", "--journal", "result.csv"), "the journal cannot be written over its own"),
        (
            ("check", "--retry", "result.csv", "-o", "result.csv", "--journal", "result.csv"),
            "the result cannot be written over the journal",
        ),
    ],
)
def test_what_cannot_be_retried_is_refused(command: Command, arguments: tuple[str, ...], problem: str) -> None:
    before = result(CHECKED).read_bytes()
    Path("other.csv").write_text("source_userid,target_userid\na,b\n", encoding="utf-8")
    said = command(*arguments)
    assert (said.code, said.out) == (2, "")
    assert problem in said.err
    assert Path("result.csv").read_bytes() == before


def test_nothing_to_retry_is_no_failure(command: Command) -> None:
    path = result(CHECKED[:1])
    before = read(path.name)
    assert command("check", "--retry", path, "-o", path).code == 0
    assert read(path.name) == before
