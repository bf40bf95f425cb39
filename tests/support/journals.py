"""Journals for tests: opening them, and reading them as plain values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio

from aioconnections import Email, Journal, Pair, Userid
from aioconnections.journal import StoredOutcome, report
from aioconnections.journal.items import item_reference
from aioconnections.journal.stored import ItemHistory

VERB, ORIGIN, USERID = "invite", "https://connections.example.com", "u1"


@asynccontextmanager
async def opened(
    path: Path, *, verb: str = VERB, origin: str = ORIGIN, userid: str | None = USERID, wall: float | None = None
) -> AsyncIterator[Journal]:
    """A journal that is open within the block, with its clock fixed at `wall` if that is given."""
    journal = Journal(path)
    if wall is not None:
        journal._wall = lambda: wall  # the clock attribute is replaced only in tests
    await journal.open(verb=verb, origin=origin, userid=userid)
    try:
        yield journal
    finally:
        await journal.aclose()


def open_once(
    path: Path, *, backend: str = "asyncio", verb: str = VERB, origin: str = ORIGIN, userid: str | None = USERID
) -> None:
    """Open and close a journal in a new event loop."""

    async def run() -> None:
        async with opened(path, verb=verb, origin=origin, userid=userid):
            pass

    anyio.run(run, backend=backend)


def folder(path: Path) -> dict[str, bytes]:
    """Content by name of all files in the journal's folder, except its lock, which is never removed."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir() if file.suffix != ".lock"}


def pair(number: int) -> Pair:
    """Pair `number` of many."""
    return Pair(Email(f"person{number}@example.com"), Userid(f"u-{number}"))


def item(number: int) -> str:
    """The journal text of pair `number`."""
    return item_reference(pair=pair(number))


def log_of(path: Path) -> Path:
    """Path of the write-ahead log of a journal."""
    return path.with_name(f"{path.name}-wal")


def history_of(
    said: StoredOutcome | None,
    sends: int = 0,
    intent_at: float | None = None,
    age: float | None = None,
    *,
    at: float | None,
) -> ItemHistory:
    """The history of an item, recorded at wall-clock time `at`."""
    return ItemHistory(said, sends, intent_at, age, None if at is None else datetime.fromtimestamp(at, UTC))


def outcomes(path: Path) -> dict[int, str]:
    """Names of the outcomes by index."""
    with report(path) as run:
        return {row.index: row.outcome for row in run.rows()}


INVITED = StoredOutcome("invited", '{"connection_id":"c1"}', 1, 0.25, 0.5)
