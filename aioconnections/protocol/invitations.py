"""Invitations into communities as Atom entries (protocol page "Invitation content")."""

from __future__ import annotations

import re

from aioconnections.atom import AtomPerson, Category, Entry, Text, XmlElement
from aioconnections.errors import AtomError, InvalidInputError
from aioconnections.protocol.entries import SN, TYPE_SCHEME, href_of, kind_of, person_from, query_value, text_of
from aioconnections.records import Email, Identity, Invitation, Key

__all__ = ["invitation_entry", "invitation_from", "member_entry"]

_COMMUNITY_REL = f"{SN}/community"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ID = re.compile(rf".*:invite-({_UUID})-{_UUID}")


def invitation_from(entry: Entry) -> Invitation:
    """The invitation that an entry describes.

    Raises:
        AtomError: the entry describes something else.
    """
    if kind_of(entry) != "invite":
        raise AtomError("an entry that is not of an invitation", element="entry")
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


def invitation_entry(person: Identity, title: str) -> Entry:
    """What invites a person (protocol page "Creating a community invitation programmatically").

    Raises:
        InvalidInputError: the person is given by key, which Communities does not know.
    """
    return Entry(
        title=Text(title),
        categories=(Category("invite", TYPE_SCHEME),),
        contributors=(_contributor(person),),
    )


def member_entry(person: Identity) -> Entry:
    """What makes a person a member, and so accepts an invitation (protocol page "Adding a member programmatically").

    Raises:
        InvalidInputError: the person is given by key, which Communities does not know.
    """
    role = XmlElement(f"{{{SN}}}role", (("component", f"{SN}/communities"),), "member")
    return Entry(
        contributors=(_contributor(person),), categories=(Category("person", TYPE_SCHEME),), extensions=(role,)
    )


def _contributor(person: Identity) -> AtomPerson:
    if isinstance(person, Key):
        raise InvalidInputError("Communities knows people by userid or e-mail address, not by key")
    return AtomPerson(email=person.value) if isinstance(person, Email) else AtomPerson(userid=person.value)


def _community_uuid(entry: Entry) -> str | None:
    hrefs = [href_of(entry, rel) for rel in (_COMMUNITY_REL, "self", "edit")]
    told = next((uuid for uuid in (query_value(href, "communityUuid") for href in hrefs) if uuid), None)
    if told is None and entry.id:
        # Two uuids joined by the dash that is also in them: only their length tells them apart.
        found = _ID.fullmatch(entry.id)
        told = found[1] if found else None
    return told
