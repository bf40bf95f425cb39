"""The Python examples of the README and of the guides have no type error under mypy --strict and pyright's strict mode.

Run by `nox -s types`, where both are installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from readme_blocks import blocks_of

ROOT = Path(__file__).parent.parent
SAMPLE_ERROR = (
    "from aioconnections import Accepted\n\ndef name(outcome: Accepted) -> str:\n    return outcome.pair.source\n"
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One module with a coroutine function for each example, and one error that must be found."""
    path = tmp_path_factory.mktemp("examples") / "examples.py"
    functions: list[str] = []
    for text in [ROOT / "README.md", *sorted((ROOT / "aioconnections" / "guides").glob("*.md"))]:
        for block in blocks_of(text.read_text("utf-8")):
            if block.language != "python" or "recipe" in block.options:  # recipes are checked where they are
                continue
            if "file" in block.options:
                file = path.with_name(block.options["file"])
                assert not file.exists() or file.read_text("utf-8") == block.text, "two examples have the same name"
                file.write_text(block.text, encoding="utf-8")
            else:
                name = f"{text.stem.replace('-', '_')}_line_{block.line}".lower()
                functions.append(f"async def {name}() -> None:\n{textwrap.indent(block.text, '    ')}")
    assert len(functions) >= 20
    path.write_text("\n\n".join(functions), encoding="utf-8")
    path.with_name("wrong.py").write_text(SAMPLE_ERROR, encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.source
def test_the_examples_pass_mypy_strict(program: Path) -> None:
    pytest.importorskip("mypy", reason="run nox -s types")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--follow-imports=silent",
        "--no-incremental",
    ]
    done = subprocess.run(
        [*command, *map(str, sorted(program.parent.glob("*.py")))],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert errors, done.stdout + done.stderr
    assert all("wrong.py:4:" in error for error in errors), done.stdout


@pytest.mark.slow
@pytest.mark.source
def test_the_examples_pass_pyright_strict(program: Path) -> None:
    pytest.importorskip("basedpyright", reason="run nox -s types")
    settings = {
        "typeCheckingMode": "strict",
        "include": ["*.py"],
        "extraPaths": [str(ROOT)],
        "reportUnusedExpression": True,
    }
    program.with_name("pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--outputjson"]
    done = subprocess.run(
        command, cwd=program.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110, check=False
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    assert found, done.stdout + done.stderr
    assert {Path(each["file"]).name for each in found} == {"wrong.py"}, found
