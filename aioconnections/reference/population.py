"""The people of a directory: computes people from seed and number, and numbers from identifiers.

An identifier encodes the number of a person. To read one, decode the number and compare the text with the identifier of
that person: only an exact identifier is accepted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from aioconnections.records import Email, Key, Person, Userid
from aioconnections.reference.numbers import Guids, mix

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ADMINISTRATOR", "IdentifierKind", "Population", "ProfileDetails"]

_FIRST_NAMES = (
    ("Ada", "ada"), ("Zoë", "zoe"), ("Björn", "bjoern"), ("Clara", "clara"), ("David", "david"),
    ("Emil", "emil"), ("Fatma", "fatma"), ("Grace", "grace"), ("Håkon", "haakon"), ("Ines", "ines"),
    ("Jonas", "jonas"), ("Karim", "karim"), ("Łukasz", "lukasz"), ("Miriam", "miriam"), ("Noel", "noel"),
    ("Oskar", "oskar"), ("Petra", "petra"), ("Quentin", "quentin"), ("Rita", "rita"), ("Søren", "soeren"),
    ("Tariq", "tariq"), ("Ursula", "ursula"), ("Victor", "victor"), ("Wanda", "wanda"), ("Xenia", "xenia"),
    ("Yusuf", "yusuf"), ("Željko", "zeljko"), ("Ирина", "irina"), ("Νίκος", "nikos"), ("美咲", "misaki"),
    ("小龍", "xiaolong"), ("Amara", "amara"),
)  # fmt: skip

_LAST_NAMES = (
    ("Adler", "adler"), ("Archer", "archer"), ("Baker", "baker"), ("Çelik", "celik"),
    ("D'Amico", "d'amico"), ("Duarte", "duarte"), ("Esposito", "esposito"), ("Fischer", "fischer"),
    ("Großmann", "grossmann"), ("Hale", "hale"), ("Ibsen", "ibsen"), ("Jansen", "jansen"),
    ("Keller", "keller"), ("Lindqvist", "lindqvist"), ("Müller", "mueller"), ("Nguyễn", "nguyen"),
    ("O'Hara", "o'hara"), ("Østby", "oestby"), ("Petrov", "petrov"), ("Quist", "quist"),
    ("Ribeiro", "ribeiro"), ("Sommer", "sommer"), ("Tanaka", "tanaka"), ("Underwood", "underwood"),
    ("Visser", "visser"), ("Wójcik", "wojcik"), ("Xu", "xu"), ("Young-Lee", "young-lee"),
    ("Zeller", "zeller"), ("Соколова", "sokolova"), ("Παππάς", "pappas"), ("佐藤", "sato"),
)  # fmt: skip

_REMARKS = ("", "", "", "", "", " (R&D)", " <Einkauf>", ' "Nic"')
"""Suffixes of some display names, with characters that markup must escape."""

_JOBS = (
    "Engineer",
    "Project Manager",
    "Sales Executive",
    "Researcher",
    "Designer",
    "Support Specialist",
    "Lawyer",
    "Buyer",
)

_UNITS = ("Research & Development", "Sales", "Legal", "Einkauf", "Support", "Design", "Operations", "Finance")

_PLACES = (
    ("Zürich", "Switzerland"), ("Graz", "Austria"), ("Lyon", "France"), ("Kraków", "Poland"),
    ("Austin", "United States"), ("Osaka", "Japan"), ("Porto", "Portugal"), ("Århus", "Denmark"),
)  # fmt: skip

_SCHOOLS = ("Hillside College", "Technische Hochschule", "École du Lac", "Riverside University")
_TAGS = ("atom", "python", "sailing", "chess", "mentoring", "solar", "gardening", "history")
IdentifierKind: TypeAlias = Literal["email", "userid", "key"]
_ADMINISTRATOR = {"email": "admin@example.com", "userid": "admin", "key": "00000000-0000-0000-0000-00000000ad00"}

ADMINISTRATOR = Person(
    name="Connections Administrator",
    userid=Userid(_ADMINISTRATOR["userid"]),
    key=Key(_ADMINISTRATOR["key"]),
    email=Email(_ADMINISTRATOR["email"]),
    state="active",
    external=False,
)
"""The additional account of every server; it has no colleagues."""

_MAX_IDENTIFIER_LENGTH = 120
_FIRST_DECIMAL_ID = 20_000_000  # decimal ids as in the cloud, with eight digits as recorded
_NUMBER = re.compile("[0-9]{1,7}")
_AWKWARD = (  # directory ids can be any text; these reveal missing and double percent-encoding
    "uid={name}+{number}%26&co",
    "cn={name}/ou=Einkauf & Vertrieb/{number}",
    "100% {name} #{number}?",
    "{number}%2B%252F{name}=;,",
    "研究所/{number} 🙂",
    "Zoe\u0308 + {number} \\ [{name}]",  # decomposed: must not be normalized
    "{name}@{number}",
    "~{number}!*'()|^`",
)


class ProfileDetails(NamedTuple):
    """The profile fields that are not in a `Person`.

    Attributes:
        login: another login name, which no operation accepts.
        job_title: job title.
        organization: organizational unit.
        city: city of the office.
        country: country of the office.
        phone: phone number of the office.
        school: school of the person.
        tag: tag that colleagues gave to the profile.
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
            name=f"{self._name(traits)}{_REMARKS[traits >> 32 & 7]}",
            userid=Userid(self._userid(number)),
            key=Key(self._keys.write(number)),
            email=Email(self._email(number)),
            state="inactive" if traits >> 35 & 15 == 0 else "active",
            external=traits >> 39 & 15 == 0,
        )

    def details(self, number: int) -> ProfileDetails:
        """The other profile fields of this person."""
        draw = mix(self._salt + number, 1)
        city, country = _PLACES[draw >> 6 & 7]
        return ProfileDetails(
            f"user{number}",
            _JOBS[draw & 7],
            _UNITS[draw >> 3 & 7],
            city,
            country,
            f"+00 555 {number:07}",
            _SCHOOLS[draw >> 9 & 3],
            _TAGS[draw >> 11 & 7],
        )

    def number(self, kind: IdentifierKind, text: str) -> int | None:
        """The person with this identifier; None if unknown. E-mail address and key ignore case, a userid does not."""
        if len(text) > _MAX_IDENTIFIER_LENGTH:
            return None
        if kind == "key":
            key = self._keys.read(text)
            if key is not None and 0 <= key < self.size and self._keys.write(key) == text.lower():
                return key
        elif kind == "userid":
            for number in self._candidates(text):
                if 0 <= number < self.size and self._userid(number) == text:
                    return number
        else:
            folded = text.casefold()
            for number in map(int, _NUMBER.findall(text)):
                if number < self.size and self._email(number).casefold() == folded:
                    return number
        known = text if kind == "userid" else text.casefold()
        return self.size if known == _ADMINISTRATOR[kind] else None

    def _candidates(self, userid: str) -> Iterable[int]:
        """Candidates for the number that a userid encodes."""
        guid = self._userids.read(userid)
        if guid is not None:
            return (guid,)
        if len(userid) == 8 and userid.isdecimal():
            return (int(userid) - _FIRST_DECIMAL_ID,)
        return map(int, _NUMBER.findall(userid))

    def _traits(self, number: int) -> int:
        return mix(self._salt + number)

    def _name(self, traits: int) -> str:
        return f"{_FIRST_NAMES[traits & 31][0]} {_LAST_NAMES[traits >> 5 & 31][0]}"

    def _email(self, number: int) -> str:
        traits = self._traits(number)
        first, last = _FIRST_NAMES[traits & 31][1], _LAST_NAMES[traits >> 5 & 31][1]
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
