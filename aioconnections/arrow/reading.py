"""Read a stream of Arrow batches: the cells of the columns that name people, and references to all others.

Cells of other columns are not converted. A row refers to its batch, from which `arrow.results` takes them.

`TableStream.read` blocks while the source makes its next batch, so it is called in a thread. `close` may be called in
another one meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from attrs import define, field, frozen

from aioconnections.arrow.ids import id_cells, refuse_type
from aioconnections.arrow.loading import pyarrow
from aioconnections.columns import KnownNames
from aioconnections.errors import InvalidInputError

__all__ = ["Batch", "TableRow", "TableStream", "distinct_names", "is_table", "refuse_no_table", "shown"]

_MOST_ROWS = 4_096  # of a batch: a source in memory may give all its rows as one batch
_MOST_SHOWN = 20  # columns in an error message


def is_table(source: object) -> bool:
    """Whether this is a table, or a batch of one."""
    return hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__")


def refuse_no_table(source: object) -> None:
    """Refuse what is not a table, but is usually made into one by another call.

    Raises:
        InvalidInputError: see above.
    """
    kind = type(source).__name__
    if hasattr(source, "collect_schema") and not is_table(source):
        raise InvalidInputError(f"expected a table, not a {kind}; collect it first, as in frame.collect()")
    if hasattr(source, "iloc") and not is_table(source):
        raise InvalidInputError(f"this {kind} has no Arrow interface; upgrade pandas to version 2.2 or later")


@define
class Batch:
    """Rows of a table.

    Attributes:
        data: the record batch of pyarrow.
        first: number of the first row in the table, from 1.
    """

    data: Any
    first: int


@frozen(eq=False)
class TableRow:
    """One row of a table: a reference to its batch.

    Attributes:
        batch: the batch.
        position: position in the batch.
    """

    batch: Batch
    position: int

    @property
    def number(self) -> int:
        """Number of the row in the table, from 1."""
        return self.batch.first + self.position

    def __getitem__(self, column: str) -> object:
        names = self.batch.data.schema.names
        if column not in names:
            raise KeyError(column)
        return self.batch.data.column(names.index(column))[self.position].as_py()

    def keys(self) -> Sequence[str]:
        """The names of the columns."""
        return cast("list[str]", self.batch.data.schema.names)

    def __repr__(self) -> str:
        return f"TableRow({self.number})"


@define
class TableStream:
    """A table that is read batch by batch.

    Attributes:
        table: the table.
        known: the names of columns that are understood.
        check: called with the columns in normal spelling; raises `InvalidInputError` if one is missing.
        schema: schema of the table, with distinct names; None until `open`.
    """

    table: object
    known: KnownNames
    check: Callable[[tuple[str, ...]], None]
    schema: Any = None
    _reader: Any = None
    _taken: dict[int, str] = field(factory=dict[int, str])  # the columns whose cells are read, in normal spelling
    _pieces: Iterator[Any] | None = None
    _count: int = 0
    _lock: threading.Lock = field(factory=threading.Lock)
    _is_reading: bool = False
    _is_closed: bool = False

    def open(self) -> None:
        """Begin to read, unless that was done: a database executes its query now.

        Raises:
            InvalidInputError: this is no table, or its columns are wrong.
            UsageError: pyarrow is missing.
        """
        if self.schema is not None:
            return
        pa = pyarrow()
        self._reader = _reader(self.table, pa)
        schema = self._reader.schema
        self.schema = pa.schema([*map(_renamed, schema, distinct_names(schema.names, self.known))])
        columns = self.check_names(schema.names)
        self._taken = {number: name for number, name in enumerate(columns) if name in self.known.single}
        for number in self._taken:
            refuse_type(schema.field(number))

    def check_names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Check the names of the columns, and return them with known ones in normal spelling.

        Raises:
            InvalidInputError: a column is missing, or a known one is there twice.
        """
        self.known.refuse_repeated([*names])
        columns = tuple(self.known.columns(names))
        self.check(columns)
        return columns

    def read(self) -> tuple[Batch, list[dict[str, object]]] | None:
        """The next rows: their batch, and the cells of the known columns of each; None at the end.

        Raises:
            Exception: as the source raises it.
        """
        with self._lock:
            if self._is_closed:
                return None
            self._is_reading = True
        try:
            self.open()
            return self._next()
        finally:
            with self._lock:
                self._is_reading = False
                self._release_if_closed()

    def close(self) -> None:
        """Release the source; if it is being read in another thread, as soon as that has ended."""
        with self._lock:
            self._is_closed = True
            if not self._is_reading:
                self._release()

    def _release_if_closed(self) -> None:
        if self._is_closed:
            self._release()

    def _release(self) -> None:
        reader, self._reader, self._pieces = self._reader, None, None
        if reader is not None and reader is not self.table:
            reader.close()

    def _next(self) -> tuple[Batch, list[dict[str, object]]] | None:
        while True:
            piece = None if self._pieces is None else next(self._pieces, None)
            if piece is not None:
                batch = Batch(piece, self._count + 1)
                self._count += piece.num_rows
                return batch, self._cells(piece)
            try:
                data = self._reader.read_next_batch()
            except StopIteration:
                return None
            self._pieces = _pieces(data, self.schema)

    def _cells(self, piece: Any) -> list[dict[str, object]]:
        names = [*self._taken.values()]
        columns: list[list[object]] = []
        for number, name in self._taken.items():
            try:
                columns.append(id_cells(piece.column(number)))
            except UnicodeDecodeError:
                raise InvalidInputError(f"the column {name} of the table has text that is not UTF-8") from None
        return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _reader(table: Any, pa: Any) -> Any:
    """The batches of a table."""
    if isinstance(table, pa.RecordBatchReader):  # otherwise the exceptions of its generator would be changed
        return table
    try:
        if not hasattr(table, "__arrow_c_stream__"):
            batch = pa.record_batch(table)
            return pa.RecordBatchReader.from_batches(batch.schema, [batch])
        return pa.RecordBatchReader.from_stream(table)
    except (ValueError, TypeError, pa.ArrowNotImplementedError) as error:  # the first two include those of pyarrow
        kind, problem = type(table).__name__, str(error).partition("\n")[0]
    if "non-struct" in problem:
        raise InvalidInputError(f"expected a table with named columns, not a {kind}; put the column into a table")
    raise InvalidInputError(f"this {kind} cannot be read as a table: {problem}")


def _pieces(data: Any, schema: Any) -> Iterator[Any]:
    """The rows of a batch, a bounded number at a time; no copies."""
    named = data.rename_columns(schema.names)
    return (named.slice(start, _MOST_ROWS) for start in range(0, data.num_rows, _MOST_ROWS))


def _renamed(field: Any, name: str) -> Any:
    return field.with_name(name)


def distinct_names(names: Sequence[str], known: KnownNames) -> list[str]:
    """The names as they are spelled, with numbers appended to repeated unknown ones.

    Raises:
        InvalidInputError: a known column is there twice.
    """
    known.refuse_repeated([*names])
    distinct: dict[str, None] = {}
    for name in names:
        again = (f"{name}_{number}" for number in range(2, len(names) + 2))
        distinct[name if name not in distinct else next(n for n in again if n not in distinct and n not in names)] = (
            None
        )
    return [*distinct]


def shown(names: Sequence[str]) -> str:
    """The names of columns in a message."""
    if not names:
        return "it has no columns"
    return f"its columns are: {', '.join(names[:_MOST_SHOWN])}{', …' * (len(names) > _MOST_SHOWN)}"
