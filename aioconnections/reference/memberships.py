"""Communities of a running server: who belongs to them, and who was invited."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aioconnections.reference.numbers import Guids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioconnections.reference.commits import Commits
    from aioconnections.reference.directory import Directory
    from aioconnections.reference.groups import Group, Role

__all__ = ["Invitation", "Memberships"]

_STARTED = 1_483_228_800_000  # when the invitations of the beginning were made, in milliseconds since 1970


class Invitation(NamedTuple):
    """An invitation that has not been answered.

    Attributes:
        group: the community.
        inviter: number of who sent it.
        invitee: number of who got it.
        title: what the inviter called it; empty if nothing.
        updated: milliseconds since 1970.
    """

    group: Group
    inviter: int
    invitee: int
    title: str
    updated: int


class Memberships:
    """The communities now. Every change is made at once and committed."""

    def __init__(self, directory: Directory, commits: Commits) -> None:
        self._commits = commits
        self._member_uuids = Guids(directory.seed, 60)
        self._size = directory.administrator + 1
        self._groups = {group.uuid: group for group in directory.groups()}
        self._invitations = {
            (group.uuid, invitee): Invitation(group, inviter, invitee, "", _STARTED)
            for group in self._groups.values()
            for invitee, inviter in group.invited.items()
        }

    def group(self, uuid: str) -> Group | None:
        """The community with this id."""
        return self._groups.get(uuid.lower())

    def member_uuid(self, person: int) -> str:
        """The id that Communities itself has for a person; it is neither their userid nor their key."""
        return self._member_uuids.write(person)

    def person(self, member_uuid: str) -> int | None:
        """Whose member uuid this is."""
        number = self._member_uuids.read(member_uuid)
        known = number is not None and 0 <= number < self._size
        return number if known and self._member_uuids.write(number or 0) == member_uuid.lower() else None

    def invitation(self, group: Group, invitee: int) -> Invitation | None:
        """The invitation of this person to this community."""
        return self._invitations.get((group.uuid, invitee))

    def invitations(self, *, group: Group | None = None, invitee: int | None = None) -> Iterator[Invitation]:
        """Those to a community, or of a person."""
        for invitation in self._invitations.values():
            if group in (None, invitation.group) and invitee in (None, invitation.invitee):
                yield invitation

    def invite(self, group: Group, inviter: int, invitee: int, title: str) -> Invitation:
        """An invitation; one that there was is replaced."""
        invitation = Invitation(group, inviter, invitee, title, self._commits.now())
        self._invitations[group.uuid, invitee] = invitation
        self._commits.add("invite to community", actor=inviter, source=inviter, target=invitee, subject=group.uuid)
        return invitation

    def withdraw(self, actor: int, invitation: Invitation) -> None:
        """Declined by the invitee, or revoked."""
        group, inviter, invitee = invitation[:3]
        del self._invitations[group.uuid, invitee]
        self._commits.add("withdraw from community", actor=actor, source=inviter, target=invitee, subject=group.uuid)

    def join(self, actor: int, group: Group, person: int, role: Role) -> None:
        """A new member, whose invitation is thereby answered."""
        group.roles[person] = role
        self._invitations.pop((group.uuid, person), None)
        self._commits.add("join community", actor=actor, source=actor, target=person, subject=group.uuid)
