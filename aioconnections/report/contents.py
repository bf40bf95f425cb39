"""What a report says."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime

from attrs import field

from aioconnections.outcomes import Tally
from aioconnections.policy.timeline import Timeline
from aioconnections.report.markup import without_login
from aioconnections.reprs import define, frozen

__all__ = ["MOST_FAILURES", "FailedItem", "FailureGroup", "FailureLog", "RunFacts"]

MOST_FAILURES = 1_000
_MOST_GROUPS = 50
_MOST_TEXTS = 100  # of one group, that are counted apart
_LONGEST = 1_000  # characters of a text that are kept
_PLACE = re.compile(r"(?:line|row) [0-9]+: ")  # where an unreadable row is, in front of what is wrong with it


@frozen(kw_only=True)
class FailedItem:
    """One item that was not done.

    Attributes:
        number: the item's place in the input, from 1.
        who: names of the item, such as the two people.
        group: number of its `FailureGroup`.
        text: why it was not done.
        at: when that was recorded; None if it was not.
    """

    number: int
    who: str
    group: int
    text: str
    at: datetime | None = None


@define
class FailureGroup:
    """Items that were not done for the same kind of reason.

    Attributes:
        outcome: name of the outcome, as in `Outcome.as_dict`.
        error: name of the error's class; None if there is no error.
        count: number of items.
        texts: number of items by the text of their error without the number of a row, for the first texts.
    """

    outcome: str
    error: str | None
    count: int = 0
    texts: Counter[str] = field(factory=Counter[str])

    @property
    def commonest(self) -> str:
        """The commonest text."""
        return max(self.texts, key=lambda text: self.texts[text], default="")


@define
class FailureLog:
    """Collects the items that were not done: all by their kind, and the first 1,000 one by one.

    Attributes:
        items: the first items.
        groups: the kinds, in the order of their first item.
    """

    items: list[FailedItem] = field(factory=list[FailedItem], repr=False)
    groups: list[FailureGroup] = field(factory=list[FailureGroup], repr=False)
    _numbers: dict[tuple[str, str | None], int] = field(factory=dict[tuple[str, "str | None"], int], repr=False)

    @property
    def count(self) -> int:
        """The number of items."""
        return sum(group.count for group in self.groups)

    def add(  # the fields of a row
        self, *, number: int, who: str, outcome: str, error: str | None, text: str, at: datetime | None = None
    ) -> None:
        """Add an item; see `FailedItem` and `FailureGroup`."""
        which = self._numbers.get((outcome, error))
        if which is None:
            if len(self.groups) >= _MOST_GROUPS:  # a journal may hold classes of other versions
                outcome, error = "failed", None
            which = self._numbers.setdefault((outcome, error), len(self.groups))
            if which == len(self.groups):
                self.groups.append(FailureGroup(outcome, error))
        group, text = self.groups[which], without_login(text)[:_LONGEST]
        group.count += 1
        place = _PLACE.match(text)
        same = text if place is None else text[place.end() :]
        if same in group.texts or len(group.texts) < _MOST_TEXTS:
            group.texts[same] += 1
        if len(self.items) < MOST_FAILURES:
            self.items.append(
                FailedItem(number=number, who=without_login(who)[:_LONGEST], group=which, text=text, at=at)
            )


@frozen(kw_only=True)
class RunFacts:
    """What the report of a run says.

    Attributes:
        verb: verb of the run, such as ``check``.
        origin: origin of the server.
        user: who was signed in; None if that is not known, or for a run without a login.
        begun: when the run first began; None if that is not known.
        finished: when it was finished; None if it is not.
        stopped: why it ended early; None if it did not, or if that is not known.
        tally: counts of the outcomes.
        replayed: number of outcomes that an earlier run had recorded; None if that is not known.
        failures: the items that were not done.
        timeline: the course of the run; None if it was not recorded.
    """

    verb: str
    origin: str
    user: str | None
    begun: datetime | None
    finished: datetime | None
    stopped: str | None = None
    tally: Tally
    replayed: int | None = None
    failures: FailureLog
    timeline: Timeline | None
