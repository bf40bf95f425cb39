from __future__ import annotations

import errno
import io
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aioconnections.cli.bar import progress
from aioconnections.cli.output import rows_to
from aioconnections.cli.progress import say
from aioconnections.errors import InvalidInputError
from aioconnections.files.dialect import Format
from aioconnections.outcomes import Tally
from aioconnections.session.telemetry import Progress


@pytest.fixture
def source(tmp_path: Path) -> Any:
    with (tmp_path / "source").open("w+") as file:
        yield file


def test_csv_holds_the_columns_and_nothing_else(source: Any, tmp_path: Path) -> None:
    with rows_to(tmp_path / "out", "csv", ("a", "b"), source=source) as write:
        write({"b": 'q"', "a": None, "c": 1})
        write({"b": "two\nlines"})
    assert (tmp_path / "out").read_bytes() == b'a,b\n,"q"""\n,"two\nlines"\n'


def test_json_lines_hold_everything(source: Any, tmp_path: Path) -> None:
    with rows_to(tmp_path / "out", "jsonl", (), source=source) as write:
        write({"a": None, "ä": [1, {"b": "x"}]})
    assert (tmp_path / "out").read_text() == '{"a": null, "\\u00e4": [1, {"b": "x"}]}\n'


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_is_no_text_is_replaced(source: Any, tmp_path: Path, form: Format) -> None:
    with rows_to(tmp_path / "out", form, ("a",), source=source) as write:
        write({"a": "J\udcf6rg 😀 \\ud800 \ud800"})
    text = (tmp_path / "out").read_text("utf-8")
    found = json.loads(text)["a"] if form == "jsonl" else text.splitlines()[1]
    assert found == "J\ufffdrg 😀 \\ud800 \ufffd"


def test_standard_output_is_utf8_whatever_the_locale_says(source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii", newline="\r\n"))
    with rows_to(None, "csv", ("Łukasz",), source=source) as write:
        write({"Łukasz": "caf\udce9"})
    assert raw.getvalue() == "Łukasz\ncaf\ufffd\n".encode()


def test_a_disk_that_is_full_is_named(source: Any) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no such device here")
    with (
        pytest.raises(OSError, match="No space left on device: '/dev/full'"),
        rows_to(Path("/dev/full"), "csv", ("a",), source=source) as write,
    ):
        write({"a": 1})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_file_to_which_another_run_writes_is_left_alone(source: Any, tmp_path: Path, form: Format) -> None:
    out = tmp_path / "out"
    with rows_to(out, "csv", ("a",), source=source) as write:
        write({"a": 1})
        with (
            pytest.raises(InvalidInputError, match="out is being written by another run; choose another file"),
            rows_to(out, form, ("a",), source=source),
        ):
            pytest.fail("it was opened")
        write({"a": 2})
    assert out.read_text() == "a\n1\n2\n"
    with rows_to(out, "csv", ("a",), source=source) as write:
        write({"a": 3})
    assert out.read_text() == "a\n3\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_a_file_system_without_locks_is_no_obstacle(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr("fcntl.flock", flock)
    with rows_to(tmp_path / "out", "csv", ("a",), source=source) as write:
        write({"a": 1})
    assert (tmp_path / "out").read_text() == "a\n1\n"


def test_a_file_is_left_alone_until_there_is_something_to_write(source: Any, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("a longer text than before")
    for name in ("old", "new"):
        with (
            pytest.raises(InvalidInputError, match="no"),
            rows_to(tmp_path / name, "csv", ("a",), source=source),
        ):
            raise InvalidInputError("no")
    assert (tmp_path / "old").read_text() == "a longer text than before"
    assert not (tmp_path / "new").exists()
    for name in ("old", "new"):
        with rows_to(tmp_path / name, "csv", ("a",), source=source):
            pass
        assert (tmp_path / name).read_text() == "a\n"
    (tmp_path / "old").write_text("a longer text than before")
    with suppress(KeyboardInterrupt), rows_to(tmp_path / "old", "csv", ("a",), source=source) as write:
        write({"a": 1})
        raise KeyboardInterrupt
    assert (tmp_path / "old").read_text() == "a\n1\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    return screen


def at(finished: int, **facts: Any) -> Progress:
    tally = Tally(read=finished + 2, in_flight=2, checked=finished)
    told: dict[str, Any] = {"tally": tally, "elapsed": 4.0, "rate": 50.0, "max_per_second": 100.0}
    return Progress(**told | facts)


def test_rows_on_the_terminal_are_progress_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with progress(3, doing="checking", shown=False) as note:
        assert note is not None
        note(at(2))
    assert screen.getvalue() == ""


def test_without_a_terminal_there_is_a_line_every_30_s(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(3_000, doing="checking") as show:
        assert show is not None
        for tenth in range(0, 700, 5):
            show(at(tenth, elapsed=tenth / 10))
        show(at(700, elapsed=90.0, done=True))
    assert capsys.readouterr() == (
        "",
        "aioconnections: checking 300/3000 50/s, 0:00:54 left\naioconnections: checking 600/3000 50/s, 0:00:48 left\n",
    )


def test_that_nobody_listens_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Callable[..., None]:
        raise BrokenPipeError

    screen = Terminal()
    monkeypatch.setattr(screen, "write", refuse)
    monkeypatch.setattr("sys.stderr", screen)
    say("hello")
