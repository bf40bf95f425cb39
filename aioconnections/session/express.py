"""The express chain: checks that follow one another on a lane without waking a worker.

While nothing unusual is pending, the callback of a lane settles a response, and at the end of the iteration of the
event loop the next item is taken and its request is sent. `Express` decides whether that may happen. A chain ends, and
its worker continues in the usual way:

*With the response unsettled*, so that `Dispatcher` treats it as any other, if

- its status is not final at once: neither 200 nor a refusal that the application itself is known to write;
- it would change what is known about the login (`Login.is_untried`);
- an attempt is reported, to `on_attempt` or in the log;
- the owner of the items cannot settle it (`Items.settle`).

*With the response settled*, if the next request may not be sent now

- because of an obstacle that `Readiness` would wait for: outage or pause, an unproved or refused login, a credential
  that is being renewed, a single call that waits, a request of a run that waits for a slot;
- because the application was not proved, its outage is not over, or it is watched and needs another canary;
- because the run is over;
- because the owner has no item ready (`Items.advance`).

*With the next item taken and not sent* (`Items.leave`), if reading the source has taken so long that the run is over, a
pause has begun or a canary is needed, if the start that the rate limit assigns lies ahead, or if the source then
blocked another chain before the request was sent.
"""

from __future__ import annotations

import logging
from typing import Protocol

from aioconnections.protocol.messages import Headers, Request, Response
from aioconnections.session.applications import Monitor
from aioconnections.session.attempt import SETTLED
from aioconnections.session.call_context import CallContext
from aioconnections.session.login import Login
from aioconnections.session.readiness import Readiness
from aioconnections.session.runtime import Runtime
from aioconnections.session.telemetry import LOG

__all__ = ["Express", "Items"]


class Items(Protocol):
    """The items of a run, as a chain uses them. No method waits."""

    def settle(self, response: Response) -> bool:
        """Deliver the outcome of the current item; False if `response` does not give it in a simple way."""
        ...

    def advance(self) -> Request | None:
        """The request of the next item, which becomes the current one; None if none is ready."""
        ...

    def leave(self) -> None:
        """Leave the current item, whose request was not sent, to the worker."""
        ...


class Express:
    """One chain of requests of a run to Profiles.

    Args:
        runtime: shared by all users of the client.
        login: gives the credential.
        readiness: tells whether the login is proved.
        monitor: of Profiles.
        known_refusals: statuses of refusals that Profiles is known to write in its own form.
        request: the first request.
        context: context of the first item; it restarts with each further item.
        items: the items of the run.

    Attributes:
        request: the latest request.
        is_settled: whether the response to the latest request was settled, so that nothing is left to do.
    """

    __slots__ = (
        "_context",
        "_headers",
        "_items",
        "_known_refusals",
        "_login",
        "_monitor",
        "_readiness",
        "_runtime",
        "is_settled",
        "request",
    )

    def __init__(
        self,
        runtime: Runtime,
        login: Login,
        readiness: Readiness,
        monitor: Monitor,
        known_refusals: frozenset[int],
        request: Request,
        context: CallContext,
        items: Items,
    ) -> None:
        self._runtime = runtime
        self._login = login
        self._readiness = readiness
        self._monitor = monitor
        self._known_refusals = known_refusals
        self._context = context
        self._items = items
        self._headers: Headers | None = login.request_headers
        self.request: Request = request
        self.is_settled: bool = False

    def settle(self, response: Response) -> bool:
        """See `RequestChain`."""
        if not self._is_simple(response) or not self._items.settle(response):
            return False
        availability = self._runtime.availability
        if not availability.steady:  # it refused requests not long ago, and this response lets more of them through
            availability.went_well(self._context.now())
        telemetry = self._runtime.telemetry
        telemetry.responses[response.status] += 1
        if telemetry.observer is not None:
            telemetry.observer.responded("HEAD", response.status, self._context.now() - self._context.sent_at)
        self.is_settled = True
        return True

    def next_request(self) -> Request | None:
        """See `RequestChain`."""
        context, runtime = self._context, self._runtime
        run, moment = context.run, context.now()
        if run is None or run.ended is not None or moment >= run.until or not self._may_continue(moment):
            return None
        request = self._items.advance()
        if request is None:
            return None
        moment = context.now()  # reading the source may have taken time
        application = self._monitor.application
        stale = application.is_watched and application.is_stale(moment, self._monitor.holds)
        if runtime.availability.outage.held_until <= moment < run.until and not stale:
            start = runtime.limiter.reserve(moment)
            if start <= moment:
                context.restart(moment, attempts=1)
                self.request = request
                self.is_settled = False
                return request
            runtime.limiter.give_back(start)
        context.restart(moment, attempts=0)
        self._items.leave()
        return None

    def take_back(self) -> None:
        """See `RequestChain`. The start that the rate limit has assigned is lost."""
        self._context.restart(self._context.now(), attempts=0)
        self.is_settled = True
        self._items.leave()

    def _is_simple(self, response: Response) -> bool:
        """Whether `response` is final and tells nothing new about the login."""
        runtime, status = self._runtime, response.status
        return (
            (status in SETTLED or (status in self._known_refusals and response.is_own_form))
            and not self._login.is_untried
            and runtime.telemetry.on_attempt is None
            and not LOG.isEnabledFor(logging.DEBUG)
        )

    def _may_continue(self, moment: float) -> bool:
        """Whether a request may be sent without a wait and without a canary before it, apart from the rate limit."""
        runtime, login, application, turns = self._runtime, self._login, self._monitor.application, self._runtime.turns
        return (
            runtime.availability.is_clear(moment)
            and application.proved
            and application.outage.is_over
            and not (application.is_watched and application.is_stale(moment, self._monitor.holds))
            and self._readiness.is_proved()
            and login.is_ready
            and login.request_headers is self._headers
            and not turns.singles
            and (not turns.runs or turns.due is not None)
            and turns.free >= 0
        )
