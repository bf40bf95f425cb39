"""The rows of a table as the source of a run. A thread reads the table, because a database may take its time.

One batch is read when the rows of the one before it have been taken, so a table of any size needs little memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from aioconnections.arrow.reading import Batch, TableRow, TableStream
from aioconnections.bulk.ahead import OwnedSource

__all__ = ["ItemMaker", "TableRows"]

T = TypeVar("T")
ItemMaker = Callable[[Mapping[str, object], TableRow], object]
"""Makes the item of a row, given its known cells."""


class TableRows(OwnedSource):
    """The items of a table.

    Args:
        stream: the table.
        make: makes the items.
    """

    def __init__(self, stream: TableStream, make: ItemMaker) -> None:
        self._stream = stream
        self._make = make
        self._items: Iterator[object] = iter(())
        self._threads: anyio.CapacityLimiter | None = None  # belongs to an event loop

    async def __anext__(self) -> object:
        while True:
            for item in self._items:
                return item
            read = await self._in_thread(self._stream.read)
            if read is None:
                raise StopAsyncIteration
            self._items = self._made(*read)

    def _made(self, batch: Batch, rows: list[dict[str, object]]) -> Iterator[object]:
        for position, cells in enumerate(rows):
            yield self._make(cells, TableRow(batch, position))

    async def schema(self) -> Any:
        """The schema of the table, which is opened for it if necessary."""
        if self._stream.schema is None:
            await self._in_thread(self._stream.open)
        return self._stream.schema

    async def _in_thread(self, function: Callable[[], T]) -> T:
        """Call a function in a thread. A cancelled task does not wait for it: the source cannot be interrupted."""
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(1)
        return await anyio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=self._threads)

    def close(self) -> None:
        """Release the table."""
        self._items = iter(())
        self._stream.close()

    def __repr__(self) -> str:
        return "TableRows()"
