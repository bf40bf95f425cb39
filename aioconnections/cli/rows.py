"""Read CSV or JSON lines: one item, as defined by a `Shape`, or one `BadRowError` for each row.

An invalid row does not affect the others: a quoted field without an end invalidates only the line in which it starts.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar, cast

from attrs import define, field, frozen

from aioconnections.cli.options import IdType
from aioconnections.cli.progress import say
from aioconnections.errors import InvalidInputError
from aioconnections.identifiers import LONGEST, plain_text
from aioconnections.records import Connection, Email, Identity, Invitation, Key, Pair, Person, Userid
from aioconnections.tables import cell_text, identity_in

__all__ = [
    "CONNECTIONS",
    "INVITATIONS",
    "NO_FIELD_LIMIT",
    "PAIRS",
    "PEOPLE",
    "BadRowError",
    "InputRow",
    "Item",
    "RepeatedHeaders",
    "RowConnection",
    "RowInvitation",
    "RowPair",
    "RowPerson",
    "Shape",
    "Table",
    "read_rows",
]

ItemT = TypeVar("ItemT")

InputRow: TypeAlias = dict[str, object]

NO_FIELD_LIMIT = 2**31 - 1
"""The largest limit that `csv.field_size_limit` accepts on every system, in characters."""

_LONGEST_RECORD = 50  # lines; a quoted field may hold line ends, but hardly more
_LONGEST_SHOWN = 60  # characters
_BOM = "\ufeff"
_EXCEL = re.compile(r'"?sep=([^"])"?', re.IGNORECASE)  # sets the delimiter in Excel; not a row
_KINDS: dict[str, type[Identity]] = {"userid": Userid, "key": Key, "email": Email}
_HREFS = ("edit_href", "self_href")
_LONGEST_HREF = 8_192  # bytes


@frozen
class Shape(Generic[ItemT]):
    """The columns and items of an input.

    Attributes:
        own: names of the known columns, which may occur only once.
        bare: names of the columns that need an `IdType`.
        lacks: describes the column that a header lacks; None if it lacks none.
        item: makes the item of a row and its line number; raises `InvalidInputError` for a row without one.
    """

    own: frozenset[str]
    bare: frozenset[str]
    lacks: Callable[[tuple[str, ...], IdType | None], str | None]
    item: Callable[[InputRow, int, IdType | None], ItemT]


class BadRowError(InvalidInputError):
    """A row that could not be read as an item. It is passed to the client in place of the item.

    Attributes:
        line: number of the first line of the row, from 1.
        problem: description of the error.
        row: the columns that could be read.
    """

    def __init__(self, line: int, problem: str, row: InputRow | None = None) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line: int = line
        self.problem: str = problem
        self.row: InputRow = row or {}


@define
class RepeatedHeaders:
    """Lines that repeat the header of a CSV file, as in concatenated files. They are skipped.

    Attributes:
        count: number of these lines so far.
        first: line number of the first; 0 if there is none.
    """

    count: int = 0
    first: int = 0

    def add(self, line: int) -> None:
        """Count one more line."""
        self.count += 1
        self.first = self.first or line


@frozen
class Table(Generic[ItemT]):
    """The rows of one input.

    Attributes:
        form: format of the input.
        columns: names of the columns, in order; empty for JSON lines, where each row has its own.
        rows: the items, read lazily.
        repeats: repeated headers in the rows read so far.
    """

    form: Literal["csv", "jsonl"]
    columns: tuple[str, ...]
    rows: Iterator[ItemT | BadRowError]
    repeats: RepeatedHeaders = field(factory=RepeatedHeaders)


def read_rows(text: Iterable[str], shape: Shape[ItemT], id_type: IdType | None) -> Table[ItemT]:
    """Read the items in the lines of `text`: CSV with a header, or one JSON object per line.

    Known CSV columns may be in any case, and the first line may be ``sep=;``, as for Excel. Bare columns contain
    identities of the kind `id_type`. Unknown columns are copied to the result. Inputs may be concatenated files, so
    lines that repeat the header are skipped, and so is a byte order mark at the start of any line. Rows below a header
    with different columns are invalid.

    Raises:
        InvalidInputError: the header lacks a column, or the input is empty or has another format.
    """
    lines = _Lines(text)
    first = _first(lines)
    separator = _EXCEL.fullmatch(first.rstrip("\r\n"))
    if separator is not None:
        lines.take()
        return _csv_table(lines, _first(lines), separator[1], shape, id_type)
    if first.lstrip().startswith("["):
        raise InvalidInputError("the input is neither CSV nor JSON lines: JSON must be one object per line")
    if first.lstrip().startswith("{"):
        rows = _json_rows(lines, shape, id_type)
        return Table("jsonl", (), rows)
    return _csv_table(lines, first, max(",;\t", key=first.count), shape, id_type)


class _Lines:
    """Numbered lines that can be put back."""

    def __init__(self, text: Iterable[str]) -> None:
        self._source = _numbered(text)
        self._waiting = deque[tuple[int, str]]()

    def take(self) -> tuple[int, str] | None:
        return self._waiting.popleft() if self._waiting else next(self._source, None)

    def put_back(self, lines: Iterable[tuple[int, str]]) -> None:
        self._waiting.extendleft(reversed(list(lines)))

    def skip_blank(self) -> str | None:
        """The next line that is not blank, without its byte order mark; the line is not taken."""
        while (line := self.take()) is not None:
            text = line[1].lstrip(_BOM)
            if text.strip():
                self.put_back([(line[0], text)])
                return text
        return None


def _numbered(text: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines and their numbers; the first line that is not UTF-8 is reported."""
    reported = False
    for number, line in enumerate(text, start=1):
        if not (reported or line.isascii() or _is_text(line)):
            say(f"line {number} contains bytes that are not UTF-8; in the result each becomes \ufffd")
            reported = True
        yield number, line


def _is_text(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first(lines: _Lines) -> str:
    """The first line that is not blank; it is not taken."""
    first = lines.skip_blank()
    if first is None:
        raise InvalidInputError("the input is empty")
    if "\0" in first:
        raise InvalidInputError("the input is not text in UTF-8")
    return first


def _csv_table(lines: _Lines, first: str, delimiter: str, shape: Shape[ItemT], id_type: IdType | None) -> Table[ItemT]:
    names, _ = _fields(lines, delimiter)
    if names is None:
        raise InvalidInputError("the header is not valid CSV; check its quotes")
    columns = _distinct(_normalized([name.strip() for name in names], shape), shape.own)
    missing = shape.lacks(columns, id_type)
    if missing is not None:
        shown = f"the first line is: {_shown(first)}; is the header missing?"
        raise InvalidInputError(f"the input has no column {missing}; {shown}")
    repeats, header = RepeatedHeaders(), _Header(columns, shape, id_type)
    rows = _csv_rows(lines, header, delimiter, repeats)
    return Table("csv", columns, rows, repeats)


def _normalized(names: list[str], shape: Shape[ItemT]) -> list[str]:
    """The names, with known ones in lower case."""
    known = (shape.own | shape.bare) - {*names}
    return [name.lower() if name.lower() in known else name for name in names]


def _shown(line: str) -> str:
    """The beginning of a line of the input, escaped for a terminal."""
    text = line.strip()
    if len(text) > _LONGEST_SHOWN:
        text = f"{text[: _LONGEST_SHOWN - 1]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _distinct(names: list[str], own: frozenset[str]) -> tuple[str, ...]:
    """The names, with numbers appended to repeated unknown ones, so that every column is kept."""
    columns: dict[str, None] = {}
    for name in names:
        if name in columns and name in own:
            raise InvalidInputError(f"the input has two columns {name}; remove or rename one")
        again = (f"{name}_{number}" for number in range(2, len(names) + 2))
        columns[name if name not in columns else next(n for n in again if n not in columns and n not in names)] = None
    return tuple(columns)


@frozen
class _Header(Generic[ItemT]):
    """The columns of a CSV file, which turn rows into items."""

    columns: tuple[str, ...]
    shape: Shape[ItemT]
    id_type: IdType | None
    _known: frozenset[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_known", self.shape.own | self.shape.bare)

    def repeated_in(self, fields: list[str]) -> Literal["same", "other"] | None:
        """Whether these fields are a header: with the same known columns, or with other columns."""
        if not any(len(name) <= _LONGEST_SHOWN and name.strip().lower() in self._known for name in fields):
            return None  # fast path for nearly all rows
        names = _normalized([name.strip() for name in fields], self.shape)
        there = [name for name, column in zip(names, self.columns, strict=False) if column in self._known]
        if len(names) == len(self.columns) and there == [name for name in self.columns if name in self._known]:
            return "same"
        # One field with the name of a column does not prove a header: it may be data, such as "email".
        known = sum(name in self._known for name in names) > 1 or not self._known.isdisjoint(there)
        if known or sorted(names) == sorted(self.columns):
            return "other" if self.shape.lacks(tuple(names), self.id_type) is None else None
        return None

    def item(self, line: int, row: InputRow) -> ItemT | BadRowError:
        return _item(line, row, self.shape, self.id_type)


def _csv_rows(
    lines: _Lines, header: _Header[ItemT], delimiter: str, repeats: RepeatedHeaders
) -> Iterator[ItemT | BadRowError]:
    other: int | None = None  # line of a header with other columns
    while lines.skip_blank() is not None:
        fields, taken = _fields(lines, delimiter)
        number = taken[0][0]
        if fields is None:
            yield BadRowError(number, "not valid CSV; check its quotes")
            continue
        row: InputRow = dict(zip(header.columns, fields, strict=False))
        repeated = header.repeated_in(fields)
        if repeated == "same":
            repeats.add(number)
            other = None
        elif repeated == "other":
            other = number
            yield BadRowError(
                number, "a header whose columns differ from the first header; process the files one by one", row
            )
        elif len(fields) != len(header.columns):
            lines.put_back(taken[1:])  # several lines in one row are most likely due to a stray quote
            yield BadRowError(number, f"{len(fields)} fields where the header has {len(header.columns)}", row)
        elif other is not None:
            yield BadRowError(number, f"the row belongs to the header in line {other}, not to the first header", row)
        else:
            item = header.item(number, row)
            yield item


def _fields(lines: _Lines, delimiter: str) -> tuple[list[str] | None, list[tuple[int, str]]]:
    """The fields of the next record, and its lines: several if a quoted field contains line ends.

    If the record is invalid, the fields are None and only its first line is taken.
    """
    taken: list[tuple[int, str]] = []

    def feed() -> Iterator[str]:
        while len(taken) < _LONGEST_RECORD and (line := lines.take()) is not None:
            taken.append(line)
            yield line[1]

    with suppress(csv.Error):
        return next(csv.reader(feed(), delimiter=delimiter, strict=True)), taken
    limit = csv.field_size_limit()
    if limit < NO_FIELD_LIMIT and sum(len(text) for _, text in taken) > limit:
        # Otherwise the lines of a long quoted field would be read as rows.
        raise InvalidInputError(
            f"line {taken[0][0]}: a field may be longer than {limit:,} characters; raise csv.field_size_limit"
        )
    lines.put_back(taken[1:])
    return None, taken[:1]


def _json_rows(lines: _Lines, shape: Shape[ItemT], id_type: IdType | None) -> Iterator[ItemT | BadRowError]:
    not_finite: list[str] = []  # numbers such as NaN, which Python reads but the result cannot contain

    def number(text: str) -> float | None:
        value = float(text)
        if math.isfinite(value):
            return value
        not_finite.append(text)
        return None

    decoder = json.JSONDecoder(parse_constant=number, parse_float=number)
    while (line := lines.take()) is not None:
        at, text = line[0], line[1].lstrip(_BOM)
        if not text.strip():
            continue
        not_finite.clear()
        row: object = None
        with suppress(ValueError, RecursionError):
            row = decoder.decode(text)
        if not isinstance(row, dict):
            yield BadRowError(at, "not a JSON object")
        elif not_finite:
            yield BadRowError(at, f"{not_finite[0]:.20} is not a finite number", cast("InputRow", row))
        else:
            item = _item(at, cast("InputRow", row), shape, id_type)
            yield item


def _item(line: int, row: InputRow, shape: Shape[ItemT], id_type: IdType | None) -> ItemT | BadRowError:
    try:
        return shape.item(row, line, id_type)
    except InvalidInputError as error:
        return BadRowError(line, str(error), row)


class Item(Protocol):
    """The item of a row, of any shape."""

    @property
    def row(self) -> InputRow:
        """The row of the item."""
        ...

    @property
    def line(self) -> int:
        """Number of the first line of the row, from 1; 0 if it was not read from a file."""
        ...


@frozen
class RowPair(Pair):
    """A pair and its row."""

    row: InputRow = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


@frozen
class RowPerson(Person):
    """A person and their row."""

    row: InputRow = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


@frozen
class RowConnection(Connection):
    """A colleague connection, identified by its id, and its row."""

    row: InputRow = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


@frozen
class RowInvitation(Invitation):
    """An invitation into a community, and its row."""

    row: InputRow = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


RowRef: TypeAlias = RowConnection | RowPair


def _pair(row: InputRow, line: int, id_type: IdType | None) -> RowPair:
    return RowPair(_identity(row, "source", id_type), _identity(row, "target", id_type), row, line)


def _person(row: InputRow, line: int, id_type: IdType | None) -> RowPerson:
    identity = _identity(row, "person", id_type)
    return RowPerson(**{identity.kind: identity}, row=row, line=line)  # type: ignore[arg-type] # each kind is a field


def _connection(row: InputRow, line: int, id_type: IdType | None) -> RowRef:
    text = _name(row, "connection_id", longest=_LONGEST_HREF)
    if text is not None:
        from aioconnections.client.items import connection_ref  # imports the client

        which = connection_ref(text)
        if isinstance(which, Pair):
            return RowPair(which.source, which.target, row, line)
        return RowConnection(str(which), None, Person(), Person(), row=row, line=line)
    try:
        return _pair(row, line, id_type)
    except InvalidInputError as error:
        raise InvalidInputError(f"no connection_id, and {error}") from None


def _invitation(row: InputRow, line: int, id_type: IdType | None) -> RowInvitation:
    del id_type
    uuid = _name(row, "community_uuid")
    edit, own = (_name(row, column, longest=_LONGEST_HREF) for column in _HREFS)
    if uuid is None and edit is None and own is None:
        raise InvalidInputError("no invitation: community_uuid, edit_href and self_href are empty")
    return RowInvitation(None, uuid, self_href=own, edit_href=edit, row=row, line=line)


def _columns(role: str) -> dict[str, type[Identity]]:
    """The columns that identify a person; the identity that every server accepts is first."""
    return {kind if role == "person" else f"{role}_{kind}": make for kind, make in _KINDS.items()}


def _identity(row: InputRow, role: str, id_type: IdType | None) -> Identity:
    candidates = _COLUMNS[role]
    for column, make in candidates.items():
        text = _text(row, column)
        if text is not None:
            return identity_in(make, text, column)
    if id_type is not None:
        text = _text(row, role)
        if text is not None:
            return identity_in(_KINDS[id_type], text, role)
    *others, last = (*candidates, role) if id_type is not None else candidates
    raise InvalidInputError(f"no {role}: {', '.join(others)} and {last} are empty")


_COLUMNS = {role: _columns(role) for role in ("source", "target", "person")}


def _name(row: InputRow, column: str, *, longest: int = LONGEST) -> str | None:
    """The checked text in a column, as sent to the server; None if the column is empty."""
    text = _text(row, column)
    return None if text is None else plain_text(text, column, longest=longest)


def _text(row: InputRow, column: str) -> str | None:
    """The text in a column of a row; None if it is empty."""
    return cell_text(row.get(column), column)


def _lacks(columns: tuple[str, ...], id_type: IdType | None, *roles: str) -> str | None:
    for role in roles:
        if not any(name in columns for name in _COLUMNS[role]) and not (role in columns and id_type):
            hint = f", or {role} with --id-type" if role not in columns else f"; to use {role}, add --id-type"
            return f"for the {role}: {', '.join(_COLUMNS[role])}{hint}"
    return None


def _lacks_connection(columns: tuple[str, ...], id_type: IdType | None) -> str | None:
    missing = None if "connection_id" in columns else _lacks(columns, id_type, "source", "target")
    return missing and f"connection_id, nor one {missing}"


def _lacks_invitation(columns: tuple[str, ...], id_type: IdType | None) -> str | None:
    del id_type
    return None if {"community_uuid", *_HREFS} & {*columns} else "community_uuid or edit_href"


_OF_PAIRS = frozenset((*_COLUMNS["source"], *_COLUMNS["target"]))
_BARE = frozenset(("source", "target"))

PAIRS: Shape[RowPair] = Shape(_OF_PAIRS, _BARE, lambda columns, kind: _lacks(columns, kind, "source", "target"), _pair)
PEOPLE: Shape[RowPerson] = Shape(
    frozenset(_COLUMNS["person"]), frozenset({"person"}), lambda columns, kind: _lacks(columns, kind, "person"), _person
)
CONNECTIONS: Shape[RowRef] = Shape(_OF_PAIRS | {"connection_id"}, _BARE, _lacks_connection, _connection)
INVITATIONS: Shape[RowInvitation] = Shape(
    frozenset(("community_uuid", *_HREFS)), frozenset(), _lacks_invitation, _invitation
)
