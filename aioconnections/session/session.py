"""The conversations of one signed-in user: single calls, pages of listings, and errors about hidden e-mail addresses.

`protocol` defines what is sent; `Dispatcher` brings each request to its final response.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin

from aioconnections.auth.credentials import Auth
from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionsError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    ServerError,
    ServerUnavailableError,
    ThrottledError,
    TransportError,
)
from aioconnections.outcomes import Checked
from aioconnections.policy.changes import Touched
from aioconnections.policy.gate import Gate
from aioconnections.policy.status_cache import Remembered
from aioconnections.protocol.address import Address, split_url
from aioconnections.protocol.discovery import emails_hidden
from aioconnections.protocol.listing import Pager, WholePager
from aioconnections.protocol.messages import NO_HEADERS, Flow, Headers, Request, Response
from aioconnections.records import Email, Identity, Pair, Person, Status
from aioconnections.session.attempt import Page, send_unlimited
from aioconnections.session.call_context import BeforeSend, CallContext, NotMade, RunScope
from aioconnections.session.call_scope import CallScope
from aioconnections.session.dispatch import Dispatcher
from aioconnections.session.flights import Flights
from aioconnections.session.login import Login
from aioconnections.session.parking import Parking
from aioconnections.session.runtime import EmailVisibility, Runtime
from aioconnections.session.single_checks import SingleChecks
from aioconnections.session.telemetry import Observed, Wait

if TYPE_CHECKING:
    from aioconnections.auth.cookies import Jar

__all__ = ["Session"]

R = TypeVar("R")

_HIDDEN = "this server hides e-mail addresses: name people by userid or key"


class Session:
    """One user's conversations over the shared runtime.

    Args:
        runtime: shared by all users of the client.
        address: address of the server.
        auth: gives the credential; None to send requests without one.
        constant: the headers of every request.
        verify_login: whether a canary proves the login before other requests.
        jar: keeps cookies; None for no cookies.
        on_use: called when a call or a run begins.
        on_renewal: called after the credential was renewed.

    Attributes:
        now: gives the current time.
        item_timeout: how long a conversation may take, in seconds.
        dispatcher: brings requests to their final response; bulk checks use it directly.
    """

    def __init__(
        self,
        runtime: Runtime,
        address: Address,
        auth: Auth | None,
        constant: Headers,
        *,
        verify_login: bool,
        jar: Jar | None = None,
        on_use: Callable[[], object],
        on_renewal: Callable[[], object],
    ) -> None:
        now = runtime.now
        gate = Gate()
        self.address: Address = address
        verifies = self._verifies = verify_login and auth is not None
        self.signs_in: bool = auth is not None
        self.login: Login = Login(auth, constant, self._send_of_auth, runtime.item_timeout, on_renewal)
        self.emails: EmailVisibility = runtime.emails
        self._is_probe_refused = False  # whether this user may not ask if the server hides addresses
        self._runtime = runtime
        self.now: Callable[[], float] = now
        self.item_timeout: float = runtime.item_timeout
        self.dispatcher: Dispatcher = Dispatcher(
            runtime,
            address,
            gate,
            self.login,
            now,
            on_use,
            verifies=verifies,
            jar=jar,
        )
        self.is_proved: Callable[[], bool] = self.dispatcher.is_proved
        self._own = object()
        self._flights = Flights(runtime, self.begin, self.new_call, self.run)
        self._checks = SingleChecks(runtime, address, gate, self._flights, self._viewer, self.begin, self.run)

    def shared_name(self) -> str | None:
        """See `Dispatcher.shared_name`."""
        return self.dispatcher.shared_name()

    @property
    def wait(self) -> Wait | None:
        """What the requests of this user wait for: the login, or None."""
        return Wait(reason="login") if self.login.is_pending or self.dispatcher.is_proving else None

    @property
    def me(self) -> Identity | None:
        """The signed-in user, from the last proof of the login; None before it."""
        document = self.dispatcher.document
        return None if document is None else document.userid or document.key

    def with_me(self, person: Identity | Person) -> Touched:
        """The signed-in user and another person; None if it is not known who is signed in."""
        document = self.dispatcher.document
        if document is None or not (document.userid or document.key):
            return None
        return Person(userid=document.userid, key=document.key), person

    def context(
        self,
        run: RunScope | None = None,
        parking: Parking | None = None,
        *,
        before_send: BeforeSend | None = None,
        not_made: NotMade | None = None,
        touches: Touched = (),
    ) -> CallContext:
        """The context of a conversation that begins now.

        `touches` says whose connections it changes; see `CallContext` for the other arguments.
        """
        return CallContext(
            self.now,
            self.item_timeout,
            run,
            parking,
            before_send=before_send,
            not_made=not_made,
            on_change=self._on_change(touches),
        )

    def new_call(self, timeout: float | None = None) -> CallScope:
        """A single call that begins now and may take `timeout` seconds."""
        return CallScope(self._runtime.clock, self._runtime.waiting, timeout)

    def observed(self, verb: str) -> AbstractContextManager[None]:
        """A block that makes a single call, which is observed if the client has telemetry."""
        observer = self._runtime.telemetry.observer
        return nullcontext() if observer is None else observer.call(verb)

    def observed_listing(self, verb: str) -> Observed | None:
        """Observes a listing that begins now; None without telemetry."""
        observer = self._runtime.telemetry.observer
        return None if observer is None else observer.begin_call(verb)

    async def begin(self, call: CallScope, touches: Touched | Callable[[Session], Touched] = ()) -> CallContext:
        """Prove the login if that is due; the context of the conversation of `call`, which begins then.

        `touches` says whose connections it changes.
        """
        await self.prove(call=call)
        touched = touches(self) if callable(touches) else touches
        return CallContext(
            self.now,
            self.item_timeout if call.timeout is None else call.timeout,
            call=call,
            on_change=self._on_change(touched),
        )

    async def call(self, flow: Flow[R], call: CallScope) -> R:
        """Make a single call: prove the login if that is due, then hold the conversation."""
        return await self.run(flow, await self.begin(call))

    def _viewer(self) -> Hashable | None:
        """Identifies the signed-in user among the remembered statuses; None before the first proof of the login.

        Logins of one user share statuses, also with different tokens. A login whose user is not known shares none.
        """
        auth, document = self.login.auth, self.dispatcher.document
        if auth is None or not self._verifies:
            return self._own
        if document is None:
            return None
        me = document.userid or document.key
        return self._own if me is None else (type(auth), self.address.profiles, me)

    @property
    def change_count(self) -> int:
        """The number of changes by this client so far; see `remember`."""
        return self._runtime.changes.count

    def learn(self, *people: Person | None) -> None:
        """Take note that the identities of each record name one person, if statuses are remembered."""
        if self._runtime.statuses is not None:
            for person in people:
                if person is not None:
                    self._runtime.changes.learn(person)

    def remembered(self, pair: Pair, max_age: float) -> Remembered | None:
        """The remembered status of a pair for a run; see `Statuses.find`."""
        statuses, viewer = self._runtime.statuses, self._viewer()
        if statuses is None or viewer is None:
            return None
        found = statuses.find(viewer, pair, self.now(), max_age=max_age)
        statuses.misses += found is None
        return found

    def remember(self, pair: Pair, status: Status | None, *, asked_at: float, since: int) -> None:
        """Remember a status that a run has found; see `Statuses.put`."""
        statuses, viewer = self._runtime.statuses, self._viewer()
        if statuses is not None and viewer is not None:
            statuses.put(viewer, pair, status, asked_at=asked_at, since=since)

    async def check(self, pair: Pair, item: object, max_age: float | None, call: CallScope) -> Checked:
        """See `SingleChecks`."""
        return await self._checks.check(pair, item, max_age, call)

    async def ask(
        self, question: Hashable, people: Iterable[Identity] | None, begin: Callable[[], Flow[R]], call: CallScope
    ) -> tuple[R, CallContext]:
        """Make a single call, or share that of a caller who asks the same; see `Flights.ask`."""
        return await self._flights.ask(question, people, begin, call)

    def _on_change(self, touches: Touched) -> Callable[[], object] | None:
        return None if touches == () else partial(self._runtime.changes.made, touches)

    async def prove(self, run: RunScope | None = None, call: CallScope | None = None) -> None:
        """See `Dispatcher.prove`."""
        await self.dispatcher.prove(run, call)

    async def run(self, flow: Flow[R], context: CallContext) -> R:
        """See `Dispatcher.converse`."""
        return await self.dispatcher.converse(flow, context)

    async def send(self, request: Request, context: CallContext) -> Response:
        """See `Dispatcher.send`."""
        return await self.dispatcher.send(request, context)

    def refused(self, refusal: AuthenticationError) -> None:
        """See `Dispatcher.refused`."""
        self.dispatcher.refused(refusal)

    def heard_of_refusal(self, refusal: AuthenticationError) -> None:
        """See `Dispatcher.heard_of_refusal`."""
        self.dispatcher.heard_of_refusal(refusal)

    async def page(self, pager: Pager[R], call: CallScope) -> list[R] | None:
        """The records of the next page of a listing; None after the last. The whole listing is one `call`.

        Raises:
            ConnectionsError: there is no such page, or no complete response.
        """
        self.refuse_hidden(*pager.people)
        await self.prove(call=call)
        request = pager.next_request()
        if request is None:
            return None
        try:
            return await self._page(pager, request, CallContext(self.now, self.item_timeout, call=call))
        except (BadRequestError, NotFoundError) as refused:
            error = refused
        raise await self.explained(error, *pager.people, call=call)

    async def whole(
        self,
        pager: WholePager[R],
        context: CallContext,
        goes_on: Callable[[list[R]], bool] | None = None,
        *,
        concerns_login: bool = True,
    ) -> list[R]:
        """The records of the last sweep of a listing, all of whose pages are requested within one conversation.

        Args:
            pager: the listing.
            context: context of the conversation.
            goes_on: called with the records of the first page, unless it is the last; False ends the listing there.
            concerns_login: whether nothing more is sent with a login that is refused for this listing.

        Raises:
            ConnectionsError: there is no complete response to one of the requests.
        """
        records: list[R] = []
        sweep = pager.sweep
        while (request := pager.next_request()) is not None:
            if pager.sweep != sweep:
                sweep = pager.sweep
                records.clear()
            context.extend()
            records += await self._page(pager, request, context, concerns_login=concerns_login)
            if goes_on is not None and not pager.is_complete and not goes_on(records):
                break
            goes_on = None
        return records

    async def _page(
        self, pager: Pager[R], request: Request, context: CallContext, *, concerns_login: bool = True
    ) -> list[R]:
        """The records of the page that `request` asks for."""
        page = Page(pager)
        try:
            response = await self.dispatcher.send(request, context, page)
            if response.status != 200:
                pager.begin(response)  # raises the error of the response
        except AuthenticationError as refusal:
            if concerns_login:
                self.refused(refusal)
            raise
        return page.records

    def refuse_hidden(self, *people: Identity) -> None:
        """Refuse e-mail addresses if the server is known to hide them: it would respond 400 to each.

        Raises:
            InvalidInputError: one of `people` is an e-mail address.
        """
        if self.emails.hidden and any(isinstance(person, Email) for person in people):
            raise InvalidInputError(_HIDDEN)

    async def explained(
        self, error: ConnectionsError, *people: Identity, call: CallScope | None = None
    ) -> ConnectionsError:
        """The error to raise: a 400 or 404 for an e-mail address may mean that the server hides addresses."""
        if not isinstance(error, BadRequestError | NotFoundError):
            return error
        try:
            await self.refuse_unknown(*people, call=call)
        except InvalidInputError as hidden:
            return hidden.with_traceback(None)
        except ConnectionsError:
            return error  # the probe's failure does not replace the original error
        return error

    async def refuse_unknown(self, *people: Identity, call: CallScope | None = None) -> None:
        """Refuse e-mail addresses that the server does not know, if it hides addresses; probe once.

        Page "Determining whether email addresses are hidden".

        Raises:
            InvalidInputError: the server hides addresses, and one of `people` is an e-mail address.
        """
        if self._may_probe_emails and any(isinstance(person, Email) for person in people):
            probe = self._probe_emails(call)
            await (probe if call is None else call.wait(probe))
        self.refuse_hidden(*people)

    @property
    def _may_probe_emails(self) -> bool:
        return self.emails.hidden is None and not self._is_probe_refused

    async def _probe_emails(self, call: CallScope | None) -> None:
        async with self.emails.probing:
            if self._may_probe_emails:
                await self._probe_emails_now(call)

    async def _probe_emails_now(self, call: CallScope | None) -> None:
        flow = emails_hidden(self.address)
        with suppress(TransportError, ServerUnavailableError):  # the next request with an e-mail address probes again
            response = await self.dispatcher.send(
                next(flow), CallContext(self.now, self.item_timeout, call=call), judged=False
            )
            try:
                flow.send(response)
            except StopIteration as stop:
                self.emails.hidden = stop.value
            except (AuthenticationError, ForbiddenError):  # says nothing about the login: the document is public
                self._is_probe_refused = True
            except (ServerError, ThrottledError):
                pass
            except ConnectionsError:  # a server that does not say so does not hide addresses
                self.emails.hidden = False

    async def _send_of_auth(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Send a request for an `Auth`, without the credential of this session."""
        origin, target = split_url(urljoin(self.address.url_of(f"{self.address.context}/"), url))
        request = Request(method, target, Headers((headers or {}).items()), body)
        runtime = self._runtime
        return await send_unlimited(
            runtime.engine, origin, request, NO_HEADERS, runtime.attempt_timeout, runtime.telemetry.observer
        )

    def __repr__(self) -> str:
        return f"Session({self.dispatcher!r})"
