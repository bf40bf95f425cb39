"""The report of a run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from journals import INVITED, ORIGIN, USERID, VERB, folder, item, opened

from aioconnections import (
    BadRequestError,
    Duplicate,
    Failed,
    InvalidInputError,
    JournalError,
    Rejected,
    Tally,
    UsageError,
    Userid,
)
from aioconnections.journal import RecordedItem, report
from aioconnections.journal.stored import to_stored

AT = datetime.fromtimestamp(1_000.0, UTC)
BARE = {
    "attempts": 0,
    "elapsed_ms": 0.0,
    "waited_ms": 0.0,
    "error": None,
    "intent_at": None,
    "outcome_at": AT.isoformat(),
}


@pytest.fixture
def path(path: Path) -> Path:
    """A journal with one of each kind."""

    async def run() -> None:
        async with opened(path, wall=1_000.0) as journal:
            await journal.intent(3, item(3), send=1)
            await journal.outcome(3, item(3), INVITED, durable=False)
            await journal.intent(1, item(1), send=1)
            rejected = Rejected(BadRequestError(400, "CLFRN1172E", "no such person"))
            await journal.outcome(0, item(0), to_stored(rejected), durable=False)
            await journal.outcome(5, "{}", to_stored(Failed(InvalidInputError("empty"))), durable=False)
            await journal.outcome(7, item(7), to_stored(Duplicate(3, person=Userid("20000001"))), durable=False)

    anyio.run(run)
    return path


def test_rows_come_by_index_with_their_columns(path: Path) -> None:
    def ids(number: int) -> dict[str, str]:
        return {"source_email": f"person{number}@example.com", "target_userid": f"u-{number}"}

    with report(path) as run:
        rows = [row.as_dict() for row in run.rows()]
    assert rows == [
        {
            "index": 0,
            "outcome": "rejected",
            **ids(0),
            **BARE,
            "error": "BadRequestError: HTTP 400: CLFRN1172E: no such person",
        },
        {
            "index": 1,
            "outcome": "in_doubt",
            **ids(1),
            **BARE,
            "error": "the run ended before the outcome was recorded",
            "intent_at": AT.isoformat(),
            "outcome_at": None,
        },
        {
            "index": 3,
            "outcome": "invited",
            **ids(3),
            "connection_id": "c1",
            "attempts": 1,
            "elapsed_ms": 250.0,
            "waited_ms": 500.0,
            "error": None,
            "intent_at": AT.isoformat(),
            "outcome_at": AT.isoformat(),
        },
        {"index": 5, "outcome": "failed", **BARE, "error": "InvalidInputError: empty"},
        {"index": 7, "outcome": "duplicate", **ids(7), "duplicate_of": 3, **BARE},
    ]
    assert json.loads(json.dumps(rows)) == rows


def test_it_says_which_run_it_was(path: Path) -> None:
    with report(path) as run:
        assert (run.verb, run.origin, run.userid, run.created) == (VERB, ORIGIN, USERID, AT)
        assert run.tally == Tally(read=5, invited=1, in_doubt=1, rejected=1, failed=1, duplicate=1)
        assert "person" not in repr(run)
        first = next(run.rows())
        assert isinstance(first, RecordedItem)
        assert len(list(run.rows())) == 5, "rows can be read again"


def test_an_iterator_that_is_kept_does_not_keep_the_journal_locked(path: Path) -> None:
    async def run() -> None:
        async with opened(path):
            pass

    with report(path) as told:
        rows = told.rows()
        next(rows)
    anyio.run(run)
    with pytest.raises(JournalError, match="closed"):
        next(rows)


def test_nothing_is_changed_and_nothing_is_left_behind(path: Path) -> None:
    before = folder(path)
    with report(path) as run:
        list(run.rows())
    assert folder(path) == before == {path.name: path.read_bytes()}


def test_the_log_of_a_run_that_was_killed_is_read_and_left_as_it_is(path: Path) -> None:
    async def run() -> None:
        async with opened(path) as journal:
            await journal.intent(9, item(9), send=1)
            files.update(folder(path))

    files: dict[str, bytes] = {}
    anyio.run(run)
    for name, content in files.items():
        path.with_name(name).write_bytes(content)
    assert len(files[f"{path.name}-wal"]) > 4096
    with report(path) as told:
        assert [row.index for row in told.rows()] == [0, 1, 3, 5, 7, 9]
    assert folder(path) == files


def test_a_closed_report_reads_nothing(path: Path) -> None:
    run = report(path)
    run.close()
    run.close()
    with pytest.raises(UsageError, match="closed"):
        list(run.rows())
    assert run.tally.read == 5
