"""Tables as sources of bulk runs: which columns name the people, and which item each row is.

The columns are those of files on the command line, and may be spelled as in "Source Email".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

from attrs import field

from aioconnections.arrow.loading import pyarrow
from aioconnections.arrow.reading import TableRow, TableStream, is_table, refuse_no_table, shown
from aioconnections.bulk.table_rows import TableRows
from aioconnections.client.items import Invite, connection_ref
from aioconnections.columns import (
    BARE,
    COLUMNS,
    HREFS,
    LONGEST_HREF,
    OF_PAIRS,
    KnownNames,
    Untyped,
    lacks_connection,
    lacks_invitation,
    lacks_people,
)
from aioconnections.errors import InvalidInputError
from aioconnections.records import Connection, Invitation, Pair, Person
from aioconnections.reprs import frozen
from aioconnections.tables import IdentityKind, Tabular, identity_in_row, name_in_row

__all__ = ["SHAPES", "TableRowError", "TableShape", "TableSource", "rows_of"]

Cells: TypeAlias = Mapping[str, object]


@frozen
class TableSource:
    """A table whose columns are named in another way than those of files: ``TableSource(frame, id_type="email")``.

    A table with the usual columns needs none. They are ``source_email``, ``source_userid`` or ``source_key`` and
    likewise ``target_…`` for pairs, ``email``, ``userid`` or ``key`` for people, ``connection_id`` or those of pairs
    for connections, and ``community_uuid``, ``edit_href`` or ``self_href`` for invitations into communities.

    Attributes:
        table: a table of pandas, polars, duckdb, pyarrow or another library that has ``__arrow_c_stream__``.
        id_type: what the columns hold that the following name, ``"email"``, ``"userid"`` or ``"key"``.
        source_column: column of the source of each pair.
        target_column: column of the target of each pair.
        person_column: column of the people.
        message_column: for `invite_many`, column of individual messages. An empty cell stands for the message of the
            run. Without it, a column named message is not sent.

    Raises:
        InvalidInputError: this is no table, or the arguments do not fit together.
    """

    table: Tabular = field(repr=lambda table: type(table).__name__)
    id_type: IdentityKind | None = field(default=None, kw_only=True)
    source_column: str | None = field(default=None, kw_only=True)
    target_column: str | None = field(default=None, kw_only=True)
    person_column: str | None = field(default=None, kw_only=True)
    message_column: str | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        refuse_no_table(self.table)
        if not is_table(self.table):
            raise InvalidInputError(
                f"expected a table of pandas, polars, duckdb or pyarrow, got {type(self.table).__name__}"
            )
        if self.id_type not in {None, "email", "userid", "key"}:
            raise InvalidInputError(f"id_type must be email, userid, key or None, got {self.id_type!r:.60}")
        chosen = self._chosen
        for role, name in {**chosen, "message": self.message_column}.items():
            if name is not None and not isinstance(name, str):
                raise InvalidInputError(f"{role}_column must be the name of a column, got {type(name).__name__}")
        if chosen and self.id_type is None:
            raise InvalidInputError(f"{next(iter(chosen))}_column needs id_type, which tells what is in the column")
        if self.source_column is not None and self.source_column == self.target_column:
            raise InvalidInputError("source_column and target_column name the same column; name two columns")

    def __arrow_c_stream__(self, requested_schema: Any = None) -> object:
        """The stream of batches of the table."""
        return self.table.__arrow_c_stream__(requested_schema)

    @property
    def _chosen(self) -> dict[str, str]:
        chosen = {"source": self.source_column, "target": self.target_column, "person": self.person_column}
        return {role: name for role, name in chosen.items() if name is not None}

    @property
    def untyped(self) -> Untyped | None:
        """The columns whose names do not tell the kind of identity; None if there are none."""
        return None if self.id_type is None else Untyped(self.id_type, {k: v.strip() for k, v in self._chosen.items()})


class TableItem:
    """The item of a row of a table: ``item["department"]`` is a cell, and ``dict(item)`` has all cells of the row."""

    __slots__ = ()
    table_row: TableRow

    def __getitem__(self, column: str) -> object:
        return self.table_row[column]

    def keys(self) -> Sequence[str]:
        """The names of the columns."""
        return self.table_row.keys()


@frozen
class TablePair(TableItem, Pair):
    """The pair in a row of a table."""

    table_row: TableRow = field(eq=False, repr=False)


@frozen
class TablePerson(TableItem, Person):
    """The person in a row of a table."""

    table_row: TableRow = field(eq=False, repr=False, kw_only=True)


@frozen
class TableInvite(TableItem, Invite):
    """The person to invite in a row of a table, and the message."""

    table_row: TableRow = field(eq=False, repr=False, kw_only=True)


@frozen
class TableConnection(TableItem, Connection):
    """The connection in a row of a table, known by its id."""

    table_row: TableRow = field(eq=False, repr=False, kw_only=True)


@frozen
class TableInvitation(TableItem, Invitation):
    """The invitation into a community in a row of a table."""

    table_row: TableRow = field(eq=False, repr=False, kw_only=True)


class TableRowError(TableItem, InvalidInputError):
    """A row of a table that names no item."""

    def __init__(self, message: str, table_row: TableRow) -> None:
        super().__init__(message)
        self.table_row: TableRow = table_row


@frozen
class TableShape:
    """The columns and items of a table.

    Attributes:
        own: names of the known columns, which may occur only once.
        bare: names of the columns that need `TableSource.id_type`.
        lacks: describes what the columns lack; None if they lack nothing.
        item: makes the item of a row.
        has_messages: whether rows may have messages.
    """

    own: frozenset[str]
    bare: frozenset[str]
    lacks: Callable[[tuple[str, ...], Untyped | None], str | None]
    item: Callable[[Cells, TableRow, TableSource, Untyped | None], object]
    has_messages: bool = False


def rows_of(table: object, shape: TableShape) -> TableRows:
    """The items in the rows of a table.

    Raises:
        InvalidInputError: this kind of table cannot be read, or lacks a column.
        UsageError: pyarrow is missing.
    """
    source = table if isinstance(table, TableSource) else TableSource(table)  # type: ignore[arg-type] # it is checked there
    _ = pyarrow()
    untyped, message = source.untyped, source.message_column
    if message is not None and not shape.has_messages:
        raise InvalidInputError("message_column is for invitations to become colleagues; leave it out")
    chosen = frozenset(() if untyped is None else untyped.columns.values())
    if message is not None:
        chosen |= {message.strip()}
    single = shape.own | chosen
    if untyped is not None:
        single |= shape.bare - untyped.columns.keys()
    known = KnownNames(shape.own | shape.bare, single, chosen)

    def check(columns: tuple[str, ...]) -> None:
        lacking = shape.lacks(columns, untyped)
        if lacking is None and message is not None and message.strip() not in columns:
            lacking = f"{message}, which message_column names"
        if lacking is not None:
            raise InvalidInputError(f"the table has no column {lacking}; {shown(columns)}")

    def make(cells: Cells, row: TableRow) -> object:
        try:
            return shape.item(cells, row, source, untyped)
        except InvalidInputError as error:
            return TableRowError(f"row {row.number}: {error}", row)

    stream = TableStream(source.table, known, check)
    names = _names(source.table)
    if names is not None:
        stream.check_names(names)
    return TableRows(stream, make)


def _names(table: Any) -> list[str] | None:
    """The names of the columns, if the table tells them at once."""
    for attribute in ("column_names", "columns"):
        names = getattr(table, attribute, None)
        if names is None or isinstance(names, str) or not hasattr(names, "__iter__"):
            continue
        found: list[object] = [*names]
        if hasattr(table, "iloc"):  # pandas, whose stream also has the columns of an index with names
            found += [name for name in getattr(table.index, "names", ()) if name is not None]
        if all(isinstance(name, str) for name in found):
            return [str(name) for name in found]
    return None


def _pair(cells: Cells, row: TableRow, source: TableSource, untyped: Untyped | None) -> TablePair:
    del source
    return TablePair(identity_in_row(cells, "source", untyped), identity_in_row(cells, "target", untyped), row)


def _person(cells: Cells, row: TableRow, source: TableSource, untyped: Untyped | None) -> TablePerson:
    del source
    identity = identity_in_row(cells, "person", untyped)
    return TablePerson(**{identity.kind: identity}, table_row=row)  # type: ignore[arg-type] # each kind is a field


def _invite(cells: Cells, row: TableRow, source: TableSource, untyped: Untyped | None) -> TableInvite:
    identity, column = identity_in_row(cells, "person", untyped), source.message_column
    message = None if column is None else cells[column.strip()]
    if message is not None and not isinstance(message, str):
        raise InvalidInputError(f"{column} is no text")
    return TableInvite(identity, message if message and not message.isspace() else None, table_row=row)


def _connection(
    cells: Cells, row: TableRow, source: TableSource, untyped: Untyped | None
) -> TableConnection | TablePair:
    text = name_in_row(cells, "connection_id", longest=LONGEST_HREF)
    if text is None:
        try:
            return _pair(cells, row, source, untyped)
        except InvalidInputError as error:
            if "connection_id" not in cells:
                raise
            raise InvalidInputError(f"no connection_id, and {error}") from None
    which = connection_ref(text)
    if isinstance(which, Pair):
        return TablePair(which.source, which.target, row)
    return TableConnection(str(which), None, Person(), Person(), table_row=row)


def _invitation(cells: Cells, row: TableRow, source: TableSource, untyped: Untyped | None) -> TableInvitation:
    del source, untyped
    uuid = name_in_row(cells, "community_uuid")
    edit, own = (name_in_row(cells, column, longest=LONGEST_HREF) for column in HREFS)
    if uuid is None and edit is None and own is None:
        raise InvalidInputError("no invitation: community_uuid, edit_href and self_href are empty")
    return TableInvitation(None, uuid, self_href=own, edit_href=edit, table_row=row)


def _option(name: str) -> str:
    return name


def _lacks_pair(columns: tuple[str, ...], untyped: Untyped | None) -> str | None:
    return lacks_people(columns, untyped, "source", "target", option=_option)


def _lacks_person(columns: tuple[str, ...], untyped: Untyped | None) -> str | None:
    return lacks_people(columns, untyped, "person", option=_option)


_PEOPLE = frozenset(COLUMNS["person"]), frozenset({"person"}), _lacks_person
SHAPES: Mapping[str, TableShape] = MappingProxyType(
    {
        "pairs": TableShape(OF_PAIRS, BARE, _lacks_pair, _pair),
        "people": TableShape(*_PEOPLE, _person),
        "invites": TableShape(*_PEOPLE, _invite, has_messages=True),
        "connections": TableShape(
            OF_PAIRS | {"connection_id"}, BARE, partial(lacks_connection, option=_option), _connection
        ),
        "invitations": TableShape(frozenset(("community_uuid", *HREFS)), frozenset(), lacks_invitation, _invitation),
    }
)
"""The shapes of the sources of all bulk runs."""
