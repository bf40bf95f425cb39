"""What the README shows works, word for word, against the reference server. It is the front page of the guides."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import httpx
import pytest
from readme_blocks import Block, blocks_of, commands_of, run_console, run_python, substituted, typed

README = Path(__file__).parent.parent / "README.md"
PLACEHOLDERS = {"ajones": "admin"}
URL = "https://connections.example.com"

SAMPLE = """# Title

```python
x = 1
```

1. In a list:

   ```console
   $ python -c \\
     'print(1)'
   ```

````markdown
```python
not a block of its own
```
````

```
plain
```
"""


def shown(language: str) -> list[object]:
    blocks = blocks_of(README.read_text(encoding="utf-8"))
    return [pytest.param(block, id=f"line {block.line}") for block in blocks if block.language == language]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of a reference server, which runs as the README says to run one."""
    command = [sys.executable, "-m", "aioconnections", "serve", "--port", "0", "--people", "1000", "--seed", "1"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first_line = process.stdout.readline()
            assert first_line.startswith("listening on ")
            yield first_line.removeprefix("listening on ").strip()
        finally:
            process.terminate()


@pytest.mark.slow
@pytest.mark.parametrize("block", shown("python"))
def test_python_block(block: Block, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    run_python(substituted(block.text, PLACEHOLDERS | {URL: server}), str(README), block.line)


@pytest.mark.parametrize("block", shown("python"))
def test_python_block_at_the_prompt(block: Block) -> None:
    assert "".join(typed(block.text)) == block.text


def test_what_cannot_be_typed_at_the_prompt() -> None:
    with pytest.raises(SyntaxError):  # it would take the last line for part of the loop
        typed("for _ in range(2):\n    pass\nprint(1)\n")
    assert typed("for _ in range(2):\n    await x\n\nprint(1)\n") == [
        "for _ in range(2):\n    await x\n\n",
        "print(1)\n",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("block", shown("console"))
def test_console_block(block: Block, server: str, tmp_path: Path) -> None:
    run_console(substituted(block.text, PLACEHOLDERS | {URL: server}), tmp_path, {"AIOCONNECTIONS_PASSWORD": "secret"})


@pytest.mark.slow
def test_the_web_application_serves(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [block for block in blocks_of(README.read_text("utf-8")) if "file" in block.options]
    file = tmp_path / block.options["file"]
    file.write_text(substituted(block.text, {URL: server}), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    backend = import_module(file.stem)
    rita, jonas = "rita.archer.10@example.com", "jonas.grossmann.11@example.com"

    async def ask() -> list[tuple[int, object]]:
        web = httpx.AsyncClient(transport=httpx.ASGITransport(backend.app), base_url="http://test")
        query = {"source": rita, "target": jonas}
        async with backend.app.router.lifespan_context(backend.app), web:
            responses = [await web.get("/status", params=query, auth=(user, "secret")) for user in ("admin", rita)]
            responses.append(await web.get("/status", params=query))
            return [(response.status_code, response.json()) for response in responses]

    assert asyncio.run(ask()) == [(200, "none"), (200, "none"), (401, {"detail": "Not authenticated"})]


@pytest.mark.source
def test_the_front_page_is_short() -> None:
    lines = README.read_text("utf-8").splitlines()
    assert len(lines) <= 150
    blocks = [block.text for block in blocks_of("\n".join(lines)) if block.language == "python"]
    most = (("check_many", 12), ("invite_many", 8), ("FastAPI", 15))
    assert len(blocks) == len(most)
    for (word, limit), text in zip(most, blocks, strict=True):
        assert word in text
        assert len([line for line in text.splitlines() if line]) <= limit


@pytest.mark.source
def test_the_front_page_lists_the_guides() -> None:
    index = (README.parent / "aioconnections/guides/index.md").read_text("utf-8")
    listed = re.findall(r"^- \[(.*?)\]\((.*?)\): (.+)$", index, re.MULTILINE)
    rows = re.findall(
        r"^\| \[(.*?)\]\(aioconnections/guides/(.*?)\) \| (.+) \|$", README.read_text("utf-8"), re.MULTILINE
    )
    assert rows == listed


@pytest.mark.source
def test_the_line_that_runs_the_tests_is_what_ci_runs() -> None:
    script = (README.parent / ".ci" / "run").read_text(encoding="utf-8")
    (command,) = [line for line in script.splitlines() if line and not re.match("#|set ", line)]
    assert Block("sh", 0, command + "\n") in [block._replace(line=0) for block in blocks_of(README.read_text("utf-8"))]


def test_there_is_something_to_run() -> None:
    assert len(shown("python")) >= 2
    assert len(shown("console")) >= 1


def test_blocks_are_found_with_their_language_and_line() -> None:
    found = blocks_of(SAMPLE)
    assert [(block.language, block.line) for block in found] == [
        ("python", 4),
        ("console", 10),
        ("markdown", 15),
        ("", 21),
    ]
    assert found[0].text == "x = 1\n"
    assert found[1].text == "$ python -c \\\n  'print(1)'\n"
    assert "not a block of its own" in found[2].text


def test_placeholders_are_replaced() -> None:
    assert substituted("Client('https://a.example')", {"https://a.example": "http://[::1]:8080"}) == (
        "Client('http://[::1]:8080')"
    )


@pytest.mark.parametrize("program", ["x = 1\n", "async def f():\n    return 1\nx = await f()\n"])
def test_a_program_runs_and_may_await(program: str) -> None:
    assert run_python(program, "README.md")["x"] == 1


@pytest.mark.parametrize("program", ["x = 1\nx / 0\n", "import asyncio\nawait asyncio.sleep(0) / 0\n"])
def test_a_program_that_fails_says_where(program: str) -> None:
    with pytest.raises((ZeroDivisionError, TypeError)) as caught:
        run_python(program, "README.md", line=40)
    last = caught.traceback[-1]
    assert (Path(last.path).name, last.lineno) == ("README.md", 40)


def test_commands_are_the_lines_with_a_prompt() -> None:
    assert commands_of("$ one \\\n  more\noutput\n$ two\n$HOME is no command\n") == ["one   more", "two"]


def test_commands_run_by_this_python_in_the_folder(tmp_path: Path) -> None:
    block = "$ python -c 'import os; print(os.environ[\"SOME\"])' > out.txt\n$ cat out.txt\nth...\n"
    assert run_console(block, tmp_path, {"SOME": "thing"}) == "thing\n"
    assert (tmp_path / "out.txt").exists()


def test_a_command_that_fails_fails_the_block(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="exit code 7\nbefore"):
        run_console("$ echo before\n$ (exit 7)\n$ echo after\n", tmp_path, {})
