"""What the lists of colleagues that a run has read say of its pairs.

A list names people by userid and e-mail address, never by key, and a server may hide e-mail addresses. So a person whom
a list does not name by userid is not in it only if the userid is known: given, or shown by the person's own list.
Userids are compared exactly, as they are sent. If a list names a userid that differs by case only, the list tells
nothing about the person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from aioconnections.policy.edges import EdgeTable
from aioconnections.policy.evidence import Invitations
from aioconnections.records import Identity, Pair, Person, Status, Userid
from aioconnections.reprs import frozen, safe_repr

__all__ = ["BYTES_PER_LIST", "UNKNOWN", "ListsOf", "ReadLists", "Unknown", "folded", "swapped"]

BYTES_PER_LIST = 400
"""Memory for the identities of a person whose list was read."""
_BYTES_PER_INVITATION = 250
_OTHER_CASE = "userid without case:"


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

    def statuses(self) -> dict[Identity, Status]:
        """The status of each person in these lists, as the owner sees it."""
        people = (*(self.invitations or ()), *((it, Status.ACCEPTED) for it in self.colleagues))
        return {it.userid: status for it, status in people if it.userid is not None}


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
        self._invited: dict[Userid, int] = {}  # how many of these lists name a person
        self._invitation_count = 0

    @property
    def me(self) -> Identity | None:
        """The signed-in user, as `known_as` gives people."""
        me = self._me()
        return None if me is None else self.known_as(me)

    def is_me(self, person: Identity) -> bool:
        """Whether a person, as `known_as` gives them, is the signed-in user; without regard to case, to be safe."""
        me = self.me
        if isinstance(me, Userid) and isinstance(person, Userid):
            return me.value.casefold() == person.value.casefold()
        return me is not None and me == person

    @property
    def is_full(self) -> bool:
        """Whether no further list is remembered."""
        people = len(self._owners) + len(self._userids) + len(self._without_userid)
        used = self._table.bytes_used + BYTES_PER_LIST * people
        return self._table.is_full or used + _BYTES_PER_INVITATION * self._invitation_count > self._memory_bytes

    def known_as(self, person: Identity) -> Identity:
        """The userid of a person, if it is known; else the identity."""
        return person if isinstance(person, Userid) else self._userids.get(person, person)

    def may_answer(self, person: Identity, other: Identity) -> bool:
        """Whether reading the lists of `person` may answer a pair with `other`."""
        known = self.known_as(person)
        if known in self._owners or person in self._without_userid:
            return False
        return self.is_me(known) or not self.is_me(self.known_as(other))

    def owns(self, person: Identity) -> bool:
        """Whether the lists of a person are remembered."""
        return self.known_as(person) in self._owners

    def answer(self, pair: Pair) -> Status | Unknown | None:
        """What the remembered lists say of a pair; no connection only if no list says anything else."""
        said: Status | Unknown | None = UNKNOWN
        for person in (pair.source, pair.target):
            owner = self.known_as(person)
            if isinstance(owner, Userid) and owner in self._owners:
                names = partial(self._table.connects, _token(owner))
                answer = self._answer(pair, owner, names, self._invitations.get(owner))
                if isinstance(answer, Status):
                    return answer
                said = answer if answer is None else said
        return said

    def answers_of(self, lists: ListsOf) -> Callable[[Pair], Status | Unknown | None]:
        """A function that says what these lists say of a pair of their owner, after `add`, even if not remembered."""
        owner = self._owner(lists)
        if owner is None:
            return lambda _: UNKNOWN
        mine, named = _token(owner), {token for person in lists.colleagues for token in _tokens(person)}
        invitations = None if lists.invitations is None else _by_userid(lists.invitations)

        def names(token: str) -> bool:
            return token in named or self._table.connects(mine, token)

        def answer(pair: Pair) -> Status | Unknown | None:
            said = self._answer(pair, owner, names, invitations, lists.person)
            also = self.answer(pair) if said is None else said
            return also if isinstance(also, Status) else said

        return answer

    def _answer(
        self,
        pair: Pair,
        owner: Userid,
        names: Callable[[str], bool],
        invitations: Mapping[Userid, Status] | None,
        person: Identity | None = None,
    ) -> Status | Unknown | None:
        """What the lists of `owner`, who is also known as `person`, say of a pair."""
        visible = self.visible.are_visible
        source, target = self.known_as(pair.source), self.known_as(pair.target)
        is_source = source == owner or pair.source == person
        other = target if is_source else source
        if names(_token(other)):
            return Status.ACCEPTED
        if not isinstance(other, Userid) or _is_named_otherwise(other, names):
            return UNKNOWN
        if invitations is None:
            return UNKNOWN if visible is not False or self.is_me(owner) or self.is_me(other) else None
        status = invitations.get(other)
        if status is None and any(folded(it) == folded(other) for it in invitations):
            return UNKNOWN
        if self.is_me(owner) or (visible and not self.is_me(other)):
            return status if status is None or is_source else swapped(status)
        is_open = visible is None and (status is not None or self.visible.may_be_visible)
        return UNKNOWN if is_open or self.is_me(other) else None

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
        found: list[Userid] = []
        if self._table.disagreement(_token(owner), names) is not None:
            mine = _token(owner)
            others = (it for it in self._owners if it != owner)
            found = [it for it in others if (_token(it) in names) is not self._table.connects(mine, _token(it))]
        if lists.invitations is not None and self.visible.are_visible:
            found += self._doubtful_invitations(owner, _by_userid(lists.invitations))
        return list(dict.fromkeys(found))

    def invitation_doubts(self) -> list[Pair]:
        """The pairs of which one list shows an invitation, and the other does not; `doubts` finds them later."""
        return [
            Pair(owner, other)
            for owner, invitations in self._invitations.items()
            for other, status in invitations.items()
            if other in self._invitations and self._contradict(owner, other, status)
        ]

    def _doubtful_invitations(self, owner: Userid, invitations: Mapping[Userid, Status]) -> list[Userid]:
        """The people whose remembered lists contradict the invitations of `owner`."""
        remembered = self._invitations
        found = [it for it, status in invitations.items() if it in remembered and self._contradict(owner, it, status)]
        named_by = sum(it in remembered and owner in remembered[it] for it in invitations)
        if named_by != self._invited.get(owner, 0):
            others = (it for it in remembered if owner in remembered[it] and it not in invitations)
            found += [it for it in others if not self._concern_me(owner, it)]
        return found

    def _contradict(self, owner: Userid, other: Userid, status: Status) -> bool:
        """Whether the remembered invitations of `other` do not show one that `owner` sees with this status."""
        return self._invitations[other].get(owner) is not swapped(status) and not self._concern_me(owner, other)

    def _concern_me(self, one: Userid, other: Userid) -> bool:
        """Whether one of two people is the signed-in user, whose invitations the lists of others may not show."""
        return self.is_me(one) or self.is_me(other)

    def add(self, lists: ListsOf) -> None:
        """Remember the lists of a person, unless the memory is full.

        Raises:
            ValueError: the lists belong to another person.
        """
        owner = self._owner(lists)
        if owner is None:
            self._without_userid.add(lists.person)
            return
        names = [
            token
            for person in lists.colleagues
            for token in _tokens(person if self.names_emails else Person(userid=person.userid))
        ]
        if self.is_full or not self._table.add(_token(owner), names):
            return
        self._owners.add(owner)
        if lists.invitations is not None:
            found, before = _by_userid(lists.invitations), self._invitations.get(owner, {})
            self._invitation_count += len(found) - len(before)
            self._invitations[owner] = found
            for people, change in ((before, -1), (found, 1)):
                for it in people:
                    self._invited[it] = self._invited.get(it, 0) + change

    def connect(self, pair: Pair) -> None:
        """Take note that two people are colleagues, although a list that was read earlier does not say so."""
        one, other = self.known_as(pair.source), self.known_as(pair.target)
        if other in self._owners:  # the table takes the first for a person whose list was read
            one, other = other, one
        self._table.add(_token(one), [_token(other)])

    def _owner(self, lists: ListsOf) -> Userid | None:
        """The userid of the owner, by which the person is known from now on; None if lists do not show it."""
        shown = lists.shown_as
        if isinstance(lists.person, Userid):
            if shown - {lists.person}:
                raise ValueError("the list belongs to another person")
            return lists.person
        if len(shown) > 1:
            raise ValueError("the list belongs to several people")
        owner = next(iter(shown), None)
        if owner is not None and not self.is_full:
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
    return {it.userid: status for it, status in invitations if it.userid is not None}


def _token(person: Identity) -> str:
    """The name of a person in the table. Only userids differ by case."""
    return f"{person.kind}:{person.value if isinstance(person, Userid) else person.value.lower()}"


def _tokens(person: Person) -> Iterator[str]:
    """The names in the table of a person in a list."""
    if person.email is not None:
        yield _token(person.email)
    if person.userid is not None:
        yield _token(person.userid)
        if (lower := person.userid.value.casefold()) != person.userid.value:
            yield f"{_OTHER_CASE}{lower}"


def _is_named_otherwise(person: Userid, names: Callable[[str], bool]) -> bool:
    """Whether a list names a person whose userid differs by case only: a check tells what the server thinks of that."""
    lower = person.value.casefold()
    return names(f"{_OTHER_CASE}{lower}") or (lower != person.value and names(f"{Userid.kind}:{lower}"))
