"""What all verbs of a client share: its options, and the session that they talk through."""

from __future__ import annotations

import random
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from copy import copy
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, cast

from attrs import evolve

from aioconnections.auth.credentials import Auth, Basic
from aioconnections.bulk import FlowJob, Job, Outcomes, WorkItem
from aioconnections.client.server import Options, Server
from aioconnections.clock import Clock
from aioconnections.errors import BadRequestError, InvalidInputError, NotFoundError, UsageError
from aioconnections.outcomes import Failed, InDoubt, Outcome, Rejected, Unprocessed
from aioconnections.protocol.messages import Flow
from aioconnections.records import Identity, Person
from aioconnections.session.session import Session
from aioconnections.session.telemetry import Attempt, Progress, Stats
from aioconnections.transport.tls import Verify

if TYPE_CHECKING:
    import httpx

    from aioconnections.journal import Journal

__all__ = ["Base", "OnProgress", "PersonLike"]

DoneT = TypeVar("DoneT", bound=Outcome)
R = TypeVar("R")

PersonLike: TypeAlias = Identity | Person
"""A person, by an identity or as a record that holds one."""
OnProgress: TypeAlias = Callable[[Progress], object]
"""Is told twice a second where a bulk run stands, and once at its end."""


class Base:
    """What `Client` is built on; its options are those of `Client`."""

    def __init__(  # noqa: PLR0913 # keyword-only options, each with its default
        self,
        base_url: str,
        *,
        auth: tuple[str, str] | Auth | None = None,
        max_connections: int = 16,
        max_per_second: float | None = 100,
        burst: int = 1,
        attempt_timeout: float = 10.0,
        item_timeout: float = 60.0,
        run_timeout: float | None = None,
        max_attempts: int = 4,
        max_outage: float | None = 300.0,
        headers: Mapping[str, str] | None = None,
        cookies: bool = False,
        verify: Verify = True,
        transport: httpx.AsyncBaseTransport | None = None,
        http_client: httpx.AsyncClient | None = None,
        trust_env: bool = False,
        verify_login: bool = True,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        on_attempt: Callable[[Attempt], object] | None = None,
    ) -> None:
        if transport is not None and http_client is not None:
            raise InvalidInputError("transport and http_client exclude each other")
        options = Options(
            max_connections=max_connections,
            max_per_second=max_per_second,
            burst=burst,
            attempt_timeout=attempt_timeout,
            item_timeout=item_timeout,
            run_timeout=run_timeout,
            max_attempts=max_attempts,
            max_outage=max_outage,
            headers=headers or {},
            cookies=cookies,
            verify=verify,
            trust_env=trust_env,
            verify_login=verify_login,
            clock=clock,
            rng=rng or random.Random(),  # noqa: S311 # spreads pauses, guards nothing
            on_attempt=on_attempt,
        )
        self._auth = _auth(auth)
        self._server = Server(base_url, self._auth, options, transport or http_client)
        self._session: Session | None = None
        self._closed = False
        self._parent: Self | None = None

    @property
    def max_per_second(self) -> float | None:
        """How many requests may start per second, None for no limit; may be changed at any time, for all users."""
        return self._server.limiter.max_per_second

    @max_per_second.setter
    def max_per_second(self, value: float | None) -> None:
        self._server.change_rate(value)

    def stats(self) -> Stats:
        """What this client has done so far, for all of its users together.

        Raises:
            UsageError: it has not been entered.
        """
        return self._server.stats()

    def as_user(self, auth: tuple[str, str] | Auth | None) -> Self:
        """A client for another signed-in user of the same server, for example one of a web application's.

        It shares connections and rate with this one, and nothing else: it has a login of its own, and cookies of its
        own if it keeps any. It can be used at once, needs not be closed, and ends with this one. Clients for equal
        credentials share what is known of the login, so that one may be made for each request of a web application.

        Raises:
            InvalidInputError: `auth` is no login.
            UsageError: this client is closed, has not been entered, or belongs to another event loop.
        """
        self._here()
        other = copy(self)
        other._auth = _auth(auth)
        other._session = self._server.session_for(other._auth)
        other._parent = self
        return other

    async def aclose(self) -> None:
        """Close every connection; calls after that raise `UsageError`. A client from `as_user` closes none."""
        self._closed = True
        if self._parent is None:
            await self._server.aclose()

    async def __aenter__(self) -> Self:
        if self._parent is None:
            self._server.enter()
            self._session = self._server.session_for(self._auth)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._server!r})"

    async def _call(self, flow: Flow[R], *people: Identity) -> R:
        """The result of a conversation that names `people`."""
        session = self._here()
        session.refuse_hidden(*people)
        try:
            return await session.call(flow)
        except (BadRequestError, NotFoundError) as refused:
            error = refused
        raise await session.explained(error, *people)

    async def _found(self, flow: Flow[R | None], person: Identity) -> R | None:
        """The result of a conversation about `person`, of whom the server may say that there is nobody."""
        found = await self._call(flow, person)
        if found is None:
            await self._here().refuse_unknown(person)
        return found

    async def _done(self, flow: Flow[DoneT], item: object, *people: Identity, **facts: Any) -> DoneT:
        """The outcome of a single change, with what it cost."""
        session = self._here()
        session.refuse_hidden(*people)
        await session.prove()
        context = session.context()
        try:
            done = await session.run(flow, context)
        except (BadRequestError, NotFoundError) as refused:
            error = refused
        else:
            facts |= {"attempts": context.attempts, "elapsed": context.elapsed, "waited": context.waited}
            return evolve(done, item=item, **facts)
        raise await session.explained(error, *people)

    def _many(
        self,
        understand: Callable[[object], WorkItem[DoneT]],
        source: object,
        verb: str,
        *,
        ordered: bool,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
        **options: bool,
    ) -> Outcomes[DoneT | InDoubt | Rejected | Failed | Unprocessed]:
        flows: FlowJob[DoneT] = FlowJob(self._here(), self._server.new_run(), understand, **options)
        job: Job[Outcome] = flows
        if journal is not None:
            from aioconnections.bulk.journalled import JournalledJob
            from aioconnections.journal import Journal

            if not isinstance(journal, Journal):
                raise InvalidInputError(f"journal is a Journal or None, not {type(journal).__name__}")
            job = JournalledJob(flows, journal, verb)
        return self._outcomes(job, source, ordered=ordered, on_progress=on_progress)

    def _outcomes(
        self, job: Job[Outcome], source: object, *, ordered: bool, on_progress: OnProgress | None
    ) -> Outcomes[Any]:
        options = self._server.options
        if on_progress is not None and not callable(on_progress):
            raise InvalidInputError("on_progress is a function, or None")
        return Outcomes(
            job,
            cast("Iterable[object] | AsyncIterable[object]", source),  # what is neither is refused there
            self._server.runtime,
            admit=self._here,
            workers=options.max_connections,
            ordered=ordered,
            run_timeout=options.run_timeout,
            on_progress=on_progress,
        )

    def _here(self) -> Session:
        """The session, if it may be used here and now."""
        if self._closed or (self._parent is not None and self._parent._closed):
            raise UsageError("this client is closed")
        self._server.check_here()
        assert self._session is not None  # noqa: S101 # it came with entering
        return self._session


def _auth(auth: tuple[str, str] | Auth | None) -> Auth | None:
    if auth is None or (isinstance(auth, Auth) and not isinstance(auth, type)):
        return auth
    match cast("object", auth):
        case (str(user), str(password)):
            return Basic(user, password)
        case _:
            raise InvalidInputError("auth is a tuple of user and password, an Auth, or None")
