"""The picture of a run in the README: what a terminal shows of a check, as SVG.

A real run on a pseudo-terminal, against the reference server with invented people; nothing is drawn by hand. The
picture shows the command, the live view when most pairs are checked, and the summary. Make it again after a change of
the screen: ``python benchmarks/picture.py --chart benchmarks/run.svg``.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

from aioconnections.reference import Directory

_COLUMNS = 100
_PEOPLE, _SEED = 5_000, 1
_SHOWN = 0.7  # of the states of the live view
_COMMAND = "aioconnections check pairs.csv --max-per-second 2000 --output results.csv"
_ERASURE = re.compile(r"\r?\x1b\[2K(?:\x1b\[1A\x1b\[2K)*")  # of one line, or of several from below
_NO_TEXT = re.compile(r"\x1b\[\?25[hl]|\r")
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)  # of another host; the reader's own will do


def picture(pairs: int) -> str:
    """The SVG of a check of `pairs` pairs."""
    frames, summary = _run(pairs)
    console = Console(record=True, width=_COLUMNS, file=open(os.devnull, "w", encoding="utf-8"), force_terminal=True)  # noqa: SIM115, PTH123 # the device
    console.print(Text(f"$ {_COMMAND}", style="bold"))
    console.print(frames[int(_SHOWN * (len(frames) - 1))], no_wrap=True)
    console.print(summary)
    console.file.close()
    return _FONTS.sub("", console.export_svg(title="aioconnections", unique_id="run"))


def _run(pairs: int) -> tuple[list[Text], Text]:
    """The states of the live view, and what remains at the end."""
    with tempfile.TemporaryDirectory() as folder, _server() as url:
        _write(Path(folder) / "pairs.csv", pairs)
        environment = {
            name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}
        }
        environment |= {"AIOCONNECTIONS_URL": url, "AIOCONNECTIONS_USER": "admin", "AIOCONNECTIONS_PASSWORD": "secret"}
        environment |= {"TERM": "xterm-256color"}
        screen = _screen([sys.executable, "-m", *_COMMAND.split()], folder, environment)
    *parts, summary = [_NO_TEXT.sub("", part).strip("\n") for part in _ERASURE.split(screen)]
    views = [Text.from_ansi(part) for part in parts if "checking" in part]
    return views, Text.from_ansi(summary)


def _screen(command: list[str], folder: str, environment: dict[str, str]) -> str:
    """What a command writes to its terminal."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, _COLUMNS, 0, 0))
    read = bytearray()
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=its, stdout=its, stderr=its) as process:  # noqa: S603 # this package
        os.close(its)
        with suppress(OSError):  # how the end of a terminal shows on Linux
            while part := os.read(ours, 65_536):
                read += part
        os.close(ours)
    assert process.returncode == 0, read.decode()
    return read.decode()


def _write(path: Path, pairs: int) -> None:
    directory = Directory.generate(people=_PEOPLE, seed=_SEED)
    lines = [f"{source.email},{target.email}" for source, target in directory.sample_pairs(pairs, seed=_SEED)]
    path.write_text("\n".join(["source_email,target_email", *lines, ""]), encoding="utf-8")


@contextmanager
def _server() -> Generator[str]:
    command = [sys.executable, "-m", "aioconnections", "serve", "--people", str(_PEOPLE), "--seed", str(_SEED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 # this package
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.terminate()


def main() -> None:
    """Make the picture."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="run a small check, as a smoke test")
    options.add_argument("--chart", type=Path, help="write the SVG to this file")
    chosen = options.parse_args()
    made = picture(6_000 if chosen.quick else 10_000)
    print(f"{len(made):,} characters of SVG")
    if chosen.chart is not None:
        chosen.chart.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
