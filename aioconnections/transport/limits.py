"""Limits of this process and machine: how to recognise them, and how many connections they allow.

They say nothing about the server. Without a free file descriptor, not only opening a socket fails, but also name
lookups and imports of modules. OpenSSL reads the files of a trust store on demand and ignores those that it cannot
open, so it reports a good certificate as untrusted.
"""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress

from aioconnections.clock import Clock, Timer
from aioconnections.errors import LocalLimitError

__all__ = ["UNTRUSTED_CODES", "LocalLimit", "has_descriptors", "local_limit_error", "no_descriptor", "trust_unreadable"]

UNTRUSTED_CODES = frozenset({2, 18, 19, 20, 21})  # OpenSSL's X509_V_ERR_ codes for a chain without a trusted root

_RECOVERY_INTERVAL = 30.0  # seconds without failure before one more connection is tried
_NO_MEMORY = "this machine has no memory left for another connection; lower max_connections"
_MESSAGES = {
    errno.EMFILE: "this process has reached its limit of open files; raise it (ulimit -n) or lower max_connections",
    errno.ENFILE: "this machine has reached its limit of open files; raise it or lower max_connections",
    errno.ENOBUFS: _NO_MEMORY,
    errno.ENOMEM: _NO_MEMORY,
    errno.ENOSPC: (
        "this machine has reached its limit of epoll watches; raise it (fs.epoll.max_user_watches) or lower "
        "max_connections"
    ),
}
_NO_THREAD = "can't start new thread"


def local_limit_error(causes: Iterable[BaseException | None]) -> LocalLimitError | None:
    """The error to raise if one of the `causes` of a failed connection is a limit of this machine, else None."""
    for cause in causes:
        if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) and cause.errno in _MESSAGES:
            return LocalLimitError(_MESSAGES[cause.errno])
        if isinstance(cause, RuntimeError) and str(cause) == _NO_THREAD:
            return LocalLimitError(
                "this process cannot start the thread that a name lookup needs; raise its limit (ulimit -u)"
            )
    return None


def has_descriptors(count: int = 1) -> bool:
    """Whether `count` file descriptors are free now."""
    taken: list[int] = []
    try:
        for _ in range(count):
            taken.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 # a later call may raise
    except OSError:
        return False
    finally:
        for descriptor in taken:
            with suppress(OSError):
                os.close(descriptor)
    return True


def no_descriptor() -> OSError:
    """The error that the system raises when no descriptor is free."""
    return OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def trust_unreadable(error: BaseException | None, spare: int = 1) -> bool:
    """Whether a certificate was untrusted because the files of the trust store could not be opened.

    Call it right after the failure. `spare` is one more than the number of descriptors freed since.
    """
    if not isinstance(error, ssl.SSLCertVerificationError):
        return False
    return getattr(error, "verify_code", None) in UNTRUSTED_CODES and not has_descriptors(spare)


class LocalLimit:
    """Tracks how many connections this machine allows, as shown by failures.

    Requests do not wait here: `on_change` lowers the limit on concurrent requests. The limit rises by one after each
    half a minute without failure, and is lifted when it reaches `maximum`.

    Args:
        on_change: called with the number of connections that can be open, or with None when the limit is lifted.
        maximum: how many connections may be open at most.
        clock: source of time.

    Attributes:
        has_opened: whether a connection was opened since the last time that none was open and none could be opened.
    """

    def __init__(self, on_change: Callable[[int | None], object], maximum: int, clock: Clock) -> None:
        self._on_change = on_change
        self._maximum = maximum
        self._clock = clock
        self.has_opened: bool = False
        self._limit: int | None = None
        self._timer: Timer | None = None

    def reached(self, others: int) -> None:
        """Note that no connection could be opened while `others` are open; without others, the limit is lifted.

        If there are no others but a connection was opened since the last such failure, the descriptor may be in use
        only briefly, for example by a name lookup. The limit is then one connection, and the request is tried again.
        """
        if not others and self.has_opened:
            others, self.has_opened = 1, False
        self._set(others or None)

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, limit: int | None) -> None:
        self.close()
        if limit is not None and limit < self._maximum:
            self._timer = self._clock.call_at(self._clock.now() + _RECOVERY_INTERVAL, self._raise_limit)
        else:
            limit = None
        if limit != self._limit:
            self._limit = limit
            self._on_change(limit)

    def _raise_limit(self) -> None:
        self._timer = None
        if self._limit is not None:
            self._set(self._limit + 1)
