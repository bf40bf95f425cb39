"""Parquet files of a cluster: their row groups as partitions, and the parts of the result."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from aioconnections.arrow.ids import id_cells, refuse_type
from aioconnections.arrow.loading import pyarrow
from aioconnections.columns import Untyped
from aioconnections.errors import InvalidInputError
from aioconnections.files.escaping import escaped
from aioconnections.files.parquet import whole
from aioconnections.files.rows import PAIRS, BadRowError, RowPair, item_of_row
from aioconnections.files.sections import Section, TextForm, digest_of, file_problem

__all__ = ["column_types", "group_rows", "row_groups"]

_BATCH = 5_000  # rows
_FOOTER = 1 << 16  # bytes at the end of a file that are compared first; the footer describes all row groups


def _pyarrow() -> Any:
    return pyarrow("Parquet files need")


class _Opened(NamedTuple):
    """An open file.

    Attributes:
        table: the file as pyarrow reads it.
        file: its bytes.
        end: digest of its end.
    """

    table: Any
    file: IO[bytes]
    end: str

    def digest(self, start: int, end: int) -> str:
        """Digest of the end and of the data of the row groups from `start` to `end`.

        Values may change while the footer, which has little more than their numbers and bounds, stays the same.
        """
        spans = [*self._spans(start, end)]
        if not spans:
            return self.end
        return self.end + digest_of(self.file, min(first for first, _ in spans), max(last for _, last in spans))

    def _spans(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The first byte of each column chunk, and the one after its last."""
        for number in range(start, end):
            group = self.table.metadata.row_group(number)
            for column in map(group.column, range(group.num_columns)):
                # Some writers give 0 for the offset of a dictionary that is not there.
                dictionary, data = column.dictionary_page_offset, column.data_page_offset
                first: int = min(dictionary or data, data)
                yield first, first + column.total_compressed_size


@contextmanager
def _opened(path: Path) -> Generator[_Opened]:
    """Open a file."""
    pa = _pyarrow()
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            end = digest_of(file, max(0, size - _FOOTER), size)
            file.seek(0)
            with pa.parquet.ParquetFile(file) as opened:
                yield _Opened(opened, file, end)
    except pa.ArrowException as error:
        raise InvalidInputError(f"{escaped(str(path))} is not a valid Parquet file: {error}") from None
    except UnicodeDecodeError:
        problem = "it has text that is not UTF-8"
        raise InvalidInputError(f"{escaped(str(path))} is not a valid Parquet file: {problem}") from None
    except OSError as error:
        raise file_problem(path, error) from None


def _columns(names: Sequence[str], untyped: Untyped | None) -> tuple[str, ...]:
    """The names of the columns, known ones in normal spelling."""
    known = PAIRS.known(untyped)
    known.refuse_repeated([*names])
    columns = tuple(known.columns(names))
    if len({*columns}) < len(columns):
        raise InvalidInputError("two columns have the same name; rename one")
    lacking = PAIRS.lacks(columns, untyped)
    if lacking is not None:
        raise InvalidInputError(f"the input has no column {lacking}; its columns are: {', '.join(names)}")
    return columns


def row_groups(path: Path, untyped: Untyped | None, rows: int) -> Generator[Section, None, TextForm]:
    """Yield sections of whole row groups, each with about `rows` rows, and return the form of the file.

    Raises:
        InvalidInputError: the file cannot be read, or lacks a column.
        UsageError: pyarrow is missing.
    """
    with _opened(path) as opened:
        file = opened.table
        columns = _columns(file.schema_arrow.names, untyped)
        ids = PAIRS.known(untyped).single
        for name, column in zip(columns, file.schema_arrow, strict=True):
            if name in ids:
                refuse_type(column)
        metadata = file.metadata
        start, first, count = 0, 1, 0
        for group in range(metadata.num_row_groups):
            more = metadata.row_group(group).num_rows
            if count and count + more > rows:
                yield Section(start, group, first, count, opened.digest(start, group))
                start, first, count = group, first + count, 0
            count += more
        groups = metadata.num_row_groups
        yield Section(start, groups, first, count, opened.digest(start, groups))
        return TextForm("parquet", "utf-8", columns)


@contextmanager
def group_rows(
    path: Path, size: int, form: TextForm, section: Section, untyped: Untyped | None
) -> Generator[Iterator[RowPair | BadRowError]]:
    """Open a file that had this size, form and end, and yield the rows of a section.

    Raises:
        InvalidInputError: it cannot be read, or is another file; reading the rows may raise the same error.
    """
    with _opened(path) as opened:
        if os.fstat(opened.file.fileno()).st_size != size or not section.digest.startswith(opened.end):
            raise _other_content(path)
        yield _same_rows(opened, path, form, section, untyped)


def _other_content(path: Path) -> InvalidInputError:
    return InvalidInputError(f"{escaped(str(path))} does not have the content that it had at the start")


def _same_rows(
    opened: _Opened, path: Path, form: TextForm, section: Section, untyped: Untyped | None
) -> Iterator[RowPair | BadRowError]:
    """The rows.

    Raises:
        InvalidInputError: they are not those that the section had.
    """
    yield from _rows(opened.table, form, section, untyped)
    if opened.digest(section.start, section.end) != section.digest:
        raise _other_content(path)


def _rows(file: Any, form: TextForm, section: Section, untyped: Untyped | None) -> Iterator[RowPair | BadRowError]:
    number, ids = section.line, PAIRS.known(untyped).single
    for batch in file.iter_batches(batch_size=_BATCH, row_groups=range(section.start, section.end)):
        columns = [
            [*map(whole, id_cells(column))] if name in ids else column.to_pylist()
            for name, column in zip(form.columns, batch.columns, strict=True)
        ]
        for cells in zip(*columns, strict=True):
            item = item_of_row(number, dict(zip(form.columns, cells, strict=True)), PAIRS, untyped)
            yield item
            number += 1


def column_types(path: Path, form: TextForm) -> dict[str, Any]:
    """The types of the columns of a Parquet file."""
    with _opened(path) as opened:
        return dict(zip(form.columns, opened.table.schema_arrow.types, strict=True))
