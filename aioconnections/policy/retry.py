"""Whether one more attempt may help, and how long to pause before it.

Only what can pass is tried again: 429, 502, 503, 504, a connection that broke, a deadline. An attempt that may have
arrived is repeated only if doing it twice is the same as doing it once. A response that is no HTTP, a certificate that
is not trusted and a port that does not speak TLS stay as they are, so a deterministic failure is not tried again; but a
connection that had served before may have been given up by the server, so there one more, fresh connection decides. A
limit of this machine is not for the server's retries either: the request waits for a connection instead.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen, validators

from aioconnections.errors import LocalLimitError, ProtocolError, TransportError

__all__ = ["LONGEST_WISH", "Retry"]

_PASSING = frozenset({429, 502, 503, 504})
_NOT_DONE = 429  # the one failure status that says that nothing was done
_FIRST_PAUSE = 0.25
_DOUBLINGS = 5  # until the longest pause, 8 s
LONGEST_WISH = 300.0


@frozen
class Retry:
    """The retry rules of one client.

    Attributes:
        max_attempts: how many requests one item may cost at most, the first included.
    """

    max_attempts: int = field(default=4, validator=validators.ge(1))

    def after_failure(self, error: TransportError, *, repeatable: bool) -> bool:
        """Whether it may help to try again after an attempt brought no answer."""
        if isinstance(error, LocalLimitError) or (error.deterministic and not _was_reused(error)):
            return False
        return repeatable or error.sent == "no"

    def after_answer(self, status: int, wish: float | None, *, repeatable: bool) -> bool:
        """Whether it may help to try again after an attempt was answered with `status`.

        `wish` is the pause in seconds that the server asked for, or None.
        """
        if status not in _PASSING or (wish or 0) > LONGEST_WISH:
            return False
        return repeatable or status == _NOT_DONE

    def pause(self, attempt: int, chance: Callable[[], float]) -> float:
        """Seconds to wait after attempt number `attempt`: full jitter, exponential.

        `chance` gives a number from 0 to 1.
        """
        return _FIRST_PAUSE * 2.0 ** min(attempt - 1, _DOUBLINGS) * chance()


def _was_reused(error: TransportError) -> bool:
    return isinstance(error, ProtocolError) and error.reused
