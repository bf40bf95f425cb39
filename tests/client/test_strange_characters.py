"""Characters that XML forbids, and entities of HTML, in what other people typed: every question is still answered."""

from __future__ import annotations

from html import escape

import httpx
import pytest
from server import DIRECTORY, Door, Place

from aioconnections import Accepted, AlreadyExists, BadRequestError, Client, Email, Pair, Resolved, Status, Userid

pytestmark = pytest.mark.anyio

NAME = DIRECTORY.people[4].name or ""
MESSAGE = "Hello from the word processor"
TYPED = "\x08&nbsp;&#8;&hellip;\x00"
READ = "\ufffd\xa0\ufffd\u2026\ufffd"


class Typist(Door):
    """A door to a server whose documents hold `TYPED` after each of these, as servers copy what people typed."""

    marks: tuple[str, ...] = (escape(NAME), MESSAGE)
    typed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        body = await answer.aread()
        for mark in self.marks:
            self.typed += body.count(mark.encode())
            body = body.replace(mark.encode(), (mark + TYPED).encode())
        fields = [(name, value) for name, value in answer.headers.raw if name.lower() != b"content-length"]
        return httpx.Response(answer.status_code, headers=fields, content=body)


def client_of(place: Place, number: int | None) -> Client:
    return place.client(number, transport=Typist(place.server))


@pytest.fixture
def place() -> Place:
    return Place()


async def test_listings_go_on(place: Place) -> None:
    person = place.person(4)
    friends = [other for other, status in DIRECTORY.neighbours(person) if status is Status.ACCEPTED]
    async with client_of(place, 4) as client:
        mine = [colleague async for colleague in client.colleagues(person.userid)]
        assert len(mine) == len(friends)
        assert {connection.source.name for connection in mine} == {NAME + READ}
        found = [profile async for profile in client.search(name=NAME)]
        assert NAME + READ in {profile.person.name for profile in found}
        profile = await client.profile(person.userid)
        assert profile is not None
        assert profile.person.name == NAME + READ
        assert dict(profile.properties)["fn"] == NAME + " ".join(READ.split("\xa0"))
        assert (await client.me()).userid == person.userid


async def test_colleagues_in_common_go_on(place: Place) -> None:
    accepted = [friend for friend, status in DIRECTORY.neighbours(place.person(4)) if status is Status.ACCEPTED]
    async with client_of(place, None) as client:
        both = [found async for found in client.colleagues_in_common(accepted[0], accepted[1])]
    assert NAME + READ in {profile.person.name for profile in both}


async def test_an_invitation_is_accepted_and_what_was_read_is_sent_back(place: Place) -> None:
    one, other = place.strangers()
    pair = Pair(place.person(one).userid, place.person(other).userid)
    door = Typist(place.server)
    # The entry that the invitee puts back names both.
    door.marks = (escape(place.person(one).name), escape(place.person(other).name))
    async with client_of(place, one) as hers, place.client(other, transport=door) as his:
        await hers.invite(pair.target, message=MESSAGE)
        sent = await hers.connection(pair.source, pair.target, include_message=True)
        assert sent is not None
        assert sent.message == MESSAGE + READ
        assert isinstance(await his.accept(Pair(pair.target, pair.source)), Accepted)
    assert place.status(pair.source, pair.target) == Status.ACCEPTED
    (put,) = [body for line, body in door.asked if line.startswith("PUT")]
    assert (READ.encode() in put, b"\x08" in put, b"&#8;" in put) == (True, False, False)


async def test_an_error_document_is_read(place: Place) -> None:
    door = Typist(place.server)
    door.marks = ("CLFRN1168E: A connection", "CLFRN1172E: The request")
    one, other = place.strangers()
    async with place.client(one, transport=door) as client:
        await client.invite(place.person(other).userid, message="")
        # The document alone says so: the status is that of any request that is invalid.
        assert isinstance(await client.invite(place.person(other).userid, message=""), AlreadyExists)
        with pytest.raises(BadRequestError) as caught:
            await client.invite(Userid("nobody"), message="")
        assert caught.value.code == "CLFRN1172E"


async def test_service_documents_and_the_configuration_are_read(place: Place) -> None:
    door = Typist(place.server)
    door.marks = ('<atom:title type="text">', '<title type="text">', "<id>")
    async with place.client(4, transport=door) as client:
        document = await client.service_document(place.person(5).key)
        assert document is not None
        assert (document.key, document.userid) == (place.person(5).key, place.person(5).userid)
        typed = door.typed
        async with client.resolve_many([place.person(5).email, Email("nobody@example.com")]) as outcomes:
            assert [isinstance(outcome, Resolved) for outcome in [found async for found in outcomes]] == [True, True]
        assert place.server.requests.by_path["/profiles/serviceconfigs"] == 1
    assert door.typed > typed > 0


async def test_invitations_into_communities_go_on(place: Place) -> None:
    group = DIRECTORY.communities[0]
    inside = {person.userid for person in (*group.owners, *group.members, *group.invited)}
    guest = next(n for n, person in enumerate(DIRECTORY.people) if person.userid not in inside)
    owner = next(n for n, person in enumerate(DIRECTORY.people) if person.userid == group.owners[0].userid)
    door = Typist(place.server)
    door.marks = ("<name>", '<content type="text">', '<content type="html">')
    async with place.client(owner) as hers, place.client(guest, transport=door) as his:
        await hers.community(group.uuid).invite(place.person(guest))
        (invitation,) = [
            found async for found in his.community_invitations.received() if found.community_uuid == group.uuid
        ]
        assert invitation.inviter is not None
        assert (invitation.inviter.name or "").startswith(READ)
        assert isinstance(await his.community_invitations.accept(invitation), Accepted)
