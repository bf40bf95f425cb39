"""Laws: a journal says what a plain dictionary would, whatever is written in whatever order over however many runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio
import pytest
from attrs import define, evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import history_of, item, opened

from aioconnections import Outcome, Tally, outcomes
from aioconnections.errors import BadRequestError, InDoubtError
from aioconnections.journal import StoredOutcome, report
from aioconnections.journal.stored import ItemHistory, replay, to_stored
from aioconnections.records import Pair, Status, Userid

ANN, BOB = Userid("20000001"), Userid("20000002")
PAIR = Pair(ANN, BOB)
OUTCOMES: list[Outcome] = [
    *(outcomes.Checked(status, pair=PAIR) for status in (*Status, None)),
    outcomes.Invited("c1", person=ANN),
    outcomes.AlreadyExists(),
    outcomes.InDoubt(InDoubtError("its answer was lost")),
    outcomes.Rejected(BadRequestError(400, "CLFRN1172E", "no such person")),
    outcomes.Unprocessed("the login was refused"),
    outcomes.Removed(Status.PENDING),
]


@define
class Model:
    """What is known of one item."""

    said: StoredOutcome | None = None
    said_at: float | None = None
    sends: int = 0
    intent_at: float | None = None

    def past(self, now: float) -> ItemHistory:
        age = None if self.intent_at is None else now - self.intent_at
        said_at = None if self.said is None else self.said_at
        return history_of(self.said, self.sends, self.intent_at, age, at=said_at)


class World:
    """A journal and the dictionary that it is compared with; time passes with every row."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 1_000.0
        self.model: dict[int, Model] = {}

    async def run(self, writes: list[tuple[int, int | StoredOutcome, bool]]) -> None:
        earlier = {index: model.past(0.0) for index, model in self.model.items()}
        async with opened(self.path, wall=self.now) as journal:
            journal._wall = lambda: self.now
            for index, what, durable in writes:
                past = await journal.history(index, item(index))
                assert past == self.aged(earlier.get(index))
                self.now += 1.0
                known = self.model.setdefault(index, Model())
                if isinstance(what, int):
                    await journal.intent(index, item(index), send=what)
                    known.said, known.sends, known.intent_at = None, max(known.sends, what), self.now
                else:
                    await journal.outcome(index, item(index), what, durable=durable)
                    known.said, known.said_at = what, self.now

    def aged(self, past: ItemHistory | None) -> ItemHistory | None:
        if past is None or past.intent_at is None:
            return past
        return evolve(past, age=self.now - past.intent_at)

    def check_report(self) -> None:
        with report(self.path) as run:
            found = list(run.rows())
            assert [row.index for row in found] == sorted(self.model)
            replayed: list[Outcome] = []
            for row in found:
                known = self.model[row.index]
                assert row.stored == known.said
                assert row.outcome == (known.said.outcome if known.said else "in_doubt")
                assert (row.intent_at and row.intent_at.timestamp()) == known.intent_at
                assert (row.outcome_at and row.outcome_at.timestamp()) == known.said_at
                cut_short = outcomes.InDoubt(InDoubtError("cut short"))
                replayed.append(replay(known.said, index=row.index, item=None) if known.said else cut_short)
            assert run.tally == Tally.of(replayed)


SAID = st.sampled_from([to_stored(outcome) for outcome in OUTCOMES])
WRITES = st.lists(st.tuples(st.integers(0, 5) | st.integers(0, 2_000), st.integers(1, 2) | SAID, st.booleans()))


@pytest.mark.slow
@given(runs=st.lists(WRITES, max_size=4))
@settings(max_examples=settings().max_examples // 3)
def test_a_journal_says_what_a_dictionary_would(runs: list[list[tuple[int, int | StoredOutcome, bool]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "run.sqlite")
        for writes in [*runs, []]:
            anyio.run(world.run, writes)
            world.check_report()


@given(
    st.builds(StoredOutcome, st.sampled_from(["checked", "failed"]), st.none() | st.text(min_size=1), st.integers(0))
)
def test_what_was_said_comes_back_from_its_line(said: StoredOutcome) -> None:
    assert StoredOutcome.from_text(said.to_text()) == said
