"""Conversion between Atom entries and connections or invitations, and helpers for all kinds of entries."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, TypeAlias, TypeVar
from urllib.parse import parse_qs

from attrs import evolve

from aioconnections import atom
from aioconnections.errors import AtomError, InvalidInputError, UnexpectedResponseError
from aioconnections.protocol.messages import Response
from aioconnections.records import Connection, Email, Identity, Invitation, Key, Person, Status, Userid

__all__ = [
    "SN",
    "TYPE_SCHEME",
    "PersonFrom",
    "accepted_entry",
    "bare_id",
    "connected_entry",
    "connection_from",
    "connection_id",
    "connection_ref",
    "ends_of",
    "href_of",
    "identity",
    "invitation_entry",
    "invitation_from",
    "invite_entry",
    "kind_of",
    "lone_entry",
    "may_be",
    "member_entry",
    "person_from",
    "person_from_cached",
    "query_value",
    "status_of",
    "text_of",
]

IdentityT = TypeVar("IdentityT", Email, Userid, Key)

PersonFrom: TypeAlias = "Callable[[atom.AtomPerson | None], Person]"
"""Converts a person as the server describes them."""

SN = "http://www.ibm.com/xmlns/prod/sn"
TYPE_SCHEME = f"{SN}/type"

_PREFIX = "tag:profiles.ibm.com,2006:entry"
_CONNECTION_TYPE_SCHEME = f"{SN}/connection/type"
_STATUS_SCHEME = f"{SN}/status"
_KINDS: tuple[tuple[str, type[Identity]], ...] = (("Userid", Userid), ("Key", Key), ("Email", Email))
_STATUSES = {status.value: status for status in Status}
_EXTERNAL = {"true": True, "false": False}
_CACHED_PEOPLE = 128
_COMMUNITY_REL = f"{SN}/community"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_INVITATION_ID = re.compile(rf".*:invite-({_UUID})-{_UUID}")


def kind_of(entry: atom.Entry) -> str | None:
    """``connection``, ``profile``, ``invite`` …; not shown by entry ids, which share one prefix (protocol)."""
    return entry.term(TYPE_SCHEME)


def bare_id(entry: atom.Entry) -> str | None:
    """The id of a connection or the key of a profile, without the prefix that both share; None if it is missing."""
    own = entry.id
    return own.removeprefix(_PREFIX) or None if own and own.startswith(_PREFIX) else None


def connection_id(entry: atom.Entry) -> str | None:
    """The id of a connection: in the id of the entry, or else in its links; None for other entries."""
    if kind_of(entry) not in ("connection", None):
        return None
    hrefs = (href_of(entry, rel) for rel in ("self", "edit"))
    return bare_id(entry) or next((found for href in hrefs if (found := query_value(href, "connectionId"))), None)


def connection_ref(text: str) -> str | tuple[Identity, Identity] | None:
    """The id in a link to a connection or in the id of its entry, or the source and target in such a link.

    Returns:
        None for a link without these; `text` itself for anything else.
    """
    found = query_value(text, "connectionId")
    if found is not None:
        return found
    ends = [
        kind(value)
        for role in ("source", "target")
        for name, kind in _KINDS
        if (value := query_value(text, role + name))
    ]
    if len(ends) == 2:
        return ends[0], ends[1]
    text = text.strip()
    return None if "://" in text or "?" in text or text.startswith("/") else text.removeprefix(_PREFIX)


def lone_entry(response: Response, base: str | None = None) -> atom.Entry | None:
    """The only entry of a response, which is a lone entry or a feed; None if there is none.

    `base` is the URL of the response, to which relative links in it refer.

    Raises:
        AtomError: the response is not acceptable Atom.
        UnexpectedResponseError: the response contains several entries, so the requested one is unknown.
    """
    reader = atom.Reader(charset=response.charset, base=base, strict=False)
    entries = reader.feed(response.body)
    entries += reader.close().entries
    if len(entries) > 1:
        raise UnexpectedResponseError(200, None, f"the response contains {len(entries):,} entries instead of one")
    return entries[0] if entries else None


def href_of(entry: atom.Entry, rel: str) -> str | None:
    """The href of the first link with this relation, or None."""
    link = entry.link(rel)
    return None if link is None else link.href


def text_of(construct: atom.Text | atom.Content | None) -> str:
    """The text of a construct without surrounding white space; empty if there is none."""
    if construct is None or not isinstance(construct.value, str):
        return ""
    return construct.value.strip()


def query_value(href: str | None, *names: str) -> str | None:
    """The first value of the first of these parameters that an href has; the rest of the href need not be valid."""
    query = parse_qs((href or "").partition("#")[0].partition("?")[2])
    return next((query[name][0] for name in names if name in query), None)


def person_from(person: atom.AtomPerson | None, key: Key | None = None) -> Person:
    """A person as the server describes them; empty elements are ignored (protocol: hidden e-mail addresses)."""
    if person is None:
        return Person(key=key)
    return _person(person.name, person.userid, person.email, person.user_state, person.is_external, key)


def person_from_cached() -> PersonFrom:
    """A function like `person_from` that gives the same `Person` for equal descriptions, for use in one listing.

    The source of a listing is in each of its entries, and each person in an entry is there twice.
    """
    convert = lru_cache(_CACHED_PEOPLE)(_person)
    unknown = Person()

    def convert_once(person: atom.AtomPerson | None) -> Person:
        if person is None:
            return unknown
        return convert(person.name, person.userid, person.email, person.user_state, person.is_external)

    return convert_once


def _person(
    name: str | None,
    userid: str | None,
    email: str | None,
    state: str | None,
    external: str | None,
    key: Key | None = None,
) -> Person:
    return Person(
        name=name or None,
        userid=identity(Userid, userid),
        key=key,
        email=identity(Email, email),
        state=state or None,
        external=_EXTERNAL.get((external or "").lower()),
    )


def identity(kind: type[IdentityT], text: str | None) -> IdentityT | None:
    """An identity of this kind, or None if `text` is missing or invalid."""
    try:
        return kind(text) if text else None
    except InvalidInputError:
        return None


def may_be(people: Sequence[Identity | None], userids: Sequence[Userid | None]) -> bool:
    """Whether people may have these userids. Case does not count: servers differ in it."""
    return all(
        userid is None or not isinstance(person, Userid) or person.value.casefold() == userid.value.casefold()
        for person, userid in zip(people, userids, strict=True)
    )


def connection_from(entry: atom.Entry, person_from: PersonFrom = person_from) -> Connection:
    """The connection that an entry describes.

    Source and target come from ``snx:connection`` and ``snx:rel``, not from author and contributor (protocol: in an
    unconfirmed connection both are the inviter).

    Raises:
        AtomError: the entry does not describe a connection.
    """
    source, target = ends_of(entry)
    authors, contributors, content = entry.authors, entry.contributors, entry.content
    hrefs = {link.rel: link.href for link in reversed(entry.links)}  # the first link with each relation counts
    return Connection(
        id=bare_id(entry) or connection_id(entry),
        status=status_of(entry),
        source=person_from(source),
        target=person_from(target),
        message=text_of(content),
        title=text_of(entry.title),
        updated=entry.updated,
        author=person_from(authors[0]) if authors else None,
        contributor=person_from(contributors[0]) if contributors else None,
        self_href=hrefs.get("self"),
        edit_href=hrefs.get("edit"),
        message_type=content.type if content else "text",
    )


def ends_of(entry: atom.Entry) -> tuple[atom.AtomPerson | None, atom.AtomPerson | None]:
    """Source and target of a connection, as the server describes them.

    Raises:
        AtomError: the entry does not describe a connection.
    """
    ends = entry.connection
    if ends is not None:
        return ends.source, ends.target
    if kind_of(entry) != "connection":
        raise AtomError("the entry does not describe a connection", element="entry")
    return None, None


def status_of(entry: atom.Entry) -> Status | None:
    """The status of a connection; None if the entry names no known status."""
    return _STATUSES.get((entry.term(_STATUS_SCHEME) or "").strip().lower())


def invite_entry(message: str = "", kind: Literal["text", "html"] = "text") -> atom.Entry:
    """The entry that invites a person (protocol page "Inviting a person to become a colleague").

    The status is ``pending``, although the inviter's own list shows ``unconfirmed``.
    """
    return _entry(Status.PENDING, atom.Content(message, kind))


def connected_entry(message: str = "") -> atom.Entry:
    """The entry that connects two people.

    Protocol page "Creating a colleague connection using the Administration API".
    """
    return _entry(Status.ACCEPTED, atom.Content(message, "text"))


def accepted_entry(entry: atom.Entry) -> atom.Entry:
    """The entry of an invitation with only its status changed.

    Protocol page "Accept an invitation to become a colleague": the sent entry replaces all existing information.
    """
    accepted = atom.Category(Status.ACCEPTED.value, _STATUS_SCHEME)
    categories = [
        evolve(category, term=accepted.term) if category.scheme == _STATUS_SCHEME else category
        for category in entry.categories
    ]
    if not any(category.scheme == _STATUS_SCHEME for category in categories):
        categories.append(accepted)
    return evolve(entry, categories=tuple(categories))


def _entry(status: Status, content: atom.Content) -> atom.Entry:
    return atom.Entry(
        categories=(
            atom.Category("connection", TYPE_SCHEME),
            atom.Category("colleague", _CONNECTION_TYPE_SCHEME),
            atom.Category(status.value, _STATUS_SCHEME),
        ),
        content=content,
    )


def invitation_from(entry: atom.Entry) -> Invitation:
    """The invitation that an entry describes.

    Raises:
        AtomError: the entry does not describe an invitation.
    """
    if kind_of(entry) != "invite":
        raise AtomError("the entry does not describe an invitation", element="entry")
    return Invitation(
        id=entry.id,
        community_uuid=_community_uuid(entry),
        title=text_of(entry.title),
        inviter=person_from(entry.authors[0]) if entry.authors else None,
        invitee=person_from(entry.contributors[0]) if entry.contributors else None,
        message=text_of(entry.content),
        updated=entry.updated,
        self_href=href_of(entry, "self"),
        edit_href=href_of(entry, "edit"),
    )


def invitation_entry(person: Identity, title: str) -> atom.Entry:
    """The entry that invites a person (protocol page "Creating a community invitation programmatically").

    Raises:
        InvalidInputError: the person is identified by key, which Communities does not know.
    """
    return atom.Entry(
        title=atom.Text(title),
        categories=(atom.Category("invite", TYPE_SCHEME),),
        contributors=(_contributor(person),),
    )


def member_entry(person: Identity) -> atom.Entry:
    """The entry that makes an invitee a member (protocol page "Adding a member programmatically").

    Raises:
        InvalidInputError: the person is identified by key, which Communities does not know.
    """
    role = atom.XmlElement(f"{{{SN}}}role", (("component", f"{SN}/communities"),), "member")
    return atom.Entry(
        contributors=(_contributor(person),), categories=(atom.Category("person", TYPE_SCHEME),), extensions=(role,)
    )


def _contributor(person: Identity) -> atom.AtomPerson:
    if isinstance(person, Key):
        raise InvalidInputError("Communities identifies people by userid or e-mail address, not by key")
    return atom.AtomPerson(email=person.value) if isinstance(person, Email) else atom.AtomPerson(userid=person.value)


def _community_uuid(entry: atom.Entry) -> str | None:
    hrefs = [href_of(entry, rel) for rel in (_COMMUNITY_REL, "self", "edit")]
    uuid = next((found for found in (query_value(href, "communityUuid") for href in hrefs) if found), None)
    if uuid is None and entry.id:
        # two uuids joined by a dash; uuids also contain dashes, so only their length separates them
        match = _INVITATION_ID.fullmatch(entry.id)
        uuid = match[1] if match else None
    return uuid
