"""Access to SQLite: opens a database, and translates the errors of `sqlite3`.

While a run has its journal open, ``locking_mode=EXCLUSIVE`` keeps out other programs without shared memory (`lock`
keeps out other runs). A commit returns once the write-ahead log is on the disk (``synchronous=FULL``; NORMAL could
lose commits in a power cut).
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from aioconnections.errors import JournalDiskError, JournalError, JournalLockedError
from aioconnections.transport.limits import has_descriptors

__all__ = [
    "Mode",
    "SqliteConnection",
    "connect",
    "is_damage",
    "is_read_only",
    "make_durable",
    "one",
    "os_errors",
    "refusal",
]

Mode: TypeAlias = Literal["rw", "ro", "peek"]
"""``ro`` writes nothing; ``peek``, in addition, takes no lock and ignores the write-ahead log."""

_QUERY: dict[Mode, str] = {"rw": "mode=rw", "ro": "mode=ro", "peek": "mode=ro&immutable=1"}
_NEEDED = 4  # file descriptors: the database, its log, its folder, and a spare
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}


class SqliteConnection(Protocol):
    """The part of `sqlite3.Connection` that the journal uses."""

    def execute(self, sql: str, values: tuple[Any, ...] = (), /) -> Iterator[Any]:
        """Run one statement; rows are tuples."""
        ...

    def close(self) -> None:
        """Close the database and release its lock."""
        ...


def connect(path: Path, mode: Mode) -> SqliteConnection:
    """Open an existing database. Every database is opened here, so that a test can simulate a failing disk."""
    address = f"{path.absolute().as_uri()}?{_QUERY[mode]}"
    return sqlite3.connect(address, uri=True, timeout=0, isolation_level=None)


def one(db: SqliteConnection, sql: str) -> tuple[Any, ...]:
    """Return the only row of a query, and finish the statement."""
    (row,) = list(db.execute(sql))
    return tuple(row)


def make_durable(db: SqliteConnection) -> None:
    """Make commits survive a power cut. On macOS this needs F_FULLFSYNC: a plain fsync does not reach the disk."""
    for name in ("synchronous=FULL", "fullfsync=ON", "checkpoint_fullfsync=ON"):
        list(db.execute(f"PRAGMA {name}"))


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite found the file corrupt."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT


def is_read_only(error: sqlite3.Error) -> bool:
    """Whether SQLite could not create or write a file."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


def refusal(error: sqlite3.Error, name: str) -> JournalError:
    """Translate an error of SQLite into the error that the caller of the journal gets."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return JournalLockedError(f"the journal {name} is in use by another run or report")
    if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
        return JournalDiskError(f"the journal {name}: {error}")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return JournalError(f"{name} is not a journal, or is damaged: {error}")
    if code == sqlite3.SQLITE_CANTOPEN and not has_descriptors(_NEEDED):
        return JournalError(f"the journal {name}: too few file descriptors are left; raise their limit (ulimit -n)")
    return JournalError(f"the journal {name}: {error}")


@contextmanager
def os_errors(name: str) -> Generator[None]:
    """Raise errors of the operating system and of SQLite as a `JournalError`."""
    try:
        yield
    except OSError as error:
        kind = JournalDiskError if error.errno in _FULL else JournalError
        raise kind(f"the journal {name}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise refusal(error, name) from None
    except UnicodeDecodeError:  # some versions of SQLite quote damaged text in an error
        raise JournalError(f"{name} is not a journal, or is damaged: its text cannot be read") from None
