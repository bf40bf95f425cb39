"""Names of columns that name people and invitations: which spellings are understood, and what the user chooses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal, TypeAlias

from attrs import field, frozen

from aioconnections.errors import InvalidInputError

__all__ = [
    "BARE",
    "COLUMNS",
    "HREFS",
    "LONGEST_HREF",
    "OF_PAIRS",
    "IdType",
    "KnownNames",
    "OptionName",
    "Untyped",
    "distinct_columns",
    "lacks_connection",
    "lacks_invitation",
    "lacks_people",
    "normal",
    "of_command_line",
]

IdType: TypeAlias = Literal["email", "userid", "key"]
OptionName: TypeAlias = Callable[[str], str]
"""Makes the name of an option in a message, given its name in Python."""

HREFS = ("edit_href", "self_href")
LONGEST_HREF = 8_192  # bytes
_KINDS: tuple[IdType, ...] = ("userid", "key", "email")

_SEPARATORS = re.compile(r"[\s_-]+")
_SEVERAL = 4  # characters that a spelling may have more than the normal one


@frozen
class Untyped:
    """The columns whose names do not tell the kind of the identities in them.

    Attributes:
        kind: kind of the identities.
        columns: names of columns that the user chose, by the role of the person: source, target or person. Without one,
            the name of the column is the role.
    """

    kind: IdType
    columns: Mapping[str, str] = field(factory=dict[str, str])


def normal(name: str) -> str:
    """The normal spelling of a name: ``source_email`` for "Source Email" and "SOURCE-EMAIL"."""
    return _SEPARATORS.sub("_", name.strip()).lower()


@frozen
class KnownNames:
    """The names of columns that one command understands.

    Attributes:
        names: the names in normal spelling.
        single: names that may occur only once.
        chosen: names that the user chose, understood only as they are.
    """

    names: frozenset[str]
    single: frozenset[str]
    chosen: frozenset[str] = frozenset()
    _longest: int = field(init=False)
    _initials: frozenset[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        every = self.names | self.chosen
        first = {name[:1] for name in every}
        object.__setattr__(self, "_longest", max(map(len, every)) + _SEVERAL)
        object.__setattr__(self, "_initials", frozenset(first | {letter.upper() for letter in first} | {*" \t\xa0"}))

    def any_in(self, fields: Iterable[str]) -> bool:
        """Whether any field may be a known name; fast, because it is called for each row."""
        longest, initials = self._longest, self._initials
        return any(text[:1] in initials and len(text) <= longest and self.known(text) for text in fields)

    def known(self, name: str) -> str | None:
        """The normal spelling of a known name; None for any other text."""
        text = name.strip()
        if text in self.chosen:
            return text
        text = normal(text)
        return text if text in self.names else None

    def columns(self, names: Iterable[str]) -> list[str]:
        """The names without surrounding space, and known ones in normal spelling."""
        return [self.known(name) or name.strip() for name in names]

    def renamed(self, names: Collection[str]) -> dict[str, str] | None:
        """The normal spelling of each known name that is spelled in another way; None if there is none.

        Raises:
            InvalidInputError: two names have the same normal spelling, and only one may have it.
        """
        columns = dict(zip(names, self.columns(names), strict=True))
        self.refuse_repeated(list(names))
        return {name: column for name, column in columns.items() if name != column and column in self.names} or None

    def refuse_repeated(self, names: list[str]) -> None:
        """Refuse names of which two are understood as the same one.

        Raises:
            InvalidInputError: see above.
        """
        columns = self.columns(names)
        for column, count in Counter(columns).items():
            if count > 1 and column in self.single:
                spelled = [name.strip() for name, known in zip(names, columns, strict=True) if known == column]
                shown = "" if len({*spelled}) == 1 else f", spelled {' and '.join(spelled)}"
                raise InvalidInputError(f"the input has two columns {column}{shown}; remove or rename one")


def _columns(role: str) -> dict[str, IdType]:
    """The columns that identify a person; the identity that every server accepts is first."""
    return {kind if role == "person" else f"{role}_{kind}": kind for kind in _KINDS}


COLUMNS: dict[str, dict[str, IdType]] = {role: _columns(role) for role in ("source", "target", "person")}
"""The kinds of the identities in the columns of a person, by role."""


def of_command_line(name: str) -> str:
    """The name of an option on the command line."""
    return f"--{name.replace('_', '-')}"


def lacks_people(
    columns: tuple[str, ...], untyped: Untyped | None, *roles: str, option: OptionName = of_command_line
) -> str | None:
    """Describe the column that is missing for the people with these roles; None if none is.

    Args:
        columns: names of columns, known ones in normal spelling.
        untyped: the columns whose names do not tell the kind of identity, if any.
        roles: source, target or person.
        option: makes the names of options in the description.
    """
    id_type = option("id_type")
    for role in roles:
        chosen = None if untyped is None else untyped.columns.get(role)
        if chosen is not None and chosen not in columns:
            return f"{chosen}, which {option(f'{role}_column')} names"
        named = any(name in columns for name in (chosen, *COLUMNS[role]))
        if not named and not (role in columns and untyped):
            hint = f", or {role} with {id_type}" if role not in columns else f"; to use {role}, add {id_type}"
            return f"for the {role}: {', '.join(COLUMNS[role])}{hint}"
    return None


def lacks_connection(
    columns: tuple[str, ...], untyped: Untyped | None, *, option: OptionName = of_command_line
) -> str | None:
    """Describe what is missing to name connections, as `lacks_people` does."""
    missing = None if "connection_id" in columns else lacks_people(columns, untyped, "source", "target", option=option)
    return missing and f"connection_id, nor {'one ' * missing.startswith('for ')}{missing}"


def lacks_invitation(columns: tuple[str, ...], untyped: Untyped | None) -> str | None:
    """Describe what is missing to name invitations into communities, as `lacks_people` does."""
    del untyped
    return None if {"community_uuid", *HREFS} & {*columns} else "community_uuid or edit_href"


def distinct_columns(names: list[str], known: KnownNames) -> tuple[str, ...]:
    """The columns, with numbers appended to repeated unknown ones, so that every column is kept."""
    known.refuse_repeated(names)
    names = known.columns(names)
    columns: dict[str, None] = {}
    for name in names:
        again = (f"{name}_{number}" for number in range(2, len(names) + 2))
        columns[name if name not in columns else next(n for n in again if n not in columns and n not in names)] = None
    return tuple(columns)


OF_PAIRS = frozenset((*COLUMNS["source"], *COLUMNS["target"]))
BARE = frozenset(("source", "target"))
