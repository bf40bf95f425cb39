"""Decides whether a request may start now, and waits until it may. No other module decides this.

The obstacles, in the order in which they are checked. A *canary* is a request that proves the login or shows that an
application responds; it is sent before the requests that depend on it.

==================  =====================================================  ==================================
obstacle            ends when                                              does not apply to
==================  =====================================================  ==================================
server away         a probe of the server gets a response                  --
pause               the time that the server asked for has passed          --
application away    a probe of the application succeeds                    canaries of an application
login unproved      the caller has sent the canary (`admit` gives None);   canaries
                    checked again after each wait for the server
no credential       the `Auth` has given one, or a renewed one             --
concurrency         a request under way ends; first come, first served     --
rate                the time that the limiter assigned is reached          --
login refused       never: `admit` raises                                  --
==================  =====================================================  ==================================

An earlier obstacle can return during a wait, so all checks are repeated after each wait.
"""

from __future__ import annotations

from collections.abc import Callable

from aioconnections.policy.gate import Gate
from aioconnections.session.applications import Monitor
from aioconnections.session.attempt import Prober
from aioconnections.session.call_context import CallContext
from aioconnections.session.login import Login
from aioconnections.session.runtime import Runtime

__all__ = ["Readiness"]


class Readiness:
    """Admits the requests of one signed-in user.

    Args:
        runtime: shared by all users of the client.
        gate: state of the credential.
        login: gives the credential.
        verifies: whether the login must be proved.
        prober: sends probes during an outage; they need no admission.
        now: gives the current time.
    """

    def __init__(
        self,
        runtime: Runtime,
        gate: Gate,
        login: Login,
        prober: Prober,
        now: Callable[[], float],
        *,
        verifies: bool,
    ) -> None:
        self._runtime = runtime
        self._availability = runtime.availability
        self._outage = runtime.availability.outage
        self._slots = runtime.slots
        self._limiter = runtime.limiter
        self._gate = gate
        self._login = login
        self._prober = prober
        self._now = now
        self._verifies = verifies

    def is_proved(self) -> bool:
        """Whether requests may be sent without a canary before them."""
        gate = self._gate
        return gate.refusal is None and (
            not self._verifies
            or (self._now() < gate.proved_until and gate.doubts_at_proof == self._availability.doubts)
        )

    async def admit(self, context: CallContext, monitor: Monitor) -> float | None:
        """Wait until a request may start, and take a slot for it. The caller must release the slot.

        Returns:
            The time at which the request starts; None (and no slot) if the login must be proved first.

        Raises:
            AuthenticationError: the server has refused this credential.
            ConnectionsError: the server is away for too long, there is no credential, or the run is over.
        """
        now, slots, gate, outage, login = self._now, self._slots, self._gate, self._outage, self._login
        application = monitor.application.outage
        while True:
            moment = now()
            if outage.away or moment < outage.held_until or (application.away and context.canary is None):
                await self._wait_for_server(moment, context, monitor)
                if not context.is_proof and not self.is_proved():
                    return None
                continue
            if not login.is_ready:
                await login.sign_in(context)
                continue
            if not slots.take():
                moment = await self._wait_for_slot(moment, context)
                if self._is_blocked(moment, context, monitor) or not login.is_ready:
                    slots.release()
                    continue
            start = self._limiter.reserve(moment)
            if start > moment:
                moment = await self._wait_for_start(start, moment, context)
                if self._is_blocked(moment, context, monitor):
                    slots.release()
                    continue
            if gate.refusal is not None:
                slots.release()
                gate.check()
            return moment

    def _is_blocked(self, moment: float, context: CallContext, monitor: Monitor) -> bool:
        return not self._outage.is_clear(moment) or (monitor.is_away and context.canary is None)

    async def _wait_for_server(self, arrived: float, context: CallContext, monitor: Monitor) -> None:
        self._gate.check()
        run = context.run
        until = arrived + context.seconds_left(arrived) if run is None else run.until
        await context.wait(self._availability.clear(lambda: self._prober.probe_server(monitor), until))
        if monitor.is_away and context.canary is None:
            await context.wait(monitor.clear(lambda: self._prober.probe_application(monitor), until))
        if run is not None:
            context.waited += self._now() - arrived

    async def _wait_for_slot(self, arrived: float, context: CallContext) -> float:
        await self._slots.acquire()
        moment = self._now()
        context.waited += moment - arrived
        return moment

    async def _wait_for_start(self, start: float, arrived: float, context: CallContext) -> float:
        try:
            if context.run is not None:
                context.run.check(start)
            await context.wait(self._runtime.clock.sleep(start - arrived))
        except BaseException:
            self._limiter.give_back(start)
            self._slots.release()
            raise
        moment = self._now()
        context.waited += moment - arrived
        return moment

    def __repr__(self) -> str:
        return f"Readiness({self._gate!r}, {self._availability!r})"
