"""The lock of a journal: `flock` on a file beside it, NAME.lock, which is never removed.

The locks that SQLite itself takes belong to the process and the inode: closing any other descriptor of the journal in
the same process, as ``open(path).read()`` does, drops them. A lock of `flock` belongs to its open file, so only closing
that one ends it. It is taken before the journal is looked at, made or renamed. A forked child closes its copy, because
the lock would else outlive the process that took it.

Windows has no `flock`. There SQLite's own lock, which no other descriptor drops, is the only one.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from pathlib import Path

from aioconnections.errors import JournalError, JournalLockedError

__all__ = ["Lock", "lock_path", "take"]

_TRIES = 8  # how often the lock file may be replaced under our hands
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}

_held: set[Lock] = set()
_guard = threading.Lock()  # held while a descriptor is opened or closed, so that a fork sees all of them


class Lock:
    """A lock that is held until it is released.

    Attributes:
        descriptor: of the lock file; None if there is nothing to hold any more.
        identity: device and inode of the lock file; None if there never was one.
    """

    def __init__(self, descriptor: int | None, identity: tuple[int, int] | None = None) -> None:
        self.descriptor: int | None = descriptor
        self.identity: tuple[int, int] | None = identity

    def release(self) -> None:
        """Give the lock up. Releasing it twice is fine."""
        with _guard:
            descriptor, self.descriptor = self.descriptor, None
            _held.discard(self)
            if descriptor is not None:
                if sys.platform != "win32":
                    import fcntl

                    fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child between fork and exec has a copy
                os.close(descriptor)

    def forget(self) -> None:
        """Close the copy of a forked child, which leaves the lock to the parent."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _forget_all() -> None:
    for lock in _held:
        lock.forget()
    _held.clear()
    _guard.release()


if hasattr(os, "register_at_fork"):  # once per process: what is registered cannot be taken back
    os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_forget_all)


def lock_path(path: Path) -> Path:
    """The lock file of a journal."""
    return path.with_name(f"{path.name}.lock")


def take(path: Path, *, shared: bool = False) -> Lock:
    """Lock the journal `path`, which need not exist.

    Args:
        path: of the journal.
        shared: whether other readers may have it at the same time. If the lock file does not exist and cannot be made,
            because the folder is read-only, a reader goes without it: no run can begin there, either.

    Raises:
        JournalLockedError: a run or, unless `shared`, a report has it.
        JournalError: the lock file is not one.
        OSError: it cannot be opened.
    """
    if sys.platform == "win32":
        return Lock(None)
    for _ in range(_TRIES):
        lock = _opened(path, shared=shared)
        if lock.descriptor is None:
            return lock
        try:
            _flock(lock.descriptor, path, shared=shared)
            if _is_there(path, lock):
                return lock
        except BaseException:
            lock.release()
            raise
        lock.release()
    raise JournalError(f"the journal {path.name} cannot be locked: {lock_path(path).name} is replaced all the time")


def _opened(path: Path, *, shared: bool) -> Lock:
    file = lock_path(path)
    flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # the last one for a FIFO
    with _guard:
        try:
            descriptor = _descriptor(file, flags, shared=shared)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO}:
                raise _strange(file, "no regular file") from None
            if error.errno in {errno.EACCES, errno.EPERM} and os.path.lexists(file):
                raise _strange(file, "not readable and writable for this user") from None
            raise
        if descriptor is None:
            return Lock(None)
        lock = Lock(descriptor)
        _held.add(lock)
    found = os.fstat(descriptor)
    problem = _problem(file, found)
    if problem is not None:
        lock.release()
        raise _strange(file, problem)
    lock.identity = found.st_dev, found.st_ino
    return lock


def _descriptor(file: Path, flags: int, *, shared: bool) -> int | None:
    """The lock file, opened; None where a reader has to do without."""
    if not shared:
        return os.open(file, flags | os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return os.open(file, flags | os.O_RDONLY)
    except FileNotFoundError:
        pass
    try:
        return os.open(file, flags | os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        if error.errno in _READ_ONLY:
            return None
        raise


def _problem(file: Path, found: os.stat_result) -> str | None:
    if not stat.S_ISREG(found.st_mode):
        return "no regular file"
    if found.st_uid != os.geteuid() and file.absolute().parent.stat().st_mode & 0o022:
        return "of another user, in a folder where any user may put files"
    return None


def _strange(file: Path, problem: str) -> JournalError:
    return JournalError(f"{file.name} is {problem}, so the journal cannot be locked; remove it or choose another path")


def _flock(descriptor: int, path: Path, *, shared: bool) -> None:
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            raise JournalLockedError(f"the journal {path.name} is in use by another run or report") from None
        problem = f"{lock_path(path).name} cannot be locked: {error.strerror}; use a disk of this machine"
        raise JournalError(problem) from None


def _is_there(path: Path, lock: Lock) -> bool:
    """Whether the file that was locked still has its name."""
    try:
        found = lock_path(path).lstat()
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == lock.identity
