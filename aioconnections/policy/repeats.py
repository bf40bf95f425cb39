"""Recognises a failure that would occur for every item of a run.

Examples are a response that is not HTTP, a document malformed at the same place, and a redirect to the same path. Five
identical failures without a success in between end the run. A failure that may concern only the item, such as 400 for
an unknown person or an entry without an id, never counts.
"""

from __future__ import annotations

from aioconnections.errors import (
    AtomError,
    ConnectionsError,
    LocalLimitError,
    ServerError,
    TransportError,
    UnexpectedResponseError,
)

__all__ = ["RepeatedFailures"]

_MOST_REPEATS = 5
_ABOUT_NO_ITEM = frozenset({301, 302, 303, 305, 307, 308, 405, 406, 411, 415, 501, 505})
"""Statuses about the method, the media type or the address of the service."""

_Kind = tuple[object, ...]


class RepeatedFailures:
    """Counts identical failures of one run since its last success.

    Each kind of request, named by `about`, is counted separately: a successful GET is not a success of a change.

    Attributes:
        counts: number of times that each failure occurred.
    """

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[tuple[str, _Kind], int] = {}

    def failed(self, error: ConnectionsError, about: str = "") -> bool:
        """Count a failure; return whether it ends the run."""
        kind = _kind(error)
        if kind is None:
            return False
        count = self.counts[about, kind] = self.counts.get((about, kind), 0) + 1
        return count >= _MOST_REPEATS

    def went_well(self, about: str | None = None) -> None:
        """Record a success of the requests counted as `about`, or of a whole item."""
        if about is None:
            self.counts.clear()
        elif self.counts:
            self.counts = {key: count for key, count in self.counts.items() if key[0] != about}

    def __repr__(self) -> str:
        return f"RepeatedFailures({max(self.counts.values(), default=0)} of {_MOST_REPEATS})"


def _kind(error: ConnectionsError) -> _Kind | None:
    """What identical failures have in common; None if the failure may concern the item alone, or be temporary."""
    match error:
        case LocalLimitError():
            return (LocalLimitError,)
        case TransportError() if error.deterministic:
            return type(error), str(error), error.status
        case AtomError() if error.line is not None:  # not well-formed at the same place: the same page
            return AtomError, error.reason, error.line, error.column, error.element
        case UnexpectedResponseError() | ServerError() if error.status in _ABOUT_NO_ITEM:
            return type(error), error.status, error.code
        case _:
            return None
