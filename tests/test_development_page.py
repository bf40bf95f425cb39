"""The page for people who change the library names the packages, layers, modules and sessions that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.source

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "aioconnections"
PAGE = (ROOT / "docs" / "development.md").read_text("utf-8")


def test_the_packages_stand_in_the_order_of_their_layers() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(it["layers"] for it in contracts if it["type"] == "layers")
    table = PAGE.partition("| package |")[2].partition("\n\n")[0]
    named = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines()[2:]]
    expected = [sorted(layer.split(" | ")) for layer in layers if layer != "__main__"]
    assert [sorted(names) for names in named] == expected


def test_each_file_and_folder_exists() -> None:
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?|\w+\.(?:py|toml)|tests/\w+)`", PAGE))
    assert len(named) > 20
    assert [name for name in named if not any((base / name).exists() for base in (ROOT, PACKAGE))] == []


def test_each_session_and_mark_exists() -> None:
    sessions = set(
        re.findall(r"^(?:async )?def (\w+)\(session", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE)
    )
    named = {name for names in re.findall(r"`nox -s ([a-z ]+)`", PAGE) for name in names.split()}
    assert {"branches", "full", "lowest"} <= named <= sessions
    marks = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]["markers"]
    assert {"slow", "full"} <= {mark.partition(":")[0] for mark in marks}
