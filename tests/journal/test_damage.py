"""A journal that was cut off or damaged is continued, refused, or shorter; never misread."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from attrs import frozen
from journals import INVITED, folder, item, log_of, open_once, opened

from aioconnections import JournalError, JournalLogMissingError
from aioconnections.journal import report
from aioconnections.journal.file import LOG_HEADER_SIZE

Rows = tuple[tuple[int, str, str, bool, bool], ...]


@frozen
class Snapshot:
    """The files as they were after a commit, and what they said then."""

    database: bytes
    log: bytes
    rows: Rows


def rows(path: Path) -> Rows:
    with report(path) as run:
        return tuple(
            (row.index, str(row.item), row.outcome, row.intent_at is not None, row.outcome_at is not None)
            for row in run.rows()
        )


def placed(folder: Path, database: bytes, log: bytes) -> Path:
    """A journal of these bytes, alone in a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "run.sqlite"
    path.write_bytes(database)
    if log:
        log_of(path).write_bytes(log)
    return path


def snapshots(path: Path, scratch: Path, *, before: int = 0) -> list[Snapshot]:
    """The files after each of ten commits, with rows of two runs if there were some `before`."""
    files: list[tuple[bytes, bytes]] = []

    def note() -> None:
        files.append((path.read_bytes(), log_of(path).read_bytes()))

    async def run() -> None:
        if before:
            async with opened(path) as journal:
                for index in range(before):
                    await journal.outcome(index, item(index), INVITED, durable=False)
        async with opened(path) as journal:
            for index in range(before, before + 5):
                await journal.intent(index, item(index), send=1)
                note()
                await journal.outcome(index, item(index), INVITED, durable=True)
                note()

    anyio.run(run)
    return [Snapshot(*both, rows(placed(scratch, *both))) for both in files]


def read(path: Path) -> Rows | None:
    """What the journal says; None if it is refused."""
    try:
        return rows(path)
    except JournalError:
        return None


def places(begin: int, end: int, *, step: int) -> Iterable[int]:
    """Every byte at both ends of a range, where its headers are, and every `step` between."""
    return sorted({*range(begin, min(begin + 80, end)), *range(begin, end, step), *range(max(begin, end - 80), end)})


@pytest.mark.slow
@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.full)])
def test_cut_after_the_last_commit_it_goes_on_there(path: Path, tmp_path: Path, step: int) -> None:
    """The next commit is in the log in part; what was durable before is there, and a run goes on from it."""
    taken = snapshots(path, tmp_path / "scratch", before=3)
    for last, following in pairwise(taken[3:6]):
        assert following.log.startswith(last.log)
        for cut in places(len(last.log), len(following.log), step=step):
            assert rows(placed(tmp_path / "torn", last.database, following.log[:cut])) == last.rows, cut
        torn = placed(tmp_path / "torn", last.database, following.log[:-1])
        open_once(torn)
        assert rows(torn) == last.rows


@pytest.mark.slow
@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.full)])
def test_a_log_that_was_cut_before_is_a_shorter_journal(path: Path, tmp_path: Path, step: int) -> None:
    taken = snapshots(path, tmp_path / "scratch")
    last = taken[-1]
    known = {(), *(one.rows for one in taken)}
    seen: set[Rows] = set()
    for cut in places(0, len(last.log), step=step):
        cut_off = placed(tmp_path / "cut", last.database, last.log[:cut])
        if cut < LOG_HEADER_SIZE:
            with pytest.raises(JournalLogMissingError):
                report(cut_off)
        else:
            seen.add(rows(cut_off))
    assert seen <= known
    assert len(seen) > 8, "each commit is there once it is whole"


@pytest.mark.parametrize("step", [211, pytest.param(1, marks=pytest.mark.full)])
def test_a_database_that_was_cut_is_refused(path: Path, tmp_path: Path, step: int) -> None:
    snapshots(path, tmp_path / "scratch", before=200)
    whole, said = path.read_bytes(), rows(path)
    assert not log_of(path).exists()
    for cut in places(0, len(whole), step=step):
        torn = placed(tmp_path / "torn", whole[:cut], b"")
        if not any(whole[cut:]):  # SQLite reads missing bytes of a page as zeros, which these are
            assert read(torn) in {None, said}, cut
            continue
        assert read(torn) is None, cut
        with pytest.raises(JournalError):
            open_once(torn)
        assert torn.read_bytes() == whole[:cut]
    assert rows(placed(tmp_path / "torn", whole, b"")) == said


def flipped(content: bytes, place: int, mask: int) -> bytes:
    return content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]


@pytest.mark.slow
@pytest.mark.parametrize(("step", "masks"), [(61, (0xFF, 0x01)), pytest.param(1, (0xFF, 0x01), marks=pytest.mark.full)])
def test_a_flipped_byte_of_the_database_is_no_other_row(
    path: Path, tmp_path: Path, step: int, masks: tuple[int, ...]
) -> None:
    """It is refused; or the byte means nothing, because it stands in a gap or in a field that SQLite works out anew."""
    snapshots(path, tmp_path / "scratch", before=60)
    whole, said = path.read_bytes(), rows(path)
    refused = 0
    for place in sorted({*range(100), *range(0, len(whole), step)}):
        for mask in masks:
            found = read(placed(tmp_path / "torn", flipped(whole, place, mask), b""))
            refused += found is None
            assert found in {None, said}, (place, mask)
    assert refused > len(whole) / step / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "masks"), [(211, (0xFF, 0x01)), pytest.param(1, (0xFF, 0x01), marks=pytest.mark.full)]
)
def test_a_flipped_byte_of_the_log_is_a_shorter_journal(
    path: Path, tmp_path: Path, step: int, masks: tuple[int, ...]
) -> None:
    taken = snapshots(path, tmp_path / "scratch")
    last = taken[-1]
    known = {None, (), *(one.rows for one in taken)}
    for place in sorted({*range(100), *range(0, len(last.log), step)}):
        for mask in masks:
            found = read(placed(tmp_path / "torn", last.database, flipped(last.log, place, mask)))
            assert found in known, (place, mask)


def test_a_log_and_a_database_that_do_not_belong_together_are_no_other_rows(path: Path, tmp_path: Path) -> None:
    taken = snapshots(path, tmp_path / "scratch", before=5)
    other = snapshots(tmp_path / "other.sqlite", tmp_path / "scratch", before=300)
    chance = random.Random(1)
    closed = path.read_bytes()
    for _ in range(50):
        one, two = chance.choice(taken), chance.choice(other)
        for database, log in ((one.database, two.log), (two.database, one.log)):
            mixed = placed(tmp_path / "mixed", database, log)
            for attempt in (open_once, report):
                with pytest.raises(JournalLogMissingError, match="is not its log"):
                    attempt(mixed)
            assert folder(mixed) == {mixed.name: database, log_of(mixed).name: log}
        later = placed(tmp_path / "mixed", closed, one.log)  # an older log beside what was closed since
        assert read(later) == (taken[-1].rows if one is taken[-1] else None)
