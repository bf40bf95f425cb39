"""People, hidden e-mail addresses, listings as streams, communities, and what only an administrator may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from doors import Script, client_of
from server import DIRECTORY, Place

from aioconnections import (
    Accepted,
    AlreadyExists,
    AuthenticationError,
    BadRequestError,
    Client,
    Connected,
    Duplicate,
    Email,
    Failed,
    ForbiddenError,
    InDoubtError,
    InvalidInputError,
    Invite,
    Invited,
    Key,
    NotFoundError,
    Pair,
    Rejected,
    Resolved,
    ServerError,
    Stream,
    UnexpectedResponseError,
    UsageError,
    Userid,
)
from aioconnections.reference import ADMINISTRATOR, Fault

pytestmark = pytest.mark.anyio
NOBODY = Email("nobody@example.com")


async def listed(stream: Stream[Any]) -> list[Any]:
    return [it async for it in stream]


@pytest.mark.parametrize("version", ["5.0", "6.0"])
async def test_a_listing_of_an_unknown_person_is_refused_as_every_other_verb_is(version: str) -> None:
    place = Place(version=version)
    async with place.client(3) as client:
        for unknown in (NOBODY, Userid("20000001"), Key("k")):
            known = place.person(3, unknown.kind)
            calls: list[Callable[[], Awaitable[object]]] = [
                partial(listed, client.colleagues(unknown)),
                partial(listed, client.colleagues_in_common(known, unknown)),
                partial(client.check, known, unknown),
                partial(client.invite, unknown),
            ]
            for call in calls:
                with pytest.raises(BadRequestError, match=r"CLFRN1172E|does not know a person"):
                    await call()
    hidden = Place(version=version, emails="hidden")
    async with hidden.client(3) as client:
        with pytest.raises(InvalidInputError, match="hides e-mail addresses"):
            await listed(client.colleagues(NOBODY))


async def test_a_server_that_answers_for_an_unknown_person_with_an_empty_feed_has_said_so() -> None:
    async with Place(version="4.5").client(3) as client:
        assert await listed(client.colleagues(NOBODY)) == []


@pytest.mark.parametrize("version", ["4.5", "5.0", "6.0"])
async def test_who_is_who(version: str) -> None:
    place = Place(version=version)
    ann = place.person(3)
    async with place.client(3) as client:
        mine = await client.me()
        assert (mine.userid, mine.key) == (ann.userid, ann.key)
        for identity in (ann.userid, ann.email, ann.key):
            found = await client.profile(identity)
            assert found is not None
            assert (found.person.userid, found.person.key, found.person.name) == (ann.userid, ann.key, ann.name)
            document = await client.service_document(identity)
            assert document is not None
            assert document.userid == ann.userid
        assert await client.profile(NOBODY) is None
        assert await client.service_document(NOBODY) is None
        async with client.resolve_many([ann.email, NOBODY, "ann"], ordered=True) as outcomes:  # type: ignore[list-item] # a call that type checkers must refuse
            known, unknown, wrong = [outcome async for outcome in outcomes]
    assert isinstance(known, Resolved)
    assert isinstance(unknown, Resolved)
    assert isinstance(wrong, Failed)
    assert known.profile is not None
    assert known.profile.person.userid == ann.userid
    assert unknown.profile is None
    assert (outcomes.tally.resolved, outcomes.tally.failed) == (2, 1)


@pytest.mark.parametrize("document", ['<?xml version="1.0"?>', "<service xmlns='http://www.w3.org/2007/app'/>"])
async def test_a_server_that_does_not_say_who_is_signed_in(document: str) -> None:
    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "application/atomsvc+xml"}, text=document)

    async with Client("https://x.example", transport=httpx.MockTransport(respond)) as client:
        with pytest.raises(UnexpectedResponseError, match="does not say who is signed in"):
            await client.me()


async def test_hidden_addresses_are_learned_once_and_then_refused_before_anything_is_sent() -> None:
    place = Place(emails="hidden")
    ann, bob = place.person(3), place.person(4)
    async with place.client(3) as client:
        async with client.resolve_many([person.email for person in DIRECTORY.people if person.email]) as outcomes:
            found = [outcome async for outcome in outcomes]
        assert all(isinstance(outcome, Failed) and "userid or key" in str(outcome.error) for outcome in found)
        assert place.server.requests.by_path["/profiles/serviceconfigs"] == 1
        total = place.server.requests.total
        for call in (
            client.check(ann.email, bob.email),
            client.connection(ann.email, bob.email),
            client.profile(bob.email),
            client.service_document(bob.email),
            client.invite(bob.email),
            client.accept(Pair(ann.email, bob.email)),
            client.remove(Pair(ann.email, bob.email)),
            client.admin.connect(ann.email, bob.email),
            anext(client.colleagues(ann.email)),
            anext(client.colleagues_in_common(ann.email, bob.email)),
        ):
            with pytest.raises(InvalidInputError, match="userid or key"):
                await call
        assert place.server.requests.total == total
        assert (await client.profile(bob.userid)) is not None


class Once(httpx.AsyncBaseTransport):
    """Gives one response in place of the first document that says whether addresses are hidden."""

    def __init__(self, place: Place, instead: httpx.Response) -> None:
        self._inner = httpx.ASGITransport(place.server)
        self._instead: httpx.Response | None = instead

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("serviceconfigs") and (instead := self._instead) is not None:
            self._instead = None
            return instead
        return await self._inner.handle_async_request(request)


async def test_a_server_that_fails_once_has_not_said_that_it_shows_addresses() -> None:
    place = Place(emails="hidden")
    busy = httpx.Response(500, headers={"content-type": "text/html"}, content=b"<html>Error</html>")
    async with place.client(3, transport=Once(place, busy)) as client:
        assert await client.profile(place.person(4).email) is None  # nothing is known yet
        for _ in range(2):
            with pytest.raises(InvalidInputError, match="userid or key"):
                await client.profile(place.person(4).email)
        assert place.server.requests.by_path["/profiles/serviceconfigs"] == 1


@pytest.mark.parametrize(
    "refusal",
    [
        httpx.Response(401),
        httpx.Response(403, headers={"content-type": "text/xml"}),
        httpx.Response(302, headers={"location": "/login"}),
        httpx.Response(200, headers={"content-type": "text/html"}, content=b"<html>Log in</html>"),
    ],
    ids=lambda refusal: str(refusal.status_code),
)
async def test_a_user_who_may_not_ask_whether_addresses_are_hidden_decides_nothing_for_others(
    refusal: httpx.Response,
) -> None:
    place = Place(emails="hidden")
    async with place.client(3, transport=Once(place, refusal)) as client:
        for _ in range(2):
            assert await client.profile(place.person(4).email) is None
        assert place.server.requests.by_path["/profiles/serviceconfigs"] == 0, "asked once, and refused"
        other = client.as_user((str(place.person(5).userid), "secret"))
        with pytest.raises(InvalidInputError, match="userid or key"):
            await other.profile(place.person(4).email)


VERBS: list[Callable[[Client, Email, Email], Awaitable[object]]] = [
    lambda client, _, bob: client.profile(bob),
    lambda client, _, bob: client.service_document(bob),
    lambda client, ann, bob: client.check(ann, bob),
    lambda client, ann, bob: client.connection(ann, bob),
    lambda client, _, bob: anext(client.colleagues(bob)),
    lambda client, ann, bob: client.accept(Pair(ann, bob)),
    lambda client, ann, bob: client.remove(Pair(ann, bob)),
    lambda client, _, bob: client.invite(bob),
    lambda client, _, bob: client.invite(bob, discover=True),
]


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_finds_out_that_addresses_are_hidden(
    verb: Callable[[Client, Email, Email], Awaitable[object]],
) -> None:
    place = Place(emails="hidden")
    async with place.client(3) as client:
        with pytest.raises(InvalidInputError, match="userid or key"):
            await verb(client, place.person(3, "email"), place.person(4, "email"))
    assert place.verbs() == []


async def test_lists_hold_everybody_once_however_small_the_pages_are() -> None:
    place = Place(max_ps=3)
    a, b = 2, 5
    one, other = place.person(a), place.person(b)
    people = DIRECTORY.people
    async with place.client(a) as client:
        theirs = [it.target.userid async for it in client.colleagues(other, page_size=7)]
        assert sorted(map(str, theirs)) == sorted(str(p.userid) for p in people if place.status(other, p) == "accepted")
        common = [it.person.userid async for it in client.colleagues_in_common(one, other)]
        assert sorted(map(str, common)) == sorted(
            str(p.userid) for p in people if place.status(one, p) == place.status(other, p) == "accepted"
        )
        everybody = [it.person.key async for it in client.search(name="*", page_size=7)]
        active = {person.key for person in (*people, ADMINISTRATOR) if person.state != "inactive"}
        assert set(everybody) == active
        assert len(everybody) == len(set(everybody))
        with pytest.raises(InvalidInputError):
            client.search()
        with pytest.raises(InvalidInputError):
            client.colleagues(one, page_size=0)


async def test_a_page_that_breaks_off_is_read_anew_and_an_error_ends_the_list() -> None:
    place = Place(faults=[Fault("reset", at="half", operation="colleagues", times=1)])
    async with place.client(2, max_attempts=2) as client:
        names = [it.id async for it in client.colleagues(place.person(5))]
        assert (
            len(names)
            == len(set(names))
            == sum(place.status(place.person(5), person) == "accepted" for person in DIRECTORY.people)
        )
        place.server.faults = [Fault("refuse", operation="colleagues", status=500)]
        listing = client.colleagues(place.person(5))
        with pytest.raises(ServerError):
            await anext(listing)
        assert "ended" in repr(listing)
        assert [it async for it in listing] == []


async def test_leaving_a_list_frees_its_connection() -> None:
    place = Place()
    async with place.client(2, max_connections=1) as client:
        async for _ in client.colleagues(place.person(5), page_size=1):
            break
        async with client.colleagues(place.person(5), page_size=2) as listing:
            await anext(listing)
            assert "open, 1 buffered" in repr(listing)
        assert [it async for it in listing] == []
        assert (await client.me()).userid == place.person(2).userid


async def test_a_list_is_read_by_one_task() -> None:
    asked, go_on = anyio.Event(), anyio.Event()

    async def answer(_: httpx.Request) -> httpx.Response:
        asked.set()
        await go_on.wait()
        return httpx.Response(200, text='<feed xmlns="http://www.w3.org/2005/Atom"/>')

    async with client_of(Script(answer)) as client, anyio.create_task_group() as tasks:
        listing = client.colleagues(Userid("a"))

        async def read() -> None:
            assert [it async for it in listing] == []

        tasks.start_soon(read)
        await asked.wait()
        with pytest.raises(UsageError, match="one task"):
            await anext(listing)
        go_on.set()


async def test_inviting_many_names_duplicates_and_goes_on() -> None:
    place = Place()
    a, b, c = place.strangers(3)
    bob, cid = place.person(b, "userid"), place.person(c)
    source = [bob, Invite(cid, "Hi"), bob, Userid("no such"), 7, Invite(bob, "again")]
    async with (
        place.client(a) as client,
        client.invite_many(source, message="Hello", journal=None, ordered=True) as outcomes,
    ):
        found = [outcome async for outcome in outcomes]
    assert [type(outcome) for outcome in found] == [Invited, Invited, Duplicate, Rejected, Failed, Duplicate]
    assert [outcome.of for outcome in found if isinstance(outcome, Duplicate)] == [0, 0]
    assert [outcome.item for outcome in found] == source
    tally = outcomes.tally
    assert (tally.read, tally.invited, tally.duplicate, tally.rejected, tally.failed) == (6, 2, 2, 1, 1)
    assert place.verbs() == ["invite", "invite"]


async def test_accepting_and_removing_many() -> None:
    place = Place()
    a, b, c = place.strangers(3)
    async with place.client(a) as hers, place.client(b) as his, place.client(c) as theirs:
        for client in (his, theirs):
            await client.invite(place.person(a))
        pairs = [Pair(place.person(a), place.person(n)) for n in (b, c)]
        async with hers.accept_many([*pairs, "no such id"], ordered=True) as accepted:
            kinds = [type(outcome) async for outcome in accepted]
        assert kinds == [Accepted, Accepted, Rejected]
        async with hers.remove_many(pairs) as removed:
            assert [outcome.as_dict()["was"] async for outcome in removed] == ["accepted", "accepted"]
        assert (accepted.tally.accepted, removed.tally.removed) == (2, 2)


@pytest.mark.parametrize("auth", ["basic", "oauth"])
async def test_an_administrator_connects_others_and_nobody_else_does(auth: str) -> None:
    place = Place(auth=auth)
    a, b, c = place.strangers(3)
    one, other, third = (place.person(n) for n in (a, b, c))
    async with place.client(None) as admin, place.client(a) as client:
        assert isinstance(await admin.admin.connect(one, other), Connected)
        assert isinstance(await admin.admin.connect(one, other), AlreadyExists)
        async with admin.admin.connect_many([(one, third), (one, one)], ordered=True) as outcomes:
            assert [type(outcome) async for outcome in outcomes] == [Connected, Failed]
        async with admin.admin.disconnect_many([(one, third), (other, third)], ordered=True) as outcomes:
            assert [outcome.as_dict()["outcome"] async for outcome in outcomes] == ["removed", "rejected"]
        assert (await admin.admin.disconnect(other, one)).was == "accepted"
        for call in (client.admin.connect(one, other), client.admin.disconnect(one, other)):
            with pytest.raises(ForbiddenError):
                await call
        with pytest.raises(NotFoundError):
            await admin.admin.disconnect(one, other)


async def test_to_be_no_administrator_ends_a_run() -> None:
    place = Place()
    pairs = ((Userid("a"), Userid(f"b{n}")) for n in range(1000))
    async with place.client(3, max_connections=2) as client, client.admin.connect_many(pairs) as outcomes:
        found = [outcome async for outcome in outcomes]
    assert isinstance(outcomes.stopped, ForbiddenError)
    assert all(isinstance(outcome, Rejected) for outcome in found)
    assert 1 <= outcomes.tally.read == len(found) <= 4


@pytest.mark.parametrize("delete", [200, 204])
@pytest.mark.parametrize("auth", ["basic", "oauth"])
async def test_an_invitation_into_a_community(auth: str, delete: int) -> None:
    place = Place(auth=auth, invitation_delete=delete)
    group, owner, guest = a_community(place)
    async with place.client(owner) as hers, place.client(guest) as his:
        community = hers.community(group)
        before = [it.id async for it in his.community_invitations.received()]
        async with community.invite_many(
            [place.person(guest), place.person(guest)], journal=None, ordered=True
        ) as outcomes:
            assert [type(outcome) async for outcome in outcomes] == [Invited, Duplicate]
        assert isinstance(await community.invite(place.person(guest)), AlreadyExists)
        (invitation,) = [it async for it in his.community_invitations.received() if it.id not in before]
        assert invitation.id in [it.id async for it in community.invitations()]
        assert (await his.community_invitations.get(invitation)) == invitation
        await his.community_invitations.decline(invitation)
        assert await his.community_invitations.get(invitation) is None
        await community.invite(place.person(guest), title="Again")
        (again,) = [it async for it in his.community_invitations.received() if it.id not in before]
        await hers.community_invitations.revoke(again)
        with pytest.raises(NotFoundError):
            await his.community_invitations.decline(again)
        await community.invite(place.person(guest))
        assert isinstance(await his.community_invitations.accept(invitation), Accepted)
        assert isinstance(await his.community_invitations.accept(invitation), Accepted)  # 417: a member already
        with pytest.raises(ForbiddenError):
            _ = [it async for it in his.community(group).invitations()]
        with pytest.raises(NotFoundError):
            _ = [it async for it in his.community("no such").invitations()]
        with pytest.raises(InvalidInputError):
            his.community(" ")
        with pytest.raises(BadRequestError):
            await community.invite(NOBODY)


def a_community(place: Place) -> tuple[str, int, int]:
    """Its uuid, one of its owners, and somebody who neither belongs to it nor is invited."""
    community = next(it for it in place.directory.communities if not it.public)
    belonging = {person.userid for person in (*community.owners, *community.members, *community.invited)}
    guest = next(n for n, person in enumerate(DIRECTORY.people) if person.userid not in belonging)
    owner = next(n for n, person in enumerate(DIRECTORY.people) if person.userid == community.owners[0].userid)
    return community.uuid, owner, guest


async def test_a_login_that_ends_while_it_asks_is_not_used_again() -> None:
    place = Place()
    a, b, c = place.strangers(3)
    place.server.faults = [Fault("reset", at="commit", operation="invite"), Fault("login", operation="check")]
    async with place.client(a) as client:
        with pytest.raises(InDoubtError):
            await client.invite(place.person(b), settle=0)
        with pytest.raises(AuthenticationError):
            await client.invite(place.person(c))
    assert place.verbs() == ["invite"]
