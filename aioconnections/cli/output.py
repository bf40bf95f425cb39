"""The file of a result, or stdout."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from attrs import define

from aioconnections.cli.progress import needed
from aioconnections.cli.terminal import escaped
from aioconnections.errors import InvalidInputError
from aioconnections.files.dialect import CsvDialect, Format, output_encoding
from aioconnections.files.sheet import Sheet, is_regular

if TYPE_CHECKING:
    import io

__all__ = ["OutputFile", "output_file", "replacing", "rows_to"]


@contextmanager
def rows_to(
    output: Path | None,
    form: Format,
    columns: Sequence[str],
    *,
    source: io.TextIOWrapper | None,
    dialect: CsvDialect = CsvDialect(),  # noqa: B008 # immutable
    before: Callable[[], object] = lambda: None,
) -> Generator[Sheet]:
    """Open the file `output`, or stdout if it is None, and yield a `Sheet` that writes rows to it.

    An existing file is replaced when the first row is written, or at the end if there are no rows; `before` is called
    just before. CSV has the dialect and, as far as possible, the encoding of the input; JSON lines are ASCII.

    Raises:
        InvalidInputError: the file cannot be opened, stdout is closed, or the file is `source`, the input.
        OSError: a row cannot be written; ``filename`` is the file.
    """
    encoding, marked = ("utf-8", False) if source is None or form == "jsonl" else output_encoding(source.encoding)
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
    def as_a_whole(self) -> Generator[IO[str]]:
        """Yield a file whose content replaces that of a regular file at once, when the block ends without an error.

        In a folder that cannot be written, the file itself is written.

        Raises:
            OSError: the result cannot be written.
        """
        has_content = self.path is not None and is_regular(self.file)
        if self.path is not None and has_content and os.access(Path(os.path.realpath(self.path)).parent, os.W_OK):
            with replacing(self.path, self.encoding) as file:
                yield file
            self.begun = True
            return
        self.begun = True
        if has_content:
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
def replacing(path: Path, encoding: str, *, mode_of: Path | None = None) -> Generator[IO[str]]:
    """Yield a file whose content replaces that of `path` at once; after an error `path` is unchanged.

    Args:
        path: the file.
        encoding: its encoding.
        mode_of: the file whose permissions it gets; None for its own, if it exists.

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
        shutil.copymode(mode_of or target, file.name)
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
