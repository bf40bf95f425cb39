"""Decides what a doubtful response means: a verdict, a reason to ask again, or an error that is no verdict.

A response is doubtful if it refuses a request and does not have the application's own form. The rules are in
`policy.application`; this module asks what has to be asked, and waits. An item that waits holds no slot, no connection
and no worker.
"""

from __future__ import annotations

from enum import Enum

import anyio
from attrs import evolve

from aioconnections.applications import Monitor
from aioconnections.attempts import Attempts
from aioconnections.errors import TransportError
from aioconnections.policy.application import Application, Form
from aioconnections.protocol.address import Address
from aioconnections.protocol.answers import (
    foreign_error,
    head_of,
    holds_error_document,
    is_doubtful,
    names_stopped_application,
)
from aioconnections.protocol.messages import Request, Response
from aioconnections.protocol.sight import Sight
from aioconnections.traffic import Meter, Traffic

__all__ = ["Doubts", "Next"]

_VOUCHED = frozenset({400, 404})  # a gateway answers the other statuses itself, whatever state the application is in
_MOST_FREE = 8


class Next(Enum):
    """What follows a doubtful response that is no verdict."""

    ASK_AGAIN = "the request is sent again; this attempt does not count"
    RETRY = "the request is sent again as after a 503"


class Doubts:
    """The doubtful responses of one signed-in user."""

    def __init__(self, traffic: Traffic, address: Address, attempts: Attempts) -> None:
        self._traffic = traffic
        self._address = address
        self._attempts = attempts

    async def decide(self, request: Request, response: Response, meter: Meter, *, asked: int) -> Response | Next:
        """What a doubtful `response` means.

        Args:
            request: that was answered.
            response: to it.
            meter: of the conversation.
            asked: how often `Next.ASK_AGAIN` was the decision for this request before.

        Returns:
            The response to hand out as a verdict (that to a GET in place of a HEAD, if it says more), or what to do.

        Raises:
            ForeignAnswerError: nothing can tell, or there is no such application at this address.
            ConnectionsError: what was needed for the decision could not be asked.
        """
        received = self._attempts.now()
        monitor = self._traffic.applications.named(self._address.application_of(request.target))
        if monitor.is_away:
            return Next.ASK_AGAIN  # which waits until it is back
        with meter.parked():
            decision = await self._decided(request, response, meter, monitor)
        if meter.run is not None:
            meter.waited += self._attempts.now() - received
        if decision is Next.ASK_AGAIN and asked >= _MOST_FREE:
            return Next.RETRY
        if decision is not response or not monitor.application.is_shaky(received) or asked:
            return decision
        return Next.ASK_AGAIN  # a short time after an outage one response is not enough

    async def _decided(self, request: Request, response: Response, meter: Meter, monitor: Monitor) -> Response | Next:
        form = await self._form(request, response, meter, monitor)
        sent, count = meter.sent_at, monitor.application.sent_count  # of the last request, which may be a GET
        if isinstance(form, Response):
            return form
        if form is Form.OWN:
            return response
        application = monitor.application
        sight = await monitor.sight_after(count, lambda: self._attempts.look(monitor, meter.run), meter.parking)
        if sight is Sight.PROTECTED:
            raise foreign_error(response)
        if sight is Sight.ABSENT and not application.proved:
            service = f"{monitor.name.capitalize()} service at {self._address.origin}{self._address.context}"
            raise foreign_error(response, f"{service}/{monitor.name}")
        if sight is not Sight.GOOD:
            return Next.ASK_AGAIN
        if form is Form.FOREIGN or meter.proving or response.status not in _VOUCHED:
            return Next.RETRY
        return response if application.vouches_for(sent, count) else Next.ASK_AGAIN

    async def _form(self, request: Request, response: Response, meter: Meter, monitor: Monitor) -> Form | Response:
        """Who wrote `response`; or, if it was asked by GET, the response to that, if it is clear."""
        if request.method == "HEAD":
            form = await self._form_of_head(request, response, meter, monitor)
        else:
            form = _form_of_body(request, response, monitor.application)
        if form is Form.UNDECIDED:
            monitor.application.is_watched = True
        return form

    async def _form_of_head(
        self, request: Request, response: Response, meter: Meter, monitor: Monitor
    ) -> Form | Response:
        application, method, head = monitor.application, request.method, head_of(response)
        while (asking := monitor.asking.get(head)) is not None:
            await meter.wait(asking.wait())
        form = application.form_of(method, response.status, head)
        if form is Form.FOREIGN or (form is not None and application.answers_head):
            return form
        monitor.asking[head] = asking = anyio.Event()
        try:
            if application.answers_head is None:
                application.answers_head = await self._attempts.answers_head(monitor, meter)
            answer, _ = await self._attempts.once(evolve(request, method="GET"), meter, None)
            return await self._learned(request, response, answer, meter, monitor)
        except TransportError:
            return Form.FOREIGN  # this time: nothing was learned, so the pair is asked again
        finally:
            del monitor.asking[head]
            asking.set()

    async def _learned(
        self, request: Request, response: Response, answer: Response, meter: Meter, monitor: Monitor
    ) -> Form | Response:
        """Who wrote the `response` to a HEAD, by the `answer` to a GET; or the answer itself, if it is clear.

        Only where HEAD is known to reach the application, the heads that follow can be judged by this one.
        """
        application, head = monitor.application, head_of(response)
        if answer.status == 200:
            return answer
        if answer.is_own_form and answer.status == response.status:
            if not response.media_type and application.answers_head:
                again, _ = await self._attempts.once(request, meter, None)
                if head_of(again) == head:  # so nothing has changed in between: HEAD has no type here
                    application.learn(head, Form.OWN)
            return answer
        if not is_doubtful(answer):
            return Form.FOREIGN  # a failure, which says nothing of the pair
        form = _form_of_body(evolve(request, method="GET"), answer, application)
        if form is Form.OWN and answer.media_type != response.media_type:
            return answer
        if form is Form.FOREIGN or application.answers_head:
            application.learn(head, form)
        return form


def _form_of_body(request: Request, response: Response, application: Application) -> Form:
    """Who wrote a response that has a body."""
    if holds_error_document(response):
        return Form.OWN
    if request.is_change or names_stopped_application(response):
        return Form.FOREIGN
    form = application.form_of(request.method, response.status, head_of(response))
    return Form.UNDECIDED if form is None else form
