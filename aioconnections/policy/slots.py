"""A count of the requests under way, and of how many more there may be."""

from __future__ import annotations

__all__ = ["Slots"]


class Slots:
    """One slot for each request that may be under way.

    The limit is the lower of two bounds: what the server can handle, set by `change`, and how many connections this
    machine allows, set by `cap`. Neither changes the other. Both may change at any time; a lower limit takes effect as
    requests end.

    Attributes:
        free: number of free slots; negative while more requests run than a lowered limit allows.
        limit: number of slots.
    """

    __slots__ = ("_bound", "_cap", "free", "limit")

    def __init__(self, limit: int) -> None:
        self._bound = limit
        self._cap: int | None = None
        self.limit: int = limit
        self.free: int = limit

    @property
    def taken(self) -> int:
        """How many requests are running."""
        return self.limit - self.free

    @property
    def capped(self) -> int | None:
        """How many connections this machine allows; None if no limit has been reached."""
        return self._cap

    def cap(self, most: int | None) -> None:
        """Set how many connections this machine allows; None for any number."""
        self._cap = most
        self.change(self._bound)

    def change(self, limit: int) -> None:
        """Set how many requests the server can handle at once."""
        self._bound = limit
        if self._cap is not None and self._cap < limit:
            limit = self._cap
        self.free += limit - self.limit
        self.limit = limit
