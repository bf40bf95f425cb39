"""NO_COLOR and FORCE_COLOR: help, usage errors, progress and results, on a terminal and in a pipe."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from screen import Terminal

Start = Callable[..., "subprocess.Popen[str]"]

USAGE_ERROR = ("check", "--max-connections", "many")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
HUE = re.compile(r"(?<!\d)(?:3[0-8]|9[0-7])(?!\d)")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def terminal(signed_in: Any) -> Generator[Terminal]:
    del signed_in
    with Terminal(100) as terminal:
        yield terminal


def piped(start: Start, *words: object) -> tuple[str, str]:
    out, err = start(*words, stdin=subprocess.DEVNULL).communicate(timeout=60)
    return out, err


@pytest.mark.slow
def test_in_a_pipe_there_are_no_colours_unless_they_are_forced(
    start: Start, signed_in: Any, pairs_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    del signed_in
    monkeypatch.delenv("COLUMNS")
    runs = [("--help",), ("check", "--help"), USAGE_ERROR]
    for words in runs:
        assert not COLOUR.search("".join(piped(start, *words)))
    monkeypatch.setenv("FORCE_COLOR", "1")
    for words in runs:
        assert HUE.search(" ".join(COLOUR.findall("".join(piped(start, *words)))))
    out, err = piped(start, "check", pairs_file(count=5), "--ordered")  # data and messages have no colours
    assert not COLOUR.search(out + err)
    assert len(out.splitlines()) == 6
    assert re.fullmatch(r"5 checked in .*\n", err)
    out, err = piped(start, "config")
    assert not COLOUR.search(out + err)
    monkeypatch.setenv("NO_COLOR", "1")  # has precedence over colours, though not over bold text
    for words in runs:
        assert not HUE.search(" ".join(COLOUR.findall("".join(piped(start, *words)))))


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--help",), ("check", "--help"), USAGE_ERROR], ids=" ".join)
def test_on_a_terminal_no_color_removes_the_colours(terminal: Terminal, words: tuple[str, ...]) -> None:
    terminal.start(*words)
    terminal.wait()
    assert any(map(HUE.search, terminal.screen.colours))
    shown = terminal.screen.text
    terminal.screen.clear()
    terminal.screen.colours.clear()
    terminal.start(*words, env={"NO_COLOR": "1"})
    terminal.wait()
    assert not any(map(HUE.search, terminal.screen.colours))
    assert terminal.screen.text == shown


@pytest.mark.slow
@pytest.mark.parametrize("forced", [{}, {"FORCE_COLOR": "1"}])
def test_the_bar_has_colours_unless_no_color_is_set(
    terminal: Terminal, pairs_file: Callable[..., Path], forced: dict[str, str]
) -> None:
    for words, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        terminal.screen.colours.clear()
        terminal.start("check", pairs_file(count=12), "-o", "r.csv", "--max-per-second", 4, env=forced | words)
        assert terminal.wait() == 0
        assert any(map(HUE.search, terminal.screen.colours)) is coloured


@pytest.mark.slow
def test_empty_variables_count_as_missing(terminal: Terminal) -> None:
    terminal.start("--help", env={"NO_COLOR": "", "FORCE_COLOR": ""})
    assert terminal.wait() == 0
    assert any(map(HUE.search, terminal.screen.colours))
