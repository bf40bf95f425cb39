"""How fast a server lets us be, where that is slower than we may be: learned from its refusals.

A gateway that counts requests refuses whatever exceeds its rate however few are under way, so the bound on concurrency
alone would never find out. After a refusal the pace falls below what was answered of late. It then grows: with care
around the rate that was refused, and ever faster once that is left behind, for a server that was slow for a while.
"""

from __future__ import annotations

from math import exp

__all__ = ["Pace"]

_MEMORY = 2.0  # seconds over which answers are counted
_LONGEST_GAP = 0.5  # seconds between two responses that count as time
_BETWEEN_CUTS = 0.5  # seconds: answers to what went out at the lower pace come back first
_DECREASE = 0.95
_LEAST = 0.5  # per second; a server that allows less says so with Retry-After
_CAREFUL = 0.015  # growth per second at first
_DOUBLED_EVERY = 2.0  # seconds after which it grows twice as fast
_DOUBLINGS = 10
_FASTEST = 1.0
_MOST_AT_ONCE = 5.0  # e-fold; after an outage the pace is found anew


class Pace:
    """Requests per second that a server seems to allow; None while it has refused nothing."""

    __slots__ = ("_answered", "_at", "_began", "_cut_at", "_grown_at", "per_second")

    def __init__(self) -> None:
        self.per_second: float | None = None
        self._answered = 0.0  # per second, of late
        self._at = 0.0  # when that was true
        self._began: float | None = None
        self._cut_at = float("-inf")
        self._grown_at = 0.0

    @property
    def is_free(self) -> bool:
        """Whether the server holds nobody back."""
        return self.per_second is None

    def answered(self, now: float, most: float | None) -> bool:
        """A request was answered well, where `most` per second may be sent; whether the pace has changed."""
        self._answered = self._answered * self._faded(now) + 1 / _MEMORY
        self._at = now
        if self._began is None:
            self._began = now
        pace = self.per_second
        if pace is None:
            return False
        since = now - self._cut_at
        growth = min(_CAREFUL * 2 ** min(since / _DOUBLED_EVERY, _DOUBLINGS), _FASTEST)
        self.per_second = pace * exp(min(growth * (now - self._grown_at), _MOST_AT_ONCE))
        self._grown_at = now
        if self.per_second >= (most or float("inf")) or (since > 60 and self.per_second > 4 * self._recent(now)):
            self.per_second = None  # it is no longer what holds us back
        return True

    def refused(self, started: float, now: float, most: float | None) -> bool:
        """A request that had started at `started` was refused, where `most` may be sent; whether the pace has changed.

        All that were under way count once, and so does what is refused before the lower pace can have shown itself.
        """
        self._answered, self._at = self._answered * self._faded(now), now
        if started < self._cut_at or now < self._cut_at + _BETWEEN_CUTS:
            return False
        recent, pace = self._recent(now), self.per_second or most
        experienced = self._began is not None and now - self._began >= _MEMORY
        if pace is None:
            if not experienced:
                return False  # there is neither a rate to reduce nor one that was measured
            pace = _DECREASE * recent
        elif experienced:
            pace = max(_DECREASE * min(pace, recent), pace / 2)  # what was answered is also what was asked: not less
        else:
            pace /= 2  # too little was answered so far to say what goes through
        self.per_second = max(_LEAST, pace)
        self._cut_at = self._grown_at = now
        return True

    def _recent(self, now: float) -> float:
        """Answers per second; what is not yet remembered for long enough counts for more."""
        if self._began is None:
            return 0.0
        remembered = 1 - exp((self._began - now - 0.1) / _MEMORY)
        return self._answered * self._faded(now) / remembered

    def _faded(self, now: float) -> float:
        """What is left at `now` of the memory. Time in which the client asked for nothing hardly counts."""
        return exp(-min(now - self._at, _LONGEST_GAP) / _MEMORY)

    def __repr__(self) -> str:
        return f"Pace({'free' if self.per_second is None else f'{self.per_second:.1f}/s'})"
