"""Pairs from tables: rows of mappings, and tables of pandas, polars and pyarrow, none of which is imported.

A row that names no pair becomes an `InvalidInputError`, which a bulk run reports as `Failed`. The command line reads
its cells by the same rules.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, Literal, Protocol, Self, TypeAlias, cast, overload

from aioconnections.columns import COLUMNS, Untyped
from aioconnections.errors import InvalidInputError
from aioconnections.identifiers import LONGEST, plain_text
from aioconnections.records import Email, Identity, Key, Pair, Userid

__all__ = [
    "SHORT_FLOATS",
    "ArrowTable",
    "IdentityKind",
    "Tabular",
    "cell_text",
    "identity_in",
    "identity_in_row",
    "name_in_row",
    "pairs_from",
    "text_in_row",
]

IdentityKind: TypeAlias = Literal["email", "userid", "key"]
"""What the cells of a column hold."""

_KINDS: dict[str, type[Identity]] = {"email": Email, "userid": Userid, "key": Key}
_CHUNK = 10_000  # rows of pandas that are converted at once
_MOST_SHOWN = 20  # columns in an error message
_LONGEST_HINT = 20  # digits
_EXACT = 2**53  # floats represent every whole number below this
# Names of types with fewer digits than a float, as pandas, polars and pyarrow spell them, and their bits.
_BITS = {
    **dict.fromkeys(("float32", "float", "float[pyarrow]"), 32),
    **dict.fromkeys(("float16", "halffloat", "halffloat[pyarrow]"), 16),
}
# Numeric ids as written by spreadsheets and pandas. Their exponents have a sign, unlike hexadecimal ids.
_DECIMAL = re.compile(r"\s*([0-9]+)[.,]0+\s*")
_EXPONENT = re.compile(r"\s*[0-9](?:[.,][0-9]+)?[eE][+-][0-9]+\s*")


class _SingleFloat(float):
    """A number from a column of 32 bits.

    Attributes:
        exact: the column can hold every whole number below this, but not this one and the next.
    """

    exact = 2**24


class _HalfFloat(_SingleFloat):
    """A number from a column of 16 bits."""

    exact = 2**11


SHORT_FLOATS: Mapping[int, type[float]] = MappingProxyType({16: _HalfFloat, 32: _SingleFloat})
"""The numbers of columns that hold fewer digits than a float, by the bits of a cell: see `cell_text`."""


class Tabular(Protocol):
    """A table of pandas, polars, duckdb, pyarrow or another library with the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> object:
        """The stream of batches."""
        ...


class ArrowTable(Protocol):
    """A table or a reader of pyarrow."""

    def to_pylist(self) -> list[dict[str, Any]]:
        """The rows."""
        ...


@overload
def pairs_from(
    rows: AsyncIterable[object],
    *,
    source: str = "source",
    target: str = "target",
    kind: IdentityKind | tuple[IdentityKind, IdentityKind],
) -> AsyncIterator[Pair | InvalidInputError]: ...


@overload
def pairs_from(
    rows: Iterable[object] | ArrowTable,
    *,
    source: str = "source",
    target: str = "target",
    kind: IdentityKind | tuple[IdentityKind, IdentityKind],
) -> Iterator[Pair | InvalidInputError]: ...


def pairs_from(
    rows: AsyncIterable[object] | Iterable[object] | ArrowTable,
    *,
    source: str = "source",
    target: str = "target",
    kind: IdentityKind | tuple[IdentityKind, IdentityKind],
) -> AsyncIterator[Pair | InvalidInputError] | Iterator[Pair | InvalidInputError]:
    """The pairs in two columns of a table, for `check_many` and other bulk runs.

    ``client.check_many(pairs_from(table, source="from", target="to", kind="email"))``

    A row without a pair gives an `InvalidInputError` that names the row, counted from 1, and the column: the run
    reports it as `Failed` and continues. A cell is empty if it is None, NaN, NA or blank. Numbers are ids if they are
    whole and exact.

    Args:
        rows: an iterable or async iterable of mappings (`csv.DictReader`, rows of a database), or a table of pandas,
            polars or pyarrow. An async iterable gives an async iterator.
        source: name of the column of the first person.
        target: name of the column of the other person.
        kind: what both columns hold, ``"email"``, ``"userid"`` or ``"key"``; or a tuple of two of these.

    Raises:
        InvalidInputError: `rows` has no rows, `kind` is unknown, or the table lacks a column or has it twice.
    """
    read = _Reader(source, target, kind)
    if isinstance(rows, AsyncIterable):
        return _AsyncPairs(aiter(rows), read)
    return map(read, _rows_of(rows, (source, target)))


class _Reader:
    """Makes the pair of each row, and counts the rows."""

    def __init__(self, source: str, target: str, kind: object) -> None:
        kinds = cast("tuple[object, ...]", kind) if isinstance(kind, tuple) else (kind, kind)
        if len(kinds) != 2 or not all(isinstance(each, str) and each in _KINDS for each in kinds):
            raise InvalidInputError(f"kind must be one or a tuple of two of {', '.join(_KINDS)}, got {kind!r:.60}")
        self._columns = (source, target)
        self._makes = tuple(_KINDS[str(each)] for each in kinds)
        self._count = 0

    def __call__(self, row: object) -> Pair | InvalidInputError:
        self._count += 1
        try:
            return self._pair(row)
        except InvalidInputError as error:
            return InvalidInputError(f"row {self._count}: {error}")

    def _pair(self, row: object) -> Pair:
        if isinstance(row, InvalidInputError):
            raise row
        if not (isinstance(row, Mapping) or hasattr(row, "keys")):  # rows of some databases are no `Mapping`
            raise InvalidInputError(f"expected a mapping of columns to cells, not {type(row).__name__}")
        people = [self._identity(row, *each) for each in zip(self._columns, self._makes, strict=True)]
        try:
            return Pair(*people)
        except InvalidInputError as error:
            raise InvalidInputError(f"{' and '.join(self._columns)}: {error}") from None

    def _identity(self, row: Any, column: str, make: type[Identity]) -> Identity:
        try:
            cell = row[column]
        except (KeyError, IndexError):  # sqlite3.Row raises the latter
            raise InvalidInputError(f"there is no column {column}") from None
        text = cell_text(cell, column)
        if text is None:
            raise InvalidInputError(f"{column} is empty")
        return identity_in(make, text, column)


class _AsyncPairs(AsyncIterator["Pair | InvalidInputError"]):
    """The pairs of an async iterator, which still belongs to its owner."""

    def __init__(self, rows: AsyncIterator[object], read: Callable[[object], Pair | InvalidInputError]) -> None:
        self._rows = rows
        self._read = read

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Pair | InvalidInputError:
        return self._read(await anext(self._rows))


def cell_text(value: object, column: str) -> str | None:
    """The text of a cell; None if it is empty.

    Raises:
        InvalidInputError: it is neither text nor a whole number.
    """
    if isinstance(value, str):
        return None if not value or value.isspace() else value
    if value is None or _is_missing(value):
        return None
    from decimal import Decimal  # seldom needed, and slow to load

    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return str(int(value))
    if isinstance(value, float | Decimal):
        if isinstance(value, Decimal) or not value.is_integer():
            raise InvalidInputError(f"{column} is a number with a fraction; an id is text or a whole number")
        if abs(value) >= (value.exact if isinstance(value, _SingleFloat) else _EXACT):
            raise InvalidInputError(f"{column} is a number whose last digits may be lost; write the id as text")
        return str(int(value))
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InvalidInputError(f"{column} is neither text nor a whole number")
    return str(int(value))


def _is_missing(value: object) -> bool:
    """Whether `value` is NaN, or what pandas has in its place."""
    try:
        return bool(value != value)  # noqa: PLR0124 # this is how NaN and NaT are recognized
    except (TypeError, ValueError):  # pandas.NA has no truth value, and neither has an array
        return type(value).__name__ == "NAType"


def identity_in(make: type[Identity], text: str, column: str) -> Identity:
    """The identity that the text of a cell is.

    Raises:
        InvalidInputError: the text is invalid, or a number as spreadsheets write it.
    """
    if make is not Email:  # an e-mail address contains an @, so it cannot look like a number
        whole = _DECIMAL.fullmatch(text)
        if whole is not None:
            hint = f"; write {whole[1]}" if len(whole[1]) <= _LONGEST_HINT else ""
            raise InvalidInputError(f"{column} ends in .0, as spreadsheets and pandas write whole numbers{hint}")
        if _EXPONENT.fullmatch(text):
            raise InvalidInputError(
                f"{column} is a number with an exponent, as spreadsheets write long ones; write all its digits"
            )
    try:
        return make(text)
    except InvalidInputError as error:
        problem = str(error)
    raise InvalidInputError(f"{column}: {problem}")


def identity_in_row(row: Mapping[str, object], role: str, untyped: Untyped | None) -> Identity:
    """The identity of the person who has a role in a row: source, target or person.

    Raises:
        InvalidInputError: the row has none, or its cell is invalid.
    """
    if untyped is not None and role in untyped.columns:
        chosen = untyped.columns[role]
        text = text_in_row(row, chosen)
        if text is None:
            raise InvalidInputError(f"no {role}: {chosen} is empty")
        return identity_in(_KINDS[untyped.kind], text, chosen)
    candidates = COLUMNS[role]
    for column, kind in candidates.items():
        text = text_in_row(row, column)
        if text is not None:
            return identity_in(_KINDS[kind], text, column)
    if untyped is not None:
        text = text_in_row(row, role)
        if text is not None:
            return identity_in(_KINDS[untyped.kind], text, role)
    *others, last = (*candidates, role) if untyped is not None else candidates
    raise InvalidInputError(f"no {role}: {', '.join(others)} and {last} are empty")


def name_in_row(row: Mapping[str, object], column: str, *, longest: int = LONGEST) -> str | None:
    """The checked text in a column, as sent to the server; None if the column is empty."""
    text = text_in_row(row, column)
    return None if text is None else plain_text(text, column, longest=longest)


def text_in_row(row: Mapping[str, object], column: str) -> str | None:
    """The text in a column of a row; None if it is empty."""
    return cell_text(row.get(column), column)


def _rows_of(table: Any, columns: tuple[str, str]) -> Iterator[object]:
    """The rows of a table, of which only `columns` are converted; or the items of any iterable."""
    if hasattr(table, "iter_rows") and hasattr(table, "columns"):  # polars
        _check_columns(table.columns, columns)
        chosen = table.select(_distinct(columns))
        return _exact(chosen.iter_rows(named=True), dict(chosen.schema))
    if hasattr(table, "to_pylist"):  # pyarrow
        return _arrow_rows(table, columns)
    if hasattr(table, "to_dict") and hasattr(table, "iloc") and hasattr(table, "columns"):  # pandas
        _check_columns(table.columns, columns)
        chosen = table[_distinct(columns)]
        return _exact(_pandas_rows(chosen), dict(chosen.dtypes))
    if isinstance(table, str | bytes | Mapping):
        raise InvalidInputError(f"expected rows, one mapping of columns to cells for each, not one {_name(table)}")  # pyright: ignore[reportUnknownArgumentType] # only its type is shown
    if hasattr(table, "collect_schema"):  # a lazy frame of polars
        raise InvalidInputError(f"expected a table, not a {_name(table)}; collect it first")
    try:
        rows: Iterator[object] = iter(table)
    except TypeError:
        raise InvalidInputError(f"expected a table or an iterable of rows, not {_name(table)}") from None
    names = getattr(table, "fieldnames", None)  # of a csv.DictReader
    if names is not None:
        _check_columns(names, columns)
    return rows


def _arrow_rows(table: Any, columns: tuple[str, str]) -> Iterator[object]:
    names = getattr(table, "column_names", None)
    if names is not None:
        _check_columns(names, columns)
        table = table.select(_distinct(columns))
    schema = getattr(table, "schema", None)
    types = {} if schema is None else {name: schema.field(name).type for name in columns if name in schema.names}
    batches = table.to_batches() if hasattr(table, "to_batches") else [table]
    return _exact((row for batch in batches for row in batch.to_pylist()), types)


def _exact(rows: Iterator[Any], types: Mapping[str, object]) -> Iterator[object]:
    """The rows; numbers of columns with few digits tell so, as `cell_text` needs it."""
    short = {name: SHORT_FLOATS[_BITS[str(kind).lower()]] for name, kind in types.items() if str(kind).lower() in _BITS}
    if not short:
        return rows
    return (
        {name: short[name](cell) if name in short and isinstance(cell, Real) else cell for name, cell in row.items()}
        for row in rows
    )


def _pandas_rows(table: Any) -> Iterator[object]:
    return (
        row for start in range(0, len(table), _CHUNK) for row in table.iloc[start : start + _CHUNK].to_dict("records")
    )


def _check_columns(names: Iterable[object], columns: tuple[str, str]) -> None:
    present = list(names)
    for column in columns:
        if (count := present.count(column)) != 1:
            shown = ", ".join(map(str, present[:_MOST_SHOWN])) + (", …" if len(present) > _MOST_SHOWN else "")
            problem = "no column" if not count else "more than one column"
            raise InvalidInputError(f"the table has {problem} {column}; its columns are: {shown}")


def _distinct(columns: tuple[str, str]) -> list[str]:
    return list(dict.fromkeys(columns))


def _name(value: object) -> str:
    return type(value).__name__
