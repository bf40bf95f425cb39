"""Journals for tests: one way to open them, and what they hold as plain values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio

from aioconnections import Email, Journal, Pair, Userid
from aioconnections.journal import Past, Said, item_text, report

VERB, ORIGIN, USERID = "invite", "https://connections.example.com", "u1"


@asynccontextmanager
async def opened(
    path: Path, *, verb: str = VERB, origin: str = ORIGIN, userid: str | None = USERID, wall: float | None = None
) -> AsyncIterator[Journal]:
    """A journal that is open within the block; at a time that stands still, if one is given."""
    journal = Journal(path)
    if wall is not None:
        journal._wall = lambda: wall  # its clock for tests
    await journal.open(verb=verb, origin=origin, userid=userid)
    try:
        yield journal
    finally:
        await journal.aclose()


def open_once(
    path: Path, *, backend: str = "asyncio", verb: str = VERB, origin: str = ORIGIN, userid: str | None = USERID
) -> None:
    """Open a journal and close it, in a loop of its own."""

    async def run() -> None:
        async with opened(path, verb=verb, origin=origin, userid=userid):
            pass

    anyio.run(run, backend=backend)


def folder(path: Path) -> dict[str, bytes]:
    """What stands beside a journal, and the journal, but for its lock, which is never removed."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir() if file.suffix != ".lock"}


def pair(number: int) -> Pair:
    """One of many pairs."""
    return Pair(Email(f"person{number}@example.com"), Userid(f"u-{number}"))


def item(number: int) -> str:
    """The text of that pair."""
    return item_text(pair=pair(number))


def log_of(path: Path) -> Path:
    """The log of a journal."""
    return path.with_name(f"{path.name}-wal")


def past_of(
    said: Said | None, sends: int = 0, intent_at: float | None = None, age: float | None = None, *, at: float | None
) -> Past:
    """What was recorded `at` that time by the wall clock."""
    return Past(said, sends, intent_at, age, None if at is None else datetime.fromtimestamp(at, UTC))


def outcomes(path: Path) -> dict[int, str]:
    """The name of the outcome by index."""
    with report(path) as run:
        return {row.index: row.outcome for row in run.rows()}


INVITED = Said("invited", '{"connection_id":"c1"}', 1, 0.25, 0.5)
