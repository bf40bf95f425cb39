"""Bulk runs with a journal, through the client: they go on where they were, and stop before they do harm."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from doors import everything
from server import Place

from aioconnections import (
    Attempt,
    Checked,
    Duplicate,
    Failed,
    InDoubt,
    InvalidInputError,
    Invite,
    Invited,
    Journal,
    JournalDiskError,
    JournalError,
    JournalLockedError,
    JournalMismatchError,
    Outcomes,
    Pair,
    Timeouts,
    Unprocessed,
)
from aioconnections.journal import database, report
from aioconnections.reference import Fault
from aioconnections.session.call_context import CallContext

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.sqlite"


def strangers(place: Place, count: int = 20) -> list[Any]:
    me = place.person(0)
    return [person for person in place.directory.people[1:] if place.status(me, person) is None][:count]


async def test_a_run_goes_on_where_it_was_left_and_nobody_is_invited_twice(path: Path) -> None:
    place = Place(dedup=False)
    people = strangers(place)
    async with place.client(0, max_connections=2) as client:
        async with client.invite_many(people, message="Hello", journal=Journal(path)) as outcomes:
            first = [await anext(outcomes) for _ in range(7)]
        assert all(isinstance(outcome, Invited) and not outcome.replayed for outcome in first)
        made = len(place.verbs())
        assert {type(outcome) for outcome in outcomes.undelivered} <= {Invited, Unprocessed}
        finished = sum(isinstance(outcome, Invited) for outcome in outcomes.undelivered)
        assert made == 7 + finished, "what was sent has been waited for"
        second = await everything(client.invite_many(people, message="Hello", journal=Journal(path), ordered=True))
    assert [outcome.index for outcome in second] == list(range(20))
    assert [outcome.item for outcome in second] == people
    assert sum(outcome.replayed for outcome in second) == made
    assert {type(outcome) for outcome in second} == {Invited}
    assert all(outcome.connection_id for outcome in second)
    invited = [commit.target for commit in place.server.commits]
    assert sorted(invited) == sorted(person.userid.value for person in people)
    with report(path) as run:
        assert (run.verb, run.tally.invited, run.tally.read) == ("invite", 20, 20)


async def test_a_finished_check_is_not_asked_again(path: Path) -> None:
    place = Place()
    people = place.directory.people
    pairs = [Pair(people[0], person) for person in people[1:]]
    async with place.client(None) as client:
        first = await everything(client.check_many(pairs[:30], journal=Journal(path), ordered=True))
        place.doors[-1].lines()
        journal = Journal(path, max_age=3_600)
        second = await everything(client.check_many(pairs, journal=journal, ordered=True))
        assert len(place.doors[-1].lines()) == len(pairs) - 30
    assert [outcome.status for outcome in second[:30]] == [outcome.status for outcome in first]
    assert [outcome.replayed for outcome in second] == [True] * 30 + [False] * (len(pairs) - 30)
    assert {type(outcome) for outcome in second} == {Checked}


async def test_an_input_that_differs_ends_the_run_before_that_item_is_sent(path: Path) -> None:
    place = Place()
    people = strangers(place, 6)
    async with place.client(0, max_connections=1) as client:
        await everything(client.invite_many(people[:4], journal=Journal(path)))
        changed = [*people[:2], people[5], *people[3:]]
        run = client.invite_many(changed, journal=Journal(path), ordered=True)
        found = await everything(run)
    assert isinstance(run.stopped, JournalMismatchError)
    assert (run.stopped.index, people[2].userid.value in run.stopped.was) == (2, True)
    assert people[5].userid.value in run.stopped.now
    assert people[5].userid.value not in str(run.stopped), "the text of an error names nobody"
    assert [type(outcome) for outcome in found[:3]] == [Invited, Invited, Unprocessed]
    assert people[5].userid.value not in [commit.target for commit in place.server.commits]


@pytest.mark.parametrize("left", [0, 3])
async def test_an_input_that_is_shorter_than_the_recorded_one_ends_the_run_after_its_items(
    path: Path, left: int
) -> None:
    place = Place()
    people = strangers(place, 6)
    async with place.client(0) as client:
        await everything(client.invite_many(people[:4], journal=Journal(path)))
        shorter = client.invite_many(people[:left], journal=Journal(path), ordered=True)
        found = await everything(shorter)
        assert isinstance(shorter.stopped, JournalMismatchError)
        assert (shorter.stopped.index, shorter.stopped.now) == (3, "")
        assert people[3].userid.value in shorter.stopped.was
        assert str(shorter.stopped) == "the input ends before item 3, which this journal records"
        assert [type(outcome) for outcome in found] == [Invited] * left
        longer = client.invite_many(people, journal=Journal(path))
        assert len(await everything(longer)) == 6
        assert longer.stopped is None
    assert len(place.server.commits) == 6


async def test_checks_of_a_shorter_input_are_refused_too_whatever_the_last_item_was(path: Path) -> None:
    place = Place()
    people = strangers(place, 3)
    me = place.directory.people[0].userid
    pairs: list[Any] = [*((me, person.userid) for person in people if me), (me, me)]
    async with place.client(0) as client:
        await everything(client.check_many(pairs, journal=Journal(path, max_age=60)))
        run = client.check_many(pairs[:3], journal=Journal(path, max_age=60))
        assert len(await everything(run)) == 3
    assert isinstance(run.stopped, JournalMismatchError)
    assert run.stopped.index == 3


async def test_another_message_is_another_item(path: Path) -> None:
    place = Place()
    person = strangers(place, 1)[0]
    async with place.client(0) as client:
        await everything(client.invite_many([person], message="Hello", journal=Journal(path)))
        for other in (
            client.invite_many([person], message="Good day", journal=Journal(path)),
            client.invite_many([Invite(person, "Good day")], message="Hello", journal=Journal(path)),
        ):
            await everything(other)
            assert isinstance(other.stopped, JournalMismatchError)
        same = await everything(client.invite_many([Invite(person, "Hello")], journal=Journal(path)))
    assert [outcome.replayed for outcome in same] == [True]
    assert b"Hello" not in await anyio.Path(path).read_bytes()


@pytest.mark.parametrize("other", ["verb", "user"])
async def test_a_journal_belongs_to_one_verb_and_one_user(path: Path, other: str) -> None:
    place = Place()
    people = strangers(place, 2)
    async with place.client(0) as hers, place.client(7) as his:
        await everything(hers.invite_many(people, journal=Journal(path)))
        if other == "user":
            run: Outcomes[Any] = his.invite_many(people, journal=Journal(path))
        else:
            run = hers.check_many([(place.person(0), person) for person in people], journal=Journal(path))
        assert await everything(run) == []
        assert isinstance(run.stopped, JournalError)
        assert other in str(run.stopped)
    assert place.verbs() == ["invite", "invite"]


async def test_a_journal_is_one_runs_at_a_time(path: Path) -> None:
    place = Place()
    people = strangers(place, 3)
    journal = Journal(path)
    async with place.client(0) as client, client.invite_many(people, journal=journal) as outcomes:
        await anext(outcomes)
        for taken in (journal, Journal(path)):
            second = client.invite_many(people, journal=taken)
            assert await everything(second) == []
            assert isinstance(second.stopped, JournalLockedError)
        rest = [outcome async for outcome in outcomes]
    assert (len(rest), outcomes.stopped) == (2, None)


async def test_an_item_that_was_none_may_be_mended_and_failures_are_tried_again(path: Path) -> None:
    place = Place()
    bob, cid = strangers(place, 2)
    broken: list[Any] = [bob, 7]
    async with place.client(0) as client:
        first = await everything(client.invite_many(broken, journal=Journal(path)))
        assert {type(outcome) for outcome in first} == {Invited, Failed}
        second = await everything(client.invite_many([bob, cid, bob], journal=Journal(path), ordered=True))
        assert [(type(outcome), outcome.replayed) for outcome in second] == [
            (Invited, True),
            (Invited, False),
            (Duplicate, False),
        ]
        third = await everything(client.invite_many([bob, cid, bob], journal=Journal(path), ordered=True))
        assert [outcome.replayed for outcome in third] == [True, True, True]
        assert third[2].of == 0
    with report(path) as run:
        tally = run.tally
    assert (tally.read, tally.invited, tally.duplicate) == (3, 2, 1)


async def test_why_a_source_has_nobody_is_recorded(path: Path) -> None:
    place = Place()
    people: list[Any] = [*strangers(place, 1), InvalidInputError("line 2: no userid")]
    async with place.client(0) as client:
        outcomes = await everything(client.invite_many(people, journal=Journal(path), ordered=True))
    assert [type(outcome) for outcome in outcomes] == [Invited, Failed]
    with report(path) as run:
        assert [row.as_dict().get("error") for row in run.rows()] == [None, "InvalidInputError: line 2: no userid"]


@pytest.mark.parametrize("rows", [0, 1, 6, 11, 39])
async def test_a_full_disk_stops_the_run_before_the_next_change_is_sent(
    path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(dedup=False)
    people = strangers(place)
    connect = database.connect

    def limited(path: Path, mode: database.Mode) -> Any:
        return FullDisk(connect(path, mode), rows)

    monkeypatch.setattr(database, "connect", limited)
    async with place.client(0, max_connections=1) as client:
        run = client.invite_many(people, journal=Journal(path))
        found = await everything(run)
        monkeypatch.undo()
        assert isinstance(run.stopped, JournalDiskError)
        assert run.tally.read == len(found)
        assert run.tally.in_flight == 0
        invited = [outcome for outcome in found if isinstance(outcome, Invited)]
        assert len(invited) == len(place.verbs()) == (rows + 1) // 2
        assert all(outcome.recorded_at for outcome in invited[:-1])
        if rows % 2:  # the last row is an intent, so the outcome is not on the disk
            assert invited[-1].recorded_at is None
        assert all(isinstance(outcome, Invited | Unprocessed) for outcome in found)
        again = await everything(client.invite_many(people, settle=0, journal=Journal(path)))
    assert all(isinstance(outcome, Invited) for outcome in again)
    assert len(place.verbs()) == 20


async def test_an_outcome_is_committed_with_the_next_intent(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(dedup=False)
    statements: list[str] = []
    watch(monkeypatch, statements.append)
    async with place.client(0, max_connections=1) as client:
        found = await everything(client.invite_many(strangers(place), journal=Journal(path)))
    assert [type(outcome) for outcome in found] == [Invited] * 20
    assert all(outcome.recorded_at for outcome in found)
    # 20 intents, 20 outcomes and the end. While the consumer is behind, an outcome is committed alone; then it is not.
    steps = itertools.pairwise(it for it in statements if it == "COMMIT" or it.startswith("INSERT INTO entry"))
    assert sum(it[0] != "COMMIT" == it[1] for it in steps) <= 41 - 9


async def test_an_outcome_does_not_wait_for_the_next_item(path: Path) -> None:
    place = Place(dedup=False)
    people = strangers(place, 3)
    place.server.faults = [Fault("stall", operation="invite", person=people[1].userid)]
    async with place.client(0, max_connections=1, timeouts=Timeouts(attempt=1)) as client:
        async with client.invite_many(people, journal=Journal(path)) as outcomes:
            with anyio.fail_after(5):
                first = await anext(outcomes)
            assert isinstance(first, Invited)
            assert first.recorded_at
            place.server.faults = []
        assert outcomes.tally.read > 1


async def test_an_outcome_whose_commit_does_not_end_is_undelivered(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(dedup=False)
    people = strangers(place, 1)
    stalled, released, rows = threading.Event(), threading.Event(), 0

    def stall(statement: str) -> None:
        nonlocal rows
        rows += statement.startswith("INSERT INTO entry")
        if statement == "COMMIT" and rows == 2:  # the outcome, after its intent
            stalled.set()
            assert released.wait(20)

    watch(monkeypatch, stall)
    journal = Journal(path)
    close = journal.aclose

    async def aclose() -> None:  # called after all workers have ended
        released.set()
        await close()

    monkeypatch.setattr(journal, "aclose", aclose)
    async with place.client(0, timeouts=Timeouts(attempt=0.5)) as client:
        async with client.invite_many(people, journal=journal) as outcomes:
            assert await anyio.to_thread.run_sync(stalled.wait, 20)
        (outcome,) = outcomes.undelivered
        assert isinstance(outcome, Invited)
        assert outcome.recorded_at is None
        assert (outcomes.tally.read, outcomes.tally.invited) == (1, 1)
        (again,) = await everything(client.invite_many(people, journal=Journal(path)))
    assert (type(again), again.replayed, place.verbs()) == (Invited, True, ["invite"])


async def test_an_invitation_leaves_no_cycle_of_objects(path: Path) -> None:
    place = Place(dedup=False)

    def contexts() -> int:
        return sum(isinstance(thing, CallContext) for thing in gc.get_objects())

    async with place.client(0) as client:
        gc.collect()
        before = contexts()
        gc.disable()
        try:
            await everything(client.invite_many(strangers(place), journal=Journal(path)))
            assert contexts() - before < 10
        finally:
            gc.enable()


def watch(monkeypatch: pytest.MonkeyPatch, told: Callable[[str], object]) -> None:
    """Call `told` with each statement before it is executed."""
    connect = database.connect

    class Watched:
        def __init__(self, path: Path, mode: database.Mode) -> None:
            self.db = connect(path, mode)
            self.close = self.db.close

        def execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
            told(sql)
            return self.db.execute(sql, values)

    monkeypatch.setattr(database, "connect", Watched)


class FullDisk:
    """A database on a disk that has space for some rows."""

    def __init__(self, db: database.SqliteConnection, rows: int) -> None:
        self.db = db
        self.rows = rows
        self.close = db.close

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        if sql.startswith("INSERT INTO entry"):
            self.rows -= len(values) // 7
            if self.rows < 0:
                raise sqlite3.OperationalError("database or disk is full")
        return self.db.execute(sql, values)


async def test_what_an_earlier_run_may_have_sent_is_asked_after(path: Path, tmp_path: Path) -> None:
    place = Place(dedup=False)
    bob = strangers(place, 1)[0]
    async with place.client(0, max_attempts=1) as client:
        whole = tmp_path / "whole.sqlite"
        await everything(client.invite_many([bob], journal=Journal(whole)))
        with report(whole) as run:
            (row,) = run.rows()
        journal = Journal(path)  # of a run that was killed after it had sent
        await journal.open(verb=run.verb, origin=run.origin, userid=run.userid)
        await journal.intent(0, json.dumps(row.item, separators=(",", ":")), send=1)
        await journal.aclose()
        told = await everything(client.invite_many([bob], on_unknown="report", journal=Journal(path)))
        place.server.faults = [Fault("refuse", operation="check")]
        cannot = await everything(client.invite_many([bob], settle=0, journal=Journal(path)))
        place.server.faults = []
        settled = await everything(client.invite_many([bob], settle=0, journal=Journal(path)))
    assert [type(outcome) for outcome in told + cannot] == [InDoubt, InDoubt]
    assert [type(outcome) for outcome in settled] == [Invited]
    assert place.verbs() == ["invite"]


LOST = Fault("reset", operation="invite", times=1)
REFUSED = Fault("refuse", operation="invite", status=429, times=1)


@pytest.mark.parametrize("apart", [False, True])
async def test_nobody_is_sent_a_third_invitation_whatever_became_of_the_second(path: Path, *, apart: bool) -> None:
    place = Place(dedup=False)
    people = strangers(place, 1)

    async def run(*faults: Fault, on_unknown: Any = "recheck") -> type[Any]:
        place.server.faults = faults
        (outcome,) = await everything(
            client.invite_many(people, settle=0, on_unknown=on_unknown, journal=Journal(path))
        )
        return type(outcome)

    async with place.client(0, max_attempts=1) as client:
        if apart:
            assert await run(LOST, on_unknown="report") is InDoubt
            assert await run(REFUSED) is Failed, "asked after, and neither made nor sent again"
        else:
            assert await run(LOST, REFUSED) is Failed
        assert await run(LOST) is InDoubt
        assert await run() is InDoubt
    posts = [line for line in place.doors[0].lines() if line.startswith("POST")]
    assert len(posts) == 3, "of which one was certainly not made"
    assert place.verbs() == []


async def test_an_invitation_that_could_not_be_sent_again_stays_in_doubt(path: Path) -> None:
    place = Place(dedup=False)
    people = strangers(place, 1)
    place.server.faults = [LOST]

    def away(attempt: Attempt) -> None:
        if attempt.method == "HEAD":
            assert client._caller.session is not None
            client._caller.session._runtime.availability.outage.begin(0.0)

    async with place.client(0, timeouts=Timeouts(outage=0), on_attempt=away) as client:
        (outcome,) = await everything(client.invite_many(people, settle=0, journal=Journal(path)))
        assert type(outcome) is InDoubt
    async with place.client(0) as client:
        (outcome,) = await everything(client.invite_many(people, settle=0, journal=Journal(path)))
        assert type(outcome) is Invited
    assert place.verbs() == ["invite"]


async def test_that_addresses_are_hidden_makes_no_other_item_of_one(path: Path) -> None:
    place = Place(emails="hidden")
    people = [person.email for person in strangers(place, 6)]
    for max_connections in (4, 1):  # the second run learns it from the first item, before it has read the others
        async with place.client(0, max_connections=max_connections) as client:
            run = client.invite_many(people, journal=Journal(path))
            found = await everything(run)
        assert run.stopped is None
        assert [type(outcome) for outcome in found] == [Failed] * 6
        assert all(isinstance(outcome.error, InvalidInputError) for outcome in found)
        assert {outcome.person for outcome in found} == set(people)


async def test_no_journal_is_none_and_not_a_path() -> None:
    place = Place()
    async with place.client(0) as client:
        with pytest.raises(TypeError):
            client.invite_many([])  # type: ignore[call-arg] # a call that type checkers must refuse
        with pytest.raises(InvalidInputError):
            client.invite_many([], journal="run.sqlite")  # type: ignore[arg-type] # likewise


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_second_cancellation_of_asyncio_closes_the_journal_all_the_same(path: Path) -> None:
    place = Place()
    place.server.faults = [Fault("stall", operation="invite")]
    journal, entered = Journal(path), anyio.Event()

    async def run() -> None:
        async with place.client(0) as client, client.invite_many(strangers(place, 3), journal=journal) as outcomes:
            entered.set()
            async for _ in outcomes:
                pass

    task = asyncio.ensure_future(run())
    await entered.wait()
    while not place.doors or not any(line.startswith("POST") for line, _ in place.doors[0].asked):
        await anyio.lowlevel.checkpoint()
    for _ in range(2):  # the first waits for what was sent, the second does not
        task.cancel()
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "closed" in repr(journal)
    with report(path) as told:
        assert told.tally.in_doubt >= 1


async def test_what_was_not_read_is_accounted_for_by_the_journal(path: Path) -> None:
    place = Place()
    people = strangers(place, 4)
    async with place.client(0) as client:
        made = await client.invite_many([*people[:3], people[0]], journal=Journal(path), ordered=True).collect()
        source = iter([*people[:3], people[0], people[3], 7])
        run = client.invite_many(source, journal=Journal(path), ordered=True)
        async with run:
            pass  # left before anything is read
    rest: list[Any] = [*source]
    first = run.tally.read
    with run.unread("left") as account:
        found = [account(item) for item in rest]
    assert [outcome.index for outcome in found] == list(range(first, 6))
    assert [type(outcome) for outcome in found] == [*[Invited] * 3, Duplicate, Unprocessed, Unprocessed][first:]
    assert [outcome.replayed for outcome in found] == [*[True] * 4, False, False][first:]
    ids = [outcome.connection_id for outcome in (*made, *found) if isinstance(outcome, Invited)]
    assert ids[3:] == ids[first:3]


async def test_another_message_is_another_item_when_the_rest_is_accounted_for(path: Path) -> None:
    place = Place()
    people = strangers(place, 2)
    async with place.client(0) as client:
        await client.invite_many(people, journal=Journal(path), message="Hello").drain()
        run = client.invite_many(people, journal=Journal(path), message="Bye", ordered=True)
        async with run:
            pass
    with run.unread() as account:
        rest = [account(person) for person in people[run.tally.read :]]
    assert all(isinstance(outcome, Unprocessed) for outcome in rest)
