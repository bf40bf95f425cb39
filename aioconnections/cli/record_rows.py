"""Rows of the records that the server lists: connections, people and invitations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

from attrs import frozen

from aioconnections.files.rows import InputRow
from aioconnections.records import Connection, Invitation, Person, Profile

__all__ = ["CONNECTIONS", "INVITATIONS", "PROFILES", "Records", "cell", "person_cells", "person_columns"]

RecordT = TypeVar("RecordT")

_MOST_FOUND = 250  # a recorded search ends there for any page size
_PERSON = ("userid", "key", "email", "name")


@frozen
class Records(Generic[RecordT]):
    """How records of one kind become rows. Columns that other commands read have the names that those commands expect.

    Attributes:
        columns: names of the columns, in order.
        row: makes the row of a record.
        most: largest number of records that a server lists; None if it lists all.
    """

    columns: tuple[str, ...]
    row: Callable[[RecordT], InputRow]
    most: int | None = None


def person_columns(role: str) -> tuple[str, ...]:
    """The columns of a person; without a role, those that a command reads as one person in each row."""
    return tuple(f"{role}_{name}" for name in _PERSON) if role else _PERSON


def person_cells(role: str, person: Person | None) -> InputRow:
    """The values of `person_columns`."""
    found = person or Person()
    values = (cell(found.userid), cell(found.key), cell(found.email), found.name)
    return dict(zip(person_columns(role), values, strict=True))


def cell(value: object) -> str | None:
    """The value as text; None for a missing one."""
    if isinstance(value, datetime):
        return value.isoformat()
    return None if value is None else str(value)


def _of_connection(connection: Connection) -> InputRow:
    return {
        "connection_id": connection.id,
        "status": cell(connection.status),
        **person_cells("source", connection.source),
        **person_cells("target", connection.target),
        "updated": cell(connection.updated),
        "message": connection.message,
        "message_type": connection.message_type,
    }


def _of_profile(profile: Profile) -> InputRow:
    return {
        **person_cells("", profile.person),
        "state": profile.person.state,
        "external": profile.person.external,
        "job_title": profile.job_title,
        "profile_type": profile.profile_type,
        "updated": cell(profile.updated),
    }


def _of_invitation(invitation: Invitation) -> InputRow:
    return {
        "community_uuid": invitation.community_uuid,
        "title": invitation.title,
        **person_cells("inviter", invitation.inviter),
        **person_cells("invitee", invitation.invitee),
        "updated": cell(invitation.updated),
        "message": invitation.message,
        "self_href": invitation.self_href,
        "edit_href": invitation.edit_href,
    }


CONNECTIONS: Records[Connection] = Records(
    (
        "connection_id",
        "status",
        *person_columns("source"),
        *person_columns("target"),
        "updated",
        "message",
        "message_type",
    ),
    _of_connection,
)
PROFILES: Records[Profile] = Records(
    (*_PERSON, "state", "external", "job_title", "profile_type", "updated"), _of_profile, most=_MOST_FOUND
)
INVITATIONS: Records[Invitation] = Records(
    (
        "community_uuid",
        "title",
        *person_columns("inviter"),
        *person_columns("invitee"),
        "updated",
        "message",
        "self_href",
        "edit_href",
    ),
    _of_invitation,
)
