"""The lock of a journal: `flock` on the file NAME.lock in the same folder, which is never removed.

SQLite's own locks belong to the process and the inode: closing any other descriptor of the journal in the same process,
as ``open(path).read()`` does, drops them. A `flock` lock belongs to an open file, so only closing that file drops it.
The lock is taken before the journal is read, created or renamed. A forked child closes its copy of the descriptor;
otherwise the lock would outlive the process that took it.

Windows has no `flock`. There SQLite's own lock, which closing another descriptor does not drop, is the only one.
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

_TRIES = 8  # attempts if the lock file is replaced while it is locked
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}

_held: set[Lock] = set()
_guard = threading.Lock()  # held while a descriptor is opened or closed, so that a fork sees all of them


class Lock:
    """A lock that is held until it is released.

    Attributes:
        descriptor: descriptor of the lock file; None if the lock is released, or works without a file.
        identity: device and inode of the lock file; None if the lock works without a file.
    """

    def __init__(self, descriptor: int | None, identity: tuple[int, int] | None = None) -> None:
        self.descriptor: int | None = descriptor
        self.identity: tuple[int, int] | None = identity

    def release(self) -> None:
        """Release the lock. Does nothing if it is released already."""
        with _guard:
            descriptor, self.descriptor = self.descriptor, None
            _held.discard(self)
            if descriptor is not None:
                if sys.platform != "win32":
                    import fcntl

                    fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child between fork and exec has a copy
                os.close(descriptor)

    def forget(self) -> None:
        """Close the copy of the descriptor in a forked child; the parent keeps the lock."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _forget_all() -> None:
    for lock in _held:
        lock.forget()
    _held.clear()
    _guard.release()


if hasattr(os, "register_at_fork"):  # at import, once per process: a function cannot be unregistered
    os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_forget_all)


def lock_path(path: Path) -> Path:
    """The lock file of a journal."""
    return path.with_name(f"{path.name}.lock")


def take(path: Path, *, shared: bool = False) -> Lock:
    """Lock the journal `path`, which need not exist.

    Args:
        path: path of the journal.
        shared: whether other readers may hold the lock at the same time. If the lock file does not exist and cannot be
            created, because the folder is read-only, a reader needs no lock: no run can begin there.

    Raises:
        JournalLockedError: a run or, unless `shared`, a report holds the lock.
        JournalError: the lock file is not safe to use, or cannot be locked.
        OSError: the lock file cannot be opened.
    """
    if sys.platform == "win32":
        return Lock(None)
    for _ in range(_TRIES):
        lock = _opened(path, shared=shared)
        if lock.descriptor is None:
            return lock
        try:
            _flock(lock.descriptor, path, shared=shared)
            if _is_in_place(path, lock):
                return lock
        except BaseException:
            lock.release()
            raise
        lock.release()
    raise JournalError(
        f"the journal {path.name} cannot be locked: another program keeps replacing {lock_path(path).name}"
    )


def _opened(path: Path, *, shared: bool) -> Lock:
    file = lock_path(path)
    flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # O_NONBLOCK: opening a FIFO must not block
    with _guard:
        try:
            descriptor = _descriptor(file, flags, shared=shared)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO}:
                raise _unusable(file, "not a regular file") from None
            if error.errno in {errno.EACCES, errno.EPERM} and os.path.lexists(file):
                raise _unusable(file, "not readable and writable for this user") from None
            raise
        if descriptor is None:
            return Lock(None)
        lock = Lock(descriptor)
        _held.add(lock)
    found = os.fstat(descriptor)
    problem = _problem(file, found)
    if problem is not None:
        lock.release()
        raise _unusable(file, problem)
    lock.identity = found.st_dev, found.st_ino
    return lock


def _descriptor(file: Path, flags: int, *, shared: bool) -> int | None:
    """Open the lock file; None if a reader works without it."""
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
        return "not a regular file"
    if found.st_uid != os.geteuid() and file.absolute().parent.stat().st_mode & 0o022:
        return "owned by another user, in a folder that other users can write to"
    return None


def _unusable(file: Path, problem: str) -> JournalError:
    return JournalError(f"{file.name} is {problem}, so the journal cannot be locked; remove it or choose another path")


def _flock(descriptor: int, path: Path, *, shared: bool) -> None:
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            raise JournalLockedError(f"the journal {path.name} is in use by another run or report") from None
        problem = f"{lock_path(path).name} cannot be locked: {error.strerror}; move the journal to a local disk"
        raise JournalError(problem) from None


def _is_in_place(path: Path, lock: Lock) -> bool:
    """Whether the locked file is still at its path."""
    try:
        found = lock_path(path).lstat()
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == lock.identity
