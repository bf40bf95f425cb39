"""The recipes for a synchronous program and a notebook, run as they are."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from backstage import backstage

pytestmark = [pytest.mark.slow]

HERE = Path(__file__).parent


def environment(url: str) -> dict[str, str]:
    login = {"AIOCONNECTIONS_USER": "admin", "AIOCONNECTIONS_PASSWORD": "secret"}
    return {**os.environ, "AIOCONNECTIONS_URL": url, **login}


def test_a_synchronous_program() -> None:
    with backstage() as behind:
        questions = behind.questions(20, users=5)
        done = subprocess.run(
            [sys.executable, HERE / "sync_program.py"],
            input="".join(f"{one.email},{other.email}\n" for one, other, _ in questions),
            env=environment(behind.url),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(f"{one.email} {other.email} {known}\n" for one, other, known in questions)
    assert len(behind.connections) == 1


def test_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a kernel does it: all cells in one event loop, with `await` at the top level."""
    notebook = json.loads((HERE / "notebook.ipynb").read_text("utf-8"))
    *cells, last = ["".join(cell["source"]) for cell in notebook["cells"]]
    assert not any(cell["outputs"] for cell in notebook["cells"])
    with backstage() as behind:
        ((one, other, known),) = behind.questions(1, users=1)
        for name, value in environment(behind.url).items():
            monkeypatch.setenv(name, value)
        names: dict[str, object] = {}

        async def run() -> list[dict[str, object]]:
            for cell in cells:
                code = cell.replace("noel.esposito.12@example.com", str(one.email))
                code = code.replace("xenia.archer.21@example.com", str(other.email))
                result = eval(compile(code, "notebook", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307 # our own notebook
                if inspect.isawaitable(result):
                    await result
            rows: list[dict[str, object]] = eval(last, names)  # noqa: S307 # likewise
            return rows

        (row,) = asyncio.run(run())
    assert (row["outcome"], row["status"]) == ("checked", known)
