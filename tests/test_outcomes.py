"""One record per item, and a count that always adds up."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections import (
    BadRequestError,
    Checked,
    Email,
    Failed,
    InvalidInputError,
    Key,
    Outcome,
    Pair,
    Rejected,
    Status,
    Tally,
    Unprocessed,
    Userid,
)
from aioconnections.outcomes import Count

PAIR = Pair(Email("a@example.com"), Key("k"))
SAID = {"attempts": 0, "elapsed": 0.0, "waited": 0.0, "replayed": False, "recorded_at": None}


def outcomes_of_every_kind() -> list[Outcome]:
    return [
        *(Checked(status, index=0, item=PAIR, pair=PAIR) for status in (*Status, None)),
        Rejected(BadRequestError(400, None, "Bad Request"), index=1, item=PAIR, pair=PAIR),
        Failed(InvalidInputError("an identity must not be empty"), index=2, item=""),
        Unprocessed("the server refused the login", index=3, item=PAIR, pair=PAIR),
    ]


def test_a_row_for_each_kind() -> None:
    pair = {"source_email": "a@example.com", "target_key": "k"}
    rows = [outcome.as_dict() for outcome in outcomes_of_every_kind()]
    assert rows == [
        {"index": 0, "outcome": "checked", **pair, "status": "accepted", **SAID},
        {"index": 0, "outcome": "checked", **pair, "status": "pending", **SAID},
        {"index": 0, "outcome": "checked", **pair, "status": "unconfirmed", **SAID},
        {"index": 0, "outcome": "checked", **pair, "status": None, **SAID},
        {"index": 1, "outcome": "rejected", **pair, "error": "BadRequestError: HTTP 400: Bad Request", **SAID},
        {"index": 2, "outcome": "failed", "error": "InvalidInputError: an identity must not be empty", **SAID},
        {"index": 3, "outcome": "unprocessed", **pair, "error": "the server refused the login", **SAID},
    ]
    assert json.loads(json.dumps(rows)) == rows


def test_figures_are_kept() -> None:
    outcome = Checked(None, index=7, item="x", pair=PAIR, attempts=2, elapsed=1.5, waited=0.25, replayed=True)
    row = outcome.as_dict()
    assert [row[name] for name in SAID] == [2, 1.5, 0.25, True, None]


def test_an_outcome_says_nothing_by_itself() -> None:
    assert Outcome(index=0, item=None).as_dict() == {"index": 0, "outcome": "outcome", **SAID}


@pytest.mark.parametrize("outcome", outcomes_of_every_kind(), ids=lambda outcome: type(outcome).__name__)
def test_outcomes_can_be_pickled(outcome: Outcome) -> None:
    twin: Outcome = pickle.loads(pickle.dumps(outcome))  # noqa: S301 # our own
    assert twin.as_dict() == outcome.as_dict()


def test_a_tally_of_every_kind() -> None:
    tally = Tally.of(outcomes_of_every_kind())
    assert tally == Tally(
        read=7,
        checked=4,
        rejected=1,
        failed=1,
        unprocessed=1,
        status_accepted=1,
        status_pending=1,
        status_unconfirmed=1,
        status_none=1,
    )
    assert tally.by_status == {Status.ACCEPTED: 1, Status.PENDING: 1, Status.UNCONFIRMED: 1, None: 1}
    assert not tally.good
    assert tally.as_dict()["status_pending"] == 1


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
    assert tally.read == tally.in_flight + tally.checked + tally.rejected + tally.failed + tally.unprocessed
    assert sum(tally.by_status.values()) == tally.checked
    assert tally.good == (tally.read == tally.checked)


def test_a_pair_of_userids_has_its_own_columns() -> None:
    pair = Pair(Userid("u"), Userid("v"))
    row = Checked(None, index=0, item=pair, pair=pair).as_dict()
    assert (row["source_userid"], row["target_userid"]) == ("u", "v")
