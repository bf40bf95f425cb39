"""The result of a run as Arrow batches: the columns of its table, and those of the outcomes.

The cells of the table are taken from its batches, so that their values and types stay as they are. A column of the
table that has the name of a column of the outcomes is replaced, as in CSV results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from aioconnections.arrow.loading import pyarrow
from aioconnections.arrow.reading import TableRow
from aioconnections.outcomes import Checked, Outcome

__all__ = ["EDGES", "Gives", "ResultTable", "edge_table", "taken"]

Gives: TypeAlias = Literal["check", "invite", "accept", "remove", "connect", "resolve", "list", "end"]
"""What a run does, which decides about the columns of its outcomes."""

_PAIR = tuple(f"{role}_{kind}" for role in ("source", "target") for kind in ("email", "userid", "key"))
_PERSON = ("email", "userid", "key")
_FOUND = ("name", "found_userid", "found_key", "found_email")
_DETAILS: Mapping[Gives, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        "check": (_PAIR, ("status", "via", "age", "duplicate_of")),
        "invite": (_PERSON, ("connection_id", "duplicate_of")),
        "accept": (_PAIR, ()),
        "remove": (_PAIR, ("was",)),
        "connect": (_PAIR, ("connection_id",)),
        "resolve": (_PERSON, ("via", "duplicate_of", *_FOUND)),
        "list": (_PERSON, ("connections", "duplicate_of")),
        "end": ((), ()),
    }
)
_LAST = ("error", "attempts", "elapsed", "waited", "replayed", "recorded_at")
_TYPES = {
    "index": "int64",
    "age": "duration[us]",
    "duplicate_of": "int64",
    "connections": "int64",
    "attempts": "int64",
    "elapsed": "duration[us]",
    "waited": "duration[us]",
    "replayed": "bool",
}  # the others are text, and recorded_at a time
EDGES = (
    *(f"{role}_{kind}" for role in ("source", "target") for kind in ("userid", "key", "email", "name")),
    *("status", "updated", "seen_from", "disputed"),
)


def _seconds(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


_OWN: Mapping[str, Callable[[Outcome], object]] = MappingProxyType(
    {
        "age": lambda outcome: _seconds(outcome.age) if isinstance(outcome, Checked) else None,
        "elapsed": lambda outcome: _seconds(outcome.elapsed),
        "waited": lambda outcome: _seconds(outcome.waited),
        "recorded_at": lambda outcome: outcome.recorded_at,
    }
)  # the others are those of `Outcome.as_dict`


def _type_of(name: str, pa: Any) -> Any:
    if name in {"recorded_at", "updated"}:
        return pa.timestamp("us", tz="UTC")
    if name == "disputed":
        return pa.bool_()
    return pa.type_for_alias(_TYPES.get(name, "string"))


class ResultTable:
    """Makes batches of the outcomes of one run.

    Attributes:
        schema: the schema of the result.
        replaced: names of the columns of the source that are not in it, unless the source is itself such a result.
    """

    def __init__(self, gives: Gives, carried: Any) -> None:
        """Make the schema.

        Args:
            gives: what the run does.
            carried: schema of the table that is the source of the run; None if the source is something else, so that
                the people are given in columns of their own.
        """
        pa = pyarrow()
        people, details = _DETAILS[gives]
        self._added = ("index", "outcome", *(people if carried is None else ()), *details, *_LAST)
        fields = [] if carried is None else [field for field in carried if field.name not in self._added]
        self._empty: dict[Any, Any] = {}  # columns without values, by type
        self._empty_rows = 0
        self._carried = None if carried is None else [carried.names.index(field.name) for field in fields]
        same = () if carried is None else tuple(name for name in self._added if name in carried.names)
        self.replaced: tuple[str, ...] = same if len(same) < len(self._added) else ()
        self.schema: Any = pa.schema([*fields, *(pa.field(name, _type_of(name, pa)) for name in self._added)])

    def batch(self, outcomes: Sequence[Outcome], rows: Sequence[TableRow]) -> Any:
        """The record batch of these outcomes.

        Args:
            outcomes: the outcomes.
            rows: the row of each; empty if the source is no table.
        """
        pa = pyarrow()
        values = [outcome.as_dict() for outcome in outcomes]
        if self._empty_rows != len(values):
            self._empty, self._empty_rows = {}, len(values)
        empty = self._empty
        columns = [] if self._carried is None else taken(rows, self._carried, self.schema)
        for name in self._added:
            own, kind = _OWN.get(name), self.schema.field(name).type
            cells = [row[name] for row in values] if own is None else [*map(own, outcomes)]
            if all(cell is None for cell in cells):  # those of all batches share their memory
                column = empty[kind] = empty.get(kind) or pa.nulls(len(cells), kind)
            else:
                column = pa.array(cells, kind)
            columns.append(column)
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def taken(rows: Sequence[TableRow], columns: Sequence[int], schema: Any) -> list[Any]:
    """The cells of rows, as one array for each column.

    Args:
        rows: the rows.
        columns: positions of the columns in the table.
        schema: the schema, whose first columns are these.
    """
    pa = pyarrow()
    batches = {id(row.batch): row.batch for row in rows}
    starts, start = dict[int, int](), 0
    for key, batch in batches.items():
        starts[key] = start
        start += batch.data.num_rows
    indices = pa.array([starts[id(row.batch)] + row.position for row in rows], pa.int64())
    return [
        _column(
            [batch.data.column(number) for batch in batches.values()], schema.field(place).type, indices, rows, number
        )
        for place, number in enumerate(columns)
    ]


def _column(arrays: Sequence[Any], kind: Any, indices: Any, rows: Sequence[TableRow], number: int) -> Any:
    pa = pyarrow()
    if not rows:
        return pa.nulls(0, kind)
    try:
        found = pa.chunked_array(arrays, kind).take(indices).combine_chunks()
    except pa.ArrowNotImplementedError:  # views and run-end encoded columns can be sliced and joined, but not taken
        return pa.concat_arrays([*_slices(rows, number)])
    if isinstance(found, pa.ChunkedArray):
        return pa.concat_arrays(found.chunks) if found.num_chunks else pa.nulls(0, kind)
    return found


def _slices(rows: Sequence[TableRow], number: int) -> Any:
    """The cells of a column, with one slice for consecutive rows."""

    def place(entry: tuple[int, TableRow]) -> tuple[int, int]:
        index, row = entry
        return id(row.batch), row.position - index

    for _, group in groupby(enumerate(rows), place):
        found = [row for _, row in group]
        yield found[0].batch.data.column(number).slice(found[0].position, len(found))


def edge_table(rows: Sequence[Mapping[str, object]]) -> Any:
    """The table of a network, given the cells of `EDGES` for each connection."""
    pa = pyarrow()
    schema = pa.schema([(name, _type_of(name, pa)) for name in EDGES])
    return pa.Table.from_pylist([*rows], schema=schema)
