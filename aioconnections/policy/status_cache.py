"""The statuses that a client remembers, by signed-in user and pair.

What is stored is only as old as its request, and it stands until a change that may concern one of the two people: see
`Changes`. Entries that do not stand any more are removed when they are looked up, or as the least recently used ones.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple, cast

from attrs import field

from aioconnections.errors import InvalidInputError
from aioconnections.policy.changes import Changes
from aioconnections.records import Pair, Status
from aioconnections.reprs import frozen

__all__ = ["Remembered", "StatusCache", "Statuses"]


@frozen(kw_only=True)
class StatusCache:
    """How long a client remembers statuses: ``Client(url, cache=StatusCache(ttl=60))``.

    The statuses are in the memory of one client and its `as_user` clients, each visible only to logins of the user who
    asked. A change by these clients, also one whose result is not known, removes every status of the people concerned.
    A change by anything else is seen only after the time given here.

    Attributes:
        ttl: seconds for which a status is used after it was requested.
        negative_ttl: the same for pairs without a visible connection.
        max_entries: number of statuses; the least recently used ones are removed.
        stale_while_unavailable: seconds for which an older status may be used while the server is unavailable.

    Raises:
        InvalidInputError: a value is invalid.
    """

    ttl: float = field(default=60.0)
    negative_ttl: float = field(default=15.0)
    max_entries: int = field(default=100_000)
    stale_while_unavailable: float = field(default=0.0)

    def __attrs_post_init__(self) -> None:
        for name in ("ttl", "negative_ttl", "stale_while_unavailable"):
            value = cast("object", getattr(self, name))
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
                raise InvalidInputError(f"{name} must be a number of seconds of at least 0, got {value!r:.60}")
        most = cast("object", self.max_entries)
        if type(most) is not int or most < 1:
            raise InvalidInputError(f"max_entries must be an integer of at least 1, got {most!r:.60}")


class Remembered(NamedTuple):
    """A status, and the seconds since it was requested."""

    status: Status | None
    age: float


class _Stored(NamedTuple):
    """A status, when it was requested, and the number of changes before that."""

    status: Status | None
    asked_at: float
    since: int


class Statuses:
    """The statuses that one client remembers.

    Attributes:
        hits: number of questions that they answered.
        misses: number of questions that they did not answer.
        stale: number of the hits that were older than their time, because the server was unavailable.
    """

    __slots__ = ("_changes", "_entries", "_options", "hits", "misses", "stale")

    def __init__(self, options: StatusCache, changes: Changes) -> None:
        self._options = options
        self._changes = changes
        self._entries: OrderedDict[tuple[Hashable, Pair], _Stored] = OrderedDict()
        self.hits: int = 0
        self.misses: int = 0
        self.stale: int = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(
        self, viewer: Hashable, pair: Pair, now: float, *, max_age: float | None, unavailable: bool = False
    ) -> Remembered | None:
        """The status of a pair as `viewer` sees it; None if it is not known, or too old.

        Args:
            viewer: whose status it is.
            pair: the two people.
            now: the time.
            max_age: maximum age in seconds, if that is less than the options say.
            unavailable: whether the server is unavailable, so that an older status may be used.
        """
        key = viewer, pair
        stored = self._entries.get(key)
        if stored is None:
            return None
        options, age = self._options, max(now - stored.asked_at, 0.0)
        ttl = options.negative_ttl if stored.status is None else options.ttl
        most = ttl + options.stale_while_unavailable
        if age > most or not self._changes.unchanged((pair.source, pair.target), stored.since):
            del self._entries[key]
            return None
        if age > (most if unavailable else ttl) or (max_age is not None and age > max_age):
            return None
        self._entries.move_to_end(key)
        self.hits += 1
        self.stale += age > ttl
        return Remembered(stored.status, age)

    def put(self, viewer: Hashable, pair: Pair, status: Status | None, *, asked_at: float, since: int) -> None:
        """Remember a status, unless a change or a later status may have made it outdated.

        Args:
            viewer: whose status it is.
            pair: the two people.
            status: the status.
            asked_at: when it was requested.
            since: `Changes.count` before that.
        """
        if not self._changes.unchanged((pair.source, pair.target), since):
            return
        key, entries = (viewer, pair), self._entries
        former = entries.get(key)
        if former is not None and former.asked_at > asked_at and former.since >= since:
            return
        entries[key] = _Stored(status, asked_at, since)
        entries.move_to_end(key)
        if len(entries) > self._options.max_entries:
            entries.popitem(last=False)

    def __repr__(self) -> str:
        return f"Statuses({len(self._entries)} of {self._options.max_entries})"
