"""Write rows as CSV or JSON lines, to stdout or a file.

A file or a pipe gets each value unchanged. A terminal gets control characters escaped, so a row is always one line.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias, cast

from attrs import define

from aioconnections.cli.options import Format
from aioconnections.cli.progress import needed
from aioconnections.cli.terminal import escaped
from aioconnections.errors import InvalidInputError
from aioconnections.files.dialect import BOM, CsvDialect, excel_safe_cell, output_encoding
from aioconnections.files.rows import InputRow

if TYPE_CHECKING:
    import io

__all__ = ["OutputFile", "RowWriter", "Sheet", "output_file", "replacing", "rows_to"]


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
    encoding, marked = ("utf-8", False) if source is None or form == "jsonl" else output_encoding(source.encoding)
    with output_file(output, source, encoding) as result:
        rows = Sheet(result.file, form, columns, fresh=output is not None, dialect=dialect, marked=marked)
        try:
            yield rows
            rows.finish()
        finally:
            result.begun = rows.begun


@define
class OutputFile:
    """The open file of a result, or stdout.

    Attributes:
        file: the file.
        path: its path; None for stdout.
        encoding: its encoding.
        begun: whether anything was written.
    """

    file: IO[str]
    path: Path | None
    encoding: str
    begun: bool = False

    @contextmanager
    def as_a_whole(self) -> Generator[IO[str]]:
        """Yield a file whose content replaces that of a regular file at once, when the block ends without an error.

        In a folder that cannot be written, the file itself is written.

        Raises:
            OSError: the result cannot be written.
        """
        is_regular = self.path is not None and _is_regular(self.file)
        if self.path is not None and is_regular and os.access(Path(os.path.realpath(self.path)).parent, os.W_OK):
            with replacing(self.path, self.encoding) as file:
                yield file
            self.begun = True
            return
        self.begun = True
        if is_regular:
            self.file.truncate(0)
        yield self.file
        self.file.flush()


@contextmanager
def output_file(output: Path | None, source: IO[str] | None, encoding: str) -> Generator[OutputFile]:
    """Open the file `output`, or stdout if it is None; a new file is removed if nothing is written.

    Raises:
        InvalidInputError: see `rows_to`.
        OSError: likewise.
    """
    made = output is not None and not output.exists()
    result: OutputFile | None = None
    try:
        with _stdout(encoding) if output is None else _file(output, source, encoding) as file:
            result = OutputFile(file, output, encoding)
            yield result
    except OSError as error:
        error.filename = error.filename or str(output or "standard output")
        raise
    finally:
        if output is not None and made and (result is None or not result.begun):
            output.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path, encoding: str) -> Generator[IO[str]]:
    """Yield a file whose content replaces that of `path` at once; after an error `path` is unchanged.

    Raises:
        OSError: the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    file = tempfile.NamedTemporaryFile(  # noqa: SIM115 # renamed below
        "w", encoding=encoding, newline="", dir=target.parent, prefix=f".{target.name}.", delete=False
    )
    try:
        with file:
            yield file.file
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(target, file.name)
        _ = Path(file.name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(file.name).unlink()
        raise


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


def _is_regular(file: IO[str]) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


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
            if self._fresh and _is_regular(self._file):
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
