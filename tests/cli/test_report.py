"""What the report of a journal says, and that it needs no more memory for more of it."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from journals import opened, pair

from aioconnections import Checked, Duplicate, Email, InDoubt, InDoubtError, Invited
from aioconnections.journal.items import item_reference
from aioconnections.journal.stored import to_stored
from aioconnections.outcomes import Outcome
from aioconnections.records import Status

Command = Callable[..., Any]

AFTER = ["attempts", "elapsed_ms", "waited_ms", "error", "intent_at", "outcome_at"]


def record(*entries: tuple[int, str, Outcome | None], verb: str = "invite") -> Path:
    """A journal with an intent and, unless it is None, an outcome for each of the entries."""

    async def write() -> None:
        async with opened(Path("j.sqlite"), verb=verb, wall=1_700_000_000.0) as journal:
            for index, item, outcome in entries:
                if verb != "check":
                    await journal.intent(index, item, send=1)
                if outcome is not None:
                    await journal.outcome(index, item, to_stored(outcome), durable=False)

    anyio.run(write)
    return Path("j.sqlite")


ANN = Email("ann@example.com")


def person(number: int) -> str:
    return item_reference(person=Email(f"person{number}@example.com"), digest="d1")


def test_every_item_is_a_row_in_the_order_of_the_input(command: Command) -> None:
    doubt = InDoubt(InDoubtError("nobody knows"), attempts=2)
    record(
        (3, person(3), None),
        (1, person(1), Invited("c1", attempts=1, elapsed=0.25, waited=0.5, person=ANN)),
        (0, person(0), doubt),
        (2, person(2), Duplicate(1, person=ANN)),
    )
    said = command("report", "j.sqlite")
    assert said.code == 1
    assert list(said.rows[0]) == [
        "index",
        "email",
        "message_digest",
        "outcome",
        "connection_id",
        "duplicate_of",
        *AFTER,
    ]
    assert [row["index"] for row in said.rows] == ["0", "1", "2", "3"]
    assert [row["outcome"] for row in said.rows] == ["in_doubt", "invited", "duplicate", "in_doubt"]
    assert [row["duplicate_of"] for row in said.rows] == ["", "", "1", ""]
    assert [row["error"] for row in said.rows] == [
        "InDoubtError: nobody knows",
        "",
        "",
        "the run ended before the outcome was recorded",
    ]
    assert said.rows[1] | {"outcome_at": "?"} == {
        "index": "1",
        "email": "person1@example.com",
        "message_digest": "d1",
        "outcome": "invited",
        "connection_id": "c1",
        "duplicate_of": "",
        "attempts": "1",
        "elapsed_ms": "250.0",
        "waited_ms": "500.0",
        "error": "",
        "intent_at": "2023-11-14T22:13:20+00:00",
        "outcome_at": "?",
    }
    assert said.err == (
        "invite at https://connections.example.com as u1, begun 2023-11-14 22:13:20 UTC: "
        "4 read: 1 invited, 1 duplicate, 2 in doubt\n"
    )


def test_a_person_who_comes_twice_is_no_failure(command: Command) -> None:
    record((0, person(0), Invited("c1", person=ANN)), (1, person(0), Duplicate(0, person=ANN)))
    said = command("report", "j.sqlite")
    assert said.code == 0
    assert said.err.endswith(" UTC: 2 read: 1 invited, 1 duplicate\n")


def test_json_lines_have_the_columns_of_each_row(command: Command) -> None:
    record((0, person(0), Invited("c1", person=ANN)), (1, item_reference(ref=("connection_id", "c2")), None))
    first, second = map(json.loads, command("report", "j.sqlite", "--json").out.splitlines())
    assert list(first) == ["index", "email", "message_digest", "outcome", "connection_id", *AFTER]
    assert list(second) == ["index", "connection_id", "outcome", *AFTER]
    assert (first["elapsed_ms"], second["error"]) == (0.0, "the run ended before the outcome was recorded")


def test_a_check_has_its_status_and_is_counted_by_it(command: Command) -> None:
    found = (Status.ACCEPTED, None, None)
    entries = [(n, item_reference(pair=pair(n)), Checked(status, pair=pair(n))) for n, status in enumerate(found)]
    record(*entries, verb="check")
    said = command("report", "j.sqlite", "-o", "report.csv")
    assert (said.code, said.out) == (0, "")
    header, *lines = Path("report.csv").read_text("utf-8").splitlines()
    assert header == ",".join(["index", "source_email", "target_userid", "outcome", "status", *AFTER])
    assert [line.split(",")[4] for line in lines] == ["accepted", "none", "none"]
    assert "UTC: 3 read: 3 checked (1 accepted, 2 none)\n" in said.err


def test_a_run_that_read_nothing(command: Command) -> None:
    record()
    said = command("report", "j.sqlite")
    assert (said.code, said.rows) == (0, [])
    assert said.err.endswith("UTC: 0 read\n")


def test_a_damaged_journal_is_said_so_in_a_line(command: Command) -> None:
    path = record(*((n, person(n), Invited("c1", person=ANN)) for n in range(20)))
    path.write_bytes(path.read_bytes().replace(b"person7@", b"person8@"))
    said = command("report", "j.sqlite")
    assert (said.code, said.out) == (2, "")
    assert said.err == "aioconnections: the journal j.sqlite is damaged: its rows were changed or removed\n"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_memory_does_not_grow_with_the_journal(command: Command, form: str) -> None:
    peaks: list[int] = []
    for count in (500, 5_000):
        path = record(
            *((n, item_reference(pair=pair(n)), Checked(None, pair=pair(0))) for n in range(count)), verb="check"
        )
        tracemalloc.start()
        assert command("report", path, "--format", form, "-o", "report").code == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        path.unlink()
    assert peaks[1] < peaks[0] + 500_000  # one row more costs less than 100 bytes
