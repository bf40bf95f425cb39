"""A run without a plan says in the log if a plan would have saved many requests."""

from __future__ import annotations

import logging
from itertools import permutations
from pathlib import Path

import pytest
from server import Place

from aioconnections import Client, Journal, Pair, Plan
from aioconnections.reference import Directory

pytestmark = pytest.mark.anyio

LARGE = Directory.generate(people=100, seed=5)
GROUP = [Pair(one.userid or one, other.userid or other) for one, other in permutations(LARGE.people[:50], 2)]


def place() -> Place:
    return Place(directory=LARGE)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of plans, without the id of the run."""
    messages = [record.getMessage() for record in caplog.records if "with a plan" in record.getMessage()]
    caplog.clear()
    return [message.partition(": ")[2] for message in messages]


async def check(client: Client, pairs: list[Pair], path: Path | None = None) -> tuple[int, int]:
    run = client.check_many(pairs, journal=None if path is None else Journal(path, max_age=3_600))
    assert run.avoidable == (0, 0)
    tally = await run.drain()
    assert tally.checked == len(pairs)
    return run.avoidable


async def test_it_is_said_once_of_the_first_2_000_pairs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aioconnections")
    async with place().client(99) as client:
        saved, count = await check(client, GROUP)
    (message,) = said(caplog)
    assert message.startswith(f"with a plan, about {saved:,} of the requests")
    assert (1_000 < saved < 2_000, count) == (True, 2_000)
    assert message.endswith(" of the requests for the first 2,000 pairs would not have been needed")


async def test_it_is_not_said_of_few_pairs_nor_of_a_plan(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aioconnections")
    async with place().client(99) as client:
        assert await check(client, GROUP[:999]) == (0, 0)
        run = client.check_many(GROUP, plan=Plan(page_cost=1))
        await run.drain()
        assert run.avoidable == (0, 0)
    assert said(caplog) == []


async def test_what_a_journal_gives_again_was_not_sent(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.INFO, "aioconnections")
    path = tmp_path / "j.sqlite"
    async with place().client(99) as client:
        await check(client, GROUP, path)
        assert len(said(caplog)) == 1
        assert await check(client, GROUP, path) == (0, 0)
        assert said(caplog) == []
