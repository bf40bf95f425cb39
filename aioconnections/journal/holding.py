"""A journal that is open for writing: the mark that says so, what is compared before each commit, and the way out.

Opening closes first what a run left that was killed, so that the log begins again. Then it commits the mark to the log
and copies it into the main file before any intent may follow; the log stays. Closing commits that there is no mark,
copies the log into the main file and removes it. Killed between any two of these steps, the two files together say the
same as before, and no marked file is without a log.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

from attrs import evolve

from aioconnections.errors import JournalDiskError, JournalError
from aioconnections.journal import database
from aioconnections.journal.database import SqliteConnection, make_durable, one, os_errors
from aioconnections.journal.file import (
    LOG_HEADER_SIZE,
    RUN,
    Mark,
    link,
    log_begins,
    log_header,
    log_path,
    mark_of,
    root,
)
from aioconnections.journal.items import NOTHING
from aioconnections.journal.lock import Lock, lock_path
from aioconnections.journal.reading import LOST, JournalEnd

__all__ = ["Held", "Statement"]

Statement: TypeAlias = tuple[str, tuple[Any, ...]]

_INSERT = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)"
_MARK = "UPDATE run SET generation = ?, open = ?, log = ?, seq = ?, chain = ?, seal = ?"


class Held:
    """A journal that is open for writing, until it is closed.

    Args:
        path: of the journal, which must be locked.
        lock: the lock.
        head: where it was found to end.
        lost_at: the time in microseconds, if it goes on without its log; else None.

    Raises:
        JournalError: it cannot be opened.

    Attributes:
        db: the connection.
        mark: the row of `run` after the last commit.
    """

    def __init__(self, path: Path, lock: Lock, head: JournalEnd, *, lost_at: int | None = None) -> None:
        self._path = path
        self._lock = lock
        self._files: dict[str, tuple[int, int]] = {}
        self._log = str(log_path(path))
        self._size = 0  # of the log
        self.mark: Mark = head.mark
        self._root = root(head.mark)
        with os_errors(path.name):
            for name in (path, log_path(path)):
                _keep_private(name)
            self.db: SqliteConnection = database.connect(path, "rw")
            try:
                self._take(lost_at)
            except BaseException:
                self.close()
                raise

    def _take(self, lost_at: int | None) -> None:
        db, name = self.db, self._path.name
        list(db.execute("PRAGMA locking_mode=EXCLUSIVE"))
        make_durable(db)
        (mode,) = one(db, "PRAGMA journal_mode=WAL")
        if (mode, mark_of(one(db, RUN))) != ("wal", self.mark):
            raise JournalError(f"the journal {name} was changed while it was opened")
        if self.mark.is_open and lost_at is None:
            self._commit((), evolve(self.mark, is_open=False))
        if log_header(self._path):  # else the first salt of the new log would not be random
            self._copied("TRUNCATE")
        mark = self.mark
        statements: list[Statement] = []
        if lost_at is not None:
            seq = mark.seq + 1
            chain = link(mark.chain, seq, -1, LOST, NOTHING, "", lost_at)
            statements.append((_INSERT, (seq, -1, LOST, NOTHING, "", lost_at, chain)))
            mark = evolve(mark, seq=seq, chain=chain)
        mark = evolve(mark, generation=mark.generation + 1, is_open=True, log=None)
        self._commit(statements, mark)
        self._commit((), evolve(mark, log=log_begins(log_header(self._path))))
        if self._copied("FULL") == 0:
            raise JournalError(f"the journal {name} has no log")
        self._note_files()

    def _copied(self, how: Literal["FULL", "TRUNCATE"]) -> int:
        """Copy the log into the main file; how many pages it has then."""
        busy, pages, copied = one(self.db, f"PRAGMA wal_checkpoint({how})")
        if busy or pages != copied:
            name = self._path.name
            raise JournalError(f"the journal {name} is in use by another program: its log could not be copied into it")
        return int(pages)

    def commit(self, statements: Iterable[Statement], seq: int, chain: bytes) -> None:
        """Make rows durable, the last of which has this number and hash.

        Raises:
            JournalDiskError: another program has removed or replaced one of the files.
            sqlite3.Error: the rows cannot be written.
        """
        self._compare_files(settled=True)
        self._commit(statements, evolve(self.mark, seq=seq, chain=chain))
        self._compare_files(settled=False)  # a row in a log that has no name any more would be lost

    def _commit(self, statements: Iterable[Statement], mark: Mark) -> None:
        db = self.db
        db.execute("BEGIN")
        for statement, values in statements:
            db.execute(statement, values)
        db.execute(_MARK, (mark.generation, int(mark.is_open), mark.log, mark.seq, mark.chain, mark.seal(self._root)))
        db.execute("COMMIT")
        self.mark = mark

    def _note_files(self) -> None:
        for file in (self._path, log_path(self._path)):
            found = file.lstat()
            self._files[str(file)] = (found.st_dev, found.st_ino)
            self._size = found.st_size
        if self._lock.identity is not None:
            self._files[str(lock_path(self._path))] = self._lock.identity

    def _compare_files(self, *, settled: bool) -> None:
        """Refuse to go on if a file was removed or replaced, or the log, if it is `settled`, grew or shrank."""
        for file, identity in self._files.items():
            try:
                found = os.lstat(file)  # of a string, which is faster: this is done at each commit
            except FileNotFoundError:
                raise _meddled("removed", file) from None
            if (found.st_dev, found.st_ino) != identity:
                raise _meddled("replaced", file)
            if file == self._log:
                if settled and found.st_size != self._size:
                    raise _meddled("changed", file)
                self._size = found.st_size

    def close(self) -> None:
        """Take the mark away, copy the log into the main file, and give up everything but the lock.

        What was promised is on the disk before; so errors are of no consequence, but that the mark may stay.
        """
        header = log_header(self._path)
        marked = True
        with suppress(sqlite3.Error):
            with suppress(sqlite3.Error):
                list(self.db.execute("ROLLBACK"))  # of a commit that failed
            mark = mark_of(one(self.db, RUN))  # a commit that failed may have been made
            if mark is not None and mark.is_open:
                self._commit((), evolve(mark, is_open=False))
            marked = False
            list(self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
        try:
            self.db.close()
        finally:
            if marked:
                _put_back(log_path(self._path), header)


def _meddled(how: str, file: str) -> JournalDiskError:
    return JournalDiskError(f"another program has {how} {Path(file).name} during the run")


def _put_back(log: Path, header: bytes) -> None:
    """Put a log without rows in the place of one that SQLite removed while the mark could not be taken away.

    It removes a log only if all of it is in the main file, durably.
    """
    if len(header) == LOG_HEADER_SIZE:
        with suppress(OSError):
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(descriptor, header)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _keep_private(path: Path) -> None:
    """Take away from others what they were given since: the file holds addresses."""
    if os.name != "nt":
        with suppress(FileNotFoundError):
            if stat.S_IMODE(path.lstat().st_mode) & 0o077:
                path.chmod(0o600)
