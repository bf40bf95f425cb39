"""Invitations into communities: of one community, for its owners, and of the signed-in user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aioconnections import atom, bulk
from aioconnections.client.caller import Caller, OnProgress, PersonLike, Resource
from aioconnections.client.sources import Source, source_of
from aioconnections.errors import InvalidInputError
from aioconnections.identifiers import plain_text
from aioconnections.outcomes import (
    Accepted,
    AcceptOutcome,
    AlreadyExists,
    Duplicate,
    Invited,
    InviteOutcome,
    Removed,
    RemoveOutcome,
)
from aioconnections.protocol import communities, listing
from aioconnections.protocol.entries import invitation_entry
from aioconnections.protocol.messages import Flow
from aioconnections.protocol.profiles import signed_in
from aioconnections.records import Invitation, Userid, identity_of
from aioconnections.reprs import safe_repr
from aioconnections.session.listing import Stream
from aioconnections.session.session import Session

if TYPE_CHECKING:
    from aioconnections.journal import Journal

__all__ = ["Community", "CommunityInvitations"]


class Community(Resource):
    """One community, for its owners: ``community = client.community(uuid)``."""

    def __init__(self, caller: Caller, uuid: str) -> None:
        super().__init__(caller)
        self.uuid: str = plain_text(uuid, "uuid of the community")

    async def invite(
        self, person: PersonLike, *, title: str = "Invitation", timeout: float | None = None
    ) -> Invited | AlreadyExists:
        """Invite a person into the community, by userid or e-mail address.

        Page "Creating a community invitation programmatically".

        Args:
            person: the invitee.
            title: title of the invitation, which the server requires.
            timeout: seconds for the whole call; see `Client`.

        Raises:
            ForbiddenError: the signed-in user is not an owner of the community.
            NotFoundError: there is no such community.
            InDoubtError: the response was lost.
            ConnectionsError: the invitation was not made.
        """
        identity = identity_of(person)
        flow = communities.invite_to_community(self._caller.here().address, self.uuid, identity, _text(title))
        return await self._caller.change("community.invite", flow, person, identity, timeout=timeout, person=identity)

    def invite_many(
        self,
        people: Source[PersonLike | InvalidInputError],
        *,
        title: str = "Invitation",
        journal: Journal | None,
        ordered: bool = False,
        on_progress: OnProgress | None = None,
    ) -> bulk.Outcomes[InviteOutcome]:
        """Invite every person of a source; see `invite` for one.

        A repeated person is a `Duplicate`. An invitation that a killed run may have sent is reported as in doubt, and
        never sent again.

        Args:
            people: any iterable or async iterable.
            title: see `invite`.
            journal: records the run, so that it can be continued. There is no default; None runs without a journal.
            ordered: give the outcomes in the order of the source instead of as they complete.
            on_progress: called twice a second with the progress.

        Raises:
            InvalidInputError: the title cannot be sent.
        """
        address, digest = self._caller.anywhere().address, bulk.digest_of(_text(title).encode())

        def parse(item: object) -> bulk.WorkItem[Invited | AlreadyExists | Duplicate]:
            person = identity_of(item)  # type: ignore[arg-type] # it refuses anything else
            return bulk.WorkItem(
                lambda earlier: communities.invite_to_community(address, self.uuid, person, title, earlier=earlier),
                person=person,
                people=(person,),
                digest=digest,
            )

        verb = f"invite into community {self.uuid}"
        return self._caller.run_flows(
            "community.invite_many",
            parse,
            source_of(people, "people"),
            verb,
            ordered=ordered,
            once=True,
            journal=journal,
            on_progress=on_progress,
        )

    def invitations(self) -> Stream[Invitation]:
        """The pending invitations into the community, for its owners."""
        return self._caller.stream(
            "community.invitations", listing.invitations(self._caller.anywhere().address, self.uuid)
        )

    @safe_repr
    def __repr__(self) -> str:
        return f"Community({self.uuid})"


class CommunityInvitations(Resource):
    """Invitations into communities: ``client.community_invitations``."""

    def received(self) -> Stream[Invitation]:
        """The signed-in user's own invitations (page "Getting the My Invitations feed")."""
        return self._caller.stream(
            "community_invitations.received", listing.invitations(self._caller.anywhere().address)
        )

    async def get(self, invitation: Invitation, *, timeout: float | None = None) -> Invitation | None:
        """The current state of an invitation; None if it no longer exists.

        Page "Retrieving an invitation". Its address is used as the server gave it.

        Raises:
            ConnectionsError: the server refuses, or the response cannot be read.
        """
        return await self._caller.call(
            "community_invitations.get",
            communities.get_invitation(self._caller.here().address, invitation),
            timeout=timeout,
        )

    async def accept(self, invitation: Invitation, *, timeout: float | None = None) -> Accepted:
        """Become a member of the community of an invitation.

        Page "Adding a member programmatically".

        Raises:
            InvalidInputError: the invitation has no `community_uuid`.
            InDoubtError: the response was lost.
            ConnectionsError: the invitation was not accepted.
        """
        return await self._caller.change(
            "community_invitations.accept", _accept(self._caller.here(), invitation), invitation, timeout=timeout
        )

    async def decline(self, invitation: Invitation, *, timeout: float | None = None) -> Removed:
        """Decline an invitation of the signed-in user.

        Page "Declining or revoking an invitation".

        Raises:
            NotFoundError: the invitation no longer exists.
            InDoubtError: the response was lost, and verification did not settle whether the change was made.
            ConnectionsError: the invitation was not declined.
        """
        return await self._caller.change(
            "community_invitations.decline",
            communities.end_invitation(self._caller.here().address, invitation),
            invitation,
            timeout=timeout,
        )

    async def revoke(self, invitation: Invitation, *, timeout: float | None = None) -> Removed:
        """Revoke an invitation, as an owner of the community; the same request as `decline`.

        Page "Declining or revoking an invitation".

        Raises:
            NotFoundError: the invitation no longer exists.
            InDoubtError: the response was lost, and verification did not settle whether the change was made.
            ConnectionsError: the invitation was not revoked.
        """
        return await self.decline(invitation, timeout=timeout)

    def accept_many(
        self,
        invitations: Source[Invitation | InvalidInputError],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> bulk.Outcomes[AcceptOutcome]:
        """Accept every invitation of a source; see `accept` for one, and `Client.check_many` for the arguments."""
        session = self._caller.anywhere()

        def parse(item: object) -> bulk.WorkItem[Accepted]:
            invitation = _invitation(item)
            return bulk.WorkItem(lambda _: _accept(session, invitation), ref=_ref(invitation))

        return self._caller.run_flows(
            "community_invitations.accept_many",
            parse,
            source_of(invitations, "invitations"),
            "accept invitation",
            ordered=ordered,
            journal=journal,
            on_progress=on_progress,
        )

    def decline_many(
        self,
        invitations: Source[Invitation | InvalidInputError],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> bulk.Outcomes[RemoveOutcome]:
        """Decline every invitation of a source; see `decline` for one, and `Client.check_many` for the arguments."""
        address = self._caller.anywhere().address

        def parse(item: object) -> bulk.WorkItem[Removed]:
            invitation = _invitation(item)
            return bulk.WorkItem(
                lambda earlier: communities.end_invitation(address, invitation, earlier=earlier), ref=_ref(invitation)
            )

        return self._caller.run_flows(
            "community_invitations.decline_many",
            parse,
            source_of(invitations, "invitations"),
            "end invitation",
            ordered=ordered,
            journal=journal,
            on_progress=on_progress,
        )

    def revoke_many(
        self,
        invitations: Source[Invitation | InvalidInputError],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> bulk.Outcomes[RemoveOutcome]:
        """Revoke every invitation of a source; see `revoke` for one, and `Client.check_many` for the arguments."""
        return self.decline_many(invitations, ordered=ordered, journal=journal, on_progress=on_progress)


def _accept(session: Session, invitation: Invitation) -> Flow[Accepted]:
    me = session.me or (yield from signed_in(session.address))  # the login need not be proved before
    return (yield from communities.accept_invitation(session.address, me, invitation))


def _invitation(item: object) -> Invitation:
    if isinstance(item, Invitation):
        return item
    raise InvalidInputError(f"expected an Invitation, got {type(item).__name__}")


def _ref(invitation: Invitation) -> tuple[Literal["invitation_href"], str]:
    return "invitation_href", invitation.edit_href or invitation.self_href or f"{invitation.community_uuid}"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(f"title must be text, got {type(value).__name__}")
    atom.write_entry(invitation_entry(Userid("x"), value))  # refuses what XML does not allow
    return value
