"""Which profiles need no request of their own, judging by those that were compared with such a request.

The page about profiles allows a list of e-mail addresses. It says neither how long the list may be nor what happens to
an unknown address in it, and no such response was recorded. So the first profiles from such responses are compared with
those that a request for each person gives. One difference ends batches. So do three batches in a row that save nothing.

What lists say of people is compared in the same way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from aioconnections.records import Email, Identity, Person, Profile

__all__ = ["COMPARISONS", "FEWEST", "Batches", "ListedPeople", "RecentProfiles", "profiles_of"]

COMPARISONS = 10
FEWEST = 2 * COMPARISONS  # people in the first batch; with fewer, the comparisons cost more than batches save
_MOST_USELESS = 3  # batches in a row


class Batches:
    """Decides about the batches of one run.

    Args:
        most: limit on the people in one request.

    Attributes:
        are_over: whether no more batches are sent, and nothing from one is delivered any more.
    """

    __slots__ = ("_agreed", "_asked", "_most", "_useless", "are_over")

    def __init__(self, most: int) -> None:
        self.are_over: bool = most < 2
        self._most = most
        self._asked = 0
        self._agreed = 0
        self._useless = 0

    @property
    def are_proved(self) -> bool:
        """Whether what batches say is delivered without a comparison."""
        return self._agreed >= COMPARISONS and not self.are_over

    def size(self, waiting: int) -> int:
        """How many of the people who wait to name in one request; below 2 for a request for each person."""
        if self.are_over or (not self.are_proved and waiting < FEWEST):
            return 1
        return min(self._most, waiting)

    def wants_comparison(self) -> bool:
        """Whether to ask for one more person who is in a batch by a request of their own; counts it as asked."""
        if self.are_over or self._asked >= COMPARISONS:
            return False
        self._asked += 1
        return True

    def not_compared(self) -> None:
        """Note that a comparison that `wants_comparison` has counted gave no verdict."""
        self._asked -= 1

    def compared(self, batched: Profile, single: Profile | None) -> bool:
        """Compare a profile from a batch with that from a request for one person; False if they are different."""
        if batched != single:
            self.are_over = True
            return False
        self._agreed += 1
        return True

    def answered(self, found: int) -> None:
        """Note a batch and the number of people whose profiles it gave; 0 for one that failed."""
        self._useless = 0 if found >= 2 else self._useless + 1
        if self._useless >= _MOST_USELESS:
            self.are_over = True

    def __repr__(self) -> str:
        state = "over" if self.are_over else "proved" if self.are_proved else "open"
        return f"Batches({state}, {self._agreed} agreed)"


def profiles_of(emails: Iterable[Email], profiles: Iterable[Profile]) -> dict[Email, Profile]:
    """The profile of each e-mail address that exactly one of the profiles shows."""
    found: dict[Email, list[Profile]] = {email: [] for email in emails}
    for profile in profiles:
        if profile.person.email in found:
            found[profile.person.email].append(profile)
    return {email: its[0] for email, its in found.items() if len(its) == 1}


class ListedPeople:
    """What lists say of people. It is used once ten people were found to have profiles that say the same.

    Only people with a name and a userid count, by each identity that exactly one userid and name belong to.

    Args:
        people: the people of lists, any number of times.

    Attributes:
        are_over: whether a difference was found, so that the lists are not used any more.
    """

    __slots__ = ("_agreed", "_people", "are_over")

    def __init__(self, people: Iterable[Person] = ()) -> None:
        self.are_over: bool = False
        self._agreed = 0
        self._people: dict[Identity, Person | None] = {}
        for person in people:
            if not person.name or person.userid is None:
                continue
            for identity in (person.userid, person.key, person.email):
                if identity is not None:
                    first = self._people.setdefault(identity, person)
                    if first is not None and not _agree(first, person):
                        self._people[identity] = None

    @property
    def are_proved(self) -> bool:
        """Whether what lists say is delivered without a comparison."""
        return self._agreed >= COMPARISONS and not self.are_over

    def get(self, identity: Identity) -> Person | None:
        """What the lists say of a person; None if they say nothing or contradict each other, or are not used."""
        return None if self.are_over else self._people.get(identity)

    def compared(self, listed: Person, profile: Profile | None) -> bool:
        """Compare what `get` gave with the profile from a request for the person; False if they are different."""
        if profile is None or not _agree(listed, profile.person):
            self.are_over = True
            return False
        self._agreed += 1
        return True

    def __repr__(self) -> str:
        state = "over" if self.are_over else "proved" if self.are_proved else "open"
        return f"ListedPeople({state}, {len(self._people)} identities, {self._agreed} agreed)"


def _agree(one: Person, other: Person) -> bool:
    """Whether two records have the same name and userid, and no two values that are different."""
    pairs = ((one.key, other.key), (one.email, other.email), (one.state, other.state), (one.external, other.external))
    return (one.name, one.userid) == (other.name, other.userid) and all(
        a is None or b is None or a == b for a, b in pairs
    )


class RecentProfiles:
    """What was found out about the people of a run, for later items about the same people.

    The least recently used ones are forgotten, because a table of people is often sorted.

    Args:
        most: number of people to remember.
    """

    __slots__ = ("_found", "_most")

    def __init__(self, most: int) -> None:
        self._found: OrderedDict[Identity, tuple[int, Profile | None]] = OrderedDict()
        self._most = most

    def add(self, person: Identity, index: int, profile: Profile | None) -> None:
        """Remember what item `index` has found: a profile, or None for an unknown person."""
        self._found[person] = index, profile
        self._found.move_to_end(person)
        if len(self._found) > self._most:
            self._found.popitem(last=False)

    def get(self, person: Identity) -> tuple[int, Profile | None] | None:
        """The first item about the person, and what it has found; None if it is not known."""
        found = self._found.get(person)
        if found is not None:
            self._found.move_to_end(person)
        return found

    def __repr__(self) -> str:
        return f"RecentProfiles({len(self._found)} of {self._most})"
