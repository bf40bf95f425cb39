"""Early ends: whatever ends a run, each row of the input is a row of the result, and says what is known."""

from __future__ import annotations

import array
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import termios
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections.cli.exits import Ended, command_line
from aioconnections.cli.verbs import BulkVerb
from aioconnections.outcomes import Outcome
from aioconnections.reference import Directory, Fault

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
NEIGHBOURS = {person.userid for person, _ in DIRECTORY.neighbours(ME)}
STRANGERS = [person for person in OTHERS if person.userid not in NEIGHBOURS]

Command = Callable[..., Any]
PairsFile = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]
Once = Callable[[Callable[[], bool], Callable[[], object]], None]

STALLS = Fault("stall", at="commit", operation="invite")
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


@pytest.fixture(autouse=True)
def me(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(ME.userid))
    return signed_in


SHORT = ("--attempt-timeout", 0.5)
SLOWLY = ("--max-per-second", 50)  # so that a run lasts much longer than it takes to see that it has begun


def people(count: int) -> str:
    return "".join(["userid\n", *(f'"{person.userid}"\n' for person in STRANGERS[:count])])


def interrupt(number: signal.Signals = signal.SIGINT) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def test_a_request_ends_after_the_attempt_timeout(command: Command, me: Any) -> None:
    me.app.faults = [Fault("stall", operation="check")]
    who = f"source_userid,target_userid\n{ME.userid},{STRANGERS[0].userid}\n"
    Path("pairs.csv").write_text(who, encoding="utf-8")
    said = command("check", "pairs.csv", "--attempt-timeout", 0.05)
    (row,) = said.rows
    assert (said.code, row["attempts"]) == (1, "4")
    assert row["error"] == "DeadlineError: no complete response within 0.05 s"


@pytest.mark.slow
@SIGNALS
def test_what_was_sent_and_not_answered_is_in_doubt_and_the_rest_unprocessed(
    command: Command, pairs_file: PairsFile, me: Any, once: Once, number: signal.Signals
) -> None:
    me.app.faults = [STALLS]
    once(lambda: len(me.app.commits) == 3, interrupt(number))
    said = command("invite", pairs_file(people(10)), "--no-journal", "--max-connections", 3, *SHORT)
    assert said.code == 130
    assert len({row["userid"] for row in said.rows}) == 10
    assert Counter(row["outcome"] for row in said.rows) == {"in_doubt": 3, "unprocessed": 7}
    why = {row["error"] for row in said.rows if row["outcome"] == "unprocessed"}
    # the second is said of what was read already and had not been sent
    assert {"unprocessed: interrupted"} <= why <= {"unprocessed: interrupted", "unprocessed: the run has ended"}
    waiting, summary, reason, last = said.err.splitlines()
    assert waiting == "aioconnections: waiting for responses to pending requests; a second signal ends the run at once"
    assert summary.startswith("0 done in ")
    assert summary.endswith("; 3 in doubt; 7 unprocessed")
    assert reason.startswith("  3 in doubt: InDoubtError: ")
    assert last == "aioconnections: interrupted"


def test_what_is_answered_after_ctrl_c_is_no_loss(command: Command, pairs_file: PairsFile, me: Any, once: Once) -> None:
    me.app.faults = [Fault("delay", at="commit", operation="invite", seconds=0.3)]
    once(lambda: len(me.app.commits) == 3, interrupt())
    said = command("invite", pairs_file(people(10)), "--no-journal", "--max-connections", 3, "--ordered")
    assert (said.code, len(me.app.commits)) == (130, 3)
    assert [row["outcome"] for row in said.rows] == ["invited"] * 3 + ["unprocessed"] * 7


def test_a_check_that_is_interrupted_has_every_pair_once(
    command: Command, pairs_file: PairsFile, me: Any, once: Once
) -> None:
    path = pairs_file(count=1000)
    once(lambda: me.app.requests.total >= 30, interrupt())
    said = command("check", path, *SLOWLY, "-o", "result.csv")
    assert said.code == 130
    before, after = (Path(name).read_text("utf-8").splitlines() for name in (path, "result.csv"))
    assert Counter(",".join(line.split(",")[:3]) for line in after) == Counter(before)
    assert sum(line.endswith("unprocessed: interrupted") for line in after) > 100
    assert sum(line.endswith(",") for line in after) >= 20
    assert me.app.requests.total < 900
    assert said.err.splitlines()[-2:] == ["aioconnections: interrupted", to_go_on("the input")]
    assert command("check", *SLOWLY[:1], 0, "-o", "result.csv", "--retry", "result.csv").code == 0


def to_go_on(replaced: str, terms: str = "") -> str:
    option = "--retry result.csv"
    return f"aioconnections: to go on{terms}: run the same command with {option} in place of {replaced}"


@pytest.mark.parametrize(
    ("words", "replaced"),
    [
        (["pairs.csv"], "the input"),
        (["pairs.csv", "--shard", "1/1"], "the input and --shard"),
        (["people.csv", "--against", "people.csv"], "the input and --against"),
        (["--group", "people.csv"], "--group"),
        (["--group", "people.csv", "--both-ways"], "--group and --both-ways"),
    ],
    ids=["file", "shard", "against", "group", "both ways"],
)
def test_a_result_without_a_journal_can_be_completed(
    command: Command, pairs_file: PairsFile, me: Any, words: list[str], replaced: str
) -> None:
    pairs_file(count=50)
    pairs_file(people(12), name="people.csv")
    me.refuses_after = 20
    said = command("check", *words, "-o", "result.csv")
    login = ", with a login that is not refused"
    assert said.code == 3
    assert said.err.splitlines()[-1] == to_go_on(replaced, login)
    me.refuses_after = me.app.requests.total + 20
    again = ["check", "--retry", "result.csv", "-o", "result.csv"]
    said = command(*again)
    assert said.code == 3
    assert said.err.splitlines()[-1] == f"aioconnections: to resume{login}: aioconnections {' '.join(again)}"
    me.refuses_after = float("inf")
    assert command(*again).code == 0
    assert ",unprocessed" not in Path("result.csv").read_text("utf-8")


@pytest.mark.parametrize(
    "words",
    [["-o", "/dev/null"], [], ["-o", "result.csv", "--retry", "earlier.csv"]],
    ids=["no file", "stdout", "another result"],
)
def test_a_result_that_cannot_be_completed(command: Command, pairs_file: PairsFile, me: Any, words: list[str]) -> None:
    pairs_file("source_userid,target_userid,status\n" + "a,b,\n" * 50, name="earlier.csv")
    me.refuses_after = 20
    said = command("check", *words, *[] if "--retry" in words else [pairs_file(count=50)])
    assert said.code == 3
    assert said.err.splitlines()[-1] == "aioconnections: stopped: HTTP 401: the server refused the login"


def test_an_input_that_may_not_be_whole_in_the_result(
    command: Command, pairs_file: PairsFile, me: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    me.refuses_after = 20
    with pairs_file(count=50).open(encoding="utf-8") as text:
        monkeypatch.setattr("sys.stdin", text)
        said = command("check", "-o", "result.csv")
    assert said.code == 3
    assert said.err.splitlines()[-1] == "aioconnections: stopped: HTTP 401: the server refused the login"


@pytest.mark.slow
def test_an_end_while_the_rest_of_a_run_that_has_stopped_is_written_loses_nothing(
    command: Command, pairs_file: PairsFile, once: Once, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "gehe1m")
    path = pairs_file("source,target\n" + "".join(f"a,{n}\n" for n in range(100_000)))
    result = Path("result.csv")
    once(lambda: result.exists() and result.stat().st_size > 100, interrupt())  # it is being written
    said = command("check", path, "--id-type", "userid", "-o", "result.csv")
    assert said.code == 130
    assert "aioconnections: stopped: HTTP 401: the server refused the login\n" in said.err
    header, *lines = result.read_text("utf-8").splitlines()
    assert header.startswith("source,target,")
    assert [line.split(",")[1] for line in lines] == [str(n) for n in range(100_000)]
    assert {line.split(",")[-1] for line in lines} == {"unprocessed: HTTP 401: the server refused the login"}


@pytest.mark.slow
@SIGNALS
def test_a_pipe_that_is_silent_is_not_waited_for(start: Start, me: Any, number: signal.Signals) -> None:
    me.app.faults = [Fault("delay", operation="invite", seconds=0.3)]
    invite = start("invite", "--no-journal", "--max-connections", 2, "--ordered")
    assert invite.stdin is not None
    invite.stdin.write(people(2))
    invite.stdin.flush()
    while me.app.requests.by_path["/profiles/atom/connections.do"] < 2:
        assert invite.poll() is None
    invite.send_signal(number)
    assert invite.wait(60) == 130
    out, err = invite.communicate()
    assert err.startswith("aioconnections: waiting for responses")
    assert err.splitlines()[-1] == "aioconnections: interrupted"
    assert [line.split(",")[1] for line in out.splitlines()] == ["outcome", "invited", "invited"]


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [(signal.SIGINT,) * 2, (signal.SIGTERM,) * 2, (signal.SIGINT, signal.SIGTERM)])
@pytest.mark.parametrize("record", [["--no-journal"], ["--journal", "j.sqlite"]], ids=" ".join)
def test_the_second_signal_ends_it_at_once(
    pairs_file: PairsFile, me: Any, numbers: tuple[signal.Signals, signal.Signals], record: list[str]
) -> None:
    me.app.faults = [STALLS]
    line = [sys.executable, "-W", "error", "-m", "aioconnections", "invite", str(pairs_file(people(10))), *record]
    line += ["--attempt-timeout", "10000"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as invite:
        try:
            while not me.app.commits:
                assert invite.poll() is None
            assert invite.stderr is not None
            invite.send_signal(numbers[0])
            if numbers[0] == numbers[1]:  # else both may be seen at the same moment
                assert invite.stderr.readline().startswith("aioconnections: waiting for responses")
            invite.send_signal(numbers[1])
            _, err = invite.communicate(timeout=60)
        finally:
            invite.kill()
    assert invite.returncode == 130
    assert "Traceback" not in err
    assert "aioconnections: interrupted" in err
    assert ("to resume: " in err) is ("--journal" in record)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it looks into the pipe")
@pytest.mark.parametrize("verb", ["invite", "profile"])
def test_a_reader_that_sleeps_holds_nobody_up(start: Start, pairs_file: PairsFile, verb: str) -> None:
    note = "x" * 5_000
    rows = "".join(["userid,note\n", *(f'"{person.userid}",{note}\n' for person in STRANGERS)])
    process = start(verb, pairs_file(rows), *["--no-journal"] * (verb == "invite"))
    assert process.stdout is not None
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)  # less than what is written at once
    waiting = array.array("i", [0])
    while not waiting[0]:
        fcntl.ioctl(process.stdout, termios.FIONREAD, waiting)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130


def test_a_second_run_in_the_same_process_gets_its_signals_too(
    command: Command, pairs_file: PairsFile, me: Any, once: Once
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    for _ in range(2):
        answered = me.app.requests.total
        once(lambda answered=answered: me.app.requests.total > answered + 10, interrupt())  # type: ignore[misc] # a default
        assert command("check", pairs_file(count=1000), *SLOWLY).code == 130
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


@pytest.mark.parametrize(("given", "lines"), [("", 0), ("a b", 1), ("'", 1)])
def test_the_line_that_runs_a_command_again(
    monkeypatch: pytest.MonkeyPatch, given: str, lines: int, tmp_path: Path
) -> None:
    arguments = ["check", *[given] * lines]
    script = tmp_path / "aioconnections"
    script.touch(0o755)
    monkeypatch.setattr("sys.argv", [str(script), *arguments])
    assert shlex.split(command_line(arguments)) == [str(script), *arguments]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shlex.split(command_line(arguments)) == ["aioconnections", *arguments]
    monkeypatch.setattr("sys.argv", ["/somewhere/aioconnections/__main__.py", *arguments])
    monkeypatch.setattr("sys.orig_argv", ["python3", "-m", "aioconnections", *arguments])
    assert shlex.split(command_line(arguments)) == ["python3", "-m", "aioconnections", *arguments]
    assert shlex.split(command_line(["report"])) == ["aioconnections", "report"]


def test_on_which_terms_a_command_goes_on() -> None:
    end = Ended(3, resumable=True, refused=True)
    assert end.terms == ", with a login that is not refused"
    end.piped = True
    assert end.terms == ", with a login that is not refused and the same input"
    assert Ended(75, resumable=True).terms == ""


def test_a_defect_of_ours_passes_and_what_is_known_is_told(
    command: Command,
    pairs_file: PairsFile,
    me: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = BulkVerb.rows

    def broken(self: BulkVerb[Any], outcome: Outcome) -> Any:
        if outcome.index == 2:
            raise ZeroDivisionError
        return rows(self, outcome)

    monkeypatch.setattr(BulkVerb, "rows", broken)
    with pytest.raises(ZeroDivisionError):
        command("invite", pairs_file(people(10)), "--no-journal", "--ordered", "--max-connections", 1)
    out, err = capsys.readouterr()
    assert [line.split(",")[1] for line in out.splitlines()][:3] == ["outcome", "invited", "invited"]
    assert err.startswith(f"{len(me.app.commits)} done in ")
