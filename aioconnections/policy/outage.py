"""Whether the server is away, and when to probe it.

An outage begins after eight failures in a row, or when the retry budget is exhausted. Then only probes are sent, after
1, 2, 4 … 30 s. A successful probe ends the wait; the first good response to another request ends the outage, so that a
server that responds only to probes does not begin a new outage each time.

A pause that the server asks for (``Retry-After``) is kept here too: it holds for all requests.
"""

from __future__ import annotations

from collections.abc import Callable

from aioconnections.policy.retry import LONGEST_RETRY_AFTER

__all__ = ["Outage"]

_IN_A_ROW = 8
_FIRST_PROBE = 1.0
_LAST_PROBE = 30.0
_JITTER = 0.2


class Outage:
    """The state of an outage.

    Args:
        chance: returns a number from 0 to 1, to spread the probes of many clients.
    """

    __slots__ = ("_chance", "_failed", "_interval", "away", "held_until", "pause", "probe_at", "since")

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._failed = 0  # in a row
        self._interval = _FIRST_PROBE
        self.since: float | None = None
        """Time at which the outage began; None without an outage."""
        self.away: bool = False
        """Whether only probes are sent."""
        self.probe_at: float = 0.0
        """Time of the next probe, while `away`."""
        self.held_until: float = float("-inf")
        """Time until which the server asked for a pause."""
        self.pause: float | None = None
        """Seconds of that pause, as the server said; None if it asked another process."""

    @property
    def is_over(self) -> bool:
        """Whether there is neither an outage nor a recent failure."""
        return self.since is None and not self._failed

    def is_clear(self, now: float) -> bool:
        """Whether requests may be sent."""
        return not self.away and now >= self.held_until

    def hold(self, seconds: float, now: float, *, spread: bool = True) -> None:
        """Record that the server asked for a pause of `seconds`; up to a fifth is added, to spread many clients.

        Without `spread`, it asked another process, which has added its part.
        """
        seconds = min(seconds, LONGEST_RETRY_AFTER)
        longer = _JITTER * self._chance() if spread else 0.0
        until = now + seconds * (1 + longer)
        if until > self.held_until:
            self.held_until, self.pause = until, seconds if spread else None

    def failed(self, now: float) -> None:
        """Record that a request got no response, or 502, 503 or 504."""
        self._failed += 1
        if self._failed >= _IN_A_ROW:
            self.begin(now)

    def answered(self) -> None:
        """Record a good response."""
        self._failed = 0
        if self.since is not None and not self.away:
            self.since = None
            self._interval = _FIRST_PROBE

    def begin(self, now: float) -> None:
        """Begin an outage."""
        if not self.away:
            if self.since is None:
                self.since = now
            self.away = True
            self._failed = 0
            self._schedule(now)

    def probed(self, now: float, *, there: bool) -> None:
        """Record the result of a probe."""
        self._interval = min(2 * self._interval, _LAST_PROBE)
        if there:
            self.away = False
        else:
            self._schedule(now)

    def _schedule(self, now: float) -> None:
        self.probe_at = now + self._interval * (1 + _JITTER * self._chance())

    def __repr__(self) -> str:
        return f"Outage({'away' if self.away else 'over soon' if self.since is not None else 'none'})"
