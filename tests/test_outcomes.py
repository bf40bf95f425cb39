"""One record per item, and a count that always adds up."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from aioconnections import (
    Accepted,
    AlreadyExists,
    BadRequestError,
    Checked,
    Connected,
    Connection,
    Duplicate,
    Email,
    Failed,
    InDoubt,
    InDoubtError,
    InvalidInputError,
    Invited,
    Key,
    Listed,
    Outcome,
    Pair,
    Person,
    Profile,
    Rejected,
    Removed,
    Resolved,
    Status,
    Tally,
    Unprocessed,
    Userid,
)
from aioconnections.outcomes import Count

PAIR = Pair(Email("a@example.com"), Key("k"))
KINDS = ("email", "userid", "key")
EMPTY = dict.fromkeys(
    [
        *(f"{role}{kind}" for role in ("source_", "target_", "") for kind in KINDS),
        *(
            "status",
            "via",
            "age_ms",
            "was",
            "connection_id",
            "duplicate_of",
            "name",
            "found_userid",
            "found_key",
            "found_email",
            "connections",
            "error",
        ),
    ]
)
COST = {"attempts": 0, "elapsed_ms": 0.0, "waited_ms": 0.0, "replayed": False, "recorded_at": None}


def outcomes_of_every_kind() -> list[Outcome]:
    return [
        *(Checked(status, index=0, item=PAIR, pair=PAIR) for status in (*Status, None)),
        Checked(None, index=0, item=PAIR, pair=PAIR, via="duplicate", of=7),
        Checked(None, index=0, item=PAIR, pair=PAIR, via="cache", age=1.25),
        Rejected(BadRequestError(400, None, "Bad Request"), index=1, item=PAIR, pair=PAIR),
        Failed(InvalidInputError("an identity must not be empty"), index=2, item=""),
        Unprocessed("the server refused the login", index=3, item=PAIR, pair=PAIR),
        Duplicate(0, index=4, item=Key("k"), person=Key("k")),
        Invited("c1", index=5, person=Key("k")),
        AlreadyExists(index=6),
        Accepted(index=7),
        Connected("c2", index=8, pair=PAIR),
        Removed(Status.PENDING, index=9),
        InDoubt(InDoubtError("lost"), index=10),
        Resolved(Profile(Person(name="Ann", email=Email("ann@example.com"))), index=11, person=Key("k")),
        Listed((Connection("c1", Status.ACCEPTED, Person(), Person()),), index=12),
    ]


def test_a_row_for_each_kind() -> None:
    pair = {"source_email": "a@example.com", "target_key": "k"}
    rows = [outcome.as_dict() for outcome in outcomes_of_every_kind()]
    refused, invalid = "BadRequestError: HTTP 400: Bad Request", "InvalidInputError: an identity must not be empty"
    expected: list[dict[str, object]] = [
        {"index": 0, "outcome": "checked", **pair, "status": "accepted", "via": "head"},
        {"index": 0, "outcome": "checked", **pair, "status": "pending", "via": "head"},
        {"index": 0, "outcome": "checked", **pair, "status": "unconfirmed", "via": "head"},
        {"index": 0, "outcome": "checked", **pair, "status": "none", "via": "head"},
        {"index": 0, "outcome": "checked", **pair, "status": "none", "via": "duplicate", "duplicate_of": 7},
        {"index": 0, "outcome": "checked", **pair, "status": "none", "via": "cache", "age_ms": 1250.0},
        {"index": 1, "outcome": "rejected", **pair, "error": refused},
        {"index": 2, "outcome": "failed", "error": invalid},
        {"index": 3, "outcome": "unprocessed", **pair, "error": "the server refused the login"},
        {"index": 4, "outcome": "duplicate", "key": "k", "duplicate_of": 0},
        {"index": 5, "outcome": "invited", "key": "k", "connection_id": "c1"},
        {"index": 6, "outcome": "already_exists"},
        {"index": 7, "outcome": "accepted"},
        {"index": 8, "outcome": "connected", **pair, "connection_id": "c2"},
        {"index": 9, "outcome": "removed", "was": "pending"},
        {"index": 10, "outcome": "in_doubt", "error": "InDoubtError: lost"},
        {
            "index": 11,
            "outcome": "resolved",
            "key": "k",
            "via": "single",
            "name": "Ann",
            "found_email": "ann@example.com",
        },
        {"index": 12, "outcome": "listed", "connections": 1},
    ]
    assert rows == [EMPTY | row | COST for row in expected]
    repeated = Resolved(index=11, person=Key("k"), via="duplicate", of=3).as_dict()
    same = {"index": 11, "outcome": "resolved", "key": "k", "via": "duplicate", "duplicate_of": 3}
    assert repeated == EMPTY | same | COST
    assert len({tuple(row) for row in rows}) == 1, "every class has the same keys in the same order"
    assert json.loads(json.dumps(rows)) == rows


def of_type(kind: type[object], value: object) -> bool:
    return value is None or type(value) is kind


def test_the_columns_have_one_order_and_one_type_each() -> None:
    """An enumeration would be an object of its own in some tables, and an integer in one row a fraction in another."""
    for outcome in outcomes_of_every_kind():
        row = outcome.as_dict()
        assert list(row) == list(Outcome.COLUMNS)
        assert all(of_type(kind, row[name]) for name, kind in Outcome.COLUMNS.items()), row


def many_rows() -> list[dict[str, Any]]:
    """The first failure comes late, after the rows from which polars would guess the types."""
    late = [evolve(outcome, index=n) for n, outcome in enumerate(outcomes_of_every_kind(), start=150)]
    return [outcome.as_dict() for outcome in (*[Checked(None, pair=PAIR)] * 150, *late)]


def test_pyarrow_makes_a_table_of_outcomes() -> None:
    pa = pytest.importorskip("pyarrow")
    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in Outcome.COLUMNS.items()])
    rows = many_rows()
    for table in (pa.Table.from_pylist(rows), pa.Table.from_pylist(rows, schema=schema)):
        assert table.to_pylist() == rows
    guessed = pa.Table.from_pylist(rows).schema
    known = [field for field in guessed if not pa.types.is_null(field.type)]
    assert known == [schema.field(field.name) for field in known]


def test_polars_makes_a_table_of_outcomes() -> None:
    pl = pytest.importorskip("polars")
    rows = many_rows()
    table = pl.DataFrame(rows, schema=dict(Outcome.COLUMNS))
    assert table.to_dicts() == rows
    assert pl.DataFrame(rows, infer_schema_length=None).to_dicts() == rows
    assert table.filter(pl.col("status") == "none").height == 153


def test_pandas_makes_a_table_of_outcomes() -> None:
    pd = pytest.importorskip("pandas")
    rows = many_rows()
    table = pd.DataFrame(rows)
    assert list(table.columns) == list(Outcome.COLUMNS)
    back = [
        {name: None if pd.isna(value) else value for name, value in row.items()} for row in table.to_dict("records")
    ]
    assert back == rows
    assert (table["status"] == "none").sum() == 153


def test_figures_are_kept() -> None:
    outcome = Checked(None, index=7, item="x", pair=PAIR, attempts=2, elapsed=1.5, waited=0.25, replayed=True)
    row = outcome.as_dict()
    assert [row[name] for name in COST] == [2, 1500.0, 250.0, True, None]


def test_an_outcome_says_nothing_by_itself() -> None:
    assert Outcome(index=0, item=None).as_dict() == {"index": 0, "outcome": "outcome"} | EMPTY | COST


@pytest.mark.parametrize("outcome", outcomes_of_every_kind(), ids=lambda outcome: type(outcome).__name__)
def test_outcomes_can_be_pickled(outcome: Outcome) -> None:
    twin: Outcome = pickle.loads(pickle.dumps(outcome))  # noqa: S301 # our own
    assert twin.as_dict() == outcome.as_dict()


def test_a_tally_of_every_kind() -> None:
    tally = Tally.of(outcomes_of_every_kind())
    assert tally == Tally(
        read=18,
        checked=6,
        invited=1,
        already_exists=1,
        accepted=1,
        removed=1,
        connected=1,
        resolved=1,
        listed=1,
        duplicate=1,
        in_doubt=1,
        rejected=1,
        failed=1,
        unprocessed=1,
        status_accepted=1,
        status_pending=1,
        status_unconfirmed=1,
        status_none=3,
        via_duplicate=1,
        via_cache=1,
    )
    assert tally.by_status == {Status.ACCEPTED: 1, Status.PENDING: 1, Status.UNCONFIRMED: 1, None: 3}
    assert not tally.good
    assert tally.as_dict()["status_pending"] == 1


def test_a_duplicate_is_no_failure() -> None:
    tally = Tally.of([Invited("c1", person=Key("k")), Duplicate(0, index=1, person=Key("k"))])
    assert (tally.read, tally.invited, tally.duplicate, tally.good) == (2, 1, 1, True)


def test_a_tally_of_nothing_is_good() -> None:
    assert Tally.of([]) == Tally()
    assert Tally().good


@given(st.lists(st.sampled_from(outcomes_of_every_kind())), st.integers(0, 9))
def test_a_tally_adds_up_at_any_moment(outcomes: list[Outcome], in_flight: int) -> None:
    count = Count()
    for outcome in outcomes:
        count.add(outcome)
    tally = count.tally(len(outcomes) + in_flight)
    assert tally.in_flight == in_flight
    parts = {"read", "doubtful", *(name for name in tally.as_dict() if name.startswith(("status_", "via_")))}
    classes = {name: count for name, count in tally.as_dict().items() if name not in parts}
    assert tally.read == sum(classes.values())
    assert sum(tally.by_status.values()) == tally.checked
    bad = ("in_flight", "in_doubt", "rejected", "failed", "unprocessed")
    assert tally.good == (not any(classes[name] for name in bad))


def test_a_pair_of_userids_has_its_own_columns() -> None:
    pair = Pair(Userid("u"), Userid("v"))
    row = Checked(None, index=0, item=pair, pair=pair).as_dict()
    assert (row["source_userid"], row["target_userid"]) == ("u", "v")
