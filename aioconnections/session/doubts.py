"""Decides what a doubtful response means: a verdict, a reason to send the request again, or an error.

A response is *doubtful* if it refuses a request and does not have the application's own form. `policy.application` has
the rules; this module sends the requests that they need, and waits. A waiting item holds no slot, no connection and no
worker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from functools import partial

import anyio
from attrs import evolve

from aioconnections.errors import TransportError
from aioconnections.policy.application import Application, Form
from aioconnections.protocol.address import Address
from aioconnections.protocol.canary import CanaryResult
from aioconnections.protocol.messages import Request, Response
from aioconnections.protocol.responses import (
    DOUBTFUL,
    foreign_error,
    head_of,
    holds_error_document,
    is_doubtful,
    names_stopped_application,
)
from aioconnections.session.applications import Monitor
from aioconnections.session.call_context import CallContext, RunScope

__all__ = ["Doubts", "Next"]

_VOUCHED = frozenset({400, 404})  # a gateway sends the other statuses itself, in any state of the application
_MOST_FREE = 8  # repetitions of one request that do not count as attempts
_MOST_EXAMINATIONS = 64  # heads whose first examination is remembered
_CLEAR_STATUSES = frozenset({200, 301, 302, 303, 307, 308, 401})  # the pair has a connection, or the login was refused
_BODY_FIELDS = frozenset({b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"})


class Next(Enum):
    """What to do after a doubtful response that is no verdict."""

    ASK_AGAIN = "the request is sent again; this attempt does not count"
    RETRY = "the request is sent again as after a 503"


class Doubts:
    """The doubtful responses of one signed-in user.

    Args:
        address: address of the server.
        send: sends one request, with redirects and a renewed login.
        send_canary: sends a canary to an application.
        answers_head: tells whether HEAD requests reach an application.
        now: gives the current time.
        signs_in: whether there is a credential.
    """

    def __init__(
        self,
        address: Address,
        send: Callable[[Request, CallContext], Awaitable[Response]],
        send_canary: Callable[[Monitor, RunScope | None], Awaitable[CanaryResult]],
        answers_head: Callable[[Monitor, CallContext], Awaitable[bool]],
        now: Callable[[], float],
        *,
        signs_in: bool,
    ) -> None:
        self._address = address
        self._send = send
        self._send_canary = send_canary
        self._answers_head = answers_head
        self._now = now
        self._signs_in = signs_in

    async def decide(
        self, request: Request, response: Response, context: CallContext, monitor: Monitor, *, asked: int
    ) -> Response | Next:
        """What a doubtful `response` means.

        Args:
            request: the request.
            response: its response.
            context: context of the conversation.
            monitor: monitor of the application that the request is for.
            asked: how often the decision for this request was `Next.ASK_AGAIN` before.

        Returns:
            The response that is the verdict (of a GET in place of the HEAD, if it says more), or what to do.

        Raises:
            ForeignResponseError: the meaning cannot be decided, or the application is not at this address.
            ConnectionsError: a request that the decision needs got no response.
        """
        received = self._now()
        if monitor.is_away:
            return Next.ASK_AGAIN  # the request waits until the application is back
        with context.parked():
            decision = await context.wait(self._decided(request, response, context, monitor))
        if context.run is not None:
            context.waited += self._now() - received
        if decision is Next.ASK_AGAIN and asked >= _MOST_FREE:
            return Next.RETRY
        if decision is not response or not monitor.application.is_shaky(received) or asked:
            return decision
        return Next.ASK_AGAIN  # shortly after an outage, one response is not enough

    async def _decided(
        self, request: Request, response: Response, context: CallContext, monitor: Monitor
    ) -> Response | Next:
        form = await self._form(request, response, context, monitor)
        sent, count = context.sent_at, monitor.application.sent_count  # of the last request, which may be a GET
        if isinstance(form, Response):
            return form
        if form is Form.OWN:
            return response
        application = monitor.application
        send_canary = partial(self._send_canary, monitor, context.run)
        result = await monitor.result_after(count, send_canary, context.parking, signs_in=self._signs_in)
        if result is CanaryResult.UNCLEAR:
            raise foreign_error(request, response)
        if result is CanaryResult.ABSENT and not application.proved:
            service = f"{monitor.name.capitalize()} service at {self._address.origin}{self._address.context}"
            raise foreign_error(request, response, f"{service}/{monitor.name}")
        if result is not CanaryResult.GOOD:
            return Next.ASK_AGAIN
        if form is Form.FOREIGN or context.is_proof or response.status not in _VOUCHED:
            return Next.RETRY
        return response if application.vouches_for(sent, count, monitor.holds) else Next.ASK_AGAIN

    async def _form(
        self, request: Request, response: Response, context: CallContext, monitor: Monitor
    ) -> Form | Response:
        """The origin of `response`; or the response to a GET in its place, if that is clear."""
        if request.method == "HEAD":
            form = await self._form_of_head(request, response, context, monitor)
        else:
            form = _form_of_body(request, response, monitor.application)
        if form is Form.UNDECIDED:
            monitor.application.is_watched = True
        return form

    async def _form_of_head(
        self, request: Request, response: Response, context: CallContext, monitor: Monitor
    ) -> Form | Response:
        application, method, head = monitor.application, request.method, head_of(response)
        examination = monitor.examinations.get(head)
        if examination is not None and not examination.is_set():
            await examination.wait()  # the first examination may settle all responses with this head
        form = application.form_of(method, response.status, head)
        if form is Form.FOREIGN or (form is not None and application.answers_head(self._now())):
            return form
        examination = monitor.examinations.setdefault(head, anyio.Event())
        try:
            reaches = await self._answers_head(monitor, context)
            fetched = await self._send(evolve(request, method="GET"), context)
            return await self._learned(request, response, fetched, context, application, reaches=reaches)
        except TransportError as error:
            if error.blocks_all_requests or (context.run is not None and context.run.is_over):
                raise
            return Form.FOREIGN  # nothing was learned: the pair is sent again
        finally:
            examination.set()
            if len(monitor.examinations) > _MOST_EXAMINATIONS:
                monitor.examinations.clear()

    async def _learned(
        self,
        request: Request,
        response: Response,
        fetched: Response,
        context: CallContext,
        application: Application,
        *,
        reaches: bool,
    ) -> Form | Response:
        """What `fetched`, received for GET, says about `response`, received for HEAD: its origin, or the verdict.

        A head is learned only if HEAD is known to reach the application and a second HEAD gets the same head. Otherwise
        the application may have stopped or started between the two requests.
        """
        if fetched.status in _CLEAR_STATUSES or (fetched.status in DOUBTFUL and fetched.is_own_form):
            if reaches and fetched.is_own_form and _is_bare(response, fetched):
                await self._learn(request, response, Form.OWN, context, application)
            return fetched
        if not is_doubtful(fetched):
            return Form.FOREIGN  # a failure, which says nothing about the pair
        form = _form_of_body(evolve(request, method="GET"), fetched, application)
        if form is Form.UNDECIDED:
            if reaches and head_of(fetched) == head_of(response):
                application.learn(head_of(response), form)
            return form if fetched.status == response.status else Form.FOREIGN
        if head_of(fetched) == head_of(response) and (reaches or form is Form.FOREIGN):
            await self._learn(request, response, form, context, application)
        return fetched if form is Form.OWN else form

    async def _learn(
        self, request: Request, response: Response, form: Form, context: CallContext, application: Application
    ) -> None:
        """Learn the origin of responses with this head, if a second HEAD gets the same one."""
        again = await self._send(request, context)
        if head_of(again) == head_of(response):
            application.learn(head_of(response), form)


def _is_bare(response: Response, fetched: Response) -> bool:
    """Whether the response to HEAD has the head of the GET, without the fields that describe the body."""
    if response.media_type or response.status != fetched.status:
        return False
    return response.names - _BODY_FIELDS == fetched.names - _BODY_FIELDS


def _form_of_body(request: Request, response: Response, application: Application) -> Form:
    """The origin of a response that has a body."""
    if holds_error_document(response):
        return Form.OWN
    if request.is_change or names_stopped_application(response):
        return Form.FOREIGN
    form = application.form_of(request.method, response.status, head_of(response))
    return Form.UNDECIDED if form is None else form
