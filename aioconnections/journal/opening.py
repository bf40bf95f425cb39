"""Opens the journal of a run: locks it, creates the file if it does not exist, and verifies it.

A journal of a finished check that is older than `max_age` is renamed, not deleted.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from attrs import define, field, frozen

from aioconnections.errors import JournalError, JournalFinishedError, JournalLockedError
from aioconnections.journal.database import os_errors
from aioconnections.journal.file import Binding, ensure, log_path, recognise_at_once, sync_folder
from aioconnections.journal.holding import Held
from aioconnections.journal.lock import Lock, take
from aioconnections.journal.reading import JournalEnd, verified
from aioconnections.journal.stored import SET_BACK

__all__ = ["OpenRequest", "Opened", "begin"]


@frozen(kw_only=True)
class OpenRequest:
    """The parameters with which a run opens its journal.

    Attributes:
        binding: verb, server and user of the run.
        now: microseconds of the wall clock.
        changes: whether the run changes something on the server.
        max_age: the age in seconds below which a finished check is reused; None refuses a finished check.
        may_be_lost: whether to accept a journal whose log is missing.
        is_wanted: called during the verification, which stops if the result is False.
    """

    binding: Binding
    now: int
    changes: bool = True
    max_age: float | None = None
    may_be_lost: bool = False
    is_wanted: Callable[[], bool] = lambda: True


@define
class Opened:
    """An open journal.

    Attributes:
        held: the open database.
        head: the end of the journal when it was opened.
        lost: when the log was last found missing, in microseconds; None if it never was.
        kept: the new path of the expired journal that was renamed; None if none was.
    """

    held: Held
    head: JournalEnd
    lost: int | None
    kept: Path | None = None
    _stack: ExitStack = field(repr=False, factory=ExitStack)

    def close(self) -> None:
        """Close the database, then release the lock."""
        self._stack.close()


def begin(path: Path, request: OpenRequest) -> Opened:
    """Open the journal, and create it if it does not exist.

    Raises:
        JournalError: the journal cannot be used.
    """
    recognise_at_once(path)
    with ExitStack() as stack:
        with os_errors(path.name):
            lock = take(path)
        stack.callback(lock.release)
        head, kept = _verified_end(path, request), None
        if head.finished is not None and not request.changes and _is_expired(path, head.finished, request):
            kept = _set_aside(path, lock, head)
            head = _verified_end(path, request)
        held = Held(path, lock, head, lost_at=request.now if head.log_lost else None)
        stack.callback(held.close)
        return Opened(held, head, request.now if head.log_lost else head.lost, kept, stack.pop_all())


def _verified_end(path: Path, request: OpenRequest) -> JournalEnd:
    """The verified end of the journal, which is created if it does not exist."""
    ensure(path, request.binding, request.now)
    return verified(path, request.binding, request.is_wanted, may_be_lost=request.may_be_lost)


def _is_expired(path: Path, finished: int, request: OpenRequest) -> bool:
    """Whether a finished check is older than `max_age`.

    Raises:
        JournalFinishedError: there is no `max_age`.
    """
    if request.max_age is None:
        when = datetime.fromtimestamp(finished / 1_000_000, UTC)
        raise JournalFinishedError(
            f"the journal {path.name} records a check that was finished at {when:%Y-%m-%d %H:%M:%S} UTC; pass max_age= "
            f"(seconds) to reuse its outcomes (math.inf: any age), or choose another path"
        )
    if finished - request.now > SET_BACK:  # the clock was set back, so the age is unknown
        return request.max_age != math.inf
    return (request.now - finished) / 1_000_000 >= request.max_age


def _set_aside(path: Path, lock: Lock, head: JournalEnd) -> Path:
    """Rename a journal with the next free number, and return the new path. The lock file keeps its name."""
    Held(path, lock, head).close()  # copies the log into the database and removes it
    with os_errors(path.name):
        if os.path.lexists(log_path(path)):
            raise JournalError(f"{log_path(path).name} could not be copied into {path.name}, which is unchanged")
        for number in count(1):
            target = path.with_name(f"{path.name}.{number}")
            if _is_taken(target):
                continue
            try:
                locked = take(target)  # so that no other run creates a file of this name
            except JournalLockedError:
                continue
            try:
                if not _is_taken(target):
                    path.rename(target)
                    sync_folder(path)
                    return target
            finally:
                locked.release()
    raise AssertionError("unreachable: `count` does not end")


def _is_taken(path: Path) -> bool:
    return any(os.path.lexists(f"{path}{rest}") for rest in ("", "-wal", "-journal"))
