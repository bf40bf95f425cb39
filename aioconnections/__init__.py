"""Bulk operations on IBM / HCL Connections: check, create, accept and end colleague connections by the thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioconnections._version import __version__
from aioconnections.errors import (
    AtomError,
    AuthenticationError,
    BadRequestError,
    CertificateError,
    ConnectFailedError,
    ConnectionsError,
    DeadlineError,
    ForbiddenError,
    ForeignResponseError,
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
    NotFoundError,
    ProtocolError,
    ResponseError,
    ServerError,
    ServerUnavailableError,
    ThrottledError,
    TransportError,
    UnexpectedResponseError,
    UsageError,
)
from aioconnections.outcomes import (
    Accepted,
    AcceptOutcome,
    AlreadyExists,
    Checked,
    CheckOutcome,
    Connected,
    ConnectOutcome,
    Duplicate,
    Failed,
    InDoubt,
    Invited,
    InviteOutcome,
    Outcome,
    Rejected,
    Removed,
    RemoveOutcome,
    Resolved,
    ResolveOutcome,
    Tally,
    Unprocessed,
)
from aioconnections.records import (
    Connection,
    Email,
    Identity,
    Invitation,
    Key,
    Pair,
    Person,
    Profile,
    ServiceDocument,
    Status,
    Userid,
)

if TYPE_CHECKING:
    from aioconnections.auth.credentials import Auth, Basic, Bearer, Ltpa, Secret, Send
    from aioconnections.auth.oauth2 import OAuth2, Tokens
    from aioconnections.bulk import Outcomes
    from aioconnections.client import Administration, Client, Community, CommunityInvitations, Invite, Timeouts
    from aioconnections.client.caller import OnProgress, PairLike, PersonLike
    from aioconnections.client.items import ConnectionLike
    from aioconnections.clock import Clock
    from aioconnections.journal import Journal
    from aioconnections.protocol.messages import Headers, Response
    from aioconnections.session.listing import Stream
    from aioconnections.session.telemetry import Attempt, Progress, Stats
    from aioconnections.transport.as_httpx import LaneTransport
    from aioconnections.transport.tls import Verify

__all__ = [
    "AcceptOutcome",
    "Accepted",
    "Administration",
    "AlreadyExists",
    "AtomError",
    "Attempt",
    "Auth",
    "AuthenticationError",
    "BadRequestError",
    "Basic",
    "Bearer",
    "CertificateError",
    "CheckOutcome",
    "Checked",
    "Client",
    "Clock",
    "Community",
    "CommunityInvitations",
    "ConnectFailedError",
    "ConnectOutcome",
    "Connected",
    "Connection",
    "ConnectionLike",
    "ConnectionsError",
    "DeadlineError",
    "Duplicate",
    "Email",
    "Failed",
    "ForbiddenError",
    "ForeignResponseError",
    "Headers",
    "Identity",
    "InDoubt",
    "InDoubtError",
    "InvalidInputError",
    "Invitation",
    "Invite",
    "InviteOutcome",
    "Invited",
    "Journal",
    "JournalBoundError",
    "JournalDiskError",
    "JournalError",
    "JournalFinishedError",
    "JournalLockedError",
    "JournalLogMissingError",
    "JournalMismatchError",
    "Key",
    "LaneTransport",
    "LocalLimitError",
    "Ltpa",
    "NotFoundError",
    "OAuth2",
    "OnProgress",
    "Outcome",
    "Outcomes",
    "Pair",
    "PairLike",
    "Person",
    "PersonLike",
    "Profile",
    "Progress",
    "ProtocolError",
    "Rejected",
    "RemoveOutcome",
    "Removed",
    "ResolveOutcome",
    "Resolved",
    "Response",
    "ResponseError",
    "Secret",
    "Send",
    "ServerError",
    "ServerUnavailableError",
    "ServiceDocument",
    "Stats",
    "Status",
    "Stream",
    "Tally",
    "ThrottledError",
    "Timeouts",
    "Tokens",
    "TransportError",
    "UnexpectedResponseError",
    "Unprocessed",
    "UsageError",
    "Userid",
    "Verify",
    "__version__",
]

_LAZY = {
    "Clock": "aioconnections.clock",
    "CommunityInvitations": "aioconnections.client",
    "ConnectionLike": "aioconnections.client.items",
    "OnProgress": "aioconnections.client.caller",
    "PairLike": "aioconnections.client.caller",
    "PersonLike": "aioconnections.client.caller",
    "Timeouts": "aioconnections.client",
    "Verify": "aioconnections.transport.tls",
    "Stats": "aioconnections.session.telemetry",
    "Progress": "aioconnections.session.telemetry",
    "Attempt": "aioconnections.session.telemetry",
    "Administration": "aioconnections.client",
    "Community": "aioconnections.client",
    "Invite": "aioconnections.client",
    "Stream": "aioconnections.session.listing",
    "Auth": "aioconnections.auth.credentials",
    "Basic": "aioconnections.auth.credentials",
    "Bearer": "aioconnections.auth.credentials",
    "Client": "aioconnections.client",
    "Journal": "aioconnections.journal",
    "LaneTransport": "aioconnections.transport.as_httpx",
    "Headers": "aioconnections.protocol.messages",
    "Ltpa": "aioconnections.auth.credentials",
    "OAuth2": "aioconnections.auth.oauth2",
    "Outcomes": "aioconnections.bulk",
    "Response": "aioconnections.protocol.messages",
    "Secret": "aioconnections.auth.credentials",
    "Send": "aioconnections.auth.credentials",
    "Tokens": "aioconnections.auth.oauth2",
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
