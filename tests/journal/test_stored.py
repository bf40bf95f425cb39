"""Every outcome comes back from what a journal keeps of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from attrs import evolve

from aioconnections import (
    Accepted,
    AlreadyExists,
    Checked,
    Connected,
    Connection,
    ConnectionsError,
    Duplicate,
    Email,
    Failed,
    InDoubt,
    Invited,
    JournalError,
    Listed,
    Outcome,
    Pair,
    Person,
    Profile,
    Rejected,
    Removed,
    Resolved,
    ServerError,
    Status,
    Unprocessed,
    UsageError,
    Userid,
    errors,
    outcomes,
)
from aioconnections.journal import StoredOutcome
from aioconnections.journal.stored import ItemHistory, checked_text, replay, stored_text, to_stored
from aioconnections.transport.lane import malformed

ERRORS: list[ConnectionsError] = [
    errors.ConnectionsError("m"),
    errors.InvalidInputError("an identity must not be empty"),
    errors.TransportError("m", sent="maybe", status=201),
    errors.ConnectFailedError("m"),
    errors.CertificateError("m"),
    errors.DeadlineError("m", sent="no"),
    errors.ProtocolError("m", sent="maybe"),
    errors.LocalLimitError("m"),
    malformed("m", 201),
    errors.ResponseError(418, None, "m"),
    errors.BadRequestError(400, "CLFRN1172E", "Zoë is unknown"),
    errors.AuthenticationError(401, None, "m"),
    errors.ForbiddenError(403, None, "m"),
    errors.NotFoundError(404, None, "m"),
    errors.ThrottledError(429, None, "m", 2.5),
    errors.ServerError(503, None, "m", None),
    errors.UnexpectedResponseError(200, None, "m"),
    errors.ForeignResponseError(404, None, "m"),
    errors.ProxyError("m", proxy="proxy.example.com:8080", status=407),
    errors.ServerUnavailableError("m"),
    errors.ClusterError("m"),
    errors.SharedStoreError("m", temporary=False),
    errors.OverloadedError("m"),
    errors.InDoubtError("m"),
    errors.AtomError("r", 1, 2, "entry"),
    errors.IncompleteListError(3, None),
    errors.InconsistentListsError(7),
    errors.JournalError("m"),
    errors.JournalLockedError("m"),
    errors.JournalBoundError("m"),
    errors.JournalMismatchError(3, "a", "b"),
    errors.JournalFinishedError("m"),
    errors.JournalLogMissingError("m"),
    errors.JournalDiskError("m"),
    errors.UsageError("m"),
]
ANN, BOB = Userid("20000001"), Userid("20000002")
PAIR = Pair(ANN, BOB)
ANN_LISTED = Person(userid=Userid("u1"), email=Email("ann@example.com"))
LIST = (
    Connection("c1", Status.ACCEPTED, ANN_LISTED, Person(userid=Userid("u2"), email=Email("bob@example.com"))),
    Connection("c2", Status.PENDING, ANN_LISTED, Person(email=Email("cy@example.com"))),
    Connection(None, None, ANN_LISTED, Person()),
)
OUTCOMES: list[Outcome] = [
    *(Checked(status, pair=PAIR) for status in (*Status, None)),
    *(Removed(status) for status in (*Status, None)),
    Invited("c1", person=BOB),
    Invited(None, person=BOB),
    AlreadyExists(),
    Accepted(),
    Connected(pair=PAIR),
    Connected("4f-b", pair=PAIR),
    Resolved(None, person=BOB),
    Listed(),
    Listed(LIST),
    Duplicate(3, person=BOB),
    Unprocessed("the run has ended"),
    *(kind(error) for kind in (Rejected, Failed, InDoubt) for error in ERRORS),
]


def again(outcome: Outcome) -> Outcome:
    said = StoredOutcome.from_text(to_stored(outcome).to_text())
    return replay(said, index=7, item="x", pair=PAIR, person=Email("a@example.com"))


def test_nothing_is_left_out() -> None:
    assert {type(error).__name__ for error in ERRORS} == {name for name in errors.__all__ if name.endswith("Error")}
    assert {type(outcome) for outcome in OUTCOMES} == set(Outcome.__subclasses__())
    assert len(Outcome.__subclasses__()) == len([name for name in outcomes.__all__ if name.endswith("ed")]) + 3


@pytest.mark.parametrize("outcome", OUTCOMES, ids=repr)
def test_an_outcome_comes_back(outcome: Outcome) -> None:
    given = evolve(
        outcome, index=7, item="x", pair=PAIR, person=Email("a@example.com"), attempts=2, elapsed=1.5, waited=0.25
    )
    twin = again(given)
    assert type(twin) is type(given)
    assert twin.as_dict() == given.as_dict() | {"replayed": True}
    if isinstance(given, Rejected | Failed | InDoubt):
        assert isinstance(twin, Rejected | Failed | InDoubt)
        assert type(twin.error) is type(given.error)
        assert (str(twin.error), vars(twin.error)) == (str(given.error), vars(given.error))
    else:
        assert twin == evolve(given, replayed=True)


def test_an_error_of_a_callers_own_becomes_the_nearest_of_ours() -> None:
    class MaintenanceError(ServerError):
        pass

    error = MaintenanceError(503, None, "back at noon", 60.0)
    error.add_note("a note")
    error.plan = object()  # type: ignore[attr-defined]
    twin = again(Failed(error))
    assert isinstance(twin, Failed)
    assert type(twin.error) is ServerError
    assert vars(twin.error) == {"status": 503, "code": None, "message": "back at noon", "retry_after": 60.0}


def test_what_is_no_outcome_of_ours_or_more_than_ids_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot store profiles"):
        to_stored(Resolved(Profile(Person()), person=BOB))
    with pytest.raises(UsageError, match="cannot store an outcome of class Outcome"):
        to_stored(Outcome())


def test_a_list_comes_back_without_what_is_more_than_ids() -> None:
    full = Connection(
        "c1",
        Status.ACCEPTED,
        evolve(ANN_LISTED, name="Ann"),
        Person(name="Bob", userid=Userid("u2"), state="active", external=False),
        message="Hello",
        title="Bob",
        updated=datetime(2026, 1, 31, tzinfo=UTC),
        self_href="https://connections.example.com/c1",
    )
    assert "Hello" not in stored_text(Listed((full,)))
    twin = again(Listed((full,)))
    assert isinstance(twin, Listed)
    assert twin.connections == (Connection("c1", Status.ACCEPTED, ANN_LISTED, Person(userid=Userid("u2"))),)


def test_what_a_newer_version_wrote_is_refused() -> None:
    with pytest.raises(JournalError, match="does not support: married"):
        replay(StoredOutcome("married"), index=0, item=None)
    detail = json.dumps({"error": {"class": "StarvedError", "text": "m", "attributes": {}}})
    with pytest.raises(JournalError, match="does not support: StarvedError"):
        replay(StoredOutcome("failed", detail), index=0, item=None)


@pytest.mark.parametrize(
    ("past", "finished", "in_doubt"),
    [
        *(
            (ItemHistory(StoredOutcome(name), 1, 1.0, 1.0), True, False)
            for name in ("checked", "invited", "already_exists")
        ),
        *(
            (ItemHistory(StoredOutcome(name), 1, 1.0, 1.0), True, False)
            for name in ("rejected", "accepted", "removed", "connected")
        ),
        (ItemHistory(StoredOutcome("resolved")), True, False),
        (ItemHistory(StoredOutcome("listed")), True, False),
        (ItemHistory(StoredOutcome("duplicate")), True, False),
        (ItemHistory(StoredOutcome("failed"), 1, 1.0, 1.0), False, False),
        (ItemHistory(StoredOutcome("unprocessed")), False, False),
        (ItemHistory(StoredOutcome("in_doubt"), 1, 1.0, 1.0), False, True),
        (ItemHistory(None, 1, 1.0, None), False, True),
        (ItemHistory(None), False, False),
    ],
)
def test_what_the_past_means(past: ItemHistory, finished: bool, in_doubt: bool) -> None:  # noqa: FBT001 # a table
    assert (past.finished, past.in_doubt) == (finished, in_doubt)


@pytest.mark.parametrize("status", [*Status, None])
@pytest.mark.parametrize(("elapsed", "waited"), [(0.0, 0.0), (0.0123456789, 1.5e-7), (59.9999995, 1234.5)])
def test_a_check_has_the_same_text_by_both_functions(status: Status | None, elapsed: float, waited: float) -> None:
    outcome = Checked(status, attempts=3, elapsed=elapsed, waited=waited, pair=PAIR)
    assert checked_text(status, 3, elapsed, waited) == to_stored(outcome).to_text()


@pytest.mark.parametrize(
    "outcome",
    [
        Invited(person=BOB),
        Invited("c-1", attempts=2, elapsed=1.23456789, waited=0.0000005, person=BOB),
        Invited('Zo\u00eb "\\\n', attempts=1, person=BOB),
        AlreadyExists(attempts=1, elapsed=0.5),
        Duplicate(3, person=BOB),
    ],
)
def test_the_fast_path_stores_the_same_text(outcome: Outcome) -> None:
    assert stored_text(outcome) == to_stored(outcome).to_text()
    assert replay(StoredOutcome.from_text(stored_text(outcome)), index=0, item=None).kind == outcome.kind
