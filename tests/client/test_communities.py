"""Invitations into communities in bulk: accepted, declined and revoked, each reported for what became of it."""

from __future__ import annotations

from typing import Any

import pytest
from server import DIRECTORY, Place, in_time

from aioconnections import (
    Accepted,
    AuthenticationError,
    Failed,
    ForbiddenError,
    InDoubt,
    InvalidInputError,
    Invitation,
    NotFoundError,
    Rejected,
    Removed,
    ServerError,
)
from aioconnections.reference import Fault

pytestmark = pytest.mark.anyio

GROUPS = DIRECTORY.communities[:4]


def number_of(userid: Any) -> int:
    return next(n for n, person in enumerate(DIRECTORY.people) if person.userid == userid)


def owner_of(group: Any) -> int:
    return number_of(group.owners[0].userid)


def outsiders(group: Any, count: int) -> list[int]:
    """Numbers of people who neither belong to it nor are invited."""
    inside = {person.userid for person in (*group.owners, *group.members, *group.invited)}
    return [n for n, person in enumerate(DIRECTORY.people) if person.userid not in inside][:count]


async def invited_everywhere(place: Place) -> tuple[int, list[Invitation]]:
    """Somebody who has been invited into communities that they do not belong to; the invitations."""
    (guest,) = [n for n in outsiders(GROUPS[0], 60) if all(n in outsiders(group, 60) for group in GROUPS)][:1]
    for group in GROUPS:
        async with place.client(owner_of(group)) as hers:
            await hers.community(group.uuid).invite(place.person(guest))
    async with place.client(guest) as his:
        uuids = {group.uuid for group in GROUPS}
        return guest, [it async for it in his.community_invitations.received() if it.community_uuid in uuids]


async def all_of(outcomes: Any) -> list[Any]:
    async with outcomes:
        return [outcome async for outcome in outcomes]


@pytest.mark.slow
@pytest.mark.parametrize("auth", ["basic", "oauth"])
@pytest.mark.parametrize("version", ["4.5", "5.0", "6.0"])
async def test_accepting_many(auth: str, version: str) -> None:
    place = Place(auth=auth, version=version)
    guest, invitations = await invited_everywhere(place)
    nowhere = Invitation("i", None, edit_href=invitations[0].edit_href)
    items: list[Any] = [*invitations, invitations[0], "i", nowhere, Invitation("i", "no such community")]
    async with place.client(guest) as his:
        outcomes = his.community_invitations.accept_many(items, ordered=True)
        found = await all_of(outcomes)
        assert [it.community_uuid async for it in his.community_invitations.received() if it in invitations] == []
    count = len(invitations)
    assert count == len(GROUPS) >= 2
    # who is a member already has accepted: 417
    assert [type(it) for it in found] == [Accepted] * (count + 1) + [Failed, Failed, Rejected]
    assert [it.item for it in found] == items
    assert all(isinstance(it.error, InvalidInputError) for it in found[count + 1 : count + 3])
    assert isinstance(found[-1].error, NotFoundError)
    assert (outcomes.tally.accepted, outcomes.tally.failed, outcomes.tally.rejected) == (count + 1, 2, 1)
    assert place.verbs()[count:] == ["join community"] * count


@pytest.mark.parametrize("auth", ["basic", "oauth"])
@pytest.mark.parametrize("delete", [200, 204])
async def test_declining_many(auth: str, delete: int) -> None:
    place = Place(auth=auth, invitation_delete=delete)
    guest, invitations = await invited_everywhere(place)
    async with place.client(guest) as his:
        assert {type(it) for it in await all_of(his.community_invitations.decline_many(invitations))} == {Removed}
        again = his.community_invitations.decline_many([invitations[0], Invitation("i", "c")], ordered=True)
        gone, nowhere = await all_of(again)
        assert [it for it in invitations if await his.community_invitations.get(it) is not None] == []
    assert (type(gone), type(gone.error)) == (Rejected, NotFoundError)
    assert (type(nowhere), type(nowhere.error)) == (Failed, InvalidInputError)
    assert place.verbs()[len(invitations) :] == ["withdraw from community"] * len(invitations)


@pytest.mark.parametrize("auth", ["basic", "oauth"])
@pytest.mark.parametrize("delete", [200, 204])
async def test_revoking_many_is_for_owners(auth: str, delete: int) -> None:
    place = Place(auth=auth, invitation_delete=delete)
    group = GROUPS[0]
    one, other, third = outsiders(group, 3)
    async with place.client(owner_of(group)) as hers, place.client(third) as theirs:
        community = hers.community(group.uuid)
        for guest in (one, other):
            await community.invite(place.person(guest))
        people = {place.person(guest).userid for guest in (one, other)}
        waiting = [it async for it in community.invitations() if it.invitee and it.invitee.userid in people]
        refused = await all_of(theirs.community_invitations.revoke_many(waiting))
        assert [type(it.error) for it in refused] == [ForbiddenError] * 2
        outcomes = hers.community_invitations.revoke_many(waiting)
        assert [type(it) for it in await all_of(outcomes)] == [Removed, Removed]
        assert outcomes.tally.removed == 2
    assert place.verbs() == ["invite to community"] * 2 + ["withdraw from community"] * 2


async def test_who_accepts_need_not_have_proved_the_login() -> None:
    place = Place()
    guest, invitations = await invited_everywhere(place)
    async with place.client(guest, verify_login=False) as his:
        assert {type(it) for it in await all_of(his.community_invitations.accept_many(invitations))} == {Accepted}


async def test_a_wrong_password_stops_before_the_first_of_them() -> None:
    place = Place()
    guest, invitations = await invited_everywhere(place)
    place.server.password = "changed"
    for verb in ("accept", "decline", "revoke"):
        async with place.client(guest) as his:
            outcomes = getattr(his.community_invitations, f"{verb}_many")(invitations)
            assert await all_of(outcomes) == []
            assert isinstance(outcomes.stopped, AuthenticationError)
    assert place.verbs() == ["invite to community"] * len(invitations)


@pytest.mark.parametrize("kind", ["reset", "refuse"])
@pytest.mark.parametrize("at", ["request", "commit"])
def test_one_fault_is_one_doubt_about_joining_and_none_about_declining(kind: Any, at: Any) -> None:
    async def main() -> None:
        place = Place()
        guest, invitations = await invited_everywhere(place)
        before = len(place.verbs())
        async with place.client(guest) as his:
            place.server.faults = [Fault(kind, at=at, operation="join", times=1)]
            (joined,) = await all_of(his.community_invitations.accept_many(invitations[:1]))
            place.server.faults = [Fault(kind, at=at, operation="withdraw", times=1)]
            (left,) = await all_of(his.community_invitations.decline_many(invitations[1:2]))
        assert (type(joined), type(left)) == (InDoubt, Removed)
        done = place.verbs()[before:]
        assert done.count("withdraw from community") == 1
        assert ("join community" in done) is (at == "commit")

    in_time(main)


def test_what_goes_on_failing_is_looked_at() -> None:
    async def main() -> None:
        place = Place()
        guest, invitations = await invited_everywhere(place)
        async with place.client(guest) as his:
            place.server.faults = [Fault("refuse", at="request", operation="withdraw")]
            (still,) = await all_of(his.community_invitations.decline_many(invitations[:1]))
            assert (type(still), type(still.error)) == (Failed, ServerError)
            assert await his.community_invitations.get(invitations[0]) is not None

    in_time(main)
