"""Lost answers and a failing server against every change: nothing is done twice, and the outcome is what happened."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from server import Place, in_time

from aioconnections import (
    Accepted,
    AlreadyExists,
    Attempt,
    AuthenticationError,
    Connected,
    ConnectionsError,
    Failed,
    InDoubt,
    InDoubtError,
    Invited,
    Pair,
    ServerError,
    ServerUnavailableError,
    Status,
    Timeouts,
)
from aioconnections.reference import Fault

RESETS = [
    Fault("reset", at="request", times=1),
    Fault("reset", at="commit", times=1),
    Fault("refuse", at="request", times=1),
    Fault("refuse", at="commit", times=1),
    Fault("delay", at="request", times=1, seconds=15),
    Fault("delay", at="commit", times=1, seconds=15),
]


def of(operation: Any, fault: Fault) -> Fault:
    return Fault.from_dict(fault.as_dict() | {"operation": operation})


@pytest.mark.parametrize("fault", RESETS, ids=lambda fault: f"{fault.kind} at {fault.at}")
def test_one_fault_leads_to_exactly_one_change(fault: Fault) -> None:
    async def main() -> None:
        place = Place(dedup=False)
        a, b = place.strangers()
        alice, bob = place.person(a), place.person(b)
        async with place.client(a) as hers, place.client(b) as his, place.client(None) as admin:
            place.server.faults = [of("invite", fault)]
            assert isinstance(await hers.invite(bob), Invited)
            place.server.faults = [of("accept", fault)]
            assert isinstance(await his.accept(Pair(bob, alice)), Accepted)
            place.server.faults = [of("remove", fault)]
            assert (await his.remove(Pair(bob, alice))).was is Status.ACCEPTED
            place.server.faults = [of("connect", fault)]
            assert isinstance(await admin.admin.connect(alice, bob), Connected)
            place.server.faults = [of("disconnect", fault)]
            assert (await admin.admin.disconnect(alice, bob)).was is Status.ACCEPTED
        assert place.verbs() == ["invite", "accept", "remove", "connect", "disconnect"]

    in_time(main)


def test_a_server_that_goes_on_failing_leaves_doubt_and_never_a_second_invitation() -> None:
    async def main() -> None:
        place = Place(dedup=False)
        a, b = place.strangers()
        place.server.faults = [Fault("reset", at="commit", operation="invite"), Fault("refuse", operation="check")]
        async with place.client(a) as hers:
            with pytest.raises(InDoubtError):
                await hers.invite(place.person(b))
            with pytest.raises(InDoubtError):
                await hers.invite(place.person(b), on_unknown="report")
            async with hers.invite_many([place.person(b)], journal=None) as outcomes:
                (outcome,) = [it async for it in outcomes]
        assert isinstance(outcome, InDoubt)
        assert place.verbs() == ["invite"] * 3  # one for each call

    in_time(main)


def test_what_was_refused_before_it_was_done_is_done_by_the_second_try_and_a_doubt_waits() -> None:
    async def main() -> None:
        place = Place()
        a, b = place.strangers()
        place.server.faults = [Fault("reset", operation="invite", times=1)]
        async with place.client(a) as hers:
            invited = await hers.invite(place.person(b), settle=45)
            assert isinstance(invited, Invited)
            assert (invited.attempts, invited.waited >= 45) == (3, True)

    in_time(main)


@pytest.mark.parametrize("at", ["request", "commit"])
def test_a_lost_answer_is_asked_after_even_if_the_login_was_not_proved(at: Any) -> None:
    async def main() -> None:
        place = Place(dedup=False)
        a, b = place.strangers()
        place.server.faults = [Fault("reset", at=at, operation="invite", times=1)]
        async with place.client(a, verify_login=False) as client:
            assert isinstance(await client.invite(place.person(b)), Invited)
        assert place.verbs() == ["invite"]

    in_time(main)


def test_a_failure_that_stays_is_said() -> None:
    async def main() -> None:
        place = Place()
        a, b = place.strangers()
        async with place.client(a) as hers:
            await hers.invite(place.person(b))
            place.server.faults = [Fault("refuse", operation="remove")]
            with pytest.raises(ServerError):
                await hers.remove(Pair(place.person(a), place.person(b)))
            assert place.verbs() == ["invite"]

    in_time(main)


def test_a_bulk_run_under_faults_tells_the_truth_about_everybody() -> None:
    async def main() -> None:
        place = Place(dedup=False)
        people = [place.person(n) for n in range(1, 60)]
        before = {person: place.status(place.person(0), person) for person in people}
        place.server.faults = [
            Fault("reset", at="commit", operation="invite", every=3),
            Fault("refuse", operation="invite", every=4),
            Fault("reset", operation="check", chance=0.2),
        ]
        strangers = [person for person in people if before[person] is None]
        async with place.client(0) as client, client.invite_many(strangers, journal=None) as outcomes:
            found = [outcome async for outcome in outcomes]
        assert outcomes.tally.read == len(strangers) == len(found)
        invitations = [commit.target for commit in place.server.commits]
        assert len(invitations) == len(set(invitations))
        for outcome in found:
            made = str(outcome.person.value if outcome.person else None) in invitations
            assert made or not isinstance(outcome, Invited | AlreadyExists)
            assert not (made and isinstance(outcome, Failed)), outcome

    in_time(main)


@pytest.mark.parametrize("end", [AuthenticationError(401, None, "refused"), ServerUnavailableError("away")])
def test_what_keeps_a_lost_answer_from_being_asked_after_leaves_it_in_doubt(end: ConnectionsError) -> None:
    async def main() -> None:
        place = Place(dedup=False)
        a, *others = place.strangers(3)

        def over(attempt: Attempt) -> None:
            """Whatever comes next meets with `end`: the login is refused, or the server away for too long."""
            if attempt.method == "POST":
                assert client._caller.session is not None
                if isinstance(end, AuthenticationError):
                    client._caller.session.refused(end)
                else:
                    client._caller.session._runtime.availability.outage.begin(trio.current_time())

        client = place.client(a, on_attempt=over, max_connections=1, timeouts=Timeouts(outage=0))
        async with client:
            place.server.faults = [Fault("reset", at="commit", operation="invite")]
            async with client.invite_many([place.person(b) for b in others], journal=None) as outcomes:
                found = [outcome async for outcome in outcomes]
            assert [type(outcome) for outcome in found] == [InDoubt]
            assert type(outcomes.stopped) is type(end)
        assert place.verbs() == ["invite"]

    in_time(main)
