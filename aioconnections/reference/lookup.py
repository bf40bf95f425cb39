"""Whom a request means, and what else its parameters may say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from attrs import frozen

from aioconnections.reference.answers import INVALID, Refusal, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aioconnections.reference.directory import Directory
    from aioconnections.reference.population import Kind
    from aioconnections.reference.query import Parameters
    from aioconnections.reference.request import Request
    from aioconnections.reference.settings import Settings

__all__ = ["PERSON", "SOURCE", "TARGET", "Lookup", "Names", "Page", "cut", "milliseconds"]

Names: TypeAlias = "tuple[tuple[str, Kind], ...]"
SOURCE: Names = (("sourceEmail", "email"), ("sourceKey", "key"), ("sourceUserid", "userid"))
TARGET: Names = (("targetEmail", "email"), ("targetKey", "key"), ("targetUserid", "userid"))
PERSON: Names = (("userid", "userid"), ("email", "email"), ("key", "key"))
_MOST_PARTS = 4  # of one identifier, between commas
_NUMBER = re.compile("[1-9][0-9]{0,8}")
_T = TypeVar("_T")


@frozen
class Lookup:
    """People named in parameters."""

    directory: Directory
    settings: Settings

    def given(self, query: Parameters, names: Names) -> tuple[Kind, str]:
        """What exactly one of `names` says, exactly once.

        Raises:
            Refusal: none or more than one, or an e-mail address where they are hidden.
        """
        given: list[tuple[Kind, str]] = [(kind, value) for name, kind in names for value in query.get(name, ())]
        if len(given) != 1 or (given[0][0] == "email" and self.settings.emails == "hidden"):
            raise Refusal(INVALID)
        return given[0]

    def person(self, query: Parameters, names: Names) -> int | None:
        """The number of whom exactly one of `names` gives; None for somebody unknown.

        Raises:
            Refusal: as `given`.
        """
        return self.directory.number(*self.given(query, names))

    def several(self, kind: Kind, text: str) -> list[int | None]:
        """Those whose identifiers are joined by commas in `text`; None for somebody unknown.

        An identifier may hold commas itself, so whoever is known is taken with theirs.
        """
        parts = text.split(",")
        found: list[int | None] = []
        while parts:
            known = (
                (length, self.directory.number(kind, ",".join(parts[:length])))
                for length in range(min(len(parts), _MOST_PARTS), 0, -1)
            )
            length, number = next(((length, number) for length, number in known if number is not None), (1, None))
            found.append(number)
            del parts[:length]
        return found

    def concerned(self, query: Parameters) -> set[int]:
        """Everybody whom the parameters name."""
        return {
            number
            for names in (PERSON, SOURCE, TARGET)
            for name, kind in names
            for value in query.get(name, ())
            for number in self.several(kind, value)
            if number is not None
        }


class Page(NamedTuple):
    """Where a page lies in a list.

    Attributes:
        number: from 1.
        size: how many there are on a full one.
        total: how many there are in the list.
    """

    number: int
    size: int
    total: int

    @property
    def last(self) -> int:
        """Number of the last page."""
        return max(1, -(-self.total // self.size))

    def of(self, items: Sequence[_T]) -> Sequence[_T]:
        """Those on this page, none beyond the last one."""
        start = (self.number - 1) * self.size
        return items[start : start + self.size]


def cut(request: Request, total: int, *, default: int, most: int, otherwise: Refused = INVALID) -> Page:
    """The page that is asked for; a size above `most` is cut without a word.

    Raises:
        Refusal: with `otherwise`, if page or size are no numbers from 1.
    """
    texts = request.first("page") or "1", request.first("ps") or str(default)
    if not all(_NUMBER.fullmatch(text) for text in texts):
        raise Refusal(otherwise)
    number, size = map(int, texts)
    return Page(number, min(size, most), total)


def milliseconds(text: str, *, otherwise: Refused = INVALID) -> int:
    """A moment as RFC 3339 has it, or as milliseconds since 1970: which of them is meant no page says.

    Raises:
        Refusal: with `otherwise`, if it is neither.
    """
    if text.isdecimal():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise Refusal(otherwise) from error
