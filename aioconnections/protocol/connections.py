"""Colleague connections as Atom entries (protocol page "Colleague connection entry content")."""

from __future__ import annotations

from typing import Literal

from attrs import evolve

from aioconnections.atom import Category, Content, Entry
from aioconnections.errors import AtomError
from aioconnections.protocol.entries import SN, TYPE_SCHEME, bare_id, href_of, kind_of, person_from, text_of
from aioconnections.records import Connection, Status

__all__ = ["accepted_entry", "connected_entry", "connection_from", "invite_entry"]

_CONNECTION_TYPE_SCHEME = f"{SN}/connection/type"
_STATUS_SCHEME = f"{SN}/status"


def connection_from(entry: Entry) -> Connection:
    """The connection that an entry describes.

    Source and target come from ``snx:connection`` and ``snx:rel``: author and contributor of the entry are something
    else (protocol: in an unconfirmed connection both are the inviter).

    Raises:
        AtomError: the entry describes something else.
    """
    if entry.connection is None and kind_of(entry) != "connection":
        raise AtomError("an entry that is not of a connection", element="entry")
    ends = entry.connection
    return Connection(
        id=bare_id(entry),
        status=_status(entry),
        source=person_from(ends.source if ends else None),
        target=person_from(ends.target if ends else None),
        message=text_of(entry.content),
        title=text_of(entry.title),
        updated=entry.updated,
        author=person_from(entry.authors[0]) if entry.authors else None,
        contributor=person_from(entry.contributors[0]) if entry.contributors else None,
        self_href=href_of(entry, "self"),
        edit_href=href_of(entry, "edit"),
        message_type=entry.content.type if entry.content else "text",
    )


def invite_entry(message: str = "", kind: Literal["text", "html"] = "text") -> Entry:
    """What invites a person (protocol page "Inviting a person to become your colleague").

    The status is ``pending`` although the inviter's own list will show ``unconfirmed``.
    """
    return _entry(Status.PENDING, Content(message, kind))


def connected_entry(message: str = "") -> Entry:
    """What connects two people on their behalf (protocol page "Creating a colleague connection", administration)."""
    return _entry(Status.ACCEPTED, Content(message, "text"))


def accepted_entry(entry: Entry) -> Entry:
    """The entry of an invitation with its status changed, and nothing else: what is not sent back is lost.

    (Protocol page "Accept an invitation": all existing information is replaced with what is sent.)
    """
    accepted = Category(Status.ACCEPTED.value, _STATUS_SCHEME)
    categories = [
        evolve(category, term=accepted.term) if category.scheme == _STATUS_SCHEME else category
        for category in entry.categories
    ]
    if not any(category.scheme == _STATUS_SCHEME for category in categories):
        categories.append(accepted)
    return evolve(entry, categories=tuple(categories))


def _status(entry: Entry) -> Status | None:
    try:
        return Status((entry.term(_STATUS_SCHEME) or "").strip().lower())
    except ValueError:
        return None


def _entry(status: Status, content: Content) -> Entry:
    return Entry(
        categories=(
            Category("connection", TYPE_SCHEME),
            Category("colleague", _CONNECTION_TYPE_SCHEME),
            Category(status.value, _STATUS_SCHEME),
        ),
        content=content,
    )
