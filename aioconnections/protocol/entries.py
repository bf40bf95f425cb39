"""Names and steps that all kinds of entries share."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

from aioconnections.atom import AtomPerson, Content, Entry, Reader, Text
from aioconnections.errors import InvalidInputError, UnexpectedAnswerError
from aioconnections.protocol.messages import Response
from aioconnections.records import Email, Key, Person, Userid

__all__ = [
    "SN",
    "TYPE_SCHEME",
    "bare_id",
    "href_of",
    "identity",
    "kind_of",
    "lone_entry",
    "person_from",
    "query_value",
    "text_of",
]

IdentityT = TypeVar("IdentityT", Email, Userid, Key)

SN = "http://www.ibm.com/xmlns/prod/sn"
TYPE_SCHEME = f"{SN}/type"

_PREFIX = "tag:profiles.ibm.com,2006:entry"


def kind_of(entry: Entry) -> str | None:
    """``connection``, ``profile``, ``invite`` …; the id of an entry does not tell (protocol: one prefix for all)."""
    return entry.term(TYPE_SCHEME)


def bare_id(entry: Entry) -> str | None:
    """The id of a connection or the key of a profile, without the prefix that both share; None if it is not there."""
    return entry.id.removeprefix(_PREFIX) or None if entry.id and entry.id.startswith(_PREFIX) else None


def lone_entry(response: Response) -> Entry | None:
    """The only entry of a response, which is a lone entry or a feed; None if there is none.

    Raises:
        AtomError: the response is not acceptable Atom.
        UnexpectedAnswerError: it holds several entries, and nothing tells which of them was asked for.
    """
    reader = Reader(charset=response.charset, strict=False)
    entries = reader.feed(response.body)
    entries += reader.close().entries
    if len(entries) > 1:
        raise UnexpectedAnswerError(200, None, f"the response holds {len(entries):,} entries where one was asked for")
    return entries[0] if entries else None


def href_of(entry: Entry, rel: str) -> str | None:
    """The href of the first link of that relation, or None."""
    link = entry.link(rel)
    return None if link is None else link.href


def text_of(construct: Text | Content | None) -> str:
    """The text of a construct without the blanks around it; empty if it holds none."""
    if construct is None or not isinstance(construct.value, str):
        return ""
    return construct.value.strip()


def query_value(href: str | None, *names: str) -> str | None:
    """The first value of the first of these parameters that an href has."""
    try:
        query = parse_qs(urlsplit(href or "").query)
    except ValueError:  # brackets that hold no address, or too many parameters
        return None
    return next((query[name][0] for name in names if name in query), None)


def person_from(person: AtomPerson | None, key: Key | None = None) -> Person:
    """A person as the server names them. Elements that are empty say nothing (protocol: hidden e-mail addresses)."""
    if person is None:
        return Person(key=key)
    return Person(
        name=person.name or None,
        userid=identity(Userid, person.userid),
        key=key,
        email=identity(Email, person.email),
        state=person.user_state or None,
        external={"true": True, "false": False}.get((person.is_external or "").lower()),
    )


def identity(kind: type[IdentityT], text: str | None) -> IdentityT | None:
    """An identity of that kind, or None where the server gave none that could be sent."""
    try:
        return kind(text) if text else None
    except InvalidInputError:
        return None
