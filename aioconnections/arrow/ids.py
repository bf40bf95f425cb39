"""Columns that hold ids: which types they may have, and their cells."""

from __future__ import annotations

from numbers import Real
from typing import Any

from aioconnections.arrow.loading import pyarrow
from aioconnections.errors import InvalidInputError
from aioconnections.tables import SHORT_FLOATS

__all__ = ["id_cells", "refuse_type"]


def refuse_type(column: Any) -> None:
    """Refuse a column that cannot hold ids.

    Args:
        column: the field of a schema.

    Raises:
        InvalidInputError: see above.
    """
    pa = pyarrow()
    types, kind = pa.types, column.type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if isinstance(kind, pa.RunEndEncodedType):
        kind = kind.value_type
    allowed = (
        *(types.is_string, types.is_large_string, types.is_string_view),
        *(types.is_integer, types.is_floating, types.is_decimal, types.is_null),
    )
    if not any(check(kind) for check in allowed):
        raise InvalidInputError(
            f"the column {column.name} holds values of the type {column.type}; an id is text or a whole number"
        )


def id_cells(column: Any) -> list[object]:
    """The cells of a column of ids, as `aioconnections.tables.cell_text` reads them.

    Args:
        column: an array of a type that `refuse_type` allows.

    Raises:
        UnicodeDecodeError: text of the column is not UTF-8, although the format demands it.
    """
    cells: list[object] = column.to_pylist()
    kind = column.type
    while hasattr(kind, "value_type"):  # of a dictionary or of runs
        kind = kind.value_type
    make = SHORT_FLOATS.get(kind.bit_width) if pyarrow().types.is_floating(kind) else None
    if make is None:
        return cells
    return [make(cell) if isinstance(cell, Real) else cell for cell in cells]  # some versions give numbers of NumPy
