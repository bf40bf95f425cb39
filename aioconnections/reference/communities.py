"""Invitations to communities, and how they are answered."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from aioconnections.reference.answers import Answer, Document, Done, Refusal, Refused
from aioconnections.reference.community_documents import CommunityDocuments, CommunityFeed
from aioconnections.reference.lookup import cut, milliseconds
from aioconnections.reference.memberships import Memberships
from aioconnections.reference.people import own_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioconnections.reference.groups import Group
    from aioconnections.reference.lookup import Page
    from aioconnections.reference.memberships import Invitation
    from aioconnections.reference.posted import Posted
    from aioconnections.reference.request import Request
    from aioconnections.reference.world import World

__all__ = ["Communities"]

_INVITATIONS_ON_A_PAGE, _MEMBERS_ON_A_PAGE = 20, 10


def _refused(status: int, message: str) -> Refused:
    return Refused(status, message, "communities")


_NO_COMMUNITY = _refused(404, "The community which this resource or page is associated with does not exist.")
_UNKNOWN_USER = _refused(400, "Unknown user.")
# No recordings of these: the words are ours.
_MALFORMED = _refused(400, "The request is not valid.")
_FORBIDDEN = _refused(403, "You are not authorized to perform that action.")
_NO_INVITATION = _refused(404, "The invitation does not exist.")
_INVITED_ALREADY = _refused(409, "The person has been invited already.")
_MEMBER_ALREADY = _refused(417, "The person is a member already.")


class Communities:
    """The operations on communities."""

    def __init__(self, world: World) -> None:
        self._world = world

    @cached_property
    def memberships(self) -> Memberships:
        """Who belongs where; made when it is first asked for."""
        return Memberships(self._world.directory, self._world.commits)

    @cached_property
    def _documents(self) -> CommunityDocuments:
        return CommunityDocuments(self._world.directory, self.memberships, self._world.settings)

    def community(self, request: Request) -> Answer:
        """GET ``community``: the entry of one, with the links to its members and invitations."""
        group = self._group(request)
        if not group.public:
            self._belonging(request, group)
        return self._entry(partial(self._documents.community, group))

    def invitations(self, request: Request) -> Answer:
        """GET ``community/invites``: those to a community, for its owners; with a member uuid one of them."""
        group, user = self._group(request), request.signed_in()
        if "userid" in request.query:
            invitation = self._invitation(request, group)
            return self._entry(partial(self._documents.invitation, invitation))
        if not self._owns(user, group):
            return _FORBIDDEN
        found = self.memberships.invitations(group=group)
        return self._invitation_feed(request, f"invites-{group.uuid}", f"Invitations to {group.title}", list(found))

    def my_invitations(self, request: Request) -> Answer:
        """GET ``community/invites/my``."""
        user = request.signed_in()
        name = f"invites-{self.memberships.member_uuid(user)}"
        title = f"Invitations for {self._world.directory.person(user).name}"
        return self._invitation_feed(request, name, title, list(self.memberships.invitations(invitee=user)))

    def invite(self, request: Request) -> Answer:
        """POST ``community/invites``, by an owner."""
        user, group = request.signed_in(), self._group(request)
        entry = self._world.posted(request, "invite", otherwise=_MALFORMED)
        if not self._owns(user, group):
            return _FORBIDDEN
        invitee = self._named(entry)
        if invitee in group.roles:
            return _MEMBER_ALREADY
        if self._world.settings.dedup and self.memberships.invitation(group, invitee) is not None:
            return _INVITED_ALREADY
        invitation = self.memberships.invite(group, user, invitee, entry.title.strip())
        location = self._documents.href(invitation, request.base)
        write = partial(self._documents.invitation, invitation)
        return self._world.created("communities", location, lambda base: self._documents.document(write(base)))

    def withdraw(self, request: Request) -> Answer:
        """DELETE ``community/invites``: the invitee declines, or an owner revokes."""
        user, group = request.signed_in(), self._group(request)
        if "userid" not in request.query:
            return _MALFORMED
        self.memberships.withdraw(user, self._invitation(request, group))
        return Done(self._world.settings.invitation_delete, "communities")

    def members(self, request: Request) -> Answer:
        """GET ``community/members``: everybody's, or only the members' own if the community is not public."""
        group = self._group(request)
        if not group.public:
            self._belonging(request, group)
        settings = self._world.settings
        default = settings.page_default or _MEMBERS_ON_A_PAGE
        roles = list(group.roles.items())
        page = cut(request, len(roles), default=default, most=settings.max_ps, otherwise=_MALFORMED)
        feed = self._feed(request, f"members-{group.uuid}", f"Members of {group.title}", page)
        documents = self._documents
        return _document(
            lambda base: documents.feed(
                feed, base, (documents.member(group, person, role, base) for person, role in page.of(roles))
            )
        )

    def join(self, request: Request) -> Answer:
        """POST ``community/members``: accepts an invitation, joins a public community, or adds somebody to the own."""
        user, group = request.signed_in(), self._group(request)
        # the entry of an invitation is posted here too, by clients that know no better
        entry = self._world.posted(request, "person", "invite", otherwise=_MALFORMED)
        person, owner = self._named(entry), self._owns(user, group)
        if person in group.roles:
            return _MEMBER_ALREADY
        invited = self.memberships.invitation(group, person) is not None
        if not owner and (person != user or not (invited or group.public) or entry.role == "owner"):
            return _FORBIDDEN
        self.memberships.join(user, group, person, "owner" if entry.role == "owner" else "member")
        return Done(201, "communities", self._documents.member_href(group, person, request.base))

    def _group(self, request: Request) -> Group:
        group = self.memberships.group(request.first("communityUuid"))
        if group is None:
            raise Refusal(_NO_COMMUNITY)
        return group

    def _invitation(self, request: Request, group: Group) -> Invitation:
        """The one that the member uuid names, if it concerns the user."""
        user = request.signed_in()
        person = self.memberships.person(request.first("userid"))
        invitation = None if person is None else self.memberships.invitation(group, person)
        if invitation is None:
            raise Refusal(_NO_INVITATION)
        if user != person and not self._owns(user, group):
            raise Refusal(_FORBIDDEN)
        return invitation

    def _owns(self, user: int, group: Group) -> bool:
        return group.roles.get(user) == "owner" or self._world.is_administrator(user)

    def _belonging(self, request: Request, group: Group) -> None:
        user = request.signed_in()
        invited = self.memberships.invitation(group, user) is not None
        if not (invited or user in group.roles or self._world.is_administrator(user)):
            raise Refusal(_FORBIDDEN)

    def _named(self, entry: Posted) -> int:
        """Whom the contributor of an entry is."""
        for kind, text in entry.people:
            if kind == "email" and self._world.settings.emails == "hidden":
                break
            number = self._world.directory.number(kind, text)
            if number is None:
                break
            return number
        raise Refusal(_UNKNOWN_USER)

    def _invitation_feed(self, request: Request, name: str, title: str, found: list[Invitation]) -> Answer:
        """Newest first unless the parameters say otherwise."""
        orders: dict[str, Callable[[Invitation], tuple[object, ...]]] = {
            "lastmod": lambda it: (it.updated,),
            "name": lambda it: (it.group.title,),
            "count": lambda it: (len(it.group.roles),),
        }
        order = orders.get(request.first("sortField") or "lastmod")
        if order is None:
            return _MALFORMED
        if "since" in request.query:
            since = milliseconds(request.first("since"), otherwise=_MALFORMED)
            found = [invitation for invitation in found if invitation.updated > since]
        found.sort(key=order, reverse=request.first("asc") != "true")
        settings, documents = self._world.settings, self._documents
        default = settings.page_default or _INVITATIONS_ON_A_PAGE
        page = cut(request, len(found), default=default, most=settings.max_ps, otherwise=_MALFORMED)
        feed = self._feed(request, name, title, page)
        return _document(
            lambda base: documents.feed(feed, base, (documents.invitation(it, base) for it in page.of(found)))
        )

    def _feed(self, request: Request, name: str, title: str, page: Page) -> CommunityFeed:
        return CommunityFeed(name, title, request.path, own_address(request), page, self._world.commits.now())

    def _entry(self, write: Callable[[str], str]) -> Answer:
        return _document(lambda base: self._documents.document(write(base)))


def _document(write: Callable[[str], str]) -> Document:
    return Document("communities", write)
