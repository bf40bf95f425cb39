"""Sections of a text file: consecutive rows that can be read without the rows before them.

A file is read once to find them. It is never cut by bytes alone: the reader of rows decides where a row begins, so a
quoted field may hold line ends, and a header in the middle of a file counts in each section below it.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from attrs import field, frozen

from aioconnections.columns import Untyped
from aioconnections.errors import InvalidInputError
from aioconnections.files.dialect import CsvDialect
from aioconnections.files.escaping import escaped
from aioconnections.files.rows import (
    PAIRS,
    BadRowError,
    InputRow,
    InvalidBytes,
    Place,
    RowPair,
    Shape,
    Table,
    read_more,
    read_rows,
)
from aioconnections.files.source import encoding_of, long_fields, opened, text_errors

__all__ = ["Section", "SectionReader", "TextForm", "can_be_cut", "digest_of", "file_problem", "sections"]

_BLOCK = 1 << 20  # bytes
_KEPT = 128  # offsets of lines; the reader of rows looks fewer lines ahead
_MOST_COLUMNS = 1_000
_HEAD = 4  # bytes that tell the encoding
_UTF8 = ("utf-8", "utf-8-sig", "ascii")


@frozen
class Section:
    """Consecutive rows of a file.

    Attributes:
        start: offset of the first byte.
        end: offset after the last byte.
        line: number of the first line, from 1.
        rows: number of rows, including those that cannot be read.
        digest: digest of the bytes.
        other: line of an earlier header with other columns, to which the first row belongs; None if there is none.
    """

    start: int
    end: int
    line: int
    rows: int
    digest: str
    other: int | None = None


@frozen
class TextForm:
    """The form of a text file with rows.

    Attributes:
        form: format.
        encoding: encoding.
        columns: the columns; of JSON lines, those of all rows, in the order of their first occurrence.
        dialect: the form of CSV.
    """

    form: str
    encoding: str
    columns: tuple[str, ...]
    dialect: CsvDialect = field(factory=CsvDialect)


@frozen
class _Seen:
    """A row whose columns alone are of interest."""

    line: int
    row: InputRow


def _see(row: InputRow, line: int, untyped: Untyped | None) -> _Seen:
    del untyped
    return _Seen(line, row)


_SEEN = Shape(PAIRS.own, PAIRS.bare, PAIRS.lacks, _see)


def can_be_cut(encoding: str) -> bool:
    """Whether text in this encoding can be read from any line on: UTF-8, and encodings with one byte a character."""
    if codecs.lookup(encoding).name in _UTF8:
        return True
    single = [bytes([byte]).decode(encoding, "replace") for byte in range(256)]
    pairs = bytes(byte for first in range(256) for second in range(256) for byte in (first, second))
    alone = pairs.decode(encoding, "replace") == "".join(map(single.__getitem__, pairs))
    return alone and [byte for byte in range(256) if single[byte] in "\r\n"] == [*b"\n\r"]


def sections(
    path: Path, untyped: Untyped | None, rows: int, encoding: str | None = None
) -> Generator[Section, None, TextForm]:
    """Yield the sections of a file with pairs, each with about `rows` rows, and return its form.

    A file in UTF-16 or in another encoding that cannot be read from the middle is one section. A file without rows has
    one section.

    Raises:
        InvalidInputError: the file cannot be read, or has the wrong columns or format.
    """
    try:
        with path.open("rb") as file, path.open("rb") as again, long_fields():
            found = encoding_of(file.read(_HEAD), path, encoding)
            if not can_be_cut(found):
                return (yield from _whole(path, untyped, encoding))
            file.seek(0)
            return (yield from _sections(file, again, untyped, rows, found))
    except OSError as error:
        raise file_problem(path, error) from None


def file_problem(path: Path, error: OSError) -> InvalidInputError:
    """An error that names a file that cannot be read."""
    return InvalidInputError(f"{escaped(str(path))}: {error.strerror}")


def _whole(path: Path, untyped: Untyped | None, encoding: str | None) -> Generator[Section, None, TextForm]:
    with opened(path, encoding) as text:
        table, columns = _begun(text, untyped, text.encoding)
        count = sum(1 for _ in _noted(table, columns))
        found = text.encoding
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        yield Section(0, size, 1, count, digest_of(file, 0, size))
    return TextForm(table.form, found, tuple(columns), table.dialect)


def _sections(
    file: IO[bytes], again: IO[bytes], untyped: Untyped | None, rows: int, encoding: str
) -> Generator[Section, None, TextForm]:
    offsets = [0] * _KEPT
    table, columns = _begun(_lines(file, encoding, offsets), untyped, encoding)
    place = table.place
    start, line, other, count, read = 0, 1, None, 0, place.read

    def section(end: int) -> Section:
        return Section(start, end, line, count, digest_of(again, start, end), other)

    for at in _noted(table, columns):
        # A line that was looked at for an earlier row cannot begin a section: that row would be read in another way.
        if count >= rows and at > read:
            yield section(offsets[at % _KEPT])
            start, line, other, count = offsets[at % _KEPT], at, place.other, 0
        count += 1
        read = place.read
    yield section(file.tell())
    return TextForm(table.form, encoding, tuple(columns), table.dialect)


def _begun(
    lines: Iterator[str] | io.TextIOWrapper, untyped: Untyped | None, encoding: str
) -> tuple[Table[_Seen], dict[str, None]]:
    table = read_rows(lines, _SEEN, untyped, encoding=encoding, copied=False)
    return table, dict.fromkeys(table.columns)


def _noted(table: Table[_Seen], columns: dict[str, None]) -> Iterator[int]:
    """The line of each row; the columns of JSON lines are added to `columns`."""
    for row in table.rows:
        if table.form == "jsonl" and not row.row.keys() <= columns.keys():
            columns.update(dict.fromkeys(row.row))
            if len(columns) > _MOST_COLUMNS:
                raise InvalidInputError(
                    f"line {row.line}: the rows have more than {_MOST_COLUMNS:,} different names; "
                    "use the same names in each row"
                )
        yield row.line


def _lines(file: IO[bytes], encoding: str, offsets: list[int]) -> Iterator[str]:
    """The lines of a file, as `io.TextIOWrapper` gives them with newline=""; `offsets` keeps those of the last ones."""
    decoding = "utf-8" if encoding == "utf-8-sig" else encoding
    errors, at, number, rest = text_errors(encoding), 0, 0, b""
    while True:
        block = file.read(_BLOCK)
        lines = (rest + block).splitlines(keepends=True)
        rest = lines.pop() if block and lines and not lines[-1].endswith(b"\n") else b""  # "\r" may go on with "\n"
        for line in lines:
            number += 1
            offsets[number % _KEPT] = at
            at += len(line)
            yield line.decode(decoding, errors)
        if not block:
            return


def digest_of(file: IO[bytes], start: int, end: int) -> str:
    """The digest of the bytes of a file from `start` to `end`."""
    found = hashlib.blake2b(digest_size=8)
    file.seek(start)
    while start < end and (block := file.read(min(_BLOCK, end - start))):
        found.update(block)
        start += len(block)
    return found.hexdigest()


class _SectionFile(io.RawIOBase):
    """The bytes of a section, which are digested as they are read."""

    def __init__(self, file: IO[bytes], section: Section) -> None:
        self._file = file
        self._left = section.end - section.start
        self._digest = hashlib.blake2b(digest_size=8)
        file.seek(section.start)

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override] # the buffer of a reader
        """See `io.RawIOBase`."""
        block = self._file.read(min(len(buffer), self._left))
        buffer[: len(block)] = block
        self._left -= len(block)
        self._digest.update(block)
        return len(block)

    def hexdigest(self) -> str:
        """The digest of the bytes read so far."""
        return self._digest.hexdigest()


class SectionReader:
    """Reads the rows of one section."""

    def __init__(self, table: Table[RowPair], section: Section, file: _SectionFile, path: Path) -> None:
        self.table: Table[RowPair] = table
        self._section = section
        self._file = file
        self._path = path

    @classmethod
    @contextmanager
    def opened(
        cls, path: Path, size: int, form: TextForm, section: Section, untyped: Untyped | None
    ) -> Generator[SectionReader]:
        """Open a file that had this size and form.

        Raises:
            InvalidInputError: the file cannot be read, or has another size.
        """
        try:
            file = path.open("rb")
        except OSError as error:
            raise file_problem(path, error) from None
        with file, long_fields():
            if os.fstat(file.fileno()).st_size != size:
                raise InvalidInputError(f"{escaped(str(path))} does not have the size that it had at the start")
            raw = _SectionFile(file, section)
            encoding = "utf-8" if form.encoding == "utf-8-sig" else form.encoding
            errors = text_errors(form.encoding)
            with io.TextIOWrapper(io.BufferedReader(raw), encoding, errors, newline="") as text:
                yield cls(_table(text, form, section, untyped), section, raw, path)

    def rows(self) -> Iterator[RowPair | BadRowError]:
        """The rows.

        Raises:
            InvalidInputError: they are not those that the section had.
        """
        yield from self.table.rows
        if self._file.hexdigest() != self._section.digest:
            raise InvalidInputError(f"{escaped(str(self._path))} does not have the content that it had at the start")


def _table(text: io.TextIOWrapper, form: TextForm, section: Section, untyped: Untyped | None) -> Table[RowPair]:
    if section.start == 0:
        return read_rows(text, PAIRS, untyped, encoding=form.encoding)
    begun: Table[RowPair] = Table(
        "jsonl" if form.form == "jsonl" else "csv",
        form.columns if form.form == "csv" else (),
        iter(()),
        form.dialect,
        invalid=InvalidBytes(form.encoding),
    )
    return read_more(text, PAIRS, untyped, begun, Place(section.line - 1, section.other))
