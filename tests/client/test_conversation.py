"""Alice invites Bob, both look, Bob accepts, both look, Alice removes and invites again: in every way there is."""

from __future__ import annotations

import pytest
from server import Place

from aioconnections import (
    Accepted,
    AlreadyExists,
    ForbiddenError,
    InvalidInputError,
    Invited,
    NotFoundError,
    Pair,
    Removed,
    Status,
)
from aioconnections.reference.server import listening

pytestmark = pytest.mark.anyio


async def converse(place: Place, kind: str, *, discover: bool = False) -> None:
    a, b = place.strangers()
    alice, bob = place.person(a, kind), place.person(b, kind)
    async with place.client(a) as hers, place.client(b) as his:
        invited = await hers.invite(bob, message="Grüße <&>", discover=discover)
        assert isinstance(invited, Invited)
        assert invited.connection_id is not None
        assert (invited.person, invited.attempts) == (bob, 2 if discover else 1)
        assert await hers.check(alice, bob) is Status.UNCONFIRMED
        assert await his.check(bob, alice) is Status.PENDING
        assert isinstance(await hers.invite(bob), AlreadyExists)
        assert isinstance(await his.invite(alice), AlreadyExists)
        with pytest.raises(InvalidInputError, match="only the invitee"):
            await hers.accept(Pair(alice, bob))
        waiting = [it async for it in his.colleagues(bob, status=Status.PENDING, include_message=True)]
        (pending,) = [it for it in waiting if it.target.userid == place.person(a, "userid")]
        assert (pending.message, pending.message_type) == ("Grüße &lt;&amp;&gt;", "html")  # as the server keeps it
        assert isinstance(await his.accept(pending), Accepted)
        for client, one, other in ((hers, alice, bob), (his, bob, alice)):
            assert await client.check(one, other) is Status.ACCEPTED
            found = await client.connection(one, other, include_message=True)
            assert found is not None
            assert found.message == "Grüße &lt;&amp;&gt;"
            assert found.id in [it.id async for it in client.colleagues(one)]
        assert (await hers.remove((alice, bob))).was is Status.ACCEPTED
        assert await his.connection(bob, alice) is None
        with pytest.raises(NotFoundError):
            await hers.remove(Pair(alice, bob))
        again = await hers.invite(bob, message="<b>Again</b>", message_type="html")
        assert isinstance(again, Invited)
        assert again.connection_id is not None
        declined = await his.remove(again.connection_id)
        assert isinstance(declined, Removed)
        assert await hers.check(alice, bob) is None
    assert place.verbs() == ["invite", "accept", "remove", "invite", "remove"]


@pytest.mark.parametrize("auth", ["basic", "oauth"])
@pytest.mark.parametrize("kind", ["userid", "email", "key"])
@pytest.mark.parametrize("version", ["4.5", "5.0", "6.0"])
async def test_in_every_version_login_and_identity(version: str, kind: str, auth: str) -> None:
    await converse(Place(auth=auth, version=version, invite_201_body="entry" if kind == "key" else "empty"), kind)


async def test_the_documented_way_and_with_addresses_hidden() -> None:
    await converse(Place(), "email", discover=True)
    await converse(Place(auth="oauth"), "userid", discover=True)
    await converse(Place(emails="hidden"), "userid")


@pytest.mark.asyncio
async def test_over_a_real_connection() -> None:
    place = Place()
    a, b = place.strangers()
    async with (
        listening(place.server) as url,
        place.client(a, transport=None, base_url=url) as hers,
        place.client(b, transport=None, base_url=url) as his,
    ):
        invited = await hers.invite(place.person(b))
        assert isinstance(invited, Invited)
        assert invited.connection_id is not None
        assert isinstance(await his.accept(invited.connection_id), Accepted)
        assert place.person(a).userid in [it.target.userid async for it in his.colleagues(place.person(b))]


async def test_somebody_else_can_neither_accept_nor_remove() -> None:
    place = Place()
    a, b, c = place.strangers(3)
    async with place.client(a) as hers, place.client(c) as theirs:
        invited = await hers.invite(place.person(b))
        assert isinstance(invited, Invited)
        with pytest.raises(NotFoundError):  # what outsiders cannot see is not there for them
            await theirs.accept(str(invited.connection_id))
        accepted = next(n for n in range(60) if n != c and place.status(place.person(n), place.person(a)) == "accepted")
        with pytest.raises(ForbiddenError):
            await theirs.remove(Pair(place.person(a), place.person(accepted)))
