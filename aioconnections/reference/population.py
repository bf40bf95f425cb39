"""Who there is: everything about a person computed from the seed and their number, and the number from any identifier.

The identifiers carry the number in some disguise. Reading one takes the number out and compares the text with what that
person really has, so whatever is not exactly an identifier of somebody is nobody's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from aioconnections.records import Email, Key, Person, Userid
from aioconnections.reference.names import FIRST_NAMES, JOBS, LAST_NAMES, PLACES, REMARKS, SCHOOLS, TAGS, UNITS
from aioconnections.reference.numbers import Guids, mix

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ADMINISTRATOR", "Details", "Kind", "Population"]

Kind: TypeAlias = Literal["email", "userid", "key"]

_ADMINISTRATOR = {"email": "admin@example.com", "userid": "admin", "key": "00000000-0000-0000-0000-00000000ad00"}
ADMINISTRATOR = Person(
    name="Connections Administrator",
    userid=Userid(_ADMINISTRATOR["userid"]),
    key=Key(_ADMINISTRATOR["key"]),
    email=Email(_ADMINISTRATOR["email"]),
    state="active",
    external=False,
)
"""The account that every server has besides its people; it has no colleagues."""

_LONGEST_IDENTIFIER = 120
_FIRST_DECIMAL_ID = 20_000_000  # decimal ids as in the cloud, where recorded ones have eight digits
_NUMBER = re.compile("[0-9]{1,7}")
_AWKWARD = (  # directory ids are any text: these break whoever forgets to percent-encode, or does it twice
    "uid={name}+{number}%26&co",
    "cn={name}/ou=Einkauf & Vertrieb/{number}",
    "100% {name} #{number}?",
    "{number}%2B%252F{name}=;,",
    "研究所/{number} 🙂",
    "Zoe\u0308 + {number} \\ [{name}]",  # decomposed: must arrive as it left
    "{name}@{number}",
    "~{number}!*'()|^`",
)


class Details(NamedTuple):
    """What a profile holds besides the person.

    Attributes:
        login: what one types to sign in elsewhere: yet another id, which no operation takes.
        job_title: text.
        organization: the unit.
        city: where the office is.
        country: the same.
        phone: of the office.
        school: where the person was educated.
        tag: what others have tagged the profile with.
    """

    login: str
    job_title: str
    organization: str
    city: str
    country: str
    phone: str
    school: str
    tag: str


class Population:
    """`size` people, numbered from 0; number `size` is the administrator."""

    def __init__(self, seed: int, size: int) -> None:
        self.size = size
        self._salt = mix(seed, 10)
        self._keys = Guids(seed, 11)
        self._userids = Guids(seed, 12)

    def person(self, number: int) -> Person:
        """The person with this number."""
        if number == self.size:
            return ADMINISTRATOR
        traits = self._traits(number)
        return Person(
            name=f"{self._name(traits)}{REMARKS[traits >> 32 & 7]}",
            userid=Userid(self._userid(number)),
            key=Key(self._keys.write(number)),
            email=Email(self._email(number)),
            state="inactive" if traits >> 35 & 15 == 0 else "active",
            external=traits >> 39 & 15 == 0,
        )

    def details(self, number: int) -> Details:
        """What the profile of this person holds besides."""
        draw = mix(self._salt + number, 1)
        city, country = PLACES[draw >> 6 & 7]
        return Details(
            f"user{number}",
            JOBS[draw & 7],
            UNITS[draw >> 3 & 7],
            city,
            country,
            f"+00 555 {number:07}",
            SCHOOLS[draw >> 9 & 3],
            TAGS[draw >> 11 & 7],
        )

    def number(self, kind: Kind, text: str) -> int | None:
        """Whose identifier `text` is: userids exactly, the others in any case."""
        if len(text) > _LONGEST_IDENTIFIER:
            return None
        if kind == "key":
            key = self._keys.read(text)
            if key is not None and 0 <= key < self.size and self._keys.write(key) == text.lower():
                return key
        elif kind == "userid":
            for number in self._numbers_in(text):
                if 0 <= number < self.size and self._userid(number) == text:
                    return number
        else:
            folded = text.casefold()
            for number in map(int, _NUMBER.findall(text)):
                if number < self.size and self._email(number).casefold() == folded:
                    return number
        known = text if kind == "userid" else text.casefold()
        return self.size if known == _ADMINISTRATOR[kind] else None

    def _numbers_in(self, userid: str) -> Iterable[int]:
        """The numbers that a userid may carry; wrong ones do no harm."""
        guid = self._userids.read(userid)
        if guid is not None:
            return (guid,)
        if len(userid) == 8 and userid.isdecimal():
            return (int(userid) - _FIRST_DECIMAL_ID,)
        return map(int, _NUMBER.findall(userid))

    def _traits(self, number: int) -> int:
        return mix(self._salt + number)

    def _name(self, traits: int) -> str:
        return f"{FIRST_NAMES[traits & 31][0]} {LAST_NAMES[traits >> 5 & 31][0]}"

    def _email(self, number: int) -> str:
        traits = self._traits(number)
        first, last = FIRST_NAMES[traits & 31][1], LAST_NAMES[traits >> 5 & 31][1]
        style = traits >> 10 & 7
        if style == 0:
            return f"{first}.{last}+{number}@example.com"
        if style == 1:
            return f"{first.capitalize()}.{last.title()}.{number}@Example.COM"
        return f"{first}.{last}.{number}@example.{'org' if style == 2 else 'com'}"

    def _userid(self, number: int) -> str:
        traits = self._traits(number)
        style = traits >> 13 & 15
        if style == 0:
            return _AWKWARD[traits >> 17 & 7].format(name=self._name(traits), number=number)
        if style == 1:
            return str(_FIRST_DECIMAL_ID + number)
        return self._userids.write(number).upper()
