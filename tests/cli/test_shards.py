"""``check --shard``: each row of an input is in exactly one part, with its number, and a manifest beside the part."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections.cli.numbered import ROW, carried, restored
from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
PEOPLE = [*DIRECTORY.people][:9]

FAST = ("--max-per-second", 0)

Command = Callable[..., Any]
PairsFile = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]
Once = Callable[[Callable[[], bool], Callable[[], object]], None]


@pytest.fixture(autouse=True)
def server(signed_in: Any) -> Any:
    return signed_in


def rows_of(path: Path | str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        return [*csv.DictReader(file)]


def manifest_of(path: str) -> Any:
    return json.loads(Path(f"{path}.shard.json").read_text("ascii"))


def test_each_row_is_in_one_part_with_its_number(command: Command, pairs_file: PairsFile) -> None:
    path = pairs_file(count=50)
    with path.open("a", encoding="utf-8") as file:
        file.write("\nnobody,x,y\n,,\n")
    lines = rows_of(path)
    numbers: list[int] = []
    for shard in (1, 2, 3):
        said = command("check", path, "--shard", f"{shard}/3", "-o", f"p{shard}.csv", *FAST)
        rows = rows_of(f"p{shard}.csv")
        bad = [row for row in rows if not row["status"]]
        assert said.code == bool(bad)
        assert f"{len(rows) - len(bad)} checked in " in said.err
        assert said.err.count("line 5") == len(bad), "rows of other shards are not reported"
        for row in rows:
            line = lines[int(row[ROW]) - 1]
            assert (row["source_email"], row["truth"]) == (line["source_email"], line["truth"])
            assert row["status"] == row["truth"] or not row["status"]
        numbers += [int(row[ROW]) for row in rows]
        found = manifest_of(f"p{shard}.csv")
        assert (found["shard"], found["of"], found["rows"], found["input_rows"]) == (shard, 3, len(rows), 52)
        assert found["complete"] is True
        assert len({row["source_email"].lower() for row in rows}) >= 5
    assert sorted(numbers) == [*range(1, 53)]
    sources = [{row["source_email"].lower() for row in rows_of(f"p{shard}.csv") if row["status"]} for shard in (1, 2)]
    assert sources[0].isdisjoint(sources[1])


def test_a_shard_without_rows_is_normal(command: Command, pairs_file: PairsFile) -> None:
    path = pairs_file(count=1)
    results = [command("check", path, "--shard", f"{shard}/9", "-o", f"p{shard}.csv") for shard in range(1, 10)]
    assert {said.code for said in results} == {0}
    assert sorted(manifest_of(f"p{shard}.csv")["rows"] for shard in range(1, 10)) == [0] * 8 + [1]
    assert len({Path(f"p{shard}.csv").read_text("utf-8").splitlines()[0] for shard in range(1, 10)}) == 1


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--shard", "0/4", "-o", "p"], "there is no shard 0 of 4"),
        (["--shard", "4", "-o", "p"], "'4' is not a shard; write it as 3/16"),
        (["--shard", "1/4"], "--shard needs --output"),
        (
            ["--shard", "1/4", "-o", "p", "--cluster", "tcp://localhost:1"],
            "--shard and --cluster cannot be used together",
        ),
        (["--shard", "1/4", "-o", "/dev/null"], "--shard needs a file as --output; /dev/null is none"),
        (["--shard", "1/4", "-o", "gone/p.csv"], "--shard writes p.csv.shard.json beside the result"),
        (["--shard", "1/4", "-o", "p", "--journal", "p.shard.json"], "cannot be written over"),
        (["--shard", "1/4", "-o", "pairs", "--password-file", "pairs.shard.json"], "cannot be written over"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_errors_send_nothing(
    command: Command, pairs_file: PairsFile, server: Any, words: list[str], problem: str
) -> None:
    Path("pairs.shard.json").write_text("secret", encoding="utf-8")
    said = command("check", pairs_file(), *words)
    assert (said.code, said.out) == (2, "")
    assert problem in said.err
    assert server.app.requests.total == 0


def test_an_input_named_like_the_manifest_is_kept(command: Command, pairs_file: PairsFile) -> None:
    path = pairs_file(name="p.csv.shard.json")
    before = path.read_bytes()
    said = command("check", path, "--shard", "1/1", "-o", "p.csv")
    assert (said.code, path.read_bytes()) == (2, before)
    assert "the result cannot be written over its own input" in said.err


def test_a_part_is_completed_by_retry_alone(command: Command, pairs_file: PairsFile) -> None:
    command("check", pairs_file(), "--shard", "1/1", "-o", "p.csv")
    before, manifest = rows_of("p.csv"), manifest_of("p.csv")
    said = command("check", "--retry", "p.csv", "--shard", "1/1", "-o", "p.csv")
    assert said.code == 2
    assert "--shard and --retry cannot be used together; --retry alone" in said.err
    Path("p.csv").write_text(Path("p.csv").read_text("utf-8").replace(",accepted,200", ",,"), encoding="utf-8")
    assert command("check", "--retry", "p.csv", "-o", "p.csv").code == 0
    assert [(row[ROW], row["status"]) for row in rows_of("p.csv")] == [(row[ROW], row["status"]) for row in before]
    assert manifest_of("p.csv") == manifest


def test_a_dry_run_shows_one_shard_and_writes_no_manifest(command: Command, pairs_file: PairsFile, server: Any) -> None:
    path, total = pairs_file(), 0
    for shard in (1, 2):
        said = command("check", path, "--shard", f"{shard}/2", "--dry-run")
        assert f"{len(said.rows)} pairs\n" in said.err
        total += len(said.rows)
    assert total == 20
    assert server.app.requests.total == 0
    assert command("check", path, "--shard", "1/2", "-o", "p.csv").code == 0
    assert Path("p.csv.shard.json").exists()
    assert command("check", path, "--shard", "1/2", "-o", "p.csv", "--dry-run").code == 0
    assert not Path("p.csv.shard.json").exists(), "the manifest does not belong to the new file"


def test_a_run_that_did_nothing_keeps_part_and_manifest(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("check", pairs_file(), "--shard", "1/2", "-o", "p.csv")
    command(*words)
    before = Path("p.csv").read_bytes(), manifest_of("p.csv")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "wrong")
    assert command(*words).code == 3
    assert (Path("p.csv").read_bytes(), manifest_of("p.csv")) == before


def test_the_manifest_has_the_permissions_of_the_part(command: Command, pairs_file: PairsFile) -> None:
    path = pairs_file()
    before = os.umask(0o027)
    try:
        command("check", path, "--shard", "1/2", "-o", "p.csv")
    finally:
        os.umask(before)
    assert Path("p.csv.shard.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.slow
def test_every_shard_reads_the_same_input_from_a_pipe(start: Start, pairs_file: PairsFile) -> None:
    text = pairs_file().read_text("utf-8")
    for shard in (1, 2):
        process = start("check", "--shard", f"{shard}/2", "-o", f"p{shard}.csv")
        process.communicate(text, timeout=60)
        assert process.returncode == 0
    one, two = manifest_of("p1.csv"), manifest_of("p2.csv")
    assert (one["digest"], one["rows"] + two["rows"]) == (two["digest"], 20)


@pytest.mark.slow
def test_an_interrupted_shard_resumes_from_its_journal(
    start: Start, command: Command, pairs_file: PairsFile, once: Once, server: Any
) -> None:
    words = ("check", pairs_file(count=60), "--shard", "2/2", "-o", "p.csv", "--journal", "j.sqlite")
    process = start(*words, "--max-per-second", 20, "--max-connections", 2)
    once(lambda: server.app.requests.total >= 8, lambda: process.send_signal(signal.SIGINT))
    process.communicate(timeout=60)
    assert process.returncode == 130
    interrupted = manifest_of("p.csv")
    assert (interrupted["complete"], interrupted["input_rows"]) == (False, 60)
    assert len(rows_of("p.csv")) == interrupted["rows"]
    said = command(*words, *FAST)
    assert said.code == 0
    assert "of these from an earlier run" in said.err
    resumed = manifest_of("p.csv")
    assert resumed["complete"] is True
    assert {**resumed, "complete": False} == interrupted
    assert all(row["status"] for row in rows_of("p.csv"))
    other = command("check", "pairs.csv", "--shard", "1/2", "-o", "q.csv", "--journal", "j.sqlite")
    assert other.code == 2, "a journal belongs to one shard"


@pytest.mark.slow
def test_a_killed_run_leaves_no_manifest(start: Start, command: Command, pairs_file: PairsFile, server: Any) -> None:
    words = ("check", pairs_file(count=60), "--shard", "1/1", "-o", "p.csv")
    assert command(*words, *FAST).code == 0
    already = server.app.requests.total
    process = start(*words, "--max-per-second", 20)
    while server.app.requests.total < already + 5:
        assert process.poll() is None
    process.kill()
    process.wait(10)
    assert not Path("p.csv.shard.json").exists()


@pytest.mark.parametrize("words", [[], ["--both-ways"]], ids=["each pair once", "both ways"])
def test_shards_of_a_group_make_no_other_pairs(command: Command, pairs_file: PairsFile, words: list[str]) -> None:
    path = pairs_file(
        "".join(f"{person}\n" for person in ("userid", *(one.userid for one in PEOPLE), PEOPLE[0].userid))
    )
    whole = command("check", "--group", path, *words, "--dry-run").rows
    numbered: dict[str, dict[str, str]] = {}
    for shard in range(1, 4):
        said = command("check", "--group", path, *words, "--shard", f"{shard}/3", "-o", "p.csv", *FAST)
        rows, found = rows_of("p.csv"), manifest_of("p.csv")
        assert (said.code, found["rows"], found["input_rows"]) == (0, len(rows), len(whole))
        assert numbered.keys().isdisjoint(row[ROW] for row in rows)
        numbered |= {row[ROW]: row for row in rows}
    pairs = [(row["source_userid"], row["target_userid"]) for row in whole]
    shown = [numbered[str(number)] for number in range(1, len(whole) + 1)]
    assert [(row["source_userid"], row["target_userid"]) for row in shown] == pairs


def digest_of(command: Command, *words: object) -> str:
    command("check", *words, "--shard", "1/1", "-o", "d.csv", *FAST)
    found: str = manifest_of("d.csv")["digest"]
    return found


def test_digests_tell_inputs_and_options_apart(command: Command, pairs_file: PairsFile) -> None:
    one, two, three = (str(person.userid) for person in PEOPLE[:3])
    text = f"source,target,note\n{one},{two},x\n{two},{three},\n"
    plain = digest_of(command, pairs_file(text), "--id-type", "userid")
    same = [text.replace("\n", "\r\n"), "\ufeff" + text, text.replace(",", ";"), text.replace("x", '"x"')]
    assert {digest_of(command, pairs_file(other), "--id-type", "userid") for other in same} == {plain}
    others = [
        text.replace("x", "y"),
        text.replace("note", "Note"),
        text + f"{one},{three},\n",
        f"source,target,note\n{two},{three},\n{one},{two},x\n",
        text + ",x,unreadable\n",
        text + ",x,also unreadable\n",
        "\n" + text + ",x,unreadable\n",  # the result names the line
    ]
    found = {digest_of(command, pairs_file(other), "--id-type", "userid") for other in others}
    found |= {digest_of(command, pairs_file(text), "--id-type", "key"), plain}
    assert len(found) == 9
    group = pairs_file(f"userid\n{one}\n{two}\n", name="g.csv")
    more = pairs_file(f"userid\n{two}\n{one}\n", name="h.csv")
    kinds = [("--group", group), ("--group", more), ("--group", group, "--both-ways")]
    kinds += [(group, "--against", group), (group, "--against", more)]
    assert len({digest_of(command, *words) for words in kinds}) == 5


def test_columns_of_the_input_keep_their_names() -> None:
    names = [ROW, f"_{ROW}", f"__{ROW}", "row", f"x{ROW}", f"_x_{ROW}", "Input_Row", "_", ""]
    assert [restored(carried(name)) for name in names] == names
    assert [carried(name) for name in names] == [f"_{name}" for name in names[:3]] + names[3:]
