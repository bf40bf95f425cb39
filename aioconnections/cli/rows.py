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
        columns: names of the columns, in order; empty for JSON lines, where each row has its own.
        rows: lazily read.
    """

    columns: tuple[str, ...]
    rows: Iterator[RowPair | BadRow]


def read_pairs(lines: Iterable[str], id_type: IdType | None) -> Table:
    """The pairs in `lines`: CSV with a header, or one JSON object per line.

    Columns are ``source_email``, ``source_userid`` or ``source_key``, and likewise ``target_…``; or bare ``source`` and
    ``target``, whose kind `id_type` names. Others are carried along.

    Raises:
        InvalidInputError: the header lacks a column, or the input is empty.
    """
    numbered = deque[tuple[int, str]]()
    source = enumerate(lines, start=1)
    first = next(((number, line) for number, line in source if line.strip()), None)
    if first is None:
        raise InvalidInputError("the input is empty")
    if first[1].lstrip().startswith("{"):
        numbered.append(first)
        return Table((), _json_rows(_Lines(source, numbered), id_type))
    return _csv_table(_Lines(source, numbered), first[1], id_type)


class _Lines:
    """Numbered lines, of which some can be put back."""

    def __init__(self, source: Iterator[tuple[int, str]], waiting: deque[tuple[int, str]]) -> None:
        self._source = source
        self._waiting = waiting

    def take(self) -> tuple[int, str] | None:
        return self._waiting.popleft() if self._waiting else next(self._source, None)

    def put_back(self, lines: Iterable[tuple[int, str]]) -> None:
        self._waiting.extendleft(reversed(list(lines)))


def _csv_table(lines: _Lines, header: str, id_type: IdType | None) -> Table:
    delimiter = max(",;\t", key=header.count)
    columns = tuple(name.strip() for name in _fields(header, delimiter) or ())
    for side in ("source", "target"):
        named = [f"{side}_{kind}" for kind in _KINDS]
        if not any(name in columns for name in named) and not (side in columns and id_type):
            hint = f", or {side} with --id-type" if side not in columns else "; for a bare one add --id-type"
            raise InvalidInputError(f"the input has no column for the {side}: {', '.join(named)}{hint}")
    return Table(columns, _csv_rows(lines, columns, delimiter, id_type))


def _csv_rows(
    lines: _Lines, columns: tuple[str, ...], delimiter: str, id_type: IdType | None
) -> Iterator[RowPair | BadRow]:
    while (record := _record(lines)) is not None:
        number, text = record
        if not text.strip():
            continue
        fields = _fields(text, delimiter)
        if fields is None:
            yield BadRow(number, "the quotes do not match")
            continue
        row: Row = dict(zip(columns, fields, strict=False))
        if len(fields) != len(columns):
            yield BadRow(number, f"{len(fields)} fields where the header has {len(columns)}", row)
            continue
        yield _row(number, row, id_type)


def _record(lines: _Lines) -> tuple[int, str] | None:
    """The next record: one line, or several where a quoted field goes on."""
    first = lines.take()
    if first is None or first[1].count('"') % 2 == 0:
        return first
    number, text = first
    more: list[tuple[int, str]] = []
    while len(more) < _LONGEST_RECORD and (line := lines.take()) is not None:
        more.append(line)
        text += line[1]
        if line[1].count('"') % 2:
            return number, text
    lines.put_back(more)
    return first


def _fields(record: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader(record.splitlines(keepends=True), delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return None


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
    for kind, make in _KINDS.items():
        value = row.get(f"{side}_{kind}")
        if isinstance(value, str) and value.strip():
            return make(value)
    value = row.get(side)
    if id_type is not None and isinstance(value, str) and value.strip():
        return _KINDS[id_type](value)
    raise InvalidInputError(f"no {side}")
