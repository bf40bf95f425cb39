"""What `Client` and its resources share: the server, the session of the signed-in user, and how verbs use them."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from attrs import evolve

from aioconnections import bulk
from aioconnections.auth.credentials import Auth, Basic
from aioconnections.client.server import Server
from aioconnections.errors import BadRequestError, InvalidInputError, NotFoundError, UsageError
from aioconnections.outcomes import Checked, CheckOutcome, Failed, InDoubt, Outcome, Rejected, Resolved, Unprocessed
from aioconnections.policy.changes import Touched
from aioconnections.protocol.listing import Pager
from aioconnections.protocol.messages import Flow
from aioconnections.records import Identity, Pair, Person, Status
from aioconnections.reprs import safe_repr
from aioconnections.session.call_scope import CallScope
from aioconnections.session.listing import Stream
from aioconnections.session.session import Session
from aioconnections.session.telemetry import Progress

if TYPE_CHECKING:
    from aioconnections.arrow.results import Gives
    from aioconnections.journal import Journal
    from aioconnections.policy.plan import Plan
    from aioconnections.policy.prices import Prices

__all__ = ["Caller", "OnProgress", "PairLike", "PersonLike", "Resource", "as_auth"]

DoneT = TypeVar("DoneT", bound=Outcome)
R = TypeVar("R")

PersonLike: TypeAlias = Identity | Person
"""A person: an identity, or a record that holds one."""
PairLike: TypeAlias = Pair | tuple[PersonLike, PersonLike]
"""Two people: a `Pair`, or a tuple of source and target."""
OnProgress: TypeAlias = Callable[[Progress], object]
"""Called twice a second during a bulk run, and once at its end."""


class Caller:
    """Makes the calls and runs of one signed-in user.

    Args:
        server: the server, shared by all users.
        auth: the credential, or None.
        parent: the caller whose connections this one uses; None for the owner of the connections.

    Attributes:
        session: the session of the user; None before `enter`.
    """

    def __init__(self, server: Server, auth: Auth | None, parent: Caller | None = None) -> None:
        self.server: Server = server
        self.session: Session | None = None if parent is None else server.session_for(auth)
        self.auth: Auth | None = auth
        self._parent = parent
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether this caller or its parent was closed."""
        return self._closed or (self._parent is not None and self._parent.is_closed)

    def enter(self) -> None:
        """Bind the server to the running event loop, unless a parent has done so.

        Raises:
            UsageError: the client was entered before or is closed, or its parent cannot be used here.
        """
        if self._parent is not None:
            self.here()
            return
        self.server.enter()
        self.session = self.server.session_for(self.auth)

    async def open(self) -> None:
        """Begin to share with other processes, after `enter`; see `Server.open`."""
        if self._parent is None:
            await self.server.open()

    async def aclose(self) -> None:
        """Refuse further use, and close the connections if this caller owns them."""
        self._closed = True
        if self._parent is None:
            await self.server.aclose()

    def anywhere(self) -> Session:
        """The session, to make a run or a listing of: that works in any thread, and using them in the event loop.

        Raises:
            UsageError: the client is closed, was not entered, or was entered before this process was forked.
        """
        return self._session_if(self.server.check_usable)

    def here(self) -> Session:
        """The session, for use in the running event loop.

        Raises:
            UsageError: the client is closed, was not entered, or belongs to another event loop or process.
        """
        return self._session_if(self.server.check_here)

    def _session_if(self, check: Callable[[], object]) -> Session:
        if self.is_closed:
            raise UsageError("this client is closed")
        check()
        assert self.session is not None  # noqa: S101 # set by `enter`
        return self.session

    async def call(self, verb: str, flow: Flow[R], *people: Identity, timeout: float | None) -> R:
        """The result of a conversation that names `people`; telemetry calls it `verb`."""
        with self.here().observed(verb):
            return await self._call(flow, self.here().new_call(_seconds(timeout)), *people)

    async def find(self, verb: str, flow: Flow[R | None], person: Identity, *, timeout: float | None) -> R | None:
        """The result of a conversation about `person`, whom the server may not know."""
        with self.here().observed(verb):
            call = self.here().new_call(_seconds(timeout))
            found = await self._call(flow, call, person)
            if found is None:
                await self.here().refuse_unknown(person, call=call)
            return found

    async def _call(self, flow: Flow[R], call: CallScope, *people: Identity) -> R:
        session = self.here()
        session.refuse_hidden(*people)
        try:
            return await session.call(flow, call)
        except (BadRequestError, NotFoundError) as refused:
            error = refused
        raise await session.explained(error, *people, call=call)

    async def ask(
        self,
        verb: str,
        question: Hashable,
        begin: Callable[[], Flow[R]],
        *people: Identity,
        depends_on: tuple[Identity, ...] | None,
        timeout: float | None,
    ) -> R:
        """The result of a conversation that names `people`, shared with the callers who ask the same meanwhile.

        Args:
            verb: name of the call for telemetry.
            question: what is asked.
            begin: begins the conversation.
            people: the people whom it names.
            depends_on: whose connections the result depends on; None if that is not known.
            timeout: seconds for this caller; see `Client`.
        """
        with self.here().observed(verb):
            call = self.here().new_call(_seconds(timeout))
            return await self._ask(question, begin, call, *people, depends_on=depends_on)

    async def look_up(
        self,
        verb: str,
        question: Hashable,
        begin: Callable[[], Flow[R | None]],
        person: Identity,
        *,
        timeout: float | None,
    ) -> R | None:
        """What `ask` gives about `person`, whom the server may not know, and not about connections."""
        with self.here().observed(verb):
            call = self.here().new_call(_seconds(timeout))
            found = await self._ask(question, begin, call, person, depends_on=())
            if found is None:
                await self.here().refuse_unknown(person, call=call)
            return found

    async def _ask(
        self,
        question: Hashable,
        begin: Callable[[], Flow[R]],
        call: CallScope,
        *people: Identity,
        depends_on: tuple[Identity, ...] | None,
    ) -> R:
        session = self.here()
        session.refuse_hidden(*people)
        try:
            return (await session.ask(question, depends_on, begin, call))[0]
        except (BadRequestError, NotFoundError) as refused:
            error = refused
        raise await session.explained(error, *people, call=call)

    async def check(
        self, source: PersonLike, target: PersonLike, max_age: float | None, *, timeout: float | None
    ) -> Checked:
        """The outcome of a single check; see `SingleChecks.check`."""
        pair, session = Pair(source, target), self.here()
        session.learn(*(each for each in (source, target) if isinstance(each, Person)))
        session.refuse_hidden(pair.source, pair.target)
        with session.observed("check"):
            call = session.new_call(_seconds(timeout))
            try:
                return await session.check(pair, (source, target), max_age, call)
            except (BadRequestError, NotFoundError) as refused:
                error = refused
            raise await session.explained(error, pair.source, pair.target, call=call)

    async def change(
        self,
        verb: str,
        flow: Flow[DoneT],
        item: object,
        *people: Identity,
        timeout: float | None,
        touches: Touched | Callable[[Session], Touched] = (),
        **facts: Any,
    ) -> DoneT:
        """The outcome of a single change, with its attempts and times; `touches` says whose connections it changes."""
        session = self.here()
        session.refuse_hidden(*people)
        with session.observed(verb):
            call = session.new_call(_seconds(timeout))
            context = await session.begin(call, touches)
            try:
                done = await session.run(flow, context)
            except (BadRequestError, NotFoundError) as refused:
                error = refused
            else:
                facts |= {"attempts": context.attempts, "elapsed": context.elapsed, "waited": context.waited}
                return evolve(done, item=item, **facts)
            finally:
                context.settle()
            raise await session.explained(error, *people, call=call)

    def stream(self, verb: str, pager: Pager[R]) -> Stream[R]:
        """The records of a listing; telemetry calls it `verb`."""
        return Stream(self.anywhere(), pager, self.here, verb)

    def run_flows(
        self,
        name: str,
        parse: Callable[[object], bulk.WorkItem[DoneT]],
        source: object,
        verb: str,
        *,
        ordered: bool,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
        **options: bool,
    ) -> bulk.Outcomes[DoneT | InDoubt | Rejected | Failed | Unprocessed]:
        """A bulk run with one conversation for each item; see `FlowJob` for `parse` and the options.

        Telemetry calls it `name`. A journal is bound to `verb`.
        """
        flows: bulk.FlowJob[DoneT] = bulk.FlowJob(self.anywhere(), self.server.new_run(name), parse, **options)
        return self.run_flow_job(flows, source, verb, ordered=ordered, journal=journal, on_progress=on_progress)

    def list_job(self, status: Status | None) -> bulk.ListJob:
        """The job of a run that lists connections."""
        return bulk.ListJob(self.anywhere(), self.server.new_run("colleagues_many"), status)

    def run_flow_job(
        self,
        flows: bulk.FlowJob[DoneT],
        source: object,
        verb: str,
        *,
        ordered: bool,
        journal: Journal | None,
        on_progress: OnProgress | None,
    ) -> bulk.Outcomes[DoneT | InDoubt | Rejected | Failed | Unprocessed]:
        """A bulk run of this job, with a journal if there is one."""
        job: bulk.Job[Outcome] = flows
        if journal is not None:
            from aioconnections.bulk.journalled import JournalledJob

            job = JournalledJob(flows, _verified(journal), verb)
        return self.run_job(job, source, ordered=ordered, on_progress=on_progress, gives=_gives(verb))

    def prices(self, page_cost: float | None = None) -> Prices:
        """What requests cost; see `Prices`."""
        from aioconnections.policy.prices import Prices

        limiter = self.server.limiter
        return Prices(lambda: limiter.interval, self.server.run_lanes, page_cost)

    def check_job(self, journal: Journal | None, prices: Prices | None, max_age: float | None = None) -> bulk.CheckJob:
        """The job of a run that checks pairs.

        Args:
            journal: records the run.
            prices: what requests cost; None if there is a plan.
            max_age: maximum age of remembered statuses in seconds; None to use none.
        """
        session, run = self.anywhere(), self.server.new_run("check_many")
        if max_age is not None:
            from aioconnections.bulk.remembered_checks import RememberedCheckJob

            return RememberedCheckJob(session, run, max_age)
        if journal is None:
            return bulk.CheckJob(session, run, prices)
        from aioconnections.bulk.journalled_checks import JournalledCheckJob

        return JournalledCheckJob(session, run, _verified(journal), prices)

    def check_backlog(self, checks: bulk.CheckJob, plan: Plan) -> bulk.Backlog[CheckOutcome]:
        """The backlog of a run that uses lists in place of checks."""
        from aioconnections.bulk.planned import PlannedChecks

        return PlannedChecks(checks, plan, self.prices(plan.page_cost))

    def resolve_job(
        self,
        parse: Callable[[object], bulk.WorkItem[Resolved]],
        per_request: int,
        listed: Iterable[Person],
    ) -> tuple[bulk.Job[Outcome], bulk.Backlog[Outcome] | None]:
        """The job of a run that looks up people, and its backlog if one request may name several."""
        from aioconnections.bulk.resolving import PeopleBacklog, PeopleJob, SinglesJob
        from aioconnections.policy.batching import ListedPeople

        session, run = self.anywhere(), self.server.new_run("resolve_many")
        known = ListedPeople(listed)
        if per_request == 1:
            return PeopleJob(session, run, parse, known), None
        singles = SinglesJob(session, run, parse, known)
        return singles, PeopleBacklog(singles, per_request, 2 * self.server.options.max_connections * per_request)

    def run_job(
        self,
        job: bulk.Job[Outcome],
        source: object,
        *,
        ordered: bool,
        on_progress: OnProgress | None,
        backlog: bulk.Backlog[Any] | None = None,
        gives: Gives = "check",
    ) -> bulk.Outcomes[Any]:
        """A bulk run of any job; `gives` decides about the columns of its table."""
        options = self.server.options
        if on_progress is not None and not callable(on_progress):
            raise InvalidInputError(f"on_progress must be a function or None, got {type(on_progress).__name__}")
        return bulk.Outcomes(
            job,
            cast("Iterable[object] | AsyncIterable[object]", source),  # `Outcomes` refuses anything else
            self.server.runtime,
            admit=self.here,
            workers=self.server.run_lanes,
            ordered=ordered,
            run_timeout=options.timeouts.run,
            on_progress=on_progress,
            backlog=backlog,
            gives=gives,
        )

    @safe_repr
    def __repr__(self) -> str:
        return f"Caller({self.server!r})"


def _gives(verb: str) -> Gives:
    """What the outcomes of a verb, as a journal names it, say."""
    match verb.split():
        case ["disconnect"]:
            return "remove"
        case ["accept", "invitation"]:
            return "end"
        case [("invite" | "accept" | "remove" | "connect" | "list" | "end") as first, *_]:
            return first
        case _:
            raise ValueError(verb)


def _verified(journal: object) -> Journal:
    from aioconnections.journal import Journal

    if not isinstance(journal, Journal):
        raise InvalidInputError(f"journal must be a Journal or None, got {type(journal).__name__}")
    return journal


def _seconds(timeout: object) -> float | None:
    """Check the argument `timeout` of a verb.

    Raises:
        InvalidInputError: it is neither a positive number nor None.
    """
    match timeout:
        case None:
            return None
        case int() | float() if not isinstance(timeout, bool) and 0 < timeout < math.inf:
            return timeout
        case _:
            shown = timeout if isinstance(timeout, int | float) else type(timeout).__name__
            raise InvalidInputError(f"timeout must be a positive number of seconds, or None, got {shown}")


class Resource:
    """A group of verbs that go through one caller."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @safe_repr
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._caller.server!r})"


def as_auth(auth: object) -> Auth | None:
    """Convert the `auth` argument of a client.

    Raises:
        InvalidInputError: `auth` is neither a tuple of user and password, an `Auth`, nor None.
    """
    if auth is None or (isinstance(auth, Auth) and not isinstance(auth, type)):
        return auth
    match auth:
        case (str(user), str(password)):
            return Basic(user, password)
        case _:
            raise InvalidInputError(
                f"auth must be a tuple of user and password, an Auth, or None, got {type(auth).__name__}"
            )
