"""Looks for connections that lists would have to show, where pairs rest on the lists of one of their two people.

Where the lists of both people are read, what one leaves out the other one shows. Where a few people are compared with
many others, only the lists of the few are read, and nothing contradicts them. To learn what lists leave out, a run has
to find connections without them, and most pairs have none, so checks of pairs seldom find one. But the own list of any
of the others shows connections, and each has another side:

- If the others are not many, all of their lists are read. Then each pair rests on both lists.
- Otherwise, the lists of a random sample of the others are read, with more weight for people of more pairs. Then the
  list of one person whom these lists name is read for each of the sample, unless such a list was read already, and must
  name the person in the sample. People whom several of the sample name come first, because fewer lists suffice.

Each person in the sample is an independent trial, and so is the entry that was looked for. If lists leave out a share f
of the people of the run, or of all entries, no trial fails with a probability of (1 - f)**150: 5 % for 2 %, and one in
seven million for 10 %. Invitations are looked for in the same way if the signed-in user sees those of others.

The sample is of the people of the pairs that wait at that time. After ten times as many pairs, there is another one,
and the next after ten times as many again.

The sample cannot show that the server treats the lists of a few people unlike all other lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from heapq import heapify, heappop, heappush
from typing import Literal, TypeAlias

from aioconnections.records import Userid
from aioconnections.reprs import safe_repr

__all__ = ["EXPECTED_LISTS", "MOST_LISTS", "TRIALS", "Witnesses"]

TRIALS = 150
"""Number of people whose own lists name a person in whose list they must be."""
EXPECTED_LISTS = 180
"""Number of lists that these trials are expected to take, and of others whose lists are all read instead."""
MOST_LISTS = 450
"""Number of lists after which no more are read, because the trials do not come about."""

_MOST_UNTRIED = 0.1  # trials of invitations that do not come about, for each that does
RENEWED_AFTER = 10
"""How many times as many pairs may be concluded as waited for the trials, before there must be others."""
LEAST_WAITING = 10_000
"""The number of waiting pairs that is assumed for this if there are fewer."""

_Kind: TypeAlias = Literal["colleagues", "invitations"]


class Witnesses:
    """The trials of lists that are read for their own sake.

    Args:
        is_read: whether the lists of a person are remembered; each is compared with those of the people it names.
        random: returns a random number from 0 to 1.

    Attributes:
        lists: number of lists that were requested.
        spent: number of pairs that were checked for want of trials.
        have_vouched: whether one list that does not name a person suffices to conclude "not connected".
    """

    __slots__ = ("_allowed", "_asked", "_is_read", "_left", "_random", "_trials", "have_vouched", "lists", "spent")

    def __init__(self, is_read: Callable[[Userid], bool], random: Callable[[], float]) -> None:
        self.lists: int = 0
        self.spent: int = 0
        self.have_vouched: bool = False
        self._is_read = is_read
        self._allowed = LEAST_WAITING
        self._left = 0  # pairs to conclude until there must be other trials
        self._random = random
        self._asked: set[Userid] = set()  # the lists of these people were read, or could not be
        self._trials: dict[tuple[Userid, _Kind], Collection[Userid]] = {}  # the people whose lists must name a person

    def are_worth(self, others: Mapping[Userid, int], price: float) -> bool:
        """Whether to read lists, rather than to check the pairs that wait.

        Args:
            others: the number of pairs that wait for each person whose lists were not read.
            price: the price of a list, in checks.
        """
        expected = min(len(others), max(EXPECTED_LISTS - self.lists, 1))
        return self.spent + sum(others.values()) > price * expected

    def conclude(self) -> bool:
        """Whether one more pair may rest on the list of one of its people; counts it."""
        if not self.have_vouched:
            return False
        if not self._left:
            self.have_vouched = False
            self.lists = self.spent = 0
            return False
        self._left -= 1
        return True

    def next(self, others: Mapping[Userid, int]) -> list[Userid]:
        """The people whose lists to read now; none if that brings nothing more, or if all is known.

        Args:
            others: the number of pairs that wait for each person whose lists were not read.
        """
        if not self.have_vouched and self._are_done():
            self.have_vouched = True
            self._left = self._allowed = RENEWED_AFTER * max(self._allowed, sum(others.values()))
            self._trials.clear()
            self._asked.clear()
        if self.have_vouched:
            return []
        unasked = [it for it in others if it not in self._asked]
        wanted = unasked
        if self.lists + len(unasked) > EXPECTED_LISTS:
            wanted = self._sample(unasked, others) or self._cover()
            wanted = wanted[: MOST_LISTS - self.lists]
        self._asked.update(wanted)
        self.lists += len(wanted)
        return wanted

    def read(self, person: Userid, colleagues: Iterable[Userid], invited: Iterable[Userid]) -> None:
        """Take note of the people whom the lists of a person name, if `next` has asked for these lists.

        Args:
            person: the person.
            colleagues: the people in the list of colleagues.
            invited: the people in the lists of invitations, as far as the signed-in user sees invitations of others.
        """
        if self.have_vouched or person not in self._asked:
            return
        lists: tuple[tuple[_Kind, Iterable[Userid]], ...] = (("colleagues", colleagues), ("invitations", invited))
        for kind, people in lists:
            if named := frozenset(people):
                self._trials[person, kind] = named

    def _are_done(self) -> bool:
        """Whether there were enough trials. One that fails refutes the lists, and then this is not asked."""
        passed = Counter(kind for (_, kind), named in self._trials.items() if self._has_passed(named))
        if passed["colleagues"] < TRIALS:
            return False
        left = [named for (_, kind), named in self._trials.items() if kind == "invitations"]
        left = [named for named in left if not self._has_passed(named)]
        return not any(map(self._candidates, left)) and _MOST_UNTRIED * passed["invitations"] >= len(left)

    def _open(self) -> list[Collection[Userid]]:
        """For each trial that did not come about yet, the people of whom one list would do."""
        return [named for named in self._trials.values() if not self._has_passed(named)]

    def _has_passed(self, named: Collection[Userid]) -> bool:
        """Whether lists of these people were compared with that of the person whom they must name."""
        return any(map(self._is_read, named))

    def _candidates(self, named: Collection[Userid]) -> list[Userid]:
        """The people of these whose lists may still be read."""
        return [it for it in named if it not in self._asked]

    def _sample(self, people: Iterable[Userid], weights: Mapping[Userid, int]) -> list[Userid]:
        """As many people at random as further trials are missing."""
        random = self._random
        ordered = sorted(people, key=lambda it: random() ** (1 / weights[it]), reverse=True)
        return ordered[: max(TRIALS - sum(kind == "colleagues" for _, kind in self._trials), 0)]

    def _cover(self) -> list[Userid]:
        """A few people of whom at least one is named in each trial that needs a list."""
        naming: dict[Userid, set[int]] = {}  # the trials that name a person
        for number, named in enumerate(self._open()):
            for person in self._candidates(named):
                naming.setdefault(person, set()).add(number)
        heap = [(-len(numbers), order, person) for order, (person, numbers) in enumerate(naming.items())]
        heapify(heap)
        chosen: list[Userid] = []
        covered: set[int] = set()
        while heap:
            count, order, person = heappop(heap)
            missing = len(naming[person] - covered)
            if missing == -count:
                chosen.append(person)
                covered |= naming[person]
            elif missing:
                heappush(heap, (-missing, order, person))
        return chosen

    @safe_repr
    def __repr__(self) -> str:
        return f"Witnesses({self.lists} lists, {'vouched' if self.have_vouched else 'open'})"
