"""The changes made on a running server, layered over a directory that is never modified.

Each change takes effect at once and is recorded as a commit.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from aioconnections.records import Status
from aioconnections.reference.numbers import Guids
from aioconnections.reference.relationships import RelationshipRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioconnections.reference.commits import CommitLog, CommitVerb
    from aioconnections.reference.directory import Directory
    from aioconnections.reference.relationships import Group, Role

__all__ = ["Memberships", "PendingInvitation", "RelationshipState"]
_FIRST_NEW_ROW = 1 << 64  # above all row numbers of a directory
_INITIAL_INVITATION = 1_483_228_800_000  # date of the generated invitations, in milliseconds since 1970


class RelationshipState:
    """The current relationships. Each change affects the rows of both sides."""

    def __init__(self, directory: Directory, commits: CommitLog) -> None:
        self._directory = directory
        self._commits = commits
        self._changed: dict[int, dict[int, RelationshipRow | None]] = {}
        self._new_ids: dict[str, tuple[int, int]] = {}
        self._row_numbers = count(_FIRST_NEW_ROW)

    def row(self, source: int, target: int) -> RelationshipRow | None:
        """The row of `source` about `target`."""
        changed = self._changed.get(source)
        if changed is not None and target in changed:
            return changed[target]
        return self._directory.row(source, target)

    def rows_of(self, source: int) -> Iterator[RelationshipRow]:
        """All rows of `source`."""
        changed = self._changed.get(source, {})
        yield from (row for row in self._directory.rows_of(source) if row.target not in changed)
        yield from (row for row in changed.values() if row is not None)

    def row_with_id(self, connection_id: str) -> RelationshipRow | None:
        """The row with this id; None if it is unknown or was removed."""
        text = connection_id.strip().lower()
        pair = self._new_ids.get(text)
        if pair is None:
            row = self._directory.row_with_id(text)
            if row is None:
                return None
            pair = row.source, row.target
        row = self.row(*pair)
        return row if row is not None and self._directory.connection_id(row) == text else None

    def other_side(self, row: RelationshipRow) -> RelationshipRow:
        """The row of the target of `row`."""
        other = self.row(row.target, row.source)
        if other is None:
            raise AssertionError(f"a relationship must have two rows, but only {row} exists")
        return other

    def invite(self, inviter: int, invitee: int, message: str) -> RelationshipRow:
        """Invite, and replace any earlier relationship.

        Returns:
            The inviter's row.
        """
        row = self._relate(inviter, invitee, Status.UNCONFIRMED, Status.PENDING, message)
        self._commit("invite", inviter, row)
        return row

    def connect(self, actor: int, source: int, target: int, message: str) -> RelationshipRow:
        """Connect two people without a confirmation, and replace any earlier relationship.

        Returns:
            The source's row.
        """
        row = self._relate(source, target, Status.ACCEPTED, Status.ACCEPTED, message)
        self._commit("connect", actor, row)
        return row

    def accept(self, row: RelationshipRow, message: str) -> None:
        """Accept an invitation; `row` is the invitee's."""
        now = self._commits.now()
        self._put(row._replace(status=Status.ACCEPTED, updated=now, message=message))
        self._put(self.other_side(row)._replace(status=Status.ACCEPTED, updated=now))
        self._commit("accept", row.source, row)

    def edit(self, row: RelationshipRow, message: str) -> None:
        """Replace the message of `row`."""
        self._put(row._replace(updated=self._commits.now(), message=message))
        self._commit("edit", row.source, row)

    def remove(self, actor: int, row: RelationshipRow) -> None:
        """Remove both rows; the commit describes the side of `row`."""
        self._changed.setdefault(row.source, {})[row.target] = None
        self._changed.setdefault(row.target, {})[row.source] = None
        self._commit("remove" if actor == row.source else "disconnect", actor, row)

    def _relate(
        self, source: int, target: int, source_status: Status, target_status: Status, message: str
    ) -> RelationshipRow:
        now = self._commits.now()
        row = RelationshipRow(next(self._row_numbers), source, target, source_status, now, message)
        other = RelationshipRow(next(self._row_numbers), target, source, target_status, now, message)
        for new in (row, other):
            self._new_ids[self._directory.connection_id(new)] = (new.source, new.target)
            self._put(new)
        return row

    def _put(self, row: RelationshipRow) -> None:
        self._changed.setdefault(row.source, {})[row.target] = row

    def _commit(self, verb: CommitVerb, actor: int, row: RelationshipRow) -> None:
        self._commits.add(
            verb,
            actor=actor,
            source=row.source,
            target=row.target,
            subject=self._directory.connection_id(row),
        )


class PendingInvitation(NamedTuple):
    """An invitation to a community that has been neither accepted nor declined.

    Attributes:
        group: the community.
        inviter: number of the inviter.
        invitee: number of the invitee.
        title: the title that the inviter gave; may be empty.
        updated: milliseconds since 1970.
    """

    group: Group
    inviter: int
    invitee: int
    title: str
    updated: int


class Memberships:
    """The current members and invitations of all communities."""

    def __init__(self, directory: Directory, commits: CommitLog) -> None:
        self._commits = commits
        self._member_uuids = Guids(directory.seed, 60)
        self._size = directory.administrator + 1
        self._groups = {group.uuid: group for group in directory.groups()}
        self._invitations = {
            (group.uuid, invitee): PendingInvitation(group, inviter, invitee, "", _INITIAL_INVITATION)
            for group in self._groups.values()
            for invitee, inviter in group.invited.items()
        }

    def group(self, uuid: str) -> Group | None:
        """The community with this uuid."""
        return self._groups.get(uuid.lower())

    def member_uuid(self, person: int) -> str:
        """The id of a person within Communities; it differs from userid and key."""
        return self._member_uuids.write(person)

    def person(self, member_uuid: str) -> int | None:
        """The person with this member uuid."""
        number = self._member_uuids.read(member_uuid)
        known = number is not None and 0 <= number < self._size
        return number if known and self._member_uuids.write(number or 0) == member_uuid.lower() else None

    def invitation(self, group: Group, invitee: int) -> PendingInvitation | None:
        """The invitation of this person to this community."""
        return self._invitations.get((group.uuid, invitee))

    def invitations(self, *, group: Group | None = None, invitee: int | None = None) -> Iterator[PendingInvitation]:
        """The invitations to a community, or those of a person."""
        for invitation in self._invitations.values():
            if group in (None, invitation.group) and invitee in (None, invitation.invitee):
                yield invitation

    def invite(self, group: Group, inviter: int, invitee: int, title: str) -> PendingInvitation:
        """Invite, and replace any earlier invitation of this person."""
        invitation = PendingInvitation(group, inviter, invitee, title, self._commits.now())
        self._invitations[group.uuid, invitee] = invitation
        self._commits.add("invite to community", actor=inviter, source=inviter, target=invitee, subject=group.uuid)
        return invitation

    def withdraw(self, actor: int, invitation: PendingInvitation) -> None:
        """Remove an invitation that the invitee declines or an owner revokes."""
        group, inviter, invitee = invitation[:3]
        del self._invitations[group.uuid, invitee]
        self._commits.add("withdraw from community", actor=actor, source=inviter, target=invitee, subject=group.uuid)

    def join(self, actor: int, group: Group, person: int, role: Role) -> None:
        """Add a member, and remove the invitation of this person."""
        group.roles[person] = role
        self._invitations.pop((group.uuid, person), None)
        self._commits.add("join community", actor=actor, source=actor, target=person, subject=group.uuid)
