"""Reading ahead: the items of an async source that are at hand without a wait."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Self

import anyio

from aioconnections.clock import is_cancelled

__all__ = ["OwnedSource", "ReadAhead", "is_raised_by_code"]


class OwnedSource(AsyncIterator[object]):
    """An async source that the run itself has opened, so that it is closed at the end of the run."""

    def close(self) -> None:
        """Release what the source holds; it does not wait."""
        raise NotImplementedError


class ReadAhead(Iterator[object]):
    """An async source that one task reads, as an iterator over the items that it has read.

    The iterator ends as the source does: it raises `StopIteration` or the exception of the source, after the items.

    Args:
        source: the source.

    Attributes:
        items: the items that were read and not taken.
        failure: the exception of the source; None if there is none, or it was raised.
    """

    __slots__ = ("_arrival", "_is_over", "_scope", "_source", "failure", "items")

    def __init__(self, source: AsyncIterator[object]) -> None:
        self.items: deque[object] = deque()
        self.failure: BaseException | None = None
        self._source = source
        self._is_over = False
        self._scope: anyio.CancelScope | None = None
        self._arrival: anyio.Event | None = None  # a worker waits for it

    async def read(self, room: Callable[[], Awaitable[bool]]) -> None:
        """Read until the source ends or `stop` is called; the source is read by no other task.

        Args:
            room: returns True once one more item may be read, and False if nothing more is to be read.
        """
        source, items = self._source, self.items
        try:
            with anyio.CancelScope() as self._scope:  # a run that stops does not wait for a slow source
                while await room():
                    items.append(await anext(source))
                    if self._arrival is not None:
                        self._arrival.set()
        except StopAsyncIteration:
            pass
        except BaseException as error:
            if not (isinstance(error, Exception) or is_raised_by_code(error)):
                raise
            self.failure = error
        finally:
            self._is_over = True
            if self._arrival is not None:
                self._arrival.set()

    def stop(self) -> None:
        """Read nothing more."""
        if self._scope is not None:
            self._scope.cancel()

    @property
    def is_ready(self) -> bool:
        """Whether an item, or the end, is at hand."""
        return self._is_over or bool(self.items)

    async def until_ready(self) -> None:
        """Wait until `is_ready`; for one task at a time."""
        while not self.is_ready:
            self._arrival = anyio.Event()
            await self._arrival.wait()
        self._arrival = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> object:
        if self.items:
            return self.items.popleft()
        failure, self.failure = self.failure, None
        raise failure or StopIteration

    def __repr__(self) -> str:
        return f"ReadAhead({len(self.items)} items)"


def is_raised_by_code(error: BaseException) -> bool:
    """Whether code raised a cancellation although its task is not cancelled, so that its work is not complete."""
    return isinstance(error, anyio.get_cancelled_exc_class()) and not is_cancelled()
