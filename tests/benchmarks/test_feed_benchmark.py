"""The benchmark of feeds runs, and its last table holds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--quick", "--json"], ["--quick"]])
def test_it_runs(options: list[str]) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "feed.py"), *options]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603 # ours
    assert "aioconnections" in done.stdout
    if "--json" in options:
        found = json.loads(done.stdout)
        assert {row["reader"] for row in found["feeds"]} >= {
            "aioconnections",
            "pyexpat, no handlers",
            "ElementTree pull",
        }
        assert all(spent < 1000 for spent in found["refused after ms"].values())
