"""How a run gets its journal: the lock first, then a look, and where there is none, a new one.

A check that is finished and older than the run wants it keeps its journal under another name: nothing is deleted.
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
    """What a run wants of its journal.

    Attributes:
        binding: what the run is.
        now: microseconds of the wall clock.
        changes: whether it changes something on the server.
        max_age: seconds that a finished run may be old if it only asked; None refuses one of any age.
        may_be_lost: whether to go on if the log of the journal is lost.
        wanted: asked now and then whether to go on.
    """

    binding: Binding
    now: int
    changes: bool = True
    max_age: float | None = None
    may_be_lost: bool = False
    wanted: Callable[[], bool] = lambda: True


@define
class Opened:
    """A journal that a run has begun to use.

    Attributes:
        held: to write to.
        head: where it ended before.
        lost: when its log was lost, in microseconds, for the last time; None if it never was.
        kept: where a finished run went that was too old; None if there was none.
    """

    held: Held
    head: JournalEnd
    lost: int | None
    kept: Path | None = None
    _left: ExitStack = field(repr=False, factory=ExitStack)

    def close(self) -> None:
        """Give it up; the lock goes last."""
        self._left.close()


def begin(path: Path, wish: OpenRequest) -> Opened:
    """Open the journal, and make it if there is none.

    Raises:
        JournalError: it cannot be used, and why.
    """
    recognise_at_once(path)
    with ExitStack() as left:
        with os_errors(path.name):
            lock = take(path)
        left.callback(lock.release)
        head, kept = _looked_at(path, wish), None
        if head.finished is not None and not wish.changes and _is_too_old(path, head.finished, wish):
            kept = _set_aside(path, lock, head)
            head = _looked_at(path, wish)
        held = Held(path, lock, head, lost_at=wish.now if head.log_lost else None)
        left.callback(held.close)
        return Opened(held, head, wish.now if head.log_lost else head.lost, kept, left.pop_all())


def _looked_at(path: Path, wish: OpenRequest) -> JournalEnd:
    """Where the journal ends, which is made if there is none."""
    ensure(path, wish.binding, wish.now)
    return verified(path, wish.binding, wish.wanted, may_be_lost=wish.may_be_lost)


def _is_too_old(path: Path, finished: int, wish: OpenRequest) -> bool:
    """Whether a finished check is.

    Raises:
        JournalFinishedError: any is too old.
    """
    if wish.max_age is None:
        when = datetime.fromtimestamp(finished / 1_000_000, UTC)
        raise JournalFinishedError(
            f"the journal {path.name} records a check that was finished at {when:%Y-%m-%d %H:%M:%S} UTC; say with "
            f"max_age= how many seconds its answers may be old (math.inf: any age), or choose another path"
        )
    if finished - wish.now > SET_BACK:  # the clock was set back, so that the age cannot be told
        return wish.max_age != math.inf
    return (wish.now - finished) / 1_000_000 >= wish.max_age


def _set_aside(path: Path, lock: Lock, head: JournalEnd) -> Path:
    """Give a journal the next free number; the new path. Its lock file stays where it is, for its old name."""
    Held(path, lock, head).close()  # which leaves no log
    with os_errors(path.name):
        if os.path.lexists(log_path(path)):
            raise JournalError(f"{log_path(path).name} could not be copied into {path.name}, which stays as it is")
        for number in count(1):
            target = path.with_name(f"{path.name}.{number}")
            if _is_taken(target):
                continue
            try:
                locked = take(target)  # and with it the right to make a file of this name
            except JournalLockedError:
                continue
            try:
                if not _is_taken(target):
                    path.rename(target)
                    sync_folder(path)
                    return target
            finally:
                locked.release()
    raise AssertionError("numbers do not end")


def _is_taken(path: Path) -> bool:
    return any(os.path.lexists(f"{path}{rest}") for rest in ("", "-wal", "-journal"))
