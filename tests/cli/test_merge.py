"""``aioconnections merge``: the parts of shards become the result of the whole input, and what is missing is named."""

from __future__ import annotations

import csv
import io
import json
import random
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
PEOPLE = [*DIRECTORY.people]

FAST = ("--max-per-second", 0)

Command = Callable[..., Any]
PairsFile = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]
Once = Callable[[Callable[[], bool], Callable[[], object]], None]


@pytest.fixture(autouse=True)
def server(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The server, with rows that do not depend on the time."""
    monkeypatch.setattr("aioconnections.cli.writing.milliseconds", lambda _: 1.5)
    return signed_in


@pytest.fixture
def parts(command: Command) -> Callable[..., list[str]]:
    """Checks all shards of an input, and gives the names of their parts."""

    def call(path: Path, of: int, *words: object) -> list[str]:
        names = [f"part-{number}.csv" for number in range(1, of + 1)]
        for number, name in enumerate(names, 1):
            said = command("check", path, "--shard", f"{number}/{of}", "-o", name, *FAST, *words)
            assert said.code in {0, 1}, said.err
        return names

    return call


def rows_of(path: Path | str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


def edit(name: str, change: Callable[[list[str]], Sequence[str]]) -> None:
    """Change the rows of a part."""
    head, *rows = Path(name).read_text("utf-8").splitlines(keepends=True)
    Path(name).write_text("".join([head, *change(rows)]), encoding="utf-8")


NOTES = ["", "a", "ü\x1b[2J", "=1+1", "x\ny", 'a"b', "a,b;c\td", " \r\n", "用户 😀", "\u202e", "'=1"]
BAD_LINES = ['x,"', "a,b,c,d,e,f,g", '"unfinished', "nobody,,,,"]


def cell_of(person: Any, kind: str) -> list[str]:
    return [str(getattr(person, kind)) if column == kind else "" for column in ("email", "userid")]


KINDS = st.sampled_from(["email", "userid"])
PAIR = st.tuples(st.sampled_from(PEOPLE), KINDS, st.sampled_from(PEOPLE), KINDS, st.sampled_from(NOTES))
COLUMNS = ["source_email", "source_userid", "target_email", "target_userid", "input_row"]


def csv_of(rows: list[Any], line_end: str, delimiter: str) -> str:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator=line_end, delimiter=delimiter)
    table.writerow(COLUMNS)
    for row in rows:
        if isinstance(row, str):
            text.write(row + line_end)
        else:
            source, kind, target, other, note = row
            table.writerow([*cell_of(source, kind), *cell_of(target, other), note])
    return text.getvalue()


def jsonl_of(rows: list[Any]) -> str:
    lines: list[str] = []
    for number, row in enumerate(rows):
        if isinstance(row, str):
            lines.append(row or "{}")
            continue
        source, kind, target, other, note = row
        values = {f"source_{kind}": str(getattr(source, kind)), f"target_{other}": str(getattr(target, other))}
        lines.append(json.dumps(values | {"note": note, "input_row": [number, None], "_input_row": 1e20}))
    return "\n".join(lines) + "\n"


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    rows=st.lists(st.one_of(PAIR, PAIR, PAIR, st.sampled_from([*BAD_LINES, ""])), min_size=1, max_size=25),
    of=st.integers(1, 40),
    form=st.sampled_from([("\n", ","), ("\r\n", ";"), ("\r\n", "\t"), None]),
    head=st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe"]),
    ordered=st.booleans(),
    seed=st.randoms(use_true_random=False),
)
def test_any_shards_in_any_order_give_the_whole_result(
    command: Command,
    parts: Callable[..., list[str]],
    rows: list[Any],
    of: int,
    form: tuple[str, str] | None,
    head: bytes,
    seed: random.Random,
    *,
    ordered: bool,
) -> None:
    text = jsonl_of(rows) if form is None else csv_of(rows, *form)
    if form is None and not text.lstrip().startswith("{"):
        text = '{"source_userid": "a", "target_userid": "b"}\n' + text
    content = text.encode("utf-16-le" if head == b"\xff\xfe" else "utf-8")
    Path("pairs.csv").write_bytes(head + content)
    whole = command("check", "pairs.csv", "--ordered", "-o", "whole.csv", *FAST)
    names = parts(Path("pairs.csv"), of, *["--ordered"] * ordered)
    seed.shuffle(names)
    said = command("merge", *names, "-o", "merged.csv")
    assert Path("merged.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert said.code == whole.code
    assert "missing" not in said.err
    assert "more than once" not in said.err


@pytest.mark.parametrize(
    "words", [[], ["--excel-safe"], ["--json"], ["--plan", "auto"], ["--journal", "j"]], ids=" ".join
)
def test_the_options_of_a_check(command: Command, pairs_file: PairsFile, words: list[str]) -> None:
    path = pairs_file(csv_of([(*pair, note) for pair, note in zip(PAIRS, NOTES, strict=False)], "\n", ","))
    command("check", path, "--ordered", "-o", "whole.csv", *FAST, *[word if word != "j" else "k" for word in words])
    names = [
        name
        for number in range(1, 4)
        for name in [f"part-{number}.csv"]
        if command(
            *("check", path, "--shard", f"{number}/3", "-o", name, *FAST),
            *[f"j{number}" if word == "j" else word for word in words],
        ).code
        == 0
    ]
    said = command("merge", *reversed(names))
    assert said.code == 0
    whole = Path("whole.csv").read_bytes().decode()
    if "j" in words:  # with the time of each outcome
        columns = [name for name in COLUMNS if name != "recorded_at"]
        merged, expected = (csv.DictReader(io.StringIO(text, newline="")) for text in (said.out, whole))
        assert [[row[name] for name in columns] for row in merged] == [
            [row[name] for name in columns] for row in expected
        ]
    else:
        assert said.out == whole


PAIRS = [(PEOPLE[number], "email", PEOPLE[number + 9], "userid") for number in range(11)]


def test_formats_can_be_converted(command: Command, pairs_file: PairsFile, parts: Callable[..., list[str]]) -> None:
    notes = [*NOTES[:-1], "x"]  # not what --excel-safe would read as =1
    path = pairs_file(csv_of([(*pair, note) for pair, note in zip(PAIRS, notes, strict=True)], "\n", ","))
    names = parts(path, 3)
    whole = command("check", path, "--ordered", "--json", *FAST).out
    assert command("merge", *names, "--json").out == whole
    assert (
        command("merge", *names, "--excel-safe").out == command("check", path, "--ordered", "--excel-safe", *FAST).out
    )
    names = parts(path, 2, "--json")
    assert command("merge", *names, "--format", "csv").out == command("check", path, "--ordered", *FAST).out
    pairs_file(whole)
    names = parts(path, 2)
    said = command("merge", *names, "--format", "csv")
    assert (said.code, said.out) == (2, "")
    assert "the JSON lines have no common columns, so they cannot be written as CSV" in said.err
    assert command("merge", *names, "--excel-safe").code == 2


def test_pairs_of_groups(command: Command, pairs_file: PairsFile) -> None:
    pairs_file("".join(f"{cell}\n" for cell in ("userid", *(one.userid for one in PEOPLE[:7]))), name="a.csv")
    pairs_file("".join(f"{cell}\n" for cell in ("email", *(one.email for one in PEOPLE[4:9]), "x,y")), name="b.csv")
    for words in (["--group", "a.csv", "--both-ways", "--plan", "auto"], ["a.csv", "--against", "b.csv"]):
        for number in range(1, 4):
            command("check", *words, "--shard", f"{number}/3", "-o", f"part-{number}.csv")
        whole = command("check", *words, "--ordered")
        said = command("merge", "part-*.csv")
        assert said.code == whole.code == ("b.csv" in words)
        if "auto" not in words:  # whether a list is used depends on other pairs
            assert said.out == whole.out
        statuses = [[(row["source_userid"], row["status"]) for row in one.rows] for one in (said, whole)]
        assert statuses[0] == statuses[1]
        assert ("one row of people could not be read" in said.err) is ("b.csv" in words)


def test_a_missing_part_is_named(command: Command, pairs_file: PairsFile, parts: Callable[..., list[str]]) -> None:
    one, two, three = parts(pairs_file(), 3)
    rows = sorted(int(row["input_row"]) for row in rows_of(two))
    Path("elsewhere").mkdir()
    for name in (two, f"{two}.shard.json"):
        Path(name).rename(Path("elsewhere") / name)
    said = command("merge", three, one, "-o", "m.csv")
    assert said.code == 1
    lines = said.err.splitlines()
    assert lines[0] == "aioconnections: 1 of 3 shards is missing: 2"
    assert lines[1].startswith(f"aioconnections: {len(rows)} of 20 rows are missing: rows {rows[0]}")
    assert lines[2].startswith(f"{20 - len(rows)} rows from 2 parts: ")
    assert len(lines) == 3
    assert len(rows_of("m.csv")) == 20 - len(rows)
    assert command("merge", three, one, f"elsewhere/{two}", "-o", "m.csv").code == 0
    assert len(rows_of("m.csv")) == 20


def test_the_part_that_was_not_named_is_found(
    command: Command, pairs_file: PairsFile, parts: Callable[..., list[str]]
) -> None:
    one, two, _ = parts(pairs_file(), 3)
    Path(two).unlink()
    said = command("merge", one)
    assert said.code == 1
    assert "aioconnections: 2 of 3 shards are missing: 2-3\n" in said.err
    assert "part-2.csv, the part with shard 2/3, is missing; only its manifest is there\n" in said.err
    assert "shard 3 may be in part-3.csv, which is not named\n" in said.err
    said = command("merge", "part-*")
    assert said.code == 1
    assert said.err.count("part-2.csv, the part with shard 2/3, is missing; only its manifest is there\n") == 1


def test_a_part_without_its_manifest_is_left_out(
    command: Command, pairs_file: PairsFile, parts: Callable[..., list[str]]
) -> None:
    one, two = parts(pairs_file(), 2)
    Path(f"{two}.shard.json").unlink()
    said = command("merge", one, two)
    assert said.code == 1
    assert (
        "aioconnections: part-2.csv is left out: it has no part-2.csv.shard.json, so its run has not ended" in said.err
    )
    assert "1 of 2 shards is missing: 2" in said.err
    assert len(said.rows) == len(rows_of(one))
    said = command("merge", two)
    assert (said.code, said.out) == (2, "")
    assert "there is no part with its manifest, so nothing can be merged" in said.err


def test_a_shard_that_is_there_twice(command: Command, pairs_file: PairsFile, parts: Callable[..., list[str]]) -> None:
    one, two = parts(pairs_file(), 2)
    for suffix in ("", ".shard.json"):
        Path(f"again.csv{suffix}").write_bytes(Path(f"{one}{suffix}").read_bytes())
    whole = command("merge", one, two)
    assert whole.code == 0
    assert command("merge", one, two, f"./{one}", f"{one}.shard.json").code == 0, "names of the same file"
    Path("a-link.csv").symlink_to(one)
    assert command("merge", "a-link.csv", one, two).code == 0, "a link beside which there is no manifest"
    assert command("merge", two, one, "a-link.csv").code == 0
    said = command("merge", one, two, "again.csv")
    assert (said.code, said.out) == (1, whole.out)
    assert "aioconnections: shard 1 is there twice: part-1.csv, again.csv\n" in said.err
    assert f"{len(rows_of(one))} of 20 rows are there more than once: rows " in said.err
    assert "contradictory" not in said.err
    row = next(row for row in rows_of("again.csv") if row["status"] == "accepted")
    edit("again.csv", lambda lines: [line.replace("accepted,200", "none,404") for line in lines])
    said = command("merge", "again.csv", two, one)
    assert said.code == 1
    assert "there with contradictory outcomes, and written without a status: row" in said.err
    merged = said.rows[int(row["input_row"]) - 1]
    assert (merged["source_email"], merged["status"], merged["http_status"]) == (row["source_email"], "", "")
    assert merged["error"].startswith("the parts contradict each other: none in again.csv, accepted in part-1.csv;")
    Path("m.csv").write_text(said.out, encoding="utf-8")
    assert command("check", "--retry", "m.csv", "-o", "m.csv").code == 0, "a retry settles it"
    assert [row["status"] for row in rows_of("m.csv")] == [row["truth"] for row in rows_of("m.csv")]


def test_rows_that_are_lost_or_twice_in_a_part(
    command: Command, pairs_file: PairsFile, parts: Callable[..., list[str]]
) -> None:
    (name,) = parts(pairs_file(), 1)
    edit(name, lambda lines: [*lines[:4], *lines[6:], lines[9]])
    said = command("merge", name)
    assert said.code == 1
    assert "aioconnections: part-1.csv has 19 rows, but had 20 when it was written\n" in said.err
    lines = [line for line in said.err.splitlines() if " of 20 rows " in line]
    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == [
        "2 of 20 rows are missing",
        "1 of 20 rows is there more than once",
    ]
    assert len(said.rows) == 18


def test_parts_in_any_order_are_sorted_in_small_pieces(
    command: Command, pairs_file: PairsFile, parts: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = parts(pairs_file(count=60), 2)
    whole = command("merge", *names).out
    monkeypatch.setattr("aioconnections.cluster.merging._PIECE", 4)
    monkeypatch.setattr("aioconnections.cluster.merging._MOST_OPEN", 2)
    edit(names[0], lambda lines: lines[::-1])
    said = command("merge", *names, "-o", "m.csv")
    assert (said.code, Path("m.csv").read_text("utf-8")) == (0, whole)
    assert not [path for path in Path().iterdir() if path.name.startswith(".")], "temporary files are removed"


@pytest.mark.parametrize(
    ("other", "words", "problem"),
    [
        (None, ["--shard", "2/3"], "it is one of 3 shards, not of 2"),
        (19, ["--shard", "2/2"], "its input has 19 rows, not 20"),
        ("x", ["--shard", "2/2"], "its input has other rows or another order, or was read with other options"),
        (None, ["--shard", "2/2", "--json"], "it has another form (format): 'jsonl', not 'csv'"),
        (None, ["--shard", "2/2", "--plan", "auto"], "it has another form (columns)"),
    ],
)
def test_parts_that_do_not_belong_together(
    command: Command, pairs_file: PairsFile, other: int | str | None, words: list[str], problem: str
) -> None:
    path = pairs_file()
    command("check", path, "--shard", "1/2", "-o", "a.csv", *FAST)
    if isinstance(other, int):
        path = pairs_file(count=other)
    elif other is not None:
        text = path.read_text("utf-8")
        path.write_text(text.replace("truth", other), encoding="utf-8")
    command("check", path, *words, "-o", "b.csv", *FAST)
    Path("m.csv").write_text("before", encoding="utf-8")
    said = command("merge", "a.csv", "b.csv", "-o", "m.csv")
    assert said.code == 2
    assert f"aioconnections: b.csv does not belong to a.csv: {problem}" in said.err
    assert Path("m.csv").read_text("utf-8") == "before"


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda text: text[:-9], "after line 20: "),
        (lambda text: text.replace(b"input_row", b"row"), "it has no column input_row, which its manifest names"),
        (lambda text: text.replace(b"\n7,", b"\n21,"), "input_row is not the number of a row"),
        (lambda text: text.replace(b"\n7,", b"\n0,"), "input_row is not the number of a row"),
        (lambda text: text.replace(b"\n7,", b"\n-7,"), "input_row is not the number of a row"),
        (lambda text: text.replace(b"\n7,", b"\n" + b"7" * 5_000 + b","), "input_row is not the number of a row"),
        (lambda text: text.replace(b"\n7,", b'\n7,"'), "after line "),
        (lambda text: text.replace(b"\n7,", b"\n7,\xff"), "it is not as it was written"),
        (lambda text: text.replace(b",200,", b",OK,"), "it is not as it was written"),
        (lambda _: b"", "it has no column input_row"),
    ],
)
def test_a_damaged_part_is_refused(
    command: Command,
    pairs_file: PairsFile,
    parts: Callable[..., list[str]],
    damage: Callable[[bytes], bytes],
    problem: str,
) -> None:
    one, *_ = parts(pairs_file(), 1, "--ordered")
    Path(one).write_bytes(damage(Path(one).read_bytes()))
    Path("m.csv").write_text("before", encoding="utf-8")
    said = command("merge", one, "-o", "m.csv")
    assert (said.code, Path("m.csv").read_text("utf-8")) == (2, "before")
    assert said.err.startswith("aioconnections: part-1.csv cannot be read")
    assert problem in said.err
    assert said.err.endswith("; copy it again, or run shard 1/1 again\n")


def test_damaged_json_lines_and_manifests(
    command: Command, pairs_file: PairsFile, parts: Callable[..., list[str]]
) -> None:
    (name,) = parts(pairs_file(), 1, "--json")
    text = Path(name).read_text("utf-8")
    for damaged in (text[:-9], text + "[]\n", text + "{}\n", text.replace('"input_row": 7', '"input_row": "x"')):
        Path(name).write_text(damaged, encoding="utf-8")
        said = command("merge", name)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith("aioconnections: part-1.csv cannot be read after line ")
    Path(f"{name}.shard.json").write_text("{}", encoding="utf-8")
    said = command("merge", name)
    assert said.code == 2
    assert said.err == (
        "aioconnections: part-1.csv.shard.json: this is not the manifest of a shard, or it is damaged\n"
    )


def test_usage_errors(command: Command, pairs_file: PairsFile, parts: Callable[..., list[str]]) -> None:
    one, two = parts(pairs_file(), 2)
    Path("link.csv").symlink_to(one)
    cases = {
        (): "the parts are missing; name their files",
        ("gone.csv",): "gone.csv: there is no such file",
        ("gone-*.csv",): "gone-*.csv: there is no file with such a name",
        (one, two, "-o", two): "the result cannot be written over a part or its manifest",
        (one, two, "-o", f"{one}.shard.json"): "the result cannot be written over a part or its manifest",
        (one, two, "-o", "link.csv"): "the result cannot be written over a part or its manifest",
        (one, two, "-o", "m.xlsx"): "is named like a workbook",
        (one, two, "--unknown"): "--unknown",
    }
    before = {path: path.read_bytes() for path in Path().iterdir()}
    for words, problem in cases.items():
        said = command("merge", *words)
        assert (said.code, said.out) == (2, "")
        assert problem in " ".join(said.err.split())
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_hostile_names_of_files(command: Command, pairs_file: PairsFile, parts: Callable[..., list[str]]) -> None:
    one, two = parts(pairs_file(), 2)
    for old, new in ((one, "[ab].csv"), (two, "a.csv")):
        for suffix in ("", ".shard.json"):
            Path(f"{old}{suffix}").rename(f"{new}{suffix}")
    said = command("merge", "[ab].csv")
    assert "shard 2 may be in a.csv" in said.err, "a name that exists is not a pattern"
    for suffix in ("", ".shard.json"):
        Path(f"a.csv{suffix}").rename(f"\x1b[2J\u202e\n.csv{suffix}")
    said = command("merge", "[!p]*.csv")
    assert said.code == 0
    Path("\x1b[2J\u202e\n.csv.shard.json").unlink()
    said = command("merge", "[!p]*.csv")
    assert said.code == 1
    assert "aioconnections: \\x1b[2J\\u202e\\n.csv is left out" in said.err


def test_columns_that_a_retry_has_added(
    command: Command, pairs_file: PairsFile, parts: Callable[..., list[str]]
) -> None:
    names = parts(pairs_file(), 2)
    whole = command("merge", *names).out
    edit(names[0], lambda lines: [line.replace("accepted,200", ",").replace(",1.5,", ",1.5,x") for line in lines])
    said = command("merge", *names)
    assert said.code == 1
    assert " of 20 rows is without a status: row " in said.err
    assert command("check", "--retry", names[0], "-o", names[0], "--plan", "auto", "--journal", "j", *FAST).code == 0
    said = command("merge", *names)
    assert said.code == 0
    assert "aioconnections: part-1.csv has further columns, which are left out: via, recorded_at\n" in said.err
    keep = ("source_email", "target_email", "truth", "status")
    expected = csv.DictReader(io.StringIO(whole))
    assert [[row[name] for name in keep] for row in said.rows] == [[row[name] for name in keep] for row in expected]


def test_parts_of_different_versions(command: Command, pairs_file: PairsFile, parts: Callable[..., list[str]]) -> None:
    names = parts(pairs_file(), 2)
    manifest = Path(f"{names[0]}.shard.json")
    manifest.write_text(manifest.read_text("ascii").replace('"0.1.0"', '"0.0.9"'), encoding="ascii")
    said = command("merge", *names)
    assert said.code == 0
    assert "the parts were written by different versions of aioconnections: 0.0.9, 0.1.0\n" in said.err


@pytest.mark.slow
def test_an_interrupted_part(start: Start, command: Command, pairs_file: PairsFile, once: Once, server: Any) -> None:
    path = pairs_file(count=60)
    assert command("check", path, "--shard", "1/2", "-o", "part-1.csv", *FAST).code == 0
    already = server.app.requests.total
    process = start("check", path, "--shard", "2/2", "-o", "part-2.csv", "--max-per-second", 20)
    once(lambda: server.app.requests.total >= already + 6, lambda: process.send_signal(signal.SIGINT))
    process.communicate(timeout=60)
    assert process.returncode == 130
    said = command("merge", "part-*.csv", "-o", "m.csv")
    undone = sum(not row["status"] for row in rows_of("m.csv"))
    assert said.code == 1
    assert f"part-2.csv is incomplete, because its run ended early: {undone} rows have no outcome\n" in said.err
    assert f"{undone} of 60 rows are without a status: rows " in said.err
    assert len(rows_of("m.csv")) == 60
    assert command("check", "--retry", "part-2.csv", "-o", "part-2.csv", *FAST).code == 0
    said = command("merge", "part-*.csv", "-o", "m.csv")
    assert said.code == 0
    assert "incomplete" not in said.err
    assert [row["status"] for row in rows_of("m.csv")] == [row["truth"] for row in rows_of("m.csv")]


@pytest.mark.slow
def test_real_processes_make_a_pipe(start: Start, pairs_file: PairsFile) -> None:
    path = pairs_file()
    shards = [start("check", path, "--shard", f"{number}/3", "-o", f"p{number}.csv") for number in (1, 2, 3)]
    for process in shards:
        process.communicate(timeout=60)
        assert process.returncode == 0
    merging = start("merge", "p?.csv")
    out, err = merging.communicate(timeout=60)
    assert merging.returncode == 0
    rows = [*csv.DictReader(io.StringIO(out))]
    assert [row["status"] for row in rows] == [row["truth"] for row in rows_of(path)]
    assert err.startswith("20 rows from 3 parts: ")
