"""Profiles of many people, with few requests.

A person who was asked for before is not asked for again. If the caller allows it, one request names several e-mail
addresses; see `Batches`. A profile in the response belongs to the address that it shows, in any order. A person without
a profile there is asked for alone, as are all people of a batch that failed. People whom lists have named need no
request once some were compared; see `ListedPeople`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeAlias

import anyio

from aioconnections.bulk.flows import FlowJob
from aioconnections.bulk.job import NOT_DONE, WorkItem
from aioconnections.errors import ConnectionsError, InvalidInputError
from aioconnections.outcomes import Failed, InDoubt, Outcome, Rejected, Resolved, Tally, Unprocessed
from aioconnections.policy.batching import FEWEST, Batches, ListedPeople, RecentProfiles, profiles_of
from aioconnections.protocol.discovery import addresses_that_fit, profiles_request, profiles_result
from aioconnections.records import Email, Identity, Profile
from aioconnections.session.call_context import CallContext, RunScope
from aioconnections.session.parking import Parking
from aioconnections.session.session import Session
from aioconnections.session.telemetry import LOG

__all__ = ["PeopleBacklog", "PeopleJob", "SinglesJob"]

Work: TypeAlias = Callable[[Parking], Awaitable[None]]

_REMEMBERED = 1_000  # people; the profile of one takes some kilobytes


class _Item(NamedTuple):
    """An item without an outcome."""

    number: int
    item: object
    work: WorkItem[Resolved]

    @property
    def person(self) -> Identity:
        """The person whom it names."""
        return self.work.people[0]


class _Batched(NamedTuple):
    """An item whose profile came with a batch, and the outcome that follows from it."""

    item: _Item
    profile: Profile
    outcome: Resolved


class SinglesJob(FlowJob[Resolved]):
    """A job that looks up each person by one request, or takes what lists have said.

    Args:
        session: session of the signed-in user.
        run: the part of the run that its requests need.
        parse: see `FlowJob`.
        listed: what lists have said.
    """

    def __init__(
        self, session: Session, run: RunScope, parse: Callable[[object], WorkItem[Resolved]], listed: ListedPeople
    ) -> None:
        super().__init__(session, run, parse, changes=False)
        self._listed = listed

    def is_listed(self, person: Identity) -> bool:
        """Whether lists have named the person."""
        return self._listed.get(person) is not None

    async def do_parsed(
        self, work: WorkItem[Resolved], index: int, item: object, parking: Parking
    ) -> Resolved | InDoubt | Rejected | Failed | Unprocessed:
        """See `FlowJob`."""
        (person,) = work.people
        listed = self._listed.get(person)
        if listed is not None and self._listed.are_proved:
            return Resolved(Profile(listed), index=index, item=item, person=person, via="list")
        outcome = await super().do_parsed(work, index, item, parking)
        if listed is not None and isinstance(outcome, Resolved):
            was_over = self._listed.are_over
            if not self._listed.compared(listed, outcome.profile) and not was_over:
                LOG.warning("run %s: a profile is different from what a list says; lists are not used", self.run.id)
        return outcome


class PeopleJob(SinglesJob):
    """A job that looks up people one by one, and gives repeated people what was found for the first."""

    def __init__(
        self, session: Session, run: RunScope, parse: Callable[[object], WorkItem[Resolved]], listed: ListedPeople
    ) -> None:
        super().__init__(session, run, parse, listed)
        self._recent = RecentProfiles(_REMEMBERED)
        self._asking: dict[Identity, anyio.Event] = {}

    async def do_parsed(
        self, work: WorkItem[Resolved], index: int, item: object, parking: Parking
    ) -> Resolved | InDoubt | Rejected | Failed | Unprocessed:
        """See `FlowJob`. While another worker asks for the same person, this one waits."""
        (person,) = work.people
        while (asking := self._asking.get(person)) is not None:
            try:
                await asking.wait()
            except BaseException:
                self.cut.append(Unprocessed(NOT_DONE, index=index, item=item, person=person))
                raise
        if (found := self._recent.get(person)) is not None:
            return _repeated(index, item, person, found)
        self._asking[person] = done = anyio.Event()
        try:
            outcome = await super().do_parsed(work, index, item, parking)
            if isinstance(outcome, Resolved):
                self._recent.add(person, index, outcome.profile)
            return outcome
        finally:
            del self._asking[person]
            done.set()


def _repeated(index: int, item: object, person: Identity, found: tuple[int, Profile | None]) -> Resolved:
    """The outcome of an item about a person for whom an earlier one has found something."""
    first, profile = found
    return Resolved(profile, index=index, item=item, person=person, via="duplicate", of=first)


class PeopleBacklog:
    """The `Backlog` of a run that looks up several people with one request.

    Args:
        singles: looks up people one by one.
        per_request: limit on the people in one request.
        window: see `Backlog`.

    Attributes:
        window: see `Backlog`.
        verdict: see `Backlog`; always None, because nothing is concluded that could be refuted.
    """

    def __init__(self, singles: SinglesJob, per_request: int, window: int) -> None:
        self.window: int = max(window, 2 * FEWEST)
        self.verdict: ConnectionsError | None = None
        self._singles = singles
        self._per_request = per_request
        self._batches = Batches(per_request)
        self._recent = RecentProfiles(_REMEMBERED)
        self._deliver: Callable[[Outcome], object]
        self._call: Callable[[], object]
        # An item is in one of these until its outcome is delivered, or in the hands of a worker.
        self._emails: deque[_Item] = deque()  # people who may be asked for together
        self._queue: deque[_Item] = deque()  # items to do one by one
        self._undecided: deque[_Batched] = deque()
        self._repeats: dict[int, list[_Item]] = {}  # items about the person of an earlier one
        self._first: dict[Identity, int] = {}  # of each person without an outcome
        self._expected: dict[int, Profile] = {}  # what a batch says of a person who is asked for alone
        self._in_batches = 0  # batches under way
        self._busy = 0  # workers
        self._urgent = False  # no items come soon
        self._closed = False

    def begin(self, deliver: Callable[[Outcome], object], call: Callable[[], object]) -> None:
        """See `Backlog`."""
        self._deliver = deliver
        self._call = call

    def add(self, index: int, item: object) -> None:
        """See `Backlog`."""
        self._urgent = self._closed
        try:
            work = self._singles.parse(item)
        except InvalidInputError as error:
            self._deliver(Failed(error.with_traceback(None), index=index, item=item))
        else:
            self._add(_Item(index, item, work))

    def _add(self, it: _Item) -> None:
        if (found := self._recent.get(it.person)) is not None:
            self._deliver(_repeated(it.number, it.item, it.person, found))
            return
        first = self._first.setdefault(it.person, it.number)
        if first != it.number:
            self._repeats.setdefault(first, []).append(it)
        elif isinstance(it.person, Email) and not self._batches.are_over and not self._singles.is_listed(it.person):
            self._emails.append(it)
        else:
            self._queue.append(it)

    def make_room(self) -> None:
        """See `Backlog`."""
        self._urgent = True

    def flush(self) -> None:
        """See `Backlog`."""
        self._urgent = True

    def close(self) -> None:
        """See `Backlog`."""
        self._urgent = self._closed = True

    def has_work(self) -> bool:
        """See `Backlog`."""
        return bool(self._queue) or self._next_size() > 0

    def take(self) -> Work:
        """See `Backlog`."""
        if self._queue:
            return partial(self._busily, partial(self._ask, self._queue.popleft()))
        size = addresses_that_fit(_addresses(islice(self._emails, self._next_size())))
        if size < 2:
            return partial(self._busily, partial(self._ask, self._emails.popleft()))
        self._in_batches += 1  # now, not when the worker gets to it
        together = [self._emails.popleft() for _ in range(size)]
        return partial(self._busily, partial(self._ask_together, together))

    def give_up(self, reason: str = NOT_DONE) -> None:
        """See `Backlog`."""
        left = [*self._emails, *self._queue, *(it.item for it in self._undecided)]
        left += [it for repeats in self._repeats.values() for it in repeats]
        for queue in (self._emails, self._queue, self._undecided, self._repeats):
            queue.clear()
        for it in left:
            self._deliver(Unprocessed(reason, index=it.number, item=it.item, person=it.person))

    def completed(self, tally: Tally) -> Tally:
        """See `Backlog`."""
        return tally

    def _next_size(self) -> int:
        """How many people of `_emails` to ask for next; 0 if they have to wait."""
        waiting = len(self._emails)
        if not waiting or not (waiting >= self._per_request or self._urgent or not self._busy):
            return 0
        if self._singles.run.is_over or self._singles.session.emails.hidden:
            return 1
        size = self._batches.size(waiting)
        is_proving = not self._batches.are_proved and (self._in_batches or self._undecided or self._expected)
        return 0 if is_proving and not self._batches.are_over else size

    async def _busily(self, work: Work, parking: Parking) -> None:
        self._busy += 1
        try:
            await work(parking)
        finally:
            self._busy -= 1
            self._call()

    # --- one person ---

    async def _ask(self, it: _Item, parking: Parking) -> None:
        outcome = await self._singles.do_parsed(it.work, it.number, it.item, parking)
        expected = self._expected.pop(it.number, None)
        self._settle(it, outcome)
        if expected is None:
            return
        if not isinstance(outcome, Resolved):
            self._batches.not_compared()
        elif not self._batches.compared(expected, outcome.profile):
            LOG.warning(
                "run %s: a profile is different if asked for with others; people are asked for one by one",
                self._singles.run.id,
            )
        self._review()

    def _settle(self, it: _Item, outcome: Outcome) -> None:
        """Deliver an outcome, and those of the other items about the same person."""
        self._deliver(outcome)
        if self._first.get(it.person) != it.number:
            return
        del self._first[it.person]
        repeats = self._repeats.pop(it.number, [])
        if isinstance(outcome, Resolved):
            self._recent.add(it.person, it.number, outcome.profile)
        for other in repeats:  # what failed once is tried again
            self._add(other)

    # --- several people ---

    async def _ask_together(self, together: list[_Item], parking: Parking) -> None:
        session = self._singles.session
        context = session.context(self._singles.run, parking)
        emails, found = [*_addresses(together)], dict[Email, Profile]()
        request = profiles_request(session.address, emails)
        try:
            response = await session.send(request, context)
            found = profiles_of(emails, profiles_result(session.address, request, response))
        except ConnectionsError as error:
            await session.explained(error, *emails)  # so that no further request names hidden addresses
        finally:
            self._in_batches -= 1
            self._take_batch(together, found, context)

    def _take_batch(self, together: list[_Item], found: dict[Email, Profile], context: CallContext) -> None:
        """Take note of the response to a batch; `found` is empty if it failed or was cancelled."""
        for it, email in zip(together, _addresses(together), strict=True):
            profile = found.get(email)
            if profile is None:
                self._queue.append(it)
                continue
            outcome = Resolved(
                profile,
                index=it.number,
                item=it.item,
                person=email,
                attempts=context.attempts,
                elapsed=context.elapsed,
                waited=context.waited,
                via="batch",
            )
            self._undecided.append(_Batched(it, profile, outcome))
        self._batches.answered(len(found))
        self._review()

    def _review(self) -> None:
        """Deliver the profiles from batches if these are proved, or ask for as many people alone as that takes."""
        batches, undecided = self._batches, self._undecided
        while undecided and (batches.are_over or batches.are_proved or batches.wants_comparison()):
            it, profile, outcome = undecided.popleft()
            if batches.are_proved:
                self._settle(it, outcome)
                continue
            if not batches.are_over:
                self._expected[it.number] = profile
            self._queue.append(it)


def _addresses(items: Iterable[_Item]) -> Iterator[Email]:
    return (it.person for it in items if isinstance(it.person, Email))
