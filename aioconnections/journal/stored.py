"""The outcomes stored in a journal, and their conversion from and to `Outcome`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from attrs import fields

from aioconnections import errors, outcomes
from aioconnections.errors import ConnectionsError, JournalError, UsageError
from aioconnections.outcomes import Outcome
from aioconnections.records import Connection, Email, Identity, Pair, Person, Status, Userid
from aioconnections.reprs import frozen

__all__ = [
    "FINISHED",
    "SET_BACK",
    "ItemHistory",
    "StoredOutcome",
    "checked_text",
    "moment",
    "replay",
    "settles",
    "stored_text",
    "to_stored",
]

FINISHED = frozenset(
    {
        "checked",
        "invited",
        "already_exists",
        "rejected",
        "accepted",
        "removed",
        "connected",
        "resolved",
        "listed",
        "duplicate",
    }
)
SET_BACK = 1_000_000  # microseconds: smaller steps back are ordinary clock adjustments
_CLASSES: dict[str, Any] = {
    "checked": outcomes.Checked,
    "invited": outcomes.Invited,
    "already_exists": outcomes.AlreadyExists,
    "accepted": outcomes.Accepted,
    "removed": outcomes.Removed,
    "connected": outcomes.Connected,
    "resolved": outcomes.Resolved,
    "listed": outcomes.Listed,
    "duplicate": outcomes.Duplicate,
    "in_doubt": outcomes.InDoubt,
    "rejected": outcomes.Rejected,
    "failed": outcomes.Failed,
    "unprocessed": outcomes.Unprocessed,
}
_NAMES: dict[type[Outcome], str] = {kind: name for name, kind in _CLASSES.items()}
_COMMON = frozenset(it.name for it in fields(Outcome))
_OWN = {kind: tuple(it.name for it in fields(kind) if it.name not in _COMMON) for kind in _NAMES}

_quote = json.encoder.encode_basestring_ascii
_encode = json.JSONEncoder(separators=(",", ":")).encode
_CHECKED = {status: _encode({"status": status}) for status in (*Status, None)}


@frozen
class StoredOutcome:
    """The form in which a journal stores an outcome.

    Attributes:
        outcome: name of the class, as in `Outcome.as_dict`.
        detail: the attributes of that class, as JSON: a status, a connection id, a reason, an error, or the ids in a
            list of connections.
        attempts: see `Outcome`.
        elapsed: see `Outcome`; rounded to microseconds.
        waited: see `Outcome`; rounded to microseconds.
    """

    outcome: str
    detail: str | None = None
    attempts: int = 0
    elapsed: float = 0.0
    waited: float = 0.0

    def to_text(self) -> str:
        """The text that is stored in a row."""
        return f"{self.outcome} {self.attempts} {self.elapsed:.6f} {self.waited:.6f} {self.detail or ''}"

    @classmethod
    def from_text(cls, text: str) -> StoredOutcome:
        """Parse the result of `to_text`."""
        outcome, attempts, elapsed, waited, detail = text.split(" ", 4)
        return cls(outcome, detail or None, int(attempts), float(elapsed), float(waited))

    @property
    def facts(self) -> dict[str, Any]:
        """The decoded `detail`."""
        return json.loads(self.detail) if self.detail else {}


@frozen
class ItemHistory:
    """What earlier runs recorded about an item.

    Attributes:
        stored: the latest outcome; None if there is none, or if a later intent made it obsolete.
        sends: the highest number of a recorded send; 0 if there is none.
        intent_at: seconds of the wall clock at the last intent; None if there is none.
        age: seconds since the last intent; None if there is none, or if the clock was set back. A lower bound if
            `log_lost`.
        recorded_at: when `stored` was recorded; None if `stored` is None.
        log_lost: whether rows of the item may be lost, so that a change may have been sent that they do not show.
    """

    stored: StoredOutcome | None
    sends: int = 0
    intent_at: float | None = None
    age: float | None = None
    recorded_at: datetime | None = None
    log_lost: bool = False

    @property
    def finished(self) -> bool:
        """Whether the stored outcome is final."""
        return self.stored is not None and self.stored.outcome in FINISHED

    def equals(self, stored: StoredOutcome) -> bool:
        """Whether the stored outcome is the same, apart from attempts and times."""
        return self.stored is not None and (self.stored.outcome, self.stored.detail) == (stored.outcome, stored.detail)

    @property
    def in_doubt(self) -> bool:
        """Whether a change may have been sent whose outcome is unknown."""
        return self.stored.outcome == "in_doubt" if self.stored is not None else self.sends > 0


def to_stored(outcome: Outcome) -> StoredOutcome:
    """Convert an outcome into the form that is stored.

    Raises:
        UsageError: a journal cannot store this outcome.
    """
    name = _NAMES.get(type(outcome))
    if name is None:
        raise UsageError(f"a journal cannot store an outcome of class {type(outcome).__name__}")
    return StoredOutcome(name, _detail(outcome), outcome.attempts, round(outcome.elapsed, 6), round(outcome.waited, 6))


def stored_text(outcome: Outcome) -> str:
    """The text that is stored for an outcome: `to_stored`, then `StoredOutcome.to_text`.

    Raises:
        UsageError: a journal cannot store this outcome.
    """
    if type(outcome) is outcomes.Invited:  # fast path: nearly every invitation
        which = outcome.connection_id
        detail = f'{{"connection_id":{"null" if which is None else _quote(which)}}}'
        return f"invited {outcome.attempts} {outcome.elapsed:.6f} {outcome.waited:.6f} {detail}"
    return to_stored(outcome).to_text()


def checked_text(status: Status | None, attempts: int, elapsed: float, waited: float) -> str:
    """The text that is stored for `Checked` with these attributes: `to_stored`, then `StoredOutcome.to_text`."""
    wait = f"{waited:.6f}" if waited else "0.000000"  # formatting a number takes a quarter of the time
    return f"checked {attempts} {elapsed:.6f} {wait} {_CHECKED[status]}"


def settles(outcome: Outcome) -> bool:
    """Whether another run with the same input would have nothing to do: a final outcome, or an invalid item."""
    if isinstance(outcome, outcomes.Failed):
        return isinstance(outcome.error, errors.InvalidInputError)
    return _NAMES.get(type(outcome)) in FINISHED


def moment(wall: int) -> datetime:
    """Convert the time of a row, in microseconds."""
    return datetime.fromtimestamp(wall / 1_000_000, UTC)


def _detail(outcome: Outcome) -> str | None:
    """The attributes that the class itself defines, as JSON; None if it defines none."""
    if isinstance(outcome, outcomes.Listed):
        return _encode(_ids_in(outcome.connections))
    if isinstance(outcome, outcomes.Checked) and outcome.via == "head":
        return _encode({"status": outcome.status})
    own = {name: getattr(outcome, name) for name in _OWN[type(outcome)]}
    own.pop("age", None)  # a run with a journal uses no remembered statuses
    if own.pop("profile", None) is not None:
        raise UsageError("a journal cannot store profiles; run without journal=")
    if "error" in own:
        own["error"] = _error_facts(own["error"])
    return _encode(own) if own else None


def _ids_in(connections: tuple[Connection, ...]) -> dict[str, Any]:
    """The ids in a list of connections, whose source is the same in all."""
    source = connections[0].source if connections else Person()
    return {
        "source": _ids_of(source),
        "connections": [[it.id, it.status, *_ids_of(it.target)] for it in connections],
    }


def _ids_of(person: Person) -> list[str | None]:
    return [None if it is None else it.value for it in (person.userid, person.email)]


def _connections_from(source: Person, rows: list[list[str | None]]) -> tuple[Connection, ...]:
    return tuple(
        Connection(which, None if status is None else Status(status), source, _person_from(userid, email))
        for which, status, userid, email in rows
    )


def _person_from(userid: str | None, email: str | None) -> Person:
    return Person(
        userid=None if userid is None else Userid(userid),
        email=None if email is None else Email(email),
    )


def _error_facts(error: ConnectionsError) -> dict[str, Any]:
    """Class, text and attributes of an error. A class defined elsewhere is stored as its nearest base class here."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
    attributes = {
        name: value for name, value in vars(error).items() if value is None or isinstance(value, str | int | float)
    }
    return {"class": kind, "text": str(error), "attributes": attributes}


def _error_from(facts: dict[str, Any]) -> ConnectionsError:
    if facts["class"] not in errors.__all__:
        raise JournalError(f"the journal has an error that this version does not support: {facts['class']}")
    kind: type[ConnectionsError] = getattr(errors, facts["class"])
    error = kind.__new__(kind, facts["text"])  # without __init__, which would compose the text again
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
    """Restore a stored outcome, with `replayed` set.

    Raises:
        JournalError: a newer version of the library stored it.
    """
    kind = _CLASSES.get(stored.outcome)
    if kind is None:
        raise JournalError(f"the journal has an outcome that this version does not support: {stored.outcome}")
    facts = stored.facts
    if kind is outcomes.Listed:
        facts["connections"] = _connections_from(_person_from(*facts.pop("source")), facts["connections"])
    if "error" in facts:
        facts["error"] = _error_from(facts["error"])
    for name in ("status", "was"):
        if facts.get(name) is not None:
            facts[name] = Status(facts[name])
    outcome: Outcome = kind(
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
    return outcome
