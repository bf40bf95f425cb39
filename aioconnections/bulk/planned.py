"""Checks with a plan: where a list of colleagues answers several pairs, it is read in place of a check for each.

Pairs wait in a `Planner`, which says what to ask. What the lists say is delivered only after checks have confirmed
lists of their kind; see `Evidence`. That two people are not connected is delivered only if the lists of both say so, or
if lists have stood further trials; see `Witnesses`. Until then it waits. A contradiction between lists, or between
lists and checks, is asked about once more, because a connection may have changed in between. If it remains, nothing
more is concluded from lists.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from random import Random
from typing import NamedTuple, TypeAlias

from attrs import evolve

from aioconnections.bulk.flows import CheckJob, pair_of
from aioconnections.bulk.job import NOT_DONE, ItemFeed
from aioconnections.bulk.people_lists import GoesOn, PeopleLists
from aioconnections.errors import (
    BadRequestError,
    ConnectionsError,
    InconsistentListsError,
    InvalidInputError,
    NotFoundError,
    ServerUnavailableError,
)
from aioconnections.outcomes import Checked, CheckOutcome, Rejected, Tally, Unprocessed
from aioconnections.policy.answers import Answer, Answers, Kind
from aioconnections.policy.evidence import FEWEST_PAIRS, INVITED, Evidence
from aioconnections.policy.plan import Plan
from aioconnections.policy.planner import Check, Planner
from aioconnections.policy.prices import PAGE_SIZE, Prices
from aioconnections.policy.read_lists import ListsOf, ReadLists, Unknown, swapped
from aioconnections.policy.witnesses import Witnesses
from aioconnections.records import Email, Identity, Pair, Person, Status, Userid
from aioconnections.session.parking import Parking
from aioconnections.session.telemetry import LOG

__all__ = ["PlannedChecks"]

Work: TypeAlias = Callable[[Parking], Awaitable[None]]

_ANSWERS_SHARE = 4  # of the memory, one part for the responses to checks
_MOST_FOUND = 100_000  # connections and invitations found by checks that are compared with lists read later
_MOST_REFUSED = 100_000  # people whom the server may not know
_MOST_FAILURES = 5  # lists in a row that could not be used, after which no more are read


class _Waiting(NamedTuple):
    """An item whose pair was not answered yet."""

    number: int
    item: object
    pair: Pair


class PlannedChecks:
    """The `Backlog` of a run of checks with a plan.

    Args:
        checks: checks pairs one by one.
        plan: the options.
        prices: what requests cost.

    Attributes:
        window: see `Backlog`.
        verdict: see `Backlog`; set if something was concluded from lists that contradict other responses.
    """

    def __init__(self, checks: CheckJob, plan: Plan, prices: Prices) -> None:
        self.window: int = plan.window_pairs
        self.verdict: ConnectionsError | None = None
        self._checks = checks
        self._prices = prices
        self._answers = Answers(plan.memory_bytes // _ANSWERS_SHARE)
        self._lists = ReadLists(plan.memory_bytes - plan.memory_bytes // _ANSWERS_SHARE, lambda: checks.session.me)
        self._reader = PeopleLists(checks.session, checks.run, prices)
        self._planner = self._new_planner()
        self._evidence: dict[Kind, Evidence] = {"own": Evidence(), "other": Evidence()}
        random = Random(1).random  # noqa: S311 # no secret
        self._witnesses: dict[Kind, Witnesses] = {it: Witnesses(self._lists.owns, random) for it in self._evidence}
        self._deliver: Callable[[CheckOutcome], object]
        self._call: Callable[[], object]
        self._head_feed: ItemFeed[CheckOutcome] = ItemFeed(self._next_head, self._settle)
        # An item is in one of these until it is settled, or in the hands of a worker.
        self._planned: dict[int, _Waiting] = {}
        self._heads: deque[_Waiting] = deque()
        self._undecided: dict[Kind, list[tuple[_Waiting, Status | None]]] = {"own": [], "other": []}
        self._invalid: deque[tuple[int, object]] = deque()
        self._recorded: deque[_Waiting] = deque()  # perhaps by an earlier run
        self._unrecorded: deque[CheckOutcome] = deque()  # found, and not in the journal yet
        self._repeats: dict[int, list[tuple[int, object]]] = {}  # items with the pair of an earlier one
        self._first: dict[Pair, int] = {}  # of each pair that is not settled
        self._checking: dict[Pair | None, int] = {}
        self._turned: dict[
            int, list[_Waiting]
        ] = {}  # items with the people of one that is checked, the other way round
        self._expected: dict[int, tuple[Kind, Status | None]] = {}  # what a list says of a pair that is checked
        self._work: deque[Work] = deque()  # lists, and checks that are no items
        self._busy = 0  # workers
        self._urgent = False  # no items come soon
        self._uses_lists = True
        self._has_listed = False
        self._is_asking_rights = False
        self._fewest = min(FEWEST_PAIRS, plan.window_pairs)
        self._failures = 0  # of lists in a row
        self._found: dict[Identity, dict[Userid, Status]] = {}  # by checks
        self._found_count = 0
        self._unshown: list[Pair] = []  # invitations in lists that checks did not show, while that may have two reasons
        self._refused: set[Identity] = set()  # people whom the server may not know
        self._from_absence = 0
        self._doubtful = 0

    def begin(self, deliver: Callable[[CheckOutcome], object], call: Callable[[], object]) -> None:
        """See `Backlog`."""
        self._deliver = deliver
        self._call = call

    def add(self, index: int, item: object) -> None:
        """See `Backlog`."""
        self._urgent = False
        try:
            waiting = _Waiting(index, item, pair_of(item))
        except InvalidInputError:
            self._invalid.append((index, item))
            return
        if self._checks.is_recorded(index):
            self._recorded.append(waiting)
        else:
            self._add(waiting)

    def _add(self, waiting: _Waiting) -> None:
        """Add an item whose outcome is not recorded."""
        index, item, pair = waiting
        first = self._first.setdefault(pair, index)
        if first != index:
            self._repeats.setdefault(first, []).append((index, item))
        elif not self._uses_lists or not self._knows_me():
            self._heads.append(waiting)
        else:
            self._lists.names_emails |= isinstance(pair.source, Email) or isinstance(pair.target, Email)
            listed = self._lists.answer(pair)
            if not (isinstance(listed, Unknown) and self._is_answered(waiting)):
                self._place(waiting, listed)

    def make_room(self) -> None:
        """See `Backlog`."""
        self._urgent = True

    def flush(self) -> None:
        """See `Backlog`."""
        self._urgent = True
        self._planner.flush()

    def close(self) -> None:
        """See `Backlog`."""
        self._urgent = True
        self._planner.close()

    def has_work(self) -> bool:
        """See `Backlog`."""
        if self._heads or self._work or self._invalid or self._recorded or self._unrecorded:
            return True
        if self._checks.run.is_over or not self._uses_lists:
            self._check_all()
        else:
            self._ask_planner()
            if self._urgent and not (self._heads or self._work or self._busy):
                self._planner.flush()
                self._ask_planner()
                if not (self._heads or self._work):
                    self._check_undecided()
        return bool(self._heads or self._work or self._unrecorded)

    def take(self) -> Work:
        """See `Backlog`."""
        self._busy += 1  # not only once the work begins: meanwhile other workers ask whether there is some
        return partial(self._busily, self._taken())

    def _taken(self) -> Work:
        if self._unrecorded:
            return partial(self._record, self._unrecorded.popleft())
        if self._recorded:
            return partial(self._recall, self._recorded.popleft())
        if self._work:
            return self._work.popleft()
        if self._invalid:
            return partial(self._check, *self._invalid.popleft())
        waiting = self._next_waiting()
        return _nothing if waiting is None else partial(self._check, waiting.number, waiting.item)

    def give_up(self, reason: str = NOT_DONE) -> None:
        """See `Backlog`."""
        self._check_all()
        for outcome in self._unrecorded:
            self._deliver(outcome)
        turned = (it for waiting in self._turned.values() for it in waiting)
        left: list[tuple[int, object, Pair | None]] = [*self._heads, *self._recorded, *turned]
        self._turned.clear()
        left += [(*it, None) for it in self._invalid]
        for queue in (self._unrecorded, self._heads, self._recorded, self._invalid):
            queue.clear()
        for index, item, pair in left:
            self._deliver(Unprocessed(reason, index=index, item=item, pair=pair))
        for repeats in self._repeats.values():  # of items that were interrupted
            for index, item in repeats:
                self._deliver(Unprocessed(reason, index=index, item=item, pair=pair_of(item)))
        self._repeats.clear()

    def completed(self, tally: Tally) -> Tally:
        """See `Backlog`."""
        return evolve(tally, doubtful=self._doubtful) if self._doubtful else tally

    # --- what to do next ---

    def _new_planner(self) -> Planner[Identity]:
        return Planner(self.window, self._prices.page, PAGE_SIZE)

    def _ask_planner(self) -> None:
        """Move what the planner decides into the queues, until there is something to do.

        Nothing is listed for a few pairs, because it takes more checks to confirm the lists.
        """
        while not (self._heads or self._work or self._is_asking_rights):
            waiting_for = len(self._planned)
            decision = self._planner.next()
            if decision is None:
                return
            if not isinstance(decision, Check) and not self._has_listed and waiting_for < self._fewest:
                self._heads.extend(self._planned.pop(number) for number in decision.numbers)
                continue
            if isinstance(decision, Check):
                self._heads.append(self._planned.pop(decision.number))
                continue
            self._is_asking_rights = not self._has_listed
            first = [self._ask_rights] if self._is_asking_rights else []
            self._has_listed = True
            self._work += [*first, partial(self._list, decision.person, decision.numbers)]

    def _check_all(self) -> None:
        """Check every pair that waits for a list or for evidence."""
        if self._planned:
            self._heads.extend(self._planned.values())
            self._planned.clear()
            self._planner = self._new_planner()
        for undecided in self._undecided.values():
            self._heads.extend(waiting for waiting, _ in undecided)
            undecided.clear()

    def _check_undecided(self) -> None:
        """Check pairs of which unconfirmed lists say something: as many as may confirm them, or all if none may."""
        for kind, undecided in self._undecided.items():
            evidence = self._evidence[kind]
            for place, (waiting, listed) in reversed([*enumerate(undecided)]):
                if evidence.wants(listed):
                    self._expected[waiting.number] = kind, listed
                    self._heads.append(waiting)
                    del undecided[place]
        if not self._heads:
            self._call_witnesses()
        if self._heads or self._work:
            return
        for kind, undecided in self._undecided.items():  # these lists cannot be confirmed
            self._heads.extend(waiting for waiting, _ in undecided)
            self._witnesses[kind].spent += len(undecided)
            undecided.clear()

    def _call_witnesses(self) -> None:
        """Deliver what lists of both people say by now, and read lists that show whether others leave people out."""
        for kind, witnesses in self._witnesses.items():
            self._place_undecided(kind)
            if not self._evidence[kind].believes(None) or self._failures >= _MOST_FAILURES:
                continue
            people = (
                it for waiting, listed in self._undecided[kind] if listed is None for it in self._ends(waiting.pair)
            )
            others = Counter(it for it in people if isinstance(it, Userid) and not self._lists.owns(it))
            statuses = 3 if self._lists.visible.are_expected else 1
            price = self._planner.pages_on_average * self._prices.page * statuses
            if others and witnesses.are_worth(others, price):
                self._work += [partial(self._witness, kind, person) for person in witnesses.next(others)]
                if witnesses.have_vouched:
                    self._place_undecided(kind)

    def _next_head(self) -> tuple[int, object] | None:
        """The next pair for a chain of checks; see `ItemFeed`."""
        if self._work or self._checks.over is not None or self._checks.run.is_over:
            return None
        if not self._heads and self._uses_lists:
            self._ask_planner()
        waiting = None if self._work else self._next_waiting()
        return None if waiting is None else (waiting.number, waiting.item)

    def _next_waiting(self) -> _Waiting | None:
        """The next pair to check: of those that wait, the first that no other check has answered or may answer."""
        while self._heads:
            waiting = self._heads.popleft()
            if not self._is_answered(waiting):
                self._checking[waiting.pair] = waiting.number
                return waiting
        return None

    def _is_answered(self, waiting: _Waiting) -> bool:
        """Deliver what an earlier check has said of a pair, or let it wait for one that is under way."""
        pair, kind = waiting.pair, self._kind_of(waiting.pair)
        known = self._answers.find(pair, kind)
        if known is not None:
            self._share(waiting, known)
            return True
        if not self._answers.may_turn(kind):
            return False
        first = self._checking.get(Pair(pair.target, pair.source))
        if first is not None:
            self._turned.setdefault(first, []).append(waiting)
        return first is not None

    def _share(self, waiting: _Waiting, answer: Answer) -> None:
        """Deliver the response to another check for a pair."""
        if (expected := self._expected.pop(waiting.number, None)) is not None:
            self._evidence[expected[0]].failed(expected[1])
        index, item, pair = waiting
        outcome = Checked(answer.status, index=index, item=item, pair=pair, via="duplicate", of=answer.first)
        self._put(outcome)
        self._finish(outcome)

    async def _busily(self, work: Work, parking: Parking) -> None:
        try:
            await work(parking)
        finally:
            self._busy -= 1
            self._call()

    # --- answers ---

    def _knows_me(self) -> bool:
        """Whether it is known which pairs concern the signed-in user, who sees more of their own connections."""
        session = self._checks.session
        return not session.signs_in or isinstance(session.me, Userid)

    def _ends(self, pair: Pair) -> tuple[Identity, Identity]:
        """The people of a pair, by userid if it is known."""
        return self._lists.known_as(pair.source), self._lists.known_as(pair.target)

    def _kind_of(self, pair: Pair) -> Kind:
        return "own" if any(map(self._lists.is_me, self._ends(pair))) else "other"

    def _place(self, waiting: _Waiting, listed: Status | Unknown | None) -> None:
        """Deliver what lists say of a pair, if it is reliable; else check or plan it."""
        if isinstance(listed, Unknown):
            self._plan_pair(waiting)
            return
        kind = self._kind_of(waiting.pair)
        evidence = self._evidence[kind]
        if listed is None and self._refused and not self._refused.isdisjoint(self._ends(waiting.pair)):
            self._heads.append(waiting)  # a list would not name them either
        elif evidence.believes(listed) and (listed is not None or self._is_sure(kind, waiting.pair)):
            self._from_absence += listed is None
            outcome = Checked(listed, index=waiting.number, item=waiting.item, pair=waiting.pair, via="list")
            self._put(outcome)
            self._finish(outcome)
        elif evidence.wants(listed):
            self._expected[waiting.number] = kind, listed
            self._heads.append(waiting)
        elif evidence.disbelieves(listed):
            self._heads.append(waiting)
        else:
            self._undecided[kind].append((waiting, listed))

    def _is_sure(self, kind: Kind, pair: Pair) -> bool:
        """Whether a list that does not name a person suffices: those of both people say so, or others have vouched."""
        owns = self._lists.owns
        return (owns(pair.source) and owns(pair.target)) or self._witnesses[kind].conclude()

    def _plan_pair(self, waiting: _Waiting) -> None:
        ends, may_answer = (waiting.pair.source, waiting.pair.target), self._lists.may_answer
        useful = [may_answer(person, other) for person, other in (ends, ends[::-1])]
        if not any(useful):
            self._heads.append(waiting)
            return
        one, other = (it if use else None for it, use in zip(ends, useful, strict=True))
        self._planned[waiting.number] = waiting
        self._planner.add(waiting.number, one, other)

    def _place_undecided(self, kind: Kind) -> None:
        """Deliver what lists say and what has waited for evidence."""
        undecided, self._undecided[kind] = self._undecided[kind], []
        for waiting, listed in undecided:
            self._place(waiting, listed)

    def _put(self, outcome: CheckOutcome) -> None:
        """Deliver an outcome that was found without a check, once it is recorded."""
        noted = None if self._unrecorded else self._checks.note(outcome)
        if noted is None:
            self._unrecorded.append(outcome)
        else:
            self._deliver(noted)

    async def _record(self, outcome: CheckOutcome, parking: Parking) -> None:
        del parking
        self._deliver(await self._checks.record(outcome))

    async def _recall(self, waiting: _Waiting, parking: Parking) -> None:
        """Deliver the outcome that an earlier run has recorded, or add the item."""
        del parking
        outcome = await self._checks.recall(waiting.number, waiting.item)
        if outcome is None:
            self._add(waiting)
        else:
            self._deliver(outcome)

    def _finish(self, outcome: CheckOutcome) -> None:
        """Deliver the outcomes of the items with the same pair."""
        pair = _pair_of(outcome)
        if pair is None or self._first.get(pair) != outcome.index:
            return
        del self._first[pair]
        for index, item in self._repeats.pop(outcome.index, ()):
            again = evolve(outcome, index=index, item=item, attempts=0, elapsed=0.0, waited=0.0)
            if isinstance(again, Checked):
                self._from_absence += again.via == "list" and again.status is None
                again = evolve(again, via="duplicate", of=outcome.index if again.of is None else again.of)
            self._put(again)

    def _finish_turned(self, outcome: CheckOutcome) -> None:
        """Deliver what a check says of the same people the other way round, or check that too."""
        self._checking.pop(_pair_of(outcome), None)
        for waiting in self._turned.pop(outcome.index, ()):
            answer: Answer | None = None
            if isinstance(outcome, Checked):
                answer = self._answers.turned(Answer(outcome.status, outcome.index), self._kind_of(waiting.pair))
            if answer is None:
                self._heads.append(waiting)
            else:
                self._share(waiting, answer)

    # --- checks ---

    async def _check(self, index: int, item: object, parking: Parking) -> None:
        outcome = await self._checks.do(index, item, parking, self._head_feed)
        if outcome is not None:
            self._settle(outcome)

    def _settle(self, outcome: CheckOutcome) -> None:
        """Deliver the outcome of a check, and compare it with the lists."""
        expected = self._expected.pop(outcome.index, None)
        self._deliver(outcome)
        if isinstance(outcome, Checked):
            self._answers.add(outcome.pair, Answer(outcome.status, outcome.index), self._kind_of(outcome.pair))
        self._finish(outcome)
        self._finish_turned(outcome)
        if isinstance(outcome, Rejected) and isinstance(outcome.error, BadRequestError) and outcome.pair is not None:
            self._refuse(*(it for it in self._ends(outcome.pair) if not self._lists.owns(it)))
        if isinstance(outcome, Checked):
            self._refused.difference_update(self._ends(outcome.pair))
            self._prices.checked(outcome.elapsed)
            self._compare_check(outcome.pair, outcome.status, expected)
        elif expected is not None:
            kind, listed = expected
            self._evidence[kind].failed(listed)

    def _compare_check(self, pair: Pair, status: Status | None, expected: tuple[Kind, Status | None] | None) -> None:
        """Compare the status that a check gave with the lists: with what one says, or with those read later."""
        kind, listed = expected or (self._kind_of(pair), self._lists.answer(pair))
        evidence = self._evidence[kind]
        ends = self._ends(pair)
        are_userids = all(isinstance(it, Userid) for it in ends)
        is_unlisted = status in INVITED and not isinstance(listed, Status) and are_userids
        if expected is not None:
            agree = evidence.checked(expected[1], status)
            if not agree:
                evidence.failed(expected[1])
            elif evidence.standing == "proved":
                self._place_undecided(kind)
        else:
            agree = listed is status or isinstance(listed, Unknown) or (is_unlisted and not evidence.shows_invitations)
        if not agree:
            self._work.append(partial(self._examine, pair))
        elif is_unlisted:
            self._see_invitation(kind)
        self._note_found(ends[0], ends[1], status)

    def _refuse(self, *people: Identity) -> None:
        """Conclude no absence of people from lists: a check would reject people whom the server does not know."""
        if len(self._refused) < _MOST_REFUSED:
            self._refused.update(people)

    def _see_invitation(self, kind: Kind) -> None:
        """Take note of an invitation that no list has shown, so that other people who are in no list may have one."""
        visible = self._lists.visible
        if kind == "other" and visible.are_visible is None:
            visible.checked(is_shown=True)
            self._show_invitations()
        elif kind == "other" and visible.are_visible is False:
            self._evidence[kind].concludes_absence = False
            if self._from_absence:
                self._refute()

    def _miss_invitation(self, pair: Pair, listed: Status) -> None:
        """Take note of an invitation in a list that a check does not show, perhaps because the user may not see it."""
        evidence, visible = self._evidence["other"], self._lists.visible
        evidence.failed(listed)
        self._unshown.append(pair)
        visible.checked(is_shown=False)
        if visible.are_visible is False:
            evidence.ignore_invitations()
            self._place_undecided("other")

    def _show_invitations(self) -> None:
        """Take note that the user sees invitations of other people: lists count once they have shown some."""
        self._evidence["other"].has_invitations = True
        for pair in (*self._unshown, *self._lists.invitation_doubts()):
            self._work.append(partial(self._examine, pair))

    def _note_found(self, one: Identity, other: Identity, status: Status | None) -> None:
        """Remember a connection that a check has found, for the lists of both people."""
        if status is None or self._found_count >= _MOST_FOUND:
            return
        if isinstance(one, Userid) and isinstance(other, Userid):
            self._found.setdefault(one, {})[other] = status
            self._found.setdefault(other, {})[one] = swapped(status)
            self._found_count += 1

    # --- lists ---

    async def _ask_rights(self, parking: Parking) -> None:
        """Find out whether the user is an administrator, who may see invitations of others, before lists are read."""
        visible = self._lists.visible
        visible.may_be_visible = True  # until the response comes
        try:
            visible.may_be_visible = await self._reader.is_administrator(parking)
        finally:
            self._is_asking_rights = False

    async def _list(self, person: Identity, numbers: tuple[int, ...], parking: Parking) -> None:
        """Read the lists of a person, and answer the pairs that wait for them."""
        waiting = [self._planned.pop(number) for number in numbers if number in self._planned]
        if not waiting:
            return
        try:
            lists = await self._read(person, parking, partial(self._goes_on, person, waiting))
            if lists is None:
                self._heads.extend(waiting)
                return
        except ConnectionsError as error:
            self._heads.extend(waiting)
            self._list_failed(person, error)
        except BaseException:
            self._planned.update((it.number, it) for it in waiting)
            raise
        else:
            self._failures = 0
            self._planner.page_price = self._prices.page
            if self._lists.is_full:
                self._planner.window_only()
            answer = self._lists.answers_of(lists)
            for it in waiting:
                listed = answer(it.pair)
                if isinstance(listed, Unknown) and self._lists.is_full:  # else these lists would be read again
                    self._heads.append(it)
                else:
                    self._place(it, listed)
            self._confirm(lists)

    async def _witness(self, kind: Kind, person: Userid, parking: Parking) -> None:
        """Read the lists of a person for the sake of the people whom they name."""
        if not self._uses_lists or self._lists.owns(person):
            return
        try:
            lists = await self._read(person, parking)
        except ConnectionsError as error:
            self._list_failed(person, error)
            return
        if lists is not None:
            self._failures = 0
            invited = [_userid(it) for it, _ in lists.invitations or () if self._sees(person, _userid(it))]
            self._witnesses[kind].read(person, map(_userid, lists.colleagues), invited)
            self._confirm(lists)

    async def _read(self, person: Identity, parking: Parking, goes_on: GoesOn | None = None) -> ListsOf | None:
        """Read the lists of a person, compare them, and remember them; None if `goes_on` ended the first one."""
        is_mine = self._lists.is_me(self._lists.known_as(person))
        invitations = is_mine or self._lists.visible.are_read
        lists = await self._reader.read(person, parking, invitations=invitations, goes_on=goes_on)
        if lists is None:
            return None
        if invitations and lists.invitations is None and not is_mine:
            self._lists.visible.refused()
        await self._compare_lists(lists, parking)
        self._lists.add(lists)
        return lists

    def _goes_on(
        self, person: Identity, waiting: Iterable[_Waiting], found: set[Identity], total: int, page_size: int
    ) -> bool:
        """Whether to read on after the first page, which names the people in `found`."""
        wanted = (it.pair.target if it.pair.source == person else it.pair.source for it in waiting)
        unresolved = sum(it not in found for it in wanted)
        return self._planner.goes_on(total, unresolved, page_size=page_size, person=person)

    def _list_failed(self, person: Identity, error: ConnectionsError) -> None:
        self._planner.exclude(person)
        if isinstance(error, BadRequestError | NotFoundError):  # about this person, whom the server may not know
            self._refuse(person)
            return
        if isinstance(error, ServerUnavailableError):
            self._checks.learn(error)
            return
        self._failures += 1
        if self._failures == _MOST_FAILURES:
            LOG.warning("run %s reads no more lists: %s", self._checks.run.id, type(error).__name__)
            self._planner.heads_only()

    def _confirm(self, lists: ListsOf) -> None:
        """Check people in these lists who are in no item, as far as that confirms lists of this kind."""
        is_me, visible = self._lists.is_me, self._lists.visible
        is_mine = is_me(self._lists.known_as(lists.person))
        kind: Kind = "own" if is_mine else "other"
        evidence = self._evidence[kind]
        invitations = [(_userid(it), status) for it, status in lists.invitations or () if not is_me(_userid(it))]
        if not is_mine:
            visible.listed(len(invitations))
        if is_mine or visible.are_read:
            evidence.shows(len(invitations))
            for other, status in invitations:
                if evidence.wants(status):
                    self._work.append(partial(self._probe, kind, Pair(lists.person, other), status))
        for it in lists.colleagues:
            if not is_mine and is_me(_userid(it)):
                continue
            if not evidence.wants(Status.ACCEPTED):
                break
            self._work.append(partial(self._probe, kind, Pair(lists.person, _userid(it)), Status.ACCEPTED))

    async def _probe(self, kind: Kind, pair: Pair, listed: Status, parking: Parking) -> None:
        """Check a connection that a list shows."""
        evidence, visible = self._evidence[kind], self._lists.visible
        try:
            status = await self._reader.status(pair, parking)
        except ConnectionsError:
            evidence.failed(listed)
            return
        is_open = kind == "other" and listed in INVITED and not visible.are_visible
        if is_open and status is not listed:
            self._miss_invitation(pair, listed)
            return
        if is_open:
            visible.checked(is_shown=True)
            self._show_invitations()
        self._compare_check(pair, status, (kind, listed))

    # --- contradictions ---

    async def _compare_lists(self, lists: ListsOf, parking: Parking) -> None:
        """Compare lists with those of other people, and with the connections that checks have found."""
        examined: set[Identity] = set()
        while True:  # others may be read meanwhile
            doubts = self._lists.doubts(lists)  # from now on the owner is known by userid
            owner = self._lists.known_as(lists.person)
            found = self._found.pop(owner, {})
            if found:
                agrees = self._comparison(lists)
                doubts += [it for it, status in found.items() if not agrees(it, status)]
            new = [it for it in dict.fromkeys(doubts) if it not in examined]
            if not new:
                return
            for other in new:
                examined.add(other)
                await self._examine(Pair(lists.person, other), parking)

    def _sees(self, owner: Identity, other: Identity) -> bool:
        """Whether the lists of `owner` show an invitation between the two as a check does."""
        is_me = self._lists.is_me
        return is_me(owner) or (bool(self._lists.visible.are_visible) and not is_me(self._lists.known_as(other)))

    def _comparison(self, lists: ListsOf) -> Callable[[Identity, Status | None], bool]:
        """A function that tells whether lists say of another person what a check does, as far as they show the same."""
        known_as, statuses = self._lists.known_as, lists.statuses()

        def agrees(other: Identity, status: Status | None) -> bool:
            listed = statuses.get(known_as(other))
            sees = lists.invitations is not None and self._sees(known_as(lists.person), other)
            return listed is status or not (sees or Status.ACCEPTED in (listed, status))

        return agrees

    async def _examine(self, pair: Pair, parking: Parking) -> None:
        """Ask once more about a pair of which lists and checks say different things."""
        if not self._uses_lists:
            return
        known_as = self._lists.known_as
        status: Status | None = None
        try:
            status = await self._reader.status(pair, parking)
            agree = True
            for owner, other, seen in (
                (pair.source, pair.target, status),
                (pair.target, pair.source, None if status is None else swapped(status)),
            ):
                if owner == pair.source or self._lists.owns(owner):
                    lists = await self._reader.read(owner, parking, invitations=self._sees(known_as(owner), other))
                    agree = agree and lists is not None and self._comparison(lists)(other, seen)
        except ConnectionsError as error:
            if self._checks.run.is_over:
                return
            LOG.info("run %s could not settle a contradiction: %s", self._checks.run.id, type(error).__name__)
            agree = False
        if not agree:
            self._refute()
        elif status is Status.ACCEPTED:
            self._lists.connect(pair)

    def _refute(self) -> None:
        """Conclude nothing from lists any more; what is not answered is checked."""
        if not self._uses_lists:
            return
        self._uses_lists = False
        self._doubtful = self._from_absence
        for evidence in self._evidence.values():
            evidence.refute()
        LOG.warning("run %s: lists contradict checks or each other; nothing more is concluded", self._checks.run.id)
        if self._doubtful:
            self.verdict = InconsistentListsError(self._doubtful)
        self._check_all()


def _userid(person: Person) -> Userid:
    """The userid of a person in a list that was read whole."""
    assert person.userid is not None  # noqa: S101 # see `PeopleLists.read`
    return person.userid


def _pair_of(outcome: CheckOutcome) -> Pair | None:
    """The pair of an outcome; None for an invalid item. An outcome without a request may not have it."""
    try:
        return outcome.pair or pair_of(outcome.item)
    except InvalidInputError:
        return None


async def _nothing(parking: Parking) -> None:
    """The work that is left if all pairs were answered by the checks of others."""
    del parking
