"""Waits of seconds, for what became of a lost response, hold up no other item."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import trio
from server import Place, in_time

from aioconnections import Invited, Person, Unprocessed
from aioconnections.reference import Directory, Fault

SETTLE = 30.0


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("max_per_second", [100, None])
@pytest.mark.parametrize("seed", [1, 5, 7])
def test_settle_waits_run_side_by_side_with_the_other_invitations(
    seed: int, max_per_second: float | None, *, ordered: bool
) -> None:
    async def main() -> None:
        place = Place(directory=Directory.generate(people=200, seed=11), dedup=False, fault_seed=seed)
        strangers = [n for n in range(1, 200) if place.status(place.person(0), place.person(n)) is None][:60]
        people = [place.person(n) for n in strangers]
        place.server.faults = [Fault("refuse", operation="invite", chance=0.3)]
        began = trio.current_time()
        async with (
            place.client(0, max_per_second=max_per_second, rng=random.Random(seed)) as client,
            client.invite_many(people, settle=SETTLE, journal=None, ordered=ordered) as outcomes,
        ):
            found = [outcome async for outcome in outcomes]
        assert trio.current_time() - began <= 2 * SETTLE + 5
        assert outcomes.tally.read == len(found) == 60
        assert place.server.struck[0] > 10
        made = [commit.target for commit in place.server.commits]
        assert len(made) == len(set(made)) == sum(isinstance(outcome, Invited) for outcome in found)
        assert outcomes.tally.invited + outcomes.tally.in_doubt == 60

    in_time(main)


def test_a_source_is_not_read_further_than_the_parked_items_allow() -> None:
    async def main() -> None:
        place = Place(directory=Directory.generate(people=2000, seed=11), dedup=False)
        read = 0

        def people() -> Iterator[Person]:
            nonlocal read
            for n in range(1, 2000):
                read += 1
                yield place.person(n)

        place.server.faults = [Fault("refuse", at="commit", operation="invite", status=500)]
        async with (
            place.client(0, max_per_second=50, max_connections=4) as client,
            client.invite_many(people(), settle=1e6, journal=None) as outcomes,
        ):
            await trio.sleep(100)
            before = read
            assert 100 <= before < 100 + 4  # what two seconds of the rate bring, and what was under way then
            await trio.sleep(100)
            assert read == before
        assert all(isinstance(it, Unprocessed) or it.attempts for it in outcomes.undelivered)
        assert len(outcomes.undelivered) == before

    in_time(main)
