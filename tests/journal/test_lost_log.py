"""A journal that was not closed is two files; without its log it is refused, and a kill never looks like that."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest
from faulty_disk import Disk
from journals import INVITED, ORIGIN, USERID, VERB, folder, item, log_of, open_once, opened, outcomes

from aioconnections import InvalidInputError, Journal, JournalDiskError, JournalError, JournalLogMissingError
from aioconnections.journal import database, report
from aioconnections.journal.file import LOG_HEADER_SIZE
from aioconnections.journal.stored import ItemHistory

BOUND: Any = {"verb": VERB, "origin": ORIGIN, "userid": USERID}


def placed(folder: Path, files: dict[str, bytes]) -> Path:
    """A journal of these files, alone in a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / "run.sqlite"


def killed(path: Path, *, rows: int = 3, sent: int = 1) -> dict[str, bytes]:
    """The files of a run that was killed: some rows that are in the main file, and `sent` that are in the log alone."""
    files: dict[str, bytes] = {}

    async def run() -> None:
        async with opened(path) as journal:
            for index in range(rows):
                await journal.outcome(index, item(index), INVITED, durable=True)
        async with opened(path) as journal:
            for index in range(rows, rows + sent):
                await journal.intent(index, item(index), send=1)
            files.update(folder(path))

    anyio.run(run)
    assert files[log_of(path).name]
    return files


class Watched:
    """A connection that tells of each of its steps."""

    def __init__(self, real: database.SqliteConnection, step: Callable[[str], object]) -> None:
        self.real = real
        self.step = step

    def execute(self, sql: str, values: tuple[object, ...] = (), /) -> Iterator[object]:
        self.step(f"before {sql}")
        rows = list(self.real.execute(sql, values))
        self.step(f"after {sql}")
        return iter(rows)

    def close(self) -> None:
        self.step("before close")
        self.real.close()
        self.step("after close")


def steps_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, bytes]]]:
    """The steps of a run that sends two items, with the files as they are at each."""
    steps: list[tuple[str, dict[str, bytes]]] = []
    real = database.connect

    def connect(file: Path, mode: database.Mode) -> database.SqliteConnection:
        db = real(file, mode)
        return db if mode != "rw" else Watched(db, lambda step: steps.append((step, folder(path))))

    async def run() -> None:
        async with opened(path) as journal:
            await journal.intent(10, item(10), send=1)
            await journal.intent(11, item(11), send=1)

    with monkeypatch.context() as patched:
        patched.setattr(database, "connect", connect)
        anyio.run(run)
    return steps


@pytest.mark.slow
@pytest.mark.parametrize("before", ["closed", "killed"])
def test_a_run_that_is_killed_at_any_step_of_opening_or_closing_goes_on(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    files = killed(path)
    earlier = {0, 1, 2, 3}
    if before == "killed":
        path = placed(tmp_path / "before", files)
    steps = steps_of(path, monkeypatch)
    checkpoints = [step for step, _ in steps if step.startswith("after PRAGMA wal_checkpoint")]
    closing, opening = "after PRAGMA wal_checkpoint(TRUNCATE)", "after PRAGMA wal_checkpoint(FULL)"
    assert checkpoints == [*[closing] * (before == "killed"), opening, closing]
    marked = next(number for number, (step, _) in enumerate(steps) if step == opening)
    sent: set[int] = set()
    for number, (step, files) in enumerate(steps):
        if number > marked and step == "after COMMIT" and len(sent) < 2:
            sent.add(10 + len(sent))
        copy = placed(tmp_path / "killed", files)
        assert set(outcomes(copy)) == earlier | sent, step
        open_once(copy)
        assert set(outcomes(copy)) == earlier | sent, step
    for step, files in steps[marked:]:
        if step == "after PRAGMA wal_checkpoint(TRUNCATE)":
            break
        with pytest.raises(JournalLogMissingError):
            report(placed(tmp_path / "killed", {path.name: files[path.name]}))


@pytest.mark.parametrize("log", [None, b"", b"7"])
def test_a_journal_without_its_log_is_refused_and_left_as_it_is(path: Path, tmp_path: Path, log: bytes | None) -> None:
    files = killed(path)
    del files[log_of(path).name]
    if log is not None:
        files[log_of(path).name] = log
    lost = placed(tmp_path / "lost", files)
    for attempt in (open_once, report):
        with pytest.raises(JournalLogMissingError, match=r"run\.sqlite-wal, is missing or empty") as caught:
            attempt(lost)
        assert "lost_log='in_doubt' (--lost-log in-doubt)" in str(caught.value)
    assert folder(lost) == files


def test_a_run_that_was_killed_before_its_first_intent_needs_its_log_as_well(path: Path, tmp_path: Path) -> None:
    files = killed(path, rows=0, sent=0)
    assert outcomes(placed(tmp_path / "there", files)) == {}
    with pytest.raises(JournalLogMissingError):
        report(placed(tmp_path / "lost", {path.name: files[path.name]}))


@pytest.mark.parametrize("content", [b"index,outcome\n" * 1_000, bytes(8_192)])
def test_something_else_in_the_place_of_the_log_is_refused_and_left_as_it_is(
    path: Path, tmp_path: Path, content: bytes
) -> None:
    files = {**killed(path), log_of(path).name: content}
    other = placed(tmp_path / "other", files)
    for journal in (Journal(other), Journal(other, lost_log="in_doubt")):
        with pytest.raises(JournalLogMissingError, match="is not its log"):
            anyio.run(partial(journal.open, **BOUND))
    with pytest.raises(JournalLogMissingError, match="is not its log"):
        report(other)
    assert folder(other) == files


def test_the_log_of_another_journal_is_refused(path: Path, tmp_path: Path) -> None:
    """Also of one with the same items, in the same state."""
    files = killed(path)
    (tmp_path / "twin").mkdir()
    twin = killed(tmp_path / "twin" / path.name)
    mixed = placed(tmp_path / "mixed", {**files, log_of(path).name: twin[log_of(path).name]})
    for attempt in (open_once, report):
        with pytest.raises(JournalLogMissingError, match="is not its log"):
            attempt(mixed)


def test_a_log_of_an_earlier_time_is_refused(path: Path, tmp_path: Path) -> None:
    early, late = killed(path), killed(path)
    mixed = placed(tmp_path / "mixed", {**late, log_of(path).name: early[log_of(path).name]})
    with pytest.raises(JournalLogMissingError, match="is not its log"):
        open_once(mixed)
    assert outcomes(placed(tmp_path / "mixed", late))[3] == "in_doubt"


@pytest.mark.parametrize("twin", [True, False])
def test_a_log_without_rows_is_of_this_journal_and_time(path: Path, tmp_path: Path, *, twin: bool) -> None:
    """A run may be killed while SQLite begins its log again: then the log has a header and no rows."""
    files = killed(path)
    if twin:
        early, late = files, killed(placed(tmp_path / "twin", {}))
    else:  # killed twice, so that it is the same log
        early, late = files, killed(placed(tmp_path / "again", files), rows=3)
    own = placed(tmp_path / "own", {**late, log_of(path).name: late[log_of(path).name][:LOG_HEADER_SIZE]})
    assert set(outcomes(own)) == ({0, 1, 2} if twin else {0, 1, 2, 3})
    header = early[log_of(path).name][:LOG_HEADER_SIZE]
    mixed = placed(tmp_path / "mixed", {**late, log_of(path).name: header + bytes(8_192)})
    for attempt in (open_once, report):
        with pytest.raises(JournalLogMissingError, match="is not its log"):
            attempt(mixed)


def lost_journal(path: Path, folder: Path, **options: int) -> Path:
    files = killed(path, **options)
    return placed(folder, {path.name: files[path.name]})


def test_a_lost_log_leaves_in_doubt_whatever_is_not_finished(path: Path, tmp_path: Path) -> None:
    lost = lost_journal(path, tmp_path / "lost")

    async def run(wall: float, *, again: bool = False) -> list[ItemHistory | None]:
        journal = Journal(lost, lost_log=None if again else "in_doubt")
        journal._wall = lambda: wall
        await journal.open(**BOUND)
        found = [await journal.history(index, item(index)) for index in (0, 3, 1_000)]
        await journal.aclose()
        return found

    finished, *doubts = anyio.run(lambda: run(4e9))
    assert finished is not None
    assert (finished.finished, finished.log_lost) == (True, False)
    assert doubts == [ItemHistory(None, 2, None, 0.0, log_lost=True)] * 2
    assert all(past.in_doubt for past in doubts if past)
    *_, late = anyio.run(lambda: run(4e9 + 60, again=True))
    assert late == ItemHistory(None, 2, None, 60.0, log_lost=True), "it holds for later runs as well"
    assert set(outcomes(lost)) == {0, 1, 2}


def test_a_run_that_goes_on_without_its_log_may_be_killed_as_well(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = lost_journal(path, tmp_path / "lost")
    steps: list[dict[str, bytes]] = []
    real = database.connect

    def connect(file: Path, mode: database.Mode) -> database.SqliteConnection:
        db = real(file, mode)
        return db if mode != "rw" else Watched(db, lambda _: steps.append(folder(lost)))

    async def go_on(file: Path) -> ItemHistory | None:
        journal = Journal(file, lost_log="in_doubt")
        await journal.open(**BOUND)
        past = await journal.history(3, item(3))
        await journal.aclose()
        return past

    with monkeypatch.context() as patched:
        patched.setattr(database, "connect", connect)
        anyio.run(go_on, lost)
    for files in steps:
        past = anyio.run(go_on, placed(tmp_path / "killed", files))
        assert past is not None
        assert past.log_lost


def test_a_check_loses_nothing_but_answers(path: Path, tmp_path: Path) -> None:
    lost = lost_journal(path, tmp_path / "lost")

    async def run() -> ItemHistory | None:
        journal = Journal(lost, lost_log="in_doubt")
        await journal.open(**BOUND, changes=False)
        try:
            return await journal.history(3, item(3))
        finally:
            await journal.aclose()

    assert anyio.run(run) is None


def test_a_log_that_is_there_is_not_given_up(path: Path, tmp_path: Path) -> None:
    there = placed(tmp_path / "there", killed(path))

    async def run() -> ItemHistory | None:
        journal = Journal(there, lost_log="in_doubt")
        await journal.open(**BOUND)
        try:
            return await journal.history(3, item(3))
        finally:
            await journal.aclose()

    past = anyio.run(run)
    assert past is not None
    assert (past.sends, past.log_lost) == (1, False)


def test_what_a_lost_log_means_is_said_in_one_word(path: Path) -> None:
    with pytest.raises(InvalidInputError, match='lost_log must be "in_doubt" or None'):
        Journal(path, lost_log="ignore")  # type: ignore[arg-type] # a call that type checkers must refuse


def test_a_full_disk_leaves_the_log_in_its_place(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite removes a log that is copied, at the end of a run that could not write that it has ended."""
    disk = Disk(how="from then on", error=apsw.FullError)

    async def run() -> None:
        journal = Journal(path)
        await journal.open(**BOUND)
        disk.fail_at = len(disk.operations) + 1
        with pytest.raises(JournalDiskError):
            await journal.intent(0, item(0), send=1)
        await journal.aclose()

    with monkeypatch.context() as patched:
        patched.setattr(database, "connect", disk.connect)
        anyio.run(run)
    assert outcomes(path) == {}
    open_once(path)
    assert not log_of(path).exists()


def test_another_program_in_the_journal_keeps_a_run_from_beginning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_once(path)
    real = database.connect

    class Busy(Watched):
        def execute(self, sql: str, values: tuple[object, ...] = (), /) -> Iterator[object]:
            rows = super().execute(sql, values)
            return iter([(1, 1, 0)]) if "wal_checkpoint(FULL)" in sql else rows

    def connect(file: Path, mode: database.Mode) -> database.SqliteConnection:
        db = real(file, mode)
        return db if mode != "rw" else Busy(db, lambda _: None)

    with monkeypatch.context() as patched:
        patched.setattr(database, "connect", connect)
        with pytest.raises(JournalError, match="in use by another program"):
            open_once(path)
    assert not log_of(path).exists()
    open_once(path)
