"""Bulk operations on IBM / HCL Connections: check, invite and answer colleague connections, thousands at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioconnections._version import __version__
from aioconnections.errors import (
    AnswerError,
    AtomError,
    AuthenticationError,
    BadRequestError,
    CertificateError,
    ConnectFailedError,
    ConnectionsError,
    DeadlineError,
    ForbiddenError,
    InDoubtError,
    InvalidInputError,
    JournalDiskError,
    JournalError,
    JournalLockedError,
    JournalMismatchError,
    NotFoundError,
    ProtocolError,
    ServerError,
    ServerUnavailableError,
    ThrottledError,
    TransportError,
    UnexpectedAnswerError,
    UsageError,
)
from aioconnections.outcomes import Checked, CheckOutcome, Failed, Outcome, Rejected, Tally, Unprocessed
from aioconnections.records import Email, Identity, Key, Pair, Person, Status, Userid

if TYPE_CHECKING:
    from aioconnections.auth import Auth, Basic, Bearer, Send
    from aioconnections.bulk import Outcomes
    from aioconnections.client import Client
    from aioconnections.protocol.messages import Headers, Response
    from aioconnections.transport.as_httpx import LaneTransport

__all__ = [
    "AnswerError",
    "AtomError",
    "Auth",
    "AuthenticationError",
    "BadRequestError",
    "Basic",
    "Bearer",
    "CertificateError",
    "CheckOutcome",
    "Checked",
    "Client",
    "ConnectFailedError",
    "ConnectionsError",
    "DeadlineError",
    "Email",
    "Failed",
    "ForbiddenError",
    "Headers",
    "Identity",
    "InDoubtError",
    "InvalidInputError",
    "JournalDiskError",
    "JournalError",
    "JournalLockedError",
    "JournalMismatchError",
    "Key",
    "LaneTransport",
    "NotFoundError",
    "Outcome",
    "Outcomes",
    "Pair",
    "Person",
    "ProtocolError",
    "Rejected",
    "Response",
    "Send",
    "ServerError",
    "ServerUnavailableError",
    "Status",
    "Tally",
    "ThrottledError",
    "TransportError",
    "UnexpectedAnswerError",
    "Unprocessed",
    "UsageError",
    "Userid",
    "__version__",
]

_LAZY = {
    "Auth": "aioconnections.auth",
    "Basic": "aioconnections.auth",
    "Bearer": "aioconnections.auth",
    "Client": "aioconnections.client",
    "LaneTransport": "aioconnections.transport.as_httpx",
    "Headers": "aioconnections.protocol.messages",
    "Outcomes": "aioconnections.bulk",
    "Response": "aioconnections.protocol.messages",
    "Send": "aioconnections.auth",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
