"""Decides which pairs of a run are checked one by one, and which people's lists are read instead.

The list of a person tells the status of every pair that contains the person, on either side, for the price of its
pages. Pairs wait in a window, grouped by person. Once the window is full, the person with the most pairs for the price
of the list is looked at:

- If these pairs cost as much to check as the list costs to read, the list is read.
- Otherwise the oldest pair is checked.

While the source goes on, checks spent on a person count like waiting pairs. So a person who comes again and again in a
shuffled stream is listed once the checks have cost as much as the list. This is the ski-rental rule: for one person, it
costs at most twice as much as a plan that knows the whole stream.

All prices are in units of one check. A list of unknown length is expected to have as many pages as the average list.

The window bounds the memory for any stream. Tables of fixed size keep the checks spent on people outside the window and
the people never to list, by hashes of the people. In rare cases one person is taken for another, which changes the cost
of a run and none of its outcomes.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict, deque
from collections.abc import Hashable
from heapq import heapify, heappop, heappush, heapreplace
from math import ceil, inf
from typing import Generic, TypeAlias, TypeVar

from aioconnections.reprs import frozen, safe_repr

__all__ = ["Check", "List", "Planner"]

PersonT = TypeVar("PersonT", bound=Hashable)

_TYPICAL_TOTALS = (5, 12, 20, 28, 39, 52, 70, 94, 129, 187, 302, 929)
"""Lengths of lists before any is known: the means of twelve equal parts of a lognormal distribution with median 60 and
99th percentile 1,500. At 250 entries a page, these lists have 1.33 pages on average."""

_TOTALS_AVERAGED = 1000  # most recent lengths of lists in the average
_RERANKED_AT = 1.2  # growth of a count, or change of a price, after which the order is corrected
_STALE_NUMBERS = 16
_STALE_RANKS = 1000
_UNRANKED = -1.0


@frozen
class Check:
    """Check one pair.

    Attributes:
        number: number of the pair.
    """

    number: int


@frozen
class List(Generic[PersonT]):
    """Read the list of a person.

    Attributes:
        person: the person.
        numbers: the pairs that contain the person, in the order in which they were added.
    """

    person: PersonT
    numbers: tuple[int, ...]


class Planner(Generic[PersonT]):
    """Holds the pairs that wait, and says what to ask next.

    The caller adds the pairs that need a request. A pair with a person whose list was read, or is being read, needs
    none. A pair of a person with the same person is always checked, because no list names its owner. Equal pairs
    count each. A pair that is held takes about 1 KB.

    Args:
        window: number of pairs to hold before anything is decided.
        page_price: price of one page of a list.
        page_size: number of entries in a page.

    Attributes:
        window: number of pairs to hold before anything is decided.
    """

    __slots__ = (
        "_added",
        "_excluded",
        "_flushed",
        "_heads_only",
        "_heap",
        "_is_closed",
        "_least",
        "_met",
        "_page_price",
        "_pairs",
        "_people",
        "_ranked_pages",
        "_spent",
        "_spent_counts",
        "_totals",
        "window",
    )

    def __init__(self, window: int, page_price: float, page_size: int) -> None:
        if window < 1:
            raise ValueError(f"window is {window}; expected at least 1")
        self.window: int = window
        self._page_price = _valid_price(page_price)
        self._totals: _Totals[PersonT] = _Totals(page_size, window)
        self._pairs: OrderedDict[int, _Pair[PersonT]] = OrderedDict()
        self._people: dict[PersonT, _Candidate[PersonT]] = {}
        self._heap: list[tuple[float, int, _Candidate[PersonT]]] = []
        self._spent = _SpentChecks()
        self._excluded = _ExcludedPeople()
        self._added = 0  # pairs so far
        self._met = 0  # candidates so far
        self._flushed = 0  # pairs up to this one do not wait for others
        self._is_closed = False
        self._heads_only = False
        self._spent_counts = True
        self._rank_all()

    @property
    def waiting(self) -> int:
        """Number of pairs held."""
        return len(self._pairs)

    @property
    def is_full(self) -> bool:
        """Whether the window is full."""
        return len(self._pairs) >= self.window

    @property
    def page_price(self) -> float:
        """Price of one page of a list, in units of one check. May be set at any time."""
        return self._page_price

    @page_price.setter
    def page_price(self, price: float) -> None:
        self._page_price = _valid_price(price)
        self._rank_all_if_changed()

    @property
    def pages_on_average(self) -> float:
        """Expected number of pages of a list of unknown length."""
        return self._totals.average

    @property
    def page_size(self) -> int:
        """Number of entries in a page. May be set when the server gives fewer than were asked for."""
        return self._totals.page_size

    @page_size.setter
    def page_size(self, size: int) -> None:
        if size != self._totals.page_size:
            self._totals.resize(size)
            for candidate in self._people.values():
                candidate.pages = self._totals.pages(candidate.person)
            self._rank_all()

    def add(self, number: int, one: PersonT | None, other: PersonT | None) -> None:
        """Hold a pair, identified by a number that no other pair held has.

        Pass None in place of a person whose list would not answer the pair.
        Pairs may be added after `close` as well: those whose list could not be read.
        """
        if number in self._pairs:
            raise ValueError(f"pair {number} is already held; give each pair its own number")
        self._added += 1
        if self._heads_only or one == other:
            self._pairs[number] = (None, None, self._added)
            return
        first = None if one is None else self._people.get(one) or self._new_candidate(one)
        second = None if other is None else self._people.get(other) or self._new_candidate(other)
        self._pairs[number] = (first, second, self._added)
        for candidate in (first, second):
            if candidate is None:
                continue
            candidate.numbers.append(number)
            candidate.pending += 1
            if candidate.pending + candidate.spent >= candidate.rank_at:
                self._rank(candidate)

    def close(self) -> None:
        """Take note that the source has ended: everything held is decided, and spent checks no longer count."""
        self._is_closed = True
        self._ignore_spent()

    def flush(self) -> None:
        """Decide about the pairs held now without waiting for others, because the source is slow."""
        self._flushed = self._added

    def heads_only(self) -> None:
        """Answer everything with checks from now on, because lists cannot be trusted."""
        self._heads_only = True
        self._pairs = OrderedDict((number, (None, None, order)) for number, (_, _, order) in self._pairs.items())
        self._people.clear()
        self._heap.clear()

    def window_only(self) -> None:
        """Read lists for waiting pairs alone from now on, because no further list can be remembered."""
        self._ignore_spent()

    def exclude(self, person: PersonT) -> None:
        """Never list a person, because the list could not be read or is forbidden.

        Excluded people are kept in a Bloom filter of 128 KiB: none is forgotten, and after 10,000 (100,000) about one
        in 50,000 (70) of the other people is excluded as well.
        """
        self._excluded.add(person)
        candidate = self._people.get(person)
        if candidate is not None:
            candidate.rank_at, candidate.key = inf, _UNRANKED

    def know(self, person: PersonT, total: int) -> None:
        """Take note of the length of a person's list, for this person and for the average."""
        self._totals.know(person, total)
        candidate = self._people.get(person)
        if candidate is not None:
            candidate.pages = self._totals.pages(person)
            if candidate.rank_at != inf:
                self._rank(candidate)
        self._rank_all_if_changed()

    def goes_on(
        self, total: int, unresolved: int, *, page_size: int | None = None, person: PersonT | None = None
    ) -> bool:
        """Whether to read the other pages of a list after its first; also true if there is no other page.

        Pass the person: then the total is noted as by `know`, and spent checks count as they did when the list was
        chosen. Without the person, a long list that was chosen for its spent checks may be abandoned after its first
        page again and again. Pairs of an abandoned list may be added again.

        Args:
            total: number of entries of the whole list, as the first page states it.
            unresolved: number of pairs for which the first page did not suffice.
            page_size: number of entries that the first page had, if it is not the last; by default that of the planner.
            person: the owner of the list.
        """
        spent = 0
        if person is not None:
            self.know(person, total)
            candidate = self._people.get(person)
            spent = self._spent_on(person) if candidate is None else candidate.spent
        others = _pages(total, page_size or self.page_size) - 1
        return others * self._page_price <= unresolved + spent

    def next(self) -> Check | List[PersonT] | None:
        """What to ask next; None to wait for more pairs. The pairs that it concerns are no longer held."""
        if not self._is_due():
            return None
        best = self._best()
        return self._check() if best is None else self._list(best)

    def _is_due(self) -> bool:
        """Whether to decide about the pairs held without waiting for others."""
        if not self._pairs:
            return False
        if self._is_closed or self._heads_only or self.is_full:
            return True
        _, _, oldest = next(iter(self._pairs.values()))
        return oldest <= self._flushed

    def _check(self) -> Check:
        """Check the oldest pair."""
        number, (one, other, _) = self._pairs.popitem(last=False)
        self._release(one, 1)
        self._release(other, 1)
        return Check(number)

    def _list(self, best: _Candidate[PersonT]) -> List[PersonT]:
        """List a person for all pairs that contain the person."""
        numbers: list[int] = []
        for number in best.numbers:
            one, other, _ = self._pairs.get(number, _NO_PAIR)
            if one is best or other is best:
                del self._pairs[number]
                numbers.append(number)
                self._release(other if one is best else one, 0)
        self._forget(best)
        return List(best.person, tuple(numbers))

    def _new_candidate(self, person: PersonT) -> _Candidate[PersonT]:
        self._met += 1
        candidate = self._people[person] = _Candidate(person, self._met)
        candidate.spent = self._spent_on(person)
        candidate.pages = self._totals.pages(person)
        candidate.rank_at = inf if person in self._excluded else self._first_rank(candidate)
        return candidate

    def _spent_on(self, person: PersonT) -> int:
        """Number of checks spent on a person without waiting pairs; 0 if they no longer count."""
        return self._spent.get(person) if self._spent_counts else 0

    def _ignore_spent(self) -> None:
        self._spent_counts = False
        for candidate in self._people.values():
            candidate.spent = 0
        self._rank_all()

    def _release(self, candidate: _Candidate[PersonT] | None, checks: int) -> None:
        """Remove one pair of a candidate, on which `checks` checks were spent."""
        if candidate is None:
            return
        candidate.pending -= 1
        if self._spent_counts:
            candidate.spent += checks
        if not candidate.pending:
            self._forget(candidate)
        elif len(candidate.numbers) > 2 * candidate.pending + _STALE_NUMBERS:
            candidate.numbers = [number for number in dict.fromkeys(candidate.numbers) if number in self._pairs]

    def _forget(self, candidate: _Candidate[PersonT]) -> None:
        """Drop a candidate without pairs, except for the number of checks spent."""
        del self._people[candidate.person]
        candidate.key = _UNRANKED
        if candidate.spent:
            self._spent.put(candidate.person, candidate.spent)

    def _best(self) -> _Candidate[PersonT] | None:
        """The candidate that comes first, if the list costs no more than it is worth."""
        heap = self._heap
        while heap:
            negative_key, order, candidate = heap[0]
            if candidate.key != -negative_key:
                heappop(heap)  # the candidate has gone, or was ranked again
                continue
            count = candidate.pending + candidate.spent
            if count / (candidate.pages or self._ranked_pages) < candidate.key:  # lists of others have taken pairs away
                self._set_key(candidate)
                heapreplace(heap, (-candidate.key, order, candidate))
            else:
                return candidate if count >= self._price(candidate) else None
        return None

    def _rank(self, candidate: _Candidate[PersonT]) -> None:
        """Place a candidate in the order."""
        self._set_key(candidate)
        heappush(self._heap, (-candidate.key, candidate.order, candidate))
        if len(self._heap) > 2 * len(self._people) + _STALE_RANKS:
            self._rank_all()

    def _first_rank(self, candidate: _Candidate[PersonT]) -> float:
        """The count from which a candidate is in the order: below the price, which may fall."""
        return 1 if candidate.pages else self._least

    def _price(self, candidate: _Candidate[PersonT]) -> float:
        """The price of the list of a candidate."""
        return (candidate.pages or self._totals.average) * self._page_price

    def _set_key(self, candidate: _Candidate[PersonT]) -> None:
        """Set the key by which a candidate is ordered, and the count from which to do it again."""
        count, price = candidate.pending + candidate.spent, self._price(candidate)
        candidate.key = count / (candidate.pages or self._ranked_pages)
        candidate.rank_at = price if count < price < _RERANKED_AT * count else _RERANKED_AT * count

    def _rank_all(self) -> None:
        """Place all candidates in the order, by the prices of now."""
        self._ranked_pages = self._totals.average
        self._least = ceil(self._ranked_pages * self._page_price / _RERANKED_AT)
        self._heap = []
        for candidate in self._people.values():
            if candidate.rank_at == inf:
                continue
            candidate.key, candidate.rank_at = _UNRANKED, self._first_rank(candidate)
            if candidate.pending + candidate.spent >= candidate.rank_at:
                self._set_key(candidate)
                self._heap.append((-candidate.key, candidate.order, candidate))
        heapify(self._heap)

    def _rank_all_if_changed(self) -> None:
        """Correct the order if the price of unknown lists has fallen too far, or their length has changed."""
        average, ranked = self._totals.average, self._ranked_pages
        if (
            ceil(average * self._page_price) < self._least
            or not ranked / _RERANKED_AT <= average <= ranked * _RERANKED_AT
        ):
            self._rank_all()

    @safe_repr
    def __repr__(self) -> str:
        state = "heads only" if self._heads_only else f"{self._totals.average * self._page_price:.2f} checks a list"
        return f"Planner({len(self._pairs)} of {self.window} pairs, {state})"


class _Candidate(Generic[PersonT]):
    """A person whose pairs wait."""

    __slots__ = ("key", "numbers", "order", "pages", "pending", "person", "rank_at", "spent")

    def __init__(self, person: PersonT, order: int) -> None:
        self.person = person
        self.order = order  # the first comes first among equals
        self.numbers: list[int] = []  # of pairs; some may have left
        self.pending = 0  # pairs that wait
        self.spent = 0  # checks
        self.pages = 0  # 0 if unknown
        self.key = _UNRANKED
        self.rank_at = inf  # the count at which to rank; infinite for an excluded person


_Pair: TypeAlias = tuple[_Candidate[PersonT] | None, _Candidate[PersonT] | None, int]
"""The candidates that may be listed for a pair, and its place in the sequence of all pairs."""

_NO_PAIR = (None, None, 0)


class _Totals(Generic[PersonT]):
    """Lengths of lists: those of a bounded number of people, and the average number of pages."""

    __slots__ = ("_known", "_most_known", "_recent", "_sum", "average", "page_size")

    def __init__(self, page_size: int, most_known: int) -> None:
        self._known: OrderedDict[PersonT, int] = OrderedDict()
        self._most_known = most_known
        self._recent: deque[int] = deque(_TYPICAL_TOTALS, maxlen=_TOTALS_AVERAGED)
        self.resize(page_size)

    def resize(self, page_size: int) -> None:
        if page_size < 1:
            raise ValueError(f"page_size is {page_size}; expected at least 1")
        self.page_size = page_size
        self._sum = sum(_pages(total, page_size) for total in self._recent)
        self.average = self._sum / len(self._recent)

    def pages(self, person: PersonT) -> int:
        """Number of pages of the person's list; 0 if it is not known."""
        total = self._known.get(person)
        return 0 if total is None else _pages(total, self.page_size)

    def know(self, person: PersonT, total: int) -> None:
        if self._known.get(person) == total:
            return
        self._known[person] = total
        if len(self._known) > self._most_known:
            self._known.popitem(last=False)
        oldest, count = self._recent[0], len(self._recent)
        self._recent.append(total)
        self._sum += _pages(total, self.page_size)
        if len(self._recent) == count:
            self._sum -= _pages(oldest, self.page_size)
        self.average = self._sum / len(self._recent)


class _SpentChecks:
    """The number of checks spent on each of many people, in 1 MiB.

    A cell has 16 bits of the person's hash and a number up to 65,535. A person has two possible cells. If both are
    taken, a number replaces the smaller one that is held, or lowers it by one if that is greater. So the numbers of
    people who no longer occur are replaced in the end.
    """

    __slots__ = ("_cells",)

    def __init__(self) -> None:
        self._cells = array("I", [0]) * (1 << 18)

    def get(self, person: Hashable) -> int:
        bits = _hashed(person)
        place, mark = bits >> 46, bits >> 30 & 0xFFFF
        cell = self._cells[place]
        if cell >> 16 != mark:
            cell = self._cells[place ^ 1]
        return cell & 0xFFFF if cell >> 16 == mark else 0

    def put(self, person: Hashable, number: int) -> None:
        cells = self._cells
        bits = _hashed(person)
        place, mark = bits >> 46, bits >> 30 & 0xFFFF
        held = cells[place]
        if held >> 16 != mark:
            cell = cells[place ^ 1]
            if cell >> 16 == mark or cell & 0xFFFF < held & 0xFFFF:
                place, held = place ^ 1, cell
        if held >> 16 == mark or held & 0xFFFF <= number:
            cells[place] = mark << 16 | min(number, 0xFFFF)
        else:
            cells[place] -= 1


class _ExcludedPeople:
    """A Bloom filter of 2**20 bits with three bits for each person."""

    __slots__ = ("_bits", "_is_empty")

    def __init__(self) -> None:
        self._bits = bytearray(1 << 17)
        self._is_empty = True

    def add(self, person: Hashable) -> None:
        self._is_empty = False
        for place in self._places(person):
            self._bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, person: Hashable) -> bool:
        return not self._is_empty and all(self._bits[place >> 3] >> (place & 7) & 1 for place in self._places(person))

    def _places(self, person: Hashable) -> tuple[int, int, int]:
        bits = _hashed(person)
        return bits >> 44, bits >> 24 & 0xFFFFF, bits >> 4 & 0xFFFFF


def _hashed(person: Hashable) -> int:
    """64 bits that differ everywhere between similar people; the hash of an integer alone does not."""
    return hash((person,)) & 0xFFFF_FFFF_FFFF_FFFF


def _pages(total: int, page_size: int) -> int:
    """Number of pages of a list; an empty list has one page."""
    return max(1, -(-total // page_size))


def _valid_price(price: float) -> float:
    if not 0 < price < inf:
        raise ValueError(f"page_price is {price}; expected a positive number")
    return price
