"""An application that is stopped behind a web server: every path answers 404 in HTML (SRVE0255E)."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.lowlevel
from doors import everything, refusal
from server import Door, Place, in_time

from aioconnections import (
    Accepted,
    Attempt,
    AuthenticationError,
    Checked,
    Client,
    Connected,
    ConnectionsError,
    DeadlineError,
    Failed,
    ForeignResponseError,
    InDoubt,
    InDoubtError,
    Invitation,
    Invited,
    Journal,
    NotFoundError,
    Pair,
    Removed,
    ServerUnavailableError,
    Status,
    Timeouts,
    Unprocessed,
)
from aioconnections.reference import Directory, Fault

pytestmark = pytest.mark.slow

PEOPLE = Directory.generate(people=120, seed=11)
COMMUNITY = "0aa7b4c4-7bd1-4d3c-9a55-0f6d5c3a9c01"

MINUTE, PATIENT = Timeouts(outage=60), Timeouts(outage=None)


def all_pairs(place: Place, count: int) -> list[Pair]:
    return [Pair(place.person(a), place.person(b)) for a in range(100) for b in range(100) if a != b][:count]


def truth(place: Place, pair: Pair | None) -> str | None:
    assert pair is not None
    return place.status(pair.source, pair.target)


class Stoppable(Place):
    """A place whose applications can be stopped for a time."""

    def __init__(self, **switches: Any) -> None:
        super().__init__(**{"directory": PEOPLE} | switches)

    def stop(self, *applications: Any) -> None:
        self.server.faults = [Fault("missing", application=each) for each in applications or (None,)]

    def start(self) -> None:
        self.server.faults = []

    async def start_after(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self.start()


async def checked(place: Stoppable, client: Client, pairs: list[Pair], after: int, seconds: float) -> Any:
    """The run and its outcomes, where the application stops after so many outcomes, for so many seconds."""
    found = []
    async with trio.open_nursery() as nursery:
        async with client.check_many(pairs) as run:
            async for outcome in run:
                found.append(outcome)
                if len(found) == after:
                    place.stop()
                    nursery.start_soon(place.start_after, seconds)
        nursery.cancel_scope.cancel()
    return run, found


@pytest.mark.parametrize("verify_login", [True, pytest.param(False, marks=pytest.mark.full)])
@pytest.mark.parametrize("seconds", [0.3, 5.0, 100.0])
@pytest.mark.parametrize("known", [True, False])
def test_no_check_is_answered_by_a_stopped_application(seconds: float, *, known: bool, verify_login: bool) -> None:
    async def main() -> None:
        place = Stoppable()
        pairs = all_pairs(place, 3000)
        if not known:  # the application has never refused anything in its own form before it stops
            pairs.sort(key=lambda pair: truth(place, pair) is None)
            assert truth(place, pairs[20]) is not None
        async with place.client(None, max_per_second=100, verify_login=verify_login) as client:
            run, found = await checked(place, client, pairs, 10, seconds)
        assert run.stopped is None
        assert len(found) == run.tally.read == 3000
        assert [o for o in found if not isinstance(o, Checked) or o.status != truth(place, o.pair)] == []

    in_time(main)


@pytest.mark.parametrize("known", [True, False])
def test_a_run_over_an_application_that_stays_away_stops_and_says_so(*, known: bool) -> None:
    async def main() -> None:
        place = Stoppable()
        pairs = all_pairs(place, 3000)
        if not known:
            pairs.sort(key=lambda pair: truth(place, pair) is None)
        async with place.client(None, max_per_second=100) as client:
            run, found = await checked(place, client, pairs, 10, 1e9)
            assert client.stats().waiting_for_server
            assert client.stats().probes > 5
        assert isinstance(run.stopped, ServerUnavailableError)
        assert "Profiles has been away for 300 s" in str(run.stopped)
        assert run.tally.read == len(found) < 300
        wrong = [o for o in found if isinstance(o, Checked) and o.status != truth(place, o.pair)]
        assert wrong == []
        assert all(isinstance(o, Checked | Unprocessed | Failed) for o in found)
        assert not any(isinstance(o, Failed) and isinstance(o.error, NotFoundError) for o in found)

    in_time(main)


@pytest.mark.parametrize("seed", [1, 2])
def test_members_of_a_cluster_of_which_one_is_stopped(seed: int) -> None:
    async def main() -> None:
        place = Stoppable()
        pairs = all_pairs(place, 600)
        place.server.faults = [Fault("missing", every=2)]
        options: dict[str, Any] = {
            "max_per_second": 100,
            "verify_login": False,
            "rng": random.Random(seed),
            "timeouts": PATIENT,
        }
        async with place.client(None, **options) as client:
            found = await everything(client.check_many(pairs))
        assert len(found) == 600
        assert [o for o in found if isinstance(o, Checked) and o.status != truth(place, o.pair)] == []
        assert all(isinstance(o.error, ForeignResponseError) for o in found if not isinstance(o, Checked))
        assert sum(isinstance(o, Checked) for o in found) >= 0.8 * 600

    in_time(main)


@pytest.mark.parametrize("auth", ["someone", None])
def test_an_address_without_the_application_stops_the_run_at_once(auth: str | None) -> None:
    async def main() -> None:
        place = Stoppable(anonymous_read=True)
        place.stop()
        options: dict[str, Any] = {"verify_login": False} | ({"auth": None} if auth is None else {})
        async with place.client(0, **options) as client:
            run = client.check_many(all_pairs(place, 200))
            found = await everything(run)
            assert isinstance(run.stopped, ForeignResponseError)
            assert run.stopped.wrong_address
            assert "there is no Profiles service at https://connections.example.com/profiles" in str(run.stopped)
            assert not any(isinstance(o, Checked) for o in found)
            assert run.tally.read == len(found) <= 32
            with pytest.raises(ForeignResponseError, match="no Communities service"):
                [it async for it in client.community_invitations.received()]
        async with place.client(0) as client:
            with pytest.raises(NotFoundError, match="no Profiles service"):
                await client.check(place.person(1), place.person(2))

    in_time(main)


def test_without_a_canary_that_can_be_asked_a_doubtful_response_is_a_failure_and_never_none() -> None:
    async def main() -> None:
        place = Stoppable(anonymous_read=True, front_end_pages=True)
        place.server.faults = [Fault("login", operation="service configs")]  # protected, and there is no login
        strangers = [pair for pair in all_pairs(place, 500) if truth(place, pair) is None][:5]
        async with place.client(0, auth=None) as client:
            found = await everything(client.check_many(strangers))
            assert [type(o) for o in found] == [Failed] * 5
            assert all(isinstance(o.error, ForeignResponseError) for o in found)
            with pytest.raises(ForeignResponseError):
                await client.connection(strangers[0].source, strangers[0].target)

    in_time(main)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("protected", [True, False])
def test_where_every_404_is_a_page_of_the_front_end_ninety_percent_of_the_rate_remain(
    *, protected: bool, ordered: bool
) -> None:
    async def main() -> None:
        place = Stoppable(front_end_pages=True)
        if protected:
            place.server.faults = [Fault("login", operation="service configs")]
        pairs = all_pairs(place, 3000)
        async with place.client(None, max_per_second=100) as client:
            began = trio.current_time()
            found = await everything(client.check_many(pairs, ordered=ordered))
            took = trio.current_time() - began
        assert len(found) == 3000
        assert [o for o in found if not isinstance(o, Checked) or o.status != truth(place, o.pair)] == []
        assert sum(o.status is None for o in found) > 2000
        assert 3000 / took >= 90
        assert sum(o.attempts > 1 for o in found) <= 0.03 * 3000

    in_time(main)


def test_a_single_check_that_a_front_end_answers_is_enclosed_by_two_canaries() -> None:
    async def main() -> None:
        place = Stoppable(front_end_pages=True)
        pair = next(pair for pair in all_pairs(place, 500) if truth(place, pair) is None)
        async with place.client(None) as client:
            assert await client.check(pair.source, pair.target) is None
            assert place.doors[0].lines().count("GET /profiles/serviceconfigs") == 2
            assert await client.connection(pair.source, pair.target) is None
            place.stop()
            with pytest.raises(ServerUnavailableError):
                await client.check(pair.source, pair.target)
            with pytest.raises(ServerUnavailableError):
                await client.connection(pair.source, pair.target)

    in_time(main)


@pytest.mark.parametrize("seconds", [0.3, 5.0, 1e9])
def test_undecided_pages_are_no_verdict_while_the_application_stops(seconds: float) -> None:
    """The front end answers with the same kind of page whether there is no connection or no application."""

    async def main() -> None:
        place = Stoppable(front_end_pages=True)
        pairs = all_pairs(place, 1500)
        async with place.client(None, max_per_second=100) as client:
            run, found = await checked(place, client, pairs, 200, seconds)
        wrong = [o for o in found if isinstance(o, Checked) and o.status != truth(place, o.pair)]
        assert wrong == []
        if seconds < 1e9:
            assert run.stopped is None
            assert sum(isinstance(o, Checked) for o in found) == 1500
        else:
            assert isinstance(run.stopped, ServerUnavailableError)

    in_time(main)


@pytest.mark.parametrize("seconds", [0.3, 5.0, 100.0])
def test_invitations_wait_for_the_application_and_are_made_once(seconds: float) -> None:
    async def main() -> None:
        place = Stoppable(dedup=False)
        people = [place.person(n) for n in range(1, 120)]
        people = [person for person in people if place.status(place.person(0), person) is None][:100]
        found = []
        async with trio.open_nursery() as nursery, place.client(0, max_per_second=100) as client:
            async with client.invite_many(people, journal=None) as run:
                async for outcome in run:
                    found.append(outcome)
                    if len(found) == 10:
                        place.stop()
                        nursery.start_soon(place.start_after, seconds)
            nursery.cancel_scope.cancel()
        assert run.stopped is None
        assert {type(o) for o in found} == {Invited}
        made = [commit.target for commit in place.server.commits]
        assert sorted(made) == sorted(str(person.userid) for person in people)

    in_time(main)


def test_invitations_that_an_application_missed_are_made_by_the_next_run(tmp_path: Path) -> None:
    async def main() -> None:
        place = Stoppable(dedup=False)
        people = [place.person(n) for n in range(1, 120)]
        people = [person for person in people if place.status(place.person(0), person) is None][:100]

        async def run() -> tuple[Any, list[Any]]:
            found = []
            async with place.client(0, max_per_second=100) as client:
                journal = Journal(tmp_path / "invites.sqlite")
                async with client.invite_many(people, journal=journal) as outcomes:
                    async for outcome in outcomes:
                        found.append(outcome)
                        if len(found) == 10 and not outcome.replayed:
                            place.stop()
            return outcomes.stopped, found

        stopped, found = await run()
        assert isinstance(stopped, ServerUnavailableError)
        assert not any(isinstance(o, InDoubt) for o in found), [o for o in found if isinstance(o, InDoubt)][:1]
        assert not any(isinstance(o, Failed) and isinstance(o.error, NotFoundError) for o in found)
        place.start()
        began = trio.current_time()
        stopped, found = await run_again(run, place)
        assert stopped is None
        assert len(found) == 100
        assert {type(o) for o in found} == {Invited}
        assert trio.current_time() - began < 20  # nothing was in doubt, so nothing had to settle
        made = [commit.target for commit in place.server.commits]
        assert sorted(made) == sorted(str(person.userid) for person in people)

    async def run_again(run: Callable[[], Any], place: Stoppable) -> Any:
        place.stop = lambda *_: None  # type: ignore[method-assign] # it stays up
        return await run()

    in_time(main)


VERBS: dict[str, tuple[Any, Any]] = {}
YES: object = True


def verb(name: str, expected: object) -> Callable[[Any], Any]:
    def note(call: Any) -> Any:
        VERBS[name] = call, expected
        return call

    return note


@verb("check", Status.ACCEPTED)
async def _check(place: Stoppable, client: Client, other: int) -> object:
    return await client.check(place.person(0), place.person(other))


@verb("get", Status.ACCEPTED)
async def _get(place: Stoppable, client: Client, other: int) -> object:
    found = await client.connection(place.person(0), place.person(other))
    return found and found.status


@verb("remove", Removed)
async def _remove(place: Stoppable, client: Client, other: int) -> object:
    return type(await client.remove(Pair(place.person(0), place.person(other))))


@verb("colleagues", YES)
async def _colleagues(place: Stoppable, client: Client, other: int) -> object:
    return place.person(other).userid in [it.target.userid async for it in client.colleagues(place.person(0))]


@verb("profile", YES)
async def _profile(place: Stoppable, client: Client, other: int) -> object:
    found = await client.profile(place.person(other))
    return found is not None and found.person.userid == place.person(other).userid


@verb("service document", YES)
async def _document(place: Stoppable, client: Client, other: int) -> object:
    found = await client.service_document(place.person(other))
    return found is not None and found.userid == place.person(other).userid


@verb("search", YES)
async def _search(place: Stoppable, client: Client, other: int) -> object:
    return [it.person.userid async for it in client.search(name=place.person(other).name)] != []


@verb("in common", YES)
async def _in_common(place: Stoppable, client: Client, other: int) -> object:
    one, two = place.person(0, "userid"), place.person(other, "userid")
    common = {it.person.userid async for it in client.colleagues_in_common(one, two)}
    mutual = [n for n in range(120) if {place.status(place.person(n), p) for p in (one, two)} == {Status.ACCEPTED}]
    return common == {place.person(n).userid for n in mutual}


@pytest.mark.parametrize("name", VERBS)
@pytest.mark.parametrize("seconds", [0.3, 5.0, 1e9])
@pytest.mark.parametrize("known", [True, False])
def test_no_verb_takes_a_stopped_application_for_a_verdict(name: str, seconds: float, *, known: bool) -> None:
    call, expected = VERBS[name]

    async def main() -> None:
        place = Stoppable()
        other = next(n for n in range(1, 100) if place.status(place.person(0), place.person(n)) == "accepted")
        async with place.client(0) as client, trio.open_nursery() as nursery:
            await client.me()
            if known:
                with pytest.raises(NotFoundError):
                    await client.accept("00000000-0000-0000-0000-000000000000")
            place.stop()
            nursery.start_soon(place.start_after, seconds)
            if seconds < 1e9:
                assert await call(place, client, other) == expected
            else:
                with pytest.raises(ServerUnavailableError):
                    await call(place, client, other)
            nursery.cancel_scope.cancel()
        assert place.verbs() == (["remove"] if name == "remove" and seconds < 1e9 else [])

    in_time(main)


@pytest.mark.parametrize("seconds", [0.3, 5.0, 1e9])
def test_a_lost_response_is_settled_when_the_application_is_back(seconds: float) -> None:
    """The change is made, its response is lost, and the application stops at once."""

    async def main() -> None:
        place = Stoppable(dedup=False)
        a, b = place.strangers()
        alice, bob = place.person(a), place.person(b)

        def stop(attempt: Attempt) -> None:
            if attempt.status == 503 and seconds:
                place.stop("profiles")
                nursery.start_soon(place.start_after, seconds)

        async with (
            trio.open_nursery() as nursery,
            place.client(a, on_attempt=stop) as hers,
            place.client(b, on_attempt=stop) as his,
            place.client(None, on_attempt=stop) as admin,
        ):
            changes: dict[Any, Callable[[], Any]] = {
                "invite": lambda: hers.invite(bob, settle=1),
                "accept": lambda: his.accept(Pair(bob, alice)),
                "remove": lambda: his.remove(Pair(bob, alice)),
                "connect": lambda: admin.admin.connect(alice, bob),
                "disconnect": lambda: admin.admin.disconnect(alice, bob),
            }
            done: list[object] = []
            for operation, call in changes.items():
                await hers.me(), await his.me(), await admin.me()
                place.server.faults = [Fault("refuse", at="commit", operation=operation, times=1)]
                try:
                    done.append(await call())
                except ConnectionsError as error:
                    done.append(error)
                place.start()
            nursery.cancel_scope.cancel()
        if seconds < 1e9:
            assert [type(each) for each in done] == [Invited, Accepted, Removed, Connected, Removed]
        else:
            assert [type(each) for each in done] == [InDoubtError] * 5
        assert place.verbs() == ["invite", "accept", "remove", "connect", "disconnect"]

    in_time(main)


def test_a_removal_of_a_connection_that_a_stopped_application_answers_is_not_reported_as_removed() -> None:
    async def main() -> None:
        place = Stoppable()
        other = next(n for n in range(1, 100) if place.status(place.person(0), place.person(n)) == "accepted")
        async with place.client(0) as client:
            place.server.faults = [Fault("missing", operation="remove")]
            with pytest.raises(ForeignResponseError):
                await client.remove(Pair(place.person(0), place.person(other)))
            run = client.remove_many([Pair(place.person(0), place.person(other))])
            (outcome,) = await everything(run)
            assert isinstance(outcome, Failed)
        assert place.verbs() == []
        assert place.status(place.person(0), place.person(other)) == "accepted"

    in_time(main)


def test_what_a_stopped_application_answers_is_recorded_at_once_as_not_made(tmp_path: Path) -> None:
    """A run that is killed while it waits leaves nothing in doubt, and the sends do not count."""

    async def main() -> None:
        place = Stoppable(dedup=False)
        me, other = place.strangers(2)
        place.server.faults = [Fault("missing", operation="invite", times=3)]
        async with place.client(me) as client:
            found = await everything(client.invite_many([place.person(other)], journal=Journal(tmp_path / "j")))
        assert [type(outcome) for outcome in found] == [Invited]
        assert place.verbs() == ["invite"]
        with closing(sqlite3.connect(tmp_path / "j")) as db:
            rows = [
                (kind, data.split()[0])
                for kind, data in db.execute("SELECT kind, data FROM entry WHERE kind != 'end' ORDER BY seq")
            ]
        assert rows == [("intent", "1"), ("outcome", "failed")] * 3 + [("intent", "1"), ("outcome", "invited")]

    in_time(main)


def test_only_a_403_of_the_application_itself_ends_an_administrators_run() -> None:
    async def main() -> None:
        place = Stoppable()
        a, *others = place.strangers(6)
        pairs = [Pair(place.person(a), place.person(b)) for b in others]
        async with place.client(None) as client:
            place.server.faults = [Fault("refuse", status=403, operation="connect", every=3)]
            run = client.admin.connect_many(pairs)
            found = await everything(run)
            assert run.stopped is None
            assert [type(o) for o in found] == [Connected] * 5
            place.server.faults = [Fault("refuse", status=403, operation="disconnect")]
            run_over = client.admin.disconnect_many(pairs)
            assert {type(o) for o in await everything(run_over)} == {Failed}
            assert run_over.stopped is None
        async with place.client(a) as client:
            ended = client.admin.connect_many(pairs)
            await everything(ended)
            assert ended.stopped is not None

    in_time(main)


@pytest.mark.parametrize("status", [400, 403, 404, 410, 421, 426])
def test_a_change_that_a_gateway_refuses_was_not_made_and_is_made_later(status: int, tmp_path: Path) -> None:
    async def main() -> None:
        place = Stoppable(dedup=False)
        people = [place.person(n) for n in place.strangers(4)]
        place.server.faults = [Fault("refuse", status=status, operation="invite", times=3)]
        async with place.client(place.strangers(4)[0]) as client:
            run = client.invite_many(people[1:], journal=Journal(tmp_path / "j"))
            found = await everything(run)
        assert [type(o) for o in found] == [Invited] * 3
        assert place.verbs() == ["invite"] * 3

        place.server.faults = [Fault("refuse", status=status, operation="remove")]
        pairs = [Pair(people[0], person) for person in people[1:]]
        async with place.client(place.strangers(4)[0]) as client:
            found = await everything(client.remove_many(pairs, journal=Journal(tmp_path / "k")))
        assert [type(o) for o in found] == [Failed] * 3
        assert place.verbs() == ["invite"] * 3

    in_time(main)


@pytest.mark.parametrize("seconds", [5.0, 1e9])
def test_communities_may_be_stopped_while_profiles_goes_on(seconds: float) -> None:
    async def main() -> None:
        place = Stoppable()
        pairs = all_pairs(place, 300)
        async with place.client(None, max_per_second=100, timeouts=MINUTE) as client, trio.open_nursery() as nursery:
            assert await listed(client) == []
            place.stop("communities")
            nursery.start_soon(place.start_after, seconds)
            began = trio.current_time()
            told: list[object] = []

            async def ask() -> None:
                try:
                    told.append(await listed(client))
                except ConnectionsError as error:
                    told.append(error)

            nursery.start_soon(ask)
            await trio.sleep(0.5)
            found = await everything(client.check_many(pairs))
            assert [o for o in found if not isinstance(o, Checked) or o.status != truth(place, o.pair)] == []
            assert trio.current_time() - began < 4.5  # Profiles was not waited for
            gone = Invitation(
                id=None,
                community_uuid=COMMUNITY,
                edit_href=f"/communities/service/atom/community/invites?communityUuid={COMMUNITY}&userid=x",
            )
            if seconds < 1e9:
                await trio.sleep(10)
                assert told == [[]]
                with pytest.raises(NotFoundError):  # now that is a verdict
                    await client.community_invitations.decline(gone)
            else:
                run = client.community_invitations.decline_many([gone])
                (outcome,) = await everything(run)
                assert isinstance(outcome, Failed | Unprocessed)
                assert isinstance(run.stopped, ServerUnavailableError)
                assert "Communities has been away" in str(run.stopped)
                assert [type(each) for each in told] == [ServerUnavailableError]
            nursery.cancel_scope.cancel()

    async def listed(client: Client) -> list[object]:
        return [it async for it in client.community_invitations.received()]

    in_time(main)


@pytest.mark.parametrize("moment", ["GET", "canary"])
@pytest.mark.parametrize("seconds", [0.3, 5.0, 1e9])
@pytest.mark.parametrize("front_end_pages", [True, False])
def test_the_application_stops_while_a_response_is_looked_into(
    moment: str, seconds: float, *, front_end_pages: bool
) -> None:
    async def main() -> None:
        place = Stoppable(front_end_pages=front_end_pages)
        pairs = all_pairs(place, 400)

        def stop(attempt: Attempt) -> None:
            looks = attempt.path.endswith("serviceconfigs") if moment == "canary" else attempt.path.endswith("tion.do")
            if attempt.method == "GET" and looks and not stopped:
                stopped.append(attempt)
                place.stop()
                nursery.start_soon(place.start_after, seconds)

        stopped: list[Attempt] = []
        if not front_end_pages:  # else nothing would be looked into
            place.server.faults = [Fault("missing", operation="check", times=1 if moment == "GET" else 3)]
        async with trio.open_nursery() as nursery, place.client(None, max_per_second=100, on_attempt=stop) as client:
            run = client.check_many(pairs)
            found = await everything(run)
            nursery.cancel_scope.cancel()
        assert [o for o in found if isinstance(o, Checked) and o.status != truth(place, o.pair)] == []
        assert stopped
        assert run.tally.checked == 400 if seconds < 1e9 else isinstance(run.stopped, ServerUnavailableError)

    in_time(main)


@pytest.mark.parametrize("options", [{"timeouts": Timeouts(run=3.0)}, {"timeouts": Timeouts(run=0.2)}])
def test_a_run_that_ends_while_items_wait_for_a_canary_ends(options: dict[str, Any]) -> None:
    async def main() -> None:
        place = Stoppable(front_end_pages=True)
        began = trio.current_time()
        async with place.client(None, max_per_second=100, **options) as client:
            run = client.check_many(all_pairs(place, 3000))
            found = await everything(run)
        assert isinstance(run.stopped, DeadlineError)
        assert trio.current_time() - began == pytest.approx(options["timeouts"].run, abs=0.1)
        assert len(found) == run.tally.read

    in_time(main)


def test_leaving_a_run_whose_invitations_wait_for_the_application_does_not_wait_for_it() -> None:
    async def main() -> None:
        place = Stoppable(dedup=False)
        people = [place.person(n) for n in place.strangers(6)]
        place.server.faults = [Fault("missing", operation="invite", every=2), Fault("missing", operation="check")]
        async with place.client(place.strangers(6)[0], max_per_second=5) as client:
            async with client.invite_many(people[1:], journal=None) as run:
                await trio.sleep(0.7)
            began = trio.current_time()
        assert trio.current_time() == began
        assert len(run.undelivered) == run.tally.read

    in_time(main)


@pytest.mark.parametrize("rate", [0.5, 0.9, 1, 2])
def test_a_rate_of_a_request_a_second_is_enough_for_canaries_too(rate: float) -> None:
    async def main() -> None:
        place = Stoppable(front_end_pages=True)
        pairs = all_pairs(place, 10)
        began = trio.current_time()
        async with place.client(None, max_per_second=rate) as client:
            found = await everything(client.check_many(pairs))
        assert [o for o in found if not isinstance(o, Checked) or o.status != truth(place, o.pair)] == []
        assert trio.current_time() - began <= 40 / rate

    in_time(main)


def test_a_slow_canary_keeps_no_item_for_ever() -> None:
    async def main() -> None:
        place = Stoppable(front_end_pages=True)
        place.server.faults = [Fault("delay", operation="service configs", seconds=9)]
        pairs = all_pairs(place, 150)
        began = trio.current_time()
        async with place.client(None, max_per_second=100) as client:
            found = await everything(client.check_many(pairs))
        assert [o for o in found if not isinstance(o, Checked) or o.status != truth(place, o.pair)] == []
        assert trio.current_time() - began < 90

    in_time(main)


def test_a_wrong_password_costs_one_refusal_where_the_canary_needs_a_login() -> None:
    async def main() -> None:
        place = Stoppable(front_end_pages=True, anonymous_read=True)
        place.server.faults = [Fault("login", operation="service configs")]
        pairs = [pair for pair in all_pairs(place, 400) if truth(place, pair) is None][:100]
        async with place.client(0, verify_login=False, auth=("ajones", "wrong"), max_per_second=100) as client:
            run = client.check_many(pairs)
            found = await everything(run)
            assert isinstance(run.stopped, AuthenticationError)
            assert client.stats().responses[401] == 1
            assert not any(isinstance(o, Checked) for o in found)
            other = client.as_user((str(place.person(1).userid), "secret"))
            assert await other.check(pairs[0].source, pairs[0].target) is None

    in_time(main)


def test_a_refusal_in_its_own_form_shows_as_well_that_the_application_is_there() -> None:
    async def main() -> None:
        place = Stoppable(anonymous_read=True)
        strangers = [pair for pair in all_pairs(place, 500) if truth(place, pair) is None][:50]
        script = Refusing(place.server)
        async with place.client(0, auth=None, transport=script, max_per_second=100) as client:
            found = await everything(client.check_many(strangers))
        assert [type(o) for o in found] == [Checked] * 50
        assert script.pages == 1

    in_time(main)


class Refusing(Door):
    """A server without `serviceconfigs`, whose front end gives one HTML page."""

    pages = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("serviceconfigs"):
            return refusal(404)
        if not self.pages:
            self.pages += 1
            return httpx.Response(404, headers={"content-type": "text/html"}, content="<html>Not Found</html>")
        return await super().handle_async_request(request)


def test_profiles_may_be_stopped_while_communities_goes_on() -> None:
    async def main() -> None:
        place = Stoppable()
        pairs = all_pairs(place, 50)
        async with place.client(None, max_per_second=100) as client, trio.open_nursery() as nursery:
            assert [it async for it in client.community_invitations.received()] == []
            await client.check(pairs[0].source, pairs[0].target)
            place.stop("profiles")
            nursery.start_soon(place.start_after, 30)
            nursery.start_soon(everything, run := client.check_many(pairs))
            await trio.sleep(2)
            began = trio.current_time()
            assert [it async for it in client.community_invitations.received()] == []
            assert trio.current_time() - began < 1
            await trio.sleep(60)
            assert run.tally.checked == 50

    in_time(main)


@pytest.mark.parametrize("options", [{"base_url": "https://gateway.example.com/social"}, {"cookies": True}])
@pytest.mark.parametrize("front_end_pages", [True, False])
def test_below_a_context_path_and_with_cookies_it_is_the_same(
    options: dict[str, Any], *, front_end_pages: bool
) -> None:
    async def main() -> None:
        context = "/social" if "base_url" in options else ""
        place = Stoppable(front_end_pages=front_end_pages, context=context)
        pairs = all_pairs(place, 400)
        async with place.client(None, max_per_second=100, **options) as client:
            run, found = await checked(place, client, pairs, 50, 5.0)
        assert run.stopped is None
        assert [o for o in found if not isinstance(o, Checked) or o.status != truth(place, o.pair)] == []

    in_time(main)
