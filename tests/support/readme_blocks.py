"""Extracts the fenced blocks of a Markdown text and runs them.

A `python` block is a program, which may use `await` at its top level. In a `console` block each line that begins with
`$ ` is a command, a backslash at the end continues it on the next line, and other lines are output, in which ``...``
stands for any text. Options follow the language, as in ``python file=backend.py``: the block is the content of that
file; ``console terminal=server`` is for another terminal; ``python recipe=fastapi_app.py`` is a file too,
one of `tests/recipes`, which has tests of its own. An `sh` block installs packages, or starts what cannot be
tested here.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
from codeop import CommandCompiler
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

__all__ = [
    "Block",
    "blocks_of",
    "commands_of",
    "run_console",
    "run_python",
    "run_story",
    "substituted",
    "typed",
]

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w-]*)(?P<options>[^\n`]*)\n(?P<text>.*?)^ *(?P=fence)`* *$",
    re.MULTILINE | re.DOTALL,
)
_MARK = "\x1e"  # ends the output of a command
_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


class Block(NamedTuple):
    """One fenced block; `line` is the number of its first line of text, counted from 1."""

    language: str
    line: int
    text: str
    options: Mapping[str, str] = _NO_OPTIONS


def blocks_of(markdown: str) -> list[Block]:
    """All fenced blocks, in order, without the indentation of their fence."""
    return [
        Block(
            found["language"],
            markdown.count("\n", 0, found.start("text")) + 1,
            re.sub(f"^ {{0,{len(found['indent'])}}}", "", found["text"], flags=re.MULTILINE),
            dict(option.split("=", 1) for option in found["options"].split()),
        )
        for found in _FENCE.finditer(markdown)
    ]


def substituted(text: str, values: Mapping[str, str]) -> str:
    """`text` with each placeholder replaced by its value."""
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def run_python(text: str, name: str, line: int = 1) -> dict[str, object]:
    """Run a program and return its names; tracebacks show the lines of the file `name`.

    Raises:
        Exception: the program raised it.
    """
    code = compile("\n" * (line - 1) + text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, object] = {"__name__": "__main__"}
    result = eval(code, names)  # noqa: S307  # our own documentation
    if inspect.iscoroutine(result):
        asyncio.run(result)
    return names


def typed(text: str) -> list[str]:
    """The statements of `text`, split line by line as ``python -m asyncio`` does.

    Raises:
        SyntaxError: the text cannot be typed at the prompt, although it may be a valid program.
    """
    complete = CommandCompiler()
    complete.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    statements, lines = [], ""
    for line in text.splitlines(keepends=True):
        lines += line
        if complete(lines.removesuffix("\n")) is not None:
            statements.append(lines)
            lines = ""
    if lines.strip():  # at the prompt, an empty line ends it
        complete(f"{lines}\n")
        statements.append(lines)
    return statements


def commands_of(text: str) -> list[str]:
    """The commands of a console block, each on one line."""
    return [command for command, _ in _exchanges(text)]


def run_console(text: str, folder: Path, environment: Mapping[str, str], *, before: Iterable[str] = ()) -> str:
    """Run the commands in `folder`, in one shell that stops at the first failure, and return their output.

    `aioconnections` and `python` use the Python that runs the tests. The commands `before` come first, as those of
    earlier blocks in the same terminal. Where the block shows output of a command, it is compared.

    Raises:
        AssertionError: a command failed, or its output is not the one that is shown; the message contains all output.
    """
    python = shlex.quote(sys.executable)
    prelude = f'set -e\npython() {{ {python} "$@"; }}\naioconnections() {{ {python} -m aioconnections "$@"; }}\n'
    prelude += "".join(f"{command}\n" for command in before)
    exchanges = _exchanges(text)
    done = subprocess.run(
        ["/bin/sh", "-c", prelude + f"printf '{_MARK}'\n".join(f"{command}\n" for command, _ in exchanges)],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    output = done.stdout.replace(_MARK, "")
    assert done.returncode == 0, f"exit code {done.returncode}\n{output}"
    for (command, shown), said in zip(exchanges, done.stdout.split(_MARK), strict=True):
        pattern = ".*".join(map(re.escape, shown.split("...")))
        assert not shown or re.fullmatch(pattern, said.rstrip("\n"), re.DOTALL), f"$ {command}\n{said}"
    return output


def run_story(
    markdown: str, name: str, folder: Path, *, placeholders: Mapping[str, str], environment: Mapping[str, str]
) -> None:
    """Run all blocks of a text in order, in `folder`, which must be the current one.

    Exports of a console block hold for all later ones.

    Raises:
        Exception: a program raised it.
        AssertionError: a command failed, or a block is of an unknown kind.
    """
    exports: list[str] = []
    for block in blocks_of(markdown):
        text = substituted(block.text, placeholders)
        where = f"{name}, line {block.line}"
        match block.language, dict(block.options):
            case _, ({"file": file, **others} | {"recipe": file, **others}) if not others:
                (folder / file).parent.mkdir(exist_ok=True)
                (folder / file).write_text(text, encoding="utf-8")
            case "python", {**options} if not options:
                run_python(text, name, block.line)
            case "console", {**options} if not options:
                try:
                    run_console(text, folder, environment, before=exports)
                except AssertionError as error:
                    raise AssertionError(f"{where}: {error}") from None
                exports += [command for command in commands_of(text) if command.split()[0] in {"export", "unset"}]
            case "console", {"terminal": _}:
                pass
            case "sh", {**options} if not options:
                pass
            case _:
                raise AssertionError(f"{where}: unknown kind of block: {block.language!r} {dict(block.options)}")


def _exchanges(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each on one line, with the output that is shown after each."""
    found: list[tuple[str, str]] = []
    for line in text.replace("\\\n", "").splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), ""))
        elif found:
            command, shown = found[-1]
            found[-1] = (command, f"{shown}\n{line}" if shown else line)
    return found
