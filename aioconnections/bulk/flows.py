"""The jobs of bulk runs: a conversation per item for most verbs, and a fast path for checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar, cast

from attrs import evolve

from aioconnections.bulk.job import NOT_DONE, ItemFeed, Known, SessionJob, WorkItem, cut_off, known, undone
from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionsError,
    ForbiddenError,
    InDoubtError,
    InvalidInputError,
    JournalError,
    NotFoundError,
    TransportError,
)
from aioconnections.outcomes import (
    Checked,
    CheckOutcome,
    Duplicate,
    Failed,
    InDoubt,
    Outcome,
    Rejected,
    Resolved,
    Unprocessed,
)
from aioconnections.policy.estimate import MOST_SAMPLED, avoidable
from aioconnections.policy.prices import Prices
from aioconnections.protocol.messages import NO_HEADERS, Flow, Headers, Request, Response, Sends
from aioconnections.protocol.profiles import check_request, check_result
from aioconnections.records import Identity, Pair, Person, Status
from aioconnections.session.call_context import CallContext, RunScope
from aioconnections.session.parking import Parking
from aioconnections.session.session import Session
from aioconnections.session.telemetry import LOG

__all__ = ["CheckJob", "CurrentPair", "FlowJob", "pair_of"]

DoneT = TypeVar("DoneT", bound=Outcome)

_VERDICTS = (BadRequestError, ForbiddenError, NotFoundError)


class FlowJob(SessionJob, Generic[DoneT]):
    """A job with one conversation per item.

    Args:
        session: session of the signed-in user.
        run: the part of the run that its requests need.
        parse: parses an item; it raises `InvalidInputError` for an invalid one.
        once: whether a repeated person is a `Duplicate`.
        privileged: whether a 403 concerns the signed-in user and not the item, so that it ends the run.
        changes: whether it changes something on the server.
    """

    def __init__(
        self,
        session: Session,
        run: RunScope,
        parse: Callable[[object], WorkItem[DoneT]],
        *,
        once: bool = False,
        privileged: bool = False,
        changes: bool = True,
    ) -> None:
        super().__init__(session, run)
        self.changes: bool = changes
        self._first: dict[Identity, int] | None = {} if once else None
        self._privileged = privileged
        self._parse = parse

    def parse(self, item: object) -> WorkItem[DoneT]:
        """Parse an item.

        Raises:
            InvalidInputError: it is invalid, or is itself an error of this kind, by which a source reports a bad item.
        """
        if isinstance(item, InvalidInputError):
            raise item
        return self._parse(item)

    def duplicate_of(self, index: int, work: WorkItem[DoneT]) -> int | None:
        """The index of the first item about the same person, if this one is a duplicate; else None."""
        if self._first is None or work.person is None:
            return None
        first = self._first.setdefault(work.person, index)
        return first if first != index else None

    async def do(
        self, index: int, item: object, parking: Parking, feed: ItemFeed[Any]
    ) -> DoneT | InDoubt | Rejected | Failed | Unprocessed:
        """The outcome of one item."""
        del feed
        try:
            work = self.parse(item)
        except InvalidInputError as error:
            return Failed(error.with_traceback(None), index=index, item=item)
        return await self.do_parsed(work, index, item, parking)

    async def do_parsed(
        self, work: WorkItem[DoneT], index: int, item: object, parking: Parking
    ) -> DoneT | InDoubt | Rejected | Failed | Unprocessed:
        """The outcome of one item that is parsed."""
        context = self.session.context(self.run, parking, touches=work.touches)
        first = self.duplicate_of(index, work)
        if first is not None:
            same: Any = known(index, item, context, person=work.person)  # a duplicate has a person
            return cast("DoneT", Duplicate(first, **same))
        facts = partial(known, index, item, context, pair=work.pair, person=work.person)
        try:
            return await self.carry_out(work, context, Sends(0, context.since_change), facts)
        except BaseException:
            self.cut.append(cut_off(facts(), sent=context.changed_at is not None))
            raise
        finally:
            context.settle()

    async def carry_out(
        self, work: WorkItem[DoneT], context: CallContext, earlier: Sends, facts: Callable[[], Known]
    ) -> DoneT | InDoubt | Rejected | Failed | Unprocessed:
        """The outcome of a parsed item, given what is known about earlier sends; it gets the attributes in `facts`."""
        session = self.session
        try:
            session.refuse_hidden(*work.people)
            done = await self._done(work, context, earlier)
        except ConnectionsError as error:
            failure = error
        else:
            self.repeats.went_well()
            return evolve(done, **facts())
        failure = await session.explained(failure, *work.people)
        self.learn(failure)
        if isinstance(failure, JournalError) and context.changed_at is not None:
            failure = InDoubtError(f"the change was sent and its response was lost; then: {failure}")
        return undone(failure, facts(), _VERDICTS)

    async def _done(self, work: WorkItem[DoneT], context: CallContext, earlier: Sends) -> DoneT:
        """The outcome of a conversation that succeeds."""
        done = await self.session.run(self._followed(work.begin(earlier)), context)
        if isinstance(done, Resolved) and done.profile is None:
            await self.session.refuse_unknown(*work.people)
        return done

    def learn(self, error: ConnectionsError) -> None:
        """See `SessionJob`."""
        if self._privileged and isinstance(error, ForbiddenError):
            self.end(error)
        super().learn(error)
        if isinstance(error, _VERDICTS):
            self.repeats.went_well()
        cause = error.__cause__ if isinstance(error, InDoubtError) else None
        if isinstance(cause, ConnectionsError):
            super().learn(cause)  # the failed verification may concern all items
            error = cause
        if not isinstance(error, TransportError):  # already counted by `_followed`
            self.noticed(error)

    def _followed(self, flow: Flow[DoneT]) -> Flow[DoneT]:
        """The same conversation, with its failures counted at once.

        A change in doubt has no outcome for half a minute or more, which is too late for the count.
        """
        try:
            request = next(flow)
            while True:
                try:
                    response = yield request
                except ConnectionsError as error:
                    if isinstance(error, TransportError):
                        self.noticed(error, request.method)
                    request = flow.throw(error)
                else:
                    if response.status < 500 and response.status != 429:
                        self.repeats.went_well(request.method)
                    request = flow.send(response)
        except StopIteration as stop:
            return cast("DoneT", stop.value)


_CHECK_VERDICTS = (BadRequestError, ForbiddenError)


class CheckJob(SessionJob):
    """A job that checks each pair with one HEAD request; fast path for checks.

    While nothing unusual is pending, an `Express` chain takes further pairs in place of the worker.

    Args:
        session: session of the signed-in user.
        run: the part of the run that its requests need.
        prices: what requests cost, to find out whether a plan would have saved many; None if there is a plan.

    Attributes:
        headers: further headers of each request.
        sampled_below: index below which the people of pairs are kept in `sample`.
        sample: source and target of the first pairs that were sent.
    """

    headers: Headers = NO_HEADERS

    def __init__(self, session: Session, run: RunScope, prices: Prices | None = None) -> None:
        super().__init__(session, run)
        self._prices = prices
        self.sampled_below: int = 0 if prices is None else MOST_SAMPLED
        self.sample: list[tuple[Identity, Identity]] = []
        self.avoidable: tuple[int, int] = (0, 0)

    async def aclose(self, *, complete: int | None = None) -> None:
        """Log whether a plan would have saved many requests; see `Job`."""
        del complete
        self.log_avoidable()

    def log_avoidable(self) -> None:
        """Log how many of the first requests a plan would have saved, if they are many."""
        sample, self.sample = self.sample, []
        saved = 0 if self._prices is None else avoidable(sample, self._prices.page)
        if saved:
            self.avoidable = saved, len(sample)
            text = "run %s: with a plan, about %s of the requests for the first %s pairs would not have been needed"
            LOG.info(text, self.run.id, f"{saved:,}", f"{len(sample):,}")

    def is_ready(self) -> bool:
        """See `Job`."""
        return self.over is None and self.session.is_proved()

    def is_recorded(self, index: int) -> bool:
        """Whether an earlier run may have recorded an outcome of the item, which `recall` gives."""
        del index
        return False

    async def recall(self, index: int, item: object) -> CheckOutcome | None:
        """The outcome that an earlier run recorded; None if there is none, or it is not valid any more."""
        del index, item
        return None

    def note(self, outcome: CheckOutcome) -> CheckOutcome | None:
        """Record an outcome that was found without a check, and return it; None if that takes a wait: use `record`."""
        return outcome

    async def record(self, outcome: CheckOutcome) -> CheckOutcome:
        """The same outcome, once it is recorded."""
        return outcome

    async def do(self, index: int, item: object, parking: Parking, feed: ItemFeed[CheckOutcome]) -> CheckOutcome | None:
        """The outcome of one pair, or of the last one that a chain has taken; see `Job`."""
        session = self.session
        context = CallContext(session.now, session.item_timeout, self.run, parking)
        return await self.do_current(CurrentPair(self, feed, context), index, item)

    async def do_current(self, current: CurrentPair, index: int, item: object) -> CheckOutcome | None:
        """See `do`; `current` holds no pair yet."""
        session, context = self.session, current.context
        try:
            current.set(index, item)
        except InvalidInputError as error:
            return Failed(error.with_traceback(None), index=index, item=item)
        except BaseException:
            self.cut.append(Unprocessed(NOT_DONE, index=index, item=item))
            raise
        try:  # one request, so `Session.run` is not needed
            while True:
                response = await session.dispatcher.send(current.request, context, items=current)
                if not current.is_left:
                    break
                current.is_left = False
            if current.is_settled:
                return None
            status = check_result(current.request, response)
        except ConnectionsError as error:
            failure = error
        except BaseException:
            if not current.is_settled:
                self.cut.append(cut_off(current.facts()))
            raise
        else:
            return current.checked(status)
        return await self._failed(failure, current)

    async def _failed(self, failure: ConnectionsError, current: CurrentPair) -> CheckOutcome:
        session, facts = self.session, current.facts()
        if isinstance(failure, AuthenticationError):
            session.refused(failure)
        try:
            failure = await session.explained(failure, current.pair.source, current.pair.target)
        except BaseException:
            self.cut.append(undone(failure, facts, _CHECK_VERDICTS))
            raise
        self.learn(failure)
        if isinstance(failure, _CHECK_VERDICTS):
            self.repeats.went_well()
        else:
            self.noticed(failure)
        return cast("CheckOutcome", undone(failure, facts, _CHECK_VERDICTS))


class CurrentPair:
    """The pair whose request is under way on one lane; see `Items`.

    Attributes:
        context: context of the pair.
        index: its index.
        item: the item that it was made from.
        pair: the pair.
        request: its request.
        is_settled: whether its outcome was delivered.
        is_left: whether the chain took it and left the request to the worker.
    """

    __slots__ = ("context", "feed", "index", "is_left", "is_settled", "item", "job", "pair", "request")

    pair: Pair
    request: Request
    index: int
    item: object

    def __init__(self, job: CheckJob, feed: ItemFeed[CheckOutcome], context: CallContext) -> None:
        self.job: CheckJob = job
        self.feed: ItemFeed[CheckOutcome] = feed
        self.context: CallContext = context
        self.is_settled: bool = False
        self.is_left: bool = False

    def set(self, index: int, item: object) -> Request:
        """Make `item` the current one, and return its request.

        Raises:
            InvalidInputError: it is invalid.
        """
        pair, session = pair_of(item), self.job.session
        if session.emails.hidden:
            session.refuse_hidden(pair.source, pair.target)
        request = check_request(session.address, pair, self.job.headers)
        if index < self.job.sampled_below:
            self.job.sample.append((pair.source, pair.target))
        self.index, self.item, self.pair, self.request = index, item, pair, request
        return request

    def settle(self, response: Response) -> bool:
        """See `Items`."""
        try:
            outcome = self.checked(check_result(self.request, response))
        except ConnectionsError:
            return False
        self.is_settled = True
        self.feed.deliver(outcome)
        return True

    def advance(self) -> Request | None:
        """See `Items`."""
        while (taken := self.feed.take()) is not None:
            index, item = taken
            try:
                request = self.set(index, item)
            except InvalidInputError as error:
                self.refuse(Failed(error.with_traceback(None), index=index, item=item))
            except BaseException:
                self.job.cut.append(Unprocessed(NOT_DONE, index=index, item=item))
                raise
            else:
                self.is_settled = False
                return request
        return None

    def refuse(self, outcome: Failed) -> None:
        """Deliver the outcome of an invalid item."""
        self.feed.deliver(outcome)

    def leave(self) -> None:
        """See `Items`."""
        self.is_left = True

    def checked(self, status: Status | None) -> Checked:
        """The outcome if the response gave `status`."""
        repeats = self.job.repeats
        if repeats.counts:
            repeats.went_well()
        context = self.context
        return Checked(
            status,
            index=self.index,
            item=self.item,
            pair=self.pair,
            attempts=context.attempts,
            elapsed=context.elapsed,
            waited=context.waited,
        )

    def facts(self) -> Known:
        """The common attributes of the outcome."""
        return known(self.index, self.item, self.context, pair=self.pair)


def pair_of(item: object) -> Pair:
    """Parse an item as a pair.

    Raises:
        InvalidInputError: it is invalid, or is itself an error of this kind, by which a source reports a bad item.
    """
    if isinstance(item, Pair):
        return item
    if isinstance(item, InvalidInputError):
        raise item
    if not isinstance(item, tuple):
        raise InvalidInputError(f"expected a Pair or a tuple of two identities, not {type(item).__name__}")
    people = cast("tuple[Identity | Person, ...]", item)  # Pair checks their types
    if len(people) != 2:
        raise InvalidInputError(f"expected a tuple of two identities, not {len(people)}")
    return Pair(*people)
