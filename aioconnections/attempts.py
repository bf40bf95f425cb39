"""One attempt: wait for the server, a login, a slot and the rate; send; and learn from how it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from attrs import evolve

from aioconnections.errors import DeadlineError, ProtocolError, TransportError
from aioconnections.login import Login
from aioconnections.page import Page
from aioconnections.policy.gate import Gate
from aioconnections.protocol.address import Address
from aioconnections.protocol.answers import retry_after
from aioconnections.protocol.messages import Headers, Origin, Request, Response
from aioconnections.protocol.profiles import prove_login
from aioconnections.telemetry import Attempt
from aioconnections.traffic import Meter, Run, Traffic
from aioconnections.transport import Engine

__all__ = ["SETTLED", "Attempts", "Prove", "asked", "reused"]

Prove: TypeAlias = Callable[[Run | None], Awaitable[None]]
"""Lets the canary go first where it is due."""

SETTLED = frozenset({200, 404})
"""Nearly every answer; neither retry nor redirect nor login is about them."""

_ADMITTED = SETTLED | {201, 204, 400, 403, 409}
"""Whoever is answered so has signed in."""

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
        self, traffic: Traffic, address: Address, gate: Gate, login: Login, prove: Prove, now: Callable[[], float]
    ) -> None:
        self._traffic = traffic
        self._address = address
        self._gate = gate
        self._login = login
        self._prove = prove
        self._now = now

    async def once(self, request: Request, meter: Meter, page: Page[Any] | None) -> tuple[Response, Headers]:
        """Send one request when it is its turn; the answer, and what the request was signed with.

        Raises:
            ConnectionsError: there is no answer, or it was not sent at all.
        """
        traffic, now = self._traffic, self._now
        availability, slots, login = traffic.availability, traffic.slots, self._login
        while True:
            moment = now()
            if not (availability.is_clear(moment) and login.is_ready and slots.take()):
                moment = await self._turn(meter)
            try:
                start = traffic.limiter.reserve(moment)
                if start > moment:
                    moment = await self._until(start, moment, meter)
                    if not availability.is_clear(moment):
                        continue
                self._gate.check()
                seconds = traffic.item_timeout - meter.elapsed_at(moment)
                if seconds <= 0:
                    raise self._late()
                seconds = min(seconds, traffic.attempt_timeout)
                if meter.run is not None:
                    meter.run.check(moment)
                if request.is_change:
                    await meter.change(moment)
                meter.attempts += 1
                signed = login.signed  # as it is now: it may have been renewed during the wait
                assert signed is not None  # noqa: S101 # a login that was ready remains so
                return await self._exchange(request, signed, meter, moment, seconds, page), signed
            finally:
                slots.release()

    async def _exchange(
        self, request: Request, signed: Headers, meter: Meter, moment: float, seconds: float, page: Page[Any] | None
    ) -> Response:
        """Send one request now, and learn from how it ends."""
        traffic = self._traffic
        availability, telemetry = traffic.availability, traffic.telemetry
        try:
            if page is None:
                answer = await traffic.engine.exchange(self._address.origin, request, signed, seconds)
            else:
                async with traffic.engine.stream(self._address.origin, request, signed, seconds) as arriving:
                    answer = await page.take(arriving)
        except TransportError as error:
            ended, name = self._now(), type(error).__name__
            telemetry.failures[name] += 1
            if not reused(error):  # connections end; that says nothing of the server
                availability.failed(error, moment, ended)
            if telemetry.tells:
                self._tell(request, meter, None, name, ended - moment)
            raise
        status = answer.status
        telemetry.answers[status] += 1
        if status in _ADMITTED:
            self._login.accepted(signed)
        if status == 429 or status >= 500:
            availability.refused(status, retry_after(answer), moment, self._now())
        elif not availability.steady:
            availability.went_well(self._now(), proving=meter.proving)
        if telemetry.tells:
            self._tell(request, meter, status, None, self._now() - moment)
        return answer

    def _tell(self, request: Request, meter: Meter, status: int | None, error: str | None, elapsed: float) -> None:
        run = None if meter.run is None else meter.run.id
        self._traffic.telemetry.tell(
            Attempt(
                method=request.method,
                path=request.path,
                status=status,
                error=error,
                elapsed=elapsed,
                number=meter.attempts,
                run=run,
            )
        )

    async def _until(self, start: float, moment: float, meter: Meter) -> float:
        """Wait for the start that the limiter gave at `moment`; when that was over."""
        traffic = self._traffic
        try:
            if meter.run is not None:
                meter.run.check(start)
            await meter.wait(traffic.clock.sleep(start - moment))
        except BaseException:
            traffic.limiter.give_back(start)
            raise
        now = self._now()
        meter.waited += now - moment
        return now

    async def _turn(self, meter: Meter) -> float:
        """Wait for the server, for a login, and with those for a slot; the time when all three were there."""
        traffic, now = self._traffic, self._now
        availability, slots, login = traffic.availability, traffic.slots, self._login
        while True:
            came = now()
            if not availability.is_clear(came):
                self._gate.check()
                until = came + traffic.item_timeout - meter.elapsed if meter.run is None else meter.run.until
                await meter.wait(availability.clear(self._probe, until))
                if not meter.proving:
                    await self._prove(meter.run)  # it may have lost the login
                if meter.run is not None:
                    meter.waited += now() - came
            if not login.is_ready:
                await login.sign_in(meter)
            if not slots.take():
                came = now()
                await slots.acquire()
                meter.waited += now() - came
            moment = now()
            if login.is_ready and availability.is_clear(moment):
                return moment
            slots.release()

    async def _probe(self) -> bool:
        """Whether the server is there. No credential goes along: it is not the login that is looked at."""
        traffic = self._traffic
        request = next(prove_login(self._address))
        try:
            answer = await asked(
                traffic.engine, self._address.origin, request, self._login.constant, traffic.attempt_timeout
            )
        except TransportError as error:
            traffic.telemetry.failures[type(error).__name__] += 1
            return False
        traffic.telemetry.answers[answer.status] += 1
        wish = retry_after(answer)
        if wish is not None and (answer.status == 429 or answer.status in _AWAY):
            traffic.availability.outage.hold(wish, self._now())
        return answer.status not in _AWAY

    def _late(self) -> DeadlineError:
        return DeadlineError(f"not done within {self._traffic.item_timeout:g} s", sent="no")
