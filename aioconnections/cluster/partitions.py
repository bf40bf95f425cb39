"""Partitions: the rows of the input files, cut into pieces that workers check independently.

The driver reads each file once and keeps no rows. A partition is a section of a text file, or some row groups of a
Parquet file.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from attrs import frozen

from aioconnections.columns import Untyped
from aioconnections.errors import InvalidInputError
from aioconnections.files.escaping import escaped
from aioconnections.files.rows import BadRowError, InvalidBytes, RepeatedLines, RowPair
from aioconnections.files.sections import Section, SectionReader, TextForm, file_problem, sections

__all__ = [
    "PARQUET",
    "Files",
    "InputFile",
    "Partition",
    "PartitionRows",
    "found_files",
    "input_file",
    "opened_rows",
    "partitions",
]

Files: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A path, a glob pattern, or several of them."""

PARQUET = "parquet"
_MAGIC = b"PAR1"


@frozen
class InputFile:
    """An input file, as the driver found it.

    Attributes:
        path: absolute path, which must be the same on all workers.
        size: size in bytes.
        modified: time of the last change, in nanoseconds.
    """

    path: str
    size: int
    modified: int


@frozen
class Partition:
    """A piece of an input file.

    Attributes:
        number: number of the partition, from 0, in the order of the files and of the rows in them.
        file: the file.
        form: the form of the file.
        section: the rows. In a Parquet file, its start and end are numbers of row groups.
    """

    number: int
    file: InputFile
    form: TextForm
    section: Section


@frozen
class PartitionRows:
    """The rows of a partition.

    Attributes:
        rows: the rows, read lazily.
        repeats: repeated headers in the rows read so far.
        invalid: bytes that are not text in the rows read so far.
    """

    rows: Iterator[RowPair | BadRowError]
    repeats: RepeatedLines
    invalid: InvalidBytes


def found_files(files: Files) -> list[Path]:
    """The absolute paths of the files, in the order given; those of a pattern are sorted.

    A file that has several names, such as a symbolic link, is taken once, by its first name.

    Raises:
        InvalidInputError: there is none, or one is missing.
    """
    names = [os.fspath(file) for file in ([files] if isinstance(files, str | os.PathLike) else files)]
    found: dict[object, Path] = {}
    for name in names:
        if name in {"", "-"}:
            raise InvalidInputError("workers read files: name a file that all of them can open")
        path = Path(name)
        matches = [path] if path.exists() or not glob.has_magic(name) else sorted(map(Path, glob.iglob(name)))  # noqa: PTH207 # the pattern may be absolute
        if not matches:
            raise InvalidInputError(f"no file matches {escaped(name)}")
        for match in matches:
            found.setdefault(_identity(match), match.absolute())
    if not found:
        raise InvalidInputError("no file is given")
    return [*found.values()]


def _identity(path: Path) -> object:
    """The same for two names of one file."""
    try:
        status = path.stat()
    except OSError:  # reported when the file is read
        return path.absolute()
    return status.st_dev, status.st_ino


def input_file(path: Path) -> InputFile:
    """The file as it is now.

    Raises:
        InvalidInputError: there is no such file.
    """
    try:
        found = path.stat()
        if path.is_dir():
            raise InvalidInputError(f"{escaped(str(path))} is a folder; name files, or a pattern such as folder/*.csv")
    except OSError as error:
        raise file_problem(path, error) from None
    return InputFile(str(path), found.st_size, found.st_mtime_ns)


def partitions(
    files: Iterable[InputFile], untyped: Untyped | None, rows: int, encoding: str | None = None
) -> Iterator[Partition]:
    """Read the files, and yield their partitions.

    Args:
        files: the files.
        untyped: the columns whose names do not tell the kind of identity, if any.
        rows: number of rows of a partition; a partition ends at the next place where that is possible.
        encoding: encoding of a file without a byte order mark.

    Raises:
        InvalidInputError: a file cannot be read, has the wrong columns or format, or changes.
    """
    number = 0
    for file in files:
        found: list[Section] = []
        form = _form(file, found, untyped, rows, encoding)
        if input_file(Path(file.path)) != file:
            raise InvalidInputError(f"{escaped(file.path)} was changed while it was read; start again")
        for section in found:
            yield Partition(number, file, form, section)
            number += 1


def _form(file: InputFile, found: list[Section], untyped: Untyped | None, rows: int, encoding: str | None) -> TextForm:
    """The form of a file; its sections are added to `found`."""
    path = Path(file.path)

    def collect(running: Generator[Section, None, TextForm]) -> Generator[Section, None, None]:
        forms.append((yield from running))

    forms: list[TextForm] = []
    try:
        if _is_parquet(path):
            from aioconnections.cluster.parquet import row_groups

            running = row_groups(path, untyped, rows)
        else:
            running = sections(path, untyped, rows, encoding)
        found.extend(collect(running))
    except InvalidInputError as error:
        name = escaped(file.path)
        raise error if name in str(error) else InvalidInputError(f"{name}: {error}") from None
    return forms[0]


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        raise file_problem(path, error) from None


@contextmanager
def opened_rows(partition: Partition, untyped: Untyped | None) -> Generator[PartitionRows]:
    """Open the file of a partition on this machine.

    Raises:
        InvalidInputError: it cannot be read, or is not the same file; reading the rows may raise the same error.
    """
    path, form, section = Path(partition.file.path), partition.form, partition.section
    if form.form == PARQUET:
        from aioconnections.cluster.parquet import group_rows

        with group_rows(path, partition.file.size, form, section, untyped) as rows:
            yield PartitionRows(rows, RepeatedLines(), InvalidBytes())
        return
    with SectionReader.opened(path, partition.file.size, form, section, untyped) as reader:
        yield PartitionRows(reader.rows(), reader.table.repeats, reader.table.invalid)
