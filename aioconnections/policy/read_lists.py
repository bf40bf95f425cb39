"""What the lists of colleagues that a run has read say of its pairs.

A list names people by userid and e-mail address, never by key, and a server may hide e-mail addresses. So a person whom
a list does not name by userid is not in it only if the userid is known: given, or shown by the person's own list.
Userids are compared without regard to case, as directories do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from aioconnections.policy.edges import EdgeTable
from aioconnections.policy.evidence import Invitations
from aioconnections.records import Identity, Pair, Person, Status, Userid
from aioconnections.reprs import frozen, safe_repr

__all__ = ["UNKNOWN", "ListsOf", "ReadLists", "Unknown", "folded", "swapped"]

_BYTES_PER_LIST = 400  # the identities of a person whose list was read
_BYTES_PER_INVITATION = 250


class Unknown:
    """Lists do not tell the status of a pair."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


@frozen
class ListsOf:
    """The whole lists of one person.

    Attributes:
        person: the identity by which the lists were requested.
        shown_as: userids by which the entries name the person.
        colleagues: the people with an accepted connection; each has a userid.
        invitations: the people with a pending or unconfirmed connection, and its status as the owner of the list sees
            it; None if these lists were not read.
    """

    person: Identity
    shown_as: frozenset[Userid | None]
    colleagues: tuple[Person, ...]
    invitations: tuple[tuple[Person, Status], ...] | None = None


class ReadLists:
    """The lists that a run has read, in bounded memory.

    Args:
        memory_bytes: the bound; when it is reached, further lists are not remembered.
        me: returns the signed-in user, whose lists show all invitations; None if there is none.

    Attributes:
        visible: whether the signed-in user sees invitations of other people.
        names_emails: whether to remember e-mail addresses in lists; set this before pairs with some are answered.
    """

    def __init__(self, memory_bytes: int, me: Callable[[], Identity | None]) -> None:
        self.visible: Invitations = Invitations()
        self.names_emails: bool = False
        self._memory_bytes = memory_bytes
        self._table = EdgeTable(memory_bytes)
        self._me = me
        self._owners: set[Userid] = set()
        self._userids: dict[Identity, Userid] = {}
        self._without_userid: set[Identity] = set()
        self._invitations: dict[Userid, dict[Userid, Status]] = {}
        self._invitation_count = 0

    @property
    def me(self) -> Identity | None:
        """The signed-in user, as `known_as` gives people."""
        me = self._me()
        return None if me is None else self.known_as(me)

    @property
    def is_full(self) -> bool:
        """Whether no further list is remembered."""
        used = self._table.bytes_used + _BYTES_PER_LIST * (len(self._owners) + len(self._without_userid))
        return self._table.is_full or used + _BYTES_PER_INVITATION * self._invitation_count > self._memory_bytes

    def known_as(self, person: Identity) -> Identity:
        """The userid of a person in lower case, if it is known; else the identity."""
        return folded(person) if isinstance(person, Userid) else self._userids.get(person, person)

    def may_answer(self, person: Identity, other: Identity) -> bool:
        """Whether reading the lists of `person` may answer a pair with `other`."""
        known, me = self.known_as(person), self.me
        if known in self._owners or person in self._without_userid:
            return False
        return known == me or self.known_as(other) != me

    def owns(self, person: Identity) -> bool:
        """Whether the lists of a person are remembered."""
        return self.known_as(person) in self._owners

    def answer(self, pair: Pair) -> Status | Unknown | None:
        """What the remembered lists say of a pair."""
        for person in (pair.source, pair.target):
            owner = self.known_as(person)
            if isinstance(owner, Userid) and owner in self._owners:
                names = partial(self._table.connects, _token(owner))
                answer = self._answer(pair, owner, names, self._invitations.get(owner))
                if not isinstance(answer, Unknown):
                    return answer
        return UNKNOWN

    def answers_of(self, lists: ListsOf) -> Callable[[Pair], Status | Unknown | None]:
        """A function that says what these lists say of a pair of their owner, after `add`, even if not remembered."""
        owner = self.known_as(lists.person)
        if not isinstance(owner, Userid):
            return lambda _: UNKNOWN
        names = {_token(it) for person in lists.colleagues for it in (person.userid, person.email) if it is not None}
        invitations = None if lists.invitations is None else _by_userid(lists.invitations)
        return lambda pair: self._answer(pair, owner, names.__contains__, invitations)

    def _answer(
        self, pair: Pair, owner: Userid, names: Callable[[str], bool], invitations: Mapping[Userid, Status] | None
    ) -> Status | Unknown | None:
        me, visible = self.me, self.visible.are_visible
        source, target = self.known_as(pair.source), self.known_as(pair.target)
        other = target if owner == source else source
        if names(_token(other)):
            return Status.ACCEPTED
        if not isinstance(other, Userid):
            return UNKNOWN
        if invitations is None:
            return UNKNOWN if visible is not False or me in (owner, other) else None
        status = invitations.get(other)
        if owner == me or (visible and other != me):
            return status if owner == source or status is None else swapped(status)
        return UNKNOWN if other == me or (visible is None and status is not None) else None

    def doubts(self, lists: ListsOf) -> list[Userid]:
        """The people whose remembered lists contradict these: one names the other, who does not name the one.

        From now on the owner of these lists is known by userid.

        Raises:
            ValueError: the lists belong to another person.
        """
        owner = self._owner(lists)
        if owner is None:
            return []
        names = {_token(it.userid) for it in lists.colleagues if it.userid is not None}
        if self._table.disagreement(_token(owner), names) is None:
            return []
        mine = _token(owner)
        others = (it for it in self._owners if it != owner)
        return [it for it in others if (_token(it) in names) is not self._table.connects(mine, _token(it))]

    def add(self, lists: ListsOf) -> None:
        """Remember the lists of a person, unless the memory is full.

        Raises:
            ValueError: the lists belong to another person.
        """
        owner = self._owner(lists)
        if owner is None:
            self._without_userid.add(lists.person)
            return
        names = [_token(it.userid) for it in lists.colleagues if it.userid is not None]
        if self.names_emails:
            names += [_token(it.email) for it in lists.colleagues if it.email is not None]
        if self.is_full or not self._table.add(_token(owner), names):
            return
        self._owners.add(owner)
        if lists.invitations is not None:
            found = _by_userid(lists.invitations)
            self._invitation_count += len(found) - len(self._invitations.get(owner, ()))
            self._invitations[owner] = found

    def connect(self, pair: Pair) -> None:
        """Take note that two people are colleagues, although a list that was read earlier does not say so."""
        one, other = self.known_as(pair.source), self.known_as(pair.target)
        if other in self._owners:  # the table takes the first for a person whose list was read
            one, other = other, one
        self._table.add(_token(one), [_token(other)])

    def _owner(self, lists: ListsOf) -> Userid | None:
        """The userid of the owner, by which the person is known from now on; None if lists do not show it."""
        shown = {None if it is None else folded(it) for it in lists.shown_as}
        if isinstance(lists.person, Userid):
            if shown - {folded(lists.person)}:
                raise ValueError("the list belongs to another person")
            return folded(lists.person)
        if len(shown) > 1:
            raise ValueError("the list belongs to several people")
        owner = next(iter(shown), None)
        if owner is not None:
            self._userids[lists.person] = owner
        return owner

    @safe_repr
    def __repr__(self) -> str:
        return f"ReadLists({len(self._owners)} people)"


def folded(person: Userid) -> Userid:
    """The userid in lower case."""
    return Userid(person.value.casefold())


def swapped(status: Status) -> Status:
    """The status that the other person sees."""
    return {Status.PENDING: Status.UNCONFIRMED, Status.UNCONFIRMED: Status.PENDING}.get(status, status)


def _by_userid(invitations: Iterable[tuple[Person, Status]]) -> dict[Userid, Status]:
    return {folded(it.userid): status for it, status in invitations if it.userid is not None}


def _token(person: Identity) -> str:
    """The name of a person in the table."""
    return f"{person.kind}:{person.value.casefold()}"
