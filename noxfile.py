"""The one command: `python -m nox` runs every check there is, those that fail fast first.

The tests run on every Python from 3.11 on that is installed here and really starts. The newest and the oldest of them
run everything; those in between run the built wheel, and leave out what is marked slow. `nox -s full` runs the tests in
their full size.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nox

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
MEASURED = ROOT / ".nox" / "measured"
OLDEST = (3, 11)
COVERED_WHOLLY = (
    "aioconnections/protocol/",
    "aioconnections/policy/",
    "aioconnections/atom/",
    "aioconnections/transport/http1/",
)
# Files are compiled when they are first imported; compiling all that pip unpacks takes half of an installation's time.
INSTALL = ("--no-compile",)
EDITABLE = ("-e", ".[test]")
TOGETHER = ("-n", "2", "--dist", "worksteal")
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")

_WHO_ARE_YOU = """
import json, ssl, sqlite3, sys
final = sys.version_info.releaselevel == "final" and sys.implementation.name == "cpython"
print(json.dumps({"path": sys.executable, "version": list(sys.version_info[:2]) if final else [0, 0]}))
"""


def candidates() -> Iterator[str]:
    """Whatever may be a Python: the one that runs this, those on the PATH, and those that pyenv built."""
    yield sys.executable
    name = re.compile(r"python3\.\d+")
    folders = [Path(entry) for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders += sorted(pyenv.glob("versions/*/bin"), reverse=True)
    for folder in folders:
        yield from (str(path) for path in sorted(folder.glob("python3.*")) if name.fullmatch(path.name))


def working(interpreters: Iterable[str]) -> dict[str, str]:
    """Path by version, oldest first, of those that start and are new enough; the first of a version wins.

    A name on the PATH proves nothing: pyenv's shims exist for versions that they then refuse to start.
    """
    found: dict[tuple[int, int], str] = {}
    for interpreter in dict.fromkeys(interpreters):
        try:
            answer = subprocess.run(
                [interpreter, "-c", _WHO_ARE_YOU], capture_output=True, check=True, stdin=subprocess.DEVNULL, timeout=60
            )
            it = json.loads(answer.stdout)
        except (OSError, subprocess.SubprocessError, ValueError):
            continue
        major, minor = it["version"]
        if (major, minor) >= OLDEST:
            found.setdefault((major, minor), it["path"])
    return {f"{major}.{minor}": path for (major, minor), path in sorted(found.items())}


PYTHONS = working(candidates())
if not PYTHONS:
    sys.exit("no Python 3.11 or newer starts here")
OLDEST_HERE, NEWEST = next(iter(PYTHONS)), list(PYTHONS)[-1]
ENDS = list(dict.fromkeys([OLDEST_HERE, NEWEST]))
BETWEEN = [version for version in PYTHONS if version not in ENDS] or [NEWEST]
TESTS = [f"tests-{version}" for version in ENDS]
WHEELS = [f"wheel-{version}" for version in BETWEEN]

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["lint", "types", *TESTS, "coverage", "build", *WHEELS, "plain", "bench"]


def group(*names: str) -> tuple[str, ...]:
    """Requirements of these dependency groups."""
    return nox.project.dependency_groups(PROJECT, *names)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, by ruff. The rules that ruff does not know are tests: `tests/test_rules.py`."""
    session.install(*INSTALL, *group("lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types inside, by mypy and basedpyright, and that every public name has one."""
    session.install(*INSTALL, *EDITABLE, *group("types", "bench"))
    session.run("mypy", *(name for name in PROJECT["tool"]["mypy"]["files"] if (ROOT / name).exists()))
    # Left alone it looks into a `.venv` beside the project, which knows nothing of the library's dependencies.
    basedpyright = ("basedpyright", "--pythonpath", str(Path(session.bin) / "python"))
    session.run(*basedpyright)
    session.run(*basedpyright, "--verifytypes", "aioconnections", "--ignoreexternal")


def tests(session: nox.Session) -> None:
    """The tests on one Python; what they cover on the oldest is noted for the session `coverage`."""
    version = session.name.removeprefix("tests-")
    session.log(f"Python {version} is {PYTHONS[version]}")
    session.install(*INSTALL, *EDITABLE)
    options = [*TOGETHER, "-m", "not full"]
    if version == OLDEST_HERE:  # it more than doubles the time that a run takes
        shutil.rmtree(MEASURED, ignore_errors=True)
        MEASURED.mkdir()
        options += ["--cov", "--cov-report=", "--cov-fail-under=0"]
    session.run("pytest", *options, *session.posargs, env={"COVERAGE_FILE": str(MEASURED / ".coverage.tests")})


for _version in ENDS:
    nox.session(python=PYTHONS[_version], name=f"tests-{_version}", tags=["tests"])(tests)


@nox.session
def coverage(session: nox.Session) -> None:
    """Over the run on the oldest Python: branches of the package, and every line where a mistake would be silent."""
    session.install(*INSTALL, *group("coverage"))
    session.run("coverage", "combine", "--keep", str(MEASURED))
    session.run("coverage", "report")
    report = Path(session.create_tmp()) / "coverage.json"
    session.run("coverage", "json", "--fail-under=0", "-o", str(report), silent=True)
    if missed := missed_lines(json.loads(report.read_text(encoding="utf-8"))):
        session.error("these must be covered wholly: " + "; ".join(missed))


def missed_lines(report: dict[str, Any]) -> list[str]:
    """Files and lines that no test ran, of those where each line must be run; from coverage's JSON report."""
    found = {Path(name).as_posix(): measured["missing_lines"] for name, measured in report["files"].items()}
    return [f"{name}: {lines}" for name, lines in found.items() if lines and name.startswith(COVERED_WHOLLY)]


@nox.session
def build(session: nox.Session) -> None:
    """The source distribution, and the wheel made from it."""
    shutil.rmtree(DIST, ignore_errors=True)
    session.install(*INSTALL, *group("build"))
    session.run("python", "-m", "build", "--outdir", str(DIST))


def built_wheel() -> str:
    """Path of the wheel that `build` has left."""
    (wheel,) = DIST.glob("*.whl")
    return str(wheel)


def wheel(session: nox.Session) -> None:
    """The tests on the installed wheel, away from the source tree."""
    session.install(*INSTALL, f"{built_wheel()}[test]")
    away = Path(session.create_tmp()) / "away"
    shutil.rmtree(away, ignore_errors=True)
    shutil.copytree(ROOT / "tests", away / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, away)
    with session.chdir(away):
        session.run("pytest", *TOGETHER, "-m", "not full and not slow and not source", env={"PYTHONPATH": None})


for _version in BETWEEN:
    nox.session(python=PYTHONS[_version], name=f"wheel-{_version}", requires=["build"], tags=["tests"])(wheel)


@nox.session(requires=["build"])
def plain(session: nox.Session) -> None:
    """The library without any extra."""
    session.install(*INSTALL, built_wheel())
    session.run("python", "-I", "tests/plain_install.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Each benchmark starts and ends; its figures mean nothing at this size."""
    scripts = sorted((ROOT / "benchmarks").glob("[!_]*.py"))
    if not scripts:
        session.skip("there are no benchmarks yet")
    session.install(*INSTALL, *EDITABLE, *group("bench"))
    for script in scripts:
        session.run("python", str(script), "--quick")


@nox.session(python=PYTHONS[NEWEST])
def full(session: nox.Session) -> None:
    """Every test in its full size; takes long."""
    session.install(*INSTALL, *EDITABLE)
    options = ["-m", "full or not full", "--hypothesis-profile=full", "--timeout=3600"]
    session.run("pytest", *options, *session.posargs)
