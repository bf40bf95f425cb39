"""The file of a result, or stdout."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from attrs import define

from aioconnections.cli.progress import needed
from aioconnections.cli.terminal import escaped
from aioconnections.errors import InvalidInputError
from aioconnections.files.dialect import CsvDialect, Format, output_encoding
from aioconnections.files.sheet import Sheet, is_regular

if TYPE_CHECKING:
    import io

    from aioconnections.files.parquet import ParquetSheet

__all__ = ["OutputFile", "is_ours", "output_file", "replacing", "rows_to"]


@contextmanager
def rows_to(
    output: Path | None,
    form: Format,
    columns: Sequence[str],
    *,
    source: io.TextIOWrapper | io.FileIO | None,
    dialect: CsvDialect = CsvDialect(),  # noqa: B008 # immutable
    types: Mapping[str, Any] | None = None,
    before: Callable[[], object] = lambda: None,
) -> Generator[Sheet]:
    """Open the file `output`, or stdout if it is None, and yield a `Sheet` that writes rows to it.

    An existing file is replaced when the first row is written, or at the end if there are no rows; `before` is called
    just before. CSV has the dialect and, as far as possible, the encoding of the input; JSON lines are ASCII. Parquet
    replaces an existing file when it is complete; its columns have the `types` of the input.

    Raises:
        InvalidInputError: the file cannot be opened, stdout is closed, or the file is `source`, the input, or is being
            written by another run.
        OSError: a row cannot be written; ``filename`` is the file.
    """
    if form == "parquet":
        with output_file(output, source, "utf-8") as result, result.parquet(columns, types or {}, before) as table:
            yield table
            table.finish()
        return
    text = source.encoding if isinstance(source, TextIOWrapper) and form == "csv" else "utf-8"
    encoding, marked = output_encoding(text)
    with output_file(output, source, encoding) as result:
        fresh = output is not None
        rows = Sheet(result.file, form, columns, fresh=fresh, dialect=dialect, marked=marked, before=before)
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
    def parquet(
        self, columns: Sequence[str], types: Mapping[str, Any], before: Callable[[], object] = lambda: None
    ) -> Generator[ParquetSheet]:
        """Yield a sheet of Parquet, whose rows replace the content of a regular file when the block ends.

        Args:
            columns: names of the columns.
            types: their types, as far as an input had them.
            before: called just before the first row is written.

        Raises:
            InvalidInputError: standard output is a terminal.
            OSError: the result cannot be written.
        """
        from aioconnections.files.parquet import ParquetSheet

        if self.path is None and self.file.isatty():
            raise InvalidInputError("Parquet cannot be shown on a terminal; name a file with --output")
        with self.as_a_whole(binary=True) as file:
            sheet = ParquetSheet(Counting(file), columns, types, before=before)
            try:
                yield sheet
            finally:
                sheet.abandon()

    @contextmanager
    def as_a_whole(self, *, binary: bool = False) -> Generator[IO[Any]]:
        """Yield a file whose content replaces that of a regular file at once, when the block ends without an error.

        In a folder that cannot be written, the file itself is written.

        Args:
            binary: whether bytes are written, not text.

        Raises:
            OSError: the result cannot be written.
        """
        has_content = self.path is not None and is_regular(self.file)
        if self.path is not None and has_content and os.access(Path(os.path.realpath(self.path)).parent, os.W_OK):
            with replacing(self.path, None if binary else self.encoding) as file:
                yield file
            self.begun = True
            return
        self.begun = True
        if has_content:
            self.file.truncate(0)
        yield cast("IO[Any]", cast("io.TextIOWrapper", self.file).buffer if binary else self.file)
        self.file.flush()


@contextmanager
def output_file(output: Path | None, source: IO[str] | io.FileIO | None, encoding: str) -> Generator[OutputFile]:
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
def replacing(path: Path, encoding: str | None, *, mode_of: Path | None = None) -> Generator[IO[Any]]:
    """Yield a file whose content replaces that of `path` at once; after an error `path` is unchanged.

    Args:
        path: the file.
        encoding: its encoding; None to write bytes.
        mode_of: the file whose permissions it gets; None for its own, if it exists.

    Raises:
        OSError: the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    file = tempfile.NamedTemporaryFile(  # noqa: SIM115 # renamed below
        "wb" if encoding is None else "w",
        encoding=encoding,
        newline=None if encoding is None else "",
        dir=target.parent,
        prefix=f".{target.name}.",
        delete=False,
    )
    try:
        with file:
            yield file.file
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(mode_of or target, file.name)
        _ = Path(file.name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(file.name).unlink()
        raise


class Counting:
    """A file for pyarrow, which asks for the position; a pipe has none."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._position = 0
        self.closed: bool = False

    def write(self, data: bytes) -> int:
        """Write bytes."""
        count = self._file.write(data)
        self._position += count
        return count

    def tell(self) -> int:
        """The number of bytes written."""
        return self._position

    def flush(self) -> None:
        """Write what is buffered."""
        self._file.flush()

    def close(self) -> None:
        """Leave the file open: it belongs to its owner."""
        self.closed = True

    def writable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return False

    def seekable(self) -> bool:
        """See `io.IOBase`."""
        return False


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


def _file(path: Path, source: IO[str] | io.FileIO | None, encoding: str) -> IO[str]:
    try:
        if source is not None and path.exists() and os.path.samestat(path.stat(), os.fstat(source.fileno())):
            problem = "the result cannot be written over its own input; choose another file"
        else:
            file = path.open("a", encoding=encoding, newline="")
            if is_ours(file):
                return file
            file.close()
            problem = f"{escaped(str(path))} is being written by another run; choose another file"
    except OSError as error:
        problem = f"{escaped(str(path))}: {error.strerror}"
    raise InvalidInputError(problem)


def is_ours(file: IO[str] | io.FileIO) -> bool:
    """Whether no other run writes to the file, which is locked until it is closed.

    Each of two runs would remove rows of the other. Windows, and some file systems, have no such lock.
    """
    if sys.platform == "win32" or not is_regular(file):
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
