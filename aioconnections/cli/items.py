"""What rows are about: pairs, people, connections, invitations; each is a record that knows its row."""

from __future__ import annotations

import re
from typing import Protocol, TypeAlias

from attrs import field, frozen

from aioconnections.cli.rows import IdType, Row, Shape
from aioconnections.errors import InvalidInputError
from aioconnections.identifiers import LONGEST, plain_text
from aioconnections.records import Connection, Email, Identity, Invitation, Key, Pair, Person, Userid

__all__ = [
    "CONNECTIONS",
    "INVITATIONS",
    "PAIRS",
    "PEOPLE",
    "Item",
    "RowConnection",
    "RowInvitation",
    "RowPair",
    "RowPerson",
]

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
    def row(self) -> Row:
        """The row that it came from."""
        ...

    @property
    def line(self) -> int:
        """Number of its first line, from 1; 0 if it came from no file."""
        ...


@frozen
class RowPair(Pair):
    """A pair and the row that it came from."""

    row: Row = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


@frozen
class RowPerson(Person):
    """A person and the row that they came from."""

    row: Row = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


@frozen
class RowConnection(Connection):
    """A connection by its id, and the row that it came from."""

    row: Row = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


@frozen
class RowInvitation(Invitation):
    """An invitation into a community, and the row that it came from."""

    row: Row = field(factory=dict, eq=False, repr=False)
    line: int = field(default=0, eq=False)


RowRef: TypeAlias = RowConnection | RowPair


def _pair(row: Row, line: int, id_type: IdType | None) -> RowPair:
    return RowPair(_identity(row, "source", id_type), _identity(row, "target", id_type), row, line)


def _person(row: Row, line: int, id_type: IdType | None) -> RowPerson:
    identity = _identity(row, "person", id_type)
    return RowPerson(**{identity.kind: identity}, row=row, line=line)  # type: ignore[arg-type] # each kind is a field


def _connection(row: Row, line: int, id_type: IdType | None) -> RowRef:
    connection_id = _name(row, "connection_id")
    if connection_id is not None:
        return RowConnection(connection_id, None, Person(), Person(), row=row, line=line)
    try:
        return _pair(row, line, id_type)
    except InvalidInputError as error:
        raise InvalidInputError(f"no connection_id, and {error}") from None


def _invitation(row: Row, line: int, id_type: IdType | None) -> RowInvitation:
    del id_type
    uuid = _name(row, "community_uuid")
    edit, own = (_name(row, column, longest=_LONGEST_HREF) for column in _HREFS)
    if uuid is None and edit is None and own is None:
        raise InvalidInputError("no community_uuid and no edit_href")
    return RowInvitation(None, uuid, self_href=own, edit_href=edit, row=row, line=line)


def _columns(who: str) -> dict[str, type[Identity]]:
    """The columns that name somebody, the identity that every server takes first."""
    return {kind if who == "person" else f"{who}_{kind}": make for kind, make in _KINDS.items()}


def _identity(row: Row, who: str, id_type: IdType | None) -> Identity:
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


def _name(row: Row, column: str, *, longest: int = LONGEST) -> str | None:
    """The name of something in a column, which may be sent; None if there is none."""
    text = _text(row, column)
    return None if text is None else plain_text(text, column, longest=longest)


def _text(row: Row, column: str) -> str | None:
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
