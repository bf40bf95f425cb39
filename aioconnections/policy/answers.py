"""Remembers in bounded memory what the checks of a run have said, so that no pair is checked twice.

The two people of a connection are asked about in two ways. Whether both ways get the same response is for the server to
show: nothing is concluded from one about the other before checks of this run have asked about enough pairs in both
ways. The pairs of the signed-in user and those of other people are judged apart, as lists are.

Each takes about 20 bytes: a digest of 64 bits, the index of its item and the status.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal, NamedTuple, TypeAlias

from aioconnections.policy.digests import Numbers
from aioconnections.policy.evidence import INVITED
from aioconnections.policy.read_lists import swapped
from aioconnections.records import Identity, Pair, Status, Userid
from aioconnections.reprs import safe_repr

__all__ = ["BOTH_WAYS", "CONNECTED_BOTH_WAYS", "Answer", "Answers", "Kind"]

Kind: TypeAlias = Literal["own", "other"]
"""Whether the signed-in user is one of the people."""

# Pairs that were checked in both ways. After 300 that agree, fewer than 1 % differ with a probability of 95 %.
BOTH_WAYS = 300
CONNECTED_BOTH_WAYS = 30  # of these, connected ones; and as many invitations before one is concluded
_BYTES_PER_ANSWER = 22.0  # two arrays of eight bytes for each, which grow; see `Digests`
_STATUSES = (None, *Status)


class Answer(NamedTuple):
    """What a check has said of a pair.

    Attributes:
        status: the status.
        first: index of the item that was checked.
    """

    status: Status | None
    first: int


class _Ways:
    """What checks have said about pairs that were asked about in both ways."""

    __slots__ = ("connected", "count", "differ", "invited")

    def __init__(self) -> None:
        self.count = 0
        self.connected = 0
        self.invited = 0
        self.differ = False

    def compare(self, one: Status | None, other: Status | None) -> None:
        """Compare two responses, of which the second was turned round."""
        self.differ |= one is not other
        self.count += 1
        self.connected += one is not None
        self.invited += one in INVITED

    def prove(self, status: Status | None) -> bool:
        """Whether a response with this status holds for the other way too."""
        return (
            not self.differ
            and self.count >= BOTH_WAYS
            and self.connected >= CONNECTED_BOTH_WAYS
            and (self.invited >= CONNECTED_BOTH_WAYS or status not in INVITED)
        )


class Answers:
    """The responses to the checks of a run.

    Args:
        memory_bytes: the most memory that they take; further ones are not remembered.
        key: secret of at most 64 bytes. With a random key, identities chosen by others cannot collide on purpose.

    Attributes:
        most: how many are remembered.
    """

    __slots__ = ("_hash", "_numbers", "_ways", "most")

    def __init__(self, memory_bytes: int, *, key: bytes = b"") -> None:
        self._hash = blake2b(digest_size=8, key=key)
        self.most: int = int(memory_bytes / _BYTES_PER_ANSWER)
        self._numbers = Numbers("Q")
        self._ways: dict[Kind, _Ways] = {"own": _Ways(), "other": _Ways()}

    def add(self, pair: Pair, answer: Answer, kind: Kind) -> None:
        """Remember the response to a check, and compare it with the one about the same people the other way round."""
        other = self._find(_turned(pair))
        if other is not None:
            self._ways[kind].compare(answer.status, _from_other_side(other.status))
        if self._numbers.count < self.most:
            number = answer.first * len(_STATUSES) + _STATUSES.index(answer.status)
            self._numbers.set(self._digest(pair), number + 1)

    def find(self, pair: Pair, kind: Kind) -> Answer | None:
        """What a check has said of a pair, or of the same people the other way round if that suffices."""
        found = self._find(pair)
        if found is not None or not self.may_turn(kind):
            return found
        other = self._find(_turned(pair))
        return None if other is None else self.turned(other, kind)

    def may_turn(self, kind: Kind) -> bool:
        """Whether any response holds for the same people the other way round."""
        return self._ways[kind].prove(None)

    def turned(self, answer: Answer, kind: Kind) -> Answer | None:
        """The same response the other way round; None if that may be another one."""
        if not self._ways[kind].prove(answer.status):
            return None
        return answer._replace(status=_from_other_side(answer.status))

    def _find(self, pair: Pair) -> Answer | None:
        number = self._numbers.get(self._digest(pair))
        if not number:
            return None
        index, status = divmod(number - 1, len(_STATUSES))
        return Answer(_STATUSES[status], index)

    def _digest(self, pair: Pair) -> int:
        hashed = self._hash.copy()
        one, other = _name(pair.source), _name(pair.target)
        hashed.update(f"{len(one)},{one}{other}".encode("utf-8", "surrogatepass"))
        return int.from_bytes(hashed.digest(), "big")

    @safe_repr
    def __repr__(self) -> str:
        return f"Answers({self._numbers.count} of {self.most})"


def _turned(pair: Pair) -> Pair:
    return Pair(pair.target, pair.source)


def _from_other_side(status: Status | None) -> Status | None:
    return None if status is None else swapped(status)


def _name(person: Identity) -> str:
    """The same text for equal identities; only userids differ by case."""
    return f"{person.kind}:{person.value if isinstance(person, Userid) else person.value.lower()}"
