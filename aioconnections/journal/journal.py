"""`Journal`, the asynchronous interface to a journal."""

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
from typing import TYPE_CHECKING, Literal, cast

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
from aioconnections.reprs import safe_repr

if TYPE_CHECKING:
    from aioconnections.journal.opening import Opened
    from aioconnections.journal.summary import Report
    from aioconnections.journal.writer import HistoryPage, Tell, ThreadReply, Writer
    from aioconnections.outcomes import Outcome
    from aioconnections.policy.timeline import Timeline

__all__ = ["Journal"]

_PAGE = 512  # indices per read
_KEPT = 4  # pages in the cache: a run processes its items nearly in order
_SECOND = 1_000_000
_SAME_MOMENT = 1_000  # microseconds; the checks that end within them are recorded with the same time
_ALL_SENDS = 2  # the maximum number of times that a change is sent


class Journal:
    """The record of one bulk run in a file, from which an interrupted run can be resumed.

    ``client.invite_many(people, message="…", journal=Journal("invites.sqlite"))``

    Run the same command with the same journal again to resume the run: finished items keep their recorded outcomes
    without another request, and changes in doubt are verified before they are retried. The guarantees:

    - The intent to send a change is on the disk before the first byte is sent, so a killed process or a power cut never
      leads to a second invitation. Outcomes of checks may be lost for the last tenth of a second; these items are
      checked again.
    - A file records one run: it is bound to the verb, the server and the signed-in user, and each item to its index. A
      run that differs is refused.
    - While a journal is open, a second run with it is refused, in this process or another. The lock is on a file of the
      same name with the suffix ``.lock``, which is never removed; on Windows it is SQLite's own lock.
    - A file that was cut off after the last commit is resumed there. A file that is damaged before that point, or is
      not a journal, is refused.
    - A full or failing disk stops the run before the next change is sent, and so does another program that removes or
      replaces one of the files.
    - An open journal consists of two files: the latest rows are in the log, a file of the same name with the suffix
      ``-wal``. If the log of an interrupted run is missing, the journal is refused with `JournalLogMissingError`. A log
      that was truncated at the end of a commit cannot be detected: keep the two files together.
    - The outcomes of a finished check are reused only within `max_age`, and carry their time: `Outcome.recorded_at`.
    - The file holds the references of the items, times, outcomes, and hashes of messages, but no text of a message, no
      cookie and no header. Only its owner may read it.

    The file is created when a run with the journal is entered. Its folder must exist, on a local disk.

    Args:
        path: path of the file.
        max_age: the age in seconds below which a finished check (a run that changes nothing) is reused; `math.inf` for
            any age. The file of an older check is renamed to the next free name of the form ``invites.sqlite.1``, and
            the run starts with an empty journal. Without `max_age`, a finished check is refused with
            `JournalFinishedError`. Unfinished runs, and runs that change something, are resumed at any age.
        lost_log: ``"in_doubt"`` resumes a journal whose log is lost. In this run and all later ones, each item without
            a final outcome, recorded or not, may have been sent: it is verified, and never sent again. A check loses
            only outcomes, and repeats these items.

    Raises:
        InvalidInputError: an argument has a value that is not allowed.
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
            raise InvalidInputError(f'lost_log must be "in_doubt" or None, not {lost_log!r}')
        self._path = _path(path)
        self._max_age = _seconds(max_age)
        self._may_be_lost = lost_log is not None
        self._wall: Callable[[], float] = time.time
        self._failure_raised = False
        self._pages: OrderedDict[int, ThreadReply[HistoryPage]] = OrderedDict()
        self._newest = 0  # the latest time that the journal or this run has seen, in microseconds
        self._noted = 0  # the time of the last row of `note_check`
        self._noted_at = moment(0)
        self._known_from = 0  # number of the first row whose age is known
        self._opened_as: Opened | None = None
        self._changes = True
        self._added = False  # whether this run has added a row
        self._last_index = -1

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self._path

    @property
    def kept(self) -> Path | None:
        """The new path of an earlier check that was renamed because of `max_age`; None if none was."""
        return None if self._opened_as is None else self._opened_as.kept

    @property
    def was_finished(self) -> bool:
        """Whether the run was finished when the journal was last opened."""
        return self._opened_as is not None and self._opened_as.head.finished is not None

    @property
    def last_index(self) -> int:
        """The greatest index that earlier runs had recorded when the journal was last opened; -1 if there is none."""
        return self._last_index

    @property
    def busy_for(self) -> float:
        """Seconds that the write to the disk under way has taken so far, in any thread; 0 if there is none.

        Normally it is a few milliseconds. Changes are sent only when their intent is on the disk, so a slow disk
        delays them.
        """
        since = None if self._writer is None else self._writer.committing_since
        return 0.0 if since is None else max(0.0, time.monotonic() - since)

    async def open(self, *, verb: str, origin: str, userid: str | None, changes: bool = True) -> None:
        """Begin a run, or resume the recorded one.

        Args:
            verb: what the run does.
            origin: origin of the server.
            userid: id of the signed-in user; None if there is none.
            changes: whether the run changes something on the server.

        Raises:
            JournalLockedError: the journal is already open, in this process or another.
            JournalBoundError: the journal records a run of another verb, server or user.
            JournalFinishedError: the journal records a finished check, and there is no `max_age`.
            JournalLogMissingError: the log is missing.
            JournalDiskError: the disk is full or failing.
            JournalError: the file is damaged, not a journal, or cannot be opened.
        """
        from aioconnections.journal.file import Binding
        from aioconnections.journal.opening import OpenRequest
        from aioconnections.journal.writer import Writer

        if self._writer is not None:
            raise JournalLockedError(f"the journal {self._path.name} is open already")
        self._newest = 0
        self._changes = changes
        self._added = False
        request = OpenRequest(
            binding=Binding(verb, origin, userid),
            now=self.now(),
            changes=changes,
            max_age=self._max_age,
            may_be_lost=self._may_be_lost,
        )
        writer = Writer(self._path, request, _scheduler(), _soon())
        self._writer = writer
        self._failure_raised = False
        self._pages.clear()
        writer.thread.start()
        try:
            opened = await writer.opening.wait()
        except BaseException:
            await self._end(writer)
            raise
        assert opened is not None  # noqa: S101 # set unless `wait` raises
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
        """Look up, after the run, the recorded outcomes of items that the run did not read.

        Yields a function that takes the index, the reference and the item, in ascending order of the index, and returns
        the recorded outcome or None. It blocks while it reads the file; an unreadable file counts as empty.

        Args:
            verb: verb of the run.
            origin: origin of the server.
            opened: whether the run opened the journal, which compares more than the verb and the server.
        """
        from aioconnections.journal.summary import RecordedItems

        def is_usable(run: Report) -> bool:
            if (run.verb, run.origin) != (verb, origin):
                return False
            if opened or self._max_age is None or run.finished is None:
                return True
            return self.now() / _SECOND - run.finished.timestamp() < self._max_age

        with RecordedItems(self._path, is_usable) as items:

            def find(index: int, reference: str, item: object) -> Outcome | None:
                found = None if opened and index > self._last_index else items.find(index, reference)
                return None if found is None else found.replay(item)

            yield find

    async def history(self, index: int, item: str) -> ItemHistory | None:
        """The rows of earlier runs about an item; None if there are none.

        Raises:
            JournalMismatchError: another item is recorded at this index.
            JournalError: the journal can no longer be read.
        """
        writer = self._opened()
        found = await self._found(writer, index, item) if index <= writer.last_index else None
        lost = None if self._opened_as is None or not self._changes else self._opened_as.lost
        if lost is None or (found is not None and found.finished):
            return found
        age = max(0, self.now() - lost) / _SECOND
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
        now = self.now()
        age = max(0, now - wall) / _SECOND if intent >= self._known_from else None
        return ItemHistory(stored, sends, wall / _SECOND, age, recorded_at)

    async def intent(self, index: int, item: str, *, send: int) -> None:
        """Record that a change is about to be sent; returns once the intent is on the disk.

        Args:
            index: index of the item.
            item: see `item_reference`.
            send: 1 the first time, 2 if the change is sent again; the same number if it was certainly not sent.

        Raises:
            JournalDiskError: the intent may not be on the disk: the change must not be sent.
        """
        await self._add(index, "intent", item, str(send), durable=True)

    async def outcome(self, index: int, item: str, stored: StoredOutcome, *, durable: bool) -> datetime:
        """Record the outcome of an item, and return the time that is recorded with it.

        Args:
            index: index of the item.
            item: see `item_reference`.
            stored: see `to_stored`.
            durable: whether to return only once the outcome is on the disk. If not, the call waits only while the
                queue is full, and a later call or `aclose` raises the error of a failed write.

        Raises:
            JournalDiskError: this row or an earlier one could not be written.
        """
        return moment(await self._add(index, "outcome", item, stored.to_text(), durable=durable))

    def note_outcome(
        self, index: int, item: str, data: str, now: int, written: Callable[[JournalDiskError | None], object]
    ) -> None:
        """Record the outcome of an item without a wait.

        Args:
            index: index of the item.
            item: see `item_reference`.
            data: see `stored_text`.
            now: time of the row; see `now`.
            written: called once the outcome is on the disk, with None, or with the error if it could not be written.

        Raises:
            JournalDiskError: an earlier row could not be written.
        """
        writer = self._opened()
        reply = self._queue(index, "outcome", item, data, now, durable=True)
        assert reply is not None  # noqa: S101 # the row is durable

        def settled() -> None:
            failure = None if reply.failure is None else writer.failure
            if failure is not None:
                self._failure_raised = True
            written(failure)

        reply.call(settled)

    @property
    def has_room(self) -> bool:
        """Whether `note_check` may be called: the journal is open, no write has failed, and few rows are queued."""
        writer = self._writer
        return writer is not None and writer.has_room

    def note_check(self, index: int, item: str, data: str) -> datetime:
        """Record the outcome of a check without a wait, and return the time that is recorded with it.

        A later call or `aclose` raises the error of a failed write. Call this only while there is room.

        Args:
            index: index of the item.
            item: see `pair_reference`.
            data: see `checked_text`.
        """
        now = int(self._wall() * _SECOND)
        if not 0 <= now - self._noted < _SAME_MOMENT:
            self._noted = self.now()
            self._noted_at = moment(self._noted)
        self._opened().queue((index, "outcome", item, data, self._noted))
        self._added = True
        return self._noted_at

    @property
    def timeline(self) -> Timeline | None:
        """The course of the run, with that of earlier runs; None if the journal is of a format without one."""
        return None if self._opened_as is None else self._opened_as.head.timeline

    def save_timeline(self) -> None:
        """Record what has changed in `timeline`, with the next rows or when the journal is closed."""
        timeline = self.timeline
        if timeline is not None and self._writer is not None:  # else a failure has closed it
            replace, rows = timeline.changes()
            self._writer.note_timeline(rows, replace=replace)

    def now(self) -> int:
        """The wall clock in microseconds, as the time of the next row."""
        now = int(self._wall() * _SECOND)
        if now > self._newest:
            self._newest = now
        elif now < self._newest - SET_BACK and self._writer is not None and self._writer.opening.value is not None:
            self._known_from = self._writer.opening.value.head.mark.seq + 1
        return now

    async def refuse_shorter(self, count: int) -> None:
        """Refuse an input that has ended after `count` items, if earlier runs recorded more.

        Raises:
            JournalMismatchError: see above.
            JournalError: the journal can no longer be read.
        """
        if count <= self._last_index:
            _ = await self._found(self._opened(), self._last_index, "")  # raises if the item could be read
            raise JournalMismatchError(self._last_index, NOTHING, "")

    async def finish(self) -> None:
        """Record that the run is finished: the source is exhausted, and each item has a final outcome.

        A finished run that is repeated keeps its time, even if items were added.

        Raises:
            JournalDiskError: the row could not be written.
        """
        since = None if self._opened_as is None else self._opened_as.head.finished
        if since is None or self._added:
            await self._add(-1, "end", NOTHING, str(self.now() if since is None else since), durable=True)

    async def aclose(self) -> None:
        """Write the queued rows and close the file. Does nothing if the journal is not open.

        Raises:
            JournalDiskError: a row could not be written, and no earlier call has raised the error.
        """
        writer = self._writer
        if writer is None:
            return
        await self._end(writer)
        if writer.failure is not None and not self._failure_raised:
            self._failure_raised = True
            raise copy(writer.failure)

    async def _end(self, writer: Writer) -> None:
        writer.close()
        try:
            with anyio.CancelScope(shield=True):  # closing is bounded local work
                if _scheduler() == writer.tell:
                    await writer.closed.wait()
        finally:  # asyncio's Task.cancel() ignores shields
            writer.thread.join()  # already ending, unless the journal was opened in another loop
            if self._writer is writer:
                self._writer = None

    async def _add(self, index: int, kind: str, item: str, data: str, *, durable: bool) -> int:
        """Queue a row, wait if that is necessary, and return the time of the row in microseconds."""
        now = self.now()
        written = self._queue(index, kind, item, data, now, durable=durable)
        if written is not None:
            try:
                await written.wait()
            except JournalDiskError:
                self._failure_raised = True
                raise
        return now

    def _queue(
        self, index: int, kind: str, item: str, data: str, now: int, *, durable: bool
    ) -> ThreadReply[None] | None:
        """Queue a row; see `Writer.add`."""
        writer = self._opened()
        if not (item.isascii() and data.isascii()):
            try:
                _ = item.encode(), data.encode()
            except UnicodeEncodeError:
                raise InvalidInputError("a journal cannot hold lone surrogates; remove them from the item") from None
        if writer.failure is not None:
            self._failure_raised = True
            raise copy(writer.failure)
        self._added = True
        return writer.add((index, kind, item, data, now), durable=durable)

    def _opened(self) -> Writer:
        if self._writer is None:
            raise UsageError("the journal is not open")
        return self._writer

    @safe_repr
    def __repr__(self) -> str:
        return f"Journal({str(self._path)!r}, {'open' if self._writer else 'closed'})"

    def __del__(self) -> None:
        # the attribute is missing if the constructor was interrupted
        if hasattr(self, "_writer") and self._writer is not None:
            warnings.warn(f"the journal {self._path.name} was not closed", ResourceWarning, stacklevel=2, source=self)
            self._writer.close()


def _path(path: object) -> Path:
    """The path of the file, if it is one that a file system can have."""
    try:
        found = Path(cast("str", path))
        os.fsencode(found)
        possible = "\0" not in str(found) and bool(found.name)
    except (TypeError, UnicodeError):
        found, possible = Path(), False
    if possible:
        return found
    raise InvalidInputError("path must be the path of a file, as text without NUL characters and lone surrogates")


def _seconds(value: object) -> float | None:
    """Check `max_age`.

    Raises:
        InvalidInputError: it is not a number of seconds.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0):
        raise InvalidInputError(f"max_age must be a number of seconds, 0 or more, or None, not {value!r}")
    return value


def _scheduler() -> Tell:
    """The thread-safe function that schedules a call in the running event loop."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        import trio

        return trio.lowlevel.current_trio_token().run_sync_soon


def _soon() -> Tell:
    """The function that schedules a call in the running event loop after the current turn."""
    try:
        return asyncio.get_running_loop().call_soon
    except RuntimeError:
        return _scheduler()
