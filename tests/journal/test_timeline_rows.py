"""The course of a run is in its journal: bounded, continued by the next run, and absent in journals of format 2."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path

import anyio
import pytest
from journals import INVITED, item, open_once, opened, outcomes

from aioconnections import JournalError
from aioconnections.journal import report
from aioconnections.policy.timeline import MOST_BUCKETS, TimelineBucket

WALL = 1_796_000_000


async def record(path: Path, begin: int, *, seconds: int, saved_every: int = 7) -> None:
    """A run that finishes two items in each second."""
    async with opened(path) as journal:
        timeline = journal.timeline
        assert timeline is not None
        for second in range(seconds):
            timeline.add(begin + second, TimelineBucket(1.0, done=2, requests=2))
            if second % saved_every == 0:
                journal.save_timeline()
        await journal.outcome(begin, item(begin), INVITED, durable=False)
        journal.save_timeline()


def rows(path: Path) -> int:
    with sqlite3.connect(path) as db:
        ((count,),) = db.execute("SELECT count(*) FROM timeline")
    db.close()
    return int(count)


def done(path: Path) -> list[tuple[int, int]]:
    with report(path) as run:
        assert run.timeline is not None
        return [(begin, bucket.done) for begin, bucket in run.timeline]


def test_a_resumed_run_adds_to_it(path: Path) -> None:
    anyio.run(lambda: record(path, 100, seconds=3))
    anyio.run(lambda: record(path, 5_000, seconds=2))
    assert done(path) == [(100, 2), (101, 2), (102, 2), (5_000, 2), (5_001, 2)]
    assert sorted(outcomes(path)) == [100, 5_000]


def test_a_long_run_has_few_rows(path: Path) -> None:
    for begin in (WALL, WALL + 3_500):
        anyio.run(partial(record, path, begin, seconds=3_500))
    found = done(path)
    assert rows(path) == len(found) <= MOST_BUCKETS
    assert sum(count for _, count in found) == 14_000


def test_it_is_written_with_the_next_rows_and_survives_a_crash(path: Path, tmp_path: Path) -> None:
    copies: list[Path] = []

    async def run() -> None:
        async with opened(path) as journal:
            assert journal.timeline is not None
            for index in range(2):
                journal.timeline.add(WALL + index, TimelineBucket(1.0, done=1))
                journal.save_timeline()
                await journal.outcome(index, item(index), INVITED, durable=True)
                copies.append(tmp_path / f"copy{index}" / path.name)
                copies[-1].parent.mkdir()
                for file in (path, path.with_name(f"{path.name}-wal")):
                    copies[-1].with_name(file.name).write_bytes(file.read_bytes())

    anyio.run(run)
    assert [len(done(copy)) for copy in copies] == [1, 2]
    assert done(path) == [(WALL, 1), (WALL + 1, 1)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE timeline SET data = replace(data, '2', '3')",
        "UPDATE timeline SET start = start + 10",
        "UPDATE timeline SET width = 1.5",
        "UPDATE timeline SET seal = NULL",
        "UPDATE timeline SET data = CAST(data AS BLOB)",
        "INSERT INTO timeline VALUES (1, 1, '[]', x'00')",
        "DROP TABLE timeline",
        "PRAGMA user_version=2",
    ],
)
def test_a_row_that_was_changed_is_refused(path: Path, sql: str) -> None:
    anyio.run(lambda: record(path, 100, seconds=3))
    db = sqlite3.connect(path)
    db.executescript(sql)
    db.close()
    for attempt in (report, open_once):
        with pytest.raises(JournalError, match="is damaged"):
            attempt(path)


def test_rows_of_another_journal_are_refused(path: Path) -> None:
    other = path.with_name("other.sqlite")
    for one in (path, other):
        anyio.run(partial(record, one, 100, seconds=3))
    db = sqlite3.connect(path)
    db.execute("ATTACH ? AS other", (str(other),))
    db.executescript("DELETE FROM main.timeline; INSERT INTO main.timeline SELECT * FROM other.timeline")
    db.close()
    with pytest.raises(JournalError, match="is damaged"):
        report(path)


def test_a_journal_of_format_2_is_read_and_continued_without_it(path: Path) -> None:
    anyio.run(lambda: record(path, 100, seconds=3))
    db = sqlite3.connect(path)
    db.executescript("DROP TABLE timeline; PRAGMA user_version=2")
    db.close()

    async def run() -> None:
        async with opened(path) as journal:
            assert journal.timeline is None
            journal.save_timeline()
            await journal.outcome(101, item(101), INVITED, durable=True)

    anyio.run(run)
    with report(path) as found:
        assert (found.timeline, found.tally.invited) == (None, 2)
