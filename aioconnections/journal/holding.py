"""Keeps a journal open for writing, and closes it.

Opening first closes the journal of a killed run, so that the log is restarted. It then commits the mark of an open
journal to the log and copies it into the main file, before any intent is written; the log is kept. Closing commits the
removal of the mark, copies the log into the main file and removes the log. If the process is killed between any two of
these steps, no row is lost, and a marked main file always has its log.

Before and after each commit the files are compared with those that were opened.
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
    timeline_seal,
)
from aioconnections.journal.items import NOTHING
from aioconnections.journal.lock import Lock, lock_path
from aioconnections.journal.reading import LOST, JournalEnd
from aioconnections.policy.timeline import TimelineRow

__all__ = ["Held", "Statement"]

Statement: TypeAlias = tuple[str, tuple[Any, ...]]

_INSERT = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)"
_TIMELINE = "INSERT OR REPLACE INTO timeline VALUES (?, ?, ?, ?)"
_MARK = "UPDATE run SET generation = ?, open = ?, log = ?, seq = ?, chain = ?, seal = ?"


class Held:
    """A journal that is open for writing.

    Args:
        path: path of the journal, which must be locked.
        lock: the lock.
        head: the verified end of the journal.
        lost_at: the current time in microseconds, if the log is missing; else None.

    Raises:
        JournalError: the journal cannot be opened.

    Attributes:
        db: the database connection.
        mark: the row of `run` after the last commit.
    """

    def __init__(self, path: Path, lock: Lock, head: JournalEnd, *, lost_at: int | None = None) -> None:
        self._path = path
        self._lock = lock
        self._files: dict[str, tuple[int, int]] = {}
        self._log = str(log_path(path))
        self._size = 0  # bytes of the log
        self.mark: Mark = head.mark
        self._root = root(head.mark)
        with os_errors(path.name):
            for name in (path, log_path(path)):
                _keep_private(name)
            self.db: SqliteConnection = database.connect(path, "rw")
            try:
                self._begin(lost_at)
            except BaseException:
                self.close()
                raise

    def _begin(self, lost_at: int | None) -> None:
        db, name = self.db, self._path.name
        list(db.execute("PRAGMA locking_mode=EXCLUSIVE"))
        make_durable(db)
        (mode,) = one(db, "PRAGMA journal_mode=WAL")
        if (mode, mark_of(one(db, RUN))) != ("wal", self.mark):
            raise JournalError(f"another program has changed the journal {name} while it was opened")
        if self.mark.is_open and lost_at is None:
            self._commit((), evolve(self.mark, is_open=False))
        if log_header(self._path):  # a restarted log continues its salt; a new one would start with a random salt
            self._checkpoint("TRUNCATE")
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
        if self._checkpoint("FULL") == 0:
            raise JournalError(f"the log of the journal {name} is empty after a commit")
        self._note_files()

    def _checkpoint(self, how: Literal["FULL", "TRUNCATE"]) -> int:
        """Copy the log into the main file, and return the number of pages in the log."""
        busy, pages, copied = one(self.db, f"PRAGMA wal_checkpoint({how})")
        if busy or pages != copied:
            name = self._path.name
            raise JournalError(
                f"the journal {name} is in use by another program: its log could not be copied into the main file"
            )
        return int(pages)

    def commit(self, statements: Iterable[Statement], seq: int, chain: bytes) -> None:
        """Commit rows; `seq` and `chain` are the number and the hash of the last one.

        Raises:
            JournalDiskError: another program has removed, replaced or changed one of the files.
            sqlite3.Error: the rows cannot be written.
        """
        self._compare_files(settled=True)
        self._commit(statements, evolve(self.mark, seq=seq, chain=chain))
        self._compare_files(settled=False)  # rows in a removed log would be lost

    def timeline_statements(self, rows: Iterable[TimelineRow], *, replace: bool) -> list[Statement]:
        """Statements for `commit` that write rows of the timeline; `replace` removes all others."""
        statements: list[Statement] = [("DELETE FROM timeline", ())] if replace else []
        return statements + [(_TIMELINE, (*row, timeline_seal(self._root, row))) for row in rows]

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
        """Raise if a file was removed or replaced, or if the size of the log changed although it is `settled`."""
        for file, identity in self._files.items():
            try:
                found = os.lstat(file)  # a string is faster than a Path here, at each commit
            except FileNotFoundError:
                raise _interference("removed", file) from None
            if (found.st_dev, found.st_ino) != identity:
                raise _interference("replaced", file)
            if file == self._log:
                if settled and found.st_size != self._size:
                    raise _interference("changed", file)
                self._size = found.st_size

    def close(self) -> None:
        """Remove the mark, copy the log into the main file, and close the database. The lock is kept.

        All durable rows are on the disk already. If an error occurs here, at most the mark is left.
        """
        header = log_header(self._path)
        marked = True
        with suppress(sqlite3.Error):
            with suppress(sqlite3.Error):
                list(self.db.execute("ROLLBACK"))  # the transaction of a failed commit
            mark = mark_of(one(self.db, RUN))  # a commit that failed may still be on the disk
            if mark is not None and mark.is_open:
                self._commit((), evolve(mark, is_open=False))
            marked = False
            list(self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
        try:
            self.db.close()
        finally:
            if marked:
                _restore_header(log_path(self._path), header)


def _interference(how: str, file: str) -> JournalDiskError:
    return JournalDiskError(f"another program has {how} {Path(file).name} during the run")


def _restore_header(log: Path, header: bytes) -> None:
    """Create a log without rows if SQLite removed the log although the mark could not be removed.

    SQLite removes a log only after all its rows are durable in the main file.
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
    """Remove the permissions of other users, because the file holds e-mail addresses."""
    if os.name != "nt":
        with suppress(FileNotFoundError):
            if stat.S_IMODE(path.lstat().st_mode) & 0o077:
                path.chmod(0o600)
