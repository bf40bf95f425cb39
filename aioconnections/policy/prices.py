"""What one request costs a run: the time by which it delays the end."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["PAGE_SIZE", "Prices"]

PAGE_SIZE = 250
"""Number of colleagues in one page of a list."""

# Measured on the client: one check, and one page.
_CHECK_CPU = 30e-6
_PAGE_CPU = 12e-3
# Before the first responses.
_CHECK_TIME = 0.02
_PAGE_TIME = 0.1
_WEIGHT = 0.1  # of a new response


class Prices:
    """The price of a page of a list, in checks, learned from responses.

    A request delays the end of a run by the largest of the interval of the rate limit, the CPU time of the client, and
    its share of the time of the server, which works on as many requests as there are connections.

    Args:
        interval: seconds between two requests by the rate limit now; 0 for no limit.
        connections: number of requests under way.
        page_cost: a price that is not learned; None to learn it.
    """

    def __init__(self, interval: Callable[[], float], connections: int, page_cost: float | None = None) -> None:
        self._interval = interval
        self._connections = connections
        self._page_cost = page_cost
        self._check_time = _CHECK_TIME
        self._page_time = _PAGE_TIME

    @property
    def page(self) -> float:
        """The price of a page."""
        if self._page_cost is not None:
            return self._page_cost
        interval = self._interval()
        page = max(interval, _PAGE_CPU, self._page_time / self._connections)
        return page / max(interval, _CHECK_CPU, self._check_time / self._connections)

    def checked(self, seconds: float) -> None:
        """Learn from the time of one check."""
        self._check_time += _WEIGHT * (seconds - self._check_time)

    def listed(self, seconds: float, pages: int) -> None:
        """Learn from the time of a list of `pages` pages."""
        if pages:
            self._page_time += _WEIGHT * (seconds / pages - self._page_time)
