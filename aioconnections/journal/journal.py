"""`Journal`: the half of a journal that waits."""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio

from aioconnections.errors import (
    InvalidInputError,
    JournalDiskError,
    JournalLockedError,
    JournalMismatchError,
    UsageError,
)
from aioconnections.journal.items import NOTHING
from aioconnections.journal.stored import SET_BACK, ItemHistory, StoredOutcome, moment

if TYPE_CHECKING:
    from aioconnections.journal.opening import Opened
    from aioconnections.journal.summary import Report
    from aioconnections.journal.writer import HistoryPage, Tell, ThreadReply, Writer
    from aioconnections.outcomes import Outcome

__all__ = ["Journal"]

_PAGE = 512  # indices that are read at once
_KEPT = 4  # pages: the items of a run come nearly in order
_SECOND = 1_000_000
_ALL_SENDS = 2  # nothing is sent more often


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
    - One run at a time: while it is open, a second one is refused, in this process or another. What holds it is a lock
      on a file of the same name with ``.lock`` at its end, which stays there; on Windows it is SQLite's own lock.
    - A file that was cut off after the last commit goes on there. One that is damaged before is refused, never misread,
      and so is one that is no journal.
    - A full or failing disk stops the run before the next change is sent, and so does another program that removes or
      replaces one of the files.
    - While it is open, a journal is two files: the latest rows are in the log, a file of the same name with ``-wal`` at
      its end. If the log is missing afterwards, the journal is refused with `JournalLogMissingError`. A log that was
      cut off at the end of a commit cannot be told from one that was written until then: keep the two files together.
    - A finished check is not given again without its date: see `max_age`, and `Outcome.recorded_at`.
    - It holds who was asked for, times, outcomes, and hashes of messages; no text of a message, cookie or header. Only
      the file's owner may read it.

    The file is made when a run with the journal is entered; its folder must be there, and on a disk of this machine.

    Args:
        path: of the file.
        max_age: seconds that a finished run may be old if it changed nothing, which is a check; `math.inf` for any age.
            A younger one is given again; an older one keeps its file under the next free name of the form
            ``invites.sqlite.1``, and the run starts from nothing. Without it, a finished check is refused with
            `JournalFinishedError`. A run that is not finished goes on, however old it is, and so do changes.
        lost_log: ``"in_doubt"`` goes on with a journal whose log is lost. From then on, in this run and in later ones,
            each item without a final outcome may have been sent: it is asked after, and never sent again, nor are
            items that the journal does not show. Of a check nothing is lost but answers, which are asked for again.

    Raises:
        InvalidInputError: an argument cannot be what it is.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_age: float | None = None,
        lost_log: Literal["in_doubt"] | None = None,
    ) -> None:
        self._writer: Writer | None = None
        if lost_log not in (None, "in_doubt"):
            raise InvalidInputError(f'lost_log is "in_doubt" or None, not {lost_log!r}')
        self._path = Path(path)
        self._max_age = _seconds(max_age)
        self._may_be_lost = lost_log is not None
        self._wall: Callable[[], float] = time.time
        self._failure_told = False
        self._pages: OrderedDict[int, ThreadReply[HistoryPage]] = OrderedDict()
        self._newest = 0  # the latest time that the journal or this run has seen, in microseconds
        self._known_from = 0  # the intents of earlier rows have no age that can be told
        self._opened_as: Opened | None = None
        self._changes = True
        self._added = False  # whether there is a row of this run
        self._last_index = -1

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def kept(self) -> Path | None:
        """Where the file of an earlier run went that was finished and older than `max_age`; None if there was none."""
        return None if self._opened_as is None else self._opened_as.kept

    @property
    def last_index(self) -> int:
        """The greatest index that an earlier run recorded; -1 if there is none. As of the last time it was opened."""
        return self._last_index

    async def open(self, *, verb: str, origin: str, userid: str | None, changes: bool = True) -> None:
        """Begin a run, or go on with the one that the file records.

        Args:
            verb: what the run does.
            origin: of the server.
            userid: of the signed-in user; None if there is none.
            changes: whether it changes something on the server.

        Raises:
            JournalLockedError: it is open already, here or elsewhere.
            JournalBoundError: it records a run of another verb, server or user.
            JournalFinishedError: it records a finished run that changed nothing, and there is no `max_age`.
            JournalLogMissingError: its log is missing.
            JournalDiskError: the disk is full or failing.
            JournalError: the file is damaged, no journal, or cannot be opened.
        """
        from aioconnections.journal.file import Binding
        from aioconnections.journal.opening import OpenRequest
        from aioconnections.journal.writer import Writer

        if self._writer is not None:
            raise JournalLockedError(f"the journal {self._path.name} is open already")
        self._newest = 0
        self._changes = changes
        self._added = False
        wish = OpenRequest(
            binding=Binding(verb, origin, userid),
            now=self._now(),
            changes=changes,
            max_age=self._max_age,
            may_be_lost=self._may_be_lost,
        )
        writer = Writer(self._path, wish, _teller())
        self._writer = writer
        self._failure_told = False
        self._pages.clear()
        writer.thread.start()
        try:
            opened = await writer.opening.wait()
        except BaseException:
            await self._end(writer)
            raise
        assert opened is not None  # noqa: S101 # it is set unless `wait` raises
        self._last_index = writer.last_index
        self._opened_as, head = opened, opened.head
        self._known_from = head.set_back
        if self._newest < head.wall - SET_BACK:
            self._known_from = head.mark.seq + 1
        self._newest = max(self._newest, head.wall)

    @contextmanager
    def recorded(
        self, *, verb: str, origin: str, opened: bool
    ) -> Generator[Callable[[int, str, object], Outcome | None]]:
        """After the run: look up what the journal holds of items that the run did not read.

        The function that it gives takes the index, the reference and the item, by ascending index, and returns the
        recorded outcome, or None. It reads the file, which blocks; a file that cannot be read holds nothing.

        Args:
            verb: of the run.
            origin: of the server.
            opened: whether the run has opened the journal, which compares more than verb and server.
        """
        from aioconnections.journal.summary import RecordedItems

        def is_usable(run: Report) -> bool:
            if (run.verb, run.origin) != (verb, origin):
                return False
            if opened or self._max_age is None or run.finished is None:
                return True
            return self._now() / _SECOND - run.finished.timestamp() < self._max_age

        with RecordedItems(self._path, is_usable) as items:

            def find(index: int, reference: str, item: object) -> Outcome | None:
                found = None if opened and index > self._last_index else items.find(index, reference)
                return None if found is None else found.replay(item)

            yield find

    async def history(self, index: int, item: str) -> ItemHistory | None:
        """What an earlier run recorded of an item; None if nothing.

        Raises:
            JournalMismatchError: it recorded another item at this index.
            JournalError: it cannot be read any more.
        """
        writer = self._opened()
        found = await self._found(writer, index, item) if index <= writer.last_index else None
        lost = None if self._opened_as is None or not self._changes else self._opened_as.lost
        if lost is None or (found is not None and found.finished):
            return found
        age = max(0, self._now() - lost) / _SECOND
        return ItemHistory(None, _ALL_SENDS, None if found is None else found.intent_at, age, log_lost=True)

    async def _found(self, writer: Writer, index: int, item: str) -> ItemHistory | None:
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
        was, sends, intent, wall, data, stored_at = found
        if was not in (item, NOTHING):
            raise JournalMismatchError(index, was, item)
        stored = StoredOutcome.from_text(data) if data is not None else None
        recorded_at = None if stored is None or stored_at is None else moment(stored_at)
        if intent is None or wall is None:
            return ItemHistory(stored, recorded_at=recorded_at)
        now = self._now()
        age = max(0, now - wall) / _SECOND if intent >= self._known_from else None
        return ItemHistory(stored, sends, wall / _SECOND, age, recorded_at)

    async def intent(self, index: int, item: str, *, send: int) -> None:
        """Record that something is about to be sent; returns once that is on the disk.

        Args:
            index: of the item.
            item: see `item_reference`.
            send: 1 the first time, 2 if it is sent again; the same number again if it certainly was not sent.

        Raises:
            JournalDiskError: it is not on the disk, or nobody knows: nothing must be sent.
        """
        await self._add(index, "intent", item, str(send), durable=True)

    async def outcome(self, index: int, item: str, stored: StoredOutcome, *, durable: bool) -> datetime:
        """Record what came of an item, and give the time that is recorded with it.

        Args:
            index: of the item.
            item: see `item_reference`.
            stored: see `to_stored`.
            durable: whether to return once it is on the disk. If not, the call returns at once, unless very many wait
                to be written, and a later call or `aclose` says if it failed.

        Raises:
            JournalDiskError: this, or something before it, could not be written.
        """
        return moment(await self._add(index, "outcome", item, stored.to_text(), durable=durable))

    async def finish(self) -> None:
        """Record that the run is finished: the source is exhausted, and each item has a verdict.

        A finished run that was given again stays as old as it was, also if items were added.

        Raises:
            JournalDiskError: it could not be written.
        """
        since = None if self._opened_as is None else self._opened_as.head.finished
        if since is None or self._added:
            await self._add(-1, "end", NOTHING, str(self._now() if since is None else since), durable=True)

    async def aclose(self) -> None:
        """Write what is left and give up the file. Closing twice is fine, and so is closing what was never opened.

        Raises:
            JournalDiskError: something could not be written, and no call has stored so yet.
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

    async def _add(self, index: int, kind: str, item: str, data: str, *, durable: bool) -> int:
        """Queue a row; its time in microseconds."""
        writer = self._opened()
        if not (item.isascii() and data.isascii()):
            try:
                _ = item.encode(), data.encode()
            except UnicodeEncodeError:
                raise InvalidInputError("a journal holds no lone surrogates") from None
        if writer.failure is not None:
            self._failure_told = True
            raise copy(writer.failure)
        now = self._now()
        written = writer.add((index, kind, item, data, now), durable=durable)
        self._added = True
        if written is not None:
            try:
                await written.wait()
            except JournalDiskError:
                self._failure_told = True
                raise
        return now

    def _opened(self) -> Writer:
        if self._writer is None:
            raise UsageError("the journal is not open")
        return self._writer

    def _now(self) -> int:
        """The wall clock in microseconds; notices when it was set back."""
        now = int(self._wall() * _SECOND)
        if now < self._newest - SET_BACK and self._writer is not None and self._writer.opening.value is not None:
            self._known_from = self._writer.opening.value.head.mark.seq + 1
        self._newest = max(self._newest, now)
        return now

    def __repr__(self) -> str:
        return f"Journal({str(self._path)!r}, {'open' if self._writer else 'closed'})"

    def __del__(self) -> None:
        # a constructor that was interrupted leaves nothing behind that would have to be told of
        if hasattr(self, "_writer") and self._writer is not None:
            warnings.warn(f"the journal {self._path.name} was not closed", ResourceWarning, stacklevel=2, source=self)
            self._writer.close()


def _seconds(value: object) -> float | None:
    """A time that `max_age` may be.

    Raises:
        InvalidInputError: it is none.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0):
        raise InvalidInputError(f"max_age is a number of seconds, 0 or more, or None, not {value!r}")
    return value


def _teller() -> Tell:
    """How a thread has the running loop call something."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        import trio

        return trio.lowlevel.current_trio_token().run_sync_soon
