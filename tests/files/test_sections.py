"""Sections of a file hold the rows of the file: all of them, once, in order, and read in the same way."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aioconnections.errors import InvalidInputError
from aioconnections.files.rows import PAIRS, BadRowError, RowPair, read_rows
from aioconnections.files.sections import Section, SectionReader, TextForm, can_be_cut, sections
from aioconnections.files.source import long_fields, opened

HEADER = "source_userid,target_userid,note\n"
OTHER = "target_userid,source_userid,other\n"


def cut(path: Path, rows: int, encoding: str | None = None) -> tuple[list[Section], TextForm]:
    forms: list[TextForm] = []

    def noted() -> Iterator[Section]:
        forms.append((yield from sections(path, None, rows, encoding)))

    return list(noted()), forms[0]


def seen(row: RowPair | BadRowError) -> tuple[object, ...]:
    if isinstance(row, BadRowError):
        return row.line, row.problem, row.row
    return row.line, row.source, row.target, row.row


def in_sections(path: Path, rows: int, encoding: str | None = None) -> list[list[tuple[object, ...]]]:
    found, form = cut(path, rows, encoding)
    read: list[list[tuple[object, ...]]] = []
    for section in found:
        with SectionReader.opened(path, path.stat().st_size, form, section, None) as reader:
            read.append([seen(row) for row in reader.rows()])
    assert [len(rows) for rows in read] == [section.rows for section in found]
    return read


def at_once(path: Path, encoding: str | None = None) -> list[tuple[object, ...]]:
    with opened(path, encoding) as file:
        return [seen(row) for row in read_rows(file, PAIRS, None, encoding=file.encoding).rows]


PARTS = [
    "a,b,x", "\n", "\r\n", "\r", '"', ",", HEADER, OTHER, "a,b,x\n", "c,d,\n", "a,b\n", 'e,f,"two\nlines"\n', "\ufeff",
    'g,h,"open\n', "é,ü,ß\n", "\n\n", "source_userid", 'x,y,"',
]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=40), st.integers(1, 5), st.sampled_from(["utf-8", "utf-8-sig"]))
def test_sections_have_the_rows_of_the_file(tmp_path: Path, parts: list[str], rows: int, encoding: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes((HEADER + "".join(parts)).encode(encoding))
    assert [row for section in in_sections(path, rows) for row in section] == at_once(path)


def test_a_section_ends_after_so_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(HEADER + "a,b,x\n" * 10, encoding="utf-8")
    assert [len(section) for section in in_sections(path, 4)] == [4, 4, 2]


def test_quoted_line_ends_are_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(HEADER + 'a,b,"1\n2\n3"\n' * 6, encoding="utf-8")
    read = in_sections(path, 1)
    assert [[row[0] for row in section] for section in read] == [[2], [5], [8], [11], [14], [17]]


def test_rows_below_another_header_stay_invalid_in_later_sections(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(HEADER + "a,b,x\n" + OTHER + "b,a,y\n" * 5 + HEADER + "a,b,z\n", encoding="utf-8")
    read = [row for section in in_sections(path, 2) for row in section]
    assert read == at_once(path)
    assert [row[1] for row in read[2:7]] == ["the row belongs to the header in line 3, not to the first header"] * 5


def test_json_lines_have_the_columns_of_all_rows(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    lines = ['{"Source Userid": "a", "target_userid": "b"}', "", "[]", '{"source_userid": "c", "note": 1}'] * 3
    path.write_text("\r\n".join(lines), encoding="utf-8")
    assert [row for section in in_sections(path, 2) for row in section] == at_once(path)
    found, form = cut(path, 2)
    assert len(found) == 5
    assert (form.form, form.columns) == ("jsonl", ("source_userid", "target_userid", "note"))


def test_json_lines_with_too_many_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(f'{{"x{number}": 1}}\n' for number in range(1_001)), encoding="utf-8")
    with pytest.raises(InvalidInputError, match="line 1001: the rows have more than 1,000 different names"):
        cut(path, 10)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-7", "iso2022_jp", "shift_jis", "cp037"])
def test_some_encodings_are_not_cut(tmp_path: Path, encoding: str) -> None:
    assert not can_be_cut(encoding)
    path = tmp_path / "pairs.csv"
    path.write_bytes((HEADER + "a,b,x\n" * 5).encode(encoding))
    read = in_sections(path, 2, encoding)
    assert [len(section) for section in read] == [5]
    assert read[0] == at_once(path, encoding)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "utf8", "koi8-r", "mac-roman"])
def test_encodings_with_one_byte_a_character_are_cut(tmp_path: Path, encoding: str) -> None:
    assert can_be_cut(encoding)
    path = tmp_path / "pairs.csv"
    path.write_bytes(HEADER.encode() + b"a,b,\xe4\x81\n" * 5)
    read = in_sections(path, 2, encoding)
    assert [len(section) for section in read] == [2, 2, 1]
    assert [row for section in read for row in section] == at_once(path, encoding)


@pytest.mark.parametrize("text", [HEADER, "source_userid,target_userid"])
def test_a_file_without_rows_has_one_section(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(text, encoding="utf-8")
    assert in_sections(path, 5) == [[]]


def test_lines_longer_than_a_block_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioconnections.files.sections._BLOCK", 7)
    path = tmp_path / "pairs.csv"
    path.write_bytes((HEADER + "é,bbbbbbbbbb,x\r\n\rc,d,\r" * 9).encode())
    assert [row for section in in_sections(path, 2) for row in section] == at_once(path)


def test_a_file_that_has_changed_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(HEADER + "a,b,x\n" * 4, encoding="utf-8")
    size = path.stat().st_size
    (_, last), form = cut(path, 2)
    path.write_text(HEADER + "a,c,x\n" * 4, encoding="utf-8")
    with (
        pytest.raises(InvalidInputError, match=r"pairs\.csv does not have the content"),
        SectionReader.opened(path, size, form, last, None) as reader,
    ):
        list(reader.rows())
    path.write_text(HEADER, encoding="utf-8")
    with (
        pytest.raises(InvalidInputError, match=r"pairs\.csv does not have the size"),
        SectionReader.opened(path, size, form, last, None),
    ):
        pass
    path.unlink()
    with (
        pytest.raises(InvalidInputError, match=r"pairs\.csv: No such file"),
        SectionReader.opened(path, size, form, last, None),
    ):
        pass


def test_fields_may_be_long_until_the_last_reader_has_ended() -> None:
    before, entered, end = csv.field_size_limit(), threading.Event(), threading.Event()

    def hold() -> None:
        with long_fields():
            entered.set()
            end.wait(10)

    thread = threading.Thread(target=hold)
    with long_fields():
        thread.start()
        assert entered.wait(10)
    assert csv.field_size_limit() > before
    end.set()
    thread.join(10)
    assert csv.field_size_limit() == before
