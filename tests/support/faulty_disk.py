"""A disk for SQLite that fails at a given write or sync, or loses unsynced data in a power cut.

`Disk.connect` replaces `aioconnections.journal.database.connect`; only the writing connection uses the disk.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import apsw

from aioconnections.journal import database

Survivors = Literal["none", "all", "some", "torn"]
"""Which unsynced writes are on the disk after a power cut; "torn" is all of them, the last one in half."""

_numbers = itertools.count()
_CODES = (
    (apsw.FullError, apsw.SQLITE_FULL),
    (apsw.IOError, apsw.SQLITE_IOERR),
    (apsw.CantOpenError, apsw.SQLITE_CANTOPEN),
    (apsw.CorruptError, apsw.SQLITE_CORRUPT),
)  # an error raised in Python has no code of its own
_real_connect = database.connect


class PowerCut(apsw.IOError):
    """The power is off: every operation fails."""


class Disk:
    """Counts the writes and syncs of all files, and fails at a chosen one.

    Args:
        fail_at: number of the operation to fail at, counted from 1; 0 for none.
        how: whether that operation fails, all from there on, or the power.
        error: class of the errors.
        survivors: see `Survivors`.
        synchronous: value that replaces the journal's ``synchronous=FULL``.
    """

    def __init__(
        self,
        fail_at: int = 0,
        how: Literal["once", "from then on", "power cut"] = "once",
        *,
        error: type[apsw.Error] = apsw.IOError,
        survivors: Survivors = "none",
        synchronous: str = "FULL",
    ) -> None:
        self.fail_at = fail_at
        self.how = how
        self.error = error
        self.survivors = survivors
        self.synchronous = synchronous
        self.operations: list[str] = []
        self.dead = False
        self.chance = random.Random(fail_at)
        self.name = f"faulty-{next(_numbers)}"
        self.vfs = _Vfs(self)

    def step(self, what: str) -> None:
        """Count an operation, and fail if it is due; called before every write and sync."""
        if self.dead:
            raise PowerCut
        self.operations.append(what)
        count = len(self.operations)
        if self.fail_at == count or (self.how == "from then on" and 0 < self.fail_at < count):
            if self.how == "power cut":
                self.dead = True
                self.vfs.cut_power()
                raise PowerCut
            raise self.error("the disk fails")

    def connect(self, path: Path, mode: database.Mode) -> database.SqliteConnection:
        """See `aioconnections.journal.database.connect`."""
        return _real_connect(path, mode) if mode != "rw" else _Connection(self, path)


class _Connection:
    """An apsw connection that raises the errors of `sqlite3`, as the journal expects."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._synchronous = disk.synchronous
        self._db: Any = None
        self._db = self._translated(lambda: apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=disk.name))
        list(self.execute("PRAGMA wal_autocheckpoint=12"))

    def execute(self, sql: str, values: tuple[Any, ...] = (), /) -> Iterator[Any]:
        sql = sql.replace("synchronous=FULL", f"synchronous={self._synchronous}")
        return iter(self._translated(lambda: list(self._db.execute(sql, values))))

    def close(self) -> None:
        self._translated(self._db.close)

    def _translated(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except apsw.Error as error:
            ours = sqlite3.OperationalError(str(error))
            ours.sqlite_errorcode = next((code for kind, code in _CODES if isinstance(error, kind)), apsw.SQLITE_ERROR)
            raise ours from None


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.files: list[_File] = []
        super().__init__(disk.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 # SQLite's name
        if self.disk.dead:
            raise PowerCut
        lasting = flags[0] & (apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL)
        if not lasting:
            return apsw.VFSFile("", name, flags)
        file = _File(self.disk, name, flags)
        self.files.append(file)
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802 # SQLite's own
        if self.disk.dead:
            raise PowerCut
        super().xDelete(filename, syncdir)

    def cut_power(self) -> None:
        for file in self.files:
            file.lose()


class _File(apsw.VFSFile):
    """Writes stay in memory until they are synced."""

    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self.disk = disk
        self.content = bytearray(super().xRead(size, 0) if (size := super().xFileSize()) else b"")
        self.unsynced: list[tuple[int, bytes | None]] = []  # None truncates the file at the offset

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 # SQLite's name
        return bytes(self.content[offset : offset + amount])

    def xFileSize(self) -> int:  # noqa: N802 # SQLite's name
        return len(self.content)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 # SQLite's name
        self.unsynced.append((offset, bytes(data)))  # recorded first: a power cut during the write may leave a part
        self.disk.step("write")
        if len(self.content) < offset:
            self.content.extend(bytes(offset - len(self.content)))
        self.content[offset : offset + len(data)] = data

    def xTruncate(self, size: int) -> None:  # noqa: N802 # SQLite's name
        self.disk.step("truncate")
        self.unsynced.append((size, None))
        del self.content[size:]

    def xSync(self, _: int) -> None:  # noqa: N802 # SQLite's name
        self.disk.step("sync")
        for change in self.unsynced:
            self._apply(*change)
        self.unsynced.clear()  # the real disk need not sync: its power stays on

    def xClose(self) -> None:  # noqa: N802 # SQLite's name
        if not self.disk.dead:
            for change in self.unsynced:  # the system writes them later, because the power stays on
                self._apply(*change)
            self.unsynced.clear()
        super().xClose()

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802 # SQLite's name
        return bool(super().xFileControl(op, ptr))

    def _apply(self, offset: int, data: bytes | None) -> None:
        if data is None:
            super().xTruncate(offset)
        else:
            super().xWrite(data, offset)

    def lose(self) -> None:
        """Cut the power: apply the unsynced writes that survive."""
        chance, survivors = self.disk.chance, self.disk.survivors
        kept = [
            change
            for change in self.unsynced
            if survivors in {"all", "torn"} or (survivors == "some" and chance.random() < 0.5)
        ]
        for number, (offset, data) in enumerate(kept):
            last = number == len(kept) - 1
            self._apply(offset, data[: len(data) // 2] if data and last and survivors == "torn" else data)
        self.unsynced.clear()
