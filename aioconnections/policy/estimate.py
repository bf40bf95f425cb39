"""Estimates how many requests a run of checks takes, without a plan and with one, before anything is sent.

Without a plan, each pair takes one request. With one, the estimate follows a `Planner` through the pairs of the run,
as the run itself does: pairs that repeat one of the window are asked once, and a list answers the pairs of its owner as
far as the other person is known by userid. What only the server knows is assumed:

- Each list has as many pages as lists have on average. It names none of the people looked for.
- The lists together name enough people to be confirmed, and each further trial of lists takes as many as expected.
- The user is in none of the pairs, and is no administrator, for whom each list may take two more requests.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection

from aioconnections.policy.evidence import ABSENT_CHECKS, FEWEST_PAIRS, INVITATION_LISTS, PRESENT_CHECKS
from aioconnections.policy.plan import Plan
from aioconnections.policy.planner import Check, List, Planner
from aioconnections.policy.prices import PAGE_SIZE
from aioconnections.policy.read_lists import BYTES_PER_LIST
from aioconnections.policy.witnesses import EXPECTED_LISTS, LEAST_WAITING, RENEWED_AFTER
from aioconnections.records import Identity, Userid
from aioconnections.reprs import frozen, safe_repr

__all__ = ["MOST_SAMPLED", "Estimate", "Estimator", "avoidable"]

MOST_SAMPLED = 2_000
"""Number of pairs at the beginning of a run that are kept for `avoidable`: about 0.5 MB."""

_LOGIN = 1
_RIGHTS = 1  # whether the user is an administrator
_STATUSES = 2  # lists of invitations for each person: pending and unconfirmed
_LEAST_SAMPLED = 1_000  # with fewer pairs, confirming the lists takes a large part of what they save
_BYTES_OF_EDGES = 2_000  # for one list of average length in the table of edges


@frozen
class Estimate:
    """The requests of a run, if none of them has to be repeated.

    Attributes:
        pairs: number of pairs.
        repeated: number of pairs that repeat one of the last `Plan.window_pairs`.
        head: number of requests if each pair is checked, with the one that proves the login. It is exact.
        auto: number of requests with a plan, with those that confirm the lists and the one that proves the login.
        lists: number of lists among them.
        window: see `Plan.window_pairs`.
    """

    pairs: int
    repeated: int
    head: int
    auto: int
    lists: int
    window: int


class Estimator:
    """Estimates the requests of a run from its pairs, in the memory that the window of the plan takes.

    Args:
        plan: the options of the plan.
        page_price: price of one page of a list in checks.
    """

    def __init__(self, plan: Plan, page_price: float) -> None:
        self._window = plan.window_pairs
        self._most_listed = plan.memory_bytes // (BYTES_PER_LIST + _BYTES_OF_EDGES)
        self._fewest = min(FEWEST_PAIRS, plan.window_pairs)
        self._planner: Planner[Identity] = Planner(plan.window_pairs, page_price, PAGE_SIZE)
        self._held: dict[int, tuple[Identity, Identity]] = {}
        self._latest: OrderedDict[int, None] = OrderedDict()  # hashes of pairs
        self._listed: set[Identity] = set()  # whose lists are remembered
        self._pairs = 0
        self._repeated = 0
        self._checks = 0
        self._lists = 0
        self._pages = 0.0
        self._answered = 0
        self._others: Counter[Identity] = Counter()  # whose lists contradict none, and the number of pairs that wait
        self._waiting = 0  # pairs
        self._tried = 0  # lists read because of them
        self._spent = 0  # checks made in place of such lists
        self._allowed = LEAST_WAITING
        self._left = 0  # pairs that need no such lists

    def add(self, source: Identity, target: Identity) -> None:
        """Take the next pair into account."""
        self._pairs += 1
        if self._is_repeated(hash((source, target))):
            self._repeated += 1
        else:
            self._place(self._pairs, source, target)
            if self._planner.is_full:
                self._decide()
            if self._planner.waiting + self._waiting >= self._window:
                self._planner.flush()
                self._decide()
                self._try_lists()

    def end(self) -> Estimate:
        """The estimate for all pairs; none can be added later."""
        self._planner.close()
        self._decide()
        self._try_lists()
        auto = _LOGIN + self._checks
        if self._lists:
            auto += _RIGHTS + round(self._pages) + _STATUSES * min(self._lists, INVITATION_LISTS)
            auto += PRESENT_CHECKS + min(self._answered, ABSENT_CHECKS)
        return Estimate(self._pairs, self._repeated, _LOGIN + self._pairs, auto, self._lists, self._window)

    def _is_repeated(self, pair: int) -> bool:
        latest = self._latest
        if pair in latest:
            return True
        latest[pair] = None
        if len(latest) > self._window:
            latest.popitem(last=False)
        return False

    def _place(self, number: int, source: Identity, target: Identity) -> None:
        """Answer a pair from a list that was read, or hold it."""
        listed = self._listed
        if (source in listed and self._is_known(target)) or (target in listed and self._is_known(source)):
            self._answer(source, target)
            return
        self._held[number] = source, target
        one, other = (None if it in listed else it for it in (source, target))
        self._planner.add(number, one, other)

    def _answer(self, *people: Identity) -> None:
        """Answer a pair from a list, perhaps after lists were tried."""
        self._answered += 1
        others = [it for it in people if it not in self._listed]
        if others and self._left:
            self._left -= 1
        elif others:
            self._others[others[0]] += 1
            self._waiting += 1

    def _try_lists(self) -> None:
        """Read lists of people as far as no other lists contradict those that answer their pairs; see `Witnesses`."""
        others = {it: count for it, count in self._others.items() if it not in self._listed}
        pairs, tried = sum(others.values()), self._tried
        self._others.clear()
        self._waiting = 0
        most = max(EXPECTED_LISTS - tried, 1)
        read = min(len(others), most)
        if pairs + self._spent <= read * self._planner.pages_on_average * self._planner.page_price:
            self._checks += pairs
            self._answered -= pairs
            self._spent += pairs
            return
        self._lists += read
        self._pages += read * self._planner.pages_on_average
        if len(others) <= most:
            self._tried += read
            self._listed.update(others)
        else:
            self._tried = self._spent = 0
            self._left = self._allowed = RENEWED_AFTER * max(self._allowed, pairs)

    def _is_known(self, person: Identity) -> bool:
        """Whether the userid of a person is known, so that a list which does not show it says something."""
        return isinstance(person, Userid) or person in self._listed

    def _decide(self) -> None:
        """Do what the planner says."""
        planner = self._planner
        while True:
            waiting = planner.waiting
            decision = planner.next()
            if decision is None:
                return
            if isinstance(decision, Check):
                self._check(decision.number)
            elif not self._lists and waiting < self._fewest:
                self._check(*decision.numbers)
            else:
                self._list(decision)

    def _check(self, *numbers: int) -> None:
        self._checks += len(numbers)
        for number in numbers:
            del self._held[number]

    def _list(self, read: List[Identity]) -> None:
        """Answer the pairs that wait for a list."""
        self._lists += 1
        self._pages += self._planner.pages_on_average
        is_full = len(self._listed) >= self._most_listed
        if is_full:
            self._planner.window_only()
        else:
            self._listed.add(read.person)
        for number in read.numbers:
            source, target = self._held.pop(number)
            if not is_full:
                self._place(number, source, target)
            elif self._is_known(target if source == read.person else source):
                self._answer(source, target)
            else:
                self._checks += 1

    @safe_repr
    def __repr__(self) -> str:
        return f"Estimator({self._pairs} pairs, {self._checks} checks, {self._lists} lists)"


def avoidable(pairs: Collection[tuple[Identity, Identity]], page_price: float) -> int:
    """The number of requests that a plan would have saved of those for some pairs; 0 unless it is worth mentioning.

    That is the case if there are 1,000 pairs and half of the requests would have been saved. Even if the estimate is
    wrong by a quarter, the gain is then large. Pairs of many different people take no more time than to count them.

    Args:
        pairs: source and target of each pair.
        page_price: price of one page of a list in checks.
    """
    if len(pairs) < _LEAST_SAMPLED:
        return 0
    counts = Counter(person.value for pair in pairs for person in pair)
    most = sum(max(count - page_price, 0) for count in counts.values())  # if lists have one page each, and pairs differ
    if 2 * most < len(pairs):
        return 0
    estimator = Estimator(Plan(), page_price)
    for source, target in pairs:
        estimator.add(source, target)
    found = estimator.end()
    saved = found.head - found.auto
    return saved if 2 * saved >= found.head else 0
