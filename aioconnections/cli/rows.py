"""Pairs of people from a file: CSV or JSON lines in, one `RowPair` or `BadRow` for each row.

A row that cannot be read is a value like any other, so that one broken line never hides the others: a quoted field
that never ends spoils the line in which it starts, and no more.
"""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Literal, TypeAlias, cast

from attrs import field, frozen

from aioconnections.errors import InvalidInputError
from aioconnections.records import Email, Identity, Key, Pair, Userid

__all__ = ["BadRow", "IdType", "Row", "RowPair", "Table", "read_pairs"]

IdType: TypeAlias = Literal["email", "userid", "key"]
Row: TypeAlias = dict[str, object]

_KINDS: dict[str, type[Identity]] = {"userid": Userid, "key": Key, "email": Email}
_LONGEST_RECORD = 50  # lines; a quoted field may hold line ends, but hardly more


@frozen
class RowPair(Pair):
    """A pair and the row that it came from."""

    row: Row = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


@frozen
class BadRow:
    """A row that holds no pair.

    Attributes:
        line: number of its first line, from 1.
        problem: what is wrong, in words.
        row: as much of it as could be read.
    """

    line: int
    problem: str
    row: Row = field(factory=dict, repr=False)


@frozen
class Table:
    """The rows of one input.

    Attributes:
        form: what the input is.
        columns: names of the columns, in order; empty for JSON lines, where each row has its own.
        rows: lazily read.
    """

    form: Literal["csv", "jsonl"]
    columns: tuple[str, ...]
    rows: Iterator[RowPair | BadRow]


def read_pairs(text: Iterable[str], id_type: IdType | None) -> Table:
    """The pairs in the lines of `text`: CSV with a header, or one JSON object per line.

    Columns are ``source_email``, ``source_userid`` or ``source_key``, and likewise ``target_…``; or bare ``source`` and
    ``target``, whose kind `id_type` names. Others are carried along.

    Raises:
        InvalidInputError: the header lacks a column, or the input is empty or something else.
    """
    lines = _Lines(text)
    first = lines.skip_blank()
    if first is None:
        raise InvalidInputError("the input is empty")
    if "\0" in first:
        raise InvalidInputError("the input is not text in UTF-8")
    if first.lstrip().startswith("["):
        raise InvalidInputError("the input is neither CSV nor JSON lines: JSON must be one object per line")
    if first.lstrip().startswith("{"):
        return Table("jsonl", (), _json_rows(lines, id_type))
    return _csv_table(lines, max(",;\t", key=first.count), id_type)


class _Lines:
    """Numbered lines, of which some can be put back."""

    def __init__(self, text: Iterable[str]) -> None:
        self._source = enumerate(text, start=1)
        self._waiting = deque[tuple[int, str]]()

    def take(self) -> tuple[int, str] | None:
        return self._waiting.popleft() if self._waiting else next(self._source, None)

    def put_back(self, lines: Iterable[tuple[int, str]]) -> None:
        self._waiting.extendleft(reversed(list(lines)))

    def skip_blank(self) -> str | None:
        """The next line that is not blank, which stays to be taken."""
        while (line := self.take()) is not None:
            if line[1].strip():
                self.put_back([line])
                return line[1]
        return None


def _csv_table(lines: _Lines, delimiter: str, id_type: IdType | None) -> Table:
    names, _ = _fields(lines, delimiter)
    if names is None:
        raise InvalidInputError("the header is not valid CSV")
    columns = _distinct([name.strip() for name in names])
    for side in ("source", "target"):
        named = [f"{side}_{kind}" for kind in _KINDS]
        if not any(name in columns for name in named) and not (side in columns and id_type):
            hint = f", or {side} with --id-type" if side not in columns else "; for a bare one add --id-type"
            raise InvalidInputError(f"the input has no column for the {side}: {', '.join(named)}{hint}")
    return Table("csv", columns, _csv_rows(lines, columns, delimiter, id_type))


def _distinct(names: list[str]) -> tuple[str, ...]:
    """The names, those that come again numbered, so that every column is carried along."""
    columns: dict[str, None] = {}
    for name in names:
        if name in columns and name in {f"{side}_{kind}" for side in ("source", "target") for kind in _KINDS}:
            raise InvalidInputError(f"the input has two columns {name}")
        again = (f"{name}_{number}" for number in range(2, len(names) + 2))
        columns[name if name not in columns else next(n for n in again if n not in columns and n not in names)] = None
    return tuple(columns)


def _csv_rows(
    lines: _Lines, columns: tuple[str, ...], delimiter: str, id_type: IdType | None
) -> Iterator[RowPair | BadRow]:
    while lines.skip_blank() is not None:
        fields, taken = _fields(lines, delimiter)
        number = taken[0][0]
        if fields is None:
            yield BadRow(number, "not valid CSV; most likely its quotes do not match")
            continue
        row: Row = dict(zip(columns, fields, strict=False))
        if len(fields) == len(columns):
            yield _row(number, row, id_type)
        else:
            lines.put_back(taken[1:])  # what looks like one row of several lines is most likely a stray quote
            yield BadRow(number, f"{len(fields)} fields where the header has {len(columns)}", row)


def _fields(lines: _Lines, delimiter: str) -> tuple[list[str] | None, list[tuple[int, str]]]:
    """The fields of the next record and its lines: more than one where a quoted field goes on.

    Without fields, only the first line has been taken.
    """
    taken: list[tuple[int, str]] = []

    def feed() -> Iterator[str]:
        while len(taken) < _LONGEST_RECORD and (line := lines.take()) is not None:
            taken.append(line)
            yield line[1]

    with suppress(csv.Error):
        return next(csv.reader(feed(), delimiter=delimiter, strict=True)), taken
    lines.put_back(taken[1:])
    return None, taken[:1]


def _json_rows(lines: _Lines, id_type: IdType | None) -> Iterator[RowPair | BadRow]:
    while (line := lines.take()) is not None:
        number, text = line
        if not text.strip():
            continue
        row: object = None
        with suppress(ValueError, RecursionError):
            row = json.loads(text)
        if isinstance(row, dict):
            yield _row(number, cast("Row", row), id_type)
        else:
            yield BadRow(number, "not a JSON object")


def _row(line: int, row: Row, id_type: IdType | None) -> RowPair | BadRow:
    try:
        return RowPair(_identity(row, "source", id_type), _identity(row, "target", id_type), row, line)
    except InvalidInputError as error:
        return BadRow(line, str(error), row)


def _identity(row: Row, side: str, id_type: IdType | None) -> Identity:
    candidates = [(f"{side}_{kind}", make) for kind, make in _KINDS.items()]
    if id_type is not None:
        candidates.append((side, _KINDS[id_type]))
    for column, make in candidates:
        value = row.get(column)
        if value is None or value == "" or (isinstance(value, str) and value.isspace()):
            continue
        if not isinstance(value, str) and type(value) is not int:  # some directories count people: JSON has a number
            raise InvalidInputError(f"{column} is neither text nor a whole number")
        text = str(value)
        with suppress(UnicodeEncodeError):
            text.encode()
            return make(text)
        raise InvalidInputError(f"{column} is not text in UTF-8")
    raise InvalidInputError(f"no {side}")
