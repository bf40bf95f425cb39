"""Invitations into communities."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Literal

from aioconnections.bulk import Outcomes, WorkItem, digest_of
from aioconnections.client.base import Base, OnProgress, PersonLike
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
from aioconnections.protocol.messages import Flow
from aioconnections.protocol.profiles import signed_in
from aioconnections.records import Invitation, identity_of
from aioconnections.session.listing import Stream
from aioconnections.session.session import Session

if TYPE_CHECKING:
    from aioconnections.journal import Journal

__all__ = ["Communities", "Community"]


class Community:
    """One community, for its owners: ``community = client.community(uuid)``."""

    def __init__(self, client: Base, uuid: str) -> None:
        self.uuid: str = plain_text(uuid, "uuid of the community")
        self._client = client

    async def invite(self, person: PersonLike, *, title: str = "Invitation") -> Invited | AlreadyExists:
        """Invite a person into the community, by userid or e-mail address.

        Page "Creating a community invitation programmatically".

        Args:
            person: whom.
            title: of the invitation; the page requires one.

        Raises:
            ForbiddenError: the signed-in user is no owner of it.
            NotFoundError: there is no such community.
            InDoubtError: the answer was lost.
            ConnectionsError: it was not done.
        """
        identity = identity_of(person)
        flow = communities.invite_to_community(self._client._here().address, self.uuid, identity, _text(title))
        return await self._client._done(flow, person, identity, person=identity)

    def invite_many(  # keyword-only options
        self,
        people: Iterable[PersonLike] | AsyncIterable[PersonLike],
        *,
        title: str = "Invitation",
        journal: Journal | None,
        ordered: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Outcomes[InviteOutcome]:
        """Invite every person of a source; see `invite` for one.

        A repeated person is a `Duplicate`. An invitation that a run which was killed may have sent is
        reported as in doubt, and never sent again.

        Args:
            people: any iterable or async iterable.
            title: see `invite`.
            journal: where to record the run, so that it can go on after whatever ends it. There is no default; None
                does without.
            ordered: give the outcomes in the order of the source instead of as they complete.
            on_progress: told twice a second where the run stands.
        """
        address, digest = self._client._here().address, digest_of(_text(title).encode(errors="surrogatepass"))

        def understand(item: object) -> WorkItem[Invited | AlreadyExists | Duplicate]:
            person = identity_of(item)  # type: ignore[arg-type] # it refuses whatever is no person
            return WorkItem(
                lambda earlier: communities.invite_to_community(address, self.uuid, person, title, earlier=earlier),
                person=person,
                people=(person,),
                digest=digest,
            )

        verb = f"invite into community {self.uuid}"
        return self._client._many(
            understand, people, verb, ordered=ordered, once=True, journal=journal, on_progress=on_progress
        )

    def invitations(self) -> Stream[Invitation]:
        """The invitations into the community that wait for an answer, for its owners."""
        session = self._client._here()
        return Stream(session, listing.invitations(session.address, self.uuid))

    def __repr__(self) -> str:
        return f"Community({self.uuid})"


class Communities(Base):
    """What has to do with invitations into communities."""

    def community(self, uuid: str) -> Community:
        """One community, by its uuid.

        Raises:
            InvalidInputError: the uuid is empty, or cannot be one.
        """
        return Community(self, uuid)

    def invitations(self) -> Stream[Invitation]:
        """The signed-in user's own invitations (page "Getting the My Invitations feed")."""
        session = self._here()
        return Stream(session, listing.invitations(session.address))

    async def get_invitation(self, invitation: Invitation) -> Invitation | None:
        """An invitation as it stands now; None if it is gone.

        Page "Retrieving an invitation". Its address is used as the server gave it.

        Raises:
            ConnectionsError: the server refuses, or the answer makes no sense.
        """
        return await self._call(communities.get_invitation(self._here().address, invitation))

    async def accept_invitation(self, invitation: Invitation) -> Accepted:
        """Become a member of the community that one is invited to.

        Page "Adding a member programmatically".

        Raises:
            InDoubtError: the answer was lost.
            ConnectionsError: it was not done.
        """
        return await self._done(_accept(self._here(), invitation), invitation)

    async def decline_invitation(self, invitation: Invitation) -> Removed:
        """Decline an invitation that one was sent.

        Page "Declining or revoking an invitation".

        Raises:
            NotFoundError: it is gone.
            ConnectionsError: it was not done.
        """
        return await self._done(communities.end_invitation(self._here().address, invitation), invitation)

    async def revoke_invitation(self, invitation: Invitation) -> Removed:
        """Revoke an invitation, as an owner of the community; for the server it is the same as declining.

        Page "Declining or revoking an invitation".

        Raises:
            NotFoundError: it is gone.
            ConnectionsError: it was not done.
        """
        return await self.decline_invitation(invitation)

    def accept_invitation_many(
        self,
        invitations: Iterable[Invitation] | AsyncIterable[Invitation],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> Outcomes[AcceptOutcome]:
        """Accept every invitation of a source; see `accept_invitation`, and `Client.check_many` for the arguments."""
        session = self._here()

        def understand(item: object) -> WorkItem[Accepted]:
            invitation = _invitation(item)
            return WorkItem(lambda _: _accept(session, invitation), ref=_ref(invitation))

        return self._many(
            understand, invitations, "accept invitation", ordered=ordered, journal=journal, on_progress=on_progress
        )

    def decline_invitation_many(
        self,
        invitations: Iterable[Invitation] | AsyncIterable[Invitation],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> Outcomes[RemoveOutcome]:
        """Decline every invitation of a source; see `decline_invitation`, and `Client.check_many` for the arguments."""
        address = self._here().address

        def understand(item: object) -> WorkItem[Removed]:
            invitation = _invitation(item)
            return WorkItem(
                lambda earlier: communities.end_invitation(address, invitation, earlier=earlier), ref=_ref(invitation)
            )

        return self._many(
            understand, invitations, "end invitation", ordered=ordered, journal=journal, on_progress=on_progress
        )

    def revoke_invitation_many(
        self,
        invitations: Iterable[Invitation] | AsyncIterable[Invitation],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> Outcomes[RemoveOutcome]:
        """Revoke every invitation of a source; see `revoke_invitation`, and `Client.check_many` for the arguments."""
        return self.decline_invitation_many(invitations, ordered=ordered, journal=journal, on_progress=on_progress)


def _accept(session: Session, invitation: Invitation) -> Flow[Accepted]:
    me = session.me or (yield from signed_in(session.address))  # a client need not prove the login beforehand
    return (yield from communities.accept_invitation(session.address, me, invitation))


def _invitation(item: object) -> Invitation:
    if isinstance(item, Invitation):
        return item
    raise InvalidInputError(f"expected an Invitation, not {type(item).__name__}")


def _ref(invitation: Invitation) -> tuple[Literal["invitation_href"], str]:
    return "invitation_href", invitation.edit_href or invitation.self_href or f"{invitation.community_uuid}"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(f"a title is text, not {type(value).__name__}")
    return value
