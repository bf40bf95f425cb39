"""The text of the input: a file, or a pipe that a thread reads ahead.

A pipe may block for hours. If the event loop were blocked, pending responses would time out and Ctrl-C would not work.
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
import stat
import threading
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Generic, TypeVar

from aioconnections.cli.progress import needed, say
from aioconnections.cli.rows import NO_FIELD_LIMIT
from aioconnections.cli.terminal import escaped
from aioconnections.errors import InvalidInputError

__all__ = ["Ahead", "count_rows", "opened", "ready"]

T = TypeVar("T")

_AHEAD = 256  # items


@contextmanager
def opened(path: Path | None) -> Generator[IO[str]]:
    """Open a file, or standard input for None and "-", as text. Bytes that are not UTF-8 become lone surrogates.

    While it is open, fields of CSV may have any length; that is a setting of the process.

    Raises:
        InvalidInputError: the file cannot be opened.
    """
    limit = csv.field_size_limit(NO_FIELD_LIMIT)
    try:
        with _opened(path) as file:
            yield file
    finally:
        _ = csv.field_size_limit(limit)


@contextmanager
def _opened(path: Path | None) -> Generator[IO[str]]:
    if path is None or str(path) == "-":
        stream = needed("input", "name a file")
        if stream.isatty():
            say("Reading rows from the terminal; press Ctrl-D to end the input.")
        # not the stream itself, because a thread that is still reading at exit would hold its lock
        raw = io.FileIO(stream.fileno(), closefd=False)
        yield io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")
        return
    try:
        file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        problem = f"{escaped(str(path))}: {error.strerror}"
    else:
        with file:
            yield file
            return
    raise InvalidInputError(problem)


def count_rows(path: Path | None) -> int | None:
    """Estimate the number of rows in a file by its lines, for the time left; None for a pipe."""
    if path is None or not path.is_file():
        return None
    with path.open("rb") as file:
        return max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1)


@contextmanager
def ready(items: Iterator[T], file: IO[str] | None) -> Generator[Ahead[T] | Iterator[T]]:
    """Yield `items`, read ahead by a thread if `file` may block the event loop. `file` is None if no file is read."""
    if file is None or stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        yield items  # a thread would cost more than reading
        return
    ahead = Ahead(items)
    try:
        yield ahead
    finally:
        ahead.close()


class Ahead(AsyncIterator[T], Generic[T]):
    """The items of an iterator that may block, read by a thread that buffers a bounded number of them.

    An exception of the iterator is raised after the items before it. Must be used from one event loop and one task.
    """

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._ready: deque[T] = deque()
        self._room = threading.Event()
        self._closed = False
        self._ended = False
        self._failure: Exception | None = None
        self._wake: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None  # set while __anext__ waits
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """Take no more items."""
        self._closed = True
        self._room.set()

    def at_hand(self) -> Iterator[T]:
        """The items that are already buffered."""
        while self._ready:
            yield self._ready.popleft()

    async def __anext__(self) -> T:
        if self._thread is None:
            # a daemon, because it may be blocked when the process ends
            self._thread = threading.Thread(target=self._read, name="input", daemon=True)
            self._thread.start()
        while not self._ready:
            if self._ended:
                failure, self._failure = self._failure, None
                raise failure or StopAsyncIteration
            changed = asyncio.Event()
            self._wake = asyncio.get_running_loop(), changed
            if not self._ready and not self._ended:  # the thread reads _wake after it changes either
                await changed.wait()
        if len(self._ready) == _AHEAD // 2:  # not before: switching between threads costs more than reading
            self._room.set()
        return self._ready.popleft()

    def _read(self) -> None:
        try:
            for item in self._items:
                self._ready.append(item)
                self._notify()
                self._room.clear()
                while len(self._ready) >= _AHEAD and not self._closed:
                    self._room.wait()
                if self._closed:
                    return
        except Exception as error:  # noqa: BLE001 # raised by __anext__
            self._failure = error
        self._ended = True
        self._notify()

    def _notify(self) -> None:
        wake = self._wake
        if wake is not None:
            self._wake = None  # not before it is read, because the task may set another one at any time
            loop, changed = wake
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(changed.set)
