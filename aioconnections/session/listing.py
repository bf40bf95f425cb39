"""Listings: their records, from pages that are requested on demand."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from types import TracebackType
from typing import Generic, Self, TypeVar

from aioconnections.errors import UsageError
from aioconnections.protocol.listing import Pager
from aioconnections.reprs import safe_repr
from aioconnections.session.call_scope import CallScope
from aioconnections.session.session import Session
from aioconnections.session.telemetry import Observed

__all__ = ["Stream"]

T = TypeVar("T")


class Stream(Generic[T]):
    """The records of a listing, for ``async for``, with or without ``async with``.

    A page is parsed while it arrives and buffered whole, so the consumer's time counts against no deadline and holds
    no connection. The next page is requested when all records of the current one have been taken.
    """

    def __init__(self, session: Session, pager: Pager[T], admit: Callable[[], object], verb: str) -> None:
        self._session = session
        self._verb = verb
        self._observed: Observed | None = None  # set by the first page, if there is telemetry
        self._pager = pager
        self._admit = admit  # raises a `UsageError` if the client cannot be used here
        self._call: CallScope | None = None  # set by the first page
        self._ready: deque[T] = deque()
        self._open = True
        self._reading = False

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        while not self._ready:
            if not self._open:
                raise StopAsyncIteration
            if self._reading:
                raise UsageError("a listing can be read by one task only")
            self._admit()
            if self._call is None:
                self._call = self._session.new_call()
                self._observed = self._session.observed_listing(self._verb)
            self._reading = True
            try:
                with nullcontext() if self._observed is None else self._observed.current():
                    page = await self._session.page(self._pager, self._call)
            except BaseException as error:
                self._end(error)
                raise
            finally:
                self._reading = False
            if page is None:
                self._end()
            else:
                self._ready.extend(page)
        return self._ready.popleft()

    def _end(self, error: BaseException | None = None) -> None:
        self._open = False
        if self._observed is not None:
            self._observed.end(error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._ready.clear()

    def __del__(self) -> None:
        observed = getattr(self, "_observed", None)
        if observed is not None:  # left before its end, without `async with`
            observed.end()

    @safe_repr
    def __repr__(self) -> str:
        return f"Stream({'open' if self._open else 'ended'}, {len(self._ready)} buffered)"
