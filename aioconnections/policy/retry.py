"""Decides whether to make one more attempt, and how long to pause before it.

Only temporary failures are retried: 429, 502, 503, 504, a broken connection, a deadline. An attempt that may have
reached the server is repeated only if the request is idempotent. A deterministic failure (a response that is not HTTP,
an untrusted certificate, a port that does not speak TLS) is not retried, except after a reused connection, which the
server may have closed: the request is then sent on a fresh connection. A limit of this machine is not a failure of the
server: the request waits for a connection instead. A budget bounds all retries of a client.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen, validators

from aioconnections.errors import LocalLimitError, ProtocolError, TransportError

__all__ = ["LONGEST_RETRY_AFTER", "Retry", "RetryBudget"]

_TEMPORARY = frozenset({429, 502, 503, 504})
_NOT_DONE = 429  # the only one of these statuses which means that nothing was done
_FIRST_PAUSE = 0.25
_DOUBLINGS = 5  # until the longest pause, 8 s
LONGEST_RETRY_AFTER = 300.0
"""Longest requested pause, in seconds, that is honoured; a run ends if the server asks for more."""
_STOCK = 35.0  # retries
_EARNED = 0.1  # retries for each good response


@frozen
class Retry:
    """The retry rules of one client.

    Attributes:
        max_attempts: maximum number of requests for one item, including the first.
    """

    max_attempts: int = field(default=4, validator=validators.ge(1))

    def after_failure(self, error: TransportError, *, repeatable: bool) -> bool:
        """Whether to retry after an attempt without a response."""
        if isinstance(error, LocalLimitError) or (error.deterministic and not _was_reused(error)):
            return False
        return repeatable or error.sent == "no"

    def after_response(self, status: int, retry_after: float | None, *, repeatable: bool) -> bool:
        """Whether to retry after a response with `status`.

        `retry_after` is the pause in seconds that the server asked for, or None.
        """
        if status not in _TEMPORARY or (retry_after or 0) > LONGEST_RETRY_AFTER:
            return False
        return repeatable or status == _NOT_DONE

    def pause(self, attempt: int, chance: Callable[[], float]) -> float:
        """Seconds to wait after attempt number `attempt`: full jitter, exponential.

        `chance` returns a number from 0 to 1.
        """
        return _FIRST_PAUSE * 2.0 ** min(attempt - 1, _DOUBLINGS) * chance()


def _was_reused(error: TransportError) -> bool:
    return isinstance(error, ProtocolError) and error.reused


class RetryBudget:
    """The retries that a client may still make; a full outage costs at most the stock.

    A client cannot tell a failing server from a failing request. So beyond an initial stock, it makes one retry for ten
    good responses, and retries never become a significant part of the load.
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _STOCK

    def earn(self) -> None:
        """Record a good response."""
        self._left = min(_STOCK, self._left + _EARNED)

    def spend(self) -> bool:
        """Take one retry; False if there is none left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    @property
    def left(self) -> int:
        """Number of retries left."""
        return int(self._left)

    @property
    def is_full(self) -> bool:
        """Whether the stock is full."""
        return self._left >= _STOCK

    def __repr__(self) -> str:
        return f"RetryBudget({self.left} left)"
