"""The driver keeps no rows: its memory does not depend on their number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "support" / "cluster_memory.py"
FEW = 50_000  # the partitions of a run with fewer rows are smaller


def peak(count: int, folder: Path) -> int:
    folder.mkdir()
    done = subprocess.run([sys.executable, SCRIPT, str(count), folder], capture_output=True, check=True, text=True)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_memory_of_the_driver_is_flat(tmp_path: Path) -> None:
    few, many = peak(FEW, tmp_path / "few"), peak(300_000, tmp_path / "many")
    assert many < few + 8 * 1024  # KiB


@pytest.mark.full
@pytest.mark.timeout(1_800)
def test_the_memory_of_the_driver_is_flat_up_to_ten_million_pairs(tmp_path: Path) -> None:
    few, many = peak(FEW, tmp_path / "few"), peak(10_000_000, tmp_path / "many")
    assert many < few + 16 * 1024  # KiB
