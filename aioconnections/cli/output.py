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
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias, cast

from aioconnections.cli.options import Format
from aioconnections.cli.progress import needed
from aioconnections.cli.rows import InputRow
from aioconnections.cli.terminal import escaped
from aioconnections.errors import InvalidInputError

if TYPE_CHECKING:
    import io

__all__ = ["RowWriter", "Sheet", "rows_to"]


RowWriter: TypeAlias = Callable[[InputRow], object]
"""Writes one row."""


@contextmanager
def rows_to(output: Path | None, form: Format, columns: Sequence[str], *, source: IO[str] | None) -> Generator[Sheet]:
    """Open the file `output`, or stdout if it is None, and yield a `Sheet` that writes rows to it.

    An existing file is replaced when the first row is written, or at the end if there are no rows.

    Raises:
        InvalidInputError: the file cannot be opened, stdout is closed, or the file is `source`, the input.
        OSError: a row cannot be written; ``filename`` is the file.
    """
    made = output is not None and not output.exists()
    begun = False
    try:
        with _stdout() if output is None else _file(output, source) as file:
            rows = Sheet(file, form, columns, fresh=output is not None)
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


def _stdout() -> nullcontext[IO[str]]:
    # encoded like a file, regardless of the locale
    stream = needed("output", "name a file with --output")
    cast("io.TextIOWrapper", stream).reconfigure(encoding="utf-8", newline="")
    return nullcontext(stream)


def _file(path: Path, source: IO[str] | None) -> IO[str]:
    try:
        if source is not None and path.exists() and os.path.samestat(path.stat(), os.fstat(source.fileno())):
            problem = "the result cannot be written over its own input; choose another file"
        else:
            return path.open("a", encoding="utf-8", newline="")
    except OSError as error:
        problem = f"{escaped(str(path))}: {error.strerror}"
    raise InvalidInputError(problem)


class Sheet:
    """Writes rows to a file, after a header if the format has one, replacing its previous content."""

    def __init__(self, file: IO[str], form: Format, columns: Sequence[str], *, fresh: bool) -> None:
        self._file = file
        self._form: Format = form
        self._columns = columns
        self._fresh = fresh
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
            self._write = _writer(self._file, self._form, self._columns)
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


def _writer(file: IO[str], form: Format, columns: Sequence[str]) -> RowWriter:
    if form == "jsonl":
        return lambda row: file.write(_json(row) + "\n")
    table = csv.DictWriter(
        _TextFile(file, is_terminal=file.isatty()), columns, extrasaction="ignore", lineterminator="\n"
    )
    table.writeheader()
    return table.writerow


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
    """A file for `csv`, to which text with lone surrogates can be written. A terminal gets no control characters."""

    def __init__(self, file: IO[str], *, is_terminal: bool) -> None:
        self._write = file.write
        self._is_terminal = is_terminal

    def write(self, line: str) -> int:
        text = _encodable(line)
        if self._is_terminal:
            text = escaped(text.removesuffix("\n")) + "\n"
        return self._write(text)
