"""Read and write rows as Parquet.

Cells that Python holds without loss, such as text and numbers, are Python objects. A cell of any other type is a
`TypedCell`, so that dates, lists and nanoseconds are written as they were read.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite, isnan
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

from attrs import frozen

from aioconnections.arrow.ids import id_cells, refuse_type
from aioconnections.arrow.loading import pyarrow
from aioconnections.columns import Untyped, distinct_columns
from aioconnections.errors import InvalidInputError
from aioconnections.files.escaping import escaped
from aioconnections.files.rows import BadRowError, InputRow, Item, Shape, Table, item_of_row
from aioconnections.files.sheet import Sheet, encodable
from aioconnections.tables import cell_text

__all__ = [
    "TEXT",
    "CellForm",
    "ParquetSheet",
    "RowTable",
    "TypedCell",
    "is_flat",
    "name_of",
    "opened_parquet",
    "read_parquet",
    "read_raw",
    "whole",
]

ItemT = TypeVar("ItemT", bound=Item)
T = TypeVar("T")
CellForm = Literal["typed", "text", "people"]
"""Whether cells keep their types, or are what CSV and JSON lines can hold, or only those that identify people."""

TEXT = "string"
"""The type of text, for `RowTable`."""

_BATCH = 5_000  # rows
_DOUBLE = 64  # bits of a float
_ADDED = {
    "index": "int64",
    "input_row": "int64",
    "http_status": "int32",
    "attempts": "int32",
    "elapsed_ms": "float64",
    "waited_ms": "float64",
    "duplicate_of": "int64",
    "connections": "int64",
    "external": "bool",
    "disputed": "bool",
}  # the types of our columns; the others are text
_TIMES = {"updated", "recorded_at", "intent_at", "outcome_at"}


@frozen
class TypedCell:
    """A cell of a type that Python does not hold without loss.

    Attributes:
        array: an array of pyarrow with this cell alone.
    """

    array: Any

    def __repr__(self) -> str:
        return f"TypedCell({self.array.type}, {self.array.to_string(window=1_000_000)})"


def _parquet() -> Any:
    return pyarrow("Parquet files need")


@contextmanager
def opened_parquet(file: IO[bytes] | io.FileIO, name: str) -> Generator[Any]:
    """Open a file, and yield it as pyarrow reads it.

    Args:
        file: the file, open for reading.
        name: its name in messages.

    Raises:
        InvalidInputError: the file is damaged; reading it may raise the same error.
        UsageError: pyarrow is missing.
    """
    pa = _parquet()
    try:
        with pa.parquet.ParquetFile(file) as opened:
            yield opened
    except pa.ArrowException as error:
        problem = str(error).partition("\n")[0]
    except OSError as error:
        if error.errno is not None and not isinstance(error, pa.ArrowException):
            raise
        problem = str(error).partition("\n")[0]  # pyarrow reports damaged pages so
    else:
        return
    raise InvalidInputError(f"{name} is not a valid Parquet file: {problem}")


@contextmanager
def read_parquet(
    file: io.FileIO, name: str, shape: Shape[ItemT], untyped: Untyped | None, *, cells: CellForm
) -> Generator[Table[ItemT]]:
    """Open a file, and yield the table of its items, which are read one group of rows after the other.

    Args:
        file: the file.
        name: its name in messages.
        shape: the columns and items.
        untyped: the columns whose names do not tell the kind of identity, if any.
        cells: the form of the cells.

    Raises:
        InvalidInputError: the file is damaged, or its columns are wrong; reading the rows may raise it, too.
        UsageError: pyarrow is missing.
    """
    pa = _parquet()
    with opened_parquet(file, name) as opened:
        schema = opened.schema_arrow
        known = shape.known(untyped)
        columns = distinct_columns(schema.names, known)
        lacking = shape.lacks(columns, untyped)
        if lacking is not None:
            which = f"its columns are: {', '.join(schema.names)}" if schema.names else "it has no columns"
            raise InvalidInputError(f"the input has no column {lacking}; {which}")
        types = dict(zip(columns, schema.types, strict=True))
        ids = frozenset(number for number, name in enumerate(columns) if name in known.single)
        for number in sorted(ids):
            refuse_type(schema.field(number))
        if cells == "text":
            _refuse_nested(types, name)
        wanted = known.names | known.chosen if cells == "people" else {*columns}
        numbers = {number: name for number, name in enumerate(columns) if name in wanted}
        read, read_ids = (_texts, _id_texts) if cells == "text" else (_values, id_cells)
        rows = _rows(
            opened, numbers, shape, untyped, lambda number, column: (read_ids if number in ids else read)(column)
        )
        yield Table("parquet", columns, _translated(rows, name, pa), total=opened.metadata.num_rows, types=types)


@contextmanager
def read_raw(file: io.FileIO, name: str, *, typed: bool) -> Generator[tuple[list[str], Iterator[InputRow]]]:
    """Open a file, and yield the names of its columns and its rows, without regard to what they mean.

    Args:
        file: the file.
        name: its name in messages.
        typed: whether cells keep their types.

    Raises:
        InvalidInputError: the file is damaged; reading the rows may raise it, too.
    """
    pa = _parquet()
    with opened_parquet(file, name) as opened:
        names: list[str] = opened.schema_arrow.names

        def rows() -> Iterator[InputRow]:
            for batch in opened.iter_batches(batch_size=_BATCH):
                columns = [(_values if typed else _texts)(column) for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    yield dict(zip(names, cells, strict=True))

        yield names, _translated(rows(), name, pa)


def _translated(rows: Iterator[T], name: str, pa: Any) -> Iterator[T]:
    """The rows; what pyarrow raises becomes our error, also where the block of the file is not left by it."""
    try:
        yield from rows
    except UnicodeDecodeError:
        problem = "it has text that is not UTF-8"
    except (pa.ArrowException, OSError) as error:
        problem = str(error).partition("\n")[0]
    else:
        return
    raise InvalidInputError(f"{name} is not a valid Parquet file: {problem}")


def _rows(
    opened: Any,
    columns: Mapping[int, str],
    shape: Shape[ItemT],
    untyped: Untyped | None,
    values: Callable[[int, Any], Sequence[object]],
) -> Iterator[ItemT | BadRowError]:
    number, names = 0, [*columns.values()]
    for batch in opened.iter_batches(batch_size=_BATCH):
        arrays = [values(position, batch.column(position)) for position in columns]
        for cells in zip(*arrays, strict=True):
            number += 1
            item = item_of_row(number, dict(zip(names, cells, strict=True)), shape, untyped)
            yield item


def _refuse_nested(types: Mapping[str, Any], name: str) -> None:
    for column, kind in types.items():
        if not is_flat(kind):
            raise InvalidInputError(
                f"the column {column} of {name} is of the type {kind}, which CSV and JSON lines cannot hold; "
                "use --format parquet, or an --output that ends in .parquet"
            )


def is_flat(kind: Any) -> bool:
    """Whether the values of a column of this type can be written as cells of CSV."""
    types = _parquet().types
    return not any(
        check(kind)
        for check in (
            types.is_nested,
            types.is_binary,
            types.is_large_binary,
            types.is_fixed_size_binary,
            types.is_binary_view,
        )
    )


def _is_plain(kind: Any) -> bool:
    """Whether Python objects hold the values of this type without loss."""
    types = _parquet().types
    if types.is_dictionary(kind):
        kind = kind.value_type
        return any(check(kind) for check in (types.is_string, types.is_large_string))
    return any(
        check(kind)
        for check in (
            *(types.is_string, types.is_large_string, types.is_string_view, types.is_boolean, types.is_null),
            *(types.is_integer, types.is_float32, types.is_float64, types.is_decimal),
        )
    )


def _values(column: Any) -> Sequence[object]:
    """The cells with their types."""
    if _is_plain(column.type):
        cells: list[object] = column.to_pylist()
        return cells
    return [
        TypedCell(column.slice(position, 1)) if column[position].is_valid else None for position in range(len(column))
    ]


def _texts(column: Any) -> Sequence[object]:
    """The cells as text, bool, and numbers that JSON can hold."""
    types, kind = _parquet().types, column.type
    if types.is_floating(kind) and kind.bit_width < _DOUBLE:  # through text, so that a number keeps its few digits
        texts: list[str | None] = column.cast("string").to_pylist()
        return [None if text is None else _finite(float(text)) for text in texts]
    if types.is_decimal(kind) or not _is_plain(kind):
        column = column.cast("string")
    cells: list[object] = column.to_pylist()
    return [_finite(cell) if isinstance(cell, float) else cell for cell in cells] if types.is_floating(kind) else cells


def _id_texts(column: Any) -> Sequence[object]:
    """The cells of a column of ids as text and numbers."""
    cells: list[object] = []
    for cell in map(whole, id_cells(column)):
        number = float(cell) if isinstance(cell, Decimal) else cell  # it has a fraction, and the row is refused
        cells.append(_finite(number) if isinstance(number, float) else number)
    return cells


def whole(cell: object) -> object:
    """The cell of an id as a whole number, if it is one of another type; otherwise unchanged."""
    if not isinstance(cell, float | Decimal):
        return cell
    try:
        text = cell_text(cell, "the id")
    except InvalidInputError:  # which the row will give again
        return cell
    return None if text is None else int(text)


def _finite(cell: float) -> object:
    """The number, or what JSON can hold in its place: nothing for NaN, and text for infinite numbers."""
    if isfinite(cell):
        return cell
    return None if isnan(cell) else str(cell)


class RowTable:
    """Writes rows to a Parquet file.

    Args:
        file: the file.
        columns: names of the columns.
        types: types of the columns that an input had; ours have the types that belong to their names.
    """

    def __init__(self, file: Any, columns: Sequence[str], types: Mapping[str, Any]) -> None:
        pa = _parquet()
        self._schema: Any = pa.schema([(name, _type_of(name, types, pa)) for name in columns])
        self._writer: Any = pa.parquet.ParquetWriter(file, self._schema)
        self._waiting: list[InputRow] = []

    def __call__(self, row: InputRow) -> None:
        """Write one row."""
        self._waiting.append(row)
        if len(self._waiting) >= _BATCH:
            self._flush()

    def finish(self) -> None:
        """Write what is still buffered, and the end of the file."""
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Close the writer, so that it does not write to a closed file when it is collected."""
        with suppress(Exception):  # what it says of a file that is removed is of no interest
            self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            pa = _parquet()
            arrays = [_array([row.get(field.name) for row in self._waiting], field, pa) for field in self._schema]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
            self._waiting.clear()


def _type_of(name: str, types: Mapping[str, Any], pa: Any) -> Any:
    if name in types:
        return pa.type_for_alias(types[name]) if isinstance(types[name], str) else types[name]
    return pa.timestamp("us", tz="UTC") if name in _TIMES else pa.type_for_alias(_ADDED.get(name, "string"))


def _array(cells: list[object], field: Any, pa: Any) -> Any:
    """The array of some cells.

    Raises:
        InvalidInputError: a cell is not of the type of the column.
    """
    kind = field.type
    try:
        if not any(isinstance(cell, TypedCell) for cell in cells):
            return pa.array([_cell(cell, kind, pa) for cell in cells], kind)
        empty = pa.nulls(1, kind)
        parts = [
            cell.array.cast(kind)
            if isinstance(cell, TypedCell)
            else empty
            if cell is None
            else pa.array([_cell(cell, kind, pa)], kind)
            for cell in cells
        ]
        return pa.concat_arrays(parts)
    except (pa.ArrowException, ValueError, TypeError) as error:
        problem = str(error).partition("\n")[0]
    raise InvalidInputError(f"a cell of the column {escaped(field.name)} cannot be written as {kind}: {problem}")


def _cell(cell: object, kind: Any, pa: Any) -> object:
    """A cell as `pyarrow.array` takes it: text for columns of text, times for those of times."""
    if cell is None:
        return None
    if pa.types.is_string(kind):
        return encodable(cell if isinstance(cell, str) else json.dumps(cell))
    if isinstance(cell, str) and pa.types.is_timestamp(kind):
        moment = datetime.fromisoformat(cell)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return cell


class ParquetSheet(Sheet):
    """A `Sheet` that writes Parquet. A file is not valid before `finish`."""

    def __init__(
        self,
        file: Any,
        columns: Sequence[str],
        types: Mapping[str, Any],
        *,
        before: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(file, "parquet", columns, fresh=False, before=before)
        self._types = types
        self._table: RowTable | None = None

    @property
    def begun(self) -> bool:
        """See `Sheet`."""
        return self._table is not None

    @property
    def encoding(self) -> str:
        """See `Sheet`; Parquet has none."""
        return "utf-8"

    def begin(self) -> Callable[[InputRow], object]:
        """See `Sheet`."""
        if self._table is None:
            self._before()
            self._table = RowTable(self._file, self.columns, self._types)
        return self._table

    def __call__(self, row: InputRow) -> None:
        """See `Sheet`."""
        (self._table or self.begin())(row)

    def finish(self) -> None:
        """Write what is still buffered, and the end of the file."""
        _ = self.begin()
        if self._table is not None:
            self._table.finish()
        self._file.flush()

    def flush(self) -> None:
        """Do nothing: row groups are written whole."""

    def abandon(self) -> None:
        """Give up a file that is not finished."""
        if self._table is not None:
            self._table.abandon()


def name_of(path: Path | None) -> str:
    """The name of an input in messages."""
    return "the input" if path is None or os.fspath(path) == "-" else escaped(str(path))
