"""The request rate that a server allows, learned from its refusals.

A gateway with a rate limit refuses requests above its rate even if few are under way, so a bound on concurrency cannot
find the rate. After a refusal the pace falls below the recent rate of good responses. It then grows: slowly around the
refused rate, and faster above it, because the server may have been slow only for a while.
"""

from __future__ import annotations

from math import exp

__all__ = ["Pace"]

_MEMORY = 2.0  # seconds over which responses are counted
_LONGEST_GAP = 0.5  # seconds between two responses that count as time
_BETWEEN_CUTS = 0.5  # seconds: until responses to requests at the lower pace arrive
_DECREASE = 0.95
_LEAST = 0.5  # per second; a server that allows less says so with Retry-After
_CAREFUL = 0.015  # growth per second at first
_DOUBLED_EVERY = 2.0  # seconds after which it grows twice as fast
_DOUBLINGS = 10
_FASTEST = 1.0
_MOST_AT_ONCE = 5.0  # exponent of the largest single increase; after an outage the pace is learned again


class Pace:
    """The requests per second that a server seems to allow; None before the first refusal."""

    __slots__ = ("_answered", "_at", "_began", "_cut_at", "_grown_at", "per_second")

    def __init__(self) -> None:
        self.per_second: float | None = None
        self._answered = 0.0  # good responses per second, recently
        self._at = 0.0  # time at which `_answered` was measured
        self._began: float | None = None
        self._cut_at = float("-inf")
        self._grown_at = 0.0

    @property
    def is_free(self) -> bool:
        """Whether the server imposes no pace."""
        return self.per_second is None

    def answered(self, now: float, most: float | None) -> bool:
        """Record a good response, where the limit is `most` per second; return whether the pace has changed."""
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
            self.per_second = None  # the pace is no longer the limit
        return True

    def refused(self, started: float, now: float, most: float | None) -> bool:
        """Record the refusal of a request started at `started`; return whether the pace has changed.

        The limit is `most` per second. A refusal does not count if its request was under way when the pace was last
        lowered, or if it arrives too early to be a response to the lower pace.
        """
        self._answered, self._at = self._answered * self._faded(now), now
        if started < self._cut_at or now < self._cut_at + _BETWEEN_CUTS:
            return False
        recent, pace = self._recent(now), self.per_second or most
        experienced = self._began is not None and now - self._began >= _MEMORY
        if pace is None:
            if not experienced:
                return False  # there is neither a limit to reduce nor a measured rate
            pace = _DECREASE * recent
        elif experienced:
            pace = max(_DECREASE * min(pace, recent), pace / 2)  # at most halved: few responses may mean few requests
        else:
            pace /= 2  # too few responses so far to measure a rate
        self.per_second = max(_LEAST, pace)
        self._cut_at = self._grown_at = now
        return True

    def _recent(self, now: float) -> float:
        """Good responses per second, corrected for the short time since the first."""
        if self._began is None:
            return 0.0
        remembered = 1 - exp((self._began - now - 0.1) / _MEMORY)
        return self._answered * self._faded(now) / remembered

    def _faded(self, now: float) -> float:
        """The share of the count that remains at `now`; idle time hardly counts."""
        return exp(-min(now - self._at, _LONGEST_GAP) / _MEMORY)

    def __repr__(self) -> str:
        return f"Pace({'free' if self.per_second is None else f'{self.per_second:.1f}/s'})"
