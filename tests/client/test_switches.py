"""One tour through all verbs, under every switch of the reference server, in every version, with every login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from server import DIRECTORY, Door, Place

from aioconnections import (
    Accepted,
    AlreadyExists,
    AuthenticationError,
    Client,
    Connected,
    InvalidInputError,
    Invited,
    Journal,
    Status,
    Userid,
)

pytestmark = pytest.mark.anyio

SWITCHES: list[dict[str, Any]] = [
    {},
    {"emails": "hidden"},
    {"anonymous_read": True},
    {"invite_201_body": "entry"},
    {"invitation_delete": 204},
    {"max_ps": 1},
    {"page_default": 1},
    {"cache_headers": False},
    {"rootless_profile_entry": False},
    {"require_connection_type": False},
]
INNER = "http://inner.example.com:9080"
GATEWAYS: list[dict[str, Any]] = [
    {"context": "/ctx"},
    {"context": "/ctx", "link_base": INNER},  # the inner server has the usual paths
    {"context": "/ctx", "link_base": "https://connections.example.com"},  # it knows the host, but not the added path
    {"context": "/a/ctx", "link_base": f"{INNER}/apps"},  # the gateway replaces one path by another
    {"link_base": INNER},
    {"link_base": f"{INNER}/apps"},
    {"link_base": "https://connections.example.com/apps"},
]


async def tour(place: Place) -> None:
    a, b = place.strangers()
    alice, bob = place.person(a), place.person(b)
    group = place.directory.communities[0]
    belonging = {person.userid for person in (*group.owners, *group.members, *group.invited)}
    owner = next(n for n, person in enumerate(place.directory.people) if person.userid == group.owners[0].userid)
    guest = next(n for n, person in enumerate(place.directory.people) if person.userid not in belonging)
    async with place.client(a) as hers, place.client(b) as his, place.client(None) as admin:
        assert (await hers.me()).userid == alice.userid
        found, document = await hers.profile(bob), await hers.service_document(bob)
        assert found is not None
        assert document is not None
        assert found.person.userid == document.userid == bob.userid
        assert (await hers.profile(Userid("nobody")), await hers.service_document(Userid("nobody"))) == (None, None)
        assert bob.userid in [it.person.userid async for it in hers.search(userid=str(bob.userid))]
        assert isinstance(await hers.invite(bob, discover=True), Invited)
        assert isinstance(await hers.invite(bob), AlreadyExists)
        assert (await hers.check(alice, bob), await his.check(bob, alice)) == (Status.UNCONFIRMED, Status.PENDING)
        (pending,) = [it async for it in his.colleagues(bob, status=Status.PENDING) if it.target.userid == alice.userid]
        assert isinstance(await his.accept(pending), Accepted)
        assert alice.userid in [it.target.userid async for it in his.colleagues(bob)]
        common = {it.person.userid async for it in his.colleagues_in_common(alice, bob)}
        everybody = [person.userid for person in place.directory.people]
        both = {who for who in everybody if who and place.status(alice, who) == place.status(bob, who) == "accepted"}
        assert common == both
        assert (await hers.remove((alice, bob))).was is Status.ACCEPTED
        assert isinstance(await admin.admin.connect(alice, bob), Connected)
        assert (await admin.admin.disconnect(bob, alice)).was is Status.ACCEPTED
    async with place.client(owner) as hers, place.client(guest) as his:
        community = hers.community(group.uuid)
        for _ in range(2):
            await community.invite(place.person(guest))
            (invitation,) = [it async for it in his.community_invitations.received() if it.community_uuid == group.uuid]
            await his.community_invitations.decline(invitation)
        await community.invite(place.person(guest))
        (invitation,) = [it async for it in his.community_invitations.received() if it.community_uuid == group.uuid]
        assert invitation.id in [it.id async for it in community.invitations()]
        assert isinstance(await his.community_invitations.accept(invitation), Accepted)
    assert place.verbs() == [
        *("invite", "accept", "remove", "connect", "disconnect"),
        *["invite to community", "withdraw from community"] * 2,
        *("invite to community", "join community"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("auth", ["basic", "form", "oauth"])
@pytest.mark.parametrize("version", ["4.5", "5.0", "6.0"])
@pytest.mark.parametrize(
    "switch", SWITCHES, ids=lambda switch: "".join(f"{k}={v}" for k, v in switch.items()) or "none"
)
async def test_all_verbs(auth: str, version: str, switch: dict[str, Any]) -> None:
    await tour(Place(auth=auth, version=version, **switch))


@pytest.mark.parametrize("auth", ["basic", "oauth"])
@pytest.mark.parametrize("gateway", GATEWAYS, ids=lambda gateway: " ".join(gateway.values()))
async def test_all_verbs_behind_a_gateway(auth: str, gateway: dict[str, Any]) -> None:
    place = Place(auth=auth, max_ps=2, **gateway)
    await tour(place)
    assert {host for door in place.doors for host in door.hosts} == {"https://connections.example.com"}
    assert {status for status in place.server.requests.by_status if status not in (200, 201)} <= {400, 404}
    assert all(path.startswith(gateway.get("context", "/")) for path in place.server.requests.by_path)


class WithoutLocation(Door):
    """Removes the ``Location`` from responses."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        response.headers.pop("location", None)
        return response


@pytest.mark.parametrize("body", ["entry", "empty"])
async def test_a_201_with_an_entry_and_without_location_tells_the_id(body: Any) -> None:
    place = Place(invite_201_body=body)
    a, b, c = place.strangers(3)
    door = WithoutLocation(place.server)
    async with place.client(a, transport=door) as hers, place.client(None, transport=door) as admin:
        for made in (await hers.invite(place.person(b)), await admin.admin.connect(place.person(a), place.person(c))):
            assert isinstance(made, Invited | Connected)
            assert (made.connection_id is not None) is (body == "entry")
            if made.connection_id is not None:
                found = await hers.connection(made.connection_id)
                assert found is not None
                assert found.id == made.connection_id


async def test_the_outcome_of_connecting_has_the_id_and_so_has_its_replay(tmp_path: Path) -> None:
    place = Place()
    a, b = place.strangers()
    pairs, journal = [(place.person(a), place.person(b))], tmp_path / "connect.sqlite"
    async with place.client(None) as admin:
        (first,) = await admin.admin.connect_many(pairs, journal=Journal(journal)).collect()
        (again,) = await admin.admin.connect_many(pairs, journal=Journal(journal)).collect()
        assert isinstance(first, Connected)
        assert isinstance(again, Connected)
        assert (first.replayed, again.replayed) == (False, True)
        assert first.connection_id == again.connection_id == first.as_dict()["connection_id"]
        found = await admin.connection(first.connection_id or "")
        assert found is not None
        assert found.id == first.connection_id


@pytest.mark.parametrize(
    "which", ["https://connections.example.com/profiles/atom/profile.do?key=k", "/profiles/atom/connection.do", "?x=y"]
)
async def test_a_link_that_is_of_no_connection_is_refused(which: str) -> None:
    place = Place()
    async with place.client(0) as client:
        for verb in (client.connection, client.accept, client.remove):
            with pytest.raises(InvalidInputError, match="this link does not lead to a connection"):
                await verb(which)
    assert place.server.requests.total == 0


@pytest.mark.parametrize("gateway", GATEWAYS, ids=lambda gateway: " ".join(gateway.values()))
async def test_invitations_behind_a_gateway_are_got_revoked_and_accepted_by_id_and_by_link(
    gateway: dict[str, Any],
) -> None:
    place = Place(**gateway)
    a, b = place.strangers()
    group = place.directory.communities[0]
    owner = next(n for n, person in enumerate(place.directory.people) if person.userid == group.owners[0].userid)
    async with place.client(owner) as hers:
        (one, *_) = waiting = [it async for it in hers.community(group.uuid).invitations()]
        assert await hers.community_invitations.get(one) == one
        revoked = await hers.community_invitations.revoke_many(waiting).collect()
        assert {outcome.kind for outcome in revoked} == {"removed"}
        assert await hers.community_invitations.get(one) is None
    async with place.client(a) as hers, place.client(b) as his:
        made = await hers.invite(place.person(b))
        assert isinstance(made, Invited)
        assert made.connection_id is not None
        seen = await his.connection(made.connection_id)
        assert seen is not None
        assert seen.self_href is not None
        assert await his.connection(seen.self_href) == seen
        assert [outcome.kind for outcome in await his.accept_many([seen.self_href]).collect()] == ["accepted"]
        assert (await hers.remove(made.connection_id)).was is Status.ACCEPTED


@pytest.mark.parametrize("auth", ["basic", "form", "oauth"])
async def test_who_has_not_signed_in_is_told_so(auth: str) -> None:
    place = Place(auth=auth)
    one, other = place.person(0), place.person(1)
    calls: list[Callable[[Client], Awaitable[object]]] = [
        lambda client: client.check(one, other),
        lambda client: client.invite(other),
        lambda client: client.me(),
        lambda client: anext(client.community_invitations.received()),
    ]
    for call in calls:
        async with place.client(0, auth=None) as client:
            with pytest.raises(AuthenticationError):
                await call(client)
    assert place.verbs() == []


async def test_everybody_may_read_where_that_is_switched_on() -> None:
    place = Place(anonymous_read=True)
    one, other = place.person(0), next(p for p in DIRECTORY.people if place.status(DIRECTORY.people[0], p))
    async with place.client(0, auth=None) as client:
        shown = await client.check(one, other)
        assert shown is (Status.ACCEPTED if place.status(one, other) == "accepted" else None)
        assert (await client.profile(one)) is not None
        with pytest.raises(AuthenticationError):
            await client.invite(other)
