"""``check --group`` and ``--against``: the pairs of the people in files, made one by one."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
from collections.abc import Callable
from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any

import pytest

from aioconnections.cli.bar import progress
from aioconnections.records import Person
from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
PEOPLE = [*DIRECTORY.people]
GROUP = PEOPLE[:12]
OTHERS = PEOPLE[8:20]

ADDED = ["status", "http_status", "attempts", "elapsed_ms", "error"]
FAST = ("--max-per-second", 0)

Command = Callable[..., Any]
PairsFile = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]
Once = Callable[[Callable[[], bool], Callable[[], object]], None]
Row = dict[str, str]


@pytest.fixture(autouse=True)
def server(signed_in: Any) -> Any:
    return signed_in


def file_of(people: list[Person], kind: str = "userid", **form: str) -> str:
    text = io.StringIO(newline="")
    table = csv.writer(text, **{"lineterminator": "\n"} | form)  # type: ignore[arg-type] # texts alone
    table.writerows([(kind, "Abteilung"), *((getattr(person, kind), "Köche; Kellner") for person in people)])
    return text.getvalue()


def pairs(rows: list[Row], kind: str = "userid", target: str | None = None) -> list[tuple[str, str]]:
    return [(row[f"source_{kind}"], row[f"target_{target or kind}"]) for row in rows]


def names(chosen: Any, kind: str = "userid", target: str | None = None) -> list[tuple[str, str]]:
    return [(str(getattr(one, kind)), str(getattr(other, target or kind))) for one, other in chosen]


def statuses(chosen: Any) -> list[str]:
    return [str(DIRECTORY.status(one, other) or "none") for one, other in chosen]


@pytest.mark.parametrize("ways", [[], ["--both-ways"]], ids=["each pair once", "both ways"])
@pytest.mark.parametrize("kind", ["userid", "key", "email"])
def test_each_pair_of_a_group_is_checked(command: Command, pairs_file: PairsFile, kind: str, ways: list[str]) -> None:
    said = command("check", "--group", pairs_file(file_of(GROUP, kind)), *ways, *FAST, "--ordered")
    expected = [*(permutations if ways else combinations)(GROUP, 2)]
    assert said.code == 0
    assert list(said.rows[0]) == [f"source_{kind}", f"target_{kind}", *ADDED]
    assert pairs(said.rows, kind) == names(expected, kind)
    assert [row["status"] for row in said.rows] == statuses(expected)
    assert said.err.startswith(f"{len(expected)} checked in ")
    assert len(said.err.splitlines()) == 1


def test_each_person_is_checked_with_each_person_of_another_file(command: Command, pairs_file: PairsFile) -> None:
    sources = pairs_file(file_of(GROUP), name="a.csv")
    said = command("check", sources, "--against", pairs_file(file_of(OTHERS), name="b.csv"), *FAST, "--ordered")
    expected = [(one, other) for one, other in product(GROUP, OTHERS) if one is not other]
    assert len(expected) == 12 * 12 - 4
    assert (said.code, pairs(said.rows)) == (0, names(expected))
    assert [row["status"] for row in said.rows] == statuses(expected)
    said = command("check", sources, "--against", pairs_file(file_of(OTHERS, "email"), name="c.csv"), "--dry-run")
    assert list(said.rows[0])[:2] == ["source_userid", "target_email"]
    assert pairs(said.rows, "userid", "email") == names(product(GROUP, OTHERS), "userid", "email")


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--group", "g.csv", "--both-ways"], ["g.csv", "--against", "g.csv"]], ids=" ".join)
def test_a_plan_finds_the_same(command: Command, pairs_file: PairsFile, server: Any, words: list[str]) -> None:
    pairs_file(file_of(PEOPLE), name="g.csv")
    said = command("check", *words, "--plan", "auto")  # at the usual rate, which sets the price of a page
    truth = dict(zip(names(permutations(PEOPLE, 2)), statuses(permutations(PEOPLE, 2)), strict=True))
    assert said.code == 0
    assert list(said.rows[0]) == ["source_userid", "target_userid", *ADDED[:2], "via", *ADDED[2:]]
    assert len(said.rows) == len(truth)
    assert dict(zip(pairs(said.rows), [row["status"] for row in said.rows], strict=True)) == truth
    assert server.app.requests.total < len(truth), "how much fewer depends on the times of responses"
    assert said.err.splitlines()[-1].endswith(" of them found in lists of colleagues")


def test_a_file_as_excel_saves_it(command: Command, pairs_file: PairsFile) -> None:
    one, two, three = GROUP[:3]
    lines = [
        "sep=;",
        "E-Mail;Userid;Größe;Profiles-Key",
        "Email;Userid;Größe;Key",
        f"{one.email};;groß;",
        f";{two.userid};;",
        str(one.email).upper(),  # the same person as in line 4
        f";;;{three.key}",
        ";;niemand;",
        "a;b;c;d;e",
        f";{one.userid};;",  # may be another person, as far as this command knows
        "Email;Userid;Größe;Key",
        f";;;{str(three.key).upper()}",
    ]
    text = "\r\n".join([lines[0], *lines[2:], ""]).encode("cp1252")
    said = command("check", "--group", pairs_file(text), "--encoding", "cp1252", "--ordered", "-o", "result.csv")
    assert said.code == 1
    written = Path("result.csv").read_bytes().decode()
    columns = [f"{role}_{kind}" for role in ("source", "target") for kind in ("userid", "key", "email")]
    assert written.startswith("\ufeffsep=;\r\n" + ";".join([*columns, *ADDED]) + "\r\n")
    rows = [*csv.reader(io.StringIO(written, newline=""), delimiter=";")][2:]
    people = [["", "", str(one.email)], [str(two.userid), "", ""], ["", str(three.key), ""], [str(one.userid), "", ""]]
    assert [row[:6] for row in rows] == [source + target for source, target in combinations(people, 2)]
    truth = [*combinations([one, two, three, one], 2)]
    alike = [number for number, (source, target) in enumerate(truth) if source is target]
    assert [row[6] for number, row in enumerate(rows) if number not in alike] == [
        status for number, status in enumerate(statuses(truth)) if number not in alike
    ]
    first, second, summary = said.err.splitlines()[:3]
    assert first == "line 7: no person: userid, key and email are empty"
    assert second == "line 8: 5 fields where the header has 4; a field with the delimiter needs quotes"
    assert "; 2 unreadable; line 10 repeats the header; 2 lines repeat a person, from line 5 on" in summary


def test_messages_name_the_file_if_there_are_two(command: Command, pairs_file: PairsFile) -> None:
    one, two, three = GROUP[:3]
    first = pairs_file(f"userid\n{one.userid}\n{two.userid}\n{one.userid}\n", name="a.csv")
    pairs_file(f'userid\n"x\n{two.userid}\n{three.userid}\nuserid\n', name="b.csv")
    said = command("check", first, "--against", "b.csv", "--ordered", *FAST)
    assert (said.code, pairs(said.rows)) == (1, names([(one, two), (one, three), (two, three)]))
    problem, summary = said.err.splitlines()
    assert problem == "b.csv: line 2: not valid CSV; check its quotes"
    assert summary.endswith(f"; 1 unreadable; {first}: line 4 repeats a person; b.csv: line 5 repeats the header")
    dry = command("check", first, "--against", "b.csv", "--dry-run")
    assert dry.code == 1
    assert dry.err == (
        f"{problem}\n3 pairs; 1 unreadable\n"
        "plan  requests  time at 100/s\nhead         4          0.0 s\nauto         4          0.0 s\n"
        "head is exact unless requests are repeated; auto is estimated from lists of usual length\n"
        f"nothing was sent; {first}: line 4 repeats a person; b.csv: line 5 repeats the header\n"
    )


@pytest.mark.parametrize("other", ["a.csv", "./a.csv", "link.csv"])
def test_a_file_against_itself_is_read_and_described_once(command: Command, pairs_file: PairsFile, other: str) -> None:
    one, two = GROUP[:2]
    pairs_file(f'userid\n"x\n{one.userid}\n{two.userid}\n{one.userid}\n', name="a.csv")
    Path("link.csv").symlink_to("a.csv")
    said = command("check", "a.csv", "--against", other, "--ordered", *FAST)
    assert (said.code, pairs(said.rows)) == (1, names([(one, two), (two, one)]))
    problem, summary = said.err.splitlines()
    assert problem == "a.csv: line 2: not valid CSV; check its quotes"
    assert summary.endswith("; 1 unreadable; a.csv: line 5 repeats a person")


@pytest.mark.parametrize("name", ["userid", "Nr.", "person"])
def test_bytes_that_are_no_text(command: Command, pairs_file: PairsFile, name: str) -> None:
    text = f"{name},Abteilung\n{GROUP[0].userid},Köche\njörg,Küche\n{GROUP[1].userid},\n".encode("cp1252")
    options = ["--id-type", "userid"] * (name != "userid") + ["--person-column", name] * (name == "Nr.")
    said = command("check", "--group", pairs_file(text), *options)
    assert (said.code, pairs(said.rows)) == (1, names([GROUP[:2]]))
    problem, summary = said.err.splitlines()
    assert problem.startswith(f"line 3: {name}: character 2 of the userid is U+DCF6, a lone surrogate: correct the enc")
    assert summary.endswith("1 unreadable"), "other columns are not written, so their bytes do not matter"


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (file_of(GROUP[:1], "email"), ["source_email", "target_email"]),
        ("Key;name\n", ["source_key", "target_key"]),
        ("email,userid\n", ["source_userid", "source_email", "target_userid", "target_email"]),
    ],
    ids=["one person", "no person", "two columns"],
)
def test_fewer_people_than_a_pair(command: Command, pairs_file: PairsFile, content: str, columns: list[str]) -> None:
    said = command("check", "--group", pairs_file(content))
    assert said.code == 0
    assert re.split("[,;]", said.out.strip()) == [*columns, *ADDED]
    assert re.fullmatch(r"0 checked in \d\.\d s\n", said.err)


def test_no_person_but_a_kind(command: Command, pairs_file: PairsFile) -> None:
    said = command("check", "--group", pairs_file("person\n"), "--id-type", "key")
    assert (said.code, said.out.split(",")[:2]) == (0, ["source_key", "target_key"])
    said = command("check", "--group", pairs_file("{}\n"), "--format", "csv")
    assert (said.code, said.out.split(",")[:2]) == (1, ["source_userid", "source_key"])


def test_json_lines(command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = GROUP[:2]
    rows = [{"Userid": str(one.userid), "tags": ["ä", 1]}, {"email": str(two.email)}]
    path = pairs_file("".join(json.dumps(row) + "\n" for row in rows), name="people.jsonl")
    with path.open(encoding="utf-8") as stdin, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", stdin)
        said = command("check", "--group", "-")
    assert said.code == 0
    assert list(json.loads(said.out).items())[:3] == [
        ("source_userid", str(one.userid)),
        ("target_email", str(two.email)),
        ("status", statuses([(one, two)])[0]),
    ]
    said = command("check", "--group", path, "--format", "csv")
    columns = ["source_userid", "source_email", "target_userid", "target_email"]
    assert [said.rows[0][column] for column in columns] == [str(one.userid), "", "", str(two.email)]


@pytest.mark.parametrize("words", [["-", "--against", "b.csv"], ["b.csv", "--against", "-"], ["--against", "b.csv"]])
def test_one_file_may_be_standard_input(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    pairs_file(file_of(GROUP[:2]), name="b.csv")
    with pairs_file(file_of(GROUP[2:3])).open(encoding="utf-8") as stdin, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", stdin)
        said = command("check", *words, "--ordered")
    expected = product(GROUP[2:3], GROUP[:2]) if words[-1] == "b.csv" else product(GROUP[:2], GROUP[2:3])
    assert (said.code, pairs(said.rows)) == (0, names(expected))


def test_cells_that_are_escaped_for_excel(command: Command, pairs_file: PairsFile) -> None:
    path = pairs_file("userid\n'=a\n-b\n'c\n")
    said = command("check", "--group", path, "--dry-run")
    assert pairs(said.rows) == [("'=a", "-b"), ("'=a", "'c"), ("-b", "'c")]
    assert {re.split("[=&]", said.rows[0]["url"])[-1], said.rows[1]["url"].split("=")[-1]} == {"-b", "%27c"}
    said = command("check", "--group", path, "--dry-run", "--excel-safe")
    assert pairs(said.rows) == [("'=a", "'-b"), ("'=a", "'c"), ("'-b", "'c")]


def test_a_journal_knows_the_same_people_in_the_same_order(
    command: Command, pairs_file: PairsFile, server: Any
) -> None:
    path = pairs_file(file_of(GROUP))
    words = ("check", "--group", path, *FAST, "--journal", "j.sqlite")
    first = command(*words)
    asked = server.app.requests.total
    again = command(*words)
    assert (first.code, again.code) == (0, 0)
    assert sorted(pairs(again.rows)) == sorted(names(combinations(GROUP, 2)))
    assert server.app.requests.total == asked + 1, "one request proves the login"
    assert "; 66 of these from an earlier run; " in again.err
    pairs_file(file_of([*GROUP[:-1], PEOPLE[-1]]))
    changed = command(*words)
    assert changed.code == 2
    was, now = (f"target_userid {person.userid}" for person in (GROUP[-1], PEOPLE[-1]))
    assert re.search(rf"aioconnections: the row was source_userid \S+, {was} and is now \S+ \S+, {now}\n", changed.err)


@pytest.mark.parametrize("arguments", [["--group", "g.csv"], ["g.csv", "--against", "h.csv"]], ids=" ".join)
def test_the_number_of_pairs_is_known(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    totals: list[int | None] = []

    def noted(total: int | None, **options: Any) -> Any:
        totals.append(total)
        return progress(total, **options)

    monkeypatch.setattr("aioconnections.cli.running.progress", noted)
    pairs_file(file_of([*GROUP, GROUP[0]]), name="g.csv")
    pairs_file(file_of([*OTHERS, OTHERS[0]]), name="h.csv")
    rows = command("check", *arguments, *FAST).rows
    assert totals == [len(rows)]
    if "--group" in arguments:
        assert command("check", *arguments, "--both-ways", *FAST).code == 0
        assert totals[1:] == [132]


def test_the_result_can_be_tried_again(command: Command, pairs_file: PairsFile, server: Any) -> None:
    server.refuses_after = 20
    said = command("check", "--group", pairs_file(file_of(GROUP)), *FAST, "-o", "result.csv")
    assert said.code == 3
    server.refuses_after = float("inf")
    again = command("check", "--retry", "result.csv", "-o", "result.csv", *FAST)
    assert again.code == 0
    with Path("result.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    truth = dict(zip(names(combinations(GROUP, 2)), statuses(combinations(GROUP, 2)), strict=True))
    assert dict(zip(pairs(rows), [row["status"] for row in rows], strict=True)) == truth


def words_alone(value: list[str] | str) -> str:
    return "" if isinstance(value, str) else " ".join(value)


ONLY_ONE = "cannot be used together; use one of them"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["g.csv", "--group", "g.csv"], f"a file and --group {ONLY_ONE}"),
        (["--group", "g.csv", "--against", "g.csv"], f"--group and --against {ONLY_ONE}"),
        (["g.csv", "--both-ways"], "--both-ways needs --group"),
        (["g.csv", "--against", "g.csv", "--both-ways"], "--both-ways needs --group"),
        (["g.csv", "--person-column", "x"], "--person-column needs --group or --against"),
        (["--group", "g.csv", "--person-column", "x"], "--person-column needs --id-type, which tells what is in the"),
        (
            ["--group", "g.csv", "--retry", "r.csv"],
            "--group and --retry cannot be used together; --retry alone reads the result of --group",
        ),
        (
            ["--against", "g.csv", "--retry", "r.csv"],
            "--against and --retry cannot be used together; --retry alone reads the result of --against",
        ),
        (
            ["--group", "g.csv", "--source-column", "a", "--id-type", "key"],
            "--source-column is for a file of pairs; with --group, use --person-column",
        ),
        (
            ["g.csv", "--against", "g.csv", "--target-column", "a"],
            "--target-column is for a file of pairs; with --against, use --person-column",
        ),
        (["--against", "-"], "only one of the two files can be standard input; name the other one"),
        (["-", "--against", "-"], "only one of the two files can be standard input; name the other one"),
        (["--group", "empty.csv"], "the input is empty"),
        (["--group", "pairs.csv"], "the input has no column for the person: userid, key, email"),
        (["g.csv", "--against", "empty.csv"], "empty.csv: the input is empty"),
        (["g.csv", "--against", "missing.csv"], "missing.csv: No such file or directory"),
        (["--group", "missing.csv"], "missing.csv: No such file or directory"),
        (["--group", "g.csv", "-o", "g.csv"], "the result cannot be written over its own input; choose another file"),
        (
            ["g.csv", "--against", "h.csv", "-o", "h.csv"],
            "the result cannot be written over the file of --against; choose another file",
        ),
        (["--group", "g.jsonl", "--excel-safe"], "--excel-safe is for CSV; JSON lines have no cells"),
    ],
    ids=words_alone,
)
def test_what_does_not_fit_together_is_refused(
    command: Command, pairs_file: PairsFile, server: Any, words: list[str], problem: str
) -> None:
    pairs_file(file_of(GROUP), name="g.csv")
    pairs_file(file_of(GROUP), name="h.csv")
    pairs_file('{"userid": "x"}\n', name="g.jsonl")
    pairs_file("", name="empty.csv")
    pairs_file(count=2)
    said = command("check", *words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"aioconnections: {problem}")
    assert len(said.err.splitlines()) == 1
    assert server.app.requests.total == 0


def test_an_option_in_place_of_a_file_is_named(command: Command) -> None:
    said = command("check", "--group", "--both-ways")
    assert said.code == 2
    assert 'Invalid value "--both-ways" for --group. The name of the file is missing.' in said.err


@pytest.mark.slow
def test_pairs_are_made_one_by_one(start: Start, pairs_file: PairsFile) -> None:
    people = "".join(f"p{number}\n" for number in range(10_000))
    process = start("check", "--group", pairs_file(f"userid\n{people}"), "--both-ways", "--dry-run")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    process.stdout.close()
    assert [line.split(",")[:2] for line in lines[1:]] == [["p0", "p1"], ["p0", "p2"]]
    assert process.wait(30) == 0


@pytest.mark.slow
def test_ctrl_c_in_the_middle_and_the_journal_resumes(
    start: Start, command: Command, pairs_file: PairsFile, once: Once, server: Any
) -> None:
    words = ("check", "--group", pairs_file(file_of(GROUP)), "-o", "result.csv", "--journal", "j.sqlite")
    process = start(*words, "--max-per-second", 20, "--max-connections", 2)
    once(lambda: server.app.requests.total >= 10, lambda: process.send_signal(signal.SIGINT))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    summary, interrupted, resume = err.splitlines()
    assert re.fullmatch(r"\d+ checked in .*; \d+ unprocessed", summary)
    assert interrupted == "aioconnections: interrupted"
    assert resume.startswith("aioconnections: to resume: ")
    assert len(Path("result.csv").read_text("utf-8").splitlines()) == 67
    again = command(*words, *FAST)
    assert again.code == 0
    assert "of these from an earlier run" in again.err
