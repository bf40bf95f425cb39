"""Endpoints of communities: their members and the invitations to them."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from aioconnections.reference.community_documents import CommunitiesDocuments, CommunitiesFeed
from aioconnections.reference.request import page_of, parse_time
from aioconnections.reference.responses import AtomDocument, EmptyResult, ErrorResult, OperationResult, RefusedError
from aioconnections.reference.state import Memberships

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioconnections.reference.context import ServerContext
    from aioconnections.reference.relationships import Group
    from aioconnections.reference.request import FeedPage, PostedEntry, ServerRequest
    from aioconnections.reference.state import PendingInvitation

__all__ = ["CommunityEndpoints"]

_INVITATIONS_PAGE_SIZE, _MEMBERS_PAGE_SIZE = 20, 10
_MEMBER_PARAMETERS = {"userid", "email"}


def _error(status: int, message: str) -> ErrorResult:
    return ErrorResult(status, message, "communities")


_NO_COMMUNITY = _error(404, "The community which this resource or page is associated with does not exist.")
_UNKNOWN_USER = _error(400, "Unknown user.")
# These messages are invented: there are no recordings.
_INVALID = _error(400, "The request is not valid.")
_FORBIDDEN = _error(403, "You are not authorized to perform that action.")
_NO_INVITATION = _error(404, "The invitation does not exist.")
_ALREADY_INVITED = _error(409, "The person has been invited already.")
_ALREADY_MEMBER = _error(417, "The person is a member already.")


class CommunityEndpoints:
    """The operations on communities."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    @cached_property
    def memberships(self) -> Memberships:
        """Members and invitations, generated on first use."""
        return Memberships(self._context.directory, self._context.commits)

    @cached_property
    def _documents(self) -> CommunitiesDocuments:
        return CommunitiesDocuments(self._context.directory, self.memberships, self._context.settings)

    def community(self, request: ServerRequest) -> OperationResult:
        """GET ``community``: the entry of one community, with links to its members and invitations."""
        group = self._group(request)
        if not group.public:
            self._require_member_or_invitee(request, group)
        return self._entry(partial(self._documents.community, group))

    def invitations(self, request: ServerRequest) -> OperationResult:
        """GET ``community/invites``: all invitations to a community, for its owners; or the one of a person."""
        group, user = self._group(request), request.signed_in()
        if _MEMBER_PARAMETERS & request.query.keys():
            invitation = self._invitation(request, group)
            return self._entry(partial(self._documents.invitation, invitation))
        if not self._is_owner(user, group):
            return _FORBIDDEN
        found = self.memberships.invitations(group=group)
        return self._invitation_feed(request, f"invites-{group.uuid}", f"Invitations to {group.title}", list(found))

    def my_invitations(self, request: ServerRequest) -> OperationResult:
        """GET ``community/invites/my``: the invitations that the signed-in user received."""
        user = request.signed_in()
        name = f"invites-{self.memberships.member_uuid(user)}"
        title = f"Invitations for {self._context.directory.person(user).name}"
        return self._invitation_feed(request, name, title, list(self.memberships.invitations(invitee=user)))

    def invite(self, request: ServerRequest) -> OperationResult:
        """POST ``community/invites``: an owner invites a person."""
        user, group = request.signed_in(), self._group(request)
        entry = self._context.posted_entry(request, "invite", refusal=_INVALID)
        if not self._is_owner(user, group):
            return _FORBIDDEN
        invitee = self._contributor(entry)
        if invitee in group.roles:
            return _ALREADY_MEMBER
        if self._context.settings.dedup and self.memberships.invitation(group, invitee) is not None:
            return _ALREADY_INVITED
        invitation = self.memberships.invite(group, user, invitee, entry.title.strip())
        location = self._documents.href(invitation, request.base)
        write = partial(self._documents.invitation, invitation)
        return self._context.created("communities", location, lambda base: self._documents.document(write(base)))

    def withdraw(self, request: ServerRequest) -> OperationResult:
        """DELETE ``community/invites``: the invitee declines, or an owner revokes."""
        user, group = request.signed_in(), self._group(request)
        if not _MEMBER_PARAMETERS & request.query.keys():
            return _INVALID
        self.memberships.withdraw(user, self._invitation(request, group))
        return EmptyResult(self._context.settings.invitation_delete, "communities")

    def members(self, request: ServerRequest) -> OperationResult:
        """GET ``community/members``: the members; of a private community only for members and invitees."""
        group = self._group(request)
        if not group.public:
            self._require_member_or_invitee(request, group)
        settings = self._context.settings
        default = settings.page_default or _MEMBERS_PAGE_SIZE
        roles = list(group.roles.items())
        page = page_of(request, len(roles), default=default, maximum=settings.max_ps, refusal=_INVALID)
        feed = self._feed(request, f"members-{group.uuid}", f"Members of {group.title}", page)
        documents = self._documents
        return _document(
            lambda base: documents.feed(
                feed, base, (documents.member(group, person, role, base) for person, role in page.of(roles))
            )
        )

    def join(self, request: ServerRequest) -> OperationResult:
        """POST ``community/members``: an invitee or a user of a public community joins, or an owner adds a person."""
        user, group = request.signed_in(), self._group(request)
        # Some clients post the entry of an invitation here.
        entry = self._context.posted_entry(request, "person", "invite", refusal=_INVALID)
        person, is_owner = self._contributor(entry), self._is_owner(user, group)
        if person in group.roles:
            return _ALREADY_MEMBER
        is_invited = self.memberships.invitation(group, person) is not None
        if not is_owner and (person != user or not (is_invited or group.public) or entry.role == "owner"):
            return _FORBIDDEN
        self.memberships.join(user, group, person, "owner" if entry.role == "owner" else "member")
        return EmptyResult(201, "communities", self._documents.member_href(group, person, request.base))

    def _group(self, request: ServerRequest) -> Group:
        group = self.memberships.group(request.first("communityUuid"))
        if group is None:
            raise RefusedError(_NO_COMMUNITY)
        return group

    def _invitation(self, request: ServerRequest, group: Group) -> PendingInvitation:
        """The invitation of the requested person, if the user may see it.

        ``userid`` is the member uuid, as in links, or a userid: the vendor's own client sends this, or ``email``.
        """
        user, number = request.signed_in(), self._context.directory.number
        if "userid" in request.query:
            person = self.memberships.person(request.first("userid"))
            if person is None:
                person = number("userid", request.first("userid"))
        elif self._context.settings.emails == "hidden":
            raise RefusedError(_INVALID)
        else:
            person = number("email", request.first("email"))
        invitation = None if person is None else self.memberships.invitation(group, person)
        if invitation is None:
            raise RefusedError(_NO_INVITATION)
        if user != person and not self._is_owner(user, group):
            raise RefusedError(_FORBIDDEN)
        return invitation

    def _is_owner(self, user: int, group: Group) -> bool:
        return group.roles.get(user) == "owner" or self._context.is_administrator(user)

    def _require_member_or_invitee(self, request: ServerRequest, group: Group) -> None:
        user = request.signed_in()
        is_invited = self.memberships.invitation(group, user) is not None
        if not (is_invited or user in group.roles or self._context.is_administrator(user)):
            raise RefusedError(_FORBIDDEN)

    def _contributor(self, entry: PostedEntry) -> int:
        """The person whom an entry names as its contributor."""
        for kind, text in entry.people:
            if kind == "email" and self._context.settings.emails == "hidden":
                break
            number = self._context.directory.number(kind, text)
            if number is None:
                break
            return number
        raise RefusedError(_UNKNOWN_USER)

    def _invitation_feed(
        self, request: ServerRequest, name: str, title: str, found: list[PendingInvitation]
    ) -> OperationResult:
        """A feed of invitations; by default newest first."""
        orders: dict[str, Callable[[PendingInvitation], tuple[object, ...]]] = {
            "lastmod": lambda invitation: (invitation.updated,),
            "name": lambda invitation: (invitation.group.title,),
            "count": lambda invitation: (len(invitation.group.roles),),
        }
        order = orders.get(request.first("sortField") or "lastmod")
        if order is None:
            return _INVALID
        if "since" in request.query:
            since = parse_time(request.first("since"), refusal=_INVALID)
            found = [invitation for invitation in found if invitation.updated > since]
        found.sort(key=order, reverse=request.first("asc") != "true")
        settings, documents = self._context.settings, self._documents
        default = settings.page_default or _INVITATIONS_PAGE_SIZE
        page = page_of(request, len(found), default=default, maximum=settings.max_ps, refusal=_INVALID)
        feed = self._feed(request, name, title, page)
        return _document(
            lambda base: documents.feed(
                feed, base, (documents.invitation(invitation, base) for invitation in page.of(found))
            )
        )

    def _feed(self, request: ServerRequest, name: str, title: str, page: FeedPage) -> CommunitiesFeed:
        return CommunitiesFeed(name, title, request.path, request.link_query(), page, self._context.commits.now())

    def _entry(self, write: Callable[[str], str]) -> OperationResult:
        return _document(lambda base: self._documents.document(write(base)))


def _document(write: Callable[[str], str]) -> AtomDocument:
    return AtomDocument("communities", write)
