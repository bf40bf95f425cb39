"""What clients share, as the session uses it: starts, pauses, outages and refused logins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from attrs import frozen

from aioconnections.clock import Clock
from aioconnections.errors import AuthenticationError, ConnectionsError
from aioconnections.policy.limiter import Limiter, Starts

__all__ = ["Here", "InProcess", "SharedState"]


@frozen
class Here:
    """This process, as the shared state sees it.

    Attributes:
        clock: source of time.
        attempt_timeout: seconds that one request may take.
        outage_timeout: seconds for which runs wait for the store; None for no limit.
        waiting: the number of requests that wait for a start.
        review: gives starts to requests that wait, after some have arrived.
        fail: ends the wait of the single calls, and if asked, also of the runs.
        paused: takes note of a pause, in seconds, that another process was asked for.
        went_away: takes note that another process has found the server away.
        logins: the logins that are in use, by their names in the store, and for each what takes note that another
            process saw it refused.
    """

    clock: Clock
    attempt_timeout: float
    outage_timeout: float | None
    waiting: Callable[[], int]
    review: Callable[[], object]
    fail: Callable[[ConnectionsError, bool], object]
    paused: Callable[[float], object]
    went_away: Callable[[], object]
    logins: Callable[[], Mapping[str, Callable[[AuthenticationError], object]]]


class SharedState(Protocol):
    """What clients share."""

    @property
    def starts(self) -> Starts:
        """Assigns the starts of requests."""
        ...

    def away(self, now: float) -> tuple[float, float | None] | None:
        """For how many seconds requests have waited for the store, and for how many more runs do; None if not at all.

        The latter is None without a limit.
        """
        ...

    async def open(self, here: Here) -> None:
        """Begin, in the event loop of the client.

        Raises:
            SharedStoreError: the store is away, or refuses to work.
            UsageError: the event loop is not asyncio's, or a package is missing.
        """
        ...

    async def aclose(self) -> None:
        """End; what this process holds is given back."""
        ...

    def pause(self, seconds: float) -> None:
        """Tell the other processes that the server asked for a pause."""
        ...

    def went_away(self) -> None:
        """Tell the other processes that the server does not respond."""
        ...

    def name_of(self, credential: str) -> str | None:
        """What a login is called in the store: a keyed digest; None if logins are not shared."""
        ...

    async def claim(self, login: str, *, in_run: bool) -> None:
        """Return once this process may prove a login; `settle` must follow. A run waits longer for the store.

        Raises:
            AuthenticationError: the server has refused it in another process.
            SharedStoreError: the store is away.
            UsageError: the client is closed meanwhile.
        """
        ...

    def settle(self, login: str, *, proved: bool) -> None:
        """Tell the other processes that a login was proved, or that it is not known."""
        ...

    def refuse(self, login: str, status: int) -> None:
        """Tell the other processes that the server has refused a login."""
        ...


class InProcess:
    """The state of one process, which shares it with no other."""

    def __init__(self, starts: Limiter) -> None:
        self.starts: Limiter = starts

    def away(self, now: float) -> tuple[float, float | None] | None:
        """See `SharedState`."""
        del now
        return None

    async def open(self, here: Here) -> None:
        """See `SharedState`."""

    async def aclose(self) -> None:
        """See `SharedState`."""

    def pause(self, seconds: float) -> None:
        """See `SharedState`."""

    def went_away(self) -> None:
        """See `SharedState`."""

    def name_of(self, credential: str) -> str | None:
        """See `SharedState`; equal credentials have one session, which knows the refusal."""

    async def claim(self, login: str, *, in_run: bool) -> None:
        """See `SharedState`."""

    def settle(self, login: str, *, proved: bool) -> None:
        """See `SharedState`."""

    def refuse(self, login: str, status: int) -> None:
        """See `SharedState`."""

    def __repr__(self) -> str:
        return "InProcess()"
