"""Brings a request to its final response: canary, admission, attempt, renewed login, redirect, retry.

The dispatcher waits until `Readiness` admits a request, sends it through `Sender`, and decides what follows from the
response. Canaries are ordinary requests with a mark in their `CallContext`; the dispatcher sends them before the
request that needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from copy import copy
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from attrs import evolve

from aioconnections.clock import within
from aioconnections.errors import (
    AuthenticationError,
    ConnectionsError,
    DeadlineError,
    InDoubtError,
    LocalLimitError,
    ServerUnavailableError,
    SharedStoreError,
    TransportError,
)
from aioconnections.policy.gate import Gate
from aioconnections.policy.retry import LONGEST_RETRY_AFTER
from aioconnections.protocol.address import Address
from aioconnections.protocol.canary import CanaryResult
from aioconnections.protocol.messages import SAFE_METHODS, Flow, Headers, Request, Response
from aioconnections.protocol.profiles import prove_login
from aioconnections.protocol.responses import DOUBTFUL, foreign_error, is_doubtful, retry_after
from aioconnections.records import ServiceDocument
from aioconnections.session.applications import Monitor
from aioconnections.session.attempt import (
    SETTLED,
    CookieSender,
    Page,
    Prober,
    Sender,
    Sending,
    TracedSender,
    met_closed_connection,
)
from aioconnections.session.call_context import CallContext, RunScope, SentCanary
from aioconnections.session.call_scope import CallScope
from aioconnections.session.doubts import Doubts, Next
from aioconnections.session.express import Express, Items
from aioconnections.session.login import Login
from aioconnections.session.readiness import Readiness
from aioconnections.session.runtime import Runtime
from aioconnections.session.telemetry import LOG

if TYPE_CHECKING:
    from aioconnections.auth.cookies import Jar

__all__ = ["Dispatcher"]

R = TypeVar("R")

_MOST_REDIRECTS = 3
_MOST_REFUSALS = 2  # 401 responses to one request; after two renewals the credential is not the cause
_PAUSE_WITHOUT_DESCRIPTORS = 0.05  # seconds, in which other parts of the process may close files


class Dispatcher:
    """Brings the requests of one signed-in user to their final responses.

    Attributes:
        document: what the last proof of the login returned; None before it.
    """

    def __init__(
        self,
        runtime: Runtime,
        address: Address,
        gate: Gate,
        login: Login,
        now: Callable[[], float],
        on_use: Callable[[], object],
        *,
        verifies: bool,
        jar: Jar | None,
    ) -> None:
        self.document: ServiceDocument | None = None
        self._runtime = runtime
        self._address = address
        self._gate = gate
        self._login = login
        self._now = now
        self._on_use = on_use
        self._prober = Prober(runtime, address, login, now)
        self._readiness = Readiness(runtime, gate, login, self._prober, now, verifies=verifies)
        sender: Sending = Sender(runtime, address, login, now)
        if runtime.telemetry.observer is not None and runtime.telemetry.observer.traces_requests:
            sender = TracedSender(sender, runtime.telemetry.observer, address.origin)
        self._send = sender.send if jar is None else CookieSender(sender, login, jar).send
        self._doubts = Doubts(
            address,
            self._attempt_settled,
            self._send_canary,
            self._answers_head,
            now,
            signs_in=self._prober.signs_in,
        )
        self._profiles = runtime.applications.profiles
        self._communities = runtime.applications.communities
        self._communities_root = f"{address.context}/communities/"
        self._refusals: set[tuple[str, int, bool]] = set()  # recorded refusals in own form: method, status, Communities
        self._head_refusals: frozenset[int] = frozenset()  # statuses of those by which Profiles refuses a HEAD
        self._proof: _SharedProof | None = None
        self.is_proved: Callable[[], bool] = self._readiness.is_proved

    def refused(self, refusal: AuthenticationError) -> None:
        """Send nothing more with this login, because the server refused it."""
        if self._gate.refusal is None:
            LOG.warning("the login was refused with status %d: no further requests are sent with it", refusal.status)
            name = self.shared_name()
            if name is not None:
                self._runtime.shared.refuse(name, refusal.status)
        self._gate.close(copy(refusal))

    def heard_of_refusal(self, refusal: AuthenticationError) -> None:
        """Send nothing more with this login, because another process saw it refused."""
        if self._gate.refusal is None:
            LOG.warning("the login was refused in another process: no further requests are sent with it")
        self._gate.close(copy(refusal))

    @property
    def is_proving(self) -> bool:
        """Whether a canary that proves the login is under way."""
        return self._proof is not None

    async def converse(self, flow: Flow[R], context: CallContext) -> R:
        """Drive a conversation to its result.

        Raises:
            ConnectionsError: raised by the conversation, or one of its requests got no response.
        """
        try:
            request = next(flow)
            while True:
                if request.is_change:
                    context.changes += 1
                try:
                    response = await self.send(request, context)
                except ConnectionsError as error:  # if the conversation was verifying a change, it stays in doubt
                    request = flow.throw(error)
                else:
                    request = flow.send(response)
        except StopIteration as stop:
            result: R = stop.value
            return result
        except AuthenticationError as refusal:
            self.refused(refusal)
            raise
        except InDoubtError as doubt:
            if isinstance(doubt.__cause__, AuthenticationError):  # refused while the change was being verified
                self.refused(doubt.__cause__)
            raise

    async def send(
        self,
        request: Request,
        context: CallContext,
        page: Page[Any] | None = None,
        *,
        judged: bool = True,
        items: Items | None = None,
    ) -> Response:
        """Send a request, repeat it if that may help, and return its final response.

        Args:
            request: the request.
            context: context of the conversation.
            page: parses the response while it arrives; None to read it as a whole.
            judged: whether to determine if a refusal comes from the application.
            items: the items of a run whose requests may follow in an `Express` chain. The response and any error are
                then about the item that is current; see `Items`.

        Raises:
            ConnectionsError: there is no response.
        """
        if request.delay:
            await self._delay(request, context)
        context.attempts_before = context.attempts
        chain = None if items is None else self._express(request, context, items)
        try:
            response, sent = await self._attempt(request, context, page, chain)
            if chain is not None:
                request = chain.request
                request.origin = self._address.origin
            if response.status in SETTLED or self._is_own_refusal(request, response):
                return response
            end: Response | TransportError = await self._settled(response, request, sent, context, page)
        except TransportError as error:
            end = error
            if chain is not None:
                request = chain.request
        return await self._pursue(request, end, context, page, judged=judged)

    def _express(self, request: Request, context: CallContext, items: Items) -> Express:
        return Express(
            self._runtime, self._login, self._readiness, self._profiles, self._head_refusals, request, context, items
        )

    async def prove(self, run: RunScope | None, call: CallScope | None = None) -> None:
        """Prove the login with a canary, unless the last proof is still valid.

        A proof is valid for ten minutes, or until an event after which the server may have lost the login.

        Args:
            run: the run that needs the login.
            call: the single call that needs it.

        Raises:
            AuthenticationError: the server refuses this credential, or refused it earlier.
            ConnectionsError: the canary got no response, or one that does not come from Profiles.
        """
        self._on_use()
        while self._gate.refusal is None and not self._readiness.is_proved():
            if self._proof is not None:
                await self._wait_for(self._proof, run, call)
                continue
            self._proof = proof = _SharedProof(in_run=run is not None)
            try:
                await self._send_proof(run, call)
            except ConnectionsError as error:
                # the end of one run, or of the time of one call, does not concern the other waiting tasks
                if not (run is not None and run.is_over) and not (call is not None and call.is_over):
                    proof.failure = copy(error)
                raise
            finally:
                self._proof = None
                proof.done.set()
        self._gate.check()

    async def _send_proof(self, run: RunScope | None, call: CallScope | None) -> None:
        context = CallContext(self._now, self._runtime.item_timeout, run, call=call, is_proof=True)
        name, shared = self.shared_name(), self._runtime.shared
        if name is None:
            self.document = await self.converse(prove_login(self._address), context)
        else:
            proved = False
            try:
                await context.wait(self._claim(name, in_run=run is not None))
                self.document = await self.converse(prove_login(self._address), context)
                proved = True
            finally:
                shared.settle(name, proved=proved)
        self._gate.proved(self._now(), self._runtime.availability.doubts)
        self._profiles.login_proved()

    def shared_name(self) -> str | None:
        """What the login is called in a shared store; None if it is not known there.

        A renewable one is not: each process renews its own.
        """
        auth = self._login.auth
        credential = getattr(auth, "credential", None)
        if credential is None or getattr(auth, "is_renewable", False):
            return None
        kind = f"{type(auth).__module__}.{type(auth).__qualname__}"
        name = f"{self._address.origin} {kind} {credential().reveal()}"
        return self._runtime.shared.name_of(name)

    async def _claim(self, name: str, *, in_run: bool) -> None:
        """Wait until this process may prove the login that is called `name` in the shared store."""
        try:
            await self._runtime.shared.claim(name, in_run=in_run)
        except AuthenticationError as refusal:
            self.heard_of_refusal(refusal)
            raise

    async def _wait_for(self, proof: _SharedProof, run: RunScope | None, call: CallScope | None) -> None:
        """Wait for a canary that another task has sent; a single call waits no longer than an item may take."""
        if run is not None:
            await run.wait(proof.done.wait())
        else:
            clock, seconds = self._runtime.clock, self._runtime.item_timeout
            with nullcontext() if call is None else call.queued():
                done = within(clock, seconds, proof.done.wait())
                proved = await (done if call is None else call.wait(done))
            if not proved:
                raise ServerUnavailableError(f"the login was not proved within {seconds:g} s")
        proof.check(in_run=run is not None)

    async def _attempt(
        self,
        request: Request,
        context: CallContext,
        page: Page[Any] | None = None,
        chain: Express | None = None,
    ) -> tuple[Response, Headers]:
        """Send a request once, as soon as it may start; return the response, and the headers for `Login.renew`."""
        readiness, turns, in_run = self._readiness, self._runtime.turns, context.run is not None
        monitor = self._communities if request.target.startswith(self._communities_root) else self._profiles
        application = monitor.application
        request.origin = self._address.origin
        while True:
            moment = await readiness.admit(context, monitor)
            if moment is None:
                await self._prove_again(context)
                continue
            attempts = context.attempts
            try:
                if application.is_watched and context.canary is None and application.is_stale(moment, monitor.holds):
                    await self._send_canary_in_slot(monitor, context, moment)
                    continue
                seconds = context.check(moment)
                if request.method not in SAFE_METHODS:
                    await context.send_change(moment)
                seconds = min(seconds, self._runtime.attempt_timeout)
                response, sent = await self._send(request, context, moment, seconds, page, chain)
            except LocalLimitError:
                if turns.capped is None:  # no connection is open
                    raise
                context.attempts = attempts
            else:
                if not application.proved or application.outage.since is not None:
                    monitor.answered(response, proving=context.is_proof)
                return response, sent
            finally:
                turns.release(in_run=in_run)
            await self._wait_for_descriptors(context)

    async def _prove_again(self, context: CallContext) -> None:
        """Prove a login that the server may have lost during an outage."""
        arrived = self._now()
        await self.prove(context.run, context.call)
        if context.run is not None:
            context.waited += self._now() - arrived

    async def _wait_for_descriptors(self, context: CallContext) -> None:
        """Wait until one of the open connections may be free, because this machine allows no further one."""
        await context.wait(self._runtime.clock.sleep(_PAUSE_WITHOUT_DESCRIPTORS))
        context.waited += _PAUSE_WITHOUT_DESCRIPTORS

    async def _pursue(
        self,
        request: Request,
        end: Response | TransportError,
        context: CallContext,
        page: Page[Any] | None,
        *,
        judged: bool,
    ) -> Response:
        """The final response, if the first attempt ended in an error, or in a response that is not final."""
        attempt, uncounted, reached = 1, 0, False
        while True:
            reached |= _may_be_done(end)
            doubtful = False
            decision: Response | Next = Next.RETRY
            if isinstance(end, Response):
                if end.status in SETTLED or self._is_own_refusal(request, end):
                    return end
                doubtful = judged and is_doubtful(end)
                if doubtful:
                    decision = await self._judged(request, end, context, uncounted)
            if isinstance(decision, Response):
                return decision
            if decision is Next.ASK_AGAIN:
                uncounted += 1
            elif await self._may_try_again(request, end, attempt, context):
                attempt += 1
            else:
                return _final(request, end, doubtful=doubtful)
            if isinstance(end, TransportError) and met_closed_connection(end):
                request = evolve(request, fresh=True)
            try:
                end = await self._attempt_settled(request, context, page)
            except TransportError as error:
                end = _after_others(error) if reached else error

    async def _attempt_settled(self, request: Request, context: CallContext, page: Page[Any] | None = None) -> Response:
        """The response to one attempt, after redirects within the server and with a renewed login."""
        response, sent = await self._attempt(request, context, page)
        return await self._settled(response, request, sent, context, page)

    def _is_own_refusal(self, request: Request, response: Response) -> bool:
        """Whether the application itself has refused the request, so that a retry would change nothing."""
        if response.status not in DOUBTFUL or not response.is_own_form:
            return False
        kind = request.method, response.status, request.target.startswith(self._communities_root)
        if kind not in self._refusals:
            self._refusals.add(kind)
            if request.method == "HEAD" and not kind[2]:
                self._head_refusals |= {response.status}
            self._monitor(request).application.saw_own_form(request.method, response.status)
        return True

    def _monitor(self, request: Request) -> Monitor:
        return self._runtime.applications.named(self._address.application_of(request.target))

    async def _judged(self, request: Request, response: Response, context: CallContext, asked: int) -> Response | Next:
        """What a doubtful response means; see `Doubts.decide`."""
        monitor = self._monitor(request)
        if context.is_proof and not monitor.application.proved:
            return response  # the proof of the login raises the best error for a wrong address
        if request.is_change:
            await context.change_not_made(foreign_error(request, response))
        return await self._doubts.decide(request, response, context, monitor, asked=asked)

    async def _delay(self, request: Request, context: CallContext) -> None:
        scope = context.run or context.call
        if scope is not None:
            scope.check(self._now() + request.delay)
        with context.parked():
            await context.wait(self._runtime.clock.sleep(request.delay))
        context.waited += request.delay

    def _worth_it(self, request: Request, end: Response | TransportError) -> tuple[bool, float | None]:
        """Whether another attempt could end differently, and the pause in seconds that the server asks for."""
        retry = self._runtime.retry
        repeatable = request.method != "POST" and not request.once
        if isinstance(end, TransportError):
            return retry.after_failure(end, repeatable=repeatable), None
        requested_pause = retry_after(end)
        if is_doubtful(end):  # temporary, and nothing was done
            return (requested_pause or 0.0) <= LONGEST_RETRY_AFTER, requested_pause
        return retry.after_response(end.status, requested_pause, repeatable=repeatable), requested_pause

    async def _may_try_again(
        self, request: Request, end: Response | TransportError, attempt: int, context: CallContext
    ) -> bool:
        """Whether to make one more attempt after `end`; returns after the pause before it.

        An outage takes no attempts from an item of a run, which waits for the server. A single call waits no longer
        than an item may take.
        """
        runtime, availability = self._runtime, self._runtime.availability
        in_run = context.run is not None
        worth_it, requested_pause = self._worth_it(request, end)
        if not worth_it or (context.run is not None and context.run.is_over):
            return False
        if attempt == 1 and isinstance(end, TransportError) and met_closed_connection(end):
            self._count_retry(context)  # at once, on a fresh connection: this is not a fault of the server
            return True
        if attempt >= runtime.retry.max_attempts and not (in_run and availability.outage.away):
            if not (in_run and context.is_proof and self.document is not None):
                return False
            availability.give_up(self._now())  # the server has responded before, and a run waits for it
        pause = runtime.retry.pause(attempt, runtime.chance)
        now = self._now()
        if (pause if in_run else max(pause, requested_pause or 0.0)) >= context.seconds_left(now):
            return False
        if not availability.outage.away:
            availability.may_retry(now)  # if not, the server counts as away, and the next attempt waits for it
        self._count_retry(context)
        try:
            await context.wait(runtime.clock.sleep(pause))
        except ConnectionsError:
            return False
        if not context.is_proof and not self._readiness.is_proved():
            await self._prove_again(context)  # without a login, a server may respond 404 to everything
        return True

    def _count_retry(self, context: CallContext) -> None:
        self._runtime.telemetry.counts.retries += 1
        if context.run is not None:
            context.run.retries += 1

    async def _settled(
        self, response: Response, request: Request, sent: Headers, context: CallContext, page: Page[Any] | None
    ) -> Response:
        """Renew a refused login, follow redirects within the server, and return the last response."""
        redirects = refusals = 0
        while response.status not in SETTLED and response.status not in DOUBTFUL:
            if response.status == 401:
                if (
                    refusals == _MOST_REFUSALS
                    or self._gate.refusal is not None
                    or not await self._renewed(sent, context)
                ):
                    break
                refusals += 1
            else:
                to = self._redirect(request, response)
                if to is None or redirects == _MOST_REDIRECTS:
                    break
                request, redirects = to, redirects + 1
            response, sent = await self._attempt(request, context, page)
        return response

    async def _renewed(self, sent: Headers, context: CallContext) -> bool:
        """Renew the login; see `Login.renew`."""
        renewal = self._login.renew(sent)
        return await (renewal if context.run is not None else context.wait(renewal))

    def _redirect(self, request: Request, response: Response) -> Request | None:
        """The request that a redirect asks for, if it may be followed: 301 or 308 of GET or HEAD, within the server."""
        location = response.get(b"location")
        if not location or response.status not in (301, 308) or request.method not in ("GET", "HEAD"):
            return None
        target = self._address.redirected(request.target, location)
        return None if target is None else evolve(request, target=target)

    async def _send_canary(self, monitor: Monitor, run: RunScope | None) -> CanaryResult:
        """Send a canary to an application, and return what it means for the requests.

        Raises:
            AuthenticationError: the canary needs the credential, which was refused.
            ConnectionsError: the canary could not be sent.
        """
        canary = SentCanary(monitor.application.canary_sent)
        context = self._canary_context(canary, run)
        report = await self._prober.send_canary(
            monitor, lambda request: self._attempt_renewed(request, context), lambda: context.attempts
        )
        return self._prober.record(monitor, canary, report)

    async def _answers_head(self, monitor: Monitor, context: CallContext) -> bool:
        """Whether HEAD requests reach the application through the gateways in front of it; probed only if unknown.

        Raises:
            ConnectionsError: the probe could not be sent.
        """
        application = monitor.application
        known = application.answers_head(self._now())
        if known is not None:
            return known
        report = await self._prober.send_canary(
            monitor,
            lambda request: self._attempt_renewed(request, context),
            lambda: context.attempts,
            method="HEAD",
        )
        if report.result in {CanaryResult.GOOD, CanaryResult.ABSENT, CanaryResult.UNCLEAR}:
            application.asked_by_head(self._now(), answered=report.result is CanaryResult.GOOD)
        return report.result is CanaryResult.GOOD

    async def _send_canary_in_slot(self, monitor: Monitor, waiting: CallContext, moment: float) -> None:
        """Send a canary at `moment`, with the slot and the start time of the request that waits for it."""
        canary = SentCanary(monitor.application.canary_sent)
        context = self._canary_context(canary, waiting.run)

        async def send(request: Request) -> Response:
            started = moment if canary.first is None else self._now()
            response, _ = await self._send(request, context, started, self._runtime.attempt_timeout)
            return response

        with waiting.parked(), suppress(AuthenticationError):  # the waiting request raises the refusal itself
            sending = self._prober.send_canary(monitor, send, lambda: canary.count)
            report = await (sending if waiting.run is not None else waiting.wait(sending))
            self._prober.record(monitor, canary, report)

    def _canary_context(self, canary: SentCanary, run: RunScope | None) -> CallContext:
        return CallContext(self._now, self._runtime.item_timeout, run, is_proof=True, canary=canary)

    async def _attempt_renewed(self, request: Request, context: CallContext) -> Response:
        """The response to one attempt, with the login renewed if it was refused."""
        response, sent = await self._attempt(request, context)
        if response.status == 401 and not request.anonymous and await self._renewed(sent, context):
            response, _ = await self._attempt(request, context)
        return response

    def __repr__(self) -> str:
        return f"Dispatcher({self._address.origin}, {self._gate!r}, {self._login!r})"


def _final(request: Request, end: Response | TransportError, *, doubtful: bool) -> Response:
    """The result when no further attempt is made."""
    if isinstance(end, TransportError):
        raise end
    if doubtful:
        raise foreign_error(request, end)
    return end


def _may_be_done(end: Response | TransportError) -> bool:
    """Whether the server may have carried out a request that ended in this way."""
    return end.sent == "maybe" if isinstance(end, TransportError) else end.status >= 500


def _after_others(error: TransportError) -> TransportError:
    """The error of the last attempt, after another that may have reached the server."""
    if isinstance(error, DeadlineError):
        error.sent = "maybe"
    return error


class _SharedProof:
    """A canary that several tasks wait for, and its failure."""

    def __init__(self, *, in_run: bool) -> None:
        self.done = anyio.Event()
        self.failure: ConnectionsError | None = None
        self._in_run = in_run

    def check(self, *, in_run: bool) -> None:
        """Raise the failure, unless only the sender of the canary gave up: a run waits longer than a single call."""
        gave_up = isinstance(self.failure, ServerUnavailableError | SharedStoreError) and not self._in_run
        if self.failure is not None and not (in_run and gave_up):
            raise copy(self.failure)
