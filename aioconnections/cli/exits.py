"""Exit codes."""

from __future__ import annotations

from aioconnections.errors import (
    AuthenticationError,
    CertificateError,
    ConnectionsError,
    InvalidInputError,
    NotFoundError,
    ServerError,
    ServerUnavailableError,
    ThrottledError,
    TransportError,
    UnexpectedAnswerError,
    UsageError,
)

__all__ = ["GOOD", "INTERRUPTED", "LOGIN", "SOME_BAD", "UNAVAILABLE", "USAGE", "of_error"]

GOOD = 0
SOME_BAD = 1
USAGE = 2
LOGIN = 3
UNAVAILABLE = 5
INTERRUPTED = 130


def of_error(error: ConnectionsError) -> int:
    """The exit code for an error that ended a command."""
    match error:
        case AuthenticationError():
            return LOGIN
        case InvalidInputError() | UsageError() | NotFoundError() | UnexpectedAnswerError():
            return USAGE  # the last two: what answers at this URL is not Profiles
        case ServerUnavailableError() | CertificateError() | TransportError() | ServerError() | ThrottledError():
            return UNAVAILABLE
        case _:
            return SOME_BAD
