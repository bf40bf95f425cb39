"""Names of columns: which spellings are understood, and the columns that the user chooses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, TypeAlias

from attrs import field, frozen

from aioconnections.errors import InvalidInputError

__all__ = ["IdType", "KnownNames", "Untyped", "normal"]

IdType: TypeAlias = Literal["email", "userid", "key"]

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
