"""What a bulk run says of each item, and the count of it.

Single calls raise; a bulk run never dies of one item: it gives one record per item, and the record says what is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from attrs import asdict, fields, frozen

from aioconnections.errors import ConnectionsError
from aioconnections.records import Pair, Status

__all__ = ["CheckOutcome", "Checked", "Count", "Failed", "Outcome", "Rejected", "Tally", "Unprocessed"]


@frozen(kw_only=True)
class Outcome:
    """What is known of one item.

    Attributes:
        index: zero-based place in the source.
        item: the very object that the source gave.
        pair: what the item was understood as; None if it could not be.
        attempts: how many requests went out for it, the answered one included.
        elapsed: seconds from the first attempt to the answer, pauses between attempts included, `waited` not.
        waited: seconds spent waiting for a free connection and for the rate limit.
        replayed: True if this was read from the journal of an earlier run.
    """

    index: int
    item: object
    pair: Pair | None = None
    attempts: int = 0
    elapsed: float = 0.0
    waited: float = 0.0
    replayed: bool = False

    def as_dict(self) -> dict[str, str | int | float | bool | None]:
        """A flat dictionary that JSON and CSV can hold: ``outcome`` is the class in lower case, seconds are floats."""
        row: dict[str, str | int | float | bool | None] = {"index": self.index, "outcome": type(self).__name__.lower()}
        if self.pair is not None:
            row[f"source_{self.pair.source.kind}"] = self.pair.source.value
            row[f"target_{self.pair.target.kind}"] = self.pair.target.value
        row |= self._said()
        return row | {
            "attempts": self.attempts,
            "elapsed": self.elapsed,
            "waited": self.waited,
            "replayed": self.replayed,
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
    """Read from the source and never tried.

    Attributes:
        reason: why, in words.
    """

    reason: str

    def _said(self) -> dict[str, str | None]:
        return {"error": self.reason}


CheckOutcome: TypeAlias = Checked | Rejected | Failed | Unprocessed


@frozen(kw_only=True)
class Tally:
    """How many items a run read, and what became of them.

    ``read`` is always the sum of ``in_flight`` and of the counts per class; the counts per status split ``checked``.
    """

    read: int = 0
    in_flight: int = 0
    checked: int = 0
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
        """Whether every item that was read got its answer."""
        return self.read == self.checked

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

    __slots__ = ("_classes", "_statuses", "finished")

    def __init__(self) -> None:
        self._classes: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self.finished: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.finished += 1
        self._classes[type(outcome).__name__] += 1
        if type(outcome) is Checked:
            self._statuses[outcome.status or "none"] += 1

    def tally(self, read: int) -> Tally:
        """A snapshot, `read` items having been read so far."""
        counts = {f"status_{status}": n for status, n in self._statuses.items()}
        counts |= {name.lower(): n for name, n in self._classes.items()}
        known = {field.name for field in fields(Tally)}
        return Tally(read=read, in_flight=read - self.finished, **{k: n for k, n in counts.items() if k in known})
