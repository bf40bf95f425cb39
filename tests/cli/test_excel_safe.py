"""``--excel-safe``: no cell of a result is a formula, and reading the result gives the same text again."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.files.dialect import excel_safe_cell, unescaped
from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people

Command = Callable[..., Any]

CELLS = ["=1+1", "+49 30", "-5", "@name", "\tx", "\rx", "plain", "'quoted'", "'=1", "''=1", "a=1", ""]

pytestmark = pytest.mark.usefixtures("signed_in")


def write(path: str, cells: list[str], header: str = "note") -> None:
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["source_userid", "target_userid", header])
        table.writerows([ME.userid, OTHERS[0].userid, cell] for cell in cells)


def notes(path: str, header: str = "note") -> list[str | None]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return [row.get(header) for row in csv.DictReader(file)]


@pytest.mark.parametrize("dry", [False, True], ids=["run", "dry run"])
def test_cells_that_excel_would_evaluate_are_escaped_and_reading_undoes_it(command: Command, *, dry: bool) -> None:
    write("in.csv", CELLS)
    options = ("--ordered", "--excel-safe", *["--dry-run"] * dry)
    assert command("check", "in.csv", *options, "-o", "one.csv").code == 0
    safe = notes("one.csv")
    assert all(cell is not None and not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in safe)
    assert safe[:4] == ["'=1+1", "'+49 30", "'-5", "'@name"]
    assert command("check", "one.csv", *options, "-o", "two.csv").code == 0
    assert notes("two.csv") == safe
    write("plain.csv", CELLS)
    assert command("check", "plain.csv", "--ordered", "--dry-run", "-o", "out.csv").code == 0
    assert notes("out.csv") == CELLS, "nothing is escaped without the option"


@given(st.text(st.sampled_from("'=+-@\t\r\nab ")))
def test_an_escaped_text_is_never_evaluated_and_is_restored(text: str) -> None:
    assert not excel_safe_cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unescaped(excel_safe_cell(text)) == text


def test_a_column_with_the_name_of_a_formula_is_escaped_too(command: Command) -> None:
    write("in.csv", ["x"], header="=cmd|'/C calc'!A0")
    options = ("--excel-safe", "--dry-run")
    assert command("check", "in.csv", *options, "-o", "one.csv").code == 0
    assert notes("one.csv", "'=cmd|'/C calc'!A0") == ["x"]
    assert command("check", "one.csv", *options, "-o", "two.csv").code == 0
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes()


@pytest.mark.parametrize("safe", [False, True])
def test_an_escaped_identity_names_the_person(command: Command, *, safe: bool) -> None:
    Path("in.csv").write_text("userid,note\n'=u1,'=x\n", encoding="utf-8")
    options = ("--no-journal", "--dry-run", *["--excel-safe"] * safe)
    said = command("invite", "in.csv", *options)
    assert "%3Du1" in said.rows[0]["url"] or "=u1" in said.rows[0]["body"] or "=u1" in said.rows[0]["url"]
    assert "'" not in said.rows[0]["url"] + said.rows[0]["body"].replace("version='1.0'", "").partition("=u1")[2][:1]
    assert (said.rows[0]["userid"], said.rows[0]["note"]) == ("'=u1", "'=x")


@pytest.mark.parametrize("words", [("search", "--name", "*"), ("colleagues", "--userid", str(ME.userid))], ids=" ".join)
def test_listings_escape_names(command: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(ME.userid))
    plain, safe = command(*words), command(*words, "--excel-safe")
    assert (plain.code, safe.code) == (0, 0)
    assert [list(map(excel_safe_cell, row.values())) for row in plain.rows] == [list(row.values()) for row in safe.rows]


def test_json_lines_have_no_cells(command: Command) -> None:
    write("in.csv", ["=1"])
    Path("in.jsonl").write_text(json.dumps({"source_userid": "a", "target_userid": "b"}) + "\n", encoding="utf-8")
    for arguments in (("check", "in.csv", "--json"), ("check", "in.jsonl"), ("search", "x", "--json")):
        said = command(*arguments, "--excel-safe")
        assert (said.code, said.out) == (2, "")
        assert said.err == "aioconnections: --excel-safe is for CSV; JSON lines have no cells that Excel evaluates\n"


def test_an_escaped_result_is_retried(command: Command, signed_in: Any) -> None:
    write("in.csv", CELLS[:6])
    signed_in.refuses_after = 3
    line = ("check", "in.csv", "--ordered", "--excel-safe", "-o", "result.csv", "--max-connections", 1)
    assert command(*line).code == 3
    safe = notes("result.csv")
    assert safe[0] == "'=1+1"
    assert not all(notes("result.csv", "status"))
    signed_in.refuses_after = float("inf")
    said = command("check", "--retry", "result.csv", "--excel-safe", "-o", "result.csv")
    assert said.code == 0, said.err
    assert notes("result.csv") == safe
    assert all(notes("result.csv", "status"))
