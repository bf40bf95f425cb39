"""Runs conversations for one signed-in user: gate → availability → slot → limiter → engine → answer → retry.

What is said is decided in `protocol`, whether and when in `policy`; this module only waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

import anyio
from attrs import evolve

from aioconnections.auth.credentials import Auth
from aioconnections.clock import LoopClock, within
from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionsError,
    InDoubtError,
    InvalidInputError,
    NotFoundError,
    ServerUnavailableError,
    TransportError,
)
from aioconnections.policy.gate import Gate
from aioconnections.policy.retry import LONGEST_WISH
from aioconnections.protocol.address import Address, split_url
from aioconnections.protocol.answers import DOUBTFUL, foreign_error, is_doubtful, retry_after
from aioconnections.protocol.discovery import emails_hidden
from aioconnections.protocol.listing import Pager
from aioconnections.protocol.messages import NO_HEADERS, Flow, Headers, Request, Response
from aioconnections.protocol.profiles import prove_login
from aioconnections.records import Email, Identity, ServiceDocument
from aioconnections.session.applications import Monitor
from aioconnections.session.attempt import SETTLED, Attempts, Page, asked, reused
from aioconnections.session.doubts import Doubts, Next
from aioconnections.session.login import Login
from aioconnections.session.parking import Parking
from aioconnections.session.runtime import CallContext, Emails, Run, Runtime
from aioconnections.session.telemetry import LOG

if TYPE_CHECKING:
    from aioconnections.auth.cookies import Jar

__all__ = ["Session"]

R = TypeVar("R")

_HIDDEN = "this server hides e-mail addresses: name people by userid or key"
_MOST_REDIRECTS = 3
_MOST_REFUSALS = 2  # of one request; a server that goes on to refuse it does not mean the credential


class Session:
    """One user's conversations over the shared traffic."""

    def __init__(
        self,
        runtime: Runtime,
        address: Address,
        auth: Auth | None,
        constant: Headers,
        *,
        verify_login: bool,
        jar: Jar | None = None,
    ) -> None:
        self.address = address
        self.verifies: bool = verify_login and auth is not None
        self.signs_in: bool = auth is not None
        self.gate: Gate = Gate()
        self.login: Login = Login(auth, constant, self._send, runtime.item_timeout)
        self.emails: Emails = runtime.emails
        self.used: float = 0.0  # when somebody had to do with it, for whoever keeps it
        self.on_use: Callable[[], object] = lambda: None
        self._runtime = runtime
        self._now = runtime.clock.here() if isinstance(runtime.clock, LoopClock) else runtime.clock.now
        self._communities = f"{address.context}/communities/"
        self._refusals: set[tuple[str, int, bool]] = set()  # kinds of refusals in own form that were noted
        self._attempts = Attempts(runtime, address, self.gate, self.login, self.prove, self._now, jar)
        self._doubts = Doubts(runtime, address, self._attempts, self._answered)
        self._proof: _Shared | None = None
        self._own: ServiceDocument | None = None  # what the canary brought back

    @property
    def me(self) -> Identity | None:
        """Who is signed in, as the canary has told."""
        return None if self._own is None else self._own.userid or self._own.key

    def context(self, run: Run | None = None, parking: Parking | None = None) -> CallContext:
        """A new meter, running."""
        return CallContext(self._now, run, parking)

    def refused(self, refusal: AuthenticationError) -> None:
        """An answer has meant that this login is not good: nothing more is sent with it."""
        if self.gate.refusal is None:
            LOG.warning("a login was refused with %d: nothing more is sent with it", refusal.status)
        self.gate.close(copy(refusal))

    async def call(self, flow: Flow[R]) -> R:
        """A single call: the canary first where it is due, then the conversation."""
        await self.prove()
        return await self.run(flow, self.context())

    def is_proved(self) -> bool:
        """Whether `prove` would return at once."""
        gate = self.gate
        return gate.refusal is None and (
            not self.verifies or not gate.wants_proof(self._now(), self._runtime.availability.doubts)
        )

    async def prove(self, run: Run | None = None) -> None:
        """Let the canary go first, alone, unless it came back within the last ten minutes and nothing was odd since.

        Raises:
            AuthenticationError: the server refuses this credential, now or before.
            ConnectionsError: the canary got no answer, or one that does not come from Profiles.
        """
        availability = self._runtime.availability
        self.on_use()
        while self.gate.refusal is None and not self.is_proved():
            if self._proof is not None:
                await self._wait_for(self._proof, run)
                continue
            self._proof = proof = _Shared(patient=run is not None)
            try:
                self._own = await self.run(prove_login(self.address), CallContext(self._now, run, proving=True))
                self.gate.proved(self._now(), availability.doubts)
                self._runtime.applications.profiles.login_proved()
            except ConnectionsError as error:
                if run is None or not run.is_over:  # that a run has ended is no news for the others who wait
                    proof.failure = copy(error)
                raise
            finally:
                self._proof = None
                proof.done.set()
        self.gate.check()

    async def _wait_for(self, proof: _Shared, run: Run | None) -> None:
        """Wait for a canary that somebody else has sent; a single call no longer than an item may take."""
        if run is not None:
            await run.wait(proof.done.wait())
        else:
            seconds = self._runtime.item_timeout
            if not await within(self._runtime.clock, seconds, proof.done.wait()):
                raise ServerUnavailableError(f"the server has not proved the login within {seconds:g} s")
        proof.check(patient=run is not None)

    async def run(self, flow: Flow[R], context: CallContext) -> R:
        """Drive a conversation to its result.

        Raises:
            ConnectionsError: what the conversation raises, or what kept it from going on.
        """
        try:
            request = next(flow)
            while True:
                if request.is_change:
                    context.changes += 1
                try:
                    response = await self.ask(request, context)
                except ConnectionsError as error:  # a question that could not be asked leaves its change in doubt
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
            if isinstance(doubt.__cause__, AuthenticationError):  # the login ended while it asked what had become of it
                self.refused(doubt.__cause__)
            raise

    async def page(self, pager: Pager[R]) -> list[R] | None:
        """The records of the next page of a listing; None at its end.

        Raises:
            ConnectionsError: what keeps the page from coming.
        """
        self.refuse_hidden(*pager.people)
        await self.prove()
        request = pager.next_request()
        if request is None:
            return None
        page = Page(pager)
        try:
            answer = await self.ask(request, self.context(), page)
            if answer.status != 200:
                pager.begin(answer)  # raises what the answer means
        except AuthenticationError as refusal:
            self.refused(refusal)
            raise
        except (BadRequestError, NotFoundError) as refused:
            error = refused
        else:
            return page.records
        raise await self.explained(error, *pager.people)

    def refuse_hidden(self, *people: Identity) -> None:
        """Refuse e-mail addresses to a server that is known to hide them: it would answer 400 to each.

        Raises:
            InvalidInputError: one of `people` is named by one.
        """
        if self.emails.hidden and any(isinstance(person, Email) for person in people):
            raise InvalidInputError(_HIDDEN)

    async def explained(self, error: ConnectionsError, *people: Identity) -> ConnectionsError:
        """What an error means: a 400 or 404 to an e-mail address may mean that the server hides those."""
        if not isinstance(error, BadRequestError | NotFoundError):
            return error
        try:
            await self.nobody_found(*people)
        except InvalidInputError as hidden:
            return hidden.with_traceback(None)
        except ConnectionsError:
            return error  # what kept us from asking is no news of this one
        return error

    async def nobody_found(self, *people: Identity) -> None:
        """That there is nobody by an e-mail address means nothing if the server hides those: ask it once.

        Page "Determining whether email addresses are hidden".

        Raises:
            InvalidInputError: it does.
        """
        emails = self.emails
        if emails.hidden is None and any(isinstance(person, Email) for person in people):
            async with emails.asking:
                if emails.hidden is None:
                    await self._learn_whether_emails_are_hidden()
        self.refuse_hidden(*people)

    async def _learn_whether_emails_are_hidden(self) -> None:
        flow, context, emails = emails_hidden(self.address), self.context(), self.emails
        with suppress(TransportError, ServerUnavailableError):  # then whoever comes next asks again
            answer = await self.ask(next(flow), context, judged=False)
            emails.hidden = False  # a server that does not say so does not hide them
            with suppress(ConnectionsError):  # not even a refusal says anything about the login: this is open to all
                try:
                    flow.send(answer)
                except StopIteration as said:
                    emails.hidden = said.value

    async def ask(
        self, request: Request, context: CallContext, page: Page[Any] | None = None, *, judged: bool = True
    ) -> Response:
        """The final answer to one request, tried again where that may help.

        Args:
            request: to send.
            context: of its conversation.
            page: reads the answer while it arrives; None: it is read as a whole.
            judged: whether a refusal that may not come from the application is looked into.

        Raises:
            ConnectionsError: there is none.
        """
        if request.delay:
            await self._delay(request, context)
        try:
            answer, signed = await self._attempts.once(request, context, page)
            if answer.status in SETTLED or self._is_own_refusal(request, answer):
                return answer  # nearly every one
            end: Response | TransportError = await self._settled(answer, request, signed, context, page)
        except TransportError as error:
            end = error
        return await self._pursue(request, end, context, page, judged=judged)

    async def _pursue(
        self,
        request: Request,
        end: Response | TransportError,
        context: CallContext,
        page: Page[Any] | None,
        *,
        judged: bool,
    ) -> Response:
        """The final answer, where the first attempt came to an `end` that settled nothing."""
        attempt, free = 1, 0
        while True:
            doubtful = False
            decision: Response | Next = Next.RETRY
            if isinstance(end, Response):
                if end.status in SETTLED or self._is_own_refusal(request, end):
                    return end
                doubtful = judged and is_doubtful(end)
                if doubtful:
                    decision = await self._judged(request, end, context, free)
            if isinstance(decision, Response):
                return decision
            if decision is Next.ASK_AGAIN:
                free += 1
            elif await self._may_try_again(request, end, attempt, context):
                attempt += 1
            else:
                return _final(end, doubtful=doubtful)
            if isinstance(end, TransportError) and reused(end):
                request = evolve(request, fresh=True)
            end = await self._end_of_attempt(request, context, page)

    async def _end_of_attempt(
        self, request: Request, context: CallContext, page: Page[Any] | None
    ) -> Response | TransportError:
        """How one attempt ends, with redirects within the origin and a renewed login."""
        try:
            return await self._answered(request, context, page)
        except TransportError as error:
            return error

    async def _answered(self, request: Request, context: CallContext, page: Page[Any] | None = None) -> Response:
        """The response to one attempt, after redirects within the origin and with a renewed login."""
        answer, signed = await self._attempts.once(request, context, page)
        return await self._settled(answer, request, signed, context, page)

    def _is_own_refusal(self, request: Request, answer: Response) -> bool:
        """Whether the application itself has refused the request: a retry would change nothing."""
        if answer.status not in DOUBTFUL or not answer.is_own_form:
            return False
        kind = request.method, answer.status, request.target.startswith(self._communities)
        if kind not in self._refusals:
            self._refusals.add(kind)
            self._monitor(request).application.saw_own_form(request.method, answer.status)
        return True

    def _monitor(self, request: Request) -> Monitor:
        return self._runtime.applications.named(self.address.application_of(request.target))

    async def _judged(self, request: Request, answer: Response, context: CallContext, asked: int) -> Response | Next:
        """What a doubtful answer means; see `Doubts.decide`."""
        if context.proving and not self._monitor(request).application.proved:
            return answer  # the proof of the login tells best what is wrong with the address
        if request.is_change:
            await context.not_made(foreign_error(answer))
        return await self._doubts.decide(request, answer, context, asked=asked)

    async def _delay(self, request: Request, context: CallContext) -> None:
        if context.run is not None:
            context.run.check(self._now() + request.delay)
        with context.parked():
            await context.wait(self._runtime.clock.sleep(request.delay))
        context.waited += request.delay

    def _worth_it(self, request: Request, end: Response | TransportError) -> tuple[bool, float | None]:
        """Whether another attempt could end otherwise than in `end`, and how long the server asks to wait with it."""
        retry = self._runtime.retry
        repeatable = request.method != "POST" and not request.once
        if isinstance(end, TransportError):
            return retry.after_failure(end, repeatable=repeatable), None
        wish = retry_after(end)
        if is_doubtful(end):  # it passes, and nothing was done
            return (wish or 0.0) <= LONGEST_WISH, wish
        return retry.after_answer(end.status, wish, repeatable=repeatable), wish

    async def _may_try_again(
        self, request: Request, end: Response | TransportError, attempt: int, context: CallContext
    ) -> bool:
        """Whether there is to be one more attempt after `end`; if so, the pause before it is over.

        An outage costs an item of a run no attempts: it waits for the server. A single call does not wait longer than
        an item may take.
        """
        runtime, availability = self._runtime, self._runtime.availability
        patient = context.run is not None
        worth_it, wish = self._worth_it(request, end)
        if not worth_it or (context.run is not None and context.run.is_over):
            return False
        if attempt == 1 and isinstance(end, TransportError) and reused(end):
            runtime.telemetry.retries += 1  # at once, on a fresh connection: nothing is wrong with the server
            return True
        if attempt >= runtime.retry.max_attempts and not (patient and availability.outage.away):
            if not (patient and context.proving and self._own is not None):
                return False
            availability.give_up(self._now())  # it was there before, and a run has patience
        pause = runtime.retry.pause(attempt, runtime.chance)
        if context.elapsed + (pause if patient else max(pause, wish or 0.0)) >= runtime.item_timeout:
            return False
        if not availability.outage.away:
            availability.may_retry(self._now())  # if not, the server counts as away, and the next attempt waits
        runtime.telemetry.retries += 1
        try:
            await context.wait(runtime.clock.sleep(pause))
        except ConnectionsError:
            return False
        if not context.proving and not self.is_proved():
            came = self._now()
            await self.prove(context.run)  # a login that was lost without a word would turn answers into false 404s
            if patient:
                context.waited += self._now() - came
        return True

    async def _settled(
        self, answer: Response, request: Request, signed: Headers, context: CallContext, page: Page[Any] | None
    ) -> Response:
        """What `answer` leads to: a renewed login where the old one was refused, redirects within the origin."""
        redirects = refusals = 0
        while answer.status not in SETTLED and answer.status not in DOUBTFUL:
            if answer.status == 401:
                if refusals == _MOST_REFUSALS or self.gate.refusal is not None or not await self.login.renew(signed):
                    break
                refusals += 1
            else:
                to = self._redirect(request, answer)
                if to is None or redirects == _MOST_REDIRECTS:
                    break
                request, redirects = to, redirects + 1
            answer, signed = await self._attempts.once(request, context, page)
        return answer

    def _redirect(self, request: Request, response: Response) -> Request | None:
        """The request that a redirect asks for, if it may be followed: 301 or 308 of GET or HEAD, within the origin."""
        location = response.get(b"location")
        if not location or response.status not in (301, 308) or request.method not in ("GET", "HEAD"):
            return None
        try:
            origin, target = split_url(urljoin(f"{self.address.origin}{request.target}", location))
            return evolve(request, target=target) if origin == self.address.origin else None
        except ValueError:
            return None

    async def _send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """What an `Auth` sends its own requests with: no credential of ours goes along."""
        origin, target = split_url(urljoin(f"{self.address.origin}/", url))
        request = Request(method, target, Headers((headers or {}).items()), body)
        return await asked(self._runtime.engine, origin, request, NO_HEADERS, self._runtime.attempt_timeout)


def _final(end: Response | TransportError, *, doubtful: bool) -> Response:
    """What is handed out when nothing more is tried."""
    if isinstance(end, TransportError):
        raise end
    if doubtful:
        raise foreign_error(end)
    return end


class _Shared:
    """One canary that several are waiting for, and what became of it."""

    def __init__(self, *, patient: bool) -> None:
        self.done = anyio.Event()
        self._patient = patient
        self.failure: ConnectionsError | None = None

    def check(self, *, patient: bool) -> None:
        """Raise what it failed with. Who is patient does not mind that somebody less patient has given up waiting."""
        gave_up = isinstance(self.failure, ServerUnavailableError) and not self._patient
        if self.failure is not None and not (patient and gave_up):
            raise copy(self.failure)
