"""One monitor for each web application of the server, shared by all users of a client.

`policy.application` holds the state; this module does the waiting. A *canary* is a request that shows whether an
application responds. There is no background task: one of the items that wait for a canary sends it, and another takes
over if it is cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio

from aioconnections.clock import Clock, within
from aioconnections.policy.application import CANARY_HOLDS, Application, Canary
from aioconnections.policy.limiter import Starts
from aioconnections.protocol.address import ApplicationName
from aioconnections.protocol.canary import CanaryReport, CanaryResult
from aioconnections.protocol.messages import Response
from aioconnections.session.availability import Probe, WaitingRoom
from aioconnections.session.parking import Parking
from aioconnections.session.telemetry import LOG, Wait

__all__ = ["Applications", "Monitor", "SendCanary"]

SendCanary: TypeAlias = Callable[[], Awaitable[CanaryResult]]
"""Sends a canary and tells the monitor when it was sent and what it showed; raises if it could not be sent."""


class Monitor:
    """The state that the requests to one application share.

    Args:
        name: name of the application.
        limiter: rate limit of the requests; canaries count.
        clock: gives the time.
        chance: gives a number from 0 to 1.
        max_outage: maximum time in seconds that a run waits for the application; None for no limit.
        on_recovery: called at the end of an outage.

    Attributes:
        application: state of the application.
        examinations: by response head, an event that is set when the first examination of such a head has ended.
    """

    def __init__(
        self,
        name: ApplicationName,
        limiter: Starts,
        clock: Clock,
        chance: Callable[[], float],
        max_outage: float | None,
        on_recovery: Callable[[], object],
    ) -> None:
        self.name: ApplicationName = name
        self.application: Application = Application(chance)
        self.examinations: dict[object, anyio.Event] = {}
        self._limiter = limiter
        self._clock = clock
        self._room = WaitingRoom(name.capitalize(), self.application.outage, clock, max_outage, on_recovery)
        self._latest: tuple[int, CanaryResult] = 0, CanaryResult.AWAY  # number of the last canary, and what it showed
        self._unclear = 0  # number of the last canary that showed nothing, for lack of a credential
        self._sending = False  # an item is sending a canary for all that wait
        self._timing = False  # an item waits until a canary is due
        self._changed = anyio.Event()

    @property
    def is_away(self) -> bool:
        """Whether only probes are sent to the application."""
        return self.application.outage.away

    @property
    def holds(self) -> float:
        """Seconds for which a canary vouches for the requests after it."""
        return max(CANARY_HOLDS, 2 * self._limiter.interval)

    @property
    def is_probing(self) -> bool:
        """Whether a request probes the application."""
        return self._room.is_probing

    @property
    def probes(self) -> int:
        """Number of probes sent."""
        return self._room.probes

    def wait(self, now: float) -> Wait | None:
        """What requests to the application wait for; see `WaitingRoom.wait`."""
        return self._room.wait(self.name, now)

    def login_proved(self) -> None:
        """Record that the document for the proof of a login exists, so a canary can request it."""
        self.application.proved = True
        self.application.document_known = True

    def answered(self, response: Response, *, proving: bool) -> None:
        """Record a response; `proving` says whether the request was a canary."""
        if response.is_own_form:
            self.application.proved = True
            if not proving:
                self.application.outage.answered()

    def canary_ended(self, number: int, sent: float, report: CanaryReport, *, signs_in: bool) -> CanaryResult:
        """Record the result of a canary sent at `sent`, and return what it means for the requests.

        If no canary ever succeeded, a failure may only mean that the document does not exist.
        """
        application, now, result = self.application, self._clock.now(), report.result
        application.needs_login = report.needs_login
        known = report.stopped or application.is_known(signs_in=signs_in)
        if result is CanaryResult.GOOD:
            application.canary_ended(Canary(number, sent, now, good=True))
        elif result is CanaryResult.AWAY or (result is CanaryResult.ABSENT and application.proved):
            if known:
                application.canary_ended(Canary(number, sent, now, good=False))
                self._begin_outage(now)
            else:
                result = CanaryResult.UNCLEAR
        if result is CanaryResult.UNCLEAR:
            self._unclear = self._unclear if signs_in else max(self._unclear, number)
        elif result is not CanaryResult.BUSY:
            self._latest = max(self._latest, (number, result), key=lambda latest: latest[0])
        self._announce()
        return result

    def _begin_outage(self, now: float) -> None:
        if not self.application.outage.away:
            self.application.outage.begin(now)
            name = self.name.capitalize()
            LOG.warning("%s does not respond: no requests are sent to it until a probe succeeds", name)

    async def clear(self, probe: Probe, until: float) -> None:
        """Wait until requests may be sent to the application; see `WaitingRoom.clear`."""
        await self._room.clear(probe, until)

    async def result_after(
        self, count: int, send_canary: SendCanary, parking: Parking | None, *, signs_in: bool
    ) -> CanaryResult:
        """The result of a canary that was sent after the first `count` canaries; sends one when it is due.

        A canary is due a little over a second after the last, or at once if the run can do nothing else meanwhile. A
        request that is about to be sent may send it earlier, in its own slot.

        Raises:
            ConnectionsError: the canary could not be sent.
        """
        timed = False
        while True:
            result = self._known_result(count, signs_in=signs_in)
            if result is not None:
                if timed:
                    self._announce()  # an item that was sent later has to time the next canary
                return result
            due = self.application.last_sent + self.holds + 2 * self._limiter.interval - self._clock.now()
            if self._sending:
                await self._changed.wait()
            elif due <= 0 or parking is None or parking.is_pressing:
                result = await self._send(send_canary)
                if result is CanaryResult.UNCLEAR:
                    return result
                if result is CanaryResult.BUSY:
                    await self._clock.sleep(self.holds)
            elif self._timing:
                await self._changed.wait()
            else:
                await self._wait_until_due(due, parking)
                timed = True

    def _known_result(self, count: int, *, signs_in: bool) -> CanaryResult | None:
        """The result of a canary that was sent after the first `count` canaries; None if there is none yet."""
        if self._latest[0] > count:
            return self._latest[1]
        return CanaryResult.UNCLEAR if self._unclear > count and not signs_in else None

    async def _send(self, send_canary: SendCanary) -> CanaryResult:
        self._sending = True
        try:
            return await send_canary()
        finally:
            self._sending = False
            self._announce()

    async def _wait_until_due(self, seconds: float, parking: Parking) -> None:
        self._timing = True
        try:
            await within(self._clock, seconds, parking.until_pressing())
        except BaseException:
            self._announce()  # another item takes over
            raise
        finally:
            self._timing = False

    def _announce(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    def __repr__(self) -> str:
        return f"Monitor({self.name}, {self.application!r})"


class Applications:
    """The monitors of one client; see `Monitor` for the arguments."""

    def __init__(
        self,
        limiter: Starts,
        clock: Clock,
        chance: Callable[[], float],
        max_outage: float | None,
        on_recovery: Callable[[], object],
    ) -> None:
        self.profiles: Monitor = Monitor("profiles", limiter, clock, chance, max_outage, on_recovery)
        self.communities: Monitor = Monitor("communities", limiter, clock, chance, max_outage, on_recovery)

    def named(self, name: ApplicationName) -> Monitor:
        """The monitor of the application `name`."""
        return self.communities if name == "communities" else self.profiles

    @property
    def away(self) -> bool:
        """Whether requests wait for an application."""
        return self.profiles.is_away or self.communities.is_away

    @property
    def probes(self) -> int:
        """Number of probes sent to the applications."""
        return self.profiles.probes + self.communities.probes

    def __repr__(self) -> str:
        return f"Applications({self.profiles!r}, {self.communities!r})"
