"""Read CSV or JSON lines: one item, as defined by a `Shape`, or one `BadRowError` for each row.

An invalid row does not affect the others: a quoted field without an end invalidates only the line in which it starts.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar, cast

from attrs import define, evolve, field, frozen

from aioconnections.columns import (
    BARE,
    HREFS,
    LONGEST_HREF,
    OF_PAIRS,
    KnownNames,
    Untyped,
    distinct_columns,
    lacks_connection,
    lacks_invitation,
    lacks_people,
)
from aioconnections.columns import COLUMNS as PERSON_COLUMNS
from aioconnections.errors import InvalidInputError
from aioconnections.files.dialect import BOM, ESCAPED, CsvDialect, Format, in_words, unescaped
from aioconnections.records import Connection, Invitation, Pair, Person
from aioconnections.tables import identity_in_row, name_in_row

__all__ = [
    "CONNECTIONS",
    "INVITATIONS",
    "NO_FIELD_LIMIT",
    "PAIRS",
    "PEOPLE",
    "BadRowError",
    "InputRow",
    "Item",
    "Place",
    "RepeatedLines",
    "RowConnection",
    "RowInvitation",
    "RowPair",
    "RowPerson",
    "Shape",
    "Table",
    "item_of_row",
    "read_more",
    "read_rows",
]

ItemT = TypeVar("ItemT")

InputRow: TypeAlias = dict[str, object]

NO_FIELD_LIMIT = 2**31 - 1
"""The largest limit that `csv.field_size_limit` accepts on every system, in characters."""

_LONGEST_RECORD = 50  # lines; a quoted field may hold line ends, but hardly more
_LONGEST_SHOWN = 60  # characters
_DELIMITERS = ",;\t"
_LINE_END = re.compile(r"\r\n\Z|[\r\n]\Z")
_SURROGATES = re.compile("[\ud800-\udfff]")
_MOST_KEY_SETS = 100
_EXCEL = re.compile(r'"?sep=([^"])"?', re.IGNORECASE)  # sets the delimiter in Excel; not a row


@frozen
class Shape(Generic[ItemT]):
    """The columns and items of an input.

    Attributes:
        own: names of the known columns, which may occur only once.
        bare: names of the columns that need an `Untyped`: the roles of people.
        lacks: describes the column that a header lacks; None if it lacks none.
        item: makes the item of a row and its line number; raises `InvalidInputError` for a row without one.
    """

    own: frozenset[str]
    bare: frozenset[str]
    lacks: Callable[[tuple[str, ...], Untyped | None], str | None]
    item: Callable[[InputRow, int, Untyped | None], ItemT]

    def known(self, untyped: Untyped | None) -> KnownNames:
        """The names of columns that are understood."""
        if untyped is None:
            return KnownNames(self.own | self.bare, self.own)
        chosen = frozenset(untyped.columns.values())
        return KnownNames(self.own | self.bare, self.own | (self.bare - untyped.columns.keys()) | chosen, chosen)


class BadRowError(InvalidInputError):
    """A row that could not be read as an item. It is passed to the client in place of the item.

    Attributes:
        line: number of the first line of the row, from 1.
        problem: description of the error.
        row: the columns that could be read.
        outcome: the outcome in the result: unreadable, or in_doubt for a row that must not be repeated.
    """

    def __init__(
        self,
        line: int,
        problem: str,
        row: InputRow | None = None,
        *,
        outcome: Literal["unreadable", "in_doubt"] = "unreadable",
    ) -> None:
        super().__init__(f"line {line}: {problem}")
        self.outcome: Literal["unreadable", "in_doubt"] = outcome
        self.line: int = line
        self.problem: str = problem
        self.row: InputRow = row or {}


@define
class RepeatedLines:
    """Lines that repeat an earlier line, such as the header of a CSV file in concatenated files. They are skipped.

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

    def described(self, repeated: str) -> list[str]:
        """The part of a summary about these lines; empty if there are none.

        Args:
            repeated: what they repeat, such as "the header".
        """
        if self.count <= 1:
            return [f"line {self.first:,} repeats {repeated}"] * self.count
        return [f"{self.count:,} lines repeat {repeated}, from line {self.first:,} on"]


def _ignore(message: str) -> None:
    del message


@define
class InvalidBytes:
    """Bytes that are not text in the encoding of the input. They are replaced in the result.

    Attributes:
        encoding: the encoding.
        count: number of these bytes so far.
        copied: whether the result has the columns of the input; otherwise these bytes are not counted.
        report: called with a message about the first of these lines.
    """

    encoding: str = "utf-8"
    count: int = 0
    copied: bool = True
    report: Callable[[str], object] = _ignore

    def add(self, line: int, count: int) -> None:
        """Count the bytes of one line, and report the first line."""
        if not self.copied:
            return
        if not self.count:
            name = in_words(self.encoding)
            self.report(f"line {line} contains bytes that are not {name}; in the result each becomes \ufffd")
        self.count += count


@define
class Place:
    """Where the reading of an input stands.

    Attributes:
        read: number of the last line that was read; a few lines are read ahead of the rows.
        other: line of a header with other columns, whose rows are invalid; None if the last header is the first one.
    """

    read: int = 0
    other: int | None = None


@frozen
class Table(Generic[ItemT]):
    """The rows of one input.

    Attributes:
        form: format of the input.
        columns: names of the columns, in order; empty for JSON lines, where each row has its own.
        rows: the items, read lazily.
        dialect: form of a CSV file.
        repeats: repeated headers in the rows read so far.
        invalid: invalid bytes in the rows read so far.
        total: number of items, if they are made from rows that have been read; None if rows are read one by one.
        omitted: number of rows that could not be read, have been reported and are not among the items.
        notes: parts of the summary.
        place: where the reading stands.
        types: types of the columns of Parquet, as pyarrow has them; empty for text.
    """

    form: Format
    columns: tuple[str, ...]
    rows: Iterator[ItemT | BadRowError]
    dialect: CsvDialect = field(factory=CsvDialect)
    repeats: RepeatedLines = field(factory=RepeatedLines)
    invalid: InvalidBytes = field(factory=InvalidBytes)
    total: int | None = None
    omitted: int = 0
    notes: tuple[str, ...] = ()
    place: Place = field(factory=Place)
    types: Mapping[str, Any] = field(factory=dict[str, Any])


def read_rows(
    text: Iterable[str],
    shape: Shape[ItemT],
    untyped: Untyped | None,
    *,
    encoding: str = "utf-8",
    excel_safe: bool = False,
    copied: bool = True,
    report: Callable[[str], object] = _ignore,
) -> Table[ItemT]:
    """Read the items in the lines of `text`: CSV with a header, or one JSON object per line.

    The names of known columns may be spelled as in "Source Email", and the first line may be ``sep=;``, as for Excel.
    Otherwise the delimiter is the one that gives the necessary columns. Unknown columns are copied to the result. A row
    may lack its last fields. Inputs may be concatenated files, so lines that repeat the header are skipped, and so is a
    byte order mark at the start of any line. Rows below a header with different columns are invalid.

    Args:
        text: the lines, with their line ends.
        shape: the columns and items.
        untyped: the columns whose names do not tell the kind of identity, if any.
        encoding: encoding of the input, for messages.
        excel_safe: whether all cells of CSV may be escaped for Excel; without it, those with identities may be.
        copied: whether the result has the columns of the input.
        report: called with a message if a line has bytes that are not text.

    Raises:
        InvalidInputError: the header lacks a column, or the input is empty or has another format.
    """
    invalid, place = InvalidBytes(encoding, copied=copied, report=report), Place()
    lines = _Lines(text, invalid, place)
    first = _first(lines, encoding)
    if first.lstrip().startswith("["):
        raise InvalidInputError("the input is neither CSV nor JSON lines: JSON must be one object per line")
    if first.lstrip().startswith("{"):
        objects = _json_rows(lines, shape, untyped)
        return Table("jsonl", (), objects, invalid=invalid, place=place)
    separator = _EXCEL.fullmatch(first.rstrip("\r\n"))
    dialect = CsvDialect(excel_safe=excel_safe)
    if separator is not None:
        lines.take()
        dialect = evolve(dialect, declaration=first, delimiter=separator[1])
        first = _first(lines, encoding)
    columns, dialect = _header(lines, first, dialect, shape, untyped)
    repeats, header = RepeatedLines(), _Header(columns, shape, untyped)
    records = _csv_rows(lines, header, dialect, repeats, place)
    return Table("csv", columns, records, dialect, repeats, invalid, place=place)


def read_more(
    text: Iterable[str], shape: Shape[ItemT], untyped: Untyped | None, begun: Table[Any], place: Place
) -> Table[ItemT]:
    """Read the items in lines from the middle of an input, from the beginning of a row on.

    Args:
        text: the lines, with their line ends.
        shape: see `read_rows`.
        untyped: see `read_rows`.
        begun: the table of the input: its format, columns and dialect, and its encoding.
        place: where the reading of the input stood before these lines.
    """
    invalid = InvalidBytes(begun.invalid.encoding)
    lines = _Lines(text, invalid, place)
    if begun.form == "jsonl":
        objects = _json_rows(lines, shape, untyped)
        return Table("jsonl", (), objects, invalid=invalid, place=place)
    repeats, header = RepeatedLines(), _Header(begun.columns, shape, untyped)
    records = _csv_rows(lines, header, begun.dialect, repeats, place)
    return Table("csv", begun.columns, records, begun.dialect, repeats, invalid, place=place)


class _Lines:
    """Numbered lines that can be put back."""

    def __init__(self, text: Iterable[str], invalid: InvalidBytes, place: Place) -> None:
        self._source = _numbered(text, invalid, place)
        self._waiting = deque[tuple[int, str]]()

    def take(self) -> tuple[int, str] | None:
        return self._waiting.popleft() if self._waiting else next(self._source, None)

    def put_back(self, lines: Iterable[tuple[int, str]]) -> None:
        self._waiting.extendleft(reversed(list(lines)))

    def skip_blank(self) -> str | None:
        """The next line that is not blank, without its byte order mark; the line is not taken."""
        while (line := self.take()) is not None:
            text = line[1].lstrip(BOM)
            if text.strip():
                self.put_back([(line[0], text)])
                return text
        return None


def _numbered(text: Iterable[str], invalid: InvalidBytes, place: Place) -> Iterator[tuple[int, str]]:
    """The lines and their numbers; invalid bytes are counted."""
    for number, line in enumerate(text, start=place.read + 1):
        place.read = number
        if not (line.isascii() or _is_text(line)):
            invalid.add(number, len(_SURROGATES.findall(line)))
        yield number, line


def _is_text(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first(lines: _Lines, encoding: str) -> str:
    """The first line that is not blank; it is not taken."""
    first = lines.skip_blank()
    if first is None:
        raise InvalidInputError("the input is empty")
    if "\0" in first:
        name, utf16 = in_words(encoding), "if it is UTF-16 without a byte order mark, pass --encoding utf-16-le"
        raise InvalidInputError(f"the input is not text in {name}; {utf16}")
    return first


def _header(
    lines: _Lines, first: str, dialect: CsvDialect, shape: Shape[ItemT], untyped: Untyped | None
) -> tuple[tuple[str, ...], CsvDialect]:
    """Read the header: the columns, and the dialect with its line end and, unless it is declared, its delimiter."""
    known = shape.known(untyped)
    best: tuple[tuple[bool, int], CsvDialect, list[str]] | None = None
    for delimiter in dialect.delimiter if dialect.declaration else _DELIMITERS:
        names, taken = _fields(lines, delimiter)
        lines.put_back(taken)
        if names is None:
            continue
        if dialect.excel_safe:
            names = [unescaped(name) for name in names]
        line_end = _LINE_END.search(taken[-1][1])
        read = evolve(dialect, delimiter=delimiter, line_end=line_end[0] if line_end else dialect.line_end)
        rank = shape.lacks(tuple(known.columns(names)), untyped) is None, len(names)
        if best is None or rank > best[0]:
            best = rank, read, names
    if best is None:
        raise InvalidInputError("the header is not valid CSV; check its quotes")
    (is_complete, _), read, names = best
    _ = _fields(lines, read.delimiter)
    columns = distinct_columns(names, known)
    if not is_complete:
        missing = shape.lacks(columns, untyped)
        shown = f"the first line is: {_shown(first)}; is the header missing?"
        raise InvalidInputError(f"the input has no column {missing}; {shown}")
    return columns, read


def _shown(line: str) -> str:
    """The beginning of a line of the input, escaped for a terminal."""
    text = line.strip()
    if len(text) > _LONGEST_SHOWN:
        text = f"{text[: _LONGEST_SHOWN - 1]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@frozen
class _Header(Generic[ItemT]):
    """The columns of a CSV file, which turn rows into items."""

    columns: tuple[str, ...]
    shape: Shape[ItemT]
    untyped: Untyped | None
    _known: KnownNames = field(init=False)
    _here: frozenset[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        known = self.shape.known(self.untyped)
        object.__setattr__(self, "_known", known)
        object.__setattr__(self, "_here", known.names | known.chosen)

    def repeated_in(self, fields: list[str]) -> Literal["same", "other"] | None:
        """Whether these fields are a header: with the same known columns, or with other columns."""
        if not self._known.any_in(fields):
            return None  # fast path for nearly all rows
        names, here = self._known.columns(fields), self._here
        there = [name for name, column in zip(names, self.columns, strict=False) if column in here]
        if len(names) == len(self.columns) and there == [name for name in self.columns if name in here]:
            return "same"
        # One field with the name of a column does not prove a header: it may be data, such as "email".
        known = sum(name in here for name in names) > 1 or not here.isdisjoint(there)
        if known or sorted(names) == sorted(self.columns):
            return "other" if self.shape.lacks(tuple(names), self.untyped) is None else None
        return None

    def item(self, line: int, row: InputRow, *, is_escaped: bool) -> ItemT | BadRowError:
        """The item of a row. Its identities may be escaped for Excel, and are kept so in the row."""
        if not is_escaped:
            return item_of_row(line, row, self.shape, self.untyped)
        plain = {name: unescaped(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        item = item_of_row(line, plain, self.shape, self.untyped)
        if isinstance(item, BadRowError):
            return BadRowError(line, item.problem, row)
        return cast("ItemT", evolve(cast("Any", item), row=row))

    def unaligned(self, row: InputRow) -> InputRow:
        """The row without the known columns, because their cells may belong to others."""
        return {name: cell for name, cell in row.items() if name not in self._here}


def _csv_rows(
    lines: _Lines, header: _Header[ItemT], dialect: CsvDialect, repeats: RepeatedLines, place: Place
) -> Iterator[ItemT | BadRowError]:
    columns, width = header.columns, len(header.columns)
    while lines.skip_blank() is not None:
        fields, taken = _fields(lines, dialect.delimiter)
        number = taken[0][0]
        if fields is None:
            yield BadRowError(number, "not valid CSV; check its quotes")
            continue
        is_escaped = ESCAPED in taken[0][1]
        if is_escaped and dialect.excel_safe:
            fields, is_escaped = [unescaped(text) for text in fields], False
        repeated = header.repeated_in(fields)
        count = len(fields)
        if count < width and len(taken) == 1:
            fields += [""] * (width - count)  # Excel omits the delimiters of empty cells at the end of some rows
        row: InputRow = dict(zip(columns, fields, strict=False))
        if repeated == "same":
            repeats.add(number)
            place.other = None
        elif repeated == "other":
            place.other = number
            problem = "a header whose columns differ from the first header; process the files one by one"
            yield BadRowError(number, problem, header.unaligned(row))
        elif len(fields) != width:
            lines.put_back(taken[1:])  # several lines in one row are most likely due to a stray quote
            advice = "a field with the delimiter needs quotes" if count > width else "check its quotes"
            problem = f"{count} field{'s' * (count != 1)} where the header has {width}; {advice}"
            yield BadRowError(number, problem, header.unaligned(row))
        elif place.other is not None:
            problem = f"the row belongs to the header in line {place.other}, not to the first header"
            yield BadRowError(number, problem, header.unaligned(row))
        else:
            item = header.item(number, row, is_escaped=is_escaped)
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


def _json_rows(lines: _Lines, shape: Shape[ItemT], untyped: Untyped | None) -> Iterator[ItemT | BadRowError]:
    not_finite: list[str] = []  # numbers such as NaN, which Python reads but the result cannot contain

    def number(text: str) -> float | None:
        value = float(text)
        if math.isfinite(value):
            return value
        not_finite.append(text)
        return None

    repeating: list[str] = []  # the names of the last object, if one is there twice: Python keeps the last value alone

    def object_of(pairs: list[tuple[str, object]]) -> InputRow:
        row = dict(pairs)
        repeating[:] = () if len(row) == len(pairs) else [name for name, _ in pairs]
        return row

    decoder = json.JSONDecoder(object_pairs_hook=object_of, parse_constant=number, parse_float=number)
    renaming = _Renaming(shape.known(untyped))
    while (line := lines.take()) is not None:
        at, text = line[0], line[1].lstrip(BOM)
        if not text.strip():
            continue
        not_finite.clear()
        row: object = None
        with suppress(ValueError, RecursionError):
            row = decoder.decode(text)
        if not isinstance(row, dict):
            yield BadRowError(at, "not a JSON object")
            continue
        try:
            named = renaming.apply(cast("InputRow", row), repeating)
        except InvalidInputError as error:
            yield BadRowError(at, str(error).replace("the input has", "the row has"), cast("InputRow", row))
            continue
        if not_finite:
            yield BadRowError(at, f"{not_finite[0]:.20} is not a finite number", named)
        else:
            item = item_of_row(at, named, shape, untyped)
            yield item


class _Renaming:
    """Gives the names in JSON objects their normal spelling. Most objects of an input have the same names."""

    def __init__(self, known: KnownNames) -> None:
        self._known = known
        self._seen: dict[tuple[str, ...], dict[str, str] | None] = {}

    def apply(self, row: InputRow, repeating: list[str]) -> InputRow:
        """The row with known names in normal spelling.

        Args:
            row: the row.
            repeating: all names of the object, if one is there twice.

        Raises:
            InvalidInputError: two names have the same normal spelling.
        """
        if repeating:
            self._known.refuse_repeated(repeating)
        names = tuple(row)
        try:
            renamed = self._seen[names]
        except KeyError:
            if len(self._seen) >= _MOST_KEY_SETS:
                self._seen.clear()
            renamed = self._seen[names] = self._known.renamed(names)
        return row if renamed is None else {renamed.get(name, name): value for name, value in row.items()}


def item_of_row(line: int, row: InputRow, shape: Shape[ItemT], untyped: Untyped | None) -> ItemT | BadRowError:
    """The item of a row whose known columns have their normal names."""
    try:
        return shape.item(row, line, untyped)
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


def _pair(row: InputRow, line: int, untyped: Untyped | None) -> RowPair:
    return RowPair(identity_in_row(row, "source", untyped), identity_in_row(row, "target", untyped), row, line)


def _person(row: InputRow, line: int, untyped: Untyped | None) -> RowPerson:
    identity = identity_in_row(row, "person", untyped)
    return RowPerson(**{identity.kind: identity}, row=row, line=line)  # type: ignore[arg-type] # each kind is a field


def _connection(row: InputRow, line: int, untyped: Untyped | None) -> RowRef:
    text = name_in_row(row, "connection_id", longest=LONGEST_HREF)
    if text is not None:
        from aioconnections.client.items import connection_ref  # imports the client

        which = connection_ref(text)
        if isinstance(which, Pair):
            return RowPair(which.source, which.target, row, line)
        return RowConnection(str(which), None, Person(), Person(), row=row, line=line)
    try:
        return _pair(row, line, untyped)
    except InvalidInputError as error:
        raise InvalidInputError(f"no connection_id, and {error}") from None


def _invitation(row: InputRow, line: int, untyped: Untyped | None) -> RowInvitation:
    del untyped
    uuid = name_in_row(row, "community_uuid")
    edit, own = (name_in_row(row, column, longest=LONGEST_HREF) for column in HREFS)
    if uuid is None and edit is None and own is None:
        raise InvalidInputError("no invitation: community_uuid, edit_href and self_href are empty")
    return RowInvitation(None, uuid, self_href=own, edit_href=edit, row=row, line=line)


PAIRS: Shape[RowPair] = Shape(
    OF_PAIRS, BARE, lambda columns, kind: lacks_people(columns, kind, "source", "target"), _pair
)
PEOPLE: Shape[RowPerson] = Shape(
    frozenset(PERSON_COLUMNS["person"]),
    frozenset({"person"}),
    lambda columns, kind: lacks_people(columns, kind, "person"),
    _person,
)
CONNECTIONS: Shape[RowRef] = Shape(OF_PAIRS | {"connection_id"}, BARE, lacks_connection, _connection)
INVITATIONS: Shape[RowInvitation] = Shape(
    frozenset(("community_uuid", *HREFS)), frozenset(), lacks_invitation, _invitation
)
