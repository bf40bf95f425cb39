"""`Journal`: the half of a journal that waits."""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from aioconnections.errors import (
    InvalidInputError,
    JournalDiskError,
    JournalLockedError,
    JournalMismatchError,
    UsageError,
)
from aioconnections.journal.items import NOTHING
from aioconnections.journal.said import SET_BACK, Past, Said

if TYPE_CHECKING:
    from aioconnections.journal.writer import Page, Reply, Tell, Writer

__all__ = ["Journal"]

_PAGE = 512  # indices that are read at once
_KEPT = 4  # pages: the items of a run come nearly in order
_SECOND = 1_000_000


class Journal:
    """The record of one bulk run, in one file, that survives whatever ends the run.

    ``client.invite_many(people, message="…", journal=Journal("invites.sqlite"))``

    Run the same command with the same journal again, and it goes on: finished items are given again without being asked
    again, and what is in doubt is asked after before anything is sent a second time. What it promises:

    - No byte of a change leaves before the intent to send it is on the disk, so neither a killed process nor a power
      cut makes anybody be invited twice. Outcomes of mere questions may be lost for the last tenth of a second; they
      are asked again.
    - One file is one run: it is bound to the verb, the server and the signed-in user, and each item to its index. A run
      that differs is refused.
    - One run at a time: while it is open, a second one is refused, in this process or another.
    - A file that was cut off after the last commit goes on there. One that is damaged before is refused, never misread,
      and so is one that is no journal.
    - A full or failing disk stops the run before the next change is sent.
    - It holds who was asked for, times, outcomes, and hashes of messages; no text of a message, cookie or header. Only
      the file's owner may read it.

    The file is made when a run with the journal is entered; its folder must be there, and on a disk of this machine. A
    file of the same name with ``-wal`` at its end belongs to it.

    Args:
        path: of the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._writer: Writer | None = None
        self._path = Path(path)
        self._wall: Callable[[], float] = time.time
        self._failure_told = False
        self._pages: OrderedDict[int, Reply[Page]] = OrderedDict()
        self._newest = 0  # the latest time that the journal or this run has seen, in microseconds
        self._known_from = 0  # the intents of earlier rows have no age that can be told

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    async def open(self, *, verb: str, origin: str, userid: str | None) -> None:
        """Begin a run, or go on with the one that the file records.

        Raises:
            JournalLockedError: it is open already, here or elsewhere.
            JournalBoundError: it records a run of another verb, server or user.
            JournalDiskError: the disk is full or failing.
            JournalError: the file is damaged, no journal, or cannot be opened.
        """
        from aioconnections.journal.file import Binding
        from aioconnections.journal.writer import Writer

        if self._writer is not None:
            raise JournalLockedError(f"the journal {self._path.name} is open already")
        self._newest = 0
        writer = Writer(self._path, Binding(verb, origin, userid), self._now(), _teller())
        self._writer = writer
        self._failure_told = False
        self._pages.clear()
        writer.thread.start()
        try:
            head = await writer.opening.wait()
        except BaseException:
            await self._end(writer)
            raise
        assert head is not None  # noqa: S101 # it is there once it does not raise
        self._known_from = head.set_back
        if self._newest < head.wall - SET_BACK:
            self._known_from = head.seq + 1
        self._newest = max(self._newest, head.wall)

    async def past(self, index: int, item: str) -> Past | None:
        """What an earlier run recorded of an item; None if nothing.

        Raises:
            JournalMismatchError: it recorded another item at this index.
            JournalError: it cannot be read any more.
        """
        writer = self._opened()
        if index > writer.last_index:
            return None
        number = index // _PAGE
        reply = self._pages.get(number)
        if reply is None:
            reply = self._pages[number] = writer.ask(number * _PAGE, (number + 1) * _PAGE - 1)
            if len(self._pages) > _KEPT:
                self._pages.popitem(last=False)
        page = await reply.wait()
        found = page.get(index) if page is not None else None
        if found is None:
            return None
        was, sends, intent, wall, data = found
        if was not in (item, NOTHING):
            raise JournalMismatchError(index, was, item)
        said = Said.from_text(data) if data is not None else None
        if intent is None or wall is None:
            return Past(said)
        now = self._now()
        age = max(0, now - wall) / _SECOND if intent >= self._known_from else None
        return Past(said, sends, wall / _SECOND, age)

    async def intent(self, index: int, item: str, *, send: int) -> None:
        """Record that something is about to be sent; returns once that is on the disk.

        Args:
            index: of the item.
            item: see `item_text`.
            send: 1 the first time, 2 if it is sent again; the same number again if it certainly was not sent.

        Raises:
            JournalDiskError: it is not on the disk, or nobody knows: nothing must be sent.
        """
        await self._add(index, "intent", item, str(send), durable=True)

    async def outcome(self, index: int, item: str, said: Said, *, durable: bool) -> None:
        """Record what came of an item.

        Args:
            index: of the item.
            item: see `item_text`.
            said: see `said_of`.
            durable: whether to return once it is on the disk. If not, the call returns at once, unless very many wait
                to be written, and a later call or `aclose` says if it failed.

        Raises:
            JournalDiskError: this, or something before it, could not be written.
        """
        await self._add(index, "outcome", item, said.to_text(), durable=durable)

    async def aclose(self) -> None:
        """Write what is left and give up the file. Closing twice is fine, and so is closing what was never opened.

        Raises:
            JournalDiskError: something could not be written, and no call has said so yet.
        """
        writer = self._writer
        if writer is None:
            return
        await self._end(writer)
        if writer.failure is not None and not self._failure_told:
            self._failure_told = True
            raise copy(writer.failure)

    async def _end(self, writer: Writer) -> None:
        writer.close()
        try:
            with anyio.CancelScope(shield=True):  # it is local work that ends, and half a close helps nobody
                if _teller() == writer.tell:
                    await writer.closed.wait()
        finally:  # asyncio's own cancelling goes through every shield
            writer.thread.join()  # at its end, unless another loop opened the journal and is gone
            if self._writer is writer:
                self._writer = None

    async def _add(self, index: int, kind: str, item: str, data: str, *, durable: bool) -> None:
        writer = self._opened()
        if not (item.isascii() and data.isascii()):
            try:
                _ = item.encode(), data.encode()
            except UnicodeEncodeError:
                raise InvalidInputError("a journal holds no lone surrogates") from None
        if writer.failure is None:
            written = writer.add((index, kind, item, data, self._now()), durable=durable)
            if written is None:
                return
            try:
                await written.wait()
            except JournalDiskError:
                self._failure_told = True
                raise
        else:
            self._failure_told = True
            raise copy(writer.failure)

    def _opened(self) -> Writer:
        if self._writer is None:
            raise UsageError("the journal is not open")
        return self._writer

    def _now(self) -> int:
        """The wall clock in microseconds; notices when it was set back."""
        now = int(self._wall() * _SECOND)
        if now < self._newest - SET_BACK and self._writer is not None and self._writer.opening.value is not None:
            self._known_from = self._writer.opening.value.seq + 1
        self._newest = max(self._newest, now)
        return now

    def __repr__(self) -> str:
        return f"Journal({str(self._path)!r}, {'open' if self._writer else 'closed'})"

    def __del__(self) -> None:
        # a constructor that was interrupted leaves nothing behind that would have to be told of
        if hasattr(self, "_writer") and self._writer is not None:
            warnings.warn(f"the journal {self._path.name} was not closed", ResourceWarning, stacklevel=2, source=self)
            self._writer.close()


def _teller() -> Tell:
    """How a thread has the running loop call something."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        import trio

        return trio.lowlevel.current_trio_token().run_sync_soon
