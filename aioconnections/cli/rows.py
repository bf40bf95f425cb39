"""Items from a file: CSV or JSON lines in, one item or `BadRowError` for each row; what an item is, its `Shape` says.

A row that cannot be read is a value like any other, so that one broken line never hides the others: a quoted field
that never ends spoils the line in which it starts, and no more.
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

from aioconnections.cli.progress import say
from aioconnections.errors import InvalidInputError
from aioconnections.identifiers import LONGEST, plain_text
from aioconnections.records import Connection, Email, Identity, Invitation, Key, Pair, Person, Userid

__all__ = [
    "CONNECTIONS",
    "INVITATIONS",
    "NO_FIELD_LIMIT",
    "PAIRS",
    "PEOPLE",
    "BadRowError",
    "IdType",
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

IdType: TypeAlias = Literal["email", "userid", "key"]
InputRow: TypeAlias = dict[str, object]

NO_FIELD_LIMIT = 2**31 - 1
"""The largest limit that `csv.field_size_limit` takes on every system, in characters."""

_LONGEST_RECORD = 50  # lines; a quoted field may hold line ends, but hardly more
_LONGEST_SHOWN = 60  # characters
_BOM = "\ufeff"
_EXCEL = re.compile(r'"?sep=([^"])"?', re.IGNORECASE)  # what Excel takes for the delimiter, and no row


@frozen
class Shape(Generic[ItemT]):
    """What the rows of an input hold.

    Attributes:
        own: names of the columns that are understood, which may come only once.
        bare: names of those that only an `IdType` explains.
        lacks: what a header lacks, in words; None if it lacks nothing.
        item: of a row and its line; it raises `InvalidInputError` for a row that holds none.
    """

    own: frozenset[str]
    bare: frozenset[str]
    lacks: Callable[[tuple[str, ...], IdType | None], str | None]
    item: Callable[[InputRow, int, IdType | None], ItemT]


class BadRowError(InvalidInputError):
    """A row that holds no item; in the place of one it tells the client why there is none.

    Attributes:
        line: number of its first line, from 1.
        problem: what is wrong, in words.
        row: as much of it as could be read.
    """

    def __init__(self, line: int, problem: str, row: InputRow | None = None) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line: int = line
        self.problem: str = problem
        self.row: InputRow = row or {}


@define
class RepeatedHeaders:
    """Lines that repeat the header of a CSV file, as concatenated files have them. They are skipped.

    Attributes:
        count: of them, so far.
        first: number of the first of these lines; 0 if there is none.
    """

    count: int = 0
    first: int = 0

    def add(self, line: int) -> None:
        """Count one more."""
        self.count += 1
        self.first = self.first or line


@frozen
class Table(Generic[ItemT]):
    """The rows of one input.

    Attributes:
        form: what the input is.
        columns: names of the columns, in order; empty for JSON lines, where each row has its own.
        rows: lazily read.
        repeats: lines that were skipped, as far as the rows were read.
    """

    form: Literal["csv", "jsonl"]
    columns: tuple[str, ...]
    rows: Iterator[ItemT | BadRowError]
    repeats: RepeatedHeaders = field(factory=RepeatedHeaders)


def read_rows(text: Iterable[str], shape: Shape[ItemT], id_type: IdType | None) -> Table[ItemT]:
    """The items in the lines of `text`: CSV with a header, or one JSON object per line.

    Names of CSV columns that are understood may be in any case, and the first line may say ``sep=;``, as for Excel.
    Columns with bare names hold identities of the kind that `id_type` names. Columns that are not understood are
    carried along. Further lines that repeat the header are skipped, and a byte order mark counts at no line, because
    inputs are made by concatenating files. Rows below a header with other columns cannot be read.

    Raises:
        InvalidInputError: the header lacks a column, or the input is empty or something else.
    """
    lines = _Lines(text)
    first = _first(lines)
    told = _EXCEL.fullmatch(first.rstrip("\r\n"))
    if told is not None:
        lines.take()
        return _csv_table(lines, _first(lines), told[1], shape, id_type)
    if first.lstrip().startswith("["):
        raise InvalidInputError("the input is neither CSV nor JSON lines: JSON must be one object per line")
    if first.lstrip().startswith("{"):
        rows = _json_rows(lines, shape, id_type)
        return Table("jsonl", (), rows)
    return _csv_table(lines, first, max(",;\t", key=first.count), shape, id_type)


class _Lines:
    """Numbered lines, of which some can be put back."""

    def __init__(self, text: Iterable[str]) -> None:
        self._source = _watched(text)
        self._waiting = deque[tuple[int, str]]()

    def take(self) -> tuple[int, str] | None:
        return self._waiting.popleft() if self._waiting else next(self._source, None)

    def put_back(self, lines: Iterable[tuple[int, str]]) -> None:
        self._waiting.extendleft(reversed(list(lines)))

    def skip_blank(self) -> str | None:
        """The next line that is not blank, which stays to be taken, without a byte order mark."""
        while (line := self.take()) is not None:
            text = line[1].lstrip(_BOM)
            if text.strip():
                self.put_back([(line[0], text)])
                return text
        return None


def _watched(text: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines and their numbers. It is said of the first that holds something else than UTF-8."""
    told = False
    for number, line in enumerate(text, start=1):
        if not (told or line.isascii() or _is_text(line)):
            say(f"line {number} is not all text in UTF-8; what is not becomes \ufffd in the result")
            told = True
        yield number, line


def _is_text(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first(lines: _Lines) -> str:
    """The first line that is not blank, which stays to be taken."""
    first = lines.skip_blank()
    if first is None:
        raise InvalidInputError("the input is empty")
    if "\0" in first:
        raise InvalidInputError("the input is not text in UTF-8")
    return first


def _csv_table(lines: _Lines, first: str, delimiter: str, shape: Shape[ItemT], id_type: IdType | None) -> Table[ItemT]:
    names, _ = _fields(lines, delimiter)
    if names is None:
        raise InvalidInputError("the header is not valid CSV")
    columns = _distinct(_understood([name.strip() for name in names], shape), shape.own)
    missing = shape.lacks(columns, id_type)
    if missing is not None:
        shown = f"the first line is: {_shown(first)}; is the header missing?"
        raise InvalidInputError(f"the input has no column {missing}; {shown}")
    repeats, header = RepeatedHeaders(), _Header(columns, shape, id_type)
    rows = _csv_rows(lines, header, delimiter, repeats)
    return Table("csv", columns, rows, repeats)


def _understood(names: list[str], shape: Shape[ItemT]) -> list[str]:
    """The names, those that are understood in small letters, as we write them ourselves."""
    known = (shape.own | shape.bare) - {*names}
    return [name.lower() if name.lower() in known else name for name in names]


def _shown(line: str) -> str:
    """The beginning of a line of the input, fit for a terminal."""
    text = line.strip()
    if len(text) > _LONGEST_SHOWN:
        text = f"{text[: _LONGEST_SHOWN - 1]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _distinct(names: list[str], own: frozenset[str]) -> tuple[str, ...]:
    """The names, those that come again numbered, so that every column is carried along."""
    columns: dict[str, None] = {}
    for name in names:
        if name in columns and name in own:
            raise InvalidInputError(f"the input has two columns {name}")
        again = (f"{name}_{number}" for number in range(2, len(names) + 2))
        columns[name if name not in columns else next(n for n in again if n not in columns and n not in names)] = None
    return tuple(columns)


@frozen
class _Header(Generic[ItemT]):
    """The columns of a CSV file, and what to make of the rows below them."""

    columns: tuple[str, ...]
    shape: Shape[ItemT]
    id_type: IdType | None
    _known: frozenset[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_known", self.shape.own | self.shape.bare)

    def again(self, fields: list[str]) -> Literal["same", "other"] | None:
        """Whether these fields are a header themselves: the same columns where it matters, or others."""
        if not any(len(name) <= _LONGEST_SHOWN and name.strip().lower() in self._known for name in fields):
            return None  # nearly always
        names = _understood([name.strip() for name in fields], self.shape)
        there = [name for name, column in zip(names, self.columns, strict=False) if column in self._known]
        if len(names) == len(self.columns) and there == [name for name in self.columns if name in self._known]:
            return "same"
        # One cell that is the name of a column proves little: it may say by what a person likes to be reached.
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
            yield BadRowError(number, "not valid CSV; most likely its quotes do not match")
            continue
        row: InputRow = dict(zip(header.columns, fields, strict=False))
        again = header.again(fields)
        if again == "same":
            repeats.add(number)
            other = None
        elif again == "other":
            other = number
            yield BadRowError(number, "a header with other columns than the first one; read the files one by one", row)
        elif len(fields) != len(header.columns):
            lines.put_back(taken[1:])  # what looks like one row of several lines is most likely a stray quote
            yield BadRowError(number, f"{len(fields)} fields where the header has {len(header.columns)}", row)
        elif other is not None:
            yield BadRowError(number, f"it belongs to the header in line {other}, not to the first one", row)
        else:
            item = header.item(number, row)
            yield item


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
    limit = csv.field_size_limit()
    if limit < NO_FIELD_LIMIT and sum(len(text) for _, text in taken) > limit:
        # Reading on would take the lines of a long quoted field for rows.
        raise InvalidInputError(
            f"line {taken[0][0]}: a field may be longer than {limit:,} characters; raise csv.field_size_limit"
        )
    lines.put_back(taken[1:])
    return None, taken[:1]


def _json_rows(lines: _Lines, shape: Shape[ItemT], id_type: IdType | None) -> Iterator[ItemT | BadRowError]:
    foreign: list[str] = []  # what Python takes for a number, and JSON does not know

    def number(text: str) -> float | None:
        value = float(text)
        if math.isfinite(value):
            return value
        foreign.append(text)
        return None

    decoder = json.JSONDecoder(parse_constant=number, parse_float=number)
    while (line := lines.take()) is not None:
        at, text = line[0], line[1].lstrip(_BOM)
        if not text.strip():
            continue
        foreign.clear()
        row: object = None
        with suppress(ValueError, RecursionError):
            row = decoder.decode(text)
        if not isinstance(row, dict):
            yield BadRowError(at, "not a JSON object")
        elif foreign:
            yield BadRowError(at, f"{foreign[0]:.20} is no number that JSON can hold", cast("InputRow", row))
        else:
            item = _item(at, cast("InputRow", row), shape, id_type)
            yield item


def _item(line: int, row: InputRow, shape: Shape[ItemT], id_type: IdType | None) -> ItemT | BadRowError:
    try:
        return shape.item(row, line, id_type)
    except InvalidInputError as error:
        return BadRowError(line, str(error), row)


_KINDS: dict[str, type[Identity]] = {"userid": Userid, "key": Key, "email": Email}
_HREFS = ("edit_href", "self_href")
_LONGEST_HREF = 8_192  # bytes
_LONGEST_HINT = 20  # digits
_EXACT = 2**53  # below, every whole number is one of the floats that JSON readers make
# What spreadsheets and pandas make of an id that is a number. Their exponents have a sign, which no hexadecimal id has.
_DECIMAL = re.compile(r"\s*([0-9]+)[.,]0+\s*")
_EXPONENT = re.compile(r"\s*[0-9](?:[.,][0-9]+)?[eE][+-][0-9]+\s*")


class Item(Protocol):
    """Whatever a row was understood as."""

    @property
    def row(self) -> InputRow:
        """The row that it came from."""
        ...

    @property
    def line(self) -> int:
        """Number of its first line, from 1; 0 if it came from no file."""
        ...


@frozen
class RowPair(Pair):
    """A pair and the row that it came from."""

    row: InputRow = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


@frozen
class RowPerson(Person):
    """A person and the row that they came from."""

    row: InputRow = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


@frozen
class RowConnection(Connection):
    """A connection by its id, and the row that it came from."""

    row: InputRow = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


@frozen
class RowInvitation(Invitation):
    """An invitation into a community, and the row that it came from."""

    row: InputRow = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


RowRef: TypeAlias = RowConnection | RowPair


def _pair(row: InputRow, line: int, id_type: IdType | None) -> RowPair:
    return RowPair(_identity(row, "source", id_type), _identity(row, "target", id_type), row, line)


def _person(row: InputRow, line: int, id_type: IdType | None) -> RowPerson:
    identity = _identity(row, "person", id_type)
    return RowPerson(**{identity.kind: identity}, row=row, line=line)  # type: ignore[arg-type] # each kind is a field


def _connection(row: InputRow, line: int, id_type: IdType | None) -> RowRef:
    connection_id = _name(row, "connection_id")
    if connection_id is not None:
        return RowConnection(connection_id, None, Person(), Person(), row=row, line=line)
    try:
        return _pair(row, line, id_type)
    except InvalidInputError as error:
        raise InvalidInputError(f"no connection_id, and {error}") from None


def _invitation(row: InputRow, line: int, id_type: IdType | None) -> RowInvitation:
    del id_type
    uuid = _name(row, "community_uuid")
    edit, own = (_name(row, column, longest=_LONGEST_HREF) for column in _HREFS)
    if uuid is None and edit is None and own is None:
        raise InvalidInputError("no community_uuid and no edit_href")
    return RowInvitation(None, uuid, self_href=own, edit_href=edit, row=row, line=line)


def _columns(who: str) -> dict[str, type[Identity]]:
    """The columns that identify a person; the identity that every server accepts comes first."""
    return {kind if who == "person" else f"{who}_{kind}": make for kind, make in _KINDS.items()}


def _identity(row: InputRow, who: str, id_type: IdType | None) -> Identity:
    candidates = _COLUMNS[who]
    for column, make in candidates.items():
        text = _text(row, column)
        if text is not None:
            return _made(make, text, column)
    if id_type is not None:
        text = _text(row, who)
        if text is not None:
            return _made(_KINDS[id_type], text, who)
    raise InvalidInputError(f"no {who}")


def _made(make: type[Identity], text: str, column: str) -> Identity:
    if make is not Email:  # which has an @
        whole = _DECIMAL.fullmatch(text)
        if whole is not None:
            hint = f"; write {whole[1]}" if len(whole[1]) <= _LONGEST_HINT else ""
            raise InvalidInputError(f"{column} ends in .0, as spreadsheets and pandas write a whole number{hint}")
        if _EXPONENT.fullmatch(text):
            raise InvalidInputError(
                f"{column} is a number with an exponent, as spreadsheets write a long one; write all of its digits"
            )
    try:
        return make(text)
    except InvalidInputError as error:
        problem = str(error)
    raise InvalidInputError(f"{column}: {problem}")


_COLUMNS = {who: _columns(who) for who in ("source", "target", "person")}


def _name(row: InputRow, column: str, *, longest: int = LONGEST) -> str | None:
    """The name of something in a column, which may be sent; None if there is none."""
    text = _text(row, column)
    return None if text is None else plain_text(text, column, longest=longest)


def _text(row: InputRow, column: str) -> str | None:
    """What a row has in a column; None if that is nothing."""
    value = row.get(column)
    if value is None or value == "" or (isinstance(value, str) and value.isspace()):
        return None
    if isinstance(value, str):
        return value
    if type(value) is float:
        if not value.is_integer():
            raise InvalidInputError(f"{column} is a number with a fraction; an id is text or a whole number")
        if abs(value) >= _EXACT:
            raise InvalidInputError(f"{column} is a number whose last digits may be lost; write the id as text")
        value = int(value)
    if type(value) is not int:  # some directories count people: JSON has a number
        raise InvalidInputError(f"{column} is neither text nor a whole number")
    return str(value)


def _lacks(columns: tuple[str, ...], id_type: IdType | None, *everybody: str) -> str | None:
    for who in everybody:
        if not any(name in columns for name in _COLUMNS[who]) and not (who in columns and id_type):
            hint = f", or {who} with --id-type" if who not in columns else "; for a bare one add --id-type"
            return f"for the {who}: {', '.join(_COLUMNS[who])}{hint}"
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
