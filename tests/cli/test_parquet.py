"""Parquet files as input and output of the commands: types stay, and what cannot be read gets one line of advice."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped, unused-ignore] # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore] # it has no types
import pytest

from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
COMMUNITY = next(community for community in DIRECTORY.communities if community.invited)
PEOPLE = [*DIRECTORY.people]
FAST = ("--max-per-second", 0)

Command = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("signed_in")


def carried(count: int) -> dict[str, Any]:
    """Columns that only Parquet can hold without loss."""
    return {
        "joined": pa.array([dt.date(2026, 1, 1) + dt.timedelta(n) if n % 3 else None for n in range(count)]),
        "seen": pa.array([1_700_000_000_000_000_001 + n for n in range(count)], pa.timestamp("ns", tz="UTC")),
        "salary": pa.array([Decimal(f"{n}.50") for n in range(count)], pa.decimal128(9, 2)),
        "tags": pa.array([["a", None], [], None, ["b"]][: count % 4] + [["c"]] * (count - count % 4)),
        "team": pa.array([f"team {n % 2}" for n in range(count)]).dictionary_encode(),
        "photo": pa.array([bytes([n]) for n in range(count)]),
        "level": pa.array([n if n % 2 else None for n in range(count)], pa.int8()),
    }


def pairs(path: str, count: int = 6, **more: Any) -> Any:
    table = pa.table(
        {
            "source_userid": [one.userid.value for one in PEOPLE[:count] if one.userid],
            "target_userid": [one.userid.value for one in PEOPLE[1 : count + 1] if one.userid],
            **carried(count),
            **more,
        }
    )
    pq.write_table(table, path, row_group_size=2)
    return table


def people(path: str, count: int = 5, **more: Any) -> Any:
    table = pa.table(
        {"userid": [one.userid.value for one in PEOPLE[10 : 10 + count] if one.userid], **carried(count), **more}
    )
    pq.write_table(table, path)
    return table


def same_columns(given: Any, result: Any) -> None:
    """The columns of the input are the first of the result, with their types and values."""
    assert result.select(given.schema.names).schema.types == given.schema.types
    for name in given.schema.names:
        assert result[name].combine_chunks() == given[name].combine_chunks(), name


@pytest.mark.parametrize(
    "words",
    [
        ("check",),
        ("check", "--plan", "auto"),
        ("accept",),
        ("remove", "--yes"),
        ("connect",),
        ("disconnect", "--yes"),
        ("check", "--dry-run"),
    ],
    ids=" ".join,
)
def test_commands_over_pairs_keep_all_columns(command: Command, words: tuple[str, ...]) -> None:
    given = pairs("in.parquet")
    said = command(*words, "in.parquet", "--output", "out.parquet", "--ordered", *FAST)
    assert said.code in {0, 1}, said.err
    assert said.out == ""
    result = pq.read_table("out.parquet")
    same_columns(given, result)
    added = result.schema.names[len(given.schema.names) :]
    assert added[-1] == "error"
    if "--dry-run" not in words:
        assert result.schema.field("attempts").type == pa.int32()
        assert result.schema.field("elapsed_ms").type == pa.float64()
        assert result["attempts"].null_count == 0


@pytest.mark.parametrize(
    "words",
    [
        ("invite", "in.parquet", "--no-journal"),
        ("invite", "in.parquet", "--journal", "j.sqlite"),
        ("profile", "in.parquet"),
        ("community", "invite", COMMUNITY.uuid, "in.parquet", "--no-journal"),
    ],
    ids=" ".join,
)
def test_commands_over_people_keep_all_columns(command: Command, words: tuple[str, ...]) -> None:
    given = people("in.parquet")
    said = command(*words, "--output", "out.parquet", "--ordered", *FAST)
    assert said.code == 0, said.err
    result = pq.read_table("out.parquet")
    same_columns(given, result)
    assert result["outcome"].null_count == 0
    if "--journal" in words:
        assert result.schema.field("recorded_at").type == pa.timestamp("us", tz="UTC")
        assert result["recorded_at"].null_count == 0


def test_lists_and_networks(command: Command) -> None:
    given = people("in.parquet", 30)
    said = command("colleagues", "in.parquet", "-o", "lists.parquet", "--ordered", *FAST)
    assert said.code == 0, said.err
    lists = pq.read_table("lists.parquet")
    assert lists.num_rows >= given.num_rows
    assert lists.schema.field("connections").type == pa.int64()
    assert lists.schema.field("updated").type == pa.timestamp("us", tz="UTC")
    assert lists.schema.field("tags").type == given.schema.field("tags").type
    said = command("network", "in.parquet", "-o", "network.parquet", *FAST)
    assert said.code == 0, said.err
    edges = pq.read_table("network.parquet")
    assert command("network", "in.parquet", "-o", "network.csv", *FAST).code == 0
    with Path("network.csv").open(encoding="utf-8", newline="") as file:
        expected = [*csv.DictReader(file)]
    assert [row["target_userid"] for row in edges.to_pylist()] == [row["target_userid"] for row in expected] != []
    assert edges.schema.field("disputed").type == pa.bool_()
    assert edges["updated"].to_pylist() == [dt.datetime.fromisoformat(row["updated"]) for row in expected]


def test_listings_and_the_report_of_a_journal(command: Command) -> None:
    assert command("search", "--name", "b*", "-o", "found.parquet").code == 0
    found = pq.read_table("found.parquet")
    assert found.num_rows
    assert found.schema.field("external").type == pa.bool_()
    pairs("in.parquet")
    assert command("check", "in.parquet", "--journal", "j.sqlite", "-o", "out.parquet", *FAST).code == 0
    assert command("report", "j.sqlite", "-o", "report.parquet").code == 0
    report = pq.read_table("report.parquet")
    assert report.num_rows == 6
    assert report.schema.field("outcome_at").type == pa.timestamp("us", tz="UTC")
    said = command("check", "in.parquet", "--journal", "j.sqlite", "--resume", "-o", "again.parquet", *FAST)
    assert said.code == 0, said.err
    assert "of these from an earlier run" in said.err


def test_invitations_into_communities(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = {person.userid for person in (*COMMUNITY.owners, *COMMUNITY.members, *COMMUNITY.invited)}
    others = [str(person.userid) for person in PEOPLE if person.userid not in inside]
    pq.write_table(pa.table({"userid": others[:2]}), "people.parquet")
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(COMMUNITY.owners[0].userid))
    said = command("community", "invite", COMMUNITY.uuid, "people.parquet", "--no-journal", "-o", "out.parquet")
    assert said.code == 0, said.err
    assert command("community", "invitations", COMMUNITY.uuid, "-o", "waiting.parquet").code == 0
    assert pq.read_table("waiting.parquet").num_rows == 3
    said = command("invitations", "revoke", "waiting.parquet", "-o", "revoked.parquet", "--yes")
    assert said.code == 0, said.err
    assert pq.read_table("revoked.parquet")["outcome"].to_pylist() == ["removed"] * 3


def test_groups(command: Command) -> None:
    people("a.parquet", 4)
    people("b.parquet", 3)
    assert command("check", "--group", "a.parquet", "-o", "group.parquet", *FAST).code == 0
    assert pq.read_table("group.parquet").num_rows == 6
    assert command("check", "a.parquet", "--against", "b.parquet", "-o", "two.parquet", *FAST).code == 0
    assert pq.read_table("two.parquet").num_rows == 9


def test_shards_are_merged_with_their_types(command: Command) -> None:
    given = pairs("in.parquet", 20)
    for number in (1, 2, 3):
        said = command("check", "in.parquet", "--shard", f"{number}/3", "-o", f"part-{number}.parquet", *FAST)
        assert said.code == 0, said.err
    said = command("merge", "part-*.parquet", "-o", "all.parquet")
    assert said.code == 0, said.err
    result = pq.read_table("all.parquet")
    same_columns(given, result)
    assert "input_row" not in result.schema.names
    assert result.schema.field("attempts").type == pa.int32()
    Path("part-2.parquet").write_bytes(Path("part-2.parquet").read_bytes()[:-20])
    said = command("merge", "part-*.parquet", "-o", "all.parquet")
    assert said.code == 2
    assert "part-2.parquet cannot be read" in said.err


@pytest.mark.parametrize("output", ["old.parquet", "new.parquet"])
def test_a_retry_takes_the_rows_that_were_not_done(command: Command, output: str, signed_in: Any) -> None:
    given = pairs("in.parquet", 12)
    signed_in.refuses_after = 6
    assert command("check", "in.parquet", "-o", "old.parquet", "--ordered", *FAST).code == 3
    old = pq.read_table("old.parquet")
    undone = old["status"].null_count
    assert 0 < undone < 12
    signed_in.refuses_after = float("inf")
    said = command("check", "--retry", "old.parquet", "-o", output, *FAST)
    assert said.code == 0, said.err
    result = pq.read_table(output)
    assert result["status"].null_count == 0
    if output == "old.parquet":
        same_columns(given, result)
    else:
        assert result.num_rows == undone
        assert result.select(given.schema.names).schema.types == given.schema.types


def test_from_and_to_text(command: Command) -> None:
    table = pairs("all.parquet")
    said = command("check", "all.parquet", *FAST)
    assert said.code == 2
    assert "the column tags of all.parquet is of the type list" in said.err
    assert "use --format parquet" in said.err
    pq.write_table(table.drop_columns(["tags", "photo"]), "in.parquet")
    said = command("check", "in.parquet", "--ordered", *FAST)
    assert said.code == 0, said.err
    rows = [*csv.DictReader(io.StringIO(said.out))]
    assert [row["joined"] for row in rows][:2] == ["", "2026-01-02"]
    assert rows[1]["salary"] == "1.50"
    assert rows[0]["seen"].startswith("2023-11-14 22:13:20.000000001")
    said = command("check", "in.parquet", "--json", "--ordered", *FAST)
    assert json.loads(said.out.splitlines()[1])["level"] == 1
    Path("in.csv").write_text(_csv(rows), encoding="utf-8")
    assert command("check", "in.csv", "-o", "from_csv.parquet", "--ordered", *FAST).code == 0
    assert pq.read_table("from_csv.parquet")["joined"].to_pylist()[:2] == ["", "2026-01-02"]
    Path("in.jsonl").write_text('{"source_userid": "a", "target_userid": "b"}\n', encoding="utf-8")
    said = command("check", "in.jsonl", "-o", "x.parquet", *FAST)
    assert said.code == 2
    assert "their result cannot be written as Parquet" in said.err
    assert not Path("x.parquet").exists()


def _csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, [*rows[0]])
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("-o", "x.parquet", "--format", "csv"), "x.parquet is named like Parquet, and the format is csv"),
        (("-o", "x.parquet", "--json"), "x.parquet is named like Parquet, and the format is jsonl"),
        (("--format", "parquet", "--excel-safe"), "--excel-safe is for CSV"),
        (("--format", "parquet", "--json"), "--json and --format parquet cannot be used together"),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, tuple) else "",
)
def test_options_that_conflict(command: Command, words: tuple[str, ...], problem: str) -> None:
    pairs("in.parquet")
    said = command("check", "in.parquet", *words)
    assert (said.code, said.out) == (2, "")
    assert problem in said.err
    assert not Path("x.parquet").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PAR1", "in.parquet is not a valid Parquet file"),
        (b"PAR1 and nothing else, which is no footer", "in.parquet is not a valid Parquet file"),
        (b"", "in.parquet is named like a Parquet file"),
        (None, "in.parquet is not a valid Parquet file"),
    ],
    ids=["magic", "no footer", "empty", "damaged page"],
)
def test_a_damaged_file_gets_one_line(command: Command, content: bytes | None, problem: str) -> None:
    if content is None:
        pairs("in.parquet", 50)
        content = Path("in.parquet").read_bytes()
        content = content[:4] + bytes(byte ^ 255 for byte in content[4:60]) + content[60:]
    Path("in.parquet").write_bytes(content)
    said = command("check", "in.parquet", "-o", "out.parquet", *FAST)
    assert (said.code, said.out) == (2, "")
    assert problem in said.err
    assert said.err.count("\n") == 1 or "checked" in said.err
    assert not Path("out.parquet").exists()


def test_odd_tables(command: Command) -> None:
    pq.write_table(pa.table({}), "in.parquet")
    said = command("check", "in.parquet", *FAST)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "it has no columns" in said.err
    empty = pairs("in.parquet", 3).slice(0, 0)
    pq.write_table(empty, "in.parquet")
    assert command("check", "in.parquet", "-o", "out.parquet", *FAST).code == 0
    result = pq.read_table("out.parquet")
    assert result.num_rows == 0
    assert result.select(empty.schema.names).schema.types == empty.schema.types
    given = pairs("in.parquet", 4, status=pa.array([1, 2, 3, 4]))
    assert command("check", "in.parquet", "-o", "out.parquet", *FAST).code == 0
    assert pq.read_table("out.parquet").schema.field("status").type == pa.string()  # replaced, as in CSV
    holes = pa.array([None, PEOPLE[0].userid and PEOPLE[0].userid.value, None, "x"])
    pq.write_table(given.set_column(0, "source_userid", holes), "in.parquet")
    said = command("check", "in.parquet", "-o", "out.parquet", "--ordered", *FAST)
    assert said.code == 1
    assert "line 1: no source: source_userid, source_key and source_email are empty" in said.err
    assert pq.read_table("out.parquet")["source_userid"].to_pylist() == holes.to_pylist()


def test_numbers_are_ids(command: Command) -> None:
    pq.write_table(
        pa.table({"source": pa.array([7.0, None, 8.5]), "target": pa.array([9, 9, 9], pa.uint16())}), "in.parquet"
    )
    said = command("check", "in.parquet", "--id-type", "userid", "--dry-run", "--ordered", "-o", "out.parquet")
    rows = pq.read_table("out.parquet").to_pylist()
    assert rows[0]["url"].endswith("&sourceUserid=7&targetUserid=9")
    assert "and source are empty" in rows[1]["error"]
    assert "a number with a fraction" in rows[2]["error"]
    assert said.code == 1


NUMBER = next(one.userid.value for one in PEOPLE if one.userid and one.userid.value.isdecimal())


@pytest.mark.parametrize("kind", [pa.float64(), pa.decimal128(12, 1), pa.decimal128(12, 0), pa.int32()], ids=str)
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_whole_numbers_are_ids_in_every_format_of_the_result(command: Command, kind: Any, form: str) -> None:
    source = pa.array([int(NUMBER), None], pa.int32()).cast(kind)
    pq.write_table(pa.table({"source_userid": source, "target_key": ["x", "y"]}), "in.parquet")
    said = command("check", "in.parquet", "--dry-run", "--format", form, "--ordered", "-o", f"out.{form}")
    assert said.err.count("no source") == 1
    if form == "parquet":
        assert pq.read_table("out.parquet")["source_userid"].to_pylist() == source.to_pylist()
        return
    text = Path(f"out.{form}").read_text("utf-8")
    assert f"sourceUserid={NUMBER}&targetKey=x" in text
    again = command("check", f"out.{form}", "--dry-run", "--ordered")  # as the next command of a pipe
    assert f"sourceUserid={NUMBER}&targetKey=x" in again.out


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_numbers_whose_digits_are_lost_are_no_ids(command: Command, form: str) -> None:
    source = pa.array([20_000_004.0, 7.0], pa.float32())  # it may have been 20000003
    pq.write_table(pa.table({"source_userid": source, "target_key": ["x", "y"]}), "in.parquet")
    said = command("check", "in.parquet", "--dry-run", "--format", form, "--ordered", "-o", f"out.{form}")
    assert said.code == 1
    assert "line 1: source_userid is a number whose last digits may be lost; write the id as text" in said.err
    assert "line 2" not in said.err


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("cell", "kind"), [(dt.date(2026, 1, 1), "date32"), (True, "bool"), (dt.timedelta(1), "duration")]
)
def test_columns_that_hold_no_ids(command: Command, cell: object, kind: str, form: str) -> None:
    pq.write_table(pa.table({"source_userid": [cell], "target_key": ["x"]}), "in.parquet")
    said = command("check", "in.parquet", "--format", form)
    assert (said.code, said.out) == (2, "")
    assert f"the column source_userid holds values of the type {kind}" in said.err


def not_text(*cells: bytes) -> Any:
    """A column of text whose bytes are not checked, as some writers make it."""
    ends = [sum(map(len, cells[:count])) for count in range(len(cells) + 1)]
    offsets = b"".join(end.to_bytes(4, "little") for end in ends)
    return pa.Array.from_buffers(pa.string(), len(cells), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(cells))])


@pytest.mark.parametrize("column", ["source_userid", "note"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_text_that_is_not_utf_8_gets_one_line(command: Command, column: str, form: str) -> None:
    columns = {"source_userid": pa.array(["a"]), "target_key": pa.array(["x"]), column: not_text(b"a\xff")}
    pq.write_table(pa.table(columns), "in.parquet")
    said = command("check", "in.parquet", "--format", form, "-o", "out", *FAST)
    assert said.code == 2
    assert said.err.splitlines()[-1] == (
        "aioconnections: in.parquet is not a valid Parquet file: it has text that is not UTF-8"
    )


def test_numbers_in_json_and_csv(command: Command) -> None:
    numbers = {
        "single": pa.array([0.1, None, 2.0], pa.float32()),
        "double": pa.array([math.inf, math.nan, -math.inf]),
    }
    pairs("in.parquet", 3)
    given = pq.read_table("in.parquet").select(["source_userid", "target_userid"])
    for name, column in numbers.items():
        given = given.append_column(name, column)
    pq.write_table(given, "in.parquet")
    said = command("check", "in.parquet", "--json", "--ordered", *FAST)

    def refuse(name: str) -> object:
        raise AssertionError(f"{name} is not JSON")

    rows = [json.loads(line, parse_constant=refuse) for line in said.out.splitlines()]
    assert [(row["single"], row["double"]) for row in rows] == [(0.1, "inf"), (None, None), (2.0, "-inf")]
    found = [*csv.DictReader(io.StringIO(command("check", "in.parquet", "--ordered", *FAST).out))]
    assert [(row["single"], row["double"]) for row in found] == [("0.1", "inf"), ("", ""), ("2.0", "-inf")]


def test_standard_input_and_output() -> None:
    given = pairs("in.parquet")
    run = [sys.executable, "-m", "aioconnections", "check", "--ordered", *map(str, FAST)]
    with Path("in.parquet").open("rb") as file:
        done = subprocess.run([*run, "--format", "parquet"], stdin=file, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    same_columns(given, pq.read_table(pa.BufferReader(done.stdout)))
    done = subprocess.run(run, input=Path("in.parquet").read_bytes(), capture_output=True, check=False)
    assert done.returncode == 2
    assert b"a Parquet file, which cannot be read from a pipe; name the file" in done.stderr


def test_a_terminal_gets_no_parquet(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs("in.parquet")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    said = command("check", "in.parquet", "--format", "parquet", *FAST)
    assert (said.code, said.out) == (2, "")
    assert "Parquet cannot be shown on a terminal; name a file with --output" in said.err


def test_without_pyarrow_the_package_is_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs("in.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for words in (("check", "in.parquet"), ("search", "--name", "b*", "-o", "out.parquet")):
        said = command(*words)
        assert (said.code, said.out) == (2, "")
        assert 'Parquet files need pyarrow; run: pip install "aioconnections[data]"' in said.err
    assert not Path("out.parquet").exists()
