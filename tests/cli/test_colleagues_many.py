"""``colleagues`` with a file: the lists of many people, each connection one row beside the row of its person."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from screen import Terminal

from aioconnections.records import Person, Status
from aioconnections.reference import Directory, Fault, app

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
PEOPLE = DIRECTORY.people
ONE, TWO, THREE = PEOPLE[:3]

COLUMNS = [
    *("outcome", "connections", "connection_id", "status"),
    *(f"{role}_{name}" for role in ("source", "target") for name in ("userid", "key", "email", "name")),
    *("updated", "attempts", "elapsed_ms", "error"),
]

Command = Callable[..., Any]
PairsFile = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]
Once = Callable[[Callable[[], bool], Callable[[], object]], None]


@pytest.fixture(autouse=True)
def server(signed_in: Any) -> Any:
    return signed_in


def accepted(person: Person) -> set[str]:
    return {str(other.userid) for other, status in DIRECTORY.neighbours(person) if status is Status.ACCEPTED}


def listed(rows: list[dict[str, str]], column: str = "userid") -> dict[str, set[str]]:
    """The userids of the colleagues of each person."""
    found: dict[str, set[str]] = {}
    for row in rows:
        colleagues = found.setdefault(row[column], set())
        if row["target_userid"]:
            colleagues.add(row["target_userid"])
    return found


def file_of(people: list[Person], kind: str = "userid") -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([(kind, "Abteilung"), *((getattr(person, kind), "Köche") for person in people)])
    return text.getvalue()


@pytest.mark.parametrize("kind", ["userid", "email", "key"])
def test_each_connection_is_a_row_beside_the_row_of_its_person(
    command: Command, pairs_file: PairsFile, kind: str
) -> None:
    people = PEOPLE[:10]
    said = command("colleagues", pairs_file(file_of([*people], kind), name="people.csv"), "--ordered")
    assert said.code == 0
    assert list(said.rows[0]) == [kind, "Abteilung", *COLUMNS]
    assert listed(said.rows, kind) == {str(getattr(person, kind)): accepted(person) for person in people}
    counts = Counter(row[kind] for row in said.rows if row["target_userid"])
    assert all(int(row["connections"]) == counts[row[kind]] for row in said.rows)
    assert {row["Abteilung"] for row in said.rows} == {"Köche"}
    assert {row["target_name"] for row in said.rows} <= {person.name for person in PEOPLE}
    assert {(row["outcome"], row["status"], row["attempts"], row["error"]) for row in said.rows} == {
        ("listed", "accepted", "1", "")
    }
    assert all(row["updated"] for row in said.rows)
    summary = rf"10 listed in \d\.\d s \([\d.]+/s\): 10 with connections; {counts.total()} connections\n"
    assert re.fullmatch(summary, said.err)


def test_who_has_no_connections_or_no_list_is_one_row(command: Command, pairs_file: PairsFile) -> None:
    lines = ["email;key;note", f"{ONE.email};;a", ";nobody;b", f"{ONE.email};;c", "admin@example.com;;d"]
    lines += [f";{TWO.key};é", "a@example.com;;;f", ";;g"]
    text = "\ufeff" + "\r\n".join(lines) + "\r\n"
    said = command("colleagues", pairs_file(text), "--ordered", "-o", "result.csv")
    assert said.code == 1
    written = Path("result.csv").read_bytes().decode()
    assert written.startswith("\ufeffemail;key;note;outcome;connections;")
    rows = list(csv.DictReader(io.StringIO(written.removeprefix("\ufeff"), newline=""), delimiter=";"))
    assert written.count("\r\n") == len(rows) + 1
    notes = [(row["note"], row["outcome"]) for row in rows]
    ones, twos = len(accepted(ONE)), len(accepted(TWO))
    assert notes == [
        *[("a", "listed")] * ones,
        *[("b", "rejected"), ("c", "duplicate"), ("d", "listed")],
        *[("é", "listed")] * twos,
        *[("", "unreadable"), ("g", "unreadable")],
    ]
    rejected, duplicate, alone = rows[ones : ones + 3]
    empty = COLUMNS[2:-3]
    assert all(not row[column] for row in (rejected, duplicate, alone, *rows[-2:]) for column in empty)
    assert [row["connections"] for row in (rejected, duplicate, alone, rows[0])] == ["", "", "0", str(ones)]
    assert rejected["error"].startswith("BadRequestError: HTTP 400: CLFRN1172E")
    assert duplicate["error"] == "the same person as line 2"
    assert said.err.startswith(
        "line 7: 4 fields where the header has 3; a field with the delimiter needs quotes\n"
        "line 8: no person: userid, key and email are empty\n"
    )
    done, reason = said.err.splitlines()[2:]
    counts = f"2 with connections, 1 without; {ones + twos} connections; 1 rejected; 2 unreadable; 1 duplicate"
    assert re.fullmatch(rf"3 listed in .*/s\): {counts}", done)
    assert reason.startswith("  1 rejected: BadRequestError: HTTP 400: CLFRN1172E")


def test_json_lines_stay_json_lines(command: Command, pairs_file: PairsFile) -> None:
    rows = [{"Userid": str(ONE.userid), "tags": ["ä", 1]}, {"email": "nobody@example.com"}]
    people = pairs_file("".join(json.dumps(row) + "\n" for row in rows), name="people.jsonl")
    said = command("colleagues", people, "--ordered")
    *found, last = (json.loads(line) for line in said.out.splitlines())
    assert said.code == 1
    assert {row["target_userid"] for row in found} == accepted(ONE)
    assert list(found[0]) == ["userid", "tags", *COLUMNS]
    assert [row["tags"] for row in found] == [["ä", 1]] * len(found)
    assert (last["email"], last["outcome"], last["connections"]) == ("nobody@example.com", "rejected", None)


def test_the_result_is_the_input_of_other_commands(command: Command, pairs_file: PairsFile) -> None:
    assert command("colleagues", pairs_file(file_of([ONE])), "-o", "connections.csv").code == 0
    said = command("check", "connections.csv")
    assert (said.code, {row["status"] for row in said.rows}) == (0, {"accepted"})


@pytest.mark.parametrize("version", ["4.5", "6.0"])
def test_hidden_addresses_stay_empty_and_unknown_people_are_rejected(
    command: Command, pairs_file: PairsFile, server: Any, version: Any
) -> None:
    server.app = app(DIRECTORY, version=version, emails="hidden")
    people = pairs_file(f"userid,email\n{ONE.userid},\n,{TWO.email}\nnobody,\n")
    said = command("colleagues", people, "--ordered")
    assert said.code == 1
    *found, hidden, unknown = said.rows
    assert {row["target_userid"] for row in found} == accepted(ONE)
    assert {row["target_email"] + row["source_email"] for row in found} == {""}
    problem = "InvalidInputError: this server hides e-mail addresses: name people by userid or key"
    assert (hidden["outcome"], hidden["error"], unknown["outcome"]) == ("failed", problem, "rejected")
    assert str(TWO.email) not in said.err


def test_invitations_of_the_signed_in_user(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(ONE.userid))
    said = command("colleagues", pairs_file(file_of([ONE])), "--status", "pending")
    invited = {str(person.userid) for person, status in DIRECTORY.neighbours(ONE) if status is Status.PENDING}
    assert {row["target_userid"] for row in said.rows} == invited
    assert {row["status"] for row in said.rows} == {"pending"}


def test_people_come_from_standard_input(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (["-"], [], ["--id-type", "userid", "--person-column", "Person Nr."]):
        path = pairs_file(file_of([ONE]).replace("userid", "Person Nr.") if len(words) > 1 else file_of([ONE]))
        with path.open(encoding="utf-8") as stdin, monkeypatch.context() as patch:
            patch.setattr("sys.stdin", stdin)
            said = command("colleagues", *words)
        assert {row["target_userid"] for row in said.rows} == accepted(ONE)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["p.csv", "--since", "2026-01-31"], "--since is for one person; use --email, --userid or --key instead of a"),
        (["p.csv", "--sort-by", "modified"], "--sort-by is for one person"),
        (["p.csv", "--messages"], "--messages is for one person"),
        (["p.csv", "--userid", "x"], "a file and --userid cannot be used together"),
        (["--userid", "x", "--journal", "j"], "--journal is for a file of people, and cannot be used for one person"),
        (["--userid", "x", "--dry-run"], "--dry-run is for a file of people"),
        (["--userid", "x", "--id-type", "key"], "--id-type is for a file of people"),
        (["p.csv", "--retry", "p.csv"], "a file and --retry cannot be used together"),
        (["p.csv", "--fresh"], "--fresh needs --journal"),
        (["empty.csv"], "the input is empty"),
        (["other.csv"], "the input has no column for the person: userid, key, email"),
        (["missing.csv"], "missing.csv: No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_fit_together_is_refused(
    command: Command, pairs_file: PairsFile, server: Any, words: list[str], problem: str
) -> None:
    pairs_file(file_of([ONE]), name="p.csv")
    pairs_file("", name="empty.csv")
    pairs_file("a,b\n1,2\n", name="other.csv")
    said = command("colleagues", *words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"aioconnections: {problem}")
    assert server.app.requests.total == 0


def test_a_header_alone_is_no_list(command: Command, pairs_file: PairsFile) -> None:
    said = command("colleagues", pairs_file("email\n"))
    assert (said.code, said.out) == (0, f"email,{','.join(COLUMNS)}\n")


def test_a_dry_run_shows_the_first_request_for_each_person(
    command: Command, pairs_file: PairsFile, server: Any
) -> None:
    said = command("colleagues", pairs_file("email\na@example.com\nA@example.com\n"), "--dry-run")
    first, second = said.rows
    assert (said.code, first["method"]) == (0, "GET")
    feed = "/profiles/atom/connections.do?connectionType=colleague&email=a%40example.com&outputType=connection"
    assert first["url"] == f"{server.url}{feed}&status=accepted&page=1&ps=250"
    assert first["then"] == "GET of the next page, for each further 250 connections"
    assert second["error"] == "the same person as line 2"
    assert server.app.requests.total == 0


def test_a_journal_gives_the_lists_again_without_names(command: Command, pairs_file: PairsFile, server: Any) -> None:
    people = pairs_file(file_of([ONE, TWO]))
    first = command("colleagues", people, "--journal", "j.sqlite", "--ordered")
    asked = server.app.requests.total
    again = command("colleagues", people, "--journal", "j.sqlite", "--ordered")
    assert server.app.requests.total == asked + 1, "one request proves the login"
    assert list(first.rows[0])[-1] == "recorded_at"
    unnamed = {"source_name": "", "target_name": "", "updated": ""}
    assert again.rows == [row | unnamed for row in first.rows]
    assert f"{len(first.rows)} connections; 2 of these from an earlier run" in again.err
    said = command("colleagues", people, "--journal", "j.sqlite", "--fresh")
    kept = "aioconnections: the journal of a finished run is kept as j.sqlite.1; all rows are listed again\n"
    assert said.err.startswith(kept)
    other = command("colleagues", people, "--journal", "j.sqlite", "--status", "pending")
    assert other.code == 2
    report = command("report", "j.sqlite")
    assert [row["connections"] for row in report.rows] == [str(len(accepted(person))) for person in (ONE, TWO)]


def test_people_without_a_list_are_tried_again_in_the_same_result(
    command: Command, pairs_file: PairsFile, server: Any
) -> None:
    server.app.faults = [Fault("refuse", person=person.userid, status=500) for person in (ONE, THREE)]
    result = ("-o", "result.csv")
    first = command("colleagues", pairs_file(file_of([ONE, TWO, THREE])), *result, "--ordered")
    assert first.code == 1
    before = list(csv.DictReader(io.StringIO(Path("result.csv").read_text("utf-8"))))
    assert [row["outcome"] for row in before] == ["failed", *["listed"] * len(accepted(TWO)), "failed"]
    server.app.faults = []
    apart = command("colleagues", "--retry", "result.csv")
    assert set(listed(apart.rows)) == {str(ONE.userid), str(THREE.userid)}
    assert command("colleagues", "--retry", "result.csv", *result).code == 0
    after = list(csv.DictReader(io.StringIO(Path("result.csv").read_text("utf-8"))))
    assert [*listed(after).items()] == [(str(person.userid), accepted(person)) for person in (ONE, TWO, THREE)]
    assert after[len(accepted(ONE)) : -len(accepted(THREE))] == before[1:-1]


def test_a_wrong_password_keeps_the_earlier_result(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "gehe1m")
    Path("keep.csv").write_text("old\n", encoding="utf-8")
    said = command("colleagues", pairs_file(file_of([ONE, TWO])), "-o", "keep.csv", "--journal", "j.sqlite")
    assert (said.code, Path("keep.csv").read_text("utf-8")) == (3, "old\n")
    assert "aioconnections: stopped: HTTP 401: the server refused the login\n" in said.err


def test_a_server_that_does_not_respond(command: Command, pairs_file: PairsFile) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    said = command("colleagues", pairs_file(file_of([ONE, TWO])), "--url", url)
    assert said.code == 5
    assert [row["outcome"] for row in said.rows] == ["unprocessed", "unprocessed"]
    assert f"aioconnections: stopped: {url} is not available" in said.err


@pytest.mark.slow
def test_ctrl_c_in_the_middle_keeps_the_whole_lists_and_the_journal_resumes(
    start: Start, command: Command, pairs_file: PairsFile, once: Once, server: Any
) -> None:
    people = pairs_file(file_of([*PEOPLE]))
    words = ("colleagues", people, "-o", "result.csv", "--journal", "j.sqlite")
    process = start(*words, "--max-per-second", 20, "--max-connections", 2)
    once(lambda: server.app.requests.total >= 10, lambda: process.send_signal(signal.SIGINT))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "aioconnections: interrupted\naioconnections: to resume: " in err
    rows = list(csv.DictReader(io.StringIO(Path("result.csv").read_text("utf-8"))))
    done = [row for row in rows if row["outcome"] == "listed"]
    assert {row["outcome"] for row in rows} == {"listed", "unprocessed"}
    assert listed(rows).keys() == {str(person.userid) for person in PEOPLE}
    truth = {str(person.userid): accepted(person) for person in PEOPLE}
    assert listed(done).items() <= truth.items()
    again = command(*words, "--max-per-second", 0)
    assert again.code == 0
    assert "of these from an earlier run" in again.err
    rows = list(csv.DictReader(io.StringIO(Path("result.csv").read_text("utf-8"))))
    assert listed(rows) == truth


@pytest.fixture
def narrow(server: Any) -> Generator[Terminal]:
    del server
    with Terminal(40) as terminal:
        yield terminal


@pytest.mark.slow
def test_the_bar_and_the_summary_on_40_columns(narrow: Terminal, pairs_file: PairsFile) -> None:
    narrow.start("colleagues", pairs_file(file_of([*PEOPLE[:20]])), "-o", "result.csv", "--max-per-second", 6)
    assert narrow.wait() == 0
    shown = narrow.screen
    view = r"listing [━╸╺ ]+ \d+%   \d+ s left\n\d+ of 20   "
    assert any(re.search(view, frame) for frame in narrow.frames)
    assert "listing" not in shown.text
    assert shown.cuts == []
    found = sum(len(accepted(person)) for person in PEOPLE[:20])
    said = " ".join(shown.text.split())
    assert re.fullmatch(
        rf"20 listed in \d+\.\d s \(\d+(\.\d)?/s\) with connections 20 connections {found} requests \d+ "
        r"time per item, p50 \S+ \w+ time per item, p95 \S+ \w+ mean wait for limits \S+ \w+",
        said,
    )
