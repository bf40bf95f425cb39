"""Whatever happens to a run, and whatever the others do meanwhile: nobody is invited twice, and everybody told of."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from crash_verdict import intents
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from mortal import FATES, LATEST, NOT_MADE, Asked, Death, World, in_time

from aioconnections import Client, InDoubt, Journal, Outcomes, Pair, Status
from aioconnections.journal import report
from aioconnections.journal.stored import ItemHistory

SETTLE, LONGEST = 30.0, 900.0

FATES_IN_TURN = st.lists(st.sampled_from(FATES), min_size=1, max_size=12)
DEATH: Any = st.one_of(
    st.builds(Death, st.sampled_from(["before", "after"]), st.integers(1, 12)),
    st.builds(Death, st.just("seconds"), st.sampled_from([1.0, 12.0, 29.5, 33.0])),
)

pytestmark = pytest.mark.slow
ANYBODY = st.integers(0, 4)


class Invitations(RuleBasedStateMachine):
    """One who invites, and those who are invited."""

    @initialize(max_connections=st.integers(1, 3), people=st.integers(1, 4))
    def begin(self, max_connections: int, people: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self._folder.name), max_connections=max_connections)
        self.me, *self.others = self.world.place.strangers(6)
        self.people = people
        self.removed: dict[str, list[float]] = defaultdict(list)
        self.invited_me: set[str] = set()
        self.begun_anew: list[float] = []

    @rule(fates=FATES_IN_TURN)
    def a_run_in_trouble(self, fates: Any) -> None:
        self._run(fates, None)

    @rule(fates=FATES_IN_TURN, death=DEATH)
    def a_run_that_is_killed(self, fates: Any, death: Death) -> None:
        self._run(fates, death)

    @rule(death=DEATH)
    def a_run_that_is_killed_though_all_is_fine(self, death: Death) -> None:
        self._run((), death)

    @rule(number=ANYBODY, answer=st.sampled_from(["accept", "remove", "invite"]))
    def somebody_does_something(self, number: int, answer: str) -> None:
        """Accept; decline or end it; or invite on their part."""
        in_time(self.world.catch_up)
        place = self.world.place
        pair = Pair(place.person(self.others[number]).userid, place.person(self.me).userid)
        seen = place.status(pair.source, pair.target)
        if answer == "accept" and seen is Status.PENDING:
            self.world.act(self.others[number], lambda client: client.accept(pair))
        elif answer == "remove" and seen is not None:
            self.world.act(self.others[number], lambda client: client.remove(pair))
            self.removed[str(pair.source)].append(self.world.now())
        elif answer == "invite" and seen is None:
            self.world.act(self.others[number], lambda client: client.invite(pair.target))
            self.invited_me.add(str(pair.source))

    @rule(seconds=st.sampled_from([3.0, 40.0, 600.0, 870.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule(seconds=st.sampled_from([0.5, 5.0, 2000.0]))
    def the_clock_is_set_back(self, seconds: float) -> None:
        self.world.set_clock_back(seconds)

    @rule(anew=st.booleans())
    def the_caller_wants_more(self, anew: bool) -> None:  # noqa: FBT001 # hypothesis names it
        """One person more; or another run with a journal of its own, begun on purpose."""
        if not anew:
            self.people = min(self.people + 1, len(self.others))
        else:
            self.world.wait(LATEST)
            self.world.begin_anew()
            self.begun_anew.append(self.world.now())

    @invariant()
    def nobody_is_invited_twice(self) -> None:
        """Unless the first one was declined or ended, or the second is another run."""
        made = defaultdict(list)
        for commit in self.world.place.server.commits:
            if commit.verb == "invite" and commit.source == self._name(None):
                made[commit.target].append(commit.at)
        for person, times in made.items():
            for before, after in pairwise(times):
                assert any(before <= moment <= after for moment in [*self.begun_anew, *self.removed[person]])

    @invariant()
    def what_is_sent_again_was_asked_after(self) -> None:
        for epoch, person in {(asked.epoch, asked.person) for asked in self._posts()}:
            history = [asked for asked in self.world.asked if (asked.epoch, asked.person) == (epoch, person)]
            sent = [number for number, asked in enumerate(history) if _is_sent(asked)]
            assert len(sent) <= 2
            for one, other in pairwise(sent):
                assert any(_settles(history[one], check) for check in history[one:other])

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            self._folder.cleanup()

    def _end(self) -> None:
        """In the end nothing goes wrong any more."""
        life = self.world.live(self.me, self._invite)
        self.nobody_is_invited_twice()
        self.what_is_sent_again_was_asked_after()
        assert life.stopped is None
        names = {outcome.index: outcome.as_dict()["outcome"] for outcome in life.outcomes}
        assert sorted(names) == list(range(self.people))
        with report(self.world.journal) as run:
            assert {row.index: row.outcome for row in run.rows()} == names
        sends = intents(self.world.journal)
        made = {commit.target for commit in self.world.place.server.commits if commit.source == self._name(None)}
        for outcome in life.outcomes:
            person = self._name(outcome.index)
            if isinstance(outcome, InDoubt):
                assert self._may_be_in_doubt(sends[outcome.index])
            elif names[outcome.index] == "invited":
                assert person in made
            else:
                assert names[outcome.index] == "already_exists"
                assert person in made | self.invited_me

    def _run(self, fates: Iterable[Any], death: Death | None) -> None:
        life = self.world.live(self.me, self._invite, fates, death)
        indices = sorted(outcome.index for outcome in life.outcomes)
        assert indices == sorted(set(indices))
        assert life.died or life.stopped or indices == list(range(self.people))

    def _may_be_in_doubt(self, sends: list[tuple[float, int]]) -> bool:
        """Of an item that was about to be sent at these times."""
        moment, number = sends[-1]
        return number == 2 or self.world.set_back or self.world.wall() - moment > LONGEST

    def _posts(self) -> Iterator[Asked]:
        return (asked for asked in self.world.asked if asked.method == "POST")

    def _invite(self, client: Client, journal: Journal) -> Outcomes[Any]:
        people = [self.world.place.person(number).userid for number in self.others[: self.people]]
        return client.invite_many(people, journal=journal, settle=SETTLE)

    def _name(self, number: int | None) -> str:
        return str(self.world.place.person(self.me if number is None else self.others[number]).userid)


def _is_sent(asked: Asked) -> bool:
    """Whether it may have been made for all that whoever asked can know."""
    return asked.method == "POST" and asked.fate not in NOT_MADE


def _settles(post: Asked, asked: Asked) -> bool:
    """Whether it settles what became of the other."""
    fits = asked.at - post.at >= SETTLE - 0.01 and 0 <= asked.wall - post.wall <= LONGEST
    return asked.method == "HEAD" and asked.fate == "fine" and fits


TestInvitations = Invitations.TestCase
TestInvitations.settings = settings(max_examples=settings().max_examples // 2, stateful_step_count=12)


def test_the_machine_notices_a_journal_that_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ItemHistory, "in_doubt", property(lambda _: False))
    once = settings(stateful_step_count=12, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Invitations, settings=once)
