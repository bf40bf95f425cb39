"""Write rows as CSV or JSON lines.

A file or a pipe gets each value unchanged. A terminal gets control characters escaped, so a row is always one line.
"""

from __future__ import annotations

import csv
import json
import os
import re
import stat
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, TypeAlias, cast

from aioconnections.files.dialect import BOM, CsvDialect, Format, excel_safe_cell
from aioconnections.files.escaping import escaped
from aioconnections.files.rows import InputRow

if TYPE_CHECKING:
    import io

__all__ = ["RowWriter", "Sheet", "encodable", "is_regular"]

RowWriter: TypeAlias = Callable[[InputRow], object]
"""Writes one row."""

_CSV_LINE_END = "\r\n"  # of these characters, `csv` quotes only those that occur in its line end


def is_regular(file: IO[str] | io.FileIO) -> bool:
    """Whether this is a regular file, and not a pipe or a device."""
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


class Sheet:
    """Writes rows to a file, after a header if the format has one, replacing its previous content.

    Attributes:
        form: format of the rows.
        columns: names of the columns of CSV.
        dialect: form of CSV.
    """

    def __init__(
        self,
        file: IO[str],
        form: Format,
        columns: Sequence[str],
        *,
        fresh: bool,
        dialect: CsvDialect = CsvDialect(),  # noqa: B008 # immutable
        marked: bool = False,
        before: Callable[[], object] = lambda: None,
    ) -> None:
        self.form: Format = form
        self.columns: Sequence[str] = columns
        self.dialect: CsvDialect = dialect
        self._file = file
        self._fresh = fresh
        self._before = before
        self._mark = BOM if marked else ""
        self._write: RowWriter | None = None

    @property
    def begun(self) -> bool:
        """Whether anything was written."""
        return self._write is not None

    @property
    def marked(self) -> bool:
        """Whether the file begins with a byte order mark."""
        return bool(self._mark)

    @property
    def encoding(self) -> str:
        """Encoding of the file."""
        return cast("io.TextIOWrapper", self._file).encoding

    def begin(self) -> RowWriter:
        """Write the header unless it has been written, and return the function that writes rows."""
        if self._write is None:
            self._before()
            if self._fresh and is_regular(self._file):
                self._file.truncate(0)
            self._file.write(self._mark)
            self._write = _writer(self._file, self.form, self.columns, self.dialect)
        return self._write

    def __call__(self, row: InputRow) -> None:
        """Write one row."""
        (self._write or self.begin())(row)

    def finish(self) -> None:
        """Write what is still buffered, and the header if there were no rows."""
        self.begin()
        self.flush()

    def flush(self) -> None:
        """Write what is still buffered."""
        self._file.flush()


def _writer(file: IO[str], form: Format, columns: Sequence[str], dialect: CsvDialect) -> RowWriter:
    if form == "jsonl":
        return lambda row: file.write(_json(row) + "\n")
    file.write(dialect.declaration)
    text = _TextFile(file, dialect.line_end, is_terminal=file.isatty())
    table = csv.writer(text, delimiter=dialect.delimiter, lineterminator=_CSV_LINE_END)
    if not dialect.excel_safe:
        table.writerow(columns)
        return lambda row: table.writerow([row.get(name) for name in columns])
    table.writerow(map(excel_safe_cell, columns))
    return lambda row: table.writerow([_safe(row.get(name)) for name in columns])


def _safe(cell: object) -> object:
    return excel_safe_cell(cell) if isinstance(cell, str) else cell


def _json(row: InputRow) -> str:
    text = json.dumps(row)
    if "\\ud" in text:  # a character beyond the first 65,536, or a lone surrogate
        text = json.dumps(json.loads(encodable(json.dumps(row, ensure_ascii=False))))
    return text.replace("\x7f", "\\u007f")  # the only control character that `json` does not escape


_SURROGATES = re.compile("[\\ud800-\\udfff]")


def encodable(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which represents an input byte that is not UTF-8."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


class _TextFile:
    """A file for `csv`, to which text with lone surrogates can be written, with line ends of its own.

    A terminal gets no control characters.
    """

    def __init__(self, file: IO[str], line_end: str, *, is_terminal: bool) -> None:
        self._write = file.write
        self._line_end = line_end
        self._is_terminal = is_terminal

    def write(self, text: str) -> int:
        line = encodable(text[: -len(_CSV_LINE_END)])
        return self._write((escaped(line) if self._is_terminal else line) + self._line_end)
