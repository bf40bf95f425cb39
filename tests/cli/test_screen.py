"""What a person sees on a terminal of 40, 80 or 120 columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from screen import Terminal

from aioconnections.reference import Directory, Fault

PairsFile = Callable[..., Path]

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
NEIGHBOURS = {person.userid for person, _ in DIRECTORY.neighbours(ME)}
STRANGER = next(person for person in OTHERS if person.userid not in NEIGHBOURS)
REJECTED = "nobody@example.org,ann@example.com,none\n"


@pytest.fixture(params=[40, 80, 120], ids="{} columns".format)
def terminal(request: pytest.FixtureRequest, signed_in: Any) -> Generator[Terminal]:
    del signed_in
    with Terminal(request.param) as terminal:
        yield terminal


@pytest.fixture
def wide(signed_in: Any) -> Generator[Terminal]:
    del signed_in
    with Terminal(200) as terminal:
        yield terminal


def assert_wrapped_at_words(terminal: Terminal) -> None:
    """No word is cut that fits on a line."""
    screen = terminal.screen
    assert screen.is_cursor_visible
    lines = screen.lines
    assert all(len(line) <= screen.columns for line in lines)
    for row in screen.cuts:
        line, following = lines[row : row + 2]
        word = re.split(r"\s", line)[-1] + re.split(r"\s", following)[0]
        assert len(word) > screen.columns, (line, following)


@pytest.mark.parametrize(
    "words", [["--help"], ["check", "--help"], ["check", "--max-connections", "many"]], ids=" ".join
)
def test_help_and_usage_errors_at_40_80_and_120_columns(terminal: Terminal, words: list[str]) -> None:
    terminal.start(*words)
    assert terminal.wait() == (0 if "--help" in words else 2)
    assert_wrapped_at_words(terminal)
    framed = [line for line in terminal.screen.lines if line.startswith(("│", "╭", "╰"))]
    assert framed
    assert {len(line) for line in framed} == {terminal.screen.columns}, "a frame is whole"
    told = " ".join(terminal.screen.text.replace("│", " ").split())
    assert "…" not in told.replace("(2, 3 …)", "")
    expected = {"--help": "Ctrl-C", "check": "Check for each pair in a file whether the two people are colleagues."}
    assert expected.get(words[0] if len(words) < 3 else "", "it must be a whole number, at least 1") in told


@pytest.mark.slow
def test_a_run_at_40_80_and_120_columns(terminal: Terminal, pairs_file: PairsFile) -> None:
    path = pairs_file(count=60)
    with path.open("a", encoding="utf-8") as file:
        file.write(REJECTED * 3 + "broken,,none,\n")
    terminal.start("check", path, "-o", "result.csv", "--max-per-second", 20)
    assert terminal.wait() == 1
    columns, frames = terminal.screen.columns, terminal.frames
    assert_wrapped_at_words(terminal)
    # The bar has gone; what remains is the message and the summary.
    assert "checking" not in terminal.screen.text
    told = " ".join(terminal.screen.text.split())
    summary = re.fullmatch(
        r"line 65: 4 fields where the header has 3; a field with the delimiter needs quotes "
        r"60 checked in \d+\.\d s \(\d+/s\) accepted 10 pending 10 unconfirmed 10 none 30 rejected 3 unreadable 1 "
        r"requests 65 time per item, p50 \S+ m?s time per item, p95 \S+ m?s mean wait for limits \S+ m?s "
        r"3 rejected: BadRequestError: HTTP 400: .* a person in it What to do: correct the people in these rows\.",
        told,
    )
    assert summary, told
    shown = [" ".join(frame.partition("checking")[2].split()) for frame in frames if "checking" in frame]
    counts = r"\d+ of 64 (done )?\d+ of 20/s \d+ of 16 conn(ections|\.) p50"
    assert any(re.match(rf"[━╸╺]+ \d+% \d+ s left {counts}", frame) for frame in shown), shown
    assert all(len(line) < columns for frame in frames for line in frame.splitlines() if "checking" in line)


@pytest.mark.slow
def test_a_pause_and_an_outage_at_40_80_and_120_columns(
    terminal: Terminal, pairs_file: PairsFile, signed_in: Any, once: Callable[..., None]
) -> None:
    pause, away = Fault("refuse", retry_after=4, times=1), Fault("refuse", application="profiles")
    once(lambda: signed_in.app.requests.total > 60, lambda: setattr(signed_in.app, "faults", [pause]))
    terminal.start("check", pairs_file(count=300), "-o", "r.csv", "--max-per-second", 30, "--log-level", "warning")
    terminal.wait_for("paused")
    pauses = {40: "paused: Retry-After 4 s, ", 80: "paused: the server asked for 4 s (Retry-After), "}
    columns = terminal.screen.columns
    assert pauses[min(columns, 80)] in terminal.screen.text
    once(lambda: signed_in.app.requests.total > 90, lambda: setattr(signed_in.app, "faults", [away]))
    outages = {40: "server away ", 80: "server unavailable for "}
    terminal.wait_for(outages[min(columns, 80)])
    assert terminal.screen.text.startswith("20"), "the log is above the view"
    assert terminal.screen.text.count("checking") == 1
    terminal.press("\x03")
    assert terminal.wait() == 130
    assert_wrapped_at_words(terminal)
    assert "checking" not in terminal.screen.text
    assert "waited for the server" in terminal.screen.text


@pytest.mark.slow
def test_what_stops_a_run_at_40_80_and_120_columns(
    terminal: Terminal, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "gehe1m")
    terminal.start("check", pairs_file(), "-o", "r.csv", "--journal", "j.sqlite")
    assert terminal.wait() == 3
    assert_wrapped_at_words(terminal)
    told = " ".join(terminal.screen.text.split())
    assert "aioconnections: stopped: HTTP 401: the server refused the login" in told


@pytest.mark.slow
def test_a_table_at_40_80_and_120_columns_is_cut_by_the_terminal_alone(
    terminal: Terminal, pairs_file: PairsFile
) -> None:
    """So that rows can be copied."""
    terminal.start("check", pairs_file(count=2), "--ordered")
    assert terminal.wait() == 0
    rows = [*DIRECTORY.sample_pairs(2, seed=3)]
    unwrapped = terminal.screen.text.replace("\n", "")
    for source, target in rows:
        assert f"{source.email},{target.email},{DIRECTORY.status(source, target) or 'none'}," in unwrapped
    assert "━" not in "".join(terminal.frames)


@pytest.mark.slow
def test_the_prompt_for_a_password_at_40_80_and_120_columns(
    terminal: Terminal, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIOCONNECTIONS_PASSWORD")
    terminal.start("check", pairs_file(count=2), "-o", "r.csv")
    terminal.wait_for("Password of admin:")
    terminal.press("secret\n")
    assert terminal.wait() == 0
    assert_wrapped_at_words(terminal)
    assert "secret" not in terminal.screen.text
    assert terminal.screen.lines[0] == "Password of admin: "


def test_control_characters_in_the_prompt_are_escaped(
    wide: Terminal, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIOCONNECTIONS_PASSWORD")
    wide.start("check", pairs_file(count=2), "--user", "admin\u202egnp")  # without controls, which no user name has
    wide.wait_for(r"Password of admin\u202egnp:")
    wide.press("\x04")
    assert wide.wait() == 2


def test_the_cursor_is_visible_after_ctrl_c(wide: Terminal, pairs_file: PairsFile) -> None:
    wide.start("check", pairs_file(count=500), "-o", "r.csv", "--max-per-second", 20)
    wide.wait_for("checking ━")
    during = wide.screen.is_cursor_visible
    wide.press("\x03")
    assert wide.wait() == 130
    assert (during, wide.screen.is_cursor_visible) == (False, True)
    first, *_, interrupted, advice = wide.screen.text.splitlines()
    assert re.match(r"(\^C)?\d+ checked in ", first), wide.screen.text
    assert interrupted == "aioconnections: interrupted"
    assert advice == "aioconnections: to go on: run the same command with --retry r.csv in place of the input"


@pytest.mark.slow
def test_no_color_leaves_the_bar_without_colours(wide: Terminal, pairs_file: PairsFile) -> None:
    wide.start("check", pairs_file(count=25), "-o", "r.csv", "--max-per-second", 10, env={"NO_COLOR": "1"})
    assert wide.wait() == 0
    assert "━" in "".join(wide.frames)
    assert not [colour for colour in wide.screen.colours if re.search(r"\b[349][0-9]\b|\b10[0-7]\b", colour)]


def test_a_dumb_terminal_gets_text_alone(wide: Terminal, pairs_file: PairsFile) -> None:
    wide.start("check", pairs_file(count=10), "-o", "r.csv", env={"TERM": "dumb"})
    assert wide.wait() == 0
    assert wide.screen.colours == []
    assert re.fullmatch(r"10 checked in .*", wide.screen.text)
    assert all("checking" not in frame for frame in wide.frames)


EVIL = "\x00\x07\x1b]0;owned\x07\x1b[31m\x7f\x85\x9b31m\u202egnp\u2066\u200f"
ESCAPED = r"\x00\x07\x1b]0;owned\x07\x1b[31m\x7f\x85\x9b31m\u202egnp\u2066\u200f"


@pytest.mark.slow
def test_control_characters_in_a_file_are_escaped_on_a_terminal_and_kept_in_a_file(
    wide: Terminal, pairs_file: PairsFile
) -> None:
    people = f"{DIRECTORY.people[1].email},{DIRECTORY.people[2].email}"
    path = pairs_file(f'source_email,target_email,note{EVIL[1:]}\n{people},"a{EVIL[1:]}\nb"\n')
    wide.start("check", path)
    assert wide.wait() == 0
    shown = wide.screen.text.replace("\n", "")  # the screen model refuses control characters
    assert f"note{ESCAPED[4:]}" in shown
    assert f'"a{ESCAPED[4:]}\\nb"' in shown
    wide.start("check", path, "-o", "result.csv")
    assert wide.wait() == 0
    result = Path("result.csv").read_bytes().decode()
    assert f'"a{EVIL[1:]}\nb"' in result
    wide.start("check", path, "--json")
    assert wide.wait() == 0


@pytest.mark.slow
def test_control_characters_from_the_server_are_escaped_on_a_terminal(
    wide: Terminal, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(ME.userid))
    sent = "a\x7f\x85\x9b31m\u202eb"  # XML allows them
    assert command("invite", "--userid", STRANGER.userid, "--message", sent, "--no-journal").code == 0
    listed = ("colleagues", "--userid", ME.userid, "--status", "unconfirmed", "--messages")
    wide.start(*listed)
    assert wide.wait() == 0
    assert r"a\x7f\x85\x9b31m\u202eb" in wide.screen.text.replace("\n", "")
    wide.start(*listed, "--json")
    assert wide.wait() == 0
    assert r'"a\u007f\u0085\u009b31m\u202eb"' in wide.screen.text.replace("\n", "")
    assert sent in command(*listed).out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", f"no{EVIL[1:]}.csv"], f"aioconnections: no{ESCAPED[4:]}.csv: No such file or directory"),
        (["check", "x.csv", "--url", f"http://ho{EVIL[1:]}st"], "aioconnections: "),
        (["check", "x.csv", f"--wh{EVIL[1:]}at"], f"--wh{ESCAPED[4:]}at"),
        (["check", "x.csv", "--format", f"c{EVIL[1:]}sv"], f"c{ESCAPED[4:]}sv"),
        (["check", "x.csv", "--max-connections", f"1{EVIL[1:]}"], f"1{ESCAPED[4:]}"),
        ([f"ch{EVIL[1:]}eck"], f"ch{ESCAPED[4:]}eck"),
        (["report", f"j{EVIL[1:]}.sqlite"], "aioconnections: "),
    ],
    ids=["file", "host", "option", "choice", "number", "command", "journal"],
)
def test_control_characters_in_arguments_are_escaped_in_messages(wide: Terminal, words: list[str], told: str) -> None:
    wide.start(*words)
    assert wide.wait() == 2
    assert told in wide.screen.text
