"""How long ago an intent was, on a clock that somebody may set."""

from __future__ import annotations

from pathlib import Path

import pytest
from journals import item, opened

from aioconnections import Journal

pytestmark = pytest.mark.anyio


async def intents(path: Path, *times: float) -> None:
    """A run with one intent at each of these times."""
    async with opened(path, wall=times[0]) as journal:
        for index, time in enumerate(times):
            journal._wall = lambda time=time: time  # type: ignore[misc]
            await journal.intent(index, item(index), send=1)


async def ages(journal: Journal, count: int) -> list[float | None]:
    found = [await journal.history(index, item(index)) for index in range(count)]
    return [past.age if past else -1.0 for past in found]


@pytest.mark.parametrize(
    ("times", "now", "expected"),
    [
        ((1_000.0, 1_010.0), 1_020.0, [20.0, 10.0]),
        ((1_000.0, 1_010.0), 1_009.5, [9.5, 0.0]),  # nudged
        ((1_000.0, 1_010.0), 1_005.0, [None, None]),  # set back between the runs
        ((1_000.0, 1_010.0), 990.0, [None, None]),
        ((1_000.0, 1_010.0, 500.0, 510.0), 520.0, [None, None, 20.0, 10.0]),  # set back during the first run
        ((1_000.0, 1_010.0, 500.0, 510.0), 2_000.0, [None, None, 1_500.0, 1_490.0]),
        ((1_000.0, 999.5), 1_002.0, [2.0, 2.5]),
    ],
)
async def test_an_age_that_cannot_be_told_is_none(
    path: Path, times: tuple[float, ...], now: float, expected: list[float | None]
) -> None:
    await intents(path, *times)
    async with opened(path, wall=now) as journal:
        assert await ages(journal, len(times)) == expected


async def test_the_clock_is_set_back_while_the_next_run_goes_on(path: Path) -> None:
    await intents(path, 1_000.0)
    async with opened(path, wall=1_100.0) as journal:
        assert await ages(journal, 1) == [100.0]
        journal._wall = lambda: 1_050.0
        assert await ages(journal, 1) == [None]
        journal._wall = lambda: 1_200.0
        assert await ages(journal, 1) == [None], "from here on nobody knows"
    async with opened(path, wall=1_300.0) as journal:
        assert await ages(journal, 1) == [300.0], "nothing on the disk tells of it"
