"""What a journal says of an item, and the outcome that it becomes again when a later run gives it once more."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from attrs import fields, frozen

from aioconnections import errors, outcomes
from aioconnections.errors import ConnectionsError, JournalError, UsageError
from aioconnections.outcomes import Outcome
from aioconnections.records import Identity, Pair, Status

__all__ = ["FINISHED", "SET_BACK", "ItemHistory", "StoredOutcome", "moment", "replay", "settles", "to_stored"]

FINISHED = frozenset(
    {"checked", "invited", "already_exists", "rejected", "accepted", "removed", "connected", "resolved", "duplicate"}
)
SET_BACK = 1_000_000  # microseconds: clocks are nudged all the time, and less than this is no news
_CLASSES: dict[str, Any] = {
    "checked": outcomes.Checked,
    "invited": outcomes.Invited,
    "already_exists": outcomes.AlreadyExists,
    "accepted": outcomes.Accepted,
    "removed": outcomes.Removed,
    "connected": outcomes.Connected,
    "resolved": outcomes.Resolved,
    "duplicate": outcomes.Duplicate,
    "in_doubt": outcomes.InDoubt,
    "rejected": outcomes.Rejected,
    "failed": outcomes.Failed,
    "unprocessed": outcomes.Unprocessed,
}
_NAMES: dict[type[Outcome], str] = {kind: name for name, kind in _CLASSES.items()}
_OWN = {kind: tuple(it.name for it in fields(kind) if not it.inherited) for kind in _NAMES}

_encode = json.JSONEncoder(separators=(",", ":")).encode


@frozen
class StoredOutcome:
    """What is kept of an outcome.

    Attributes:
        outcome: the class in lower case, as `Outcome.as_dict` names it.
        detail: what that class says, as JSON: a status, a connection id, a reason, or an error and its attributes.
        attempts: see `Outcome`.
        elapsed: see `Outcome`; kept to the microsecond.
        waited: likewise.
    """

    outcome: str
    detail: str | None = None
    attempts: int = 0
    elapsed: float = 0.0
    waited: float = 0.0

    def to_text(self) -> str:
        """One line, as a row of the journal holds it."""
        return f"{self.outcome} {self.attempts} {self.elapsed:.6f} {self.waited:.6f} {self.detail or ''}"

    @classmethod
    def from_text(cls, text: str) -> StoredOutcome:
        """What `to_text` made a line of."""
        outcome, attempts, elapsed, waited, detail = text.split(" ", 4)
        return cls(outcome, detail or None, int(attempts), float(elapsed), float(waited))

    @property
    def facts(self) -> dict[str, Any]:
        """`detail`, decoded."""
        return json.loads(self.detail) if self.detail else {}


@frozen
class ItemHistory:
    """What earlier runs recorded of an item.

    Attributes:
        stored: the latest outcome; None if there is none, or if an intent was recorded after it: what it stored then no
            longer holds.
        sends: the highest number of an intent: 0 if nothing was ever about to be sent.
        intent_at: seconds of the wall clock at the last intent; None if there is none.
        age: seconds since then; None if there is no intent, or the clock was set back, so that it cannot be told. If
            `log_lost`, at least so many seconds.
        recorded_at: when `stored` was recorded; None if that is None.
        log_lost: whether rows about the item may be lost, so that it may have been sent once more than they show.
    """

    stored: StoredOutcome | None
    sends: int = 0
    intent_at: float | None = None
    age: float | None = None
    recorded_at: datetime | None = None
    log_lost: bool = False

    @property
    def finished(self) -> bool:
        """Whether the item needs nothing more."""
        return self.stored is not None and self.stored.outcome in FINISHED

    def equals(self, stored: StoredOutcome) -> bool:
        """Whether the latest outcome is the same, whatever it cost."""
        return self.stored is not None and (self.stored.outcome, self.stored.detail) == (stored.outcome, stored.detail)

    @property
    def in_doubt(self) -> bool:
        """Whether something was or may have been sent, and what came of it is not known."""
        return self.stored.outcome == "in_doubt" if self.stored is not None else self.sends > 0


def to_stored(outcome: Outcome) -> StoredOutcome:
    """What a journal keeps of an outcome.

    Raises:
        UsageError: a profile is more than a journal keeps.
    """
    name = _NAMES.get(type(outcome))
    if name is None:
        raise UsageError(f"a journal keeps no {type(outcome).__name__}")
    return StoredOutcome(name, _detail(outcome), outcome.attempts, round(outcome.elapsed, 6), round(outcome.waited, 6))


def settles(outcome: Outcome) -> bool:
    """Whether an outcome leaves nothing to ask in another run of the same input: a verdict, or an item that is none."""
    if isinstance(outcome, outcomes.Failed):
        return isinstance(outcome.error, errors.InvalidInputError)
    return _NAMES.get(type(outcome)) in FINISHED


def moment(wall: int) -> datetime:
    """The time of a row, which is in microseconds."""
    return datetime.fromtimestamp(wall / 1_000_000, UTC)


def _detail(outcome: Outcome) -> str | None:
    """The attributes of this class alone, as JSON; None if it has none."""
    own = {name: getattr(outcome, name) for name in _OWN[type(outcome)]}
    if own.pop("profile", None) is not None:
        raise UsageError("a journal keeps no profiles")
    if "error" in own:
        own["error"] = _facts_of(own["error"])
    return _encode(own) if own else None


def _facts_of(error: ConnectionsError) -> dict[str, Any]:
    """What it takes to build the error again; one of a caller's own class comes back as the nearest of ours."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
    attributes = {
        name: value for name, value in vars(error).items() if value is None or isinstance(value, str | int | float)
    }
    return {"class": kind, "text": str(error), "attributes": attributes}


def _error_from(facts: dict[str, Any]) -> ConnectionsError:
    if facts["class"] not in errors.__all__:
        raise JournalError(f"the journal speaks of an error that this version does not know: {facts['class']}")
    kind: type[ConnectionsError] = getattr(errors, facts["class"])
    error = kind.__new__(kind, facts["text"])  # as if unpickled: the text is made up already
    vars(error).update(facts["attributes"])
    return error


def replay(
    stored: StoredOutcome,
    *,
    index: int,
    item: object,
    recorded_at: datetime | None = None,
    pair: Pair | None = None,
    person: Identity | None = None,
) -> Outcome:
    """The outcome once more, with `replayed` set, as it was `recorded_at` that time.

    Raises:
        JournalError: a newer version of the library wrote it.
    """
    kind = _CLASSES.get(stored.outcome)
    if kind is None:
        raise JournalError(f"the journal speaks of an outcome that this version does not know: {stored.outcome}")
    facts = stored.facts
    if "error" in facts:
        facts["error"] = _error_from(facts["error"])
    for name in ("status", "was"):
        if facts.get(name) is not None:
            facts[name] = Status(facts[name])
    again: Outcome = kind(
        **facts,
        index=index,
        item=item,
        pair=pair,
        person=person,
        attempts=stored.attempts,
        elapsed=stored.elapsed,
        waited=stored.waited,
        replayed=True,
        recorded_at=recorded_at,
    )
    return again
