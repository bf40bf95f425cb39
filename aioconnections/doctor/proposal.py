"""Latency of a server, and how many concurrent requests a rate needs at this latency.

Little's law: at a rate of r requests per second that take t seconds each, r × t are under way on average. The 95th
percentile takes the place of the mean, which leaves room for a server that is slower under load. One connection more is
for single calls, to which bulk runs leave it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from aioconnections.reprs import frozen

__all__ = ["FASTEST", "MOST_CONNECTIONS", "Proposal", "percentile", "proposal"]

FASTEST = 100.0
"""Highest rate that is ever proposed, in requests per second."""
MOST_CONNECTIONS = 64
"""Largest number of connections that is ever proposed."""
_LEAST_CONNECTIONS = 2


@frozen(kw_only=True)
class Proposal:
    """A proposal for ``--max-connections``.

    Attributes:
        max_connections: the number of connections, from 2 to 64.
        per_second: requests per second that can be expected with it, at most the rate that was asked for.
        limited: whether more connections would be needed for that rate.
    """

    max_connections: int
    per_second: float
    limited: bool


def percentile(seconds: Sequence[float], share: float) -> float:
    """The smallest of the durations that at least `share` of them do not exceed (nearest rank).

    Args:
        seconds: durations; at least one.
        share: from 0 to 1.
    """
    ranked = sorted(seconds)
    return ranked[max(1, math.ceil(share * len(ranked))) - 1]


def proposal(*, p95: float, rate: float | None) -> Proposal:
    """How many connections carry `rate` at a measured latency.

    Args:
        p95: 95th percentile of the latency in seconds.
        rate: requests per second that are wanted; None for no limit. Above 100, it counts as 100.
    """
    wanted = FASTEST if rate is None else min(rate, FASTEST)
    needed = math.ceil(round(wanted * p95, 6)) + 1
    count = min(max(needed, _LEAST_CONNECTIONS), MOST_CONNECTIONS)
    limited = needed > MOST_CONNECTIONS
    return Proposal(max_connections=count, per_second=(count - 1) / p95 if limited else wanted, limited=limited)
