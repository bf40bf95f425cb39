"""Whatever the disk does, what was said to be on it is there; and no one is told so after it failed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import anyio
import apsw
import pytest
from attrs import define, field
from faulty_disk import Disk, Survivors
from journals import INVITED, ORIGIN, USERID, VERB, item

from aioconnections import Journal, JournalDiskError, JournalError
from aioconnections.journal import database, report

Use = Callable[[Disk], Disk]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Lay what writes from here on on a disk."""

    def lay(disk: Disk) -> Disk:
        monkeypatch.setattr(database, "connect", disk.connect)
        return disk

    return lay


@define
class Told:
    """What a run was told: the rows it wanted, those that were said to be durable, and those that failed."""

    wanted: list[tuple[int, str]] = field(factory=list)
    durable: list[tuple[int, str]] = field(factory=list)
    failed: list[tuple[int, str]] = field(factory=list)
    opened: bool = False


def drive(path: Path, first: int = 0, count: int = 6) -> Told:
    """A run: items one by one, then some together."""
    told = Told()

    async def write(journal: Journal, index: int, kind: str) -> None:
        told.wanted.append((index, kind))
        try:
            if kind == "intent":
                await journal.intent(index, item(index), send=1)
            else:
                await journal.outcome(index, item(index), INVITED, durable=True)
        except JournalDiskError:
            told.failed.append((index, kind))
        else:
            assert not told.failed, "a journal that failed once is dead"
            told.durable.append((index, kind))

    async def run() -> None:
        journal = Journal(path)
        try:
            await journal.open(verb=VERB, origin=ORIGIN, userid=USERID)
            told.opened = True
        except JournalDiskError:
            return
        for index in range(first, first + count):
            await write(journal, index, "intent")
            await write(journal, index, "outcome")
        async with anyio.create_task_group() as tasks:
            for index in range(first + count, first + count + 5):
                tasks.start_soon(write, journal, index, "intent")
        await journal.aclose()

    anyio.run(run)
    return told


def rows(path: Path) -> set[tuple[int, str]]:
    """What is on the disk; nothing if there is no file yet."""
    if not path.exists():
        return set()
    with report(path) as run:
        found = list(run.rows())
    assert all(row.item == {"source_email": f"person{row.index}@example.com", "target_userid": f"u-{row.index}"}
               for row in found)  # fmt: skip
    assert all(row.stored in {INVITED, None} for row in found)
    intents = {(row.index, "intent") for row in found if row.intent_at}
    return intents | {(row.index, "outcome") for row in found if row.outcome_at}


def operations(path: Path, use: Use) -> list[str]:
    """The writes and syncs of a run in which nothing fails."""
    disk = use(Disk())
    told = drive(path.with_name("fine.sqlite"))
    assert rows(path.with_name("fine.sqlite")) == set(told.durable) == set(told.wanted)
    assert not told.failed
    return disk.operations


def test_the_disk_is_really_under_the_journal(path: Path, use: Use) -> None:
    done = operations(path, use)
    assert done.count("sync") > 20
    assert done.count("write") > 60


@pytest.mark.slow
@pytest.mark.parametrize("how", ["once", "from then on"])
@pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError])
def test_a_failing_disk_is_told_and_takes_nothing_back(
    path: Path, use: Use, error: type[apsw.Error], how: Literal["once", "from then on"]
) -> None:
    for number in range(1, len(operations(path, use)) + 1):
        file = path.with_name(f"{number}.sqlite")
        use(Disk(number, how, error=error))
        told = drive(file)
        assert not told.opened or set(told.failed) | set(told.durable) == set(told.wanted)
        assert set(told.durable) <= rows(file) <= set(told.wanted)
        use(Disk())
        drive(file, first=100)
        assert set(told.durable) <= rows(file)


def lost(path: Path, use: Use, survivors: Survivors, synchronous: str = "FULL") -> int:
    """How many rows that were said to be durable a power cut takes, over every moment at which it can come."""
    missing = 0
    for number in range(1, len(operations(path, use)) + 1):
        file = path.with_name(f"{number}.sqlite")
        use(Disk(number, "power cut", survivors=survivors, synchronous=synchronous))
        told = drive(file)
        use(Disk())
        found = rows(file)
        missing += len(set(told.durable) - found)
        assert found <= set(told.wanted)
        assert not drive(file, first=100).failed
    return missing


@pytest.mark.slow
@pytest.mark.parametrize("survivors", ["none", "all", "some", "torn"])
def test_a_power_cut_takes_nothing_that_was_said_to_be_durable(path: Path, use: Use, survivors: Survivors) -> None:
    assert lost(path, use, survivors) == 0


@pytest.mark.slow
def test_the_power_cut_would_show_a_journal_that_does_not_sync(path: Path, use: Use) -> None:
    assert lost(path, use, "none", synchronous="NORMAL") > 0


def test_a_power_cut_while_the_next_run_opens_it(path: Path, use: Use) -> None:
    before = len(operations(path, use))
    for number in range(before // 3, before, 7):
        use(Disk(number, "power cut", survivors="some"))
        told = drive(path)
        for again in range(1, 8):
            copy = path.with_name("copy.sqlite")
            for rest in ("", "-wal"):
                copy.with_name(copy.name + rest).unlink(missing_ok=True)
                if path.with_name(path.name + rest).exists():
                    shutil.copy(f"{path}{rest}", f"{copy}{rest}")
            use(Disk(again, "power cut", survivors="some"))
            more = drive(copy, first=100)
            use(Disk())
            assert set(told.durable) | set(more.durable) <= rows(copy) <= set(told.wanted) | set(more.wanted)
        for rest in ("", "-wal"):
            path.with_name(path.name + rest).unlink(missing_ok=True)


def test_what_nobody_waited_for_is_told_later(path: Path, use: Use) -> None:
    disk = use(Disk())

    async def run() -> None:
        journal = Journal(path)
        await journal.open(verb=VERB, origin=ORIGIN, userid=USERID)
        disk.fail_at = len(disk.operations) + 1
        await journal.outcome(0, item(0), INVITED, durable=False)
        with pytest.raises(JournalDiskError, match=r"run\.sqlite could not be written"):
            await journal.aclose()
        await journal.aclose()
        await journal.open(verb=VERB, origin=ORIGIN, userid=USERID)
        disk.fail_at = len(disk.operations) + 1
        with pytest.raises(JournalDiskError):
            await journal.intent(0, item(0), send=1)
        with pytest.raises(JournalDiskError):
            await journal.outcome(0, item(0), INVITED, durable=False)
        await journal.aclose()

    anyio.run(run)
    assert rows(path) == set()


def test_a_file_that_cannot_be_closed_ends_the_run_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clinging(Disk):
        def connect(self, path: Path, mode: database.Mode) -> database.SqliteConnection:
            db = super().connect(path, mode)
            if mode == "rw":
                real = db.close

                def close() -> None:
                    real()
                    raise ValueError("not now")

                monkeypatch.setattr(db, "close", close)
            return db

    drive(path, count=1)
    monkeypatch.setattr(database, "connect", Clinging().connect)
    assert not drive(path, first=100).failed


def test_a_folder_that_cannot_be_written_to_is_no_failing_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for code, kind in ((13, JournalError), (28, JournalDiskError), (30, JournalDiskError)):

        def fail(*_: object, code: int = code) -> int:
            raise OSError(code, "no")

        with monkeypatch.context() as patched:
            patched.setattr("os.open", fail)
            told: list[type[Exception]] = []

            async def run(told: list[type[Exception]] = told) -> None:
                try:
                    await Journal(path).open(verb=VERB, origin=ORIGIN, userid=USERID)
                except JournalError as error:
                    told.append(type(error))

            anyio.run(run)
        assert told == [kind]
