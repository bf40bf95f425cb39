"""Who else wants the journal of a run, and what a later run may ask for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from attrs import evolve
from crash_verdict import complaints
from killing import Life, Moment, Plan, Site, live, start, strangers
from server import Place

from aioconnections import ConnectionsError, Invite, Invited, Journal, JournalMismatchError, Outcome, Unprocessed
from aioconnections.reference import Directory, Fault
from aioconnections.reference.server import listening_in_thread

pytestmark = pytest.mark.slow


@pytest.mark.skipif("sys.platform == 'win32'", reason="there is no SIGKILL")
def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    directory = Directory.generate(people=100, seed=6)
    site = Site(directory, tmp_path / "commits")
    user = str(directory.people[0].userid)
    # one connection: nothing of the run that is killed can arrive after its end, and be taken for the next one's
    plan = Plan(items=strangers(directory, 10), folder=tmp_path, user=user, settle=3600.0, max_connections=1)
    told = []
    with listening_in_thread(cast("Any", site)) as url:
        told.append(live(plan, site, url, Moment("commit", 3)))
        site.server.faults = [Fault("stall", operation="invite")]
        site.life = Life()
        first, tells = start(evolve(plan, settle=0.0), url)
        told.append(tells)
        with contextlib.ExitStack() as processes:  # that end with the block, whatever happens
            processes.enter_context(first)
            processes.callback(first.kill)
            while not site.life.seen["post"]:
                assert first.poll() is None
            second, tells = start(plan, url)
            told.append(tells)
            processes.enter_context(second)
            processes.callback(second.kill)
            assert second.stderr is not None
            said = second.stderr.read().decode()
            assert second.wait() == 1
            assert said == "JournalLockedError: the journal run.sqlite is in use by another run or report\n"
            assert site.life.seen["post"] == 1
            assert first.poll() is None
        site.server.faults = []
        told.append(live(evolve(plan, settle=0.0), site, url))
    assert tells.read_text() == ""
    assert complaints(evolve(plan, settle=0.0), site, told) == []


class _Twice:
    """Two runs with one journal, on one server."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(dedup=False)
        self.me, *others = self.place.strangers(6)
        self.people = [self.place.person(number) for number in others]
        self.path = folder / "run.sqlite"

    def run(self, items: Sequence[Any], **options: Any) -> tuple[dict[int, Outcome], ConnectionsError | None]:
        """The outcomes, and why the run stopped."""
        found: dict[int, Outcome] = {}

        async def main() -> ConnectionsError | None:
            client = self.place.client(self.me, max_connections=1)
            async with client, client.invite_many(items, journal=Journal(self.path), **options) as outcomes:
                async for outcome in outcomes:
                    found[outcome.index] = outcome
            return outcomes.stopped

        return found, anyio.run(main)

    def invited(self) -> list[str]:
        return [commit.target for commit in self.place.server.commits]


Change = Callable[[_Twice], tuple[list[Any], dict[str, Any]]]


def _exchanged(twice: _Twice) -> tuple[list[Any], dict[str, Any]]:
    one, other, *_ = twice.people
    return [other, one], {}


def _left_out(twice: _Twice) -> tuple[list[Any], dict[str, Any]]:
    return twice.people[1:], {}


def _named_otherwise(twice: _Twice) -> tuple[list[Any], dict[str, Any]]:
    return [twice.people[0].email, twice.people[3]], {}


def _another_message(twice: _Twice) -> tuple[list[Any], dict[str, Any]]:
    return twice.people, {"message": "Hello"}


def _a_message_of_their_own(twice: _Twice) -> tuple[list[Any], dict[str, Any]]:
    return [Invite(twice.people[0].userid, "Hello"), *twice.people[1:]], {}


@pytest.mark.parametrize("change", [_exchanged, _left_out, _named_otherwise, _another_message, _a_message_of_their_own])
def test_another_input_is_refused_and_nothing_sent(tmp_path: Path, change: Change) -> None:
    twice = _Twice(tmp_path)
    twice.run(twice.people[:3])
    before, doors = twice.invited(), len(twice.place.doors)
    items, options = change(twice)
    outcomes, stopped = twice.run(items, **options)
    assert isinstance(stopped, JournalMismatchError)
    assert isinstance(outcomes[0], Unprocessed)
    assert outcomes[0].reason == str(stopped)
    assert len(outcomes) == 1, "nothing more is read"
    assert twice.invited() == before
    assert [line for door in twice.place.doors[doors:] for line in door.lines()] == []


def test_an_item_that_is_in_doubt_is_not_exchanged_either(tmp_path: Path) -> None:
    twice = _Twice(tmp_path)
    twice.place.server.faults = [Fault("refuse", operation="invite", at="commit")]
    twice.run(twice.people[:1], on_unknown="report")
    outcomes, stopped = twice.run(twice.people[1:2], settle=0)
    assert isinstance(stopped, JournalMismatchError)
    assert isinstance(outcomes[0], Unprocessed)
    assert len(twice.invited()) == 1


def test_the_input_may_grow(tmp_path: Path) -> None:
    twice = _Twice(tmp_path)
    twice.run(twice.people[:2])
    outcomes, stopped = twice.run(twice.people)
    assert stopped is None
    assert [outcomes[index].replayed for index in range(5)] == [True, True, False, False, False]
    assert all(isinstance(outcome, Invited) for outcome in outcomes.values())
    assert twice.invited() == [str(person.userid) for person in twice.people]


def test_an_input_that_ends_earlier_is_refused_after_its_items(tmp_path: Path) -> None:
    twice = _Twice(tmp_path)
    twice.run(twice.people)
    outcomes, stopped = twice.run(twice.people[:2])
    assert isinstance(stopped, JournalMismatchError)
    assert [outcomes[index].replayed for index in range(2)] == [True, True]
    assert len(outcomes) == 2
    assert len(twice.invited()) == 5
