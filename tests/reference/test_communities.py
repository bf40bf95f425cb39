"""Invitations to communities, in process."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from aioconnections.reference import Directory, GeneratedCommunity, app

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioconnections.records import Person

pytestmark = pytest.mark.asyncio
SERVICE = "/communities/service/atom/community"
ATOM, SNX = "{http://www.w3.org/2005/Atom}", "{http://www.ibm.com/xmlns/prod/sn}"
OPENSEARCH, SN = "{http://a9.com/-/spec/opensearch/1.1/}", "http://www.ibm.com/xmlns/prod/sn"


@pytest.fixture
def community(directory: Directory) -> GeneratedCommunity:
    return next(community for community in directory.communities if not community.public)


@pytest.fixture
def public(directory: Directory) -> GeneratedCommunity:
    return next(community for community in directory.communities if community.public)


@pytest.fixture
def stranger(directory: Directory, community: GeneratedCommunity, public: GeneratedCommunity) -> Person:
    """A person without a role in either community."""
    known = [person for each in (community, public) for person in (*each.owners, *each.members, *each.invited)]
    return next(person for person in directory.people if person not in known)


@pytest.fixture
def entry() -> Callable[..., bytes]:
    def write(person: Person | str, *, kind: str = "invite", more: str = "", by: str = "userid") -> bytes:
        named = person if isinstance(person, str) else escape(str(getattr(person, by)))
        tag = "email" if by == "email" else "snx:userid"
        return (
            f'<entry xmlns="http://www.w3.org/2005/Atom" xmlns:snx="{SN}">{more}'
            f'<category term="{kind}" scheme="{SN}/type"/><contributor><{tag}>{named}</{tag}></contributor></entry>'
        ).encode()

    return write


def _hrefs(content: str) -> list[str]:
    """The addresses of the invitations in a document."""
    return [part.partition('"')[0].replace("&amp;", "&") for part in content.split('<link rel="edit" href="')[1:]]


@pytest.mark.parametrize("by", ["email", "userid"])
@pytest.mark.parametrize("invitation_delete", [200, 204])
async def test_invite_get_decline_and_invite_again(
    directory: Directory,
    ask: Any,
    community: GeneratedCommunity,
    stranger: Person,
    entry: Any,
    by: str,
    invitation_delete: Any,
) -> None:
    server = app(directory, invitation_delete=invitation_delete)
    owner = community.owners[0]
    invites = f"{SERVICE}/invites?communityUuid={community.uuid}"
    for _ in range(2):
        made = await ask(server, "POST", invites, user=owner, content=entry(stranger, by=by))
        assert (made.status_code, made.headers["content-length"]) == (201, "0")
        mine = await ask(server, "GET", f"{SERVICE}/invites/my", user=stranger)
        (href,) = _hrefs(mine.text)
        assert made.headers["location"] == href
        assert made.headers["content-type"] == "text/html"
        listed = await ask(server, "GET", invites, user=owner)
        assert href in _hrefs(listed.text)
        again = await ask(server, "POST", invites, user=owner, content=entry(stranger))
        assert again.status_code == 409
        gone = await ask(server, "DELETE", href, user=stranger)
        assert (gone.status_code, gone.content) == (invitation_delete, b"")
        assert (await ask(server, "DELETE", href, user=stranger)).status_code == 404
        assert (await ask(server, "GET", href, user=stranger)).status_code == 404
        assert _hrefs((await ask(server, "GET", f"{SERVICE}/invites/my", user=stranger)).text) == []
    assert [commit.verb for commit in server.commits] == ["invite to community", "withdraw from community"] * 2


@pytest.mark.parametrize("version", ["4.5", "6.0"])
async def test_an_invitation_as_recorded(
    directory: Directory, ask: Any, parse: Any, community: GeneratedCommunity, version: Any
) -> None:
    server = app(directory, version=version)
    owner, invitee = community.owners[0], community.invited[0]
    feed = parse((await ask(server, "GET", f"{SERVICE}/invites?communityUuid={community.uuid}", user=owner)).content)
    (invitation,) = feed.iter(f"{ATOM}entry")
    links = {link.get("rel"): link.get("href") for link in invitation.iter(f"{ATOM}link")}
    assert links["self"] == links["edit"]
    query = parse_qs(urlsplit(links["edit"]).query)
    member = query["userid"][0]
    assert query["communityUuid"] == [community.uuid]
    # protocol: the userid parameter of the address is an internal uuid
    assert member not in (str(invitee.userid), str(invitee.key))
    assert invitation.findtext(f"{ATOM}id") == f"urn:lsid:ibm.com:communities:invite-{community.uuid}-{member}"
    assert invitation.findtext(f"{ATOM}title") == f"Invitation for {invitee.name} to {community.title}"
    assert invitation.findtext(f"{ATOM}author/{SNX}userid") == str(owner.userid)
    assert invitation.findtext(f"{ATOM}contributor/{SNX}userid") == str(invitee.userid)
    assert invitation.find(f"{ATOM}published") is None
    assert (invitation.find(f"{ATOM}contributor/{SNX}orgId") is not None) is (version == "6.0")
    group = await ask(server, "GET", links[f"{SN}/community"], user=owner)
    assert parse(group.content).findtext(f"{ATOM}title") == community.title
    mine = parse((await ask(server, "GET", f"{SERVICE}/invites/my", user=invitee)).content)
    assert mine.findtext(f"{ATOM}id") == f"urn:lsid:ibm.com:communities:invites-{member}"
    assert mine.findtext(f"{ATOM}title") == f"Invitations for {invitee.name}"
    one = await ask(server, "GET", links["self"], user=invitee)
    assert parse(one.content).findtext(f"{ATOM}id") == invitation.findtext(f"{ATOM}id")
    by_userid = f"{SERVICE}/invites?communityUuid={community.uuid}&userid={invitee.key}"
    assert (await ask(server, "GET", by_userid, user=invitee)).status_code == 404
    added = ", private, must-revalidate" if version == "6.0" else ""
    assert one.headers["cache-control"] == f"no-store, no-cache, must-revalidate{added}"


@pytest.mark.parametrize("by", ["userid", "email"])
async def test_an_invitation_is_also_found_and_deleted_by_userid_and_by_email(
    directory: Directory, ask: Any, community: GeneratedCommunity, stranger: Person, by: str
) -> None:
    server = app(directory)
    url = f"{SERVICE}/invites?communityUuid={community.uuid}&{by}="
    invitee = f"{url}{quote(str(getattr(community.invited[0], by)), safe='')}"
    assert (await ask(server, "DELETE", invitee, user=stranger)).status_code == 403
    assert len(_hrefs((await ask(server, "GET", invitee, user=community.invited[0])).text)) == 1
    for unknown in ("nobody@example.com", quote(str(getattr(stranger, by)), safe="")):
        assert (await ask(server, "DELETE", url + unknown, user=community.owners[0])).status_code == 404
    assert (await ask(server, "DELETE", invitee, user=community.owners[0])).status_code == 200
    assert (await ask(server, "DELETE", invitee, user=community.owners[0])).status_code == 404
    assert [commit.verb for commit in server.commits] == ["withdraw from community"]
    hidden = await ask(app(directory, emails="hidden"), "DELETE", invitee, user=community.owners[0])
    assert hidden.status_code == (400 if by == "email" else 200)


async def test_201_with_an_entry(
    directory: Directory, ask: Any, parse: Any, community: GeneratedCommunity, stranger: Person, entry: Any
) -> None:
    server = app(directory, invite_201_body="entry")
    url = f"{SERVICE}/invites?communityUuid={community.uuid}"
    content = entry(stranger, more="<title>Come &amp; see</title>")
    response = await ask(server, "POST", url, user=community.owners[0], content=content)
    assert response.status_code == 201
    assert parse(response.content).findtext(f"{ATOM}title") == "Come & see"
    assert _hrefs(response.text) == [response.headers["location"]]


async def test_rights_to_invite_read_and_revoke(
    directory: Directory, ask: Any, community: GeneratedCommunity, stranger: Person, entry: Any
) -> None:
    server = app(directory)
    url = f"{SERVICE}/invites?communityUuid={community.uuid}"
    member, invitee = community.members[0], community.invited[0]
    (href,) = _hrefs((await ask(server, "GET", url, user=community.owners[1])).text)
    for user, status in ((stranger, 403), (member, 403), (None, 401)):
        assert (await ask(server, "GET", url, user=user)).status_code == status
        assert (await ask(server, "POST", url, user=user, content=entry(stranger))).status_code == status
        assert (await ask(server, "DELETE", href, user=user)).status_code == status
        assert (await ask(server, "GET", href, user=user)).status_code == status
    assert (await ask(server, "GET", href, user=invitee)).status_code == 200
    assert (await ask(server, "GET", f"{SERVICE}?communityUuid={community.uuid}", user=invitee)).status_code == 200
    assert (await ask(server, "GET", f"{SERVICE}?communityUuid={community.uuid}", user=stranger)).status_code == 403
    assert (await ask(server, "DELETE", url, user=community.owners[0])).status_code == 400
    assert (await ask(server, "DELETE", href, user="admin")).status_code == 200


async def test_error_documents_of_communities(
    directory: Directory, ask: Any, community: GeneratedCommunity, entry: Any
) -> None:
    server = app(directory, version="5.0")
    owner, url = community.owners[0], f"{SERVICE}/invites?communityUuid="
    unknown = await ask(server, "GET", f"{url}00000000-0000-0000-0000-000000000000", user=owner)
    assert unknown.status_code == 404
    assert unknown.headers["content-type"] == "text/xml;charset=UTF-8"
    assert unknown.content == (
        b'\n\n\n\n\n\n\n\n\n\n\n\n<error xmlns="http://www.ibm.com/xmlns/prod/sn">\n\t<code>\n\t\t404\n\t</code>\n'
        b"\t<message>\n\t\tThe community which this resource or page is associated with does not exist.\n\t</message>\n"
        b"\t<trace>\n\t\t\n\t</trace>\n</error>\n\n\n"
    )
    unknown = await ask(server, "POST", url + community.uuid, user=owner, content=entry("nobody"))
    assert unknown.status_code == 400
    assert b"Unknown user." in unknown.content
    assert "connection" not in unknown.headers
    member = await ask(server, "POST", url + community.uuid, user=owner, content=entry(community.members[0]))
    assert member.status_code == 417
    for body in (b"", b"<x/>", entry(owner, kind="person"), entry(owner).replace(b"contributor", b"author")):
        assert (await ask(server, "POST", url + community.uuid, user=owner, content=body)).status_code == 400
    for rest in ("&ps=x", "&sortField=rank", "&since=yesterday"):
        assert (await ask(server, "GET", url + community.uuid + rest, user=owner)).status_code == 400
    hidden = app(directory, emails="hidden")
    by_email = entry(directory.people[0], by="email")
    assert (await ask(hidden, "POST", url + community.uuid, user=owner, content=by_email)).status_code == 400


@pytest.mark.parametrize("kind", ["person", "invite"])
async def test_accept_an_invitation_as_a_member(
    directory: Directory, ask: Any, parse: Any, community: GeneratedCommunity, entry: Any, kind: str
) -> None:
    server = app(directory)
    invitee = community.invited[0]
    url = f"{SERVICE}/members?communityUuid={community.uuid}"
    joined = await ask(server, "POST", url, user=invitee, content=entry(invitee, kind=kind))
    assert (joined.status_code, joined.headers["content-length"]) == (201, "0")
    assert parse_qs(urlsplit(joined.headers["location"]).query)["userid"] == [str(invitee.userid)]
    assert _hrefs((await ask(server, "GET", f"{SERVICE}/invites/my", user=invitee)).text) == []
    members = parse((await ask(server, "GET", f"{url}&ps=100", user=invitee)).content)
    roles = {
        member.findtext(f"{ATOM}contributor/{SNX}userid"): member.findtext(f"{SNX}role")
        for member in members.iter(f"{ATOM}entry")
    }
    assert roles == {
        **{str(owner.userid): "owner" for owner in community.owners},
        **{str(member.userid): "member" for member in (*community.members, invitee)},
    }
    again = await ask(server, "POST", url, user=invitee, content=entry(invitee, kind=kind))
    assert again.status_code == 417


async def test_rights_to_join_and_add(
    directory: Directory,
    ask: Any,
    community: GeneratedCommunity,
    public: GeneratedCommunity,
    stranger: Person,
    entry: Any,
) -> None:
    server = app(directory)
    private_url, public_url = (f"{SERVICE}/members?communityUuid={each.uuid}" for each in (community, public))
    as_owner = entry(stranger, kind="person", more="<snx:role>owner</snx:role>")
    myself = entry(stranger, kind="person")
    assert (await ask(server, "GET", private_url, user=stranger)).status_code == 403
    assert (await ask(server, "GET", public_url, user=stranger)).status_code == 200
    assert (await ask(server, "GET", f"{SERVICE}?communityUuid={public.uuid}", user=stranger)).status_code == 200
    assert (await ask(server, "POST", private_url, user=stranger, content=myself)).status_code == 403
    assert (await ask(server, "POST", public_url, user=stranger, content=as_owner)).status_code == 403
    assert (await ask(server, "POST", public_url, user=stranger, content=myself)).status_code == 201
    added = await ask(server, "POST", private_url, user=community.owners[0], content=as_owner)
    assert added.status_code == 201
    invites = f"{SERVICE}/invites?communityUuid={community.uuid}"
    assert (await ask(server, "GET", invites, user=stranger)).status_code == 200


async def test_pages_and_order(
    directory: Directory, ask: Any, parse: Any, community: GeneratedCommunity, entry: Any
) -> None:
    moments = iter(range(1_700_000_000, 1_800_000_000))
    server = app(directory, clock=lambda: next(moments))
    owner, url = community.owners[0], f"{SERVICE}/invites?communityUuid={community.uuid}"
    insiders = (*community.owners, *community.members, *community.invited)
    for person in [person for person in directory.people if person not in insiders][:24]:
        made = await ask(server, "POST", url, user=owner, content=entry(person))
        assert made.status_code == 201
    feed = parse((await ask(server, "GET", url, user=owner)).content)
    assert feed.findtext(f"{OPENSEARCH}totalResults") == "25"
    assert feed.findtext(f"{OPENSEARCH}itemsPerPage") == "20"
    links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert {"first", "next", "last"} < set(links)
    rest = parse((await ask(server, "GET", links["next"], user=owner)).content)
    assert "next" not in {link.get("rel") for link in rest.findall(f"{ATOM}link")}
    ids = [element.text for part in (feed, rest) for element in part.findall(f"{ATOM}entry/{ATOM}id")]
    assert len(set(ids)) == 25
    newest = [element.text for element in feed.findall(f"{ATOM}entry/{ATOM}updated")]
    assert newest == sorted(newest, reverse=True)
    upwards = await ask(server, "GET", f"{url}&asc=true&sortField=name&since=2020-01-01T00:00:00.000Z", user=owner)
    assert parse(upwards.content).findtext(f"{OPENSEARCH}totalResults") == "24"
    empty = parse((await ask(server, "GET", f"{SERVICE}/invites/my", user="admin")).content)
    assert empty.findtext(f"{OPENSEARCH}startIndex") == empty.findtext(f"{OPENSEARCH}totalResults") == "0"


async def test_the_communities_of_a_directory(directory: Directory) -> None:
    again = Directory.generate(people=500, seed=7)
    assert directory.communities == again.communities
    assert len(directory.communities) == 25
    assert len(Directory.generate(people=10, seed=1).communities) == 3
    assert len(Directory.generate(people=1_000_000, seed=1).communities) == 200
    for community in directory.communities:
        people = (*community.owners, *community.members, *community.invited)
        assert len(set(people)) == len(people) == 8
        assert len(community.owners) == 2


async def test_bearer_tokens_are_accepted_on_oauth_paths(
    directory: Directory, ask: Any, community: GeneratedCommunity
) -> None:
    server = app(directory, auth="oauth", tokens={"t": community.invited[0]})
    path = SERVICE.replace("/atom/", "/atom/oauth/")
    response = await ask(server, "GET", f"{path}/invites/my", headers={"Authorization": "Bearer t"})
    assert len(_hrefs(response.text)) >= 1
    assert "/oauth/" not in response.text
