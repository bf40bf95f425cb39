"""Whether the server is there at all, and when to look again.

An outage begins when too much in a row goes wrong, or when a retry is due that the budget does not pay for. Then
nothing is sent but one probe after 1, 2, 4 … 30 s. A probe that is answered ends the waiting; the first request that is
answered well ends the outage, so a server that only the probe can talk to does not begin a new one each time.

A pause that the server asks for (``Retry-After``) is kept here too, because it holds for everybody.
"""

from __future__ import annotations

from collections.abc import Callable

from aioconnections.policy.retry import LONGEST_WISH

__all__ = ["Outage"]

_IN_A_ROW = 8
_FIRST_PROBE = 1.0
_LAST_PROBE = 30.0
_JITTER = 0.2


class Outage:
    """What a client knows of whether its server is there.

    Args:
        chance: gives a number from 0 to 1; it spreads the probes of many clients.
    """

    __slots__ = ("_chance", "_failed", "_interval", "away", "held_until", "probe_at", "since")

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._failed = 0  # in a row
        self._interval = _FIRST_PROBE
        self.since: float | None = None
        """When the outage began; None without one."""
        self.away: bool = False
        """Whether nothing but probes is sent."""
        self.probe_at: float = 0.0
        """When the next probe goes out, while `away`."""
        self.held_until: float = float("-inf")
        """The server asks to send nothing before this time."""

    @property
    def is_over(self) -> bool:
        """Whether everything is as it should be."""
        return self.since is None and not self._failed

    def is_clear(self, now: float) -> bool:
        """Whether requests may be sent."""
        return not self.away and now >= self.held_until

    def hold(self, wish: float, now: float) -> None:
        """The server asked to wait for `wish` seconds: everybody does, some a little longer than others."""
        wish = min(wish, LONGEST_WISH)
        self.held_until = max(self.held_until, now + wish * (1 + _JITTER * self._chance()))

    def failed(self, now: float) -> None:
        """A request got no answer, or 502, 503 or 504."""
        self._failed += 1
        if self._failed >= _IN_A_ROW:
            self.begin(now)

    def answered(self) -> None:
        """A request was answered well."""
        self._failed = 0
        if self.since is not None and not self.away:
            self.since = None
            self._interval = _FIRST_PROBE

    def begin(self, now: float) -> None:
        """The server is away."""
        if not self.away:
            if self.since is None:
                self.since = now
            self.away = True
            self._failed = 0
            self._schedule(now)

    def probed(self, now: float, *, there: bool) -> None:
        """What came of a probe."""
        self._interval = min(2 * self._interval, _LAST_PROBE)
        if there:
            self.away = False
        else:
            self._schedule(now)

    def _schedule(self, now: float) -> None:
        self.probe_at = now + self._interval * (1 + _JITTER * self._chance())

    def __repr__(self) -> str:
        return f"Outage({'away' if self.away else 'over soon' if self.since is not None else 'none'})"
