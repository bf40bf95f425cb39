"""Which failures would come for every item, and how many of them are enough."""

from __future__ import annotations

import pytest

from aioconnections.errors import (
    AtomError,
    BadRequestError,
    CertificateError,
    ConnectFailedError,
    ConnectionsError,
    DeadlineError,
    ForbiddenError,
    InDoubtError,
    InvalidInputError,
    LocalLimitError,
    NotFoundError,
    ProtocolError,
    ServerError,
    ThrottledError,
    TransportError,
    UnexpectedResponseError,
)
from aioconnections.policy.repeats import RepeatedFailures


def deterministic(error: TransportError) -> TransportError:
    error.deterministic = True
    return error


FOR_ALL = [
    deterministic(ProtocolError("no HTTP", sent="maybe")),
    deterministic(ProtocolError("no HTTP", sent="maybe", status=200)),
    deterministic(ConnectFailedError("no TLS")),
    CertificateError("not trusted"),
    LocalLimitError("no descriptor is left"),
    AtomError("not well-formed", 1, 0),
    AtomError("not well-formed", 1, 0, "html"),
    UnexpectedResponseError(405, None, "no such method"),
    UnexpectedResponseError(302, None, "in a circle"),
    ServerError(501, None, "not implemented"),
]
ABOUT_AN_ITEM = [
    ProtocolError("broke off", sent="maybe"),
    ConnectFailedError("refused"),
    DeadlineError("late", sent="maybe"),
    AtomError("the connection has no id"),
    BadRequestError(400, "CLFRN1172E", "no such person"),
    ForbiddenError(403, None, "not allowed"),
    NotFoundError(404, None, "no such invitation"),
    UnexpectedResponseError(409, None, "a conflict"),
    UnexpectedResponseError(200, None, "the response contains no connection"),
    ServerError(500, None, "a defect"),
    ServerError(503, None, "too busy"),
    ThrottledError(429, None, "too much"),
    InDoubtError("unknown"),
    InvalidInputError("no person"),
]


@pytest.mark.parametrize("error", FOR_ALL, ids=repr)
def test_the_fifth_of_a_kind_is_enough(error: ConnectionsError) -> None:
    repeats = RepeatedFailures()
    assert [repeats.failed(error) for _ in range(6)] == [False] * 4 + [True] * 2
    assert repr(repeats) == "RepeatedFailures(6 of 5)"


@pytest.mark.parametrize("error", ABOUT_AN_ITEM, ids=repr)
def test_what_may_be_about_the_item_never_counts(error: ConnectionsError) -> None:
    repeats = RepeatedFailures()
    assert not any(repeats.failed(error) for _ in range(100))
    assert repr(repeats) == "RepeatedFailures(0 of 5)"


def test_kinds_count_apart_and_a_failure_of_another_kind_is_no_success() -> None:
    repeats = RepeatedFailures()
    found = [[repeats.failed(error) for error in FOR_ALL] for _ in range(5)]
    assert found == [[False] * len(FOR_ALL)] * 4 + [[True] * len(FOR_ALL)]


def test_a_success_begins_anew() -> None:
    repeats, error = RepeatedFailures(), FOR_ALL[0]
    for _ in range(100):
        assert not any(repeats.failed(error) for _ in range(4))
        repeats.went_well()


def test_a_question_that_goes_well_is_no_success_of_a_change() -> None:
    repeats, error = RepeatedFailures(), FOR_ALL[0]
    for number in range(5):
        assert repeats.failed(error, "POST") is (number == 4)
        assert repeats.failed(error, "HEAD") is False
        repeats.went_well("HEAD")
    repeats.went_well("POST")
    assert not repeats.failed(error, "POST")
