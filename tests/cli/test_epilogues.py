"""The help of each command shows an example that works, and the exit codes that the command can have."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from aioconnections.cli import app

Command = Callable[..., Any]


def leaves(parent: App, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each command."""
    for name, command in parent.resolved_commands().items():
        if name in {"--help", "-h", "--version"}:
            continue
        below = [*leaves(command, (*words, name))] if command.default_command is None else []
        yield from below or [(*words, name)]


COMMANDS = [*leaves(app)]
BULK = {"check", "invite", "accept", "remove", "colleagues", "network", "connect", "disconnect"}
BULK |= {"community invite", "invitations accept", "invitations decline", "invitations revoke"}
CODES = {name: ["0", "1", "2", "3", "5", "75", "130"] for name in BULK} | {
    "profile": ["0", "1", "2", "3", "5", "130"],
    "search": ["0", "1", "2", "3", "5", "130"],
    "community invitations": ["0", "1", "2", "3", "5", "130"],
    "invitations list": ["0", "1", "2", "3", "5", "130"],
    "report": ["0", "1", "2", "130"],
    "merge": ["0", "1", "2", "130"],
    "doctor": ["0", "1", "2", "3", "5", "130"],
    "config": ["0", "1", "2"],
    "login": ["0", "1", "2", "3", "5", "130"],
    "logout": ["0", "2"],
    "guide": ["0", "1", "2"],
    "serve": ["0", "1", "2"],
    "demo": ["0", "1", "2", "130"],
    "--install-completion": ["0", "1", "2"],
}


def test_every_command_is_known_here() -> None:
    assert {" ".join(words) for words in COMMANDS} == set(CODES)


@pytest.fixture
def ends(command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[str], str]]:
    """The examples and the exit codes in the help of a command."""
    monkeypatch.setenv("COLUMNS", "1000")

    def call(*words: str) -> tuple[list[str], str]:
        said = command(*words, "--help")
        assert said.code == 0
        found = re.search(r"\nExamples?:\n\n((?:  aioconnections .*\n)+)\nExit codes: (.*)\n\Z", said.out)
        assert found is not None, said.out
        return [line.strip() for line in found[1].splitlines()], found[2]

    return call


@pytest.mark.parametrize("words", [(), ("community",), ("invitations",), *COMMANDS], ids=" ".join)
def test_the_examples_of_each_command_are_accepted(
    ends: Callable[..., tuple[list[str], str]], words: tuple[str, ...], tmp_path: Path
) -> None:
    config = tmp_path / ".config" / "aioconnections" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[profiles.prod]\nurl = "https://connections.example.com"\n', "utf-8")
    for example in ends(*words)[0]:
        assert len("  " + example) <= 80, "a terminal would break it in the middle"
        program, *arguments = shlex.split(example)
        assert program == "aioconnections"
        assert tuple(arguments[: len(words)]) == words
        app.parse_args(arguments, exit_on_error=False, print_error=False)  # raises an error otherwise


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_names_the_exit_codes_that_apply(
    ends: Callable[..., tuple[list[str], str]], words: tuple[str, ...]
) -> None:
    told = ends(*words)[1]
    assert re.findall(r"(?:^|; |and )(\d+) ", told) == CODES[" ".join(words)]
    is_bulk = " ".join(words) in BULK
    assert ("rows" in told) is (is_bulk or words == ("profile",))
    assert ("resumes" in told) is is_bulk
