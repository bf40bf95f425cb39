"""Whether a failure would come for every item of a run.

A response that is no HTTP, a document that breaks at the same place, a redirect to the same path: five identical ones
without a success between them are one failure, and a run does not repeat it for each of its items. A failure that may
be about the item alone, such as 400 for an unknown person or an entry without an id, never counts.
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

__all__ = ["Repeats"]

_ENOUGH = 5
_ABOUT_NO_ITEM = frozenset({301, 302, 303, 305, 307, 308, 405, 406, 411, 415, 501, 505})
"""Statuses about the method, the media type or the address of the service."""

_Kind = tuple[object, ...]


class Repeats:
    """Counts identical failures of one run since its last success.

    What is counted apart has an `about` of its own: a question that is answered well is no success of a change.

    Attributes:
        counts: how often each failure came.
    """

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[tuple[str, _Kind], int] = {}

    def failed(self, error: ConnectionsError, about: str = "") -> bool:
        """Count a failure; whether it has come often enough to end the run."""
        kind = _kind(error)
        if kind is None:
            return False
        count = self.counts[about, kind] = self.counts.get((about, kind), 0) + 1
        return count >= _ENOUGH

    def went_well(self, about: str | None = None) -> None:
        """A success: of what is counted as `about`, or of a whole item."""
        if about is None:
            self.counts.clear()
        elif self.counts:
            self.counts = {key: count for key, count in self.counts.items() if key[0] != about}

    def __repr__(self) -> str:
        return f"Repeats({max(self.counts.values(), default=0)} of {_ENOUGH})"


def _kind(error: ConnectionsError) -> _Kind | None:
    """What identical failures have in common; None for one that may be about the item alone, or may pass."""
    match error:
        case LocalLimitError():
            return (LocalLimitError,)
        case TransportError() if error.deterministic:
            return type(error), str(error), error.status
        case AtomError() if error.line is not None:  # not well-formed: at the same place, it is the same page
            return AtomError, error.reason, error.line, error.column, error.element
        case UnexpectedResponseError() | ServerError() if error.status in _ABOUT_NO_ITEM:
            return type(error), error.status, error.code
        case _:
            return None
