"""What only a process of its own shows: signals, pipes, exit codes, what is imported, what is not installed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aioconnections
from aioconnections.cli import run

Start = Callable[..., "subprocess.Popen[str]"]
PairsFile = Callable[..., Path]


@pytest.mark.slow
@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_end_in_the_middle_keeps_what_is_finished(
    start: Start, pairs_file: PairsFile, *, number: signal.Signals, background: bool
) -> None:
    if background and number == signal.SIGINT:
        pytest.skip("a background job ignores it")
    ignore = (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if background else None
    check = start("check", "--ordered", preexec_fn=ignore)
    assert check.stdin is not None
    assert check.stderr is not None
    check.stdin.write(pairs_file(count=3).read_text("utf-8") + "broken,,none,\n")
    check.stdin.flush()
    assert (
        check.stderr.readline() == "line 5: 4 fields where the header has 3; a field with the delimiter needs quotes\n"
    )  # and the three before it are done
    check.send_signal(number)
    assert check.wait(30) == 130
    out, err = check.communicate()
    assert [line.split(",")[3:5] for line in out.splitlines()[1:4]] == [
        ["accepted", "200"],
        ["none", "404"],
        ["pending", "200"],
    ]
    assert re.fullmatch(r"3 checked in .*; 1 unreadable\naioconnections: interrupted\n", err)


@pytest.mark.usefixtures("signed_in")
def test_who_has_seen_enough_ends_the_run_quietly(start: Start, pairs_file: PairsFile) -> None:
    check = start("check", pairs_file(count=2_000), "--max-per-second", 0)
    assert check.stdout is not None
    assert check.stdout.readline().startswith("source_email,")
    check.stdout.close()
    assert check.wait(30) == 0
    assert check.stderr is not None
    assert re.fullmatch(r"[\d,]+ checked in .*\n", check.stderr.read())


@pytest.mark.usefixtures("signed_in")
def test_a_full_disk_behind_standard_output(start: Start, pairs_file: PairsFile) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no such device here")
    with Path("/dev/full").open("w") as full:
        check = start("check", pairs_file(), stdout=full)
    _, err = check.communicate(timeout=30)
    assert check.returncode == 1
    assert err.splitlines()[-1] == "aioconnections: standard output: No space left on device"
    assert len(err.splitlines()) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("signed_in")
def test_commands_make_a_pipe(start: Start, pairs_file: PairsFile) -> None:
    first = start("check", pairs_file(), "--format", "jsonl", stdin=subprocess.DEVNULL)
    second = start("check", "-", stdin=first.stdout)
    out, _ = second.communicate(timeout=30)
    assert (first.wait(30), second.returncode) == (0, 0)
    assert out.count('"error": null') == 20


@pytest.mark.slow
def test_a_missing_extra_names_the_command_that_installs_it(tmp_path: Path) -> None:
    script = tmp_path / "without.py"
    script.write_text(
        "import sys\nsys.modules[sys.argv.pop(1)] = None\nfrom aioconnections.__main__ import main\nmain()\n"
    )

    def without(module: str, *arguments: str) -> tuple[int, str]:
        line = [sys.executable, str(script), module, *arguments]
        path = str(Path(aioconnections.__file__).parents[1])
        done = subprocess.run(  # ourselves
            line, capture_output=True, text=True, check=False, env={"PYTHONPATH": path}
        )
        return done.returncode, done.stderr

    cli = 'aioconnections: the command line needs more packages; run: pip install "aioconnections[cli]"\n'
    server = 'aioconnections: the reference server requires uvicorn: pip install "aioconnections[server]"\n'
    assert without("cyclopts", "--help") == (1, cli)
    assert without("rich", "--help") == (1, cli)
    assert without("uvicorn", "serve") == (2, server)
    assert without("uvicorn", "demo") == (2, server)
    code, error = without("anyio", "check", "x.csv", "--url", "http://127.0.0.1")
    assert code == 1
    assert "ModuleNotFoundError" in error.splitlines()[-1]


@pytest.mark.parametrize("name", ["check", "network"])
def test_help_imports_nothing_that_only_a_run_needs(name: str) -> None:
    script = (
        f"import sys\nfrom aioconnections.cli import run\nrun(['{name}', '--help'])\n"
        "late = {'anyio', 'asyncio', 'httpx', 'uvicorn', 'logging', 'rich.markdown', 'aioconnections.records',\n"
        "        'aioconnections.reference', 'aioconnections.cli.colleagues', 'xml.sax'}\n"
        "sys.exit(', '.join(late & set(sys.modules)))"
    )
    path = str(Path(aioconnections.__file__).parents[1])
    done = subprocess.run(  # ourselves
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env={"PYTHONPATH": path}
    )
    assert done.stderr == "\n"


GOOD = dict.fromkeys(("search", "community invitations", "invitations list"), "all listed")
GOOD |= {"serve": "stopped by Ctrl-C", "demo": "all checked"}
"""What exit code 0 means, where it is not "all good"."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("check", "invite", "accept", "remove", "colleagues", "network", "profile", "search", "connect", "disconnect"),
        *("community invite", "community invitations"),
        *("invitations list", "invitations accept", "invitations decline", "invitations revoke"),
        *("report", "serve", "demo"),
    ],
)
def test_every_command_explains_itself_in_sentences(command: Callable[..., Any], name: str) -> None:
    first, *_ = words = name.split()
    assert first in command("--help").out
    said = command(*words, "--help")
    assert said.code == 0
    assert f"Usage: aioconnections {name}" in said.out
    assert f"Exit codes: 0 {GOOD.get(name, 'all good')};" in " ".join(said.out.split())
    first_letters = re.findall(r"^│[ *]+--[a-z-]+(?: -\w)?(?: [A-Z]+)? {2,}(\w)", said.out, re.MULTILINE)
    assert "".join(first_letters).isupper() or name == "demo"


def test_the_version(command: Callable[..., Any]) -> None:
    assert command("--version").out.strip() == aioconnections.__version__


def test_what_is_no_command_is_said_so(command: Callable[..., Any]) -> None:
    said = command("chekc")
    assert (said.code, said.out) == (2, "")
    assert 'Did you mean "check"?' in said.err


def test_signals_are_left_alone_outside_of_a_command() -> None:
    before = signal.getsignal(signal.SIGTERM)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(run(["--version"])))
    thread.start()
    thread.join(10)
    assert codes == [0]
    assert run(["--version"]) == 0
    assert signal.getsignal(signal.SIGTERM) is before
