"""Extracts the fenced blocks of a Markdown text and runs them.

A `python` block is a program, which may use `await` at its top level. In a `console` block each line that begins with
`$ ` is a command, a backslash at the end continues it on the next line, and other lines are output. Blocks of other
languages are ignored.
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
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["Block", "blocks_of", "commands_of", "run_console", "run_python", "substituted", "typed"]

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w-]*)[^\n`]*\n(?P<text>.*?)^ *(?P=fence)`* *$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One fenced block; `line` is the number of its first line of text, counted from 1."""

    language: str
    line: int
    text: str


def blocks_of(markdown: str) -> list[Block]:
    """All fenced blocks, in order, without the indentation of their fence."""
    return [
        Block(
            found["language"],
            markdown.count("\n", 0, found.start("text")) + 1,
            re.sub(f"^ {{0,{len(found['indent'])}}}", "", found["text"], flags=re.MULTILINE),
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
    result = eval(code, names)  # noqa: S307  # our own README
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
    whole = text.replace("\\\n", "")
    return [line.removeprefix("$ ") for line in whole.splitlines() if line.startswith("$ ")]


def run_console(text: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run the commands in `folder`, in one shell that stops at the first failure, and return their output.

    `aioconnections` and `python` use the Python that runs the tests.

    Raises:
        AssertionError: a command failed; the message contains all output.
    """
    python = shlex.quote(sys.executable)
    prelude = f'set -e\npython() {{ {python} "$@"; }}\naioconnections() {{ {python} -m aioconnections "$@"; }}\n'
    done = subprocess.run(
        ["/bin/sh", "-c", prelude + "\n".join(commands_of(text))],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}"
    return done.stdout
