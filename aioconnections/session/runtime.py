"""What all signed-in users of one client share: transport, limits, and the state of the server."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from attrs import frozen

from aioconnections.clock import Clock
from aioconnections.policy.changes import Changes
from aioconnections.policy.limiter import Starts
from aioconnections.policy.retry import Retry
from aioconnections.policy.status_cache import Statuses
from aioconnections.session.applications import Applications
from aioconnections.session.availability import Availability
from aioconnections.session.call_scope import WaitingCalls
from aioconnections.session.telemetry import Telemetry, Wait
from aioconnections.session.turns import Turns
from aioconnections.shared import SharedState
from aioconnections.transport import Engine

__all__ = ["EmailVisibility", "Runtime"]


class EmailVisibility:
    """Whether the server hides e-mail addresses; probed once for all users.

    Attributes:
        hidden: whether they are hidden; None before the probe.
        probing: held during the probe.
    """

    __slots__ = ("hidden", "probing")

    def __init__(self) -> None:
        self.hidden: bool | None = None
        self.probing: anyio.Lock = anyio.Lock()


@frozen
class Runtime:
    """What all users of one client share.

    Attributes:
        now: gives the current time, in any thread.
        changes: counts the changes of connections by this client.
        statuses: the remembered statuses; None without a cache.
        turns: bounds the number of requests under way, and decides which is next.
        shared: what is shared with other processes.
        waiting: counts the single calls that wait.
        chance: gives a number from 0 to 1.
        attempt_timeout: seconds for one request, from connecting to the last byte of the response.
        item_timeout: seconds for one conversation over all of its attempts, without waits for a slot or the rate limit.
    """

    engine: Engine
    turns: Turns
    waiting: WaitingCalls
    shared: SharedState
    limiter: Starts
    retry: Retry
    availability: Availability
    applications: Applications
    telemetry: Telemetry
    emails: EmailVisibility
    changes: Changes
    statuses: Statuses | None
    clock: Clock
    now: Callable[[], float]
    chance: Callable[[], float]
    attempt_timeout: float
    item_timeout: float

    def wait(self) -> Wait | None:
        """What the requests of all users wait for; the first in the order in which `Readiness` checks."""
        now = self.now()
        found = self.availability.wait(now) or self.applications.profiles.wait(now)
        found = found or self.applications.communities.wait(now)
        away = self.shared.away(now)
        if found is None and away is not None:
            lasted, left = away
            return Wait(reason="shared", lasted=lasted, left=left)
        return found

    @property
    def under_way(self) -> int:
        """Number of requests under way."""
        return self.turns.taken

    @property
    def waiting_calls(self) -> int:
        """Number of single calls that wait."""
        return self.waiting.count

    @property
    def is_away(self) -> bool:
        """Whether the server, or one of its applications, is away."""
        return self.applications.away or self.availability.outage.away

    @property
    def is_waiting(self) -> bool:
        """Whether requests wait for the server, or for one of its applications."""
        return self.applications.away or not self.availability.is_clear(self.now())
