"""Write rows as CSV or JSON lines, to stdout or a file.

A file or a pipe gets each value unchanged. A terminal gets control characters escaped, so a row is always one line.
"""

from __future__ import annotations

import csv
import json
import os
import re
import stat
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias, cast

from aioconnections.cli.dialect import BOM, CsvDialect, excel_safe_cell, output_encoding
from aioconnections.cli.options import Format
from aioconnections.cli.progress import needed
from aioconnections.cli.rows import InputRow
from aioconnections.cli.terminal import escaped
from aioconnections.errors import InvalidInputError

if TYPE_CHECKING:
    import io

__all__ = ["RowWriter", "Sheet", "rows_to"]


_CSV_LINE_END = "\r\n"  # of these characters, `csv` quotes only those that occur in its line end
RowWriter: TypeAlias = Callable[[InputRow], object]
"""Writes one row."""


@contextmanager
def rows_to(
    output: Path | None,
    form: Format,
    columns: Sequence[str],
    *,
    source: io.TextIOWrapper | None,
    dialect: CsvDialect = CsvDialect(),  # noqa: B008 # immutable
) -> Generator[Sheet]:
    """Open the file `output`, or stdout if it is None, and yield a `Sheet` that writes rows to it.

    An existing file is replaced when the first row is written, or at the end if there are no rows. CSV has the dialect
    and, as far as possible, the encoding of the input; JSON lines are ASCII.

    Raises:
        InvalidInputError: the file cannot be opened, stdout is closed, or the file is `source`, the input.
        OSError: a row cannot be written; ``filename`` is the file.
    """
    made = output is not None and not output.exists()
    begun = False
    encoding, marked = ("utf-8", False) if source is None or form == "jsonl" else output_encoding(source.encoding)
    try:
        with _stdout(encoding) if output is None else _file(output, source, encoding) as file:
            rows = Sheet(file, form, columns, fresh=output is not None, dialect=dialect, marked=marked)
            try:
                yield rows
                rows.finish()
            finally:
                begun = rows.begun
    except OSError as error:
        error.filename = error.filename or str(output or "standard output")
        raise
    finally:
        if output is not None and made and not begun:
            output.unlink(missing_ok=True)


@contextmanager
def _stdout(encoding: str) -> Generator[IO[str]]:
    # encoded like a file, regardless of the locale
    stream = cast("io.TextIOWrapper", needed("output", "name a file with --output"))
    stream.reconfigure(encoding=encoding, newline="")
    try:
        yield stream
    finally:
        if encoding != "utf-8":
            with suppress(OSError, ValueError):  # the pipe is closed
                stream.reconfigure(encoding="utf-8")


def _file(path: Path, source: IO[str] | None, encoding: str) -> IO[str]:
    try:
        if source is not None and path.exists() and os.path.samestat(path.stat(), os.fstat(source.fileno())):
            problem = "the result cannot be written over its own input; choose another file"
        else:
            return path.open("a", encoding=encoding, newline="")
    except OSError as error:
        problem = f"{escaped(str(path))}: {error.strerror}"
    raise InvalidInputError(problem)


class Sheet:
    """Writes rows to a file, after a header if the format has one, replacing its previous content."""

    def __init__(
        self,
        file: IO[str],
        form: Format,
        columns: Sequence[str],
        *,
        fresh: bool,
        dialect: CsvDialect = CsvDialect(),  # noqa: B008 # immutable
        marked: bool = False,
    ) -> None:
        self._file = file
        self._form: Format = form
        self._columns = columns
        self._fresh = fresh
        self._dialect = dialect
        self._mark = BOM if marked else ""
        self._write: RowWriter | None = None

    @property
    def begun(self) -> bool:
        """Whether anything was written."""
        return self._write is not None

    def begin(self) -> RowWriter:
        """Write the header unless it has been written, and return the function that writes rows."""
        if self._write is None:
            if self._fresh and stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                self._file.truncate(0)
            self._file.write(self._mark)
            self._write = _writer(self._file, self._form, self._columns, self._dialect)
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
        text = json.dumps(json.loads(_encodable(json.dumps(row, ensure_ascii=False))))
    return text.replace("\x7f", "\\u007f")  # the only control character that `json` does not escape


_SURROGATES = re.compile("[\\ud800-\\udfff]")


def _encodable(text: str) -> str:
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
        line = _encodable(text[: -len(_CSV_LINE_END)])
        return self._write((escaped(line) if self._is_terminal else line) + self._line_end)
