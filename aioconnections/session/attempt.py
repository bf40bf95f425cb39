"""One attempt: wait for the server, a login, a slot and the rate; send; and learn from how it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

from attrs import evolve

from aioconnections.errors import AuthenticationError, DeadlineError, LocalLimitError, ProtocolError, TransportError
from aioconnections.policy.gate import Gate
from aioconnections.protocol.address import Address
from aioconnections.protocol.answers import is_doubtful, retry_after
from aioconnections.protocol.listing import Pager
from aioconnections.protocol.messages import NO_HEADERS, Headers, Origin, Request, Response
from aioconnections.protocol.sight import Sight, View, look
from aioconnections.session.applications import Monitor
from aioconnections.session.login import Login
from aioconnections.session.runtime import CallContext, CanaryContext, Run, Runtime
from aioconnections.session.telemetry import Attempt
from aioconnections.transport import Engine, StreamedResponse

if TYPE_CHECKING:
    from aioconnections.auth.cookies import Jar

__all__ = ["SETTLED", "Attempts", "Page", "Prove", "asked", "reused"]

Prove: TypeAlias = Callable[[Run | None], Awaitable[None]]
"""Lets the canary go first where it is due."""

SETTLED = frozenset({200, 201, 204})
"""Neither a retry nor a redirect nor the login is about these."""

_ADMITTED = frozenset({400, 403, 404, 409})
"""Refusals of a request whose login was good, if the application made them."""

_PAUSE = 0.05  # seconds before a connection is tried for again; descriptors may be freed elsewhere in the process
_AWAY = frozenset({502, 503, 504})


def reused(error: TransportError) -> bool:
    """Whether a request failed because it met a connection that had served before at its end, most likely."""
    return isinstance(error, ProtocolError) and error.reused


async def asked(engine: Engine, origin: Origin, request: Request, common: Headers, seconds: float) -> Response:
    """The answer to a request that belongs to no conversation, on a fresh connection if a reused one has ended.

    Raises:
        TransportError: there is no complete answer.
    """
    try:
        return await engine.exchange(origin, request, common, seconds)
    except TransportError as error:
        if request.method == "POST" or not reused(error):
            raise
    return await engine.exchange(origin, evolve(request, fresh=True), common, seconds)


class Attempts:
    """Sends the requests of one signed-in user, each once."""

    def __init__(
        self,
        runtime: Runtime,
        address: Address,
        gate: Gate,
        login: Login,
        prove: Prove,
        now: Callable[[], float],
        jar: Jar | None = None,
    ) -> None:
        self._runtime = runtime
        self._address = address
        self._gate = gate
        self._login = login
        self._prove = prove
        self._jar = jar
        self.now: Callable[[], float] = now
        self._profiles = runtime.applications.profiles
        self._communities = runtime.applications.communities
        self._communities_root = f"{address.context}/communities/"

    async def once(self, request: Request, context: CallContext, page: Page[Any] | None) -> tuple[Response, Headers]:
        """Send one request when it is its turn; the answer, and what the request was signed with.

        Where this machine allows fewer connections than requests are under way, it waits in line for one that is open.

        Raises:
            ConnectionsError: there is no answer, or it was not sent at all.
        """
        runtime, attempts = self._runtime, context.attempts
        while True:
            try:
                if self._jar is None:
                    return await self._once(request, context, page)
                return await self._once_with_cookies(self._jar, request, context, page)
            except LocalLimitError:
                if runtime.slots.capped is None:  # none is open
                    raise
            context.attempts = attempts
            await context.wait(runtime.clock.sleep(_PAUSE))
            context.waited += _PAUSE

    async def _once_with_cookies(
        self, jar: Jar, request: Request, context: CallContext, page: Page[Any] | None
    ) -> tuple[Response, Headers]:
        """The same with cookies. A credential that is a cookie goes alone: a request has one such header."""
        cookie = NO_HEADERS if self._login.credential.get("cookie") else jar.header(request)
        sent = evolve(request, headers=request.headers + cookie) if cookie else request
        answer, signed = await self._once(sent, context, page)
        if answer.status != 401:
            jar.keep(request, answer)
        elif cookie:
            jar.empty()
            return answer, cookie  # the server refused the cookie, so the credential is tried by itself
        return answer, signed

    async def _once(self, request: Request, context: CallContext, page: Page[Any] | None) -> tuple[Response, Headers]:
        runtime, now = self._runtime, self.now
        availability, slots, login = runtime.availability, runtime.slots, self._login
        monitor = self._communities if request.target.startswith(self._communities_root) else self._profiles
        application = monitor.application
        outage = application.outage
        while True:
            moment = now()
            if not (availability.is_clear(moment) and not outage.away and login.is_ready and slots.take()):
                moment = await self._turn(context, monitor)
            try:
                start = runtime.limiter.reserve(moment)
                if start > moment:
                    moment = await self._until(start, moment, context)
                    if not availability.is_clear(moment) or (outage.away and not context.is_canary):
                        continue
                self._gate.check()
                if application.is_watched and not context.is_canary and application.is_stale(moment, monitor.holds):
                    with context.parked():
                        await self._canary(monitor, context.run, moment)  # in place of this request
                    continue
                seconds = runtime.item_timeout - context.elapsed_at(moment)
                if seconds <= 0:
                    raise self._late()
                seconds = min(seconds, runtime.attempt_timeout)
                if context.run is not None:
                    context.run.check(moment)
                if request.is_change:
                    await context.change(moment)
                context.attempt(moment)
                # as it is now: it may have been renewed during the wait
                signed = login.constant if request.anonymous else login.signed
                assert signed is not None  # noqa: S101 # a login that was ready remains so
                answer = await self._exchange(request, signed, context, moment, seconds, page)
                if not application.proved or outage.since is not None:
                    monitor.answered(answer, proving=context.proving)
                return answer, signed
            finally:
                slots.release()

    async def _exchange(
        self,
        request: Request,
        signed: Headers,
        context: CallContext,
        moment: float,
        seconds: float,
        page: Page[Any] | None,
    ) -> Response:
        """Send one request now, and learn from how it ends."""
        runtime = self._runtime
        availability, telemetry = runtime.availability, runtime.telemetry
        try:
            if page is None:
                answer = await runtime.engine.exchange(self._address.origin, request, signed, seconds)
            else:
                async with runtime.engine.stream(self._address.origin, request, signed, seconds) as arriving:
                    answer = await page.take(arriving)
        except TransportError as error:
            ended, name = self.now(), type(error).__name__
            telemetry.failures[name] += 1
            if not reused(error):  # connections end; that says nothing of the server
                availability.failed(error, moment, ended)
            if telemetry.tells:
                self._tell(request, context, None, name, ended - moment)
            raise
        status = answer.status
        telemetry.answers[status] += 1
        if status in SETTLED or (status in _ADMITTED and answer.is_own_form):
            self._login.accepted(signed)
        if status == 429 or status >= 500:
            availability.refused(status, retry_after(answer), moment, self.now())
        elif not availability.steady and not is_doubtful(answer):
            availability.went_well(self.now(), proving=context.proving)
        if telemetry.tells:
            self._tell(request, context, status, None, self.now() - moment)
        return answer

    def _tell(
        self, request: Request, context: CallContext, status: int | None, error: str | None, elapsed: float
    ) -> None:
        run = None if context.run is None else context.run.id
        self._runtime.telemetry.tell(
            Attempt(
                method=request.method,
                path=request.path,
                status=status,
                error=error,
                elapsed=elapsed,
                number=context.attempts,
                run=run,
            )
        )

    async def _until(self, start: float, moment: float, context: CallContext) -> float:
        """Wait for the start that the limiter gave at `moment`; when that was over."""
        runtime = self._runtime
        try:
            if context.run is not None:
                context.run.check(start)
            await context.wait(runtime.clock.sleep(start - moment))
        except BaseException:
            runtime.limiter.give_back(start)
            raise
        now = self.now()
        context.waited += now - moment
        return now

    async def _turn(self, context: CallContext, monitor: Monitor) -> float:
        """Wait for the server, for a login, and with those for a slot; the time when all three were there."""
        runtime, now = self._runtime, self.now
        availability, slots, login = runtime.availability, runtime.slots, self._login
        while True:
            came = now()
            if not availability.is_clear(came) or self._waits_for(monitor, context):
                self._gate.check()
                until = came + runtime.item_timeout - context.elapsed if context.run is None else context.run.until
                await context.wait(availability.clear(lambda: self._probe(monitor, whole_server=True), until))
                if self._waits_for(monitor, context):
                    await context.wait(monitor.clear(lambda: self._probe(monitor, whole_server=False), until))
                if not context.proving:
                    await self._prove(context.run)  # it may have lost the login
                if context.run is not None:
                    context.waited += now() - came
            if not login.is_ready:
                await login.sign_in(context)
            if not slots.take():
                came = now()
                await slots.acquire()
                context.waited += now() - came
            moment = now()
            if login.is_ready and availability.is_clear(moment) and not self._waits_for(monitor, context):
                return moment
            slots.release()

    def _waits_for(self, monitor: Monitor, context: CallContext) -> bool:
        return monitor.is_away and not context.is_canary

    @property
    def signs_in(self) -> bool:
        """Whether there is a credential."""
        return self._login.auth is not None

    async def look(self, monitor: Monitor, run: Run | None) -> Sight:
        """Send a canary in its turn; what it means for the requests.

        Raises:
            AuthenticationError: it needs the credential, and that was refused.
            ConnectionsError: it could not be sent.
        """
        context = CanaryContext(self.now, run, monitor)
        view = await self._see(monitor, context, lambda request: self._once_renewed(request, context))
        return self._told(monitor, context, view)

    async def answers_head(self, monitor: Monitor, context: CallContext) -> bool:
        """Whether HEAD reaches the application through what is in front of it. It is asked once.

        Raises:
            ConnectionsError: it could not be asked.
        """
        application = monitor.application
        known = application.answers_head(self.now())
        if known is not None:
            return known
        view = await self._see(monitor, context, lambda request: self._once_renewed(request, context), method="HEAD")
        if view.sight in {Sight.GOOD, Sight.ABSENT, Sight.UNCLEAR}:
            application.asked_by_head(self.now(), answered=view.sight is Sight.GOOD)
        return view.sight is Sight.GOOD

    async def _canary(self, monitor: Monitor, run: Run | None, moment: float) -> None:
        """Send a canary at `moment`, with the slot and the start that the caller holds."""
        context = CanaryContext(self.now, run, monitor)

        async def send(request: Request) -> Response:
            started = moment if context.first is None else self.now()
            context.attempt(started)
            signed = self._login.constant if request.anonymous else self._login.signed
            assert signed is not None  # noqa: S101 # the caller's turn has come, so there is a login
            return await self._exchange(request, signed, context, started, self._runtime.attempt_timeout, None)

        with suppress(AuthenticationError):  # the request that follows is refused as well, and says so
            self._told(monitor, context, await self._see(monitor, context, send))

    async def _probe(self, monitor: Monitor, *, whole_server: bool) -> bool:
        """Look at an application during an outage; it takes no turn, and waits for nothing.

        Where the whole server is away, any response tells that it is back. A refused login does so in any case: the
        next request is to meet it.
        """
        context = CanaryContext(self.now, None, monitor)

        async def send(request: Request) -> Response:
            context.attempt(self.now())
            signed = self._login.signed
            if request.anonymous or signed is None:
                return await self._asked(request, self._login.constant)
            response = await self._asked(request, signed)
            if response.status == 401 and await self._login.renew(signed):
                response = await self._asked(request, self._login.signed or signed)
            return response

        try:
            view = await self._see(monitor, context, send, falls_back=not whole_server)
        except AuthenticationError:
            return True
        if whole_server:
            return view.sight is not Sight.AWAY
        return self._told(monitor, context, view) is Sight.GOOD

    async def _asked(self, request: Request, common: Headers) -> Response:
        runtime = self._runtime
        try:
            answer = await asked(runtime.engine, self._address.origin, request, common, runtime.attempt_timeout)
        except TransportError as error:
            runtime.telemetry.failures[type(error).__name__] += 1
            raise
        runtime.telemetry.answers[answer.status] += 1
        wish = retry_after(answer)
        if wish is not None and (answer.status == 429 or answer.status in _AWAY):
            runtime.availability.outage.hold(wish, self.now())
        return answer

    async def _see(
        self,
        monitor: Monitor,
        context: CallContext,
        send: Callable[[Request], Awaitable[Response]],
        *,
        method: Literal["GET", "HEAD"] = "GET",
        falls_back: bool = True,
    ) -> View:
        """What a look at the application shows. A connection that had ended is no failure of the application.

        With `falls_back`, the document of the signed-in user is tried where the one for all says nothing.
        """
        known, signs_in = monitor.application.needs_login, falls_back and self.signs_in
        flow = look(self._address, monitor.name, signs_in=signs_in, needs_login=known, method=method)
        try:
            request = next(flow)
            while True:
                before = context.attempts
                try:
                    response = await send(request)
                except TransportError as error:
                    if context.attempts == before or isinstance(error, LocalLimitError):
                        raise  # it was not sent: the run is over, or the time, or this machine allows no connection
                    again = reused(error) and not request.fresh
                    request = evolve(request, fresh=True) if again else flow.throw(error)
                else:
                    request = flow.send(response)
        except StopIteration as stop:
            view: View = stop.value
            return view

    def _told(self, monitor: Monitor, context: CanaryContext, view: View) -> Sight:
        """Tell the monitor what a canary has shown; what that means for the requests."""
        if context.first is None:
            return view.sight
        return monitor.canary_ended(*context.first, view, signs_in=self.signs_in)

    async def _once_renewed(self, request: Request, context: CallContext) -> Response:
        """The response to a request whose login is renewed if it was refused."""
        answer, signed = await self.once(request, context, None)
        if answer.status == 401 and not request.anonymous and await self._login.renew(signed):
            answer, _ = await self.once(request, context, None)
        return answer

    def _late(self) -> DeadlineError:
        return DeadlineError(f"not done within {self._runtime.item_timeout:g} s", sent="no")


R = TypeVar("R")

_LONGEST_ERROR = 1 << 20


class Page(Generic[R]):
    """One page of a listing, read while it arrives; a page that broke off is begun anew."""

    def __init__(self, pager: Pager[R]) -> None:
        self.records: list[R] = []
        self._pager = pager

    async def take(self, arriving: StreamedResponse) -> Response:
        """The answer to one attempt. Of a page only its head: the rest has become records."""
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
