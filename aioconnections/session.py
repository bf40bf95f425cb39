"""Runs conversations for one signed-in user: gate → slot → limiter → engine → answer → retry.

What is said is decided in `protocol`, whether and when in `policy`; this module only waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from typing import Any, TypeVar
from urllib.parse import urljoin

import anyio
from attrs import evolve

from aioconnections.auth import Auth
from aioconnections.clock import LoopClock
from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionsError,
    DeadlineError,
    InDoubtError,
    InvalidInputError,
    NotFoundError,
    TransportError,
)
from aioconnections.page import Page
from aioconnections.policy.gate import Gate
from aioconnections.protocol.address import Address, split_url
from aioconnections.protocol.answers import retry_after
from aioconnections.protocol.discovery import emails_hidden
from aioconnections.protocol.listing import Pager
from aioconnections.protocol.messages import NO_HEADERS, Flow, Headers, Request, Response
from aioconnections.protocol.profiles import prove_login
from aioconnections.records import Email, Identity, ServiceDocument
from aioconnections.traffic import Meter, Traffic

__all__ = ["Session"]

R = TypeVar("R")

_HIDDEN = "this server hides e-mail addresses: name people by userid or key"
_MOST_REDIRECTS = 3
_MOST_REFUSALS = 2  # of one request; a server that goes on to refuse it does not mean the credential
_SETTLED = frozenset({200, 404})  # nearly every answer; neither retry nor redirect nor login is about them


class Session:
    """One user's conversations over the shared traffic."""

    def __init__(
        self, traffic: Traffic, address: Address, auth: Auth | None, constant: Headers, *, verify_login: bool
    ) -> None:
        self.address = address
        self.verifies: bool = verify_login and auth is not None
        self.gate: Gate = Gate()
        self.used: float = 0.0  # when somebody had to do with it, for whoever keeps it
        self.on_renewal: Callable[[], None] = lambda: None
        self._traffic = traffic
        self._now = traffic.clock.here() if isinstance(traffic.clock, LoopClock) else traffic.clock.now
        self._constant = constant
        self._auth = auth
        self._signed: Headers | None = constant if auth is None else None  # the constant headers and the credential
        self._credential = NO_HEADERS
        self._untried = False  # the credential was renewed and no answer has accepted it yet
        self._login: anyio.Event | None = None  # the `Auth` is at work on a credential; set when it is done
        self._proof: _Shared | None = None
        self._own: ServiceDocument | None = None  # what the canary brought back
        self._asking_for_emails = anyio.Lock()
        self._emails_hidden: bool | None = None  # whether the server hides e-mail addresses; None: not known

    @property
    def me(self) -> Identity | None:
        """Who is signed in, as the canary has told."""
        return None if self._own is None else self._own.userid or self._own.key

    def meter(self) -> Meter:
        """A new meter, running."""
        return Meter(self._now)

    def refused(self, refusal: AuthenticationError) -> None:
        """An answer has meant that this login is not good: nothing more is sent with it."""
        self.gate.close(copy(refusal))

    async def call(self, flow: Flow[R]) -> R:
        """A single call: the canary first where it is due, then the conversation."""
        await self.prove()
        return await self.run(flow, self.meter())

    def is_proved(self) -> bool:
        """Whether `prove` would return at once."""
        gate = self.gate
        return gate.refusal is None and (not self.verifies or self._now() < gate.proved_until)

    async def prove(self) -> None:
        """Let the canary go first, alone, unless it came back within the last ten minutes.

        Raises:
            AuthenticationError: the server refuses this credential, now or before.
            ConnectionsError: the canary got no answer, or one that does not come from Profiles.
        """
        self.used = self._now()
        while self.verifies and self.gate.wants_proof(self._now()):
            if self._proof is not None:
                await self._proof.wait()
                continue
            self._proof = proof = _Shared()
            try:
                self._own = await self.run(prove_login(self.address), self.meter())
                self.gate.proved(self._now())
            except ConnectionsError as error:
                proof.failure = copy(error)
                raise
            finally:
                self._proof = None
                proof.done.set()
        self.gate.check()

    async def run(self, flow: Flow[R], meter: Meter) -> R:
        """Drive a conversation to its result.

        Raises:
            ConnectionsError: what the conversation raises, or what kept it from going on.
        """
        try:
            request = next(flow)
            while True:
                try:
                    response = await self.ask(request, meter)
                except TransportError as error:
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
            answer = await self.ask(request, self.meter(), page)
            if answer.status != 200:
                pager.begin(answer)  # it raises, unless this only means that there is nobody
                page.records = pager.end()
                await self.nobody_found(*pager.people)
        except AuthenticationError as refusal:
            self.refused(refusal)
            raise
        return page.records

    def refuse_hidden(self, *people: Identity) -> None:
        """Refuse e-mail addresses to a server that is known to hide them: it would answer 400 to each.

        Raises:
            InvalidInputError: one of `people` is named by one.
        """
        if self._emails_hidden and any(isinstance(person, Email) for person in people):
            raise InvalidInputError(_HIDDEN)

    async def explained(self, error: ConnectionsError, *people: Identity) -> ConnectionsError:
        """What an error means: a 400 or 404 to an e-mail address may mean that the server hides those."""
        if not isinstance(error, BadRequestError | NotFoundError):
            return error
        try:
            await self.nobody_found(*people)
        except InvalidInputError as hidden:
            return hidden.with_traceback(None)
        return error

    async def nobody_found(self, *people: Identity) -> None:
        """That there is nobody by an e-mail address means nothing if the server hides those: ask it once.

        Page "Determining whether email addresses are hidden".

        Raises:
            InvalidInputError: it does.
        """
        if self._emails_hidden is None and any(isinstance(person, Email) for person in people):
            async with self._asking_for_emails:
                if self._emails_hidden is None:
                    await self._learn_whether_emails_are_hidden()
        self.refuse_hidden(*people)

    async def _learn_whether_emails_are_hidden(self) -> None:
        flow, meter = emails_hidden(self.address), self.meter()
        with suppress(TransportError):  # then whoever comes next asks again
            answer = await self.ask(next(flow), meter)
            self._emails_hidden = False  # a server that does not say so does not hide them
            with suppress(ConnectionsError):  # not even a refusal says anything about the login: this is open to all
                try:
                    flow.send(answer)
                except StopIteration as said:
                    self._emails_hidden = said.value

    async def ask(self, request: Request, meter: Meter, page: Page[Any] | None = None) -> Response:
        """The final answer to one request, tried again where that may help.

        Raises:
            ConnectionsError: there is none.
        """
        traffic, retry = self._traffic, self._traffic.retry
        idempotent = request.method != "POST" and not request.once
        if request.delay:
            await traffic.clock.sleep(request.delay)
            meter.waited += request.delay
        attempt = 0
        while True:
            attempt += 1
            wish: float | None = None
            answer: Response | TransportError
            try:
                answer, signed = await self._attempt(request, meter, page)
                if answer.status not in _SETTLED:
                    answer = await self._settled(answer, request, signed, meter, page)
                if answer.status in _SETTLED:
                    return answer
                wish = retry_after(answer)
                again = retry.after_answer(attempt, answer.status, wish, idempotent=idempotent)
            except TransportError as error:
                answer = error
                again = retry.after_failure(attempt, error, idempotent=idempotent)
            pause = retry.pause(attempt, wish, traffic.chance)
            if not again or meter.elapsed + pause >= traffic.item_timeout:
                if isinstance(answer, TransportError):
                    raise answer
                return answer
            await traffic.clock.sleep(pause)

    async def _settled(
        self, answer: Response, request: Request, signed: Headers, meter: Meter, page: Page[Any] | None
    ) -> Response:
        """What `answer` leads to: a renewed login where the old one was refused, redirects within the origin."""
        redirects = refusals = 0
        while answer.status not in _SETTLED:
            if answer.status == 401:
                if refusals == _MOST_REFUSALS or not await self._renew(signed):
                    break
                refusals += 1
            else:
                to = self._redirect(request, answer)
                if to is None or redirects == _MOST_REDIRECTS:
                    break
                request, redirects = to, redirects + 1
            answer, signed = await self._attempt(request, meter, page)
        return answer

    async def _attempt(self, request: Request, meter: Meter, page: Page[Any] | None) -> tuple[Response, Headers]:
        """Send one request when it is its turn; the answer, and what the request was signed with."""
        traffic, now = self._traffic, self._now
        if self._signed is None or self._login is not None or not traffic.slots.take():
            await self._turn(meter)
        try:
            moment = now()
            start = traffic.limiter.reserve(moment)
            if start > moment:
                await traffic.clock.sleep(start - moment)
                asked, moment = moment, now()
                meter.waited += moment - asked
            self.gate.check()
            left = traffic.item_timeout - meter.elapsed_at(moment)
            if left <= 0:
                raise self._late()
            meter.attempts += 1
            signed = self._signed or NO_HEADERS  # as it is now: it may have been renewed during the wait
            origin, seconds = self.address.origin, min(left, traffic.attempt_timeout)
            if page is None:
                answer = await traffic.engine.exchange(origin, request, signed, seconds)
            else:
                async with traffic.engine.stream(origin, request, signed, seconds) as arriving:
                    answer = await page.take(arriving)
            if self._untried and signed is self._signed and answer.status in _SETTLED:
                self._untried = False
            return answer, signed
        finally:
            traffic.slots.release()

    async def _turn(self, meter: Meter) -> None:
        """Wait for a slot, and without one for a login: while it is renewed, the refused one is not sent again."""
        slots, now = self._traffic.slots, self._now
        while True:
            if self._signed is None or self._login is not None:
                await self._sign_in(meter)
            if not slots.take():
                came = now()
                await slots.acquire()
                meter.waited += now() - came
            if self._login is None:
                return
            slots.release()

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

    async def _sign_in(self, meter: Meter) -> None:
        """Wait until the `Auth` has given its headers; it is asked once for all who wait."""
        while self._login is not None:
            await self._login.wait()
        if self._signed is None:
            if meter.elapsed >= self._traffic.item_timeout:  # somebody else has asked in vain for as long
                raise self._late()
            self._use(await self._ask(None))

    async def _renew(self, refused: Headers) -> bool:
        """After a 401 to `refused`: whether there is another credential now."""
        while self._login is not None:
            await self._login.wait()
        if self._signed is not refused:
            return True  # somebody else has renewed it meanwhile
        if self._auth is None or self._untried or self.gate.refusal is not None:
            return False
        try:
            credential = await self._ask(self._credential)
        except ConnectionsError:
            return False
        if credential == self._credential:
            return False
        self._use(credential)
        self._untried = True
        self.on_renewal()
        return True

    async def _ask(self, refused: Headers | None) -> Headers:
        """What the `Auth` gives, which has as much time for it as an item has."""
        assert self._auth is not None  # noqa: S101 # without one there is nothing to sign in
        login = self._login = anyio.Event()
        try:
            with anyio.move_on_after(self._traffic.item_timeout):
                return await self._auth.headers(self._send, refused)
        finally:
            self._login = None
            login.set()
        raise self._late()

    def _late(self) -> DeadlineError:
        return DeadlineError(f"not done within {self._traffic.item_timeout:g} s", sent="no")

    def _use(self, credential: Headers) -> None:
        self._credential = credential
        self._signed = self._constant + credential

    async def _send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """What an `Auth` sends its own requests with: no credential of ours goes along."""
        origin, target = split_url(urljoin(f"{self.address.origin}/", url))
        request = Request(method, target, Headers((headers or {}).items()), body)
        return await self._traffic.engine.exchange(origin, request, NO_HEADERS, self._traffic.attempt_timeout)


class _Shared:
    """One canary that several are waiting for, and what became of it."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.failure: ConnectionsError | None = None

    async def wait(self) -> None:
        await self.done.wait()
        if self.failure is not None:
            raise copy(self.failure)
