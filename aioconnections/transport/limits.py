"""Limits of this process and this machine: how they show, and how many connections they leave.

None of them says anything of the server. Without a free file descriptor not only opening a socket fails: a name cannot
be looked up, a module cannot be imported, and OpenSSL, which reads the files of a trust store when it needs them and
says nothing where it cannot, takes a good certificate for one that is not trusted.
"""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress

from aioconnections.clock import Clock, Timer
from aioconnections.errors import LocalLimitError

__all__ = ["Ceiling", "has_descriptors", "local_limit", "no_descriptor", "trust_was_unreadable"]

_CAREFULLY = 30.0  # seconds without failure before one more connection is tried
_ADVICE = "; raise the limit (ulimit -n) or lower max_connections"
_MEANING = {
    errno.EMFILE: f"this process has as many files and connections open as it may{_ADVICE}",
    errno.ENFILE: f"this machine has as many files and connections open as it may{_ADVICE}",
    errno.ENOBUFS: "this machine has no memory left for another connection",
    errno.ENOMEM: "this machine has no memory left for another connection",
    errno.ENOSPC: "this machine watches as many connections as it may (fs.epoll.max_user_watches)",
}
_NO_THREAD = "can't start new thread"
_UNTRUSTED = frozenset({2, 18, 19, 20, 21})  # OpenSSL's X509_V_ERR_ codes


def local_limit(causes: Iterable[BaseException | None]) -> LocalLimitError | None:
    """The error for what kept a connection from being opened, if one of its `causes` is a limit of this machine."""
    for cause in causes:
        if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) and cause.errno in _MEANING:
            return LocalLimitError(_MEANING[cause.errno])
        if isinstance(cause, RuntimeError) and str(cause) == _NO_THREAD:
            return LocalLimitError("this process cannot start another thread, which a name lookup needs")
    return None


def has_descriptors(count: int = 1) -> bool:
    """Whether `count` file descriptors are free, now."""
    taken: list[int] = []
    try:
        for _ in range(count):
            taken.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 # it raises in the middle
    except OSError:
        return False
    finally:
        for descriptor in taken:
            with suppress(OSError):
                os.close(descriptor)
    return True


def no_descriptor() -> OSError:
    """What the system would have said, had it been asked for one descriptor more."""
    return OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def trust_was_unreadable(error: BaseException | None, spare: int = 1) -> bool:
    """Whether a certificate was not trusted because the files of the trust store could not be opened.

    To be asked at once; `spare` is how many descriptors are free by now if none was free then, and one.
    """
    if not isinstance(error, ssl.SSLCertVerificationError):
        return False
    return getattr(error, "verify_code", None) in _UNTRUSTED and not has_descriptors(spare)


class Ceiling:
    """How many connections this machine allows, as far as that has shown.

    Requests above it do not wait here: `tell` lowers the bound on how many are under way. The ceiling rises by one
    after half a minute without failure, until it is as high as it may be.

    Args:
        tell: told how many connections can be open, once this machine allows no more; None once it does again.
        most: how many connections may be open at the most.
        clock: where time comes from.

    Attributes:
        has_opened: whether a connection was opened since the last time that there was none and none could be.
    """

    def __init__(self, tell: Callable[[int | None], object], most: int, clock: Clock) -> None:
        self._tell = tell
        self._most = most
        self._clock = clock
        self.has_opened: bool = False
        self._height: int | None = None
        self._timer: Timer | None = None

    def reached(self, others: int) -> None:
        """No connection could be opened besides `others`. Where there are none, there is nothing to wait for.

        If one was opened since the last such failure, the descriptor may be in use for a moment only, for example by a
        name lookup: the ceiling is then one connection, and a request tries again.
        """
        if not others and self.has_opened:
            others, self.has_opened = 1, False
        self._set(others or None)

    def close(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, height: int | None) -> None:
        self.close()
        if height is not None and height < self._most:
            self._timer = self._clock.call_at(self._clock.now() + _CAREFULLY, self._rise)
        else:
            height = None
        if height != self._height:
            self._height = height
            self._tell(height)

    def _rise(self) -> None:
        self._timer = None
        if self._height is not None:
            self._set(self._height + 1)
