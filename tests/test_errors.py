"""The exception tree is the one that its docstring draws, and an exception says nothing that it must not."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections import errors
from aioconnections.errors import (
    AtomError,
    CertificateError,
    ClusterError,
    ConnectFailedError,
    ConnectionsError,
    DeadlineError,
    InDoubtError,
    InvalidInputError,
    JournalBoundError,
    JournalDiskError,
    JournalError,
    JournalFinishedError,
    JournalLockedError,
    JournalLogMissingError,
    JournalMismatchError,
    LocalLimitError,
    ProtocolError,
    ProxyError,
    ResponseError,
    ServerError,
    ServerUnavailableError,
    ThrottledError,
    TransportError,
    UsageError,
)

EXAMPLES: list[ConnectionsError] = [
    ConnectionsError("m"),
    InvalidInputError("m"),
    TransportError("m", sent="maybe"),
    ConnectFailedError("m"),
    CertificateError("m"),
    ClusterError("m"),
    DeadlineError("m", sent="no"),
    ProtocolError("m", sent="maybe"),
    LocalLimitError("m"),
    ProxyError("m", proxy="proxy.example.com:3128", status=407),
    *(
        kind(400, "CLFRN1172E", "m")
        for kind in (
            ResponseError,
            errors.BadRequestError,
            errors.AuthenticationError,
            errors.ForbiddenError,
            errors.NotFoundError,
            errors.UnexpectedResponseError,
            errors.ForeignResponseError,
        )
    ),
    ThrottledError(429, None, "m", 3.0),
    ServerError(503, None, "m", 4.0),
    ServerUnavailableError("m"),
    errors.SharedStoreError("m", temporary=False),
    errors.OverloadedError("m"),
    InDoubtError("m"),
    AtomError("r", 1, 2, "entry"),
    errors.IncompleteListError(3, 4),
    errors.InconsistentListsError(7),
    JournalError("m"),
    JournalLockedError("m"),
    JournalBoundError("m"),
    JournalMismatchError(3, "a", "b"),
    JournalFinishedError("m"),
    JournalLogMissingError("m"),
    JournalDiskError("m"),
    UsageError("m"),
]


NAMES = [name for name in errors.__all__ if isinstance(getattr(errors, name), type)]


def drawn() -> dict[str, str]:
    """Name → name of the parent, read from the drawing."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for indent, name in re.findall(r"^    ([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE):
        del path[len(indent) // 4 :]
        parents[name] = path[-1] if path else "Exception"
        path.append(name)
    return parents


def test_the_tree_is_as_drawn() -> None:
    tree = {name: getattr(errors, name).__bases__[0].__name__ for name in NAMES}
    assert drawn() == tree


def test_two_are_builtin_errors_too() -> None:
    assert issubclass(InvalidInputError, ValueError)
    assert issubclass(UsageError, RuntimeError)


def test_every_kind_is_among_the_examples() -> None:
    assert {type(error).__name__ for error in EXAMPLES} == set(NAMES)


HTTP = {
    ConnectionsError: 502,
    InvalidInputError: 422,
    TransportError: 502,
    ConnectFailedError: 502,
    CertificateError: 502,
    DeadlineError: 504,
    ProtocolError: 502,
    LocalLimitError: 503,
    ProxyError: 502,
    ResponseError: 502,
    errors.BadRequestError: 422,
    errors.AuthenticationError: 401,
    errors.ForbiddenError: 403,
    errors.NotFoundError: 404,
    errors.UnexpectedResponseError: 502,
    errors.ForeignResponseError: 502,
    ThrottledError: 503,
    ServerError: 503,
    ServerUnavailableError: 503,
    errors.SharedStoreError: 503,
    errors.OverloadedError: 503,
    InDoubtError: 504,
    AtomError: 502,
    errors.IncompleteListError: 502,
    errors.InconsistentListsError: 502,
    JournalError: 500,
    JournalLockedError: 500,
    JournalBoundError: 500,
    JournalMismatchError: 500,
    JournalFinishedError: 500,
    JournalLogMissingError: 500,
    JournalDiskError: 500,
    ClusterError: 503,
    UsageError: 500,
}
"""The status for each class of the tree; a new class needs a decision here."""


def test_every_kind_has_an_http_status() -> None:
    assert {kind.__name__ for kind in HTTP} == set(NAMES)
    assert {type(error): errors.http_status(error) for error in EXAMPLES} == HTTP


@pytest.mark.parametrize(("status", "expected"), [(500, 502), (502, 502), (503, 503), (504, 502)])
def test_only_an_unavailable_server_is_worth_asking_again_soon(status: int, expected: int) -> None:
    assert errors.http_status(ServerError(status, None, "m")) == expected


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (ThrottledError(429, None, "m", 3.2), "4"),
        (ThrottledError(429, None, "m", 0.0), "1"),
        (ThrottledError(429, None, "m"), "5"),
        (ServerError(503, None, "m", 1e300), "86400"),
        (ServerUnavailableError("m"), "5"),
    ],
)
def test_a_503_says_when_to_ask_again(error: ConnectionsError, seconds: str) -> None:
    assert errors.http_headers(error) == {"Retry-After": seconds}


def test_only_a_503_says_when_to_ask_again() -> None:
    for error in [*EXAMPLES, ServerError(500, None, "m", 4.0)]:
        assert bool(errors.http_headers(error)) == (errors.http_status(error) == 503)


def test_an_error_class_of_the_caller_has_the_status_of_its_parent() -> None:
    class OwnError(errors.NotFoundError):
        pass

    assert errors.http_status(OwnError(404, None, "m")) == 404


def pickled(error: ConnectionsError) -> ConnectionsError:
    twin: ConnectionsError = pickle.loads(pickle.dumps(error))  # noqa: S301 # our own
    return twin


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_each_can_be_pickled_and_copied(
    error: ConnectionsError, again: Callable[[ConnectionsError], ConnectionsError]
) -> None:
    error.add_note("while testing")
    twin = again(error)
    assert type(twin) is type(error)
    assert twin is not error
    assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))


def test_what_they_say() -> None:
    assert (
        str(ResponseError(400, "CLFRN1172E", "The request is invalid."))
        == "HTTP 400: CLFRN1172E: The request is invalid."
    )
    assert str(ResponseError(503, None, "Service Unavailable")) == "HTTP 503: Service Unavailable"
    assert str(AtomError("no entry", 3, 7, "feed")) == "no entry in <feed> (line 3, column 7)"
    assert str(AtomError("no entry")) == "no entry"
    assert str(JournalMismatchError(3, "a@example.com", "b@example.com")).endswith(
        "item 3 differs from the run that this journal records"
    )
    assert "example.com" not in str(JournalMismatchError(3, "a@example.com", "b@example.com"))
    assert (ConnectFailedError("m").sent, CertificateError("m").sent) == ("no", "no")


@given(st.text(st.characters(), max_size=2000))
def test_text_of_a_server_is_safe_to_print(text: str) -> None:
    error = ResponseError(400, text, text)
    for said in (str(error), error.message, error.code or "", str(ConnectionsError(text))):
        assert said.isprintable()
        assert len(said) <= 300


ADDRESS = "(an e-mail address)"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("no user with email amy.jones@example.com", f"no user with email {ADDRESS}"),
        ("Amy <amy.jones@example.com> is unknown.", f"Amy <{ADDRESS}> is unknown."),
        ("unknown: 'amy.jones@example.com'.", f"unknown: '{ADDRESS}'."),
        ("mailto:amy.o'jones@example.com!", f"mailto:{ADDRESS}!"),
        ("amy.jones@example.com,bob+x@example.com;k\u00fchn@b\u00fccher.example", f"{ADDRESS},{ADDRESS};{ADDRESS}"),
        ("GET /atom/profile.do?email=amy.jones%40example.com&x=1", f"GET /atom/profile.do?{ADDRESS}&x=1"),
        ("email=amy.jones%2540example.com", ADDRESS),
        ("amy.jones&#64;example.com", ADDRESS),
        ('"amy jones"@example.com', ADDRESS),
        ("amy.jones\uff20example.com", ADDRESS),
        ("amy.jones@ex\x00ample.com", ADDRESS),
        ("the symbol @ is missing, @ 5 pm", "the symbol @ is missing, @ 5 pm"),
        ("x" * 290 + " amy.jones@example.com", "x" * 290 + " ("),
    ],
)
def test_no_user_with_email_of_an_error_document_gets_into_the_text(said: str, text: str) -> None:
    """E-mail addresses are only in the attribute that holds the server's message."""
    error = ResponseError(404, "CLFRN1172E", said)
    whole = f"HTTP 404: CLFRN1172E: {text}"
    assert str(error)[:299] == whole[:299]
    assert error.message == str(ConnectionsError(said))
    for shown in (str(error), repr(error), repr(error.args), str(copy.copy(error)), str(pickled(error))):
        assert not re.search("amy|jones|bob|k\u00fchn", shown)
    assert pickled(error).__dict__ == error.__dict__


def test_addresses_are_replaced_in_linear_time() -> None:
    for said in ("x" * 10**6, '"' * 10**6, "x&" * 10**6, "@" * 10**6, "a@" * 10**6):
        assert len(str(ResponseError(500, None, said))) <= 300


def test_blanks_and_terminal_codes_become_single_blanks() -> None:
    assert str(ConnectionsError("\n\n  a\x1b[31m\tb\u202e\r\n c ")) == "a [31m b c"
    assert str(ConnectionsError("x" * 1000)) == "x" * 299 + "…"
