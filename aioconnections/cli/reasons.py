"""The commonest reasons why rows were not done."""

from __future__ import annotations

import re
from collections import Counter

from attrs import define, field, frozen

from aioconnections.errors import ConnectionsError
from aioconnections.outcomes import Failed, InDoubt, Rejected

__all__ = ["Reason", "Reasons"]

_SHOWN = 3
_MOST = 1_000  # reasons that are counted one by one, so that memory stays bounded


@frozen
class Reason:
    """Why some rows were not done.

    Attributes:
        count: number of these rows.
        text: kind of their outcome, and the reason.
        error: name of the error class; None if there are several.
    """

    count: int
    text: str
    error: str | None


@define
class Reasons:
    """Counts the reasons why rows were rejected, failed or left in doubt."""

    _counts: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]])

    def add(self, outcome: Rejected | Failed | InDoubt) -> None:
        """Count the reason of one outcome. A text that is new after many others counts by its error class alone."""
        name = type(outcome.error).__name__
        reason = outcome.kind.replace("_", " "), f"{name}: {outcome.error}"
        if reason not in self._counts and len(self._counts) >= _MOST:
            reason = reason[0], f"{name} for another reason"
        self._counts[reason] += 1

    def commonest(self, stopped: ConnectionsError | None = None) -> tuple[Reason, ...]:
        """The three commonest reasons, and how many rows have others.

        Nothing is said of rows that failed for the reason that stopped the run, which is reported apart.
        """
        known = None if stopped is None else f": {stopped}"
        counts = Counter(
            {reason: count for reason, count in self._counts.items() if known is None or not reason[1].endswith(known)}
        )
        shown = counts.most_common(_SHOWN)
        found = [Reason(count, f"{kind}: {text}", re.split("[ :]", text)[0]) for (kind, text), count in shown]
        others = counts.total() - sum(count for _, count in shown)
        return *found, *[Reason(others, "for other reasons", None)] * (others > 0)

    def lines(self, stopped: ConnectionsError | None = None) -> list[str]:
        """Likewise, one in a line."""
        return [f"  {reason.count:,} {reason.text}" for reason in self.commonest(stopped)]
