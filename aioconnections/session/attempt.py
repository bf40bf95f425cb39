"""Sends one request, reads its response, and records what the response says about the server and the login."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from attrs import evolve

from aioconnections.errors import AuthenticationError, DeadlineError, LocalLimitError, ProtocolError, TransportError
from aioconnections.protocol.address import Address
from aioconnections.protocol.canary import CanaryReport, CanaryResult, canary
from aioconnections.protocol.listing import Pager
from aioconnections.protocol.messages import NO_HEADERS, Headers, Origin, Request, Response
from aioconnections.protocol.responses import is_doubtful, retry_after
from aioconnections.session.applications import Monitor
from aioconnections.session.call_context import CallContext, SentCanary
from aioconnections.session.login import Login
from aioconnections.session.runtime import Runtime
from aioconnections.session.telemetry import CANCELLED, LOG, Attempt, ObservedRequest, Observer
from aioconnections.transport import Engine, RequestChain, StreamedResponse
from aioconnections.transport.tls_failures import refused_by_front_end

if TYPE_CHECKING:
    from aioconnections.auth.cookies import Jar

__all__ = [
    "SETTLED",
    "CheckChain",
    "CookieSender",
    "Page",
    "Prober",
    "Sender",
    "Sending",
    "TracedSender",
    "met_closed_connection",
    "send_unlimited",
]

R = TypeVar("R")

SETTLED = frozenset({200, 201, 204})
"""Statuses that need neither a retry nor a redirect nor a renewed login."""

_ADMITTED = frozenset({400, 403, 404, 409})
"""Refusals that show that the login was good, if the application itself wrote them."""

_ASKS_FOR_PAUSE = frozenset({429, 502, 503, 504})
_LONGEST_ERROR = 1 << 20


def met_closed_connection(error: TransportError) -> bool:
    """Whether the request probably failed because the server had closed the reused connection."""
    return isinstance(error, ProtocolError) and error.reused


async def send_unlimited(
    engine: Engine,
    origin: Origin,
    request: Request,
    common: Headers,
    seconds: float,
    observer: Observer | None = None,
) -> Response:
    """Send a request outside all limits, and once more on a fresh connection if a reused one was closed.

    Raises:
        TransportError: there is no complete response.
    """

    async def exchange(request: Request, resends: int) -> Response:
        if observer is None or not observer.traces_requests:
            return await engine.exchange(origin, request, common, seconds)
        with _observing(observer.request(origin, request, resends, None)) as observed:
            observed.response = await engine.exchange(origin, _with(observed, request), common, seconds)
            return observed.response

    try:
        return await exchange(request, 0)
    except TransportError as error:
        if request.method == "POST" or not met_closed_connection(error):
            raise
    return await exchange(evolve(request, fresh=True), 1)


class _Observing:
    """A request that is being observed; its user sets `response`."""

    __slots__ = ("headers", "response")

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.response: Response | None = None


@contextmanager
def _observing(request: ObservedRequest) -> Generator[_Observing]:
    """A block that sends the request, and ends its observation."""
    observing = _Observing(request.headers)
    try:
        yield observing
    except Exception as error:
        request.end(None, type(error).__name__)
        raise
    except BaseException:
        request.end(None, CANCELLED)
        raise
    request.end(observing.response)


def _with(observing: _Observing, request: Request) -> Request:
    """The request with the headers that its observer adds."""
    added = observing.headers
    return evolve(request, headers=Headers([*request.headers, *added])) if added else request


class Page(Generic[R]):
    """One page of a listing, parsed while it arrives. A page that breaks off is parsed again from its beginning."""

    def __init__(self, pager: Pager[R]) -> None:
        self.records: list[R] = []
        self._pager = pager

    async def read(self, arriving: StreamedResponse) -> Response:
        """Read the response to one attempt. If it is a page, return only its head, and put its body into `records`."""
        head = arriving.head
        if head.status != 200:
            body = b""
            async for chunk in arriving:
                body += chunk
                if len(body) > _LONGEST_ERROR:
                    break
            return Response(head.status, head.fields, body)
        self._pager.next_request()
        self._pager.begin(head)
        records: list[R] = []
        async for chunk in arriving:
            records += self._pager.feed(chunk)
        self.records = records + self._pager.end()
        return head


class CheckChain(RequestChain, Protocol):
    """A chain whose latest request and state are known; see `Express`."""

    @property
    def request(self) -> Request:
        """The latest request."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether the response to the latest request was settled."""
        ...


class Sending(Protocol):
    """Sends one request; see `Sender`."""

    async def send(
        self,
        request: Request,
        context: CallContext,
        moment: float,
        seconds: float,
        page: Page[Any] | None = None,
        chain: CheckChain | None = None,
    ) -> tuple[Response, Headers]:
        """See `Sender.send`."""
        ...


class Sender:
    """Sends the requests of one signed-in user without waiting; `Readiness` has admitted them before."""

    def __init__(self, runtime: Runtime, address: Address, login: Login, now: Callable[[], float]) -> None:
        self._engine = runtime.engine
        self._availability = runtime.availability
        self._telemetry = runtime.telemetry
        self._origin = address.origin
        self._login = login
        self._now = now

    async def send(
        self,
        request: Request,
        context: CallContext,
        moment: float,
        seconds: float,
        page: Page[Any] | None = None,
        chain: CheckChain | None = None,
    ) -> tuple[Response, Headers]:
        """Send one request at `moment` and wait up to `seconds` for its response.

        With `chain`, its requests follow, and the result is that of the latest one.

        Returns:
            The response, and the headers with the credential of the request, for `Login.renew`.

        Raises:
            TransportError: there is no complete response.
        """
        if chain is not None:
            request = chain.request  # a later one than the first, if the connection was lost in between
        context.attempts += 1
        context.sent_at = moment
        if context.canary is not None:
            context.canary.sent(moment)
        login = self._login
        headers = login.constant if request.anonymous else login.request_headers
        assert headers is not None  # noqa: S101 # a login that was ready remains ready
        try:
            if chain is not None:
                exchange = self._engine.exchange
                response = await exchange(self._origin, request, headers, seconds, chain)
                if chain.is_settled:
                    return response, headers
                request, moment = chain.request, context.sent_at
            elif page is None:
                response = await context.limited(self._engine.exchange(self._origin, request, headers, seconds))
            else:
                async with self._engine.stream(self._origin, request, headers, seconds) as arriving:
                    response = await page.read(arriving)
            if response.status == 400 and (refusal := refused_by_front_end(response)) is not None:
                raise refusal  # recorded below like any other
        except TransportError as error:
            latest = request if chain is None else chain.request
            self._failed(latest, context, context.sent_at, error)
            raise
        status, telemetry = response.status, self._telemetry
        telemetry.responses[status] += 1
        if status not in SETTLED or login.is_untried or not self._availability.steady:
            self._learn(response, context, moment, headers)
        observer = telemetry.observer
        if observer is not None or telemetry.on_attempt is not None or LOG.isEnabledFor(logging.DEBUG):
            self._responded(request, context, status, self._now() - moment)
        return response, headers

    def _responded(self, request: Request, context: CallContext, status: int, elapsed: float) -> None:
        if self._telemetry.observer is not None:
            self._telemetry.observer.responded(request.method, status, elapsed)
        self._report(request, context, status, None, elapsed)

    def _learn(self, response: Response, context: CallContext, moment: float, headers: Headers) -> None:
        """Record what a response says about the server and the login."""
        status, availability = response.status, self._availability
        if status in SETTLED or (status in _ADMITTED and response.is_own_form):
            self._login.accepted(headers)
        if status == 429 or status >= 500:
            availability.refused(status, retry_after(response), moment, self._now())
        elif not availability.steady and not is_doubtful(response):
            availability.went_well(self._now(), proving=context.is_proof)

    def _failed(self, request: Request, context: CallContext, moment: float, error: TransportError) -> None:
        ended, name = self._now(), type(error).__name__
        self._telemetry.failures[name] += 1
        if self._telemetry.observer is not None:
            self._telemetry.observer.failed(request.method, name, ended - moment)
        call = context.call
        is_impatient = isinstance(error, DeadlineError) and call is not None and call.is_over
        if not is_impatient and not met_closed_connection(error):  # neither says anything about the server
            self._availability.failed(error, moment, ended)
        self._report(request, context, None, name, ended - moment)

    def _report(
        self, request: Request, context: CallContext, status: int | None, error: str | None, elapsed: float
    ) -> None:
        self._telemetry.report(
            Attempt(
                method=request.method,
                path=request.path,
                status=status,
                error=error,
                elapsed=elapsed,
                number=context.attempts,
                run=None if context.run is None else context.run.id,
            )
        )


class TracedSender:
    """A `Sender` whose requests are observed one by one. It begins no chain, because each has a span of its own."""

    def __init__(self, sender: Sending, observer: Observer, origin: Origin) -> None:
        self._sender = sender
        self._observer = observer
        self._origin = origin

    async def send(
        self,
        request: Request,
        context: CallContext,
        moment: float,
        seconds: float,
        page: Page[Any] | None = None,
        chain: CheckChain | None = None,
    ) -> tuple[Response, Headers]:
        """See `Sender.send`."""
        del chain
        resends = None if context.canary is not None else context.attempts - context.attempts_before
        run = None if context.run is None else context.run.observed
        with _observing(self._observer.request(self._origin, request, resends, run)) as observed:
            response, headers = await self._sender.send(_with(observed, request), context, moment, seconds, page)
            observed.response = response
        return response, headers


class CookieSender:
    """A `Sender` that keeps cookies. It sends none if the credential is a cookie: a request has one Cookie header."""

    def __init__(self, sender: Sending, login: Login, jar: Jar) -> None:
        self._sender = sender
        self._login = login
        self._jar = jar

    async def send(
        self,
        request: Request,
        context: CallContext,
        moment: float,
        seconds: float,
        page: Page[Any] | None = None,
        chain: CheckChain | None = None,
    ) -> tuple[Response, Headers]:
        """See `Sender.send`; no chain is begun, because each response may change the cookies."""
        del chain
        jar = self._jar
        sends_none = context.cookie_refused or self._login.credential.get("cookie")
        cookie = NO_HEADERS if sends_none else jar.header(request)
        sent = evolve(request, headers=request.headers + cookie) if cookie else request
        response, headers = await self._sender.send(sent, context, moment, seconds, page)
        if response.status != 401:
            jar.keep(request, response)
        elif cookie:
            jar.empty()
            context.cookie_refused = True  # the response to another request may have filled the jar again
            return response, cookie  # the cookie was refused; the credential is tried without it
        return response, headers


class Prober:
    """Sends canaries: requests for the document ``serviceconfigs``, or for a document of the signed-in user."""

    def __init__(self, runtime: Runtime, address: Address, login: Login, now: Callable[[], float]) -> None:
        self._runtime = runtime
        self._address = address
        self._login = login
        self._now = now

    @property
    def signs_in(self) -> bool:
        """Whether there is a credential."""
        return self._login.auth is not None

    async def probe_server(self, monitor: Monitor) -> bool:
        """Whether an outage of the server is over: any response shows that, even one that refuses the login."""
        try:
            report = await self._probe(monitor, SentCanary(monitor.application.canary_sent), falls_back=False)
        except AuthenticationError:
            return True
        return report.result is not CanaryResult.AWAY

    async def probe_application(self, monitor: Monitor) -> bool:
        """Whether an outage of one application is over. A refused login counts: the next request reports it."""
        canary = SentCanary(monitor.application.canary_sent)
        try:
            report = await self._probe(monitor, canary, falls_back=True)
        except AuthenticationError:
            return True
        return self.record(monitor, canary, report) is CanaryResult.GOOD

    async def _probe(self, monitor: Monitor, canary: SentCanary, *, falls_back: bool) -> CanaryReport:
        """Send a canary without admission."""

        async def send(request: Request) -> Response:
            canary.sent(self._now())
            headers = self._login.request_headers
            if request.anonymous or headers is None:
                return await self._send(request, self._login.constant)
            response = await self._send(request, headers)
            if response.status == 401 and await self._login.renew(headers):
                response = await self._send(request, self._login.request_headers or headers)
            return response

        return await self.send_canary(monitor, send, lambda: canary.count, falls_back=falls_back)

    async def _send(self, request: Request, headers: Headers) -> Response:
        runtime, telemetry, began = self._runtime, self._runtime.telemetry, self._now()
        observer, origin = telemetry.observer, self._address.origin
        try:
            response = await send_unlimited(runtime.engine, origin, request, headers, runtime.attempt_timeout, observer)
        except TransportError as error:
            telemetry.failures[type(error).__name__] += 1
            if observer is not None:
                observer.failed(request.method, type(error).__name__, self._now() - began)
            raise
        telemetry.responses[response.status] += 1
        if observer is not None:
            observer.responded(request.method, response.status, self._now() - began)
        requested_pause = retry_after(response)
        if requested_pause is not None and response.status in _ASKS_FOR_PAUSE:
            runtime.availability.outage.hold(requested_pause, self._now())
        return response

    async def send_canary(
        self,
        monitor: Monitor,
        send: Callable[[Request], Awaitable[Response]],
        count: Callable[[], int],
        *,
        method: Literal["GET", "HEAD"] = "GET",
        falls_back: bool = True,
    ) -> CanaryReport:
        """Send a canary and report what it shows. A closed connection is not a failure of the application.

        Args:
            monitor: monitor of the application.
            send: sends one request.
            count: returns how many requests were sent so far.
            method: HTTP method of the requests.
            falls_back: whether to try the document of the signed-in user if the anonymous one shows nothing.

        Raises:
            ConnectionsError: the canary could not be sent, or needs the credential, which was refused.
        """
        known, signs_in = monitor.application.needs_login, falls_back and self.signs_in
        flow = canary(self._address, monitor.name, signs_in=signs_in, needs_login=known, method=method)
        try:
            request = next(flow)
            while True:
                before = count()
                try:
                    response = await send(request)
                except TransportError as error:
                    if count() == before or isinstance(error, LocalLimitError):
                        raise  # not sent: the run or its time is over, or this machine allows no further connection
                    again = met_closed_connection(error) and not request.fresh
                    request = evolve(request, fresh=True) if again else flow.throw(error)
                else:
                    request = flow.send(response)
        except StopIteration as stop:
            report: CanaryReport = stop.value
            return report

    def record(self, monitor: Monitor, canary: SentCanary, report: CanaryReport) -> CanaryResult:
        """Record in the monitor what a canary has shown, and return what that means for the requests."""
        if canary.first is None:
            return report.result
        return monitor.canary_ended(*canary.first, report, signs_in=self.signs_in)
