"""The outcome of each item of a bulk run, and the count of all outcomes.

Single calls raise exceptions. A bulk run gives one outcome per item instead, so that the failure of one item does not
end the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Literal, TypeAlias

from attrs import asdict, field

from aioconnections.errors import ConnectionsError
from aioconnections.records import Connection, Identity, Pair, Person, Profile, Status
from aioconnections.reprs import frozen

__all__ = [
    "AcceptOutcome",
    "Accepted",
    "AlreadyExists",
    "CheckOutcome",
    "Checked",
    "ConnectOutcome",
    "Connected",
    "Count",
    "Duplicate",
    "Failed",
    "InDoubt",
    "InviteOutcome",
    "Invited",
    "ListOutcome",
    "Listed",
    "Outcome",
    "Rejected",
    "RemoveOutcome",
    "Removed",
    "ResolveOutcome",
    "Resolved",
    "Tally",
    "Unprocessed",
]


Value: TypeAlias = str | int | float | bool | None
"""A value in `Outcome.as_dict`."""

_KINDS = ("email", "userid", "key")
_DETAILS: dict[str, type[str | int | float]] = {
    **{f"{role}{kind}": str for role in ("source_", "target_", "") for kind in _KINDS},
    "status": str,
    "via": str,
    "age_ms": float,
    "was": str,
    "connection_id": str,
    "duplicate_of": int,
    "name": str,
    "found_userid": str,
    "found_key": str,
    "found_email": str,
    "connections": int,
    "error": str,
}
_EMPTY: dict[str, Value] = dict.fromkeys(_DETAILS)


@frozen(kw_only=True)
class Outcome:
    """What is known about one item.

    Attributes:
        index: zero-based position in the source.
        item: the object that the source gave.
        pair: the two people of the item in a run over pairs; None if the item could not be parsed. Never None in
            `Checked` and `Connected`.
        person: the person of the item in a run over people; None if the item could not be parsed. Never None in
            `Invited`, `Duplicate` and `Resolved`.
        attempts: number of requests sent for the item, including the last one.
        elapsed: seconds from the first attempt to the response, including pauses between attempts, excluding `waited`.
        waited: seconds spent waiting for a free connection and for the rate limit.
        replayed: True if the outcome was read from the journal of an earlier run.
        recorded_at: when the outcome was first recorded in a journal. A replayed outcome describes that moment and may
            no longer hold. Aware, UTC; None without a journal, and if the run ended before the outcome was recorded.
    """

    COLUMNS: ClassVar[Mapping[str, type[str | int | float]]] = MappingProxyType(
        {
            "index": int,
            "outcome": str,
            **_DETAILS,
            "attempts": int,
            "elapsed_ms": float,
            "waited_ms": float,
            "replayed": bool,
            "recorded_at": str,
        }
    )
    """The keys of `as_dict`, in order, and the type of their values, for tables with a schema."""

    index: int = 0
    item: object = None
    pair: Pair | None = None
    person: Identity | None = None
    attempts: int = 0
    elapsed: float = 0.0
    waited: float = 0.0
    replayed: bool = False
    recorded_at: datetime | None = None

    @property
    def kind(self) -> str:
        """The class in lower case, ``already_exists`` for example."""
        return _name(type(self))

    def as_dict(self) -> dict[str, Value]:
        """A flat dictionary for JSON and CSV, with the same keys for every class; None where a key does not apply.

        ``outcome`` is `kind`, ``status`` is ``"none"`` if no connection is visible, times are in milliseconds, and
        ``recorded_at`` is in ISO 8601. Each key has values of one type, so that a list of these dictionaries makes a
        table: ``polars.DataFrame(rows, schema=dict(Outcome.COLUMNS))``. Without a schema, the type of a column depends
        on the rows that have a value, and polars looks at the first hundred only.
        """
        row: dict[str, Value] = {"index": self.index, "outcome": self.kind, **_EMPTY}
        if self.pair is not None:
            row[f"source_{self.pair.source.kind}"] = self.pair.source.value
            row[f"target_{self.pair.target.kind}"] = self.pair.target.value
        if self.person is not None:
            row[self.person.kind] = self.person.value
        row |= self._details()
        return row | {
            "attempts": self.attempts,
            "elapsed_ms": milliseconds(self.elapsed),
            "waited_ms": milliseconds(self.waited),
            "replayed": self.replayed,
            "recorded_at": self.recorded_at.isoformat() if self.recorded_at else None,
        }

    def _details(self) -> dict[str, Value]:
        """The keys of `as_dict` that only this class fills."""
        return {}


def milliseconds(seconds: float) -> float:
    """Seconds in milliseconds; equal for an outcome and for its replay, since a journal keeps microseconds."""
    return round(round(seconds, 6) * 1000, 1)


@frozen
class Checked(Outcome):
    """The server reported the status of the connection.

    Attributes:
        status: the status, seen from the source; None if no connection is visible to the signed-in user.
        via: how the status was found: ``"head"`` by a check of this pair; ``"list"``, in a run with a `Plan`, from the
            list of one of the two people; ``"duplicate"`` from another item of the run, with the same pair or the same
            people the other way round; ``"cache"`` from the `StatusCache` of the client.
        of: index of that item, for ``"duplicate"``; else None.
        age: seconds since the status was requested, for ``"cache"``; else None.
    """

    status: Status | None
    pair: Pair = field(kw_only=True)
    via: Literal["head", "list", "duplicate", "cache"] = field(default="head", kw_only=True)
    of: int | None = field(default=None, kw_only=True)
    age: float | None = field(default=None, kw_only=True)

    def _details(self) -> dict[str, Value]:
        return {
            "status": str(self.status or "none"),
            "via": self.via,
            "age_ms": None if self.age is None else milliseconds(self.age),
            "duplicate_of": self.of,
        }


@frozen
class Rejected(Outcome):
    """The server refused this item, for example with 400 or 403; another attempt would not change that."""

    error: ConnectionsError

    def _details(self) -> dict[str, Value]:
        return _error(self.error)


@frozen
class Failed(Outcome):
    """The item was certainly not done, but not refused by the server: invalid input, a deadline, a failing server."""

    error: ConnectionsError

    def _details(self) -> dict[str, Value]:
        return _error(self.error)


@frozen
class Unprocessed(Outcome):
    """The run ended before the item was done: it was not tried, or only a read-only request was interrupted.

    Attributes:
        reason: why, in words.
    """

    reason: str

    def _details(self) -> dict[str, Value]:
        return {"error": self.reason}


@frozen
class Duplicate(Outcome):
    """An earlier item of the same run is about the same person. Nothing is sent for this one; it is not a failure.

    Attributes:
        of: index of the first item about that person, whose outcome also holds for this one.
    """

    of: int
    person: Identity = field(kw_only=True)

    def _details(self) -> dict[str, Value]:
        return {"duplicate_of": self.of}


@frozen
class Invited(Outcome):
    """The invitation was made.

    Attributes:
        connection_id: id of the connection, from the ``Location`` header or from the entry in the response. It is
            usually the id that the *invitee* sees; for the inviter the connection has another id, but both people can
            use either. None if the server did not send it, or if the response was lost and a later request found the
            invitation.
    """

    connection_id: str | None = None
    person: Identity = field(kw_only=True)

    def _details(self) -> dict[str, Value]:
        return {"connection_id": self.connection_id}


@frozen
class AlreadyExists(Outcome):
    """A connection or an invitation between the two exists already (``CLFRN1168E``); nothing was changed."""


@frozen
class InDoubt(Outcome):
    """The request was sent, its response was lost, and a later request did not show whether the change was made."""

    error: ConnectionsError

    def _details(self) -> dict[str, Value]:
        return _error(self.error)


@frozen
class Accepted(Outcome):
    """The invitation was accepted: the two people are colleagues."""


@frozen
class Removed(Outcome):
    """The connection, or the invitation into a community, is gone.

    Attributes:
        was: the former status: a ``PENDING`` connection was declined, an ``UNCONFIRMED`` one withdrawn, an ``ACCEPTED``
            one removed. None for an invitation into a community, which has no status, and if the server did not show
            the connection.
    """

    was: Status | None = None

    def _details(self) -> dict[str, Value]:
        return {"was": None if self.was is None else str(self.was)}


@frozen
class Connected(Outcome):
    """An administrator connected the two people.

    Attributes:
        connection_id: id of the connection as one of the two people sees it, as for `Invited`. None if the server did
            not send it, or if the response was lost and a later request found the connection.
    """

    connection_id: str | None = None
    pair: Pair = field(kw_only=True)

    def _details(self) -> dict[str, Value]:
        return {"connection_id": self.connection_id}


@frozen
class Resolved(Outcome):
    """The directory was searched for a person.

    Attributes:
        profile: the person's profile; None if the directory does not know the person.
        via: how the profile was found: ``"single"`` by a request for this person; ``"batch"`` by a request that named
            several people; ``"list"`` in a list that the caller gave, so that it has a `person` and nothing else;
            ``"duplicate"`` from an earlier item of the run about the same person.
        of: index of that earlier item, for ``"duplicate"``; else None.
    """

    profile: Profile | None = None
    person: Identity = field(kw_only=True)
    via: Literal["single", "batch", "list", "duplicate"] = field(default="single", kw_only=True)
    of: int | None = field(default=None, kw_only=True)

    def _details(self) -> dict[str, Value]:
        found = self.profile.person if self.profile else Person()
        ids = {f"found_{it.kind}": it.value for it in (found.userid, found.key, found.email) if it is not None}
        return {"via": self.via, "duplicate_of": self.of, "name": found.name, **ids}


@frozen
class Listed(Outcome):
    """The whole list of a person's connections was read: as many as the server's total says.

    Attributes:
        connections: the connections, each once, in the order of the server. In a `replayed` outcome, each has only its
            id, its status, and the userids and e-mail addresses of its two people, because a journal stores no more.
    """

    connections: tuple[Connection, ...] = ()

    def _details(self) -> dict[str, Value]:
        return {"connections": len(self.connections)}


CheckOutcome: TypeAlias = Checked | Rejected | Failed | Unprocessed
InviteOutcome: TypeAlias = Invited | AlreadyExists | Duplicate | InDoubt | Rejected | Failed | Unprocessed
AcceptOutcome: TypeAlias = Accepted | InDoubt | Rejected | Failed | Unprocessed
RemoveOutcome: TypeAlias = Removed | InDoubt | Rejected | Failed | Unprocessed
ConnectOutcome: TypeAlias = Connected | AlreadyExists | InDoubt | Rejected | Failed | Unprocessed
ResolveOutcome: TypeAlias = Resolved | Rejected | Failed | Unprocessed
ListOutcome: TypeAlias = Listed | Duplicate | Rejected | Failed | Unprocessed


def _error(error: ConnectionsError) -> dict[str, Value]:
    return {"error": f"{type(error).__name__}: {error}"}


def _name(kind: type[Outcome]) -> str:
    """``already_exists`` for `AlreadyExists`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.__name__).removeprefix("_")


@frozen(kw_only=True)
class Tally:
    """The number of items that a run has read, and the number of outcomes of each class.

    ``read`` is always the sum of ``in_flight`` and of the counts per class; the counts per status split ``checked``.
    ``via_list``, ``via_duplicate`` and ``via_cache`` count the ``checked`` for which nothing was sent. ``doubtful``
    counts those of them that were concluded from lists which other responses contradicted later; it is 0 in a run
    without a `Plan`.
    """

    read: int = 0
    in_flight: int = 0
    checked: int = 0
    invited: int = 0
    already_exists: int = 0
    accepted: int = 0
    removed: int = 0
    connected: int = 0
    resolved: int = 0
    listed: int = 0
    duplicate: int = 0
    in_doubt: int = 0
    rejected: int = 0
    failed: int = 0
    unprocessed: int = 0
    status_accepted: int = 0
    status_pending: int = 0
    status_unconfirmed: int = 0
    status_none: int = 0
    via_list: int = 0
    via_duplicate: int = 0
    via_cache: int = 0
    doubtful: int = 0

    @property
    def by_status(self) -> dict[Status | None, int]:
        """The number of `Checked` outcomes per status; None means that no connection is visible."""
        return {
            Status.ACCEPTED: self.status_accepted,
            Status.PENDING: self.status_pending,
            Status.UNCONFIRMED: self.status_unconfirmed,
            None: self.status_none,
        }

    @property
    def good(self) -> bool:
        """Whether every item that was read was done. A duplicate counts as done: its first occurrence decides."""
        bad = self.in_flight + self.in_doubt + self.rejected + self.failed + self.unprocessed
        return bad == 0

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Tally:
        """Count `outcomes`."""
        count = Count()
        for outcome in outcomes:
            count.add(outcome)
        return count.tally(count.finished)


class Count:
    """The running count behind a `Tally`."""

    __slots__ = ("_counts", "_via")

    def __init__(self) -> None:
        self._counts: Counter[type[Outcome] | Status | None] = Counter()  # `Checked` by status, others by class
        self._via: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if type(outcome) is not Checked:
            self._counts[type(outcome)] += 1
            return
        self._counts[outcome.status] += 1
        if outcome.via != "head":
            self._via[outcome.via] += 1

    def copy(self) -> Count:
        """A copy that does not grow."""
        twin = Count()
        twin._counts = self._counts.copy()
        twin._via = self._via.copy()
        return twin

    @property
    def finished(self) -> int:
        """The number of outcomes counted."""
        return self._counts.total()

    def tally(self, read: int) -> Tally:
        """A snapshot, after `read` items have been read."""
        counts: Counter[str] = Counter()
        for what, count in self._counts.items():
            if isinstance(what, type):
                counts[_name(what)] += count
            else:
                counts["checked"] += count
                counts[f"status_{what or 'none'}"] += count
        counts.update({f"via_{via}": count for via, count in self._via.items()})
        return Tally(read=read, in_flight=read - self.finished, **counts)
