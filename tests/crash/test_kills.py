"""A bulk run that is killed over and over invites everybody once, and says of everybody what became of them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, cast

import pytest
from crash_verdict import complaints
from killing import Item, Logs, Moment, Plan, Site, live, moments, strangers

from aioconnections.journal import report
from aioconnections.reference import Directory, Fault
from aioconnections.reference.server import listening_in_thread

pytestmark = [pytest.mark.slow, pytest.mark.skipif("sys.platform == 'win32'", reason="there is no SIGKILL")]

SEED = 6
LOST = (Fault("reset", operation="invite", at="commit", chance=0.02), Fault("reset", operation="invite", chance=0.02))


def crowd(directory: Directory, count: int) -> list[Item]:
    """People to invite, and now and then somebody twice, nobody, and what is no item."""
    chance = random.Random(SEED)
    items: list[Item] = []
    for number, person in enumerate(strangers(directory, count)):
        items.append(person)
        if not chance.randrange(50):
            items.append(chance.choice([person, f"nobody-{number}", None]))
    return items


def kill(
    folder: Path,
    *,
    people: int,
    kills: int,
    most: int,
    max_connections: int,
    settle: float,
    late: float,
    lost: float,
) -> None:
    directory = Directory.generate(people=2 * people + 1000, seed=SEED)
    site = Site(directory, folder / "commits", seed=SEED, late=late, latest=2 * settle, faults=LOST)
    plan = Plan(
        items=crowd(directory, people),
        folder=folder,
        user=str(directory.people[0].userid),
        settle=settle,
        max_connections=max_connections,
    )
    ends = list(moments(SEED, kills, most=most))
    print(f"seed {SEED}: {', '.join(f'{end.what} {end.number}' for end in ends)}")  # noqa: T201 # for whom it fails
    told: list[Path] = []
    logs = Logs(SEED, lost)
    with listening_in_thread(cast("Any", site)) as url:
        for end in ends:
            told.append(live(plan, site, url, end, Moment("post", most)))
            assert site.life.killed
            logs.lose(plan, site, url)
        told.append(live(plan, site, url))
    assert complaints(plan, site, told) == []
    print(f"logs: {dict(logs.done)}")  # noqa: T201 # likewise
    assert len(logs.done) == 4
    with report(plan.journal) as run:
        # In doubt is who was sent twice and lost twice. A kill finds as many under way as there are connections, and
        # only who is under way at two of them, or at one and then meets a fault, is lost twice.
        assert run.tally.in_doubt <= kills * max_connections / 2
    assert len(site.checks) >= kills


@pytest.mark.slow
def test_twenty_kills_over_four_hundred_people(tmp_path: Path) -> None:
    kill(tmp_path, people=400, kills=20, most=15, max_connections=8, settle=0.25, late=0.2, lost=0.8)


@pytest.mark.full
def test_two_hundred_kills_over_a_hundred_thousand_people(tmp_path: Path) -> None:
    kill(tmp_path, people=100_000, kills=200, most=450, max_connections=32, settle=1.0, late=0.02, lost=0.3)
