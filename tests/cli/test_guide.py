"""``aioconnections guide``: a list, the Markdown for a file or a pipe, and pages for a terminal."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Generator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from readme_blocks import blocks_of
from screen import Terminal

Command = Callable[..., Any]
FOLDER = files("aioconnections") / "guides"
NAMES = sorted(item.name.removesuffix(".md") for item in FOLDER.iterdir() if item.name.endswith(".md"))


def test_the_list_has_one_line_for_each(command: Command) -> None:
    said = command("guide")
    assert (said.code, said.err) == (0, "")
    listed, _, advice = said.out.partition("\n\n")
    lines = listed.splitlines()
    assert sorted(line.split()[0] for line in lines) == [name for name in NAMES if name != "index"]
    assert lines[0].split() == ["getting-started", *lines[0].split()[1:]]
    assert all(len(line) <= 80 for line in lines)
    assert advice == 'Show one with "aioconnections guide NAME".\n'


@pytest.mark.parametrize("name", NAMES)
def test_a_pipe_gets_the_markdown(command: Command, name: str) -> None:
    said = command("guide", name)
    assert (said.code, said.out, said.err) == (0, (FOLDER / f"{name}.md").read_text("utf-8"), "")


@pytest.mark.parametrize("name", ["Getting started", "getting_started", "getting-started.md"])
def test_a_name_may_be_spelled_in_other_ways(command: Command, name: str) -> None:
    assert command("guide", name).out.startswith("# Getting started\n")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("planing", 'did you mean "planning"?'),
        ("started", 'did you mean "getting-started"?'),
        ("../../LICENSE", 'run "aioconnections guide" for their names'),
        ("", 'run "aioconnections guide" for their names'),
    ],
)
def test_an_unknown_name(command: Command, name: str, advice: str) -> None:
    said = command("guide", name)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"aioconnections: there is no guide {name!r}; {advice}\n"


@pytest.fixture
def terminal() -> Generator[Terminal]:
    with Terminal(80) as terminal:
        yield terminal


@pytest.mark.slow
def test_a_terminal_gets_formatted_text(terminal: Terminal) -> None:
    terminal.start("guide", "planning", env={"PAGER": "cat"})
    assert terminal.wait() == 0
    text = terminal.screen.text
    assert all(len(line) <= 80 for line in terminal.screen.lines)
    assert "Planning and cost" in text
    assert "```" not in text
    assert "](" not in text
    assert "Getting started (aioconnections guide getting-started)" in " ".join(text.split())
    assert "benchmarks/plan.svg in the source distribution" in " ".join(text.split())
    assert {"1", "0"} & set(terminal.screen.colours)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("name", ["bulk-runs", "errors", "signing-in", "web-backends"])
def test_code_can_be_copied_and_tables_lose_nothing(name: str, columns: int, tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text('#!/bin/sh\ncat > "$0.text"\n', encoding="utf-8")
    pager.chmod(0o755)
    with Terminal(columns) as terminal:
        terminal.start("guide", name, env={"PAGER": str(pager)})
        assert terminal.wait() == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", pager.with_name("pager.text").read_text("utf-8"))
    lines = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    source = (FOLDER / f"{name}.md").read_text("utf-8")
    for block in blocks_of(source):
        assert f"\n{block.text}" in lines
    words = set(re.findall(r"[\w=/-]{6,}", lines))
    for row in re.findall(r"^\| (.*) \|$", source, re.MULTILINE):
        for code in re.findall(r"`([\w=/-]{6,24})`", row):
            assert code in words, code
    assert lines.count("…") == source.count("…")


@pytest.mark.slow
def test_a_terminal_gets_no_colours_if_the_user_wants_none(terminal: Terminal) -> None:
    terminal.start("guide", "versions", env={"PAGER": "cat", "NO_COLOR": "1"})
    assert terminal.wait() == 0
    assert not [code for colour in terminal.screen.colours for code in colour.split(";") if code in {"38", "48"}]


@pytest.mark.slow
def test_the_pager_of_the_user_is_asked_for_colours_and_for_no_page_less_than_a_screen(
    terminal: Terminal, tmp_path: Path
) -> None:
    pager = tmp_path / "pager"
    pager.write_text('#!/bin/sh\ncat > "$0.text"\necho "LESS=$LESS"\n', encoding="utf-8")
    pager.chmod(0o755)
    terminal.start("guide", "versions", env={"PAGER": str(pager)})
    assert terminal.wait() == 0
    assert terminal.screen.text == "LESS=FRX"
    assert "Versions and deprecation" in pager.with_name("pager.text").read_text("utf-8")


@pytest.mark.slow
def test_the_list_on_a_terminal_is_the_list(terminal: Terminal) -> None:
    terminal.start("guide")
    assert terminal.wait() == 0
    assert terminal.screen.text.startswith("getting-started")


@pytest.mark.slow
def test_guides_are_read_from_a_zipped_package(tmp_path: Path) -> None:
    package = Path(str(FOLDER)).parent
    shutil.make_archive(str(tmp_path / "wheel"), "zip", package.parent, "aioconnections")
    with zipfile.ZipFile(tmp_path / "wheel.zip") as archive:
        assert "aioconnections/guides/index.md" in archive.namelist()
    program = "import sys; sys.path.insert(0, sys.argv.pop(1)); from aioconnections.__main__ import main; main()"
    line = [sys.executable, "-c", program, str(tmp_path / "wheel.zip"), "guide", "versions"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (FOLDER / "versions.md").read_text("utf-8")
