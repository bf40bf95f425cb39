"""Runs of the other verbs that die and are begun again: in the end everything is as it was wanted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from mortal import FATES, LATEST, Death, World

from aioconnections import Client, Journal, Outcomes, Pair

PEOPLE = 3
TROUBLE: Any = st.lists(
    st.tuples(
        st.lists(st.sampled_from(FATES), max_size=8),
        st.none() | st.builds(Death, st.sampled_from(["before", "after"]), st.integers(2, 10)),
        st.sampled_from([0.0, 4.0, 40.0, 1000.0]),
    ),
    min_size=1,
    max_size=4,
)

pytestmark = pytest.mark.slow


@frozen
class Verb:
    """What is done to pairs, and how they stand before and afterwards.

    Attributes:
        before: what the administrator or the second of the pair does beforehand; None is nothing.
        run: begins a run.
        by_admin: whether the administrator does it.
        status: what stands between the two in the end.
        outcome: what is said of it in the end.
    """

    before: Callable[[World, Pair, int], None] | None
    run: Callable[[Client], Callable[..., Outcomes[Any]]]
    by_admin: bool
    status: str | None
    outcome: str


def invited(world: World, pair: Pair, other: int) -> None:
    world.act(other, lambda client: client.invite(pair.source))


def connected(world: World, pair: Pair, other: int) -> None:
    del other
    world.act(None, lambda client: client.admin.connect(pair.source, pair.target))


VERBS = {
    "accept": Verb(invited, lambda client: client.accept_many, by_admin=False, status="accepted", outcome="accepted"),
    "decline": Verb(invited, lambda client: client.remove_many, by_admin=False, status=None, outcome="removed"),
    "remove": Verb(connected, lambda client: client.remove_many, by_admin=False, status=None, outcome="removed"),
    "connect": Verb(
        None, lambda client: client.admin.connect_many, by_admin=True, status="accepted", outcome="connected"
    ),
    "disconnect": Verb(
        connected, lambda client: client.admin.disconnect_many, by_admin=True, status=None, outcome="removed"
    ),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
@settings(max_examples=settings().max_examples // 4)
@given(trouble=TROUBLE, max_connections=st.integers(1, 3))
def test_what_is_begun_again_ends_as_it_should(verb: Verb, trouble: Any, max_connections: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), max_connections=max_connections)
        me, *others = world.place.strangers(PEOPLE + 1)
        person = world.place.person
        pairs = [Pair(person(me).userid, person(other).userid) for other in others]
        for pair, other in zip(pairs, others, strict=True):
            if verb.before is not None:
                verb.before(world, pair, other)

        def begin(client: Client, journal: Journal) -> Outcomes[Any]:
            return verb.run(client)(pairs, journal=journal)

        who = None if verb.by_admin else me
        for fates, death, pause in trouble:
            world.live(who, begin, fates, death)
            world.wait(pause)
        world.wait(LATEST)
        life = world.live(who, begin)
        assert life.stopped is None
        assert [world.place.status(pair.source, pair.target) for pair in pairs] == [verb.status] * PEOPLE
        told = {outcome.index: outcome.as_dict()["outcome"] for outcome in life.outcomes}
        assert told == dict.fromkeys(range(PEOPLE), verb.outcome)
