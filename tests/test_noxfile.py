"""The one command: which Pythons it finds, what it runs by default, and what it demands of the coverage."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = [pytest.mark.source, pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")]

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def noxfile() -> ModuleType:
    """Our noxfile as a module; nox keeps the sessions of the last one that was loaded, which harms nobody."""
    spec = importlib.util.spec_from_file_location("noxfile", ROOT / "noxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python(folder: Path, name: str, script: str) -> str:
    """A program that stands in for a Python."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def answering(folder: Path, name: str, version: tuple[int, int]) -> str:
    answer = json.dumps({"path": f"/real/{name}", "version": version})
    return python(folder, name, f"echo '{answer}'")


@pytest.mark.slow
def test_only_pythons_that_start_and_are_new_enough_are_used(noxfile: ModuleType, tmp_path: Path) -> None:
    found = noxfile.working(
        [
            answering(tmp_path, "python3.13", (3, 13)),
            python(tmp_path, "python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127"),
            answering(tmp_path, "python3.10", (3, 10)),
            answering(tmp_path, "prerelease", (0, 0)),
            python(tmp_path, "silent", "exit 0"),
            str(tmp_path / "missing"),
            answering(tmp_path, "python3.9", (3, 9)),
            answering(tmp_path, "python3.11", (3, 11)),
        ]
    )
    assert list(found.items()) == [("3.11", "/real/python3.11"), ("3.13", "/real/python3.13")]


def test_of_two_with_one_version_the_first_is_used(noxfile: ModuleType, tmp_path: Path) -> None:
    found = noxfile.working([answering(tmp_path, "first", (3, 12)), answering(tmp_path, "second", (3, 12))])
    assert found == {"3.12": "/real/first"}


def test_a_single_python_is_enough(noxfile: ModuleType) -> None:
    version = "{}.{}".format(*sys.version_info)
    assert noxfile.working([sys.executable]) == {version: sys.executable}


def test_pythons_are_sought_on_the_path_and_among_those_that_pyenv_built(
    noxfile: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = answering(tmp_path / "bin", "python3.11", (3, 11))
    built = answering(tmp_path / "pyenv" / "versions" / "3.12.1" / "bin", "python3.12", (3, 12))
    for other in ("python3", "python3.11-config", "python3.12-gdb.py", "pip3.11"):
        answering(tmp_path / "bin", other, (3, 14))
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "nowhere"), "", str(tmp_path / "bin")]))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert list(noxfile.candidates()) == [sys.executable, on_path, built]


def test_pyenv_is_sought_at_home_unless_said_otherwise(
    noxfile: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = answering(tmp_path / ".pyenv" / "versions" / "3.12.1" / "bin", "python3.12", (3, 12))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    assert list(noxfile.candidates()) == [sys.executable, built]


def test_the_oldest_python_runs_every_test_and_each_other_one_tests_the_wheel(noxfile: ModuleType) -> None:
    chosen = noxfile.nox.options.sessions
    wheels = [name for name in chosen if name.startswith("wheel-")]
    oldest, *others = noxfile.PYTHONS
    assert oldest == noxfile.OLDEST_HERE
    assert wheels == [f"wheel-{version}" for version in others or [oldest]]
    assert not {"branches", "full"} & set(chosen)
    assert chosen.index("lint") < chosen.index("types") < chosen.index("tests") < chosen.index("coverage")
    assert chosen.index("build") < min(map(chosen.index, wheels))


def test_the_one_command_tries_the_lowest_versions_on_two_pythons_and_runs_every_test_by_request(
    noxfile: ModuleType,
) -> None:
    chosen = noxfile.nox.options.sessions
    ends = sorted({noxfile.OLDEST_HERE, noxfile.NEWEST}, key=list(noxfile.PYTHONS).index)
    assert [name for name in chosen if name.startswith("lowest-smoke-")] == [f"lowest-smoke-{it}" for it in ends]
    assert "lowest" not in chosen
    assert [name for name in (*noxfile.SMOKE, *noxfile.PUBLIC, *noxfile.REACHING) if not (ROOT / name).exists()] == []


def test_the_lowest_versions_are_those_that_pyproject_allows(noxfile: ModuleType) -> None:
    project = {
        "build-system": {"requires": ["builder>=1.27"]},
        "project": {
            "name": "ours",
            "dependencies": ["one>=1.2,<2", "two[speed]~=3.4"],
            "optional-dependencies": {"cli": ["three>=5"], "test": ["ours[cli]", "four==2025.5.1"]},
        },
        "dependency-groups": {"recipes": ["five>=0.6"], "lint": ["six"]},
    }
    lowest = ["one==1.2", "two==3.4", "three==5", "four==2025.5.1", "builder==1.27", "five==0.6"]
    assert noxfile.lowest_allowed(project) == lowest


@pytest.mark.parametrize("requirement", ["one", "one<2", "one>1", "one!=1.3", "one>=1,~=1.2"])
def test_a_requirement_without_a_lowest_version_is_named(noxfile: ModuleType, requirement: str) -> None:
    project = {
        "build-system": {"requires": []},
        "project": {"name": "ours", "dependencies": [requirement], "optional-dependencies": {}},
    }
    with pytest.raises(ValueError, match=r"pyproject\.toml: 'one.*' needs one lower bound, such as one>=1\.2"):
        noxfile.lowest_allowed(project)


def test_each_of_our_requirements_has_a_lowest_version(noxfile: ModuleType) -> None:
    names = {text.partition("==")[0] for text in noxfile.lowest_allowed(noxfile.PROJECT)}
    assert {"anyio", "httpx", "cyclopts", "uvicorn", "pytest", "hatchling", "fastapi"} <= names


def test_a_line_that_no_test_ran_is_named_where_each_must_be_run(noxfile: ModuleType) -> None:
    missed = {
        "aioconnections/policy/retry.py": [7, 9],
        "aioconnections/transport/http1/head.py": [3],
        "aioconnections/transport/via_httpx.py": [4],
        "aioconnections/atom/reader.py": [],
    }
    report = {"files": {name: {"missing_lines": lines} for name, lines in missed.items()}}
    assert noxfile.missed_lines(report) == [
        "aioconnections/policy/retry.py: [7, 9]",
        "aioconnections/transport/http1/head.py: [3]",
    ]
