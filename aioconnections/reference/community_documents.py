"""Atom documents of Communities: one element per line, unlike those of Profiles."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

from attrs import frozen

from aioconnections.reference.markup import ATOM, DECLARATION, OPENSEARCH, SN, address, person_construct, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aioconnections.reference.directory import Directory
    from aioconnections.reference.relationships import Group, Role
    from aioconnections.reference.request import FeedPage
    from aioconnections.reference.settings import Settings
    from aioconnections.reference.state import Memberships, PendingInvitation

__all__ = ["CommunitiesDocuments", "CommunitiesFeed"]

_SERVICE = "/communities/service/atom"
_NAMESPACES = f'xmlns="{ATOM}" xmlns:app="http://www.w3.org/2007/app" xmlns:snx="{SN}" xmlns:opensearch="{OPENSEARCH}"'
_URN = "urn:lsid:ibm.com:communities:"


class CommunitiesFeed(NamedTuple):
    """The metadata of a feed.

    Attributes:
        name: the end of the feed's id.
        title: title of the feed.
        path: path of the feed.
        query: parameters of the request, which the links repeat.
        page: the page of the list.
        now: milliseconds since 1970.
    """

    name: str
    title: str
    path: str
    query: Mapping[str, str]
    page: FeedPage
    now: int


@frozen
class CommunitiesDocuments:
    """Writes the documents of one server. `base` is the part of all links before ``/communities``."""

    directory: Directory
    memberships: Memberships
    settings: Settings

    def document(self, content: str) -> str:
        """An entry as a document, given the elements in it."""
        return f"{DECLARATION}\n<entry {_NAMESPACES}>\n{content}\n</entry>\n"

    def feed(self, feed: CommunitiesFeed, base: str, contents: Iterable[str]) -> str:
        """A feed. The start index of an empty feed is 0."""
        page, url, version = feed.page, base + feed.path, self.settings.dialect.generator
        links = [
            f'<link rel="{SN}/service" href="{escape(base)}/communities/service/atom/service"/>',
            f'<link rel="service" href="{escape(base)}/communities/service/atom/service"/>',
            f'<link rel="self" href="{escape(address(url, feed.query))}"/>',
        ]
        if page.last > 1:
            for rel, number in (("first", 1), ("next", page.number + 1), ("last", page.last)):
                if number <= page.last:
                    query = {**feed.query, "page": str(number), "ps": str(page.size)}
                    links.append(f'<link rel="{rel}" href="{escape(address(url, query))}"/>')
        start = (page.number - 1) * page.size + 1 if page.total else 0
        lines = [
            f"{DECLARATION}\n<feed {_NAMESPACES}>",
            f"<id>{_URN}{feed.name}</id>",
            f'<title type="text">{escape(feed.title)}</title>',
            f"<updated>{timestamp(feed.now)}</updated>",
            f'<generator version="{version}" uri="{SN}">IBM Connections - Communities</generator>',
            *links,
            f"<opensearch:totalResults>{page.total}</opensearch:totalResults>",
            f"<opensearch:startIndex>{start}</opensearch:startIndex>",
            f"<opensearch:itemsPerPage>{page.size}</opensearch:itemsPerPage>",
            *(f"<entry>\n{content}\n</entry>" for content in contents),
            "</feed>\n",
        ]
        return "\n".join(lines)

    def href(self, invitation: PendingInvitation, base: str) -> str:
        """The address of an invitation, whose ``userid`` parameter is in fact the member uuid."""
        member = self.memberships.member_uuid(invitation.invitee)
        query = {"communityUuid": invitation.group.uuid, "userid": member}
        return address(f"{base}{_SERVICE}/community/invites", query)

    def invitation(self, invitation: PendingInvitation, base: str) -> str:
        """The elements of an invitation (protocol page "Invitation feed and entry"); self and edit links are equal."""
        group, inviter, invitee, title, updated = invitation
        member, href = self.memberships.member_uuid(invitee), escape(self.href(invitation, base))
        author = self.directory.person(inviter)
        title = title or f"Invitation for {self.directory.person(invitee).name} to {group.title}"
        return "\n".join(
            (
                f"<id>{_URN}invite-{group.uuid}-{member}</id>",
                f'<title type="text">{escape(title)}</title>',
                f'<category term="invite" scheme="{SN}/type"/>',
                f'<link rel="self" href="{href}"/>',
                f'<link rel="edit" href="{href}"/>',
                f'<link rel="{SN}/community" href="{self._group_href(group, base)}"/>',
                f"<updated>{timestamp(updated)}</updated>",
                f"<author>\n<name>{escape(author.name or '')}</name>",
                f"<snx:userid>{escape(str(author.userid))}</snx:userid>\n</author>",
                '<content type="text"></content>',
                self._contributor(invitee),
            )
        )

    def member_href(self, group: Group, person: int, base: str) -> str:
        """The address of a member, whose ``userid`` parameter is the userid."""
        query = {"communityUuid": group.uuid, "userid": str(self.directory.person(person).userid)}
        return address(f"{base}{_SERVICE}/community/members", query)

    def member(self, group: Group, person: int, role: Role, base: str) -> str:
        """The elements of a member."""
        href = escape(self.member_href(group, person, base))
        return "\n".join(
            (
                f"<id>{_URN}member-{group.uuid}-{self.memberships.member_uuid(person)}</id>",
                f'<title type="text">{escape(self.directory.person(person).name or "")}</title>',
                f'<category term="person" scheme="{SN}/type"/>',
                f'<link rel="self" href="{href}"/>',
                f'<link rel="edit" href="{href}"/>',
                self._contributor(person),
                f'<snx:role component="{SN}/communities">{role}</snx:role>',
            )
        )

    def community(self, group: Group, base: str) -> str:
        """The elements of a community, with links to its members and invitations."""
        query = {"communityUuid": group.uuid}
        members, invites = (
            escape(address(f"{base}{_SERVICE}/community/{resource}", query)) for resource in ("members", "invites")
        )
        owner = next(person for person, role in group.roles.items() if role == "owner")
        return "\n".join(
            (
                f"<id>{_URN}community-{group.uuid}</id>",
                f'<title type="text">{escape(group.title)}</title>',
                f'<category term="community" scheme="{SN}/type"/>',
                f'<link rel="self" href="{self._group_href(group, base)}"/>',
                f'<link rel="{SN}/member-list" href="{members}"/>',
                f'<link rel="{SN}/invitations-list" href="{invites}"/>',
                f"<author>\n{person_construct(self.directory.person(owner), self.settings)}\n</author>",
                '<content type="html"></content>',
                f"<snx:communityUuid>{group.uuid}</snx:communityUuid>",
                f"<snx:communityType>{'public' if group.public else 'private'}</snx:communityType>",
                f"<snx:membercount>{len(group.roles)}</snx:membercount>",
            )
        )

    def _group_href(self, group: Group, base: str) -> str:
        return escape(address(f"{base}{_SERVICE}/community", {"communityUuid": group.uuid}))

    def _contributor(self, person: int) -> str:
        organization = "<snx:orgId></snx:orgId>\n" if self.settings.dialect.is_cloud else ""
        construct = person_construct(self.directory.person(person), self.settings)
        return f"<contributor>\n{construct}\n{organization}</contributor>"
