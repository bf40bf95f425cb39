"""A run that goes on where the one before ended."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from journals import INVITED, ORIGIN, USERID, VERB, history_of, item, opened, outcomes

from aioconnections import (
    InvalidInputError,
    Journal,
    JournalLockedError,
    JournalMismatchError,
    UsageError,
)
from aioconnections.journal import StoredOutcome, file, reading, report, writer
from aioconnections.journal.stored import ItemHistory

pytestmark = pytest.mark.anyio

FAILED = StoredOutcome("failed", '{"error":{"class":"ConnectionsError","text":"m","attributes":{}}}')


async def test_a_run_goes_on(path: Path) -> None:
    async with opened(path, wall=1_000.0) as journal:
        await journal.intent(0, item(0), send=1)
        await journal.outcome(0, item(0), INVITED, durable=True)
        await journal.intent(1, item(1), send=1)
        await journal.outcome(2, item(2), FAILED, durable=False)
        assert await journal.history(0, item(0)) is None, "it is this run's own"
    async with opened(path, wall=1_060.5) as journal:
        assert await journal.history(0, item(0)) == history_of(INVITED, 1, 1_000.0, 60.5, at=1_000.0)
        assert await journal.history(1, item(1)) == ItemHistory(None, 1, 1_000.0, 60.5)
        assert await journal.history(2, item(2)) == history_of(FAILED, at=1_000.0)
        assert await journal.history(3, item(3)) is None
        await journal.intent(1, item(1), send=2)
        assert await journal.history(1, item(1)) == ItemHistory(None, 1, 1_000.0, 60.5), "it is an earlier run's"
    async with opened(path, wall=2_000.0) as journal:
        assert await journal.history(1, item(1)) == ItemHistory(None, 2, 1_060.5, 939.5)
    assert outcomes(path) == {0: "invited", 1: "in_doubt", 2: "failed"}


async def test_an_intent_after_an_outcome_takes_it_back(path: Path) -> None:
    async with opened(path) as journal:
        await journal.intent(0, item(0), send=1)
        await journal.outcome(0, item(0), FAILED, durable=True)
        await journal.intent(0, item(0), send=1)
    async with opened(path) as journal:
        past = await journal.history(0, item(0))
        assert past is not None
        assert (past.stored, past.sends, past.in_doubt) == (None, 1, True)
    assert outcomes(path) == {0: "in_doubt"}


async def test_indices_in_any_order_and_far_apart(path: Path) -> None:
    indices = [0, 511, 512, 5_000, 3, 1_000_000, 2_560]
    async with opened(path, wall=1_000.0) as journal:
        for index in indices:
            await journal.outcome(index, item(index), INVITED, durable=False)
    async with opened(path) as journal:
        for index in indices * 2:
            assert await journal.history(index, item(index)) == history_of(INVITED, at=1_000.0)
        assert await journal.history(4, item(4)) is None
        assert await journal.history(1_000_001, item(4)) is None
        assert len(journal._pages) == 4


async def test_many_ask_for_one_page_at_once(path: Path) -> None:
    async with opened(path, wall=1_000.0) as journal:
        for index in range(100):
            await journal.outcome(index, item(index), INVITED, durable=False)
    found: list[ItemHistory | None] = []
    async with opened(path) as journal, anyio.create_task_group() as tasks:

        async def look(index: int) -> None:
            found.append(await journal.history(index, item(index)))

        for index in range(100):
            tasks.start_soon(look, index)
    assert found == [history_of(INVITED, at=1_000.0)] * 100


async def test_a_slow_disk_shows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing, go_on, write = threading.Event(), threading.Event(), writer._write

    def slowly(*arguments: Any) -> None:
        writing.set()
        assert go_on.wait(10)
        write(*arguments)

    monkeypatch.setattr(writer, "_write", slowly)
    assert Journal(path).busy_for == 0, "it is not open"
    async with opened(path) as journal, anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: journal.intent(0, item(0), send=1))
        await anyio.to_thread.run_sync(writing.wait, 10)
        assert journal.busy_for > 0
        go_on.set()
    assert journal.busy_for == 0


async def test_another_item_at_its_index_is_refused(path: Path) -> None:
    async with opened(path, wall=1_000.0) as journal:
        await journal.outcome(1, item(1), INVITED, durable=True)
    async with opened(path) as journal:
        with pytest.raises(JournalMismatchError) as caught:
            await journal.history(1, item(2))
        assert (caught.value.index, caught.value.was, caught.value.now) == (1, item(1), item(2))
        assert await journal.history(1, item(1)) == history_of(INVITED, at=1_000.0)


async def test_a_second_one_is_refused_at_once(path: Path) -> None:
    async with opened(path) as journal:
        await journal.intent(0, item(0), send=1)
        with pytest.raises(JournalLockedError, match="in use"):
            await Journal(path).open(verb=VERB, origin=ORIGIN, userid=USERID)
        with pytest.raises(JournalLockedError, match="open already"):
            await journal.open(verb=VERB, origin=ORIGIN, userid=USERID)
        with pytest.raises(JournalLockedError, match="in use"):
            report(path)
        await journal.outcome(0, item(0), INVITED, durable=True)
    assert outcomes(path) == {0: "invited"}


async def test_a_run_is_refused_while_a_report_is_made(path: Path) -> None:
    async with opened(path) as journal:
        await journal.outcome(0, item(0), INVITED, durable=True)
    with report(path), pytest.raises(JournalLockedError):
        await Journal(path).open(verb=VERB, origin=ORIGIN, userid=USERID)
    async with opened(path):
        pass


OTHER = f"""
import asyncio, sys
from aioconnections import Journal, JournalLockedError
from aioconnections.journal import report
async def main():
    journal = Journal(sys.argv[1])
    try:
        await journal.open(verb={VERB!r}, origin={ORIGIN!r}, userid={USERID!r})
    except JournalLockedError:
        print("locked")
    else:
        await journal.aclose()
        print("open")
    try:
        report(sys.argv[1]).close()
    except JournalLockedError:
        print("locked")
asyncio.run(main())
"""


def other_process(path: Path) -> list[str]:
    run = subprocess.run([sys.executable, "-c", OTHER, str(path)], capture_output=True, check=True, text=True)
    return run.stdout.split()


async def test_another_process_is_refused(path: Path) -> None:
    async with opened(path) as journal:
        await journal.intent(0, item(0), send=1)
        assert await anyio.to_thread.run_sync(other_process, path) == ["locked", "locked"]
        await journal.intent(1, item(1), send=1)
    assert await anyio.to_thread.run_sync(other_process, path) == ["open"]
    assert outcomes(path) == {0: "in_doubt", 1: "in_doubt"}


async def test_a_cancelled_intent_leaves_the_journal_usable(path: Path) -> None:
    async with opened(path) as journal:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await journal.intent(0, item(0), send=1)
        await journal.intent(1, item(1), send=1)
    assert outcomes(path)[1] == "in_doubt"


async def test_a_cancelled_opening_gives_the_file_up(path: Path) -> None:
    journal = Journal(path)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await journal.open(verb=VERB, origin=ORIGIN, userid=USERID)
    assert scope.cancelled_caught
    async with opened(path):
        pass


async def test_an_opening_that_is_cancelled_does_not_read_to_the_end(path: Path) -> None:
    async with opened(path) as journal:
        for index in range(3_000):
            await journal.outcome(index, item(index), INVITED, durable=False)
    read: list[int] = []
    given_up = threading.Event()
    real, real_close = file.link, writer.Writer.close

    def link(*row: Any) -> bytes:
        read.append(row[1])
        assert given_up.wait(60)
        return real(*row)

    def close(self: writer.Writer) -> None:
        real_close(self)
        given_up.set()

    journal = Journal(path)
    with pytest.MonkeyPatch.context() as patched, anyio.CancelScope() as scope:
        patched.setattr(reading, "link", link)
        patched.setattr(writer.Writer, "close", close)
        scope.cancel()
        await journal.open(verb=VERB, origin=ORIGIN, userid=USERID)
    assert len(read) == 1_000
    async with opened(path) as journal:
        assert await journal.history(2_999, item(2_999)) is not None


async def test_it_can_be_used_while_it_is_open_only(path: Path) -> None:
    journal = Journal(path)
    await journal.aclose()
    assert (journal.path, repr(journal)) == (path, f"Journal('{path}', closed)")
    await journal.open(verb=VERB, origin=ORIGIN, userid=USERID)
    assert repr(journal) == f"Journal('{path}', open)"
    await journal.aclose()
    await journal.aclose()
    for call in (
        journal.intent(0, item(0), send=1),
        journal.outcome(0, item(0), INVITED, durable=False),
        journal.history(0, item(0)),
    ):
        with pytest.raises(UsageError, match="not open"):
            await call
    await journal.open(verb=VERB, origin=ORIGIN, userid=USERID)
    await journal.aclose()


async def test_nothing_is_taken_any_more_once_it_is_being_closed(path: Path) -> None:
    async with opened(path) as journal, anyio.create_task_group() as tasks:
        tasks.start_soon(journal.aclose)
        tasks.start_soon(journal.aclose)
        while not journal._opened()._closing:
            await anyio.lowlevel.checkpoint()
        with pytest.raises(UsageError, match="not open"):
            await journal.intent(0, item(0), send=1)
    assert outcomes(path) == {}


async def test_text_that_cannot_be_stored_harms_nothing(path: Path) -> None:
    async with opened(path) as journal:
        with pytest.raises(InvalidInputError):
            await journal.intent(0, "\ud800", send=1)
        await journal.intent(1, "Zoë \0 \U0001f600", send=1)
    async with opened(path) as journal:
        assert await journal.history(0, "") is None
        assert await journal.history(1, "Zoë \0 \U0001f600") is not None


async def test_one_that_was_not_closed_says_so(path: Path) -> None:
    journal = Journal(path)
    await journal.open(verb=VERB, origin=ORIGIN, userid=USERID)
    await journal.intent(0, item(0), send=1)
    thread = journal._opened().thread
    with pytest.warns(ResourceWarning, match=r"run\.sqlite was not closed"):
        journal = Journal(path)  # and the one before is nobody's
    await anyio.to_thread.run_sync(thread.join)
    assert outcomes(path) == {0: "in_doubt"}


def test_one_whose_loop_is_gone_can_be_closed_by_another(path: Path, anyio_backend: str) -> None:
    journal = Journal(path)

    async def begin() -> None:
        await journal.open(verb=VERB, origin=ORIGIN, userid=USERID)
        await journal.outcome(0, item(0), INVITED, durable=False)

    anyio.run(begin, backend=anyio_backend)
    anyio.run(journal.aclose, backend=anyio_backend)
    assert outcomes(path) == {0: "invited"}
