from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aioconnections.cli.output import rows_to
from aioconnections.cli.progress import progress, say
from aioconnections.errors import InvalidInputError


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
        write({"a": None, "ä": [1, {"b": "\ud800"}]})
    assert (tmp_path / "out").read_text() == '{"a": null, "\\u00e4": [1, {"b": "\\ud800"}]}\n'


def test_standard_output_is_utf8_whatever_the_locale_says(source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii", newline="\r\n"))
    with rows_to(None, "csv", ("Łukasz",), source=source) as write:
        write({"Łukasz": "caf\udce9"})
    assert raw.getvalue() == "Łukasz\n".encode() + b"caf\xe9\n"


def test_a_disk_that_is_full_is_named(source: Any) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no such device here")
    with (
        pytest.raises(OSError, match="No space left on device: '/dev/full'"),
        rows_to(Path("/dev/full"), "csv", ("a",), source=source) as write,
    ):
        write({"a": 1})


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


def test_a_terminal_shows_how_many_how_fast_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with progress(3, doing="checking") as advance:
        say("line 2: no source")
        for _ in range(3):
            advance()
    text = screen.getvalue()
    assert "line 2: no source" in text
    assert "3/3" in text
    assert "/s" in text
    assert "0:00:00" in text


def test_without_a_total_no_time_left_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with progress(None, doing="checking") as advance:
        advance()
    assert "1/?" in screen.getvalue()
    assert "0:00" not in screen.getvalue()


def test_rows_on_the_terminal_are_progress_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with progress(3, doing="checking", shown=False) as advance:
        advance()
    assert screen.getvalue() == ""


def test_without_a_terminal_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(3, doing="checking") as advance:
        advance()
    assert capsys.readouterr() == ("", "")


def test_that_nobody_listens_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Callable[..., None]:
        raise BrokenPipeError

    screen = Terminal()
    monkeypatch.setattr(screen, "write", refuse)
    monkeypatch.setattr("sys.stderr", screen)
    say("hello")
