"""The operations of a Redis store; the only module that imports redis-py. Times are in seconds."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from math import ceil
from typing import Any

from attrs import frozen
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,  # noqa: A004 # redis-py calls it so
    NoPermissionError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 # redis-py calls it so
)

from aioconnections.errors import InvalidInputError, SharedStoreError
from aioconnections.policy.leases import LEASE as LEASE_TIME
from aioconnections.policy.leases import Grant
from aioconnections.shared import scripts
from aioconnections.shared.settings import RedisShared

__all__ = ["SILENT", "Reply", "Store"]

SILENT = 60.0  # seconds after which a client that is not heard of is forgotten
_ANSWERS_WITHIN = 1.0  # seconds
_CONNECTS_WITHIN = 2.0


@frozen
class Reply:
    """What the store says when starts are requested.

    Attributes:
        grant: the starts.
        held: seconds until the pause ends that the server asked for; 0 if there is none.
        away: identifies an outage that another client has found a few seconds ago; 0 if there is none.
        refusals: number of logins that were ever refused, as long as the store remembers.
    """

    grant: Grant
    held: float
    away: int
    refusals: int


class Store:
    """One client of the store.

    Args:
        settings: where Redis is, and the name of what is shared.

    Raises:
        InvalidInputError: the URL has options that redis-py does not know.
    """

    def __init__(self, settings: RedisShared) -> None:
        self._place = settings.place
        self._namespace = settings.namespace
        self._id = secrets.token_hex(8)
        try:
            self._redis: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType] # has untyped options
                settings.url,
                socket_timeout=_ANSWERS_WITHIN,
                socket_connect_timeout=_CONNECTS_WITHIN,
                retry=Retry(NoBackoff(), 0),  # a repeated lease would grant starts twice
            )
            # checks the options, and connects to nothing
            self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call] # of redis-py
        except (ValueError, TypeError) as error:
            raise InvalidInputError(f"the URL of Redis is invalid: {type(error).__name__}") from None
        register = self._redis.register_script
        self._lease = register(scripts.LEASE)
        self._return = register(scripts.RETURN)
        self._leave = register(scripts.LEAVE)
        self._hold = register(scripts.HOLD)
        self._went_away = register(scripts.WENT_AWAY)
        self._claim = register(scripts.CLAIM)
        self._settle = register(scripts.SETTLE)

    async def lease(self, count: int, interval: float, burst: int, lead: float = 0.0) -> Reply:
        """Request `count` starts, and say what this client allows.

        Fewer may be granted, and none that is due within `lead` seconds.

        Raises:
            SharedStoreError: the store is away, or refuses to work.
        """
        times = _micro(LEASE_TIME), int(SILENT), _micro(lead)
        arguments: list[str | int] = [self._id, count, _micro(interval), burst, *times]
        async with self._errors():
            reply: list[Any] = await self._lease(self._keys("state", "spare", "clients", "rates", "waiting"), arguments)
        now, every, wait, held, away, refusals = (int(value) for value in reply[:6])
        starts = tuple(int(start) / 1e6 for start in reply[6].split())
        return Reply(Grant(now / 1e6, starts, every / 1e6, wait / 1e6), held / 1e6, away, refusals)

    async def give_back(self, starts: Iterable[float], interval: float) -> None:
        """Give back starts that were granted for a rate.

        Raises:
            SharedStoreError: as for `lease`.
        """
        async with self._errors():
            await self._return(
                self._keys("state", "spare"), [self._id, _micro(interval), *(round(start * 1e6) for start in starts)]
            )

    async def hold(self, seconds: float) -> None:
        """Grant no start for the next `seconds`.

        Raises:
            SharedStoreError: as for `lease`.
        """
        async with self._errors():
            await self._hold(self._keys("state"), [_micro(seconds)])

    async def went_away(self) -> None:
        """Tell the other clients that the server does not respond.

        Raises:
            SharedStoreError: as for `lease`.
        """
        async with self._errors():
            await self._went_away(self._keys("state"), [self._id])

    async def claim(self, login: str, seconds: float) -> tuple[bool, str, float]:
        """Claim the right to prove a login for the next `seconds`.

        Returns:
            Whether this client has the right; what is known about the login otherwise; and for how many seconds.

        Raises:
            SharedStoreError: as for `lease`.
        """
        async with self._errors():
            known, left = await self._claim(self._keys(f"login:{login}"), [self._id, ceil(seconds * 1000)])
        state = _text(known)
        return state == f"proving:{self._id}", state, int(left) / 1000

    async def settle(self, login: str, state: str, seconds: float) -> None:
        """Set what is known about a login for the next `seconds`; an empty `state` ends a claim of this client.

        Raises:
            SharedStoreError: as for `lease`.
        """
        async with self._errors():
            await self._settle(self._keys("state", f"login:{login}"), [self._id, state, ceil(seconds * 1000)])

    async def states(self, logins: list[str]) -> dict[str, str]:
        """What is known about each login.

        Raises:
            SharedStoreError: as for `lease`.
        """
        async with self._errors():
            values = [await self._redis.get(self._keys(f"login:{login}")[0]) for login in logins]
        return {login: _text(value) for login, value in zip(logins, values, strict=True) if value is not None}

    async def leave(self) -> None:
        """Take part no longer.

        Raises:
            SharedStoreError: as for `lease`.
        """
        async with self._errors():
            await self._leave(self._keys("clients", "rates", "waiting"), [self._id])

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _keys(self, *names: str) -> list[str]:
        return [f"{{{self._namespace}}}:{name}" for name in names]

    @asynccontextmanager
    async def _errors(self) -> AsyncGenerator[None]:
        try:
            yield
        except (AuthenticationError, AuthorizationError, NoPermissionError):
            raise self._error("refuses the login", temporary=False) from None
        except TimeoutError:
            raise self._error("does not respond", temporary=True) from None
        except (ConnectionError, OSError) as error:
            raise self._error(f"is away ({type(error).__name__})", temporary=True) from None
        except ResponseError as error:
            if "unauthenticated" in str(error):  # Redis accepts no long command before the login
                raise self._error("refuses the login", temporary=False) from None
            temporary = str(error).startswith(("LOADING", "READONLY", "MASTERDOWN", "OOM", "BUSY", "CLUSTERDOWN"))
            raise self._error(f"refuses to work ({_code(error)})", temporary=temporary) from None
        except RedisError as error:
            raise self._error(f"failed ({type(error).__name__})", temporary=True) from None

    def _error(self, problem: str, *, temporary: bool) -> SharedStoreError:
        return SharedStoreError(f"the shared store at {self._place} {problem}", temporary=temporary)

    def __repr__(self) -> str:
        return f"Store({self._place}, namespace={self._namespace!r})"


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("ascii")


def _micro(seconds: float) -> int:
    """Microseconds, rounded up, so that no start comes early."""
    return ceil(seconds * 1e6 - 1e-3)


def _code(error: ResponseError) -> str:
    """The code at the beginning of a message of Redis, such as OOM."""
    word = str(error).split(" ", 1)[0]
    return word if word.isascii() and word.isalpha() and word.isupper() else type(error).__name__
