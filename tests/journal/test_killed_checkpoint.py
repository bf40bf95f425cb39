"""A process may be killed while SQLite copies its log into the file: then the file alone makes no sense."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aioconnections.journal import Journal, report
from aioconnections.journal.items import item_reference
from aioconnections.journal.stored import to_stored
from aioconnections.outcomes import Checked
from aioconnections.records import Pair, Userid

pytestmark = pytest.mark.anyio
BOUND = {"verb": "check", "origin": "https://connections.example.com", "userid": None}
COUNT = 300
PAGE = 4096


async def test_a_journal_that_was_killed_in_a_checkpoint_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    journal = Journal(path)
    await journal.open(**BOUND)  # type: ignore[arg-type] # the names are the right ones
    for index in range(COUNT):
        pair = Pair(Userid(f"a{index}"), Userid(f"b{index}"))
        await journal.outcome(
            index, item_reference(pair=pair), to_stored(Checked(None, pair=pair)), durable=index == COUNT - 1
        )
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (killed, whole):
        folder.mkdir()
        for rest in ("", "-wal"):
            shutil.copy(f"{path}{rest}", f"{folder / path.name}{rest}")
    await journal.aclose()
    with closing(sqlite3.connect(whole / path.name)) as db:
        assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    complete = (whole / path.name).read_bytes()
    with (killed / path.name).open("r+b") as file:  # the first page says how many there are, and the rest is missing
        file.write(complete[:PAGE])
    assert (killed / path.name).stat().st_size < len(complete)
    alone = sqlite3.connect(f"file:{killed / path.name}?immutable=1", uri=True)
    with closing(alone), pytest.raises(sqlite3.DatabaseError, match="malformed"):
        alone.execute("PRAGMA user_version")

    with report(killed / path.name) as run:
        assert run.tally.checked == COUNT
    again = Journal(killed / path.name)
    await again.open(**BOUND)  # type: ignore[arg-type] # likewise
    pair = Pair(Userid("a0"), Userid("b0"))
    past = await again.history(0, item_reference(pair=pair))
    assert past is not None
    assert past.finished
    await again.aclose()
