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
concurrency, rate   the request gets a turn; see `Turns`                   --
login refused       never: `admit` raises                                  --
==================  =====================================================  ==================================

An earlier obstacle can return during a wait, so all checks are repeated after each wait.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from aioconnections.errors import DeadlineError, ServerUnavailableError
from aioconnections.policy.gate import Gate
from aioconnections.session.applications import Monitor
from aioconnections.session.attempt import Prober
from aioconnections.session.call_context import CallContext
from aioconnections.session.call_scope import away
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
        self._turns = runtime.turns
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
        """Wait until a request may start, and take a turn for it. The caller must release its slot.

        Returns:
            The time at which the request starts; None (and no slot) if the login must be proved first.

        Raises:
            AuthenticationError: the server has refused this credential.
            ConnectionsError: the server is away for too long, there is no credential, the run is over, or the time of
                the call, or too many calls wait.
        """
        now, turns, gate, outage, login = self._now, self._turns, self._gate, self._outage, self._login
        in_run = context.run is not None
        application = monitor.application.outage
        while True:
            moment = now()
            if outage.away or moment < outage.held_until or (application.away and context.canary is None):
                await self._wait_for_server(moment, context, monitor)
                if not context.is_proof and not self.is_proved():
                    return None
                continue
            if not login.is_ready:
                await self._sign_in(context)
                continue
            if not turns.take(moment, in_run=in_run):
                moment = await self._wait_for_turn(moment, context)
                if self._is_blocked(moment, context, monitor) or not login.is_ready:
                    turns.release(in_run=in_run)
                    continue
            if gate.refusal is not None:
                turns.release(in_run=in_run)
                gate.check()
            if context.call is not None:
                context.call.is_admitted = True
            return moment

    def _is_blocked(self, moment: float, context: CallContext, monitor: Monitor) -> bool:
        return not self._outage.is_clear(moment) or (monitor.is_away and context.canary is None)

    async def _wait_for_server(self, arrived: float, context: CallContext, monitor: Monitor) -> None:
        self._gate.check()
        run = context.run
        until = context.seconds_left(0.0) if run is None else run.until
        too_late: ServerUnavailableError | None = None
        try:
            with context.queued():
                await context.wait(self._availability.clear(lambda: self._prober.probe_server(monitor), until))
                if monitor.is_away and context.canary is None:
                    await context.wait(monitor.clear(lambda: self._prober.probe_application(monitor), until))
        except DeadlineError as late:
            if run is not None:
                raise
            too_late = away(late)
        except ServerUnavailableError:
            if run is not None or context.seconds_left(0.0) <= until:
                raise
            return  # another caller has put off the deadline of the conversation: wait again
        if too_late is not None:
            raise too_late
        waited = self._now() - arrived
        self._runtime.telemetry.counts.waited += waited
        if run is not None:
            context.waited += waited

    async def _sign_in(self, context: CallContext) -> None:
        if context.run is not None:
            await self._login.sign_in(context)
            return
        with context.queued() if self._login.is_pending else nullcontext():
            await context.wait(self._login.sign_in(context))

    async def _wait_for_turn(self, arrived: float, context: CallContext) -> float:
        run = context.run
        if run is not None:
            run.check(self._turns.earliest(arrived))
        context.queued_at = arrived
        with context.queued():
            await context.wait(self._turns.wait(in_run=run is not None))
        moment = self._now()
        context.queued_at = None
        context.waited += moment - arrived
        self._runtime.telemetry.counts.waited += moment - arrived
        return moment

    def __repr__(self) -> str:
        return f"Readiness({self._gate!r}, {self._availability!r})"
