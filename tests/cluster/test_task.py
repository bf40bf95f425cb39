"""What a worker does with one partition, without a cluster."""

from __future__ import annotations

import csv
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped, unused-ignore] # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore] # it has no types
import pytest
from attrs import evolve
from pair_files import DIRECTORY, write_pairs

from aioconnections.client import Timeouts
from aioconnections.cluster.driver import ClusterRun
from aioconnections.cluster.task import STOPPED, check_partition, temporary_files
from aioconnections.errors import (
    AuthenticationError,
    ConnectFailedError,
    InvalidInputError,
    ServerUnavailableError,
    UsageError,
)

pytestmark = pytest.mark.slow  # a server is started


def prepared(*files: Path, url: str, **options: Any) -> ClusterRun:
    def task(*_: object) -> dict[str, int]:
        raise AssertionError

    given: Any = {"max_per_second": None, "rows_per_partition": 1_000, **options}
    with ClusterRun.of(files, url, files[0].parent / "results", given, task) as run:
        run.prepare()
    return run


def go(run: ClusterRun, number: int = 0, *, stop: Callable[[], bool] = lambda: False) -> dict[str, int]:
    return check_partition(run.settings, run.manifest.partitions[number], stop=stop, report=lambda _: None)


def people(count: int) -> list[tuple[str, str, str]]:
    found = [*DIRECTORY.people[: count + 1]]
    pairs = [(found[n], found[n + 1]) for n in range(count)]
    return [(str(a.email), str(b.email), str(DIRECTORY.status(a, b) or "none")) for a, b in pairs]


def test_json_lines_become_cells(tmp_path: Path, server: str) -> None:
    path = tmp_path / "pairs.jsonl"
    pairs = people(3)
    extra: list[dict[str, Any]] = [{"n": 1}, {"ok": True, "list": [1, "é"]}, {}]
    lines = [{"source_email": a, "target_email": b, **more} for (a, b, _), more in zip(pairs, extra, strict=True)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "[]\n")
    run = prepared(path, url=server)
    counts = go(run)
    assert (counts["checked"], counts["unreadable"]) == (3, 1)
    with (tmp_path / "results" / "part-00000.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["status"] for row in rows] == [truth for _, _, truth in pairs] + [""]
    assert [(row["n"], row["ok"], row["list"]) for row in rows] == [
        ("1", "", ""),
        ("", "true", '[1, "\\u00e9"]'),
        ("", "", ""),
        ("", "", ""),
    ]
    assert rows[3]["error"] == "line 4: not a JSON object"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_parquet_files_keep_their_columns(tmp_path: Path, server: str, form: str) -> None:
    path = tmp_path / "pairs.parquet"
    pairs = people(4)
    columns = {
        "source_email": [a for a, _, _ in pairs],
        "target_email": [b for _, b, _ in pairs],
        "n": pa.array([1, 2, None, 4], pa.int16()),
        "status": ["old"] * 4,
    }
    pq.write_table(pa.table(columns), path)
    run = prepared(path, url=server, format=form)
    assert go(run)["checked"] == 4
    (part,) = run.result().parts
    truths = [truth for _, _, truth in pairs]
    if form == "csv":
        rows = [*csv.DictReader(part.read_text().splitlines())]
        assert [(row["n"], row["status"]) for row in rows] == list(zip(["1", "2", "", "4"], truths, strict=True))
        return
    table = pq.read_table(part)
    assert table.schema.names == [
        *("source_email", "target_email", "n", "status", "http_status", "attempts", "elapsed_ms", "error"),
    ]
    assert table["n"].to_pylist() == [1, 2, None, 4]
    assert table["n"].type == pa.int16()
    assert table["status"].to_pylist() == truths
    assert table["http_status"].type == pa.int32()


def test_nested_columns_need_parquet(tmp_path: Path, server: str) -> None:
    path = tmp_path / "pairs.parquet"
    ((one, other, _),) = people(1)
    columns = {"source_email": [one], "target_email": [other], "tags": [["a", "b"]], "raw": [b"\xff"]}
    pq.write_table(pa.table(columns), path)
    with pytest.raises(InvalidInputError, match=r'the column tags of .* list.*; use format="parquet"'):
        prepared(path, url=server)
    run = prepared(path, url=server, format="parquet")
    go(run)
    table = pq.read_table(run.result().parts[0])
    assert table.drop_columns([*table.schema.names[4:]]).to_pydict() == columns


def test_text_of_other_encodings_becomes_parquet(tmp_path: Path, server: str) -> None:
    path = tmp_path / "pairs.csv"
    ((one, other, _),) = people(1)
    path.write_bytes(b"source_email,target_email,note\n" + f"{one},{other},".encode() + b"caf\xe9\n")
    run = prepared(path, url=server, format="parquet")
    counts = go(run)
    assert counts["replaced"] == 1
    assert pq.read_table(run.result().parts[0])["note"].to_pylist() == ["caf\ufffd"]


def test_a_plan_adds_a_column(tmp_path: Path, server: str) -> None:
    run = prepared(write_pairs(tmp_path / "pairs.csv", 20), url=server, plan="auto")
    go(run)
    rows = [*csv.DictReader(run.result().parts[0].read_text().splitlines())]
    assert {row["via"] for row in rows} == {"head"}


def test_all_parts_have_the_form_of_the_first_file(tmp_path: Path, server: str) -> None:
    (a, b, one), (c, d, two) = people(2)
    first, second, third = (tmp_path / name for name in ("1.csv", "2.csv", "3.jsonl"))
    first.write_text(f"source_email;note;target_email\r\n{a};x;{b}\r\n", newline="")
    second.write_text(f"target_email,source_email,note\n{d},{c},y\n", encoding="utf-16")
    third.write_text(json.dumps({"note": "z", "target_email": b, "source_email": a}) + "\n")
    run = prepared(first, second, third, url=server)
    for number in range(3):
        go(run, number)
    texts = [path.read_bytes().decode() for path in run.result().parts]
    together = texts[0] + "".join(text.split("\r\n", 1)[1] for text in texts[1:])
    rows = [*csv.DictReader(together.splitlines(), delimiter=";")]
    assert [(row["source_email"], row["target_email"], row["note"], row["status"]) for row in rows] == [
        (a, b, "x", one),
        (c, d, "y", two),
        (a, b, "z", one),
    ]


def test_a_parquet_part_that_is_given_up_is_closed(tmp_path: Path, server: str) -> None:
    run = prepared(write_pairs(tmp_path / "pairs.csv", 50), url=server, format="parquet")
    raised: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", raised.append)
        assert go(run, stop=lambda: True) == STOPPED
        gc.collect()
    assert raised == [], "the log of a worker shows what a writer raises when it is collected"
    assert [*run.folder.glob("part-*")] == []


def test_a_task_that_is_stopped_leaves_nothing(tmp_path: Path, server: str) -> None:
    run = prepared(write_pairs(tmp_path / "pairs.csv", 2_000), url=server)
    run.settings = evolve(run.settings, max_per_second=50.0)
    began = time.monotonic()
    assert go(run, stop=lambda: bool(temporary_files(run.folder))) == STOPPED
    assert time.monotonic() - began < 10
    assert [path.name for path in run.folder.glob("part-*")] == []


def test_an_unavailable_server_fails_the_partition(tmp_path: Path) -> None:
    timeouts = Timeouts(attempt=0.5, item=1, outage=0)
    run = prepared(write_pairs(tmp_path / "pairs.csv", 50), url="http://127.0.0.1:9", timeouts=timeouts)
    with pytest.raises((ConnectFailedError, ServerUnavailableError)):
        go(run)
    assert [*run.folder.glob("part-*")] == []


def test_a_wrong_password_fails_the_partition(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "wr0ng")
    run = prepared(write_pairs(tmp_path / "pairs.csv", 50), url=server)
    with pytest.raises(AuthenticationError):
        go(run)
    assert [*run.folder.glob("part-*")] == []


def test_a_file_that_changes_below_a_worker(tmp_path: Path, server: str) -> None:
    path = write_pairs(tmp_path / "pairs.csv", 50)
    run = prepared(path, url=server)
    text = path.read_bytes()
    path.write_bytes(text.replace(b"pending", b"PENDING"))
    with pytest.raises(InvalidInputError, match=r"pairs\.csv does not have the content"):
        go(run)
    assert [*run.folder.glob("part-*")] == []


def test_a_worker_of_another_version(tmp_path: Path, server: str) -> None:
    run = prepared(write_pairs(tmp_path / "pairs.csv", 5), url=server)
    run.settings = evolve(run.settings, version="0.0.0")
    with pytest.raises(UsageError, match=r"a worker has version .*, and the driver has 0\.0\.0"):
        go(run)


def test_a_store_that_a_function_does_not_give(tmp_path: Path, server: str) -> None:
    run = prepared(write_pairs(tmp_path / "pairs.csv", 5), url=server, shared="pair_files:nothing")
    with pytest.raises(InvalidInputError, match="returned None on a worker, so nothing limits the rate"):
        go(run)
