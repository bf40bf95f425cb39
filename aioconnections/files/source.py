"""The text of an input: a file, or a pipe that a thread reads ahead.

The first bytes tell the encoding, and whether the input is text at all.

A pipe may block for hours. If the event loop were blocked, pending responses would time out and Ctrl-C would not work.
"""

from __future__ import annotations

import asyncio
import codecs
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

from aioconnections.errors import InvalidInputError
from aioconnections.files.dialect import format_of_name
from aioconnections.files.escaping import escaped
from aioconnections.files.rows import NO_FIELD_LIMIT

__all__ = [
    "PARQUET",
    "Ahead",
    "count_rows",
    "encoding_of",
    "long_fields",
    "opened",
    "opened_any",
    "ready",
    "text_errors",
]

T = TypeVar("T")

_AHEAD = 256  # items
_LONGEST_MARK = 4  # bytes
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_BYTES = "aioconnections.bytes"  # an error handler
PARQUET = b"PAR1"
"""The first bytes of a Parquet file."""
_AS_CSV = 'save it as CSV (in Excel: "CSV UTF-8")'
_FOREIGN = {
    b"PK\x03\x04": f"an Excel or OpenDocument workbook, or another ZIP file; {_AS_CSV}",
    b"\xd0\xcf\x11\xe0": f"an Excel workbook; {_AS_CSV}",
    b"PAR1": "a Parquet file, which cannot be read from a pipe; name the file",
    b"\x1f\x8b": "compressed with gzip; decompress it first, as in: gzip -dc FILE | aioconnections …",
}


@contextmanager
def opened(source: Path | io.FileIO, encoding: str | None = None) -> Generator[io.TextIOWrapper]:
    """Open a file as text, or read an open one, such as standard input. Bytes that are not text become lone surrogates.

    A byte order mark selects UTF-8 or UTF-16; without one, the text has the given encoding, or UTF-8. While it is open,
    fields of CSV may have any length; that is a setting of the process.

    Raises:
        InvalidInputError: the file cannot be opened, or is a workbook or another file that is not text.
    """
    with long_fields(), _opened(source) as raw:
        yield _decoded(raw, source if isinstance(source, Path) else None, encoding)


@contextmanager
def opened_any(source: Path | io.FileIO, encoding: str | None = None) -> Generator[io.TextIOWrapper | io.FileIO]:
    """Open a file as text, as `opened` does, or if it is a Parquet file, as bytes.

    Raises:
        InvalidInputError: see `opened`.
    """
    with long_fields(), _opened(source) as raw:
        if _is_parquet(raw):
            yield raw
        else:
            yield _decoded(raw, source if isinstance(source, Path) else None, encoding)


def _is_parquet(raw: io.FileIO) -> bool:
    try:
        if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
            return False
        head = _head(raw)
        _ = raw.seek(-len(head), os.SEEK_CUR)
    except OSError:
        return False  # reported when it is read as text
    return head == PARQUET


_limits = threading.Lock()
_lifted = [0, 0]  # number of blocks that need long fields, and the limit before the first of them


@contextmanager
def long_fields() -> Generator[None]:
    """Allow fields of CSV of any length, which is a setting of the process, until the last such block has ended."""
    with _limits:
        if not _lifted[0]:
            _lifted[1] = csv.field_size_limit(NO_FIELD_LIMIT)
        _lifted[0] += 1
    try:
        yield
    finally:
        with _limits:
            _lifted[0] -= 1
            if not _lifted[0]:
                _ = csv.field_size_limit(_lifted[1])


@contextmanager
def _opened(source: Path | io.FileIO) -> Generator[io.FileIO]:
    if isinstance(source, io.FileIO):
        yield source
        return
    try:
        file = source.open("rb", buffering=0)
    except OSError as error:
        problem = f"{escaped(str(source))}: {error.strerror}"
    else:
        with file:
            yield file
            return
    raise InvalidInputError(problem)


def _decoded(raw: io.FileIO, path: Path | None, encoding: str | None) -> io.TextIOWrapper:
    try:
        head = b"" if raw.isatty() else _head(raw)
    except OSError as error:  # such as a directory on standard input
        problem = f"{path or 'standard input'}: {error.strerror}"
    else:
        found = encoding_of(head, path, encoding)
        buffered: IO[bytes] = _Resumed(raw, head)
        if raw.seekable():
            _ = raw.seek(-len(head), os.SEEK_CUR)
            buffered = io.BufferedReader(raw)
        return io.TextIOWrapper(buffered, encoding=found, errors=text_errors(found), newline="")
    raise InvalidInputError(problem)


def encoding_of(head: bytes, path: Path | None, encoding: str | None = None) -> str:
    """The encoding of a file that begins with `head`: that of its byte order mark, or else the given one, or UTF-8.

    Raises:
        InvalidInputError: the file has a format other than text.
    """
    _refuse_foreign(head, path)
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), encoding or "utf-8")


def text_errors(encoding: str) -> str:
    """The error handler by which bytes that are not text in this encoding become lone surrogates."""
    return "surrogateescape" if encoding.startswith("utf-8") else _BYTES


def _head(raw: io.FileIO) -> bytes:
    """The first bytes; fewer if there are no more."""
    head = b""
    while len(head) < _LONGEST_MARK and (more := raw.read(_LONGEST_MARK - len(head))):
        head += more
    return head


def _refuse_foreign(head: bytes, path: Path | None) -> None:
    """Refuse a file whose first bytes or whose name are those of a format other than text."""
    name = "the input" if path is None else str(path)
    for mark, problem in _FOREIGN.items():
        if head.startswith(mark):
            raise InvalidInputError(f"{name} is {problem}")
    what = None if path is None else format_of_name(path)
    if what is not None:
        raise InvalidInputError(f"{name} is named like {what}; save it as CSV, or rename it if it is CSV")


def _escape_bytes(error: UnicodeError) -> tuple[str, int]:
    """Decode each invalid byte to a lone surrogate; unlike ``surrogateescape``, any byte of any encoding."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_BYTES, _escape_bytes)


class _Resumed(io.FileIO):
    """A pipe from which the first bytes were read, and which gives them again."""

    def __init__(self, raw: io.FileIO, head: bytes) -> None:
        super().__init__(raw.fileno(), closefd=False)
        self._head = head

    def read(self, size: int | None = -1, /) -> bytes:
        """See `io.FileIO`."""
        head, self._head = self._head, b""
        if head and size is not None and size >= 0:
            return head
        return head + (super().read(size) or b"")


def count_rows(path: Path | None) -> int | None:
    """Estimate the number of rows in a file by its lines, for the time left; None for a pipe."""
    if path is None or not path.is_file():
        return None
    with path.open("rb") as file:
        return max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1)


@contextmanager
def ready(items: Iterator[T], file: IO[str] | io.FileIO | None) -> Generator[Ahead[T] | Iterator[T]]:
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
