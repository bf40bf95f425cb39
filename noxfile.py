"""All checks in one command: `python -m nox`, the fast ones first.

The oldest Python that is installed and starts, from 3.11 on, runs every test that is not marked full; each other one
runs tests of each part of the public interface, against the built wheel. These have the newest versions of the
dependencies. On the oldest and the newest Python, `lowest-smoke` runs, with the lowest versions that `pyproject.toml`
allows, the tests that use each dependency most.

Two sessions are not part of the one command, because they take long. `nox -s lowest` runs every test with the lowest
versions on the oldest Python: run it after a change of a bound, and before a release. `nox -s full` runs every test in
full size on the newest Python, and then demands the branch coverage of the whole package: run it before you call an
issue done.
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
from packaging.requirements import Requirement

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
MEASURED = ROOT / ".nox" / "measured"
SITE = ROOT / ".nox" / "site"
OLDEST = (3, 11)
FULLY_COVERED = (
    "aioconnections/protocol/",
    "aioconnections/policy/",
    "aioconnections/atom/",
    "aioconnections/transport/http1/",
)
# Tests that reach every line of them. Measuring doubles their time, so the other tests run without it.
REACHING = (
    "tests/atom",
    *(
        f"tests/client/test_{name}.py"
        for name in (
            "arguments",
            "client",
            "communities",
            "conversation",
            "doubtful_heads",
            "gateway",
            "golden_requests",
            "lists",
            "old_answers",
            "people",
            "resolving_listed",
        )
    ),
    "tests/policy",
    "tests/protocol",
    "tests/session",
    "tests/test_errors.py",
    "tests/test_init.py",
    "tests/test_records.py",
    "tests/test_reprs.py",
    "tests/transport/http1",
)
# Tests that use each requirement of the package and of its extras.
SMOKE = (
    "tests/cli/test_graphml.py",
    "tests/cluster/test_partitions.py",
    "tests/doctor/test_certificates.py",
    "tests/cli/test_config.py",
    "tests/cli/test_epilogues.py",
    "tests/cli/test_help.py",
    "tests/cli/test_login.py",
    "tests/cli/test_options.py",
    "tests/reference/test_server.py",
    "tests/shared/test_grants.py",
    "tests/transport/test_lane_tls.py",
    "tests/transport/test_same_words.py",
    "tests/transport/test_trust.py",
    "tests/transport/test_via_httpx.py",
    "tests/client/test_conversation.py",
    "tests/client/test_httpx2.py",
    "tests/otel/test_instrumentation.py",
    "tests/otel/test_metrics.py",
    "tests/otel/test_spans.py",
    "tests/client/test_table_sources.py",
    "tests/test_clock.py",
)
# Tests of each part of the public interface: what another Python may change.
PUBLIC = (
    "tests/atom/test_reader.py",
    "tests/auth",
    "tests/bulk/test_check_many.py",
    "tests/bulk/test_check_many_cancelled_error.py",
    "tests/bulk/test_check_many_ends.py",
    "tests/bulk/test_collect_and_drain.py",
    "tests/cli/test_check.py",
    "tests/cli/test_colleagues_many.py",
    "tests/cli/test_config.py",
    "tests/cli/test_ends.py",
    "tests/cli/test_excel_safe.py",
    "tests/cli/test_help.py",
    "tests/cli/test_journal.py",
    "tests/cli/test_listings.py",
    "tests/cli/test_login.py",
    "tests/cli/test_merge.py",
    "tests/cli/test_streams.py",
    "tests/cli/test_verbs.py",
    "tests/client/test_arguments.py",
    "tests/client/test_client.py",
    "tests/client/test_communities.py",
    "tests/client/test_conversation.py",
    "tests/client/test_flights.py",
    "tests/client/test_gateway.py",
    "tests/client/test_httpx2.py",
    "tests/client/test_journalled.py",
    "tests/client/test_lists.py",
    "tests/client/test_network.py",
    "tests/client/test_people.py",
    "tests/client/test_run_ends.py",
    "tests/client/test_settling.py",
    "tests/client/test_switches.py",
    "tests/client/test_table_sources.py",
    "tests/client/test_telemetry.py",
    "tests/client/test_threads.py",
    "tests/client/test_users.py",
    "tests/client/test_waiting.py",
    "tests/doctor",
    "tests/files",
    "tests/journal",
    "tests/otel",
    "tests/report",
    "tests/session",
    "tests/shared",
    "tests/test_against_reference.py",
    "tests/test_errors.py",
    "tests/test_init.py",
    "tests/test_outcomes.py",
    "tests/test_records.py",
    "tests/transport",
)
# Python compiles a file on its first import. Compiling everything in advance takes half of the installation time.
INSTALL = ("--no-compile",)
EDITABLE = ("-e", ".[test]")
REDIS = ("redis-server", "redis-server")  # program and package
NGINX = ("nginx", "nginx-light")
CHROMIUM = ("chromium", "chromium")
SHELLS = (("fish", "fish"), ("zsh", "zsh"))
IN_PARALLEL = ("-n", "2", "--dist", "worksteal")
OFTEN_WAITING = ("-n", "3", "--dist", "worksteal")  # for servers, screens and other processes
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")

_DESCRIBE = """
import json, ssl, sqlite3, sys
final = sys.version_info.releaselevel == "final" and sys.implementation.name == "cpython"
print(json.dumps({"path": sys.executable, "version": list(sys.version_info[:2]) if final else [0, 0]}))
"""


def candidates() -> Iterator[str]:
    """Possible interpreters: the running one, those on the PATH, and those that pyenv built."""
    yield sys.executable
    name = re.compile(r"python3\.\d+")
    folders = [Path(entry) for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders += sorted(pyenv.glob("versions/*/bin"), reverse=True)
    for folder in folders:
        yield from (str(path) for path in sorted(folder.glob("python3.*")) if name.fullmatch(path.name))


def working(interpreters: Iterable[str]) -> dict[str, str]:
    """Interpreters that start and are new enough, as paths by version, oldest first; for each version the first.

    Each is started, because pyenv has shims on the PATH for versions that are not available.
    """
    found: dict[tuple[int, int], str] = {}
    for interpreter in dict.fromkeys(interpreters):
        try:
            done = subprocess.run(
                [interpreter, "-c", _DESCRIBE], capture_output=True, check=True, stdin=subprocess.DEVNULL, timeout=60
            )
            description = json.loads(done.stdout)
        except (OSError, subprocess.SubprocessError, ValueError):
            continue
        major, minor = description["version"]
        if (major, minor) >= OLDEST:
            found.setdefault((major, minor), description["path"])
    return {f"{major}.{minor}": path for (major, minor), path in sorted(found.items())}


PYTHONS = working(candidates())
if not PYTHONS:
    sys.exit("no Python 3.11 or newer found; install one, or put it on the PATH")
OLDEST_HERE, NEWEST = next(iter(PYTHONS)), list(PYTHONS)[-1]
OTHERS = list(PYTHONS)[1:] or [OLDEST_HERE]
WHEELS = [f"wheel-{version}" for version in OTHERS]
LOWEST = [f"lowest-smoke-{version}" for version in dict.fromkeys((OLDEST_HERE, NEWEST))]

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["lint", "types", "tests", "coverage", "build", *WHEELS, "plain", "docs", *LOWEST, "bench"]


def need(session: nox.Session, program: str, package: str) -> None:
    """Install a Debian package unless its program is there; on another system, the program must be installed before."""
    if shutil.which(program):
        return
    apt = shutil.which("apt-get")
    if apt is None:
        session.error(f"the tests need {program}; install it, and put it on the PATH")
    command = [apt] if os.geteuid() == 0 else ["sudo", apt]
    session.run(*command, "update", "-qq", external=True)
    session.run(*command, "install", "-qq", "-y", "--no-install-recommends", package, external=True)


def group(*names: str) -> tuple[str, ...]:
    """Requirements of the dependency groups `names`."""
    return nox.project.dependency_groups(PROJECT, *names)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, by ruff, and who may import whom. Further rules are tests: `test_rules.py` and `test_english.py`."""
    session.install(*INSTALL, *group("lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports", "--no-cache", "--no-logo")


@nox.session
def types(session: nox.Session) -> None:
    """Types, by mypy and basedpyright, also of the README's examples, and their completeness for the public names."""
    session.install(*INSTALL, *EDITABLE, *group("types", "bench", "recipes"))
    session.run("mypy", *(name for name in PROJECT["tool"]["mypy"]["files"] if (ROOT / name).exists()))
    # Without this option basedpyright would use a `.venv` in the project, which may lack the dependencies.
    basedpyright = ("basedpyright", "--pythonpath", str(Path(session.bin) / "python"))
    session.run(*basedpyright)
    session.run(*basedpyright, "--verifytypes", "aioconnections", "--ignoreexternal")
    session.run("pytest", "tests/test_readme_types.py")


@nox.session(python=PYTHONS[OLDEST_HERE], tags=["tests"])
def tests(session: nox.Session) -> None:
    """Every test, on the oldest Python. The coverage of those of `REACHING` is recorded."""
    need(session, *REDIS)
    need(session, *NGINX)
    session.install(*INSTALL, *EDITABLE, *group("recipes"))
    shutil.rmtree(MEASURED, ignore_errors=True)
    MEASURED.mkdir(parents=True)
    measure(session, "reaching", *REACHING)
    others = [f"--ignore={name}" for name in REACHING]
    session.run("pytest", *others, "-m", "not full and not slow", *IN_PARALLEL, *session.posargs)
    measure_slow_ones(session)
    session.run("pytest", "--ignore=tests/atom", "-m", "not full and slow", *OFTEN_WAITING, *session.posargs)


def measure(session: nox.Session, name: str, *chosen: str, marked: str = "not full and not slow") -> None:
    """Run tests and record their coverage in a file of this name in `MEASURED`."""
    options = ("--cov", "--cov-report=", "--cov-fail-under=0", *IN_PARALLEL, *session.posargs)
    session.run("pytest", *chosen, "-m", marked, *options, env={"COVERAGE_FILE": str(MEASURED / f".coverage.{name}")})


def measure_slow_ones(session: nox.Session) -> None:
    """Record the coverage of the slow tests of the Atom reader, whose limits need large documents."""
    measure(session, "slow", "tests/atom", marked="not full and slow")


def lowest_allowed(project: dict[str, Any]) -> list[str]:
    """The requirements of package, extras, build and recipes as pip constraints to their lowest allowed versions."""
    metadata = project["project"]
    extras = [text for texts in metadata["optional-dependencies"].values() for text in texts]
    recipes = project.get("dependency-groups", {}).get("recipes", [])
    requirements = map(
        Requirement, [*metadata["dependencies"], *extras, *project["build-system"]["requires"], *recipes]
    )
    return [f"{it.name}=={lower_bound(it)}" for it in requirements if it.name != metadata["name"]]


def lower_bound(requirement: Requirement) -> str:
    """The lowest version that the requirement allows."""
    bounds = [it.version for it in requirement.specifier if it.operator in {">=", "~=", "=="}]
    if len(bounds) != 1:
        raise ValueError(f"pyproject.toml: {str(requirement)!r} needs one lower bound, such as {requirement.name}>=1.2")
    return bounds[0]


def install_lowest(session: nox.Session, *further: str) -> None:
    """Install the package, and further requirements, with the lowest versions that `pyproject.toml` allows."""
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text("\n".join(lowest_allowed(PROJECT)) + "\n", encoding="utf-8")
    session.install(*INSTALL, f"--constraint={constraints}", f"--build-constraint={constraints}", *EDITABLE, *further)


@nox.session(python=PYTHONS[OLDEST_HERE])
def lowest(session: nox.Session) -> None:
    """Every test with the lowest versions that `pyproject.toml` allows, on the oldest Python; slow."""
    need(session, *REDIS)
    need(session, *NGINX)
    install_lowest(session, *group("recipes"))
    session.run("pytest", *IN_PARALLEL, "-m", "not full", *session.posargs)


def lowest_smoke(session: nox.Session) -> None:
    """The tests of `SMOKE` with the lowest versions, in one process."""
    need(session, *REDIS)
    install_lowest(session)
    session.run("pytest", "-m", "not full and not slow", *SMOKE, *session.posargs)


for _version in PYTHONS:
    nox.session(python=PYTHONS[_version], name=f"lowest-smoke-{_version}")(lowest_smoke)


@nox.session
def coverage(session: nox.Session) -> None:
    """Full line coverage of `FULLY_COVERED` on the oldest Python, by the tests of `REACHING`."""
    session.install(*INSTALL, *group("coverage"))
    session.run("coverage", "combine", "--keep", str(MEASURED))
    report = Path(session.create_tmp()) / "coverage.json"
    session.run("coverage", "json", "--fail-under=0", "-o", str(report), silent=True)
    if missed := missed_lines(json.loads(report.read_text(encoding="utf-8"))):
        session.error("every line of these files must be covered; add tests for " + "; ".join(missed))


@nox.session(python=PYTHONS[OLDEST_HERE])
def branches(session: nox.Session) -> None:
    """Branch coverage of the package on the oldest Python, by all tests that are not slow; takes twice their time."""
    need(session, *REDIS)
    need(session, *NGINX)
    session.install(*INSTALL, *EDITABLE, *group("recipes", "coverage"))
    shutil.rmtree(MEASURED, ignore_errors=True)
    MEASURED.mkdir(parents=True)
    measure(session, "all")
    measure_slow_ones(session)
    session.run("coverage", "combine", "--keep", str(MEASURED))
    session.run("coverage", "report")


def missed_lines(report: dict[str, Any]) -> list[str]:
    """Uncovered lines of files that must be fully covered, from coverage's JSON report."""
    found = {Path(name).as_posix(): measured["missing_lines"] for name, measured in report["files"].items()}
    return [f"{name}: {lines}" for name, lines in found.items() if lines and name.startswith(FULLY_COVERED)]


@nox.session
def build(session: nox.Session) -> None:
    """The source distribution, and the wheel made from it."""
    shutil.rmtree(DIST, ignore_errors=True)
    session.install(*INSTALL, *group("build"))
    session.run("python", "-m", "build", "--outdir", str(DIST))


def built_wheel() -> str:
    """Path of the wheel that the session `build` made."""
    (wheel,) = DIST.glob("*.whl")
    return str(wheel)


def wheel(session: nox.Session) -> None:
    """The tests of `PUBLIC` on the installed wheel, outside the source tree. Those of Trio ran on the oldest Python."""
    need(session, *REDIS)
    need(session, *NGINX)
    session.install(*INSTALL, f"{built_wheel()}[test]")
    away = Path(session.create_tmp()) / "away"
    shutil.rmtree(away, ignore_errors=True)
    shutil.copytree(ROOT / "tests", away / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, away)
    with session.chdir(away):
        chosen = ("-m", "not full and not slow and not source", "-k", "not trio")
        session.run("pytest", *IN_PARALLEL, *chosen, *PUBLIC, env={"PYTHONPATH": None})


for _version in OTHERS:
    nox.session(python=PYTHONS[_version], name=f"wheel-{_version}", requires=["build"], tags=["tests"])(wheel)


@nox.session(requires=["build"])
def plain(session: nox.Session) -> None:
    """The library without its extras."""
    session.install(*INSTALL, built_wheel())
    session.run("python", "-I", "tests/plain_install.py")


@nox.session
def docs(session: nox.Session) -> None:
    """The site of the guides and of the docstrings, in `.nox/site`. Warnings are errors; nothing else is looked up."""
    session.install(*INSTALL, "-e", ".", *group("docs"))
    source = Path(session.create_tmp()) / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs", source)
    shutil.copytree(ROOT / "aioconnections" / "guides", source / "guides")
    shutil.copytree(ROOT / "benchmarks", source / "benchmarks", ignore=lambda _, names: unpictured(names))
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-q", "-E", "-b", "html", str(source), str(SITE))
    session.log(f"the site begins at {SITE / 'index.html'}")


def unpictured(names: Iterable[str]) -> set[str]:
    """The files that are no pictures."""
    return {name for name in names if not name.endswith(".svg")}


@nox.session
def bench(session: nox.Session) -> None:
    """A smoke test of each benchmark; the figures mean nothing at this size."""
    scripts = sorted((ROOT / "benchmarks").glob("[!_]*.py"))
    if not scripts:
        session.skip("no benchmarks found")
    need(session, *REDIS)
    session.install(*INSTALL, *EDITABLE, *group("bench"))
    for script in scripts:
        session.run("python", str(script), "--quick")


@nox.session(python=PYTHONS[NEWEST])
def full(session: nox.Session) -> None:
    """Every test in full size, and the reports in a browser; slow. Then `branches`."""
    need(session, *REDIS)
    need(session, *NGINX)
    need(session, *CHROMIUM)
    for shell in SHELLS:
        need(session, *shell)
    session.install(*INSTALL, *EDITABLE, *group("recipes", "browser"))
    options = [*IN_PARALLEL, "-m", "full or not full", "--hypothesis-profile=full", "--timeout=3600"]
    session.run("pytest", *options, *session.posargs)
    session.notify("branches", posargs=[])
