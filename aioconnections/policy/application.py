"""What a client knows about one web application of the server, and the meaning of a doubtful response.

A 4xx response without the application's own form (see `Response.is_own_form`) may come from a web server whose
application is stopped. The states of knowledge, from strong to weak:

============================  =========================================================================
state                         meaning of a doubtful response
============================  =========================================================================
the head is known             ``OWN``: written by the application. ``FOREIGN``: by something else
own form seen for the status  ``FOREIGN``: the application would have its own form
the head is new               ``None``: send a GET, once for each distinct head
the GET settled nothing       ``UNDECIDED``: a verdict only between two good canaries
============================  =========================================================================

A *canary* is a small request that shows whether the application responds. Canaries vouch for a response if one
succeeded that was sent at most a second before the request, another one succeeded after the response, and none failed
in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from enum import Enum

from attrs import frozen

from aioconnections.policy.outage import Outage

__all__ = ["CANARY_HOLDS", "Application", "Canary", "Form"]

CANARY_HOLDS = 1.0
"""Seconds for which a canary vouches for the requests after it; longer where the rate limit needs it."""
_HEAD_REFUSED_FOR = 600.0  # seconds after which HEAD is tried again
_SHAKY = 60.0  # seconds after a failed canary in which one doubtful response is not enough
_MOST_HEADS = 64  # each costs a GET; further heads count as undecided
_KEPT = 64  # canaries: about those of the last minute


class Form(Enum):
    """The origin of a doubtful response."""

    OWN = "the application"
    FOREIGN = "something in front of it"
    UNDECIDED = "either"


@frozen
class Canary:
    """One canary that has ended.

    Attributes:
        number: its number, counted from 1 as canaries are sent.
        sent: time at which it was sent.
        back: time of the response, or of the failure.
        good: whether the application responded.
    """

    number: int
    sent: float
    back: float
    good: bool


class Application:
    """What is known about one application.

    Args:
        chance: returns a number from 0 to 1; see `Outage`.

    Attributes:
        outage: the state of its outage.
        proved: whether a response in its own form was received. If not, the address may be wrong.
        needs_login: which canary can be used; see `protocol.canary.CanaryReport`.
        document_known: whether the signed-in user's own document was received, so that it can be a canary.
        is_watched: whether there were undecided responses, so that each request needs a recent canary before it.
        last_sent: time of the last canary.
        sent_count: number of canaries sent.
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
        """Record a refusal with this status in the application's own form."""
        self.proved = True
        self._own.add((method, status))

    def form_of(self, method: str, status: int, head: Hashable) -> Form | None:
        """The origin of a doubtful response to `method`; None if a GET must examine its head first."""
        known = self._heads.get(head)
        if known is Form.OWN:
            return known
        if known is Form.FOREIGN or (method, status) in self._own:
            return Form.FOREIGN
        if known is None and len(self._heads) >= _MOST_HEADS:
            return Form.UNDECIDED
        return known

    def learn(self, head: Hashable, form: Form) -> None:
        """Record the origin of responses with this head."""
        self._heads[head] = form
        if form is Form.OWN:
            self.proved = True

    def answers_head(self, now: float) -> bool | None:
        """Whether HEAD requests reach the application; None if that must be tried."""
        if self._head_answered:
            return True
        return False if now - self._head_refused_at < _HEAD_REFUSED_FOR else None

    def asked_by_head(self, now: float, *, answered: bool) -> None:
        """Record that a HEAD that must succeed did so, or was refused by something in front of the application."""
        self._head_answered = answered
        if not answered:
            self._head_refused_at = now

    def is_known(self, *, signs_in: bool) -> bool:
        """Whether a failed canary means an outage, because one succeeded before."""
        return self.needs_login is False or (signs_in and (self.needs_login is True or self.document_known))

    def canary_sent(self, moment: float) -> int:
        """Record that a canary is sent; return its number."""
        self.last_sent = max(self.last_sent, moment)
        self.sent_count += 1
        return self.sent_count

    def canary_ended(self, canary: Canary) -> None:
        """Record how a canary ended."""
        self._canaries.append(canary)
        if canary.good:
            self.proved = True
            self._good_at = max(self._good_at, canary.back)
        else:
            self._bad_at = max(self._bad_at, canary.back)

    def is_stale(self, moment: float, holds: float = CANARY_HOLDS) -> bool:
        """Whether a request that starts at `moment` needs a canary before it; a canary vouches for `holds` seconds."""
        return self.is_watched and moment - max(self.last_sent, self._good_at) > holds

    def is_shaky(self, moment: float) -> bool:
        """Whether a canary failed shortly before `moment`."""
        return moment - self._bad_at < _SHAKY

    def vouches_for(self, sent: float, count: int, holds: float = CANARY_HOLDS) -> bool:
        """Whether successful canaries enclose a response, without a failed one between them.

        The request was sent at `sent`, and `count` canaries had been sent when the response arrived. Numbers decide the
        order, because the clock may not advance in between. A slow canary vouches for `holds` seconds after its
        response, which shows that the application responded until then.
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
        state = "away" if self.outage.away else "proved" if self.proved else "not proved"
        return f"Application({state}, {len(self._heads)} heads)"
