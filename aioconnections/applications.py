"""Watches the web applications of the server: one monitor for each, shared by all users of a client.

What is known is in `policy.application`; this module does the waiting. There is no task behind it: one of the items
that wait for a canary sends it, and if that one is cancelled another takes over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio

from aioconnections.availability import Probe, WaitingRoom
from aioconnections.clock import Clock, within
from aioconnections.parking import Parking
from aioconnections.policy.application import CANARY_HOLDS, Application, Canary
from aioconnections.protocol.address import ApplicationName
from aioconnections.protocol.messages import Response
from aioconnections.protocol.sight import Sight, View
from aioconnections.telemetry import LOG

__all__ = ["Applications", "Look", "Monitor"]

Look: TypeAlias = Callable[[], Awaitable[None]]
"""Sends a canary, and tells the monitor when it was sent and what came of it."""


class Monitor:
    """What the requests to one application share.

    Args:
        name: of the application.
        clock: where the time comes from.
        chance: gives a number from 0 to 1.
        max_outage: seconds for which a run waits for the application; None for no end.
        is_back: called when the application is there again after an outage.

    Attributes:
        application: what is known of it.
        asking: the heads that are being asked about; an event is set when one is known.
    """

    def __init__(
        self,
        name: ApplicationName,
        clock: Clock,
        chance: Callable[[], float],
        max_outage: float | None,
        is_back: Callable[[], object],
    ) -> None:
        self.name: ApplicationName = name
        self.application: Application = Application(chance)
        self.asking: dict[object, anyio.Event] = {}
        self._clock = clock
        self._room = WaitingRoom(name.capitalize(), self.application.outage, clock, max_outage, is_back)
        self._latest: tuple[int, Sight] = 0, Sight.AWAY  # number of the last canary, and what came of it
        self._sending = False  # an item sends a canary for all that wait
        self._timing = False  # an item waits for the time to do so
        self._news = anyio.Event()

    @property
    def is_away(self) -> bool:
        """Whether nothing but probes is sent to it."""
        return self.application.outage.away

    @property
    def is_troubled(self) -> bool:
        """Whether its requests need more than the usual care."""
        return self.application.is_watched or self.application.outage.since is not None

    @property
    def probes(self) -> int:
        """How many probes were sent."""
        return self._room.probes

    def answered(self, response: Response, *, proving: bool) -> None:
        """A response has come; `proving` says that it is one to a canary."""
        if response.is_own_form:
            self.application.proved = True
            if not proving:
                self.application.outage.answered()

    def canary_ended(self, number: int, sent: float, view: View) -> None:
        """A canary that was sent at `sent` has come back, or has not."""
        application, now, sight = self.application, self._clock.now(), view.sight
        self._latest = max(self._latest, (number, sight), key=lambda latest: latest[0])
        application.needs_login = view.needs_login
        if sight is Sight.GOOD:
            application.canary_ended(Canary(number, sent, good=True), now)
        elif sight is Sight.AWAY or (sight is Sight.ABSENT and application.proved):
            application.canary_ended(Canary(number, sent, good=False), now)
            if not application.outage.away:
                application.outage.begin(now)
                LOG.warning("%s is not there: nothing is sent to it until a probe is answered", self.name.capitalize())
        self._announce()

    async def clear(self, probe: Probe, until: float) -> None:
        """Wait until the application is there; see `WaitingRoom.clear`."""
        await self._room.clear(probe, until)

    async def sight_after(self, count: int, look: Look, parking: Parking | None) -> Sight:
        """What a canary has shown that was sent after the first `count`; it is sent when it is due.

        It is due one second after the last one; at once where the run can do nothing else meanwhile.

        Raises:
            ConnectionsError: it could not be sent.
        """
        while True:
            if self._latest[0] > count:
                return self._latest[1]
            due = self.application.last_sent + CANARY_HOLDS - self._clock.now()
            if self._sending:
                await self._news.wait()
            elif due <= 0 or parking is None or parking.is_pressing:
                await self._send(look)
            elif self._timing:
                await self._news.wait()
            else:
                await self._wait_until_due(due, parking)

    async def _send(self, look: Look) -> None:
        self._sending = True
        try:
            await look()
        finally:
            self._sending = False
            self._announce()

    async def _wait_until_due(self, seconds: float, parking: Parking) -> None:
        self._timing = True
        try:
            await within(self._clock, seconds, parking.until_pressing())
        finally:
            self._timing = False
            self._announce()  # another item takes over if this one was cancelled

    def _announce(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()

    def __repr__(self) -> str:
        return f"Monitor({self.name}, {self.application!r})"


class Applications:
    """The monitors of one client; see `Monitor` for the arguments."""

    def __init__(
        self,
        clock: Clock,
        chance: Callable[[], float],
        max_outage: float | None,
        is_back: Callable[[], object],
    ) -> None:
        self.profiles: Monitor = Monitor("profiles", clock, chance, max_outage, is_back)
        self.communities: Monitor = Monitor("communities", clock, chance, max_outage, is_back)

    def named(self, name: ApplicationName) -> Monitor:
        """The monitor of that application."""
        return self.communities if name == "communities" else self.profiles

    @property
    def away(self) -> bool:
        """Whether requests wait for one of them."""
        return self.profiles.is_away or self.communities.is_away

    @property
    def probes(self) -> int:
        """How many probes were sent to them."""
        return self.profiles.probes + self.communities.probes

    def __repr__(self) -> str:
        return f"Applications({self.profiles!r}, {self.communities!r})"
