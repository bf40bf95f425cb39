"""``aioconnections check --cluster``, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pair_files import assert_complete, rows_of, write_pairs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MakeCluster = Callable[..., Any]


def start(*words: object, **environment: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "aioconnections", "check", *map(str, words)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIOCONNECTIONS_")}
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(line, env={**inherited, **environment}, text=True, **pipes)


def words_for(client: Any, server: str, output: Path, *, rows: int, per_partition: int) -> list[Any]:
    """The arguments that check a new file with `rows` pairs on the cluster of `client`."""
    path = output.with_name("pairs.csv")
    write_pairs(path, rows)
    words: list[Any] = [path, "--cluster", client.scheduler.address, "--url", server, "--output", output]
    return [*words, "--rows-per-partition", per_partition]


def test_the_command_checks_all_files(tmp_path: Path, server: str, make_cluster: MakeCluster) -> None:
    client = make_cluster()
    for number in range(2):
        write_pairs(tmp_path / f"pairs-{number}.csv", 200, first=200 * number)
    with (tmp_path / "pairs-1.csv").open("a") as file:
        file.write("nobody,,400,none\n")
    address, output = client.scheduler.address, tmp_path / "results"
    words = [tmp_path / "pairs-*.csv", "--cluster", address, "--url", server, "--output", output]
    process = start(*words, "--rows-per-partition", 100, "--max-per-second", 0)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, ""), err
    assert "400 checked: " in err
    assert "1 unreadable; 5 parts in " in err
    rows = [*rows_of(sorted(output.glob("part-*.csv")))]
    assert len(rows) == 401
    assert rows[400]["error"].startswith("line 202: ")
    assert not rows[400]["status"]
    assert [row["status"] for row in rows[:400]] == [row["truth"] for row in rows[:400]]


def test_ctrl_c_leaves_nothing_unfinished_and_a_rerun_does_the_rest(
    tmp_path: Path, server: str, make_cluster: MakeCluster
) -> None:
    output = tmp_path / "results"
    words = words_for(make_cluster(), server, output, rows=3_000, per_partition=200)
    process = start(*words, "--max-per-second", 600)
    until = time.monotonic() + 180
    while not (len([*output.glob("part-*.csv")]) >= 3 and [*output.glob("*.tmp-*")]):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "aioconnections: interrupted\n" in err
    assert "parts are done; the same command does the others" in err
    assert "aioconnections: to resume: " in err
    assert not [*output.glob("*.tmp*")]
    done = {path: path.stat().st_mtime_ns for path in output.glob("part-*.csv")}
    assert 3 <= len(done) < 15
    manifest = json.loads((output / "manifest.json").read_text())
    assert len(manifest["missing"]) == 15 - len(done)
    assert sum(partition["counts"] is not None for partition in manifest["partitions"]) == len(done)
    time.sleep(1)  # a task that still runs would write its part now
    assert {path: path.stat().st_mtime_ns for path in output.glob("part-*.csv")} == done

    process = start(*words, "--max-per-second", 0)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "3,000 checked: " in err
    assert all(path.stat().st_mtime_ns == modified for path, modified in done.items())
    assert_complete(sorted(output.glob("part-*.csv")), 3_000)


def test_a_driver_that_is_killed_stops_its_tasks(tmp_path: Path, server: str, make_cluster: MakeCluster) -> None:
    output = tmp_path / "results"
    words = words_for(make_cluster(), server, output, rows=2_000, per_partition=1_000)
    process = start(*words, "--max-per-second", 100)
    until = time.monotonic() + 180
    while len([*output.glob("*.tmp-*")]) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=120)
    while [*output.glob("*.tmp-*")]:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert not [*output.glob("part-*")]
    process = start(*words, "--max-per-second", 0)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert_complete(sorted(output.glob("part-*.csv")), 2_000)


def test_the_parts_that_a_killed_driver_has_not_counted_are_counted_by_the_next(
    tmp_path: Path, server: str, make_cluster: MakeCluster
) -> None:
    output = tmp_path / "results"
    words = words_for(make_cluster(), server, output, rows=2_000, per_partition=200)
    process = start(*words, "--max-per-second", 600)
    until = time.monotonic() + 180
    while len([*output.glob("counts-*.json")]) < 2:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=120)
    while [*output.glob("*.tmp-*")]:
        assert time.monotonic() < until
        time.sleep(0.05)
    manifest = json.loads((output / "manifest.json").read_text())
    counted = sum(partition["counts"] is not None for partition in manifest["partitions"])
    assert counted < len([*output.glob("part-*.csv")])
    process = start(*words, "--max-per-second", 0)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "2,000 checked: " in err
    assert "not counted" not in err
    assert_complete(sorted(output.glob("part-*.csv")), 2_000)
    assert not [*output.glob("counts-*")]
