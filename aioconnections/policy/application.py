"""What a client knows of one web application of its server, and what follows from a doubtful response.

A 4xx response that does not have the application's own form (see `Response.is_own_form`) may come from a web server
whose application is stopped. The states of knowledge, from strong to weak:

===========================  ==========================================================================
what is known                what a doubtful response means
===========================  ==========================================================================
its head is known            ``OWN``: the application wrote it. ``FOREIGN``: something else did
own form seen for the status ``FOREIGN``: the application answers otherwise
a head never seen            ``None``: ask by GET, once for each distinct head
the GET settled nothing      ``UNDECIDED``: a verdict only between two good canaries
===========================  ==========================================================================

A *canary* is a small request that tells whether the application is there. A response is vouched for if one good canary
was sent at most a second before its request, another one after it arrived, and no bad one lately.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from enum import Enum

from attrs import frozen

from aioconnections.policy.outage import Outage

__all__ = ["CANARY_HOLDS", "Application", "Canary", "Form"]

CANARY_HOLDS = 1.0
"""Seconds for which a canary says something of the requests after it; longer where the rate allows no such pace."""
_HEAD_REFUSED_FOR = 600.0  # seconds after which it is asked again whether HEAD gets through
_SHAKY = 60.0  # seconds after a bad canary in which one doubtful response is not enough
_MOST_HEADS = 64  # each costs a GET; further ones count as undecided
_KEPT = 64  # canaries: those of the last minute


class Form(Enum):
    """Who wrote a doubtful response."""

    OWN = "the application"
    FOREIGN = "something in front of it"
    UNDECIDED = "either"


@frozen
class Canary:
    """One canary that came back.

    Attributes:
        number: how many canaries had been sent when it was, itself included.
        sent: when it was sent.
        back: when its response came, or was known not to come.
        good: whether the application is there.
    """

    number: int
    sent: float
    back: float
    good: bool


class Application:
    """The knowledge about one application.

    Args:
        chance: gives a number from 0 to 1; see `Outage`.

    Attributes:
        outage: whether it is there at all.
        proved: whether it has ever answered in its own form. If not, the address may be wrong.
        needs_login: which canary can be used; see `protocol.sight.View`.
        document_known: whether the signed-in user's own document was served, so that it can be a canary.
        is_watched: whether there are undecided responses, so that requests go out only soon after a canary.
        last_sent: when the last canary was sent.
        sent_count: how many canaries were sent.
    """

    __slots__ = (
        "_bad_at",
        "_canaries",
        "_good_at",
        "_head_answered",
        "_head_refused_at",
        "_heads",
        "_own",
        "document_known",
        "is_watched",
        "last_sent",
        "needs_login",
        "outage",
        "proved",
        "sent_count",
    )

    def __init__(self, chance: Callable[[], float]) -> None:
        self.outage: Outage = Outage(chance)
        self.proved: bool = False
        self.needs_login: bool | None = None
        self.document_known: bool = False
        self._head_answered = False
        self._head_refused_at = float("-inf")
        self.is_watched: bool = False
        self.last_sent: float = float("-inf")
        self.sent_count: int = 0
        self._own: set[tuple[str, int]] = set()
        self._heads: dict[Hashable, Form] = {}
        self._canaries: deque[Canary] = deque(maxlen=_KEPT)
        self._bad_at = float("-inf")
        self._good_at = float("-inf")

    def saw_own_form(self, method: str, status: int) -> None:
        """A refusal with this status came in the application's own form."""
        self.proved = True
        self._own.add((method, status))

    def form_of(self, method: str, status: int, head: Hashable) -> Form | None:
        """Who wrote a doubtful response to `method`; None if its head has to be asked about by GET first."""
        known = self._heads.get(head)
        if known is Form.OWN:
            return known
        if known is Form.FOREIGN or (method, status) in self._own:
            return Form.FOREIGN
        if known is None and len(self._heads) >= _MOST_HEADS:
            return Form.UNDECIDED
        return known

    def learn(self, head: Hashable, form: Form) -> None:
        """The GET for `head` has shown who writes such responses."""
        self._heads[head] = form
        if form is Form.OWN:
            self.proved = True

    def answers_head(self, now: float) -> bool | None:
        """Whether HEAD reaches it through what is in front of it; None: it is time to ask."""
        if self._head_answered:
            return True
        return False if now - self._head_refused_at < _HEAD_REFUSED_FOR else None

    def asked_by_head(self, now: float, *, answered: bool) -> None:
        """A HEAD that must succeed has succeeded, or was refused by something in front of the application."""
        self._head_answered = answered
        if not answered:
            self._head_refused_at = now

    def is_known(self, *, signs_in: bool) -> bool:
        """Whether a canary that goes wrong means an outage, because one went well before."""
        return self.needs_login is False or (signs_in and (self.needs_login is True or self.document_known))

    def canary_sent(self, moment: float) -> int:
        """A canary is on its way; its number."""
        self.last_sent = max(self.last_sent, moment)
        self.sent_count += 1
        return self.sent_count

    def canary_ended(self, canary: Canary) -> None:
        """A canary has come back, or it is known that it will not."""
        self._canaries.append(canary)
        if canary.good:
            self.proved = True
            self._good_at = max(self._good_at, canary.back)
        else:
            self._bad_at = max(self._bad_at, canary.back)

    def is_stale(self, moment: float, holds: float = CANARY_HOLDS) -> bool:
        """Whether a request that starts at `moment` needs a canary before it, where one holds for so many seconds."""
        return self.is_watched and moment - max(self.last_sent, self._good_at) > holds

    def is_shaky(self, moment: float) -> bool:
        """Whether the application was not there a short time before `moment`."""
        return moment - self._bad_at < _SHAKY

    def vouches_for(self, sent: float, count: int, holds: float = CANARY_HOLDS) -> bool:
        """Whether good canaries enclose a response, and no bad one lies between them.

        The request was sent at `sent`; `count` canaries had been sent when the response arrived. Numbers and not times
        tell what came later: a clock may stand still in between. A slow canary counts from its response on, which shows
        that the application was there until then.
        """
        before = after = False
        for canary in self._canaries:
            if canary.back < sent - holds:
                continue
            if not canary.good:
                return False
            after = after or canary.number > count
            before = before or (canary.sent <= sent and canary.number <= count)
        return before and after

    def __repr__(self) -> str:
        state = "away" if self.outage.away else "there" if self.proved else "not seen yet"
        return f"Application({state}, {len(self._heads)} heads)"
