"""``network``: every pair of colleagues within the people of a file, as rows or as GraphML."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Generator
from itertools import combinations
from pathlib import Path
from typing import Any

import networkx  # type: ignore[import-untyped] # it has no types
import pytest
from screen import Terminal

from aioconnections.records import Person, Status
from aioconnections.reference import Directory, Fault, app

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
PEOPLE = [*DIRECTORY.people]
GROUP = PEOPLE[:24]

COLUMNS = [
    *(f"{role}_{name}" for role in ("source", "target") for name in ("userid", "key", "email", "name")),
    *("status", "updated", "seen_from", "disputed"),
]

Command = Callable[..., Any]
PairsFile = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]
Once = Callable[[Callable[[], bool], Callable[[], object]], None]
Rows = list[dict[str, str]]


@pytest.fixture(autouse=True)
def server(signed_in: Any) -> Any:
    return signed_in


def truth(people: list[Person]) -> list[tuple[str, str]]:
    return [
        (str(one.userid), str(other.userid))
        for one, other in combinations(people, 2)
        if DIRECTORY.status(one, other) is Status.ACCEPTED
    ]


def file_of(people: list[Person], kind: str = "userid", **form: str) -> str:
    text = io.StringIO(newline="")
    table = csv.writer(text, **{"lineterminator": "\n"} | form)  # type: ignore[arg-type] # texts alone
    table.writerows([(kind, "Abteilung"), *((getattr(person, kind), "Köche") for person in people)])
    return text.getvalue()


def pairs(rows: Rows) -> list[tuple[str, str]]:
    return [(row["source_userid"], row["target_userid"]) for row in rows]


@pytest.mark.parametrize("kind", ["userid", "email", "key"])
def test_each_pair_of_colleagues_is_one_row(command: Command, pairs_file: PairsFile, server: Any, kind: str) -> None:
    said = command("network", pairs_file(file_of(GROUP, kind)))
    assert said.code == 0
    assert list(said.rows[0]) == COLUMNS
    assert pairs(said.rows) == truth(GROUP)
    names = {str(person.userid): person.name for person in PEOPLE}
    assert all(row["source_name"] == names[row["source_userid"]] for row in said.rows)
    assert all(row["target_name"] == names[row["target_userid"]] for row in said.rows)
    assert {(row["status"], row["seen_from"], row["disputed"]) for row in said.rows} == {("accepted", "both", "False")}
    assert all(row["updated"] for row in said.rows)
    assert server.app.requests.total == len(GROUP) + 1, "a list for each person, and a request that proves the login"
    read, size = said.err.splitlines()
    assert re.fullmatch(r"24 read in \d\.\d s \([\d.]+/s\): 24 listed", read)
    alone = len(GROUP) - len({userid for pair in truth(GROUP) for userid in pair})
    rest = f"; people without connections: {alone}" if alone else ""
    assert size == f"people: 24; connections between them: {len(truth(GROUP))}{rest}"


def test_rows_have_the_form_of_the_input(command: Command, pairs_file: PairsFile) -> None:
    text = "\ufeff" + file_of(GROUP, delimiter=";", lineterminator="\r\n")
    assert command("network", pairs_file(text), "-o", "edges.csv", "--excel-safe").code == 0
    written = Path("edges.csv").read_bytes().decode()
    assert written.startswith("\ufeff" + ";".join(COLUMNS) + "\r\n")
    assert written.count("\r\n") == len(truth(GROUP)) + 1
    lines = "".join(json.dumps({"Userid": str(person.userid)}) + "\n" for person in GROUP)
    people = pairs_file(lines, name="people.jsonl")
    rows = [json.loads(line) for line in command("network", people).out.splitlines()]
    assert pairs(rows) == truth(GROUP)
    assert {(row["seen_from"], row["disputed"], row["source_key"]) for row in rows} == {("both", False, None)}
    assert pairs(command("network", people, "--format", "csv").rows) == truth(GROUP)


def test_people_come_from_standard_input(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = [person for person in GROUP if str(person.userid).isascii()]
    path = pairs_file(file_of(group).replace("userid", "Person Nr.").encode("cp1252"))
    with path.open(encoding="utf-8") as stdin, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", stdin)
        options = ("--id-type", "userid", "--person-column", "Person Nr.", "--encoding", "cp1252")
        said = command("network", "-", *options, "--json")
    assert pairs([json.loads(line) for line in said.out.splitlines()]) == truth(group)


@pytest.mark.parametrize("words", [["-o", "network.graphml"], ["-o", "n.XML", "--format", "graphml"]], ids=" ".join)
def test_graphml_has_each_person_as_a_node(command: Command, pairs_file: PairsFile, words: list[str]) -> None:
    stranger = next(
        person for person in PEOPLE[24:] if not any(str(person.userid) in pair for pair in truth([*GROUP, person]))
    )
    group = [*GROUP, stranger]
    said = command("network", pairs_file(file_of(group)), *words)
    assert (said.code, said.out) == (0, "")
    graph = networkx.read_graphml(words[1])
    userids = networkx.get_node_attributes(graph, "userid")
    assert [*userids.values()] == [str(person.userid) for person in group]
    assert {(userids[one], userids[other]) for one, other in graph.edges} == {*truth(group)}
    assert [label for _, label in graph.nodes(data="label")] == [person.name for person in group]
    assert {column for _, column in graph.nodes(data="Abteilung")} == {"Köche"}
    assert {value for *_, value in graph.edges(data="disputed")} == {False}
    assert f"n{len(GROUP)}" in networkx.isolates(graph)
    assert said.err.splitlines()[-1].startswith(f"people: 25; connections between them: {len(truth(GROUP))}; people ")


def test_who_is_in_the_file_twice_is_one_node_and_who_cannot_be_listed_is_reported(
    command: Command, pairs_file: PairsFile
) -> None:
    one, two, three = GROUP[:3]
    lines = ["email,userid,key", f"{one.email},,", f",{one.userid},", f",{two.userid},", f"{one.email},,", ",,nobody"]
    people = pairs_file("\n".join([*lines, "a@example.com,,", ",,", ",,,", f",,{three.key}", ""]))
    said = command("network", people, "-o", "network.graphml")
    assert said.code == 1
    graph = networkx.read_graphml("network.graphml")
    assert [*graph.nodes(data="label")] == [
        *[("n0", one.name), ("n2", two.name), ("n4", "nobody"), ("n5", "a@example.com"), ("n8", three.name)]
    ]
    unread = [node for node, count in graph.nodes(data="connections") if count is None]
    assert unread == ["n4", "n5"]
    lines = said.err.splitlines()
    assert lines[0] == "line 8: no person: userid, key and email are empty"
    assert lines[1] == "line 9: 4 fields where the header has 3; a field with the delimiter needs quotes"
    problem = r"the list cannot be read: BadRequestError: HTTP 400: CLFRN1172E: .*"
    assert re.fullmatch(f"line 6: {problem}", lines[2])
    assert re.fullmatch(f"line 7: {problem}", lines[3])
    assert re.fullmatch(r"4 read in .*/s\): 4 listed; 2 rejected; 2 unreadable; 1 duplicate", lines[4])
    assert "a@example.com" not in said.err


@pytest.mark.parametrize("version", ["4.5", "6.0"])
def test_hidden_addresses(command: Command, pairs_file: PairsFile, server: Any, version: Any) -> None:
    server.app = app(DIRECTORY, version=version, emails="hidden")
    people = pairs_file(file_of(GROUP) + "nobody,\n")
    said = command("network", people)
    assert (said.code, pairs(said.rows)) == (1, truth(GROUP))
    assert {row["source_email"] + row["target_email"] for row in said.rows} == {""}
    assert f"line {len(GROUP) + 2}: the list cannot be read: " in said.err
    said = command("network", pairs_file(file_of(GROUP[:3], "email")))
    assert (said.code, said.rows) == (1, [])
    assert said.err.count("this server hides e-mail addresses: name people by userid or key") == 4
    assert not any(str(person.email) in said.err for person in GROUP)


def test_an_edge_to_a_person_whose_list_fails_is_seen_from_one_side(
    command: Command, pairs_file: PairsFile, server: Any
) -> None:
    server.app.faults = [Fault("refuse", operation="colleagues", person=GROUP[0].userid, status=500)]
    said = command("network", pairs_file(file_of(GROUP)))
    assert (said.code, pairs(said.rows)) == (1, truth(GROUP))
    first = str(GROUP[0].userid)
    assert {row["seen_from"] for row in said.rows if row["source_userid"] == first} == {"one"}
    assert {row["seen_from"] for row in said.rows if row["source_userid"] != first} == {"both"}
    assert said.err.startswith("line 2: the list cannot be read: ")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ["p.csv", "-o", "n.graphml", "--json"],
            "n.graphml is named like GraphML, and the format is jsonl; change one",
        ),
        (["p.csv", "-o", "n.graphml", "--format", "csv"], "n.graphml is named like GraphML, and the format is csv"),
        (["p.csv", "--format", "graphml", "--json"], "--json and --format graphml cannot be used together"),
        (["p.csv", "--format", "csv", "--json"], "--json and --format csv cannot be used together"),
        (["p.csv", "--format", "graphml", "--excel-safe"], "--excel-safe is for CSV; GraphML has no cells"),
        (["p.csv", "--format", "jsonl", "--excel-safe"], "--excel-safe is for CSV; JSON lines have no cells"),
        (["p.jsonl", "--excel-safe"], "--excel-safe is for CSV; JSON lines have no cells"),
        (["p.csv", "-o", "n.graphml", "--dry-run"], "the result of --dry-run is CSV or JSON lines, not GraphML"),
        (["p.csv", "-o", "p.csv"], "the result cannot be written over its own input"),
        (["p.csv", "-o", "j", "--journal", "j"], "the result cannot be written over the journal"),
        (["p.csv", "--fresh"], "--fresh needs --journal"),
        (["p.csv", "--person-column", "x"], "--person-column needs --id-type"),
        (["empty.csv"], "the input is empty"),
        (["other.csv"], "the input has no column for the person: userid, key, email"),
        (["missing.csv"], "missing.csv: No such file"),
        (["p.csv", "-o", "missing/n.graphml"], "missing/n.graphml: No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_fit_together_is_refused(
    command: Command, pairs_file: PairsFile, server: Any, words: list[str], problem: str
) -> None:
    pairs_file(file_of(GROUP), name="p.csv")
    pairs_file('{"userid": "x"}\n', name="p.jsonl")
    pairs_file("", name="empty.csv")
    pairs_file("a,b\n1,2\n", name="other.csv")
    said = command("network", *words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"aioconnections: {problem}")
    assert server.app.requests.total == 0
    assert not Path("n.graphml").exists()


@pytest.mark.parametrize("option", ["--ordered", "--retry"])
def test_a_network_has_neither_an_order_nor_rows_to_try_again(command: Command, option: str) -> None:
    said = command("network", "p.csv", option, "x")
    assert (said.code, said.out) == (2, "")
    assert f"Unknown option: {option}" in said.err.replace('"', "")


def test_a_header_alone_is_an_empty_network(command: Command, pairs_file: PairsFile) -> None:
    said = command("network", pairs_file("email\n"))
    assert (said.code, said.out) == (0, ",".join(COLUMNS) + "\n")
    assert command("network", pairs_file("email\n"), "-o", "n.graphml").code == 0
    assert len(networkx.read_graphml("n.graphml")) == 0


def test_a_dry_run_shows_the_first_request_for_each_person(
    command: Command, pairs_file: PairsFile, server: Any
) -> None:
    said = command("network", pairs_file("email\na@example.com\n"), "--dry-run", "--json")
    feed = "/profiles/atom/connections.do?connectionType=colleague&email=a%40example.com&outputType=connection"
    assert (said.code, json.loads(said.out)["url"]) == (0, f"{server.url}{feed}&status=accepted&page=1&ps=250")
    assert server.app.requests.total == 0


def test_a_journal_of_lists_serves_both_commands(command: Command, pairs_file: PairsFile, server: Any) -> None:
    people = pairs_file(file_of(GROUP))
    assert command("colleagues", people, "--journal", "j.sqlite").code == 0
    asked = server.app.requests.total
    said = command("network", people, "--journal", "j.sqlite", "-o", "network.graphml")
    assert said.code == 0
    assert server.app.requests.total == asked + 1, "one request proves the login"
    assert "; 24 of these from an earlier run; " in said.err
    graph = networkx.read_graphml("network.graphml")
    assert graph.number_of_edges() == len(truth(GROUP))
    assert [label for _, label in graph.nodes(data="label")] == [str(person.userid) for person in GROUP]
    again = command("network", people, "--journal", "j.sqlite", "--fresh")
    kept = "aioconnections: the journal of a finished run is kept as j.sqlite.1; all rows are read again\n"
    assert (again.code, again.err.startswith(kept)) == (0, True)
    text = people.read_text("utf-8").splitlines(keepends=True)
    text[2] = "nobody,\n"
    people.write_text("".join(text), encoding="utf-8")
    said = command("network", people, "--journal", "j.sqlite")
    assert (said.code, said.out) == (2, "")
    assert "aioconnections: line 3 was userid " in said.err


def test_a_wrong_password_keeps_the_earlier_result(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "gehe1m")
    Path("keep.csv").write_text("old\n", encoding="utf-8")
    said = command("network", pairs_file(file_of(GROUP)), "-o", "keep.csv", "--journal", "j.sqlite")
    assert (said.code, Path("keep.csv").read_text("utf-8")) == (3, "old\n")
    read, *rest = said.err.splitlines()
    assert read == "0 read in 0.0 s; 24 unprocessed"
    assert rest[:2] == [
        "aioconnections: no network is written, because some lists were not read",
        "aioconnections: stopped: HTTP 401: the server refused the login",
    ]


def test_a_server_that_does_not_respond_leaves_no_file(command: Command, pairs_file: PairsFile) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    said = command("network", pairs_file(file_of(GROUP)), "--url", url, "-o", "edges.csv")
    assert said.code == 5
    assert f"aioconnections: stopped: {url} is not available" in said.err
    assert not Path("edges.csv").exists()


@pytest.mark.parametrize("journal", [[], ["--journal", "j.sqlite"]], ids=["without a journal", "with a journal"])
def test_a_login_that_is_lost_in_the_middle(
    command: Command, pairs_file: PairsFile, server: Any, journal: list[str]
) -> None:
    server.refuses_after = 10
    words = ("network", pairs_file(file_of(GROUP)), "-o", "edges.csv", *journal)
    said = command(*words, "--max-connections", 1)
    assert said.code == (75 if journal else 3)
    assert not Path("edges.csv").exists()
    assert re.match(r"\d+ read in .*; \d+ unprocessed\n", said.err)
    if journal:
        assert "aioconnections: to resume, with a login that is not refused: " in said.err
        server.refuses_after = float("inf")
        again = command(*words)
        assert again.code == 0
        assert "of these from an earlier run" in again.err
        assert len(Path("edges.csv").read_text("utf-8").splitlines()) == len(truth(GROUP)) + 1


def test_a_journal_that_is_no_journal_is_refused(command: Command, pairs_file: PairsFile, server: Any) -> None:
    Path("j.sqlite").write_text("text", encoding="utf-8")
    said = command("network", pairs_file(file_of(GROUP)), "--journal", "j.sqlite", "-o", "edges.csv")
    assert said.code == 2
    assert "j.sqlite" in said.err
    assert server.app.requests.total <= 1
    assert not Path("edges.csv").exists()


def test_an_existing_file_is_replaced_with_its_mode_and_through_a_link(command: Command, pairs_file: PairsFile) -> None:
    Path("real.graphml").write_text("old\n", encoding="utf-8")
    Path("real.graphml").chmod(0o640)
    Path("network.graphml").symlink_to("real.graphml")
    assert command("network", pairs_file(file_of(GROUP)), "-o", "network.graphml").code == 0
    assert Path("network.graphml").is_symlink()
    assert Path("real.graphml").stat().st_mode & 0o777 == 0o640
    assert networkx.read_graphml("real.graphml").number_of_edges() == len(truth(GROUP))
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == []


def test_a_folder_that_cannot_be_written_may_hold_the_file(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = pairs_file(file_of(GROUP))
    Path("edges.csv").write_text("old\n" * 10_000, encoding="utf-8")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert command("network", people, "-o", "edges.csv").code == 0
    assert len(Path("edges.csv").read_text("utf-8").splitlines()) == len(truth(GROUP)) + 1


def test_a_full_disk_leaves_the_old_file(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    Path("edges.csv").write_text("old\n", encoding="utf-8")
    people = pairs_file(file_of(GROUP))
    with monkeypatch.context() as patch:
        patch.setattr("aioconnections.cli.output.os.fsync", full)
        said = command("network", people, "-o", "edges.csv")
    assert (said.code, Path("edges.csv").read_text("utf-8")) == (1, "old\n")
    assert said.err.splitlines()[-1] == "aioconnections: edges.csv: No space left on device"
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_ends_the_command_quietly(start: Start, pairs_file: PairsFile) -> None:
    process = start("network", pairs_file(file_of(PEOPLE)), "--max-per-second", 0)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(30) == 0


@pytest.mark.slow
def test_ctrl_c_in_the_middle_writes_nothing_and_the_journal_resumes(
    start: Start, command: Command, pairs_file: PairsFile, once: Once, server: Any
) -> None:
    Path("network.graphml").write_text("old\n", encoding="utf-8")
    words = ("network", pairs_file(file_of(PEOPLE)), "-o", "network.graphml", "--journal", "j.sqlite")
    process = start(*words, "--max-per-second", 20, "--max-connections", 2)
    once(lambda: server.app.requests.total >= 10, lambda: process.send_signal(signal.SIGINT))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    read, nothing, interrupted, resume = err.splitlines()
    assert re.fullmatch(r"\d+ read in .*/s\): \d+ listed", read)
    assert nothing == "aioconnections: no network is written, because some lists were not read"
    assert interrupted == "aioconnections: interrupted"
    assert resume.startswith("aioconnections: to resume: ")
    assert Path("network.graphml").read_text("utf-8") == "old\n"
    again = command(*words, "--max-per-second", 0)
    assert again.code == 0
    assert "of these from an earlier run" in again.err
    assert networkx.read_graphml("network.graphml").number_of_edges() == len(truth(PEOPLE))


@pytest.fixture
def narrow(server: Any) -> Generator[Terminal]:
    del server
    with Terminal(40) as terminal:
        yield terminal


@pytest.mark.slow
def test_the_bar_and_the_summary_on_40_columns(narrow: Terminal, pairs_file: PairsFile) -> None:
    people = pairs_file(file_of(GROUP) + "nobody,\n")
    narrow.start("network", people, "-o", "network.graphml", "--max-per-second", 8)  # takes more than 2 s
    assert narrow.wait() == 1
    shown = narrow.screen
    view = r"reading lists [━╸╺ ]+ \d+%   \d+ s left\n\d+ of 25   "
    assert any(re.search(view, frame) for frame in narrow.frames)
    assert "reading lists" not in shown.text
    assert shown.cuts == []
    said = " ".join(shown.text.split())
    problem = r"BadRequestError: HTTP 400: CLFRN1172E: The request is invalid\."
    assert re.fullmatch(
        rf"line 26: the list cannot be read: {problem} 24 read in \d+\.\d s \(\d+(\.\d)?/s\) listed 24 rejected 1 "
        r"requests \d+ time per item, p50 \S+ \w+ time per item, p95 \S+ \w+ mean wait for limits \S+ \w+ "
        rf"1 rejected: {problem} What to do: correct the people in these rows\. people: 25; "
        rf"connections between them: {len(truth(GROUP))}; "
        r"people without connections: \d+",
        said,
    )


@pytest.mark.slow
def test_graphml_on_a_terminal_has_no_control_characters(narrow: Terminal, pairs_file: PairsFile) -> None:
    evil = "a\x1b[31m\x9b31m\u202eb"  # the screen refuses them
    people = pairs_file(f"userid,note\n{GROUP[0].userid},{evil}\n{GROUP[1].userid},\n")
    narrow.start("network", people, "--format", "graphml")
    assert narrow.wait() == 0
    assert "a\ufffd[31m&#155;31m&#8238;b" in narrow.screen.text.replace("\n", "")
