"""The power goes while people are invited: nobody is invited twice, unless the journal does not sync."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import anyio
import pytest
from faulty_disk import Disk
from server import Place

from aioconnections import Journal
from aioconnections.journal import database, report

pytestmark = pytest.mark.slow

PEOPLE = 5


def invited_twice(folder: Path, monkeypatch: pytest.MonkeyPatch, synchronous: str) -> int:
    """How many people are, over every moment at which the power can go, when it comes back and the run goes on."""
    twice = moment = 0
    while True:
        moment += 1
        path = folder / f"{moment}.sqlite"
        place = Place(dedup=False)
        me, *others = place.strangers(PEOPLE + 1)
        disk = Disk(moment, "power cut", synchronous=synchronous)
        for under in (disk, Disk()):
            monkeypatch.setattr(database, "connect", under.connect)
            anyio.run(_run, place, me, path, others)
        with report(path) as run:
            assert run.tally.invited == run.tally.read == PEOPLE
        twice += sum(count > 1 for count in Counter(commit.target for commit in place.server.commits).values())
        if not disk.dead:
            return twice


async def _run(place: Place, me: int, path: Path, others: list[int]) -> None:
    client = place.client(me, max_connections=2)
    async with client:
        people = [place.person(number) for number in others]
        async with client.invite_many(people, journal=Journal(path), settle=0) as outcomes:
            async for _ in outcomes:
                pass


def test_a_power_cut_makes_nobody_be_invited_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invited_twice(tmp_path, monkeypatch, "FULL") == 0


def test_without_syncs_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invited_twice(tmp_path, monkeypatch, "NORMAL") > 0
