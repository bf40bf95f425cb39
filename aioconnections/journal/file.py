"""The file of a journal: made as a whole or not at all, recognised before it is opened, read through before it is used.

One row per intent and per outcome, only ever added. Each carries a hash over itself and the hash before it, and the
last of them stands a second time beside what the run is bound to, so that neither a changed nor a missing row goes
unseen.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import stat
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from attrs import frozen

from aioconnections.errors import JournalBoundError, JournalError
from aioconnections.journal import database
from aioconnections.journal.database import Connection, make_durable, one, os_errors
from aioconnections.journal.said import SET_BACK

__all__ = ["Binding", "Head", "ensure", "fold", "link", "opened", "read_through", "reading", "recognise", "verified"]

_APPLICATION = 0x61696F63
_FORMAT = 1
_SCHEMA = (
    "CREATE TABLE run (verb TEXT, origin TEXT, userid TEXT, created INTEGER, seq INTEGER, chain BLOB)",
    "CREATE TABLE entry (seq INTEGER PRIMARY KEY, idx INT, kind TEXT, item TEXT, data TEXT, wall INT, chain BLOB)",
)
_FOLD = """
CREATE TEMP TABLE fold (idx INTEGER PRIMARY KEY, intent INTEGER, outcome INTEGER, sends INTEGER);
INSERT INTO fold SELECT idx,
    max(CASE kind WHEN 'intent' THEN seq END),
    max(CASE kind WHEN 'outcome' THEN seq END),
    max(CASE kind WHEN 'intent' THEN CAST(data AS INTEGER) END)
FROM entry GROUP BY idx
"""


@frozen
class Binding:
    """What a run is, other than its items."""

    verb: str
    origin: str
    userid: str | None


@frozen
class Head:
    """Where a verified journal ends.

    Attributes:
        seq: number of its rows.
        chain: hash of the last one.
        wall: its time, in microseconds; of the creation if there is none.
        set_back: the last row whose time is before that of the row before it; 0 if there is none.
    """

    binding: Binding
    created: int
    seq: int
    chain: bytes
    wall: int
    set_back: int = 0


def _root(binding: Binding, created: int) -> bytes:
    bound = json.dumps([_FORMAT, binding.verb, binding.origin, binding.userid, created], default=repr)
    return blake2b(bound.encode(), digest_size=16).digest()


def link(chain: bytes, seq: int, index: int, kind: str, item: str, data: str, wall: int) -> bytes:
    """The hash of a row that follows the one with the hash `chain`."""
    row = f"{seq} {index} {kind} {wall} {len(item)} {item}{data}"
    return blake2b(chain + row.encode(), digest_size=16).digest()


def ensure(path: Path, binding: Binding, created: int) -> None:
    """Make the journal if there is none; refuse what is no journal without touching it.

    Raises:
        JournalError: something else has that name.
    """
    with os_errors(path.name):
        try:
            found = path.lstat()
        except FileNotFoundError:
            if _create(path, binding, created):
                return
            found = path.lstat()
        recognise(path, found)


def _create(path: Path, binding: Binding, created: int) -> bool:
    """Make it under another name and give it its own when it is complete; False if somebody else was faster."""
    for rest in ("-wal", "-journal"):
        if os.path.lexists(f"{path}{rest}"):
            raise JournalError(f"{path.name} is gone, but {path.name}{rest} is still there: it would be lost")
    new = path.with_name(f".aioconnections-journal-{secrets.token_hex(8)}.new")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(new, flags, 0o600))
    try:
        with closing(database.connect(new, "rw")) as db:
            _lay_out(db, binding, created)
        try:
            _name(new, path)
        except FileExistsError:
            return False
    finally:
        for rest in ("", "-wal", "-journal"):
            new.with_name(new.name + rest).unlink(missing_ok=True)
    _sync_folder(path)
    return True


def _lay_out(db: Connection, binding: Binding, created: int) -> None:
    make_durable(db)
    list(db.execute("BEGIN IMMEDIATE"))
    list(db.execute(f"PRAGMA application_id={_APPLICATION}"))
    list(db.execute(f"PRAGMA user_version={_FORMAT}"))
    for table in _SCHEMA:
        list(db.execute(table))
    root = _root(binding, created)
    values = (binding.verb, binding.origin, binding.userid, created, 0, root)
    list(db.execute("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?)", values))
    list(db.execute("COMMIT"))
    list(db.execute("PRAGMA locking_mode=EXCLUSIVE"))
    list(db.execute("PRAGMA journal_mode=WAL"))


def _name(new: Path, path: Path) -> None:
    """Give the file its name, unless the name is taken."""
    try:
        os.link(new, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError from None
        new.rename(path)


def _sync_folder(path: Path) -> None:
    if os.name != "nt":  # where a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def recognise(path: Path, found: os.stat_result) -> None:
    """Refuse what is no journal, without a lock, a write or a look at a log that may be somebody else's."""
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(f"{path.name} is no regular file")
    if os.name != "nt" and found.st_uid != os.geteuid() and path.absolute().parent.stat().st_mode & 0o022:
        raise JournalError(f"{path.name} belongs to another user, in a folder where anybody may put it")
    if not found.st_size:
        raise JournalError(f"{path.name} is empty, so it is no journal; a new one wants a new name")
    try:
        with closing(database.connect(path, "peek")) as db:
            marks = (*one(db, "PRAGMA application_id"), *one(db, "PRAGMA user_version"))
    except sqlite3.Error as error:
        log = path.with_name(path.name + "-wal")
        if database.is_damage(error) and log.exists() and log.stat().st_size:
            return  # killed while it copied its log: `read_through` tells, which reads that, too
        raise
    if marks[0] != _APPLICATION:
        raise JournalError(f"{path.name} is no journal")
    if marks[1] != _FORMAT:
        raise JournalError(f"{path.name} is a journal of format {marks[1]}; this version knows format {_FORMAT} only")


def verified(path: Path, binding: Binding | None, wanted: Callable[[], bool]) -> Head:
    """Read all of the journal, without changing it, and say where it ends.

    Args:
        path: of the journal.
        binding: what it must be bound to, if that matters.
        wanted: asked now and then whether to go on.

    Raises:
        JournalError: it is damaged, bound to something else, in use, or not wanted any more.
    """
    with os_errors(path.name), reading(path) as db:
        return read_through(db, path.name, binding, wanted)


@contextmanager
def reading(path: Path) -> Generator[Connection]:
    """A connection that reads alone, shuts out runs, and leaves nothing behind."""
    log, shared = (path.with_name(path.name + rest) for rest in ("-wal", "-shm"))
    found = os.path.lexists(shared)
    with closing(database.connect(path, "ro")) as db:
        one(db, "PRAGMA schema_version")  # from here on no run can begin, so what is removed is nobody's
        try:
            yield db
        finally:
            with suppress(OSError):
                if not log.stat().st_size:
                    log.unlink()
            with suppress(OSError):
                if not found:
                    shared.unlink()


def read_through(db: Connection, name: str, binding: Binding | None, wanted: Callable[[], bool]) -> Head:
    """Verify every row; see `verified`."""
    if [sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema ORDER BY rowid")] != list(_SCHEMA):
        raise JournalError(f"{name} is no journal, or a damaged one: its tables are not ours")
    runs = list(db.execute("SELECT * FROM run"))
    if one(db, "PRAGMA quick_check(1)") != ("ok",) or len(runs) != 1:
        raise _damaged(name)
    verb, origin, userid, created, last, chained = runs[0]
    bound = Binding(verb, origin, userid)
    head = _follow(db, Head(bound, created, 0, _root(bound, created), created), wanted)
    if head is None or (head.seq, head.chain) != (last, chained):
        raise _damaged(name)
    if binding is not None:
        _compare(name, bound, binding)
    return head


def _damaged(name: str) -> JournalError:
    return JournalError(f"the journal {name} is damaged: its rows are not those that were written")


def _follow(db: Connection, head: Head, wanted: Callable[[], bool]) -> Head | None:
    """The end of the chain that begins at `head`; None if it is broken."""
    number, chain, before, set_back = head.seq, head.chain, head.wall, 0
    for seq, index, kind, item, data, wall, chained in db.execute("SELECT * FROM entry ORDER BY seq"):
        number += 1
        if type(item) is not str:
            return None
        chain = link(chain, number, index, kind, item, data, wall)
        if seq != number or chain != chained:
            return None
        if wall < before - SET_BACK:
            set_back = number
        before = wall
        if not number % 1000 and not wanted():
            raise JournalError("opening the journal was given up")
    return Head(head.binding, head.created, number, chain, before, set_back)


def _compare(name: str, was: Binding, now: Binding) -> None:
    differs = [
        f"its {what} is {old}, not {new}"
        for what, old, new in (("verb", was.verb, now.verb), ("server", was.origin, now.origin))
        if old != new
    ]
    if was.userid != now.userid:
        differs.append("another user was signed in")
    if differs:
        raise JournalBoundError(f"the journal {name} belongs to another run: {' and '.join(differs)}")


def opened(path: Path, head: Head) -> Connection:
    """The journal that `head` was found in, to be added to; locked until it is closed.

    Raises:
        JournalError: it is in use, or was changed since it was verified.
    """
    with os_errors(path.name):
        for name in (path, path.with_name(path.name + "-wal")):
            _keep_private(name)
        db = database.connect(path, "rw")
        try:
            _take(db, path.name, head)
        except BaseException:
            db.close()
            raise
        return db


def _take(db: Connection, name: str, head: Head) -> None:
    list(db.execute("PRAGMA locking_mode=EXCLUSIVE"))
    make_durable(db)
    (mode,) = one(db, "PRAGMA journal_mode=WAL")
    if (mode, *one(db, "SELECT seq, chain FROM run")) != ("wal", head.seq, head.chain):
        raise JournalError(f"the journal {name} was changed while it was opened")


def _keep_private(path: Path) -> None:
    """Take away from others what somebody gave them since: the file holds addresses."""
    if os.name != "nt":
        with suppress(FileNotFoundError):
            if stat.S_IMODE(path.lstat().st_mode) & 0o077:
                path.chmod(0o600)


def fold(db: Connection) -> None:
    """Note the last intent, the last outcome and the number of sends of each index, in a table of this connection.

    It is made anew from rows that were verified, where an index kept in the file would be verified by nothing.
    """
    for statement in _FOLD.split(";"):
        list(db.execute(statement))
