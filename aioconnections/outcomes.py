"""What a bulk run says of each item, and the count of it.

Single calls raise; a bulk run never dies of one item: it gives one record per item, and the record says what is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias

from attrs import asdict, frozen

from aioconnections.errors import ConnectionsError
from aioconnections.records import Identity, Pair, Person, Profile, Status

__all__ = [
    "AcceptOutcome",
    "Accepted",
    "AlreadyExists",
    "CheckOutcome",
    "Checked",
    "ConnectOutcome",
    "Connected",
    "Count",
    "Failed",
    "InDoubt",
    "InviteOutcome",
    "Invited",
    "Outcome",
    "Rejected",
    "RemoveOutcome",
    "Removed",
    "ResolveOutcome",
    "Resolved",
    "Tally",
    "Unprocessed",
]


@frozen(kw_only=True)
class Outcome:
    """What is known of one item.

    Attributes:
        index: zero-based place in the source.
        item: the very object that the source gave.
        pair: what the item was understood as in a run over pairs; None if it could not be.
        person: the same in a run over people.
        attempts: how many requests went out for it, the answered one included.
        elapsed: seconds from the first attempt to the answer, pauses between attempts included, `waited` not.
        waited: seconds spent waiting for a free connection and for the rate limit.
        replayed: True if this was read from the journal of an earlier run.
        recorded_at: when it was recorded in a journal, for the first time if it is `replayed`: what it says held then,
            and may not hold now. Aware, UTC; None in a run without a journal, whose answers are as old as the run, and
            for an outcome that is not recorded because the run ended before.
    """

    index: int = 0
    item: object = None
    pair: Pair | None = None
    person: Identity | None = None
    attempts: int = 0
    elapsed: float = 0.0
    waited: float = 0.0
    replayed: bool = False
    recorded_at: datetime | None = None

    def as_dict(self) -> dict[str, str | int | float | bool | None]:
        """A flat dictionary that JSON and CSV can hold.

        ``outcome`` is the class in lower case, seconds are floats, and ``recorded_at`` is in ISO 8601.
        """
        row: dict[str, str | int | float | bool | None] = {"index": self.index, "outcome": _name(type(self))}
        if self.pair is not None:
            row[f"source_{self.pair.source.kind}"] = self.pair.source.value
            row[f"target_{self.pair.target.kind}"] = self.pair.target.value
        if self.person is not None:
            row[self.person.kind] = self.person.value
        row |= self._said()
        return row | {
            "attempts": self.attempts,
            "elapsed": self.elapsed,
            "waited": self.waited,
            "replayed": self.replayed,
            "recorded_at": self.recorded_at.isoformat() if self.recorded_at else None,
        }

    def _said(self) -> dict[str, str | None]:
        return {}


@frozen
class Checked(Outcome):
    """The server answered.

    Attributes:
        status: the connection's status from the source's side; None if no connection is visible to the signed-in user.
    """

    status: Status | None

    def _said(self) -> dict[str, str | None]:
        return {"status": self.status}


@frozen
class Rejected(Outcome):
    """The server's verdict on this item, which asking again would not change: 400 or 403, for example."""

    error: ConnectionsError

    def _said(self) -> dict[str, str | None]:
        return {"error": f"{type(self.error).__name__}: {self.error}"}


@frozen
class Failed(Outcome):
    """Certainly not done, and no verdict of the server's: invalid input, no answer in time, a failing server."""

    error: ConnectionsError

    def _said(self) -> dict[str, str | None]:
        return {"error": f"{type(self.error).__name__}: {self.error}"}


@frozen
class Unprocessed(Outcome):
    """Read from the source, and not done for no fault of its own: never tried, or a question that was broken off.

    Attributes:
        reason: why, in words.
    """

    reason: str

    def _said(self) -> dict[str, str | None]:
        return {"error": self.reason}


@frozen
class Invited(Outcome):
    """The invitation was made.

    Attributes:
        connection_id: of the *invitee's* row, as the server named it in ``Location``; one's own row has another id.
            None if the server did not say, or the answer was lost and asking settled it.
    """

    connection_id: str | None = None

    def _said(self) -> dict[str, str | None]:
        return {"connection_id": self.connection_id}


@frozen
class AlreadyExists(Outcome):
    """There is a connection or an invitation between the two already (``CLFRN1168E``); nothing was changed."""


@frozen
class InDoubt(Outcome):
    """The request was sent, its answer was lost, and asking did not settle whether it was done."""

    error: ConnectionsError

    def _said(self) -> dict[str, str | None]:
        return {"error": f"{type(self.error).__name__}: {self.error}"}


@frozen
class Accepted(Outcome):
    """The invitation was accepted: the two are colleagues."""


@frozen
class Removed(Outcome):
    """The connection, or the invitation into a community, is gone.

    Attributes:
        was: its status before: ``PENDING`` was declined, ``UNCONFIRMED`` withdrawn, ``ACCEPTED`` removed. None for an
            invitation into a community, which has no status, and where the server did not show the connection.
    """

    was: Status | None = None

    def _said(self) -> dict[str, str | None]:
        return {"was": self.was}


@frozen
class Connected(Outcome):
    """An administrator connected the two."""


@frozen
class Resolved(Outcome):
    """The directory was asked for a person.

    Attributes:
        profile: what it knows; None if it knows no such person.
    """

    profile: Profile | None = None

    def _said(self) -> dict[str, str | None]:
        found = self.profile.person if self.profile else Person()
        ids = {"userid": found.userid, "key": found.key, "email": found.email}
        return {"name": found.name} | {f"found_{kind}": str(value) if value else None for kind, value in ids.items()}


CheckOutcome: TypeAlias = Checked | Rejected | Failed | Unprocessed
InviteOutcome: TypeAlias = Invited | AlreadyExists | InDoubt | Rejected | Failed | Unprocessed
AcceptOutcome: TypeAlias = Accepted | InDoubt | Rejected | Failed | Unprocessed
RemoveOutcome: TypeAlias = Removed | InDoubt | Rejected | Failed | Unprocessed
ConnectOutcome: TypeAlias = Connected | AlreadyExists | InDoubt | Rejected | Failed | Unprocessed
ResolveOutcome: TypeAlias = Resolved | Rejected | Failed | Unprocessed


def _name(kind: type[Outcome]) -> str:
    """``already_exists`` for `AlreadyExists`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.__name__).removeprefix("_")


@frozen(kw_only=True)
class Tally:
    """How many items a run read, and what became of them.

    ``read`` is always the sum of ``in_flight`` and of the counts per class; the counts per status split ``checked``.
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
    in_doubt: int = 0
    rejected: int = 0
    failed: int = 0
    unprocessed: int = 0
    status_accepted: int = 0
    status_pending: int = 0
    status_unconfirmed: int = 0
    status_none: int = 0

    @property
    def by_status(self) -> dict[Status | None, int]:
        """The counts of `Checked` outcomes per status; None is "no connection visible"."""
        return {
            Status.ACCEPTED: self.status_accepted,
            Status.PENDING: self.status_pending,
            Status.UNCONFIRMED: self.status_unconfirmed,
            None: self.status_none,
        }

    @property
    def good(self) -> bool:
        """Whether every item that was read got what was asked for."""
        bad = self.in_flight + self.in_doubt + self.rejected + self.failed + self.unprocessed
        return bad == 0

    def as_dict(self) -> dict[str, int]:
        """The fields by name."""
        return asdict(self)

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Tally:
        """The count of outcomes from anywhere."""
        count = Count()
        for outcome in outcomes:
            count.add(outcome)
        return count.tally(count.finished)


class Count:
    """The running count behind a `Tally`."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counter[type[Outcome] | Status | None] = Counter()  # those that were checked, by their status

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self._counts[outcome.status if type(outcome) is Checked else type(outcome)] += 1

    @property
    def finished(self) -> int:
        """How many outcomes were counted."""
        return self._counts.total()

    def tally(self, read: int) -> Tally:
        """A snapshot, `read` items having been read so far."""
        counts: Counter[str] = Counter()
        for what, count in self._counts.items():
            if isinstance(what, type):
                counts[_name(what)] += count
            else:
                counts["checked"] += count
                counts[f"status_{what or 'none'}"] += count
        return Tally(read=read, in_flight=read - self.finished, **counts)
