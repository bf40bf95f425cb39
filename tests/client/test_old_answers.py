"""What an earlier run recorded is never given as new: finished checks, dates, and a journal without its log."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from doors import everything
from server import Place

from aioconnections import (
    AlreadyExists,
    Checked,
    Client,
    Duplicate,
    Failed,
    InDoubt,
    InvalidInputError,
    Invited,
    Journal,
    JournalBoundError,
    JournalFinishedError,
    Outcome,
    Outcomes,
    Pair,
    Rejected,
    Userid,
)
from aioconnections.journal import lock, report
from aioconnections.reference import Fault

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 7, 28, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.sqlite"


class World:
    """A server, a journal, and what was checked with it."""

    def __init__(self, path: Path, *, count: int = 12) -> None:
        self.place = Place()
        self.path = path
        me, *others = self.place.directory.people
        self.pairs: list[Any] = [Pair(me, other) for other in others[:count]]

    def journal(self, at: datetime, **options: Any) -> Journal:
        journal = Journal(self.path, **options)
        journal._wall = at.timestamp  # its clock for tests
        return journal

    async def check(
        self, at: datetime, *, pairs: Any = None, **options: Any
    ) -> tuple[list[Outcome], Outcomes[Any], int]:
        """The outcomes, the run, and how many pairs the server was asked for."""
        async with self.place.client(None) as client:
            source = self.pairs if pairs is None else pairs
            run = client.check_many(source, journal=self.journal(at, **options), ordered=True)
            found = await everything(run)
        return found, run, sum(line.startswith("HEAD") for line in self.place.doors[-1].lines())


async def test_a_finished_check_is_refused_without_max_age(path: Path) -> None:
    world = World(path)
    first, _, asked = await world.check(NOON)
    assert (len(first), asked) == (12, 12)
    found, run, asked = await world.check(NOON + timedelta(days=1))
    assert (found, asked) == ([], 0)
    assert isinstance(run.stopped, JournalFinishedError)
    assert "finished at 2026-07-28 12:00:00 UTC" in str(run.stopped)
    assert "max_age=" in str(run.stopped)
    assert [file.name for file in path.parent.iterdir() if file.suffix != ".lock"] == [path.name]


async def test_a_finished_check_that_is_young_enough_is_given_again_with_its_date(path: Path) -> None:
    world = World(path)
    first, _, _ = await world.check(NOON)
    again, _, asked = await world.check(NOON + timedelta(minutes=59), max_age=3_600)
    assert asked == 0
    assert [outcome.replayed for outcome in first + again] == [False] * 12 + [True] * 12
    assert {outcome.recorded_at for outcome in first + again} == {NOON}
    assert again[0].as_dict()["recorded_at"] == "2026-07-28T12:00:00+00:00"


async def test_a_finished_check_that_is_too_old_begins_anew_and_keeps_its_file(path: Path) -> None:
    world = World(path)
    await world.check(NOON)
    with report(path) as run:
        before = [row.as_dict() for row in run.rows()]
    for number in (1, 2):
        now = NOON + timedelta(hours=number)
        found, _, asked = await world.check(now, max_age=3_600)
        assert asked == 12
        assert {(outcome.replayed, outcome.recorded_at) for outcome in found} == {(False, now)}
    with report(path.with_name("run.sqlite.1")) as run:
        assert [row.as_dict() for row in run.rows()] == before
        assert run.finished == NOON
    with report(path.with_name("run.sqlite.2")) as run:
        assert run.finished == NOON + timedelta(hours=1)
    with report(path) as run:
        assert run.finished == NOON + timedelta(hours=2)
    assert not [file for file in path.parent.iterdir() if file.name.endswith("-wal")]


@pytest.mark.parametrize(("max_age", "asked"), [(0, 12), (math.inf, 0)])
async def test_no_age_and_any_age(path: Path, max_age: float, asked: int) -> None:
    world = World(path)
    await world.check(NOON)
    later = NOON if max_age == 0 else NOON + timedelta(days=4_000)
    assert (await world.check(later, max_age=max_age))[2] == asked


async def test_an_age_that_cannot_be_told_is_too_old(path: Path) -> None:
    world = World(path)
    await world.check(NOON)
    assert (await world.check(NOON - timedelta(days=1), max_age=math.inf))[2] == 0
    assert (await world.check(NOON - timedelta(days=1), max_age=3_600))[2] == 12, "the clock was set back"


async def test_a_check_that_is_not_finished_goes_on_however_old_it_is(path: Path) -> None:
    world = World(path)
    async with (
        world.place.client(None, max_connections=1) as client,
        client.check_many(world.pairs, journal=world.journal(NOON)) as outcomes,
    ):
        await anext(outcomes)
    later = NOON + timedelta(days=30)
    found, run, asked = await world.check(later)
    assert run.stopped is None
    assert 0 < asked < 12
    ages = Counter((outcome.replayed, outcome.recorded_at) for outcome in found)
    assert ages == {(True, NOON): 12 - asked, (False, later): asked}
    assert isinstance((await world.check(later))[1].stopped, JournalFinishedError)


async def test_a_check_whose_last_outcome_was_not_taken_is_not_finished(path: Path) -> None:
    world = World(path)
    async with (
        world.place.client(None) as client,
        client.check_many(iter(world.pairs), journal=world.journal(NOON)) as outcomes,
    ):
        for _ in range(11):
            await anext(outcomes)
        while outcomes.tally.in_flight or outcomes.tally.read < 12:
            await anyio.lowlevel.checkpoint()
    with report(path) as run:
        assert (run.tally.checked, run.finished) == (12, None)
    found, _, asked = await world.check(NOON + timedelta(days=1))
    assert (len(found), asked) == (12, 0)


async def test_a_check_with_a_failure_is_not_finished(path: Path) -> None:
    world = World(path)
    world.place.server.faults = [Fault("refuse", operation="check", status=500, times=1)]
    first, _, _ = await world.check(NOON)
    assert Counter(type(outcome) for outcome in first) == {Checked: 11, Failed: 1}
    world.place.server.faults = []
    again, _, asked = await world.check(NOON + timedelta(days=1))
    assert (Counter(outcome.replayed for outcome in again), asked) == (Counter({True: 11, False: 1}), 1)


async def test_a_row_that_is_no_pair_and_a_refusal_leave_a_check_finished(path: Path) -> None:
    world = World(path)
    pairs = [*world.pairs[:3], InvalidInputError("line 5: no source"), Pair(Userid("nobody-1"), Userid("nobody-2"))]
    first, _, _ = await world.check(NOON, pairs=pairs)
    assert [type(outcome) for outcome in first] == [*[Checked] * 3, Failed, Rejected]
    assert isinstance((await world.check(NOON, pairs=pairs))[1].stopped, JournalFinishedError)
    again, _, asked = await world.check(NOON + timedelta(minutes=50), pairs=pairs, max_age=3_600)
    assert ([type(outcome) for outcome in again], asked) == ([type(outcome) for outcome in first], 0)
    assert {outcome.recorded_at for outcome in again} == {NOON}, "a verdict, too, is as old as it is"
    _, _, asked = await world.check(NOON + timedelta(minutes=70), pairs=pairs, max_age=3_600)
    assert asked == 4, "what was given again has not become younger"


async def test_an_input_that_grew_makes_a_finished_check_no_younger(path: Path) -> None:
    world = World(path)
    await world.check(NOON, pairs=world.pairs[:8])
    _, _, asked = await world.check(NOON + timedelta(minutes=50), max_age=3_600)
    assert asked == 4
    _, _, asked = await world.check(NOON + timedelta(minutes=70), max_age=3_600)
    assert asked == 12


async def test_another_run_does_not_set_a_finished_check_aside(path: Path) -> None:
    world = World(path)
    await world.check(NOON)
    async with world.place.client(7) as client:
        run = client.check_many(world.pairs, journal=world.journal(NOON + timedelta(days=1), max_age=0))
        assert await everything(run) == []
    assert isinstance(run.stopped, JournalBoundError)
    assert not path.with_name("run.sqlite.1").exists()


async def test_a_name_that_is_taken_is_left_alone(path: Path) -> None:
    world = World(path)
    await world.check(NOON)
    await anyio.Path(f"{path}.1").write_bytes(b"a note")
    await anyio.Path(f"{path}.2-wal").write_bytes(b"a log")
    third = lock.take(path.with_name("run.sqlite.3"))  # another run is about to make it
    journal = world.journal(NOON, max_age=0)
    async with world.place.client(None) as client:
        await everything(client.check_many(world.pairs, journal=journal))
    third.release()
    assert journal.kept == path.with_name("run.sqlite.4")
    assert await anyio.Path(f"{path}.1").read_bytes() == b"a note"
    with report(f"{path}.4") as run:
        assert run.tally.checked == 12


@pytest.mark.parametrize("max_age", [-1, math.nan, "1h", True])
def test_an_age_is_a_number_of_seconds(path: Path, max_age: Any) -> None:
    with pytest.raises(InvalidInputError, match="max_age must be a number of seconds, 0 or more, or None"):
        Journal(path, max_age=max_age)


async def test_finished_changes_are_given_again_with_their_date(path: Path) -> None:
    world = World(path)
    people = strangers(world.place)

    async def invite(at: datetime) -> list[Outcome]:
        async with world.place.client(0) as client:
            return await everything(client.invite_many([*people, people[0]], journal=world.journal(at), ordered=True))

    first, again = await invite(NOON), await invite(NOON + timedelta(days=9))
    assert [type(outcome) for outcome in again] == [*[Invited] * 5, Duplicate]
    assert {outcome.recorded_at for outcome in first + again} == {NOON}
    assert len(world.place.verbs()) == 5


async def test_what_is_not_recorded_has_no_date(path: Path) -> None:
    world = World(path)
    async with world.place.client(None) as client:
        found = await everything(client.check_many(world.pairs))
    assert {outcome.recorded_at for outcome in found} == {None}


def strangers(place: Place, count: int = 5) -> list[Any]:
    me = place.person(0)
    return [person for person in place.directory.people[1:] if place.status(me, person) is None][:count]


async def lose_the_log(path: Path, journal: Journal) -> None:
    """Kill the run that has the journal open, and lose the log: what is in the main file is what remains."""
    content = await anyio.Path(path).read_bytes()
    await journal.aclose()
    await anyio.Path(path).write_bytes(content)


async def interrupted(place: Place, path: Path, client: Client, people: list[Any], *, sent: int) -> None:
    """A run that has sent so many invitations, and then lost its log."""
    journal = Journal(path)
    async with client.invite_many(people[:sent], journal=journal) as outcomes:
        async for _ in outcomes:
            pass
        await lose_the_log(path, journal)
    assert len(place.verbs()) == sent


async def test_without_the_log_everybody_is_asked_after_and_nobody_is_invited_twice(path: Path) -> None:
    place = Place(dedup=False)
    people = strangers(place)
    async with place.client(0) as client:
        await interrupted(place, path, client, people, sent=3)
        refused = client.invite_many(people, settle=0, journal=Journal(path))
        assert await everything(refused) == []
        assert "is missing or empty" in str(refused.stopped)
        found = await everything(
            client.invite_many(people, settle=0, journal=Journal(path, lost_log="in_doubt"), ordered=True)
        )
        assert [type(outcome) for outcome in found] == [*[Invited] * 3, *[InDoubt] * 2]
        assert (
            str(found[4].error)
            == "the log of the journal was lost, so the change may have been sent, and is not sent again"
        )
        later = await everything(client.invite_many(people, settle=0, journal=Journal(path), ordered=True))
        assert [(type(outcome), outcome.replayed) for outcome in later] == [
            *[(Invited, True)] * 3,
            *[(InDoubt, False)] * 2,
        ]
    assert len(place.verbs()) == 3
    posts = [line for door in place.doors for line in door.lines() if line.startswith("POST")]
    assert len(posts) == 3


@pytest.mark.parametrize(
    ("verb", "before", "done", "not_done"),
    [
        ("accept", "pending", "Accepted", "InDoubt"),
        ("remove", "accepted", "Removed", "InDoubt"),
        ("connect", None, "Connected", "InDoubt"),
        ("disconnect", "accepted", "InDoubt", "InDoubt"),  # what an administrator does not see may be there
    ],
)
async def test_no_other_change_is_made_again_without_the_log(
    path: Path, verb: str, before: str | None, done: str, not_done: str
) -> None:
    """One is made before the log is lost, and one is not."""
    place = Place()
    me, *others = place.strangers(3)
    pairs = [Pair(place.person(me).userid, place.person(other).userid) for other in others]
    async with place.client(None) as admin, place.client(me) as client:
        for other, pair in zip(others, pairs, strict=True):
            if before == "pending":
                async with place.client(other) as inviter:
                    await inviter.invite(pair.source)
            elif before == "accepted":
                await admin.admin.connect(pair.source, pair.target)
        verbs: dict[str, Any] = {
            "accept": client.accept_many,
            "remove": client.remove_many,
            "connect": admin.admin.connect_many,
            "disconnect": admin.admin.disconnect_many,
        }
        many = verbs[verb]
        journal = Journal(path)
        async with many(pairs[:1], journal=journal) as outcomes:
            async for _ in outcomes:
                pass
            await lose_the_log(path, journal)
        status = place.status(pairs[1].source, pairs[1].target)
        made = len(place.server.commits)
        found = await everything(many(pairs, journal=Journal(path, lost_log="in_doubt"), ordered=True))
    assert [type(outcome).__name__ for outcome in found] == [done, not_done]
    assert place.status(pairs[1].source, pairs[1].target) == status
    assert len(place.server.commits) == made


async def test_what_an_invited_person_did_meanwhile_settles_a_doubt_without_the_log(path: Path) -> None:
    place = Place(dedup=False)
    person = strangers(place, 1)[0]
    async with place.client(0) as client, place.client(None) as admin:
        await interrupted(place, path, client, [person], sent=1)
        await admin.admin.connect(place.person(0), person)
        journal = Journal(path, lost_log="in_doubt")
        (outcome,) = await everything(client.invite_many([person], settle=0, journal=journal))
    assert type(outcome) is AlreadyExists


async def test_that_nothing_can_be_asked_leaves_a_doubt_without_the_log(path: Path) -> None:
    place = Place(dedup=False)
    people = strangers(place, 2)
    async with place.client(0, max_attempts=1) as client:
        await interrupted(place, path, client, people, sent=1)
        place.server.faults = [Fault("refuse", operation="check", status=500)]
        journal = Journal(path, lost_log="in_doubt")
        found = await everything(client.invite_many(people, settle=0, journal=journal))
    assert [type(outcome) for outcome in found] == [InDoubt] * 2
    assert all("is not sent again: HTTP 500" in str(outcome.error) for outcome in found)
    assert len(place.verbs()) == 1
