"""Rows of parts in any order become the rows of the input in its order, and nothing is lost without a word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aioconnections.cluster.merging import Account, Entry, Ranges, Run, merged, sorted_runs, whole
from aioconnections.errors import InvalidInputError

ADDED = ("status", "http_status", "error")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioconnections.cluster.merging._PIECE", 4)
    monkeypatch.setattr("aioconnections.cluster.merging._MOST_OPEN", 3)


def entry(number: int, part: int = 0, status: str | None = "accepted", **row: object) -> Entry:
    return number, part, {"name": "x", "status": status, "http_status": 200, "error": None} | row


def run_of(*entries: Entry) -> Run:
    return lambda: iter(entries)


@settings(max_examples=settings().max_examples // 4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.integers(1, 30), max_size=20), max_size=9))
def test_runs_are_merged_in_order(tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]]) -> None:
    folder = tmp_path_factory.mktemp("runs")
    entries = [[entry(number, part, "ä\r\n😀") for number in numbers] for part, numbers in enumerate(parts)]
    runs = [run for part in entries for run in sorted_runs(part, folder)]
    assert [*merged(runs, folder)] == sorted((one for part in entries for one in part), key=lambda one: one[0])


def test_an_ascending_run_is_read_one_by_one(tmp_path: Path) -> None:
    asked: list[int] = []

    def run(part: int) -> Run:
        def entries() -> Iterator[Entry]:
            for number in range(part, 100, 2):
                asked.append(number)
                yield entry(number, part)

        return entries

    rows = merged([run(1), run(2)], tmp_path)
    assert [next(rows)[0] for _ in range(10)] == [*range(1, 11)]
    assert len(asked) <= 12
    assert [*tmp_path.iterdir()] == []


def account(rows: int) -> Account:
    return Account(rows, ["a.csv", "b.csv"], ADDED)


def test_each_row_once_is_good() -> None:
    found = account(3)
    rows = [*whole(iter([entry(1), entry(2, 1, "none"), entry(3)]), found)]
    assert [row["status"] for row in rows] == ["accepted", "none", "accepted"]
    assert found.good
    assert found.outcomes == {"accepted": 2, "none": 1}


def test_missing_rows_are_named() -> None:
    found = account(12)
    assert len([*whole(iter([entry(2), entry(3), entry(7)]), found)]) == 3
    assert (found.missing.count, str(found.missing), found.good) == (9, "1, 4-6, 8-12", False)
    found = account(2)
    assert [*whole(iter(()), found)] == []
    assert str(found.missing) == "1-2"
    found = account(3)
    assert len([*whole(iter([entry(1), entry(2)]), found)]) == 2
    assert str(found.missing) == "3"
    assert [*whole(iter(()), account(0))] == []
    assert account(0).good


def test_the_same_row_twice_is_written_once() -> None:
    found = account(2)
    copies = [entry(1, http_status=1), entry(1, 1, http_status=2, error="x"), entry(2)]
    rows = [*whole(iter(copies), found)]
    assert rows == [copies[0][2], copies[2][2]]
    assert (str(found.twice), found.disputed.count, found.undone.count, found.good) == ("1", 0, 0, False)


@pytest.mark.parametrize("status", [None, ""])
def test_a_copy_with_an_outcome_takes_precedence(status: str | None) -> None:
    found = account(2)
    copies = [entry(1, 0, status, error="lost"), entry(1, 1, "none"), entry(2, 0, status), entry(2, 1, status)]
    rows = [*whole(iter(copies), found)]
    assert rows == [copies[1][2], copies[2][2]]
    assert (str(found.twice), found.disputed.count, str(found.undone), found.outcomes) == ("1-2", 0, "2", {"none": 1})


def test_contradictory_copies_have_no_outcome() -> None:
    found = account(1)
    (row,) = whole(iter([entry(1), entry(1, 1, "none"), entry(1, 1, "none")]), found)
    problem = "the parts contradict each other: accepted in a.csv, none in b.csv; check the row again"
    assert row == {"name": "x", "status": None, "http_status": None, "error": problem}
    assert (str(found.disputed), str(found.twice), found.undone.count, found.good) == ("1", "1", 0, False)
    assert not found.outcomes


def test_copies_with_other_columns_contradict_each_other() -> None:
    found = account(1)
    (row,) = whole(iter([entry(1), entry(1, 1, name="y")]), found)
    assert row["status"] is None
    assert found.disputed.count == 1


def test_a_part_that_changes_meanwhile_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="a part has changed while it was read; merge the parts again"):
        [*whole(iter([entry(2), entry(1)]), account(2))]


@given(st.lists(st.integers(1, 60), unique=True).map(sorted))
def test_ranges_count_all_and_show_the_first(numbers: list[int]) -> None:
    one_by_one, ranges = Ranges(), [0, *numbers]
    for number in numbers:
        one_by_one.add(number)
    starts = [after for before, after in zip(ranges, numbers, strict=False) if after != before + 1 or before == 0]
    shown = str(one_by_one).split(", ") if numbers else []
    assert one_by_one.count == len(numbers)
    assert [int(part.partition("-")[0]) for part in shown if part != "…"] == starts[:5]
    assert ("…" in shown) is (len(starts) > 5)


def test_long_ranges() -> None:
    ranges = Ranges()
    ranges.add(1, 1_500)
    ranges.add(1_501, 2_000)
    ranges.add(3_000)
    assert (ranges.count, str(ranges)) == (2_001, "1-2000, 3000")
