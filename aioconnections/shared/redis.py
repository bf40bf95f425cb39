"""What clients of several processes share through Redis, and the task that keeps in touch with it.

The task sleeps until starts are needed, something is to be told to the other processes, or it is time for a sign of
life. It alone requests starts. A wait for a start needs no request of its own: the task gives the starts that have
arrived to those who wait.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from contextlib import suppress
from copy import copy
from functools import partial
from hashlib import sha256
from math import inf
from typing import TYPE_CHECKING

from aioconnections.clock import Timer, on_asyncio
from aioconnections.errors import AuthenticationError, ConnectionsError, SharedStoreError, UsageError
from aioconnections.policy.leases import LeasedStarts
from aioconnections.shared.settings import RedisShared
from aioconnections.shared.state import Here

if TYPE_CHECKING:
    from aioconnections.shared.store import Reply, Store

__all__ = ["RedisState"]

LOG = logging.getLogger("aioconnections")

_SIGN_OF_LIFE = 20.0  # seconds between two requests to the store at most
_PATIENCE = 2.0  # seconds for which single calls wait for a store that is away
_FIRST_RETRY = 0.05  # seconds between two attempts to reach it
_LAST_RETRY = 1.0
_LONGEST_EXCHANGE = 5.0  # seconds that the end waits for the task
_GOODBYE = 1.0  # seconds for giving back what is left at the end
_IDLE = 0.05  # seconds without use after which starts are given back
_NEWS_OF_OUTAGE_HOLD = 5.0  # seconds
_POLL = 0.05  # seconds between two questions whether another process has proved a login
_REFUSAL_HOLDS = 900.0  # seconds
_PROOF_HOLDS = 10.0  # seconds: after a change of the password, each process that relies on it sends the old one


class RedisState:
    """See `SharedState`.

    Args:
        settings: see `RedisShared`.
        max_per_second: see `LeasedStarts`.
        burst: see `LeasedStarts`.

    Raises:
        InvalidInputError: `max_per_second` is None, or the secret in the environment is too short.
    """

    def __init__(self, settings: RedisShared, max_per_second: float | None, burst: int) -> None:
        fallback = settings.fallback
        self.starts: LeasedStarts = LeasedStarts(
            max_per_second, burst, self._wake, None if fallback is None else fallback.processes
        )
        self._settings = settings
        self._key = settings.key()
        self._verdicts: dict[str, str] = {}  # what is to be told about logins
        self._pause_until = self._outage_until = -inf  # pause and outage that are to be told, unless it is too late
        self._claims: dict[str, float] = {}  # logins that this process proves, and when the claims are renewed
        self._awake = asyncio.Event()
        self._away_since: float | None = None
        self._problem = SharedStoreError("the shared store was not asked yet")
        self._retry_at = self._retry_in = 0.0
        self._heard_at = -inf  # time of the last reply
        self._told: float | None = None  # the time between two starts that the store was told last
        self._outage = 0  # the latest outage that was heard of
        self._refusals: int | None = None  # how many refused logins were heard of
        self._used_before = -1  # starts used when it was last looked whether they are used
        self._end_error: ConnectionsError | None = None  # why nothing is shared any more
        self._here: Here | None = None
        self._store: Store | None = None
        self._task: asyncio.Task[None] | None = None

    def away(self, now: float) -> tuple[float, float | None] | None:
        """See `SharedState`; with a fallback, requests do not wait for the store."""
        if self._away_since is None or (self._settings.fallback is not None and self._problem.temporary):
            return None
        lasted, patience = now - self._away_since, self._patience(in_run=True)
        return lasted, None if patience == inf else max(0.0, patience - lasted)

    async def open(self, here: Here) -> None:
        """See `SharedState`."""
        if not on_asyncio():
            raise UsageError("shared=RedisShared(…) needs asyncio; on trio, a client shares nothing")
        try:
            from aioconnections.shared.store import Store
        except ImportError:
            raise UsageError('RedisShared needs more packages; run: pip install "aioconnections[redis]"') from None
        self._here, self._store = here, Store(self._settings)
        try:
            await self._exchange(self._store, here)
        except SharedStoreError as error:
            if self._settings.fallback is None or not error.temporary:
                await self._store.aclose()
                raise
            self._went_away(error, here)
        self._task = asyncio.get_running_loop().create_task(self._keep(self._store, here))

    async def aclose(self) -> None:
        """See `SharedState`."""
        task, store, here = self._task, self._store, self._here
        if task is None or store is None or here is None:
            return
        self._task, self._end_error = None, UsageError("this client is closed")
        self._wake()
        if (await asyncio.wait({task}, timeout=_LONGEST_EXCHANGE))[1]:  # not cancelled before: redis-py may swallow it
            task.cancel()
        with suppress(SharedStoreError, TimeoutError):
            if self._away_since is None:
                async with asyncio.timeout(_GOODBYE):
                    for login in [*self._claims]:
                        self.settle(login, proved=False)
                    await self._tell(store)
                    await self._give_back(store, here)
                    await store.leave()
        await store.aclose()

    def pause(self, seconds: float) -> None:
        """See `SharedState`."""
        self._pause_until = max(self._pause_until, self._now() + seconds)
        self._wake()

    def went_away(self) -> None:
        """See `SharedState`."""
        self._outage_until = self._now() + _NEWS_OF_OUTAGE_HOLD
        self._wake()

    def name_of(self, credential: str) -> str | None:
        """See `SharedState`."""
        if self._key is None:
            return None
        return hmac.digest(self._key, credential.encode("utf-8", "surrogatepass"), sha256).hex()

    async def claim(self, login: str, *, in_run: bool) -> None:
        """See `SharedState`."""
        assert self._here is not None and self._store is not None  # noqa: S101, PT018 # set by `open`
        clock, seconds, retry_in = self._here.clock, self._here.attempt_timeout, _FIRST_RETRY
        began: float | None = None  # when the store was first found away
        while self._end_error is None:
            try:
                is_ours, state, left = await self._store.claim(login, seconds)
            except SharedStoreError as error:
                now = clock.now()
                began = now if began is None else began
                if self._settings.fallback is not None and error.temporary:
                    return
                if not error.temporary or now - self._since(began) >= self._patience(in_run=in_run):
                    raise
                await clock.sleep(retry_in)
                retry_in = min(2 * retry_in, _LAST_RETRY)
                continue
            if is_ours:
                self._claims[login] = clock.now() + seconds / 3
                self._wake()
                return
            if state.startswith("refused:"):
                raise _refusal(state)
            if state == "proved":
                return
            await clock.sleep(min(_POLL, max(left, 0.001)))
        raise copy(self._end_error)

    def _since(self, moment: float) -> float:
        """Since when the store has been away, if it was found away at `moment`."""
        return moment if self._away_since is None else min(self._away_since, moment)

    def _patience(self, *, in_run: bool) -> float:
        """For how many seconds a request waits for a store that is away."""
        if not in_run:
            return _PATIENCE
        assert self._here is not None  # noqa: S101 # the callers have checked
        return inf if self._here.outage_timeout is None else self._here.outage_timeout

    def settle(self, login: str, *, proved: bool) -> None:
        """See `SharedState`."""
        self._report(login, "proved" if proved else "")

    def refuse(self, login: str, status: int) -> None:
        """See `SharedState`."""
        self._report(login, f"refused:{status}")

    def _report(self, login: str, verdict: str) -> None:
        """Let the task tell the store what is known about a login; a refusal stands."""
        self._claims.pop(login, None)
        if not self._verdicts.get(login, "").startswith("refused"):
            self._verdicts[login] = verdict
        self._wake()

    def _now(self) -> float:
        assert self._here is not None  # noqa: S101 # set by `open`
        return self._here.clock.now()

    def _wake(self) -> None:
        self._awake.set()
        if self._end_error is not None and self._here is not None:  # no start will arrive
            self._here.clock.call_at(self._now(), partial(self._here.fail, self._end_error, True))  # noqa: FBT003 # as above

    async def _keep(self, store: Store, here: Here) -> None:
        """Keep in touch with the store until the client is closed."""
        try:
            await self._exchange_until_closed(store, here)
        except Exception as error:  # without this task, requests would wait without end
            LOG.exception("sharing has ended")
            problem = SharedStoreError(f"sharing has ended because of {type(error).__name__}", temporary=False)
            self._end_error = problem
            here.fail(problem, True)  # noqa: FBT003 # a callable takes no keywords

    async def _exchange_until_closed(self, store: Store, here: Here) -> None:
        clock = here.clock
        timer: Timer | None = None
        try:
            while self._end_error is None:
                timer = clock.call_at(self._next(clock.now()), self._wake)
                await self._awake.wait()
                timer.cancel()
                self._awake.clear()
                try:
                    await self._exchange(store, here)
                except SharedStoreError as error:
                    self._went_away(error, here)
                if self._away_since is None:
                    here.review()
                else:
                    self._end_waits(here)
                    self._awake.clear()  # what waits still needs nothing before the next attempt
        finally:
            if timer is not None:
                timer.cancel()

    def _next(self, now: float) -> float:
        """When the task has something to do, if nothing wakes it before."""
        if self._away_since is not None:
            return self._retry_at
        due = min([self._heard_at + _SIGN_OF_LIFE, *self._claims.values()])
        if self.starts.not_before > now:
            due = min(due, self.starts.not_before)
        return min(due, now + _IDLE) if len(self.starts) else due

    async def _exchange(self, store: Store, here: Here) -> None:
        """Tell the store what is to be told, and request starts if they are needed."""
        now, starts = here.clock.now(), self.starts
        if self._away_since is not None and now < self._retry_at:
            return
        await self._tell(store)
        for login, due in list(self._claims.items()):
            if due <= now:
                self._claims[login] = now + here.attempt_timeout / 3
                await store.claim(login, here.attempt_timeout)
        count = starts.wanted(now, here.waiting())
        is_due = now - self._heard_at >= _SIGN_OF_LIFE or self._told != starts.own_interval
        if count or is_due or self._away_since is not None:
            starts.asked(now)
            told = starts.own_interval
            reply = await store.lease(count, told, starts.burst, starts.lead)
            self._told = told
            await self._heard(reply, store, here)
        elif len(starts):
            if starts.used == self._used_before and not here.waiting():
                await self._give_back(store, here)
            self._used_before = starts.used

    async def _heard(self, reply: Reply, store: Store, here: Here) -> None:
        now = self._heard_at = here.clock.now()
        if self._away_since is not None:
            LOG.info("the shared store responds again, after %.1f s", now - self._away_since)
            self._away_since, self.starts.is_away = None, False
        self.starts.granted(reply.grant, now)
        self._used_before = -1
        if reply.held > 0:
            here.paused(reply.held)
        if reply.away not in {0, self._outage}:
            self._outage = reply.away
            here.went_away()
        if reply.refusals != self._refusals:
            is_first, self._refusals = self._refusals is None, reply.refusals
            if not is_first:
                await self._look_up_refusals(store, here)

    async def _look_up_refusals(self, store: Store, here: Here) -> None:
        logins = here.logins()
        for login, state in (await store.states([*logins])).items():
            if state.startswith("refused:"):
                logins[login](_refusal(state))

    async def _tell(self, store: Store) -> None:
        until = self._pause_until
        if self._now() < until:
            await store.hold(until - self._now())
            if self._pause_until == until:
                self._pause_until = -inf
        until = self._outage_until
        if self._now() < until:
            await store.went_away()
            if self._outage_until == until:
                self._outage_until = -inf
        while self._verdicts:
            login, verdict = next(iter(self._verdicts.items()))
            await store.settle(login, verdict, _REFUSAL_HOLDS if verdict.startswith("refused") else _PROOF_HOLDS)
            if self._verdicts[login] == verdict:
                del self._verdicts[login]

    async def _give_back(self, store: Store, here: Here) -> None:
        unused = self.starts.take_unused(here.clock.now())
        if unused:
            await store.give_back(unused, self.starts.granted_interval)

    def _went_away(self, error: SharedStoreError, here: Here) -> None:
        """Take note that the store is away, and when to ask it again."""
        now = here.clock.now()
        self._problem = error
        if self._away_since is None:
            self._away_since, self.starts.is_away, self._retry_in = now, True, _FIRST_RETRY
            LOG.warning("%s", error)
        else:
            self._retry_in = min(2 * self._retry_in, _LAST_RETRY)
        self._retry_at = now + self._retry_in

    def _end_waits(self, here: Here) -> None:
        """While the store is away, let requests start at a lower rate, or end their waits when it is time."""
        if self._settings.fallback is not None and self._problem.temporary:
            here.review()
            return
        assert self._away_since is not None  # noqa: S101 # the caller has checked
        lasted = here.clock.now() - self._away_since
        if lasted >= _PATIENCE or not self._problem.temporary:
            here.fail(self._problem, lasted >= self._patience(in_run=True) or not self._problem.temporary)

    def __repr__(self) -> str:
        return f"RedisState({self._settings!r}, {'away' if self._away_since is not None else 'there'})"


def _refusal(state: str) -> AuthenticationError:
    """The error for a login that another process saw refused."""
    status = int(state.partition(":")[2])
    return AuthenticationError(
        status, None, "the login was refused in another process less than 15 minutes ago, and was not sent again"
    )
