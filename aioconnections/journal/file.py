"""The file of a journal: made as a whole or not at all, and recognised before it is opened.

One row per intent and per outcome, only ever added. Each carries a hash over itself and the hash before it. The last of
them stands a second time in the one row of `run`, beside what the run is bound to, so that a changed or missing row is
noticed.

While a journal is open, it is two files: SQLite's write-ahead log (NAME-wal) holds rows that the main file does not
have yet. The row of `run` therefore holds a mark that says so, and the main file gets it before the first intent: a
marked file without its log is refused, because it would show fewer intents than were sent.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import stat
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Literal, TypeAlias

from attrs import field, frozen

from aioconnections.errors import JournalError, JournalLogMissingError
from aioconnections.journal import database
from aioconnections.journal.database import SqliteConnection, make_durable, one, os_errors
from aioconnections.journal.items import APPLICATION

__all__ = [
    "LOG_HEADER_SIZE",
    "RUN",
    "SCHEMA",
    "Binding",
    "Mark",
    "check_log",
    "ensure",
    "is_stray",
    "link",
    "log_begins",
    "log_header",
    "log_path",
    "log_state",
    "mark_of",
    "not_its_log",
    "recognise",
    "recognise_at_once",
    "root",
    "sync_folder",
]

_FORMAT = 2
_BOUND = "verb TEXT, origin TEXT, userid TEXT, created INT, id TEXT"
SCHEMA = (
    f"CREATE TABLE run ({_BOUND}, generation INT, open INT, log INT, seq INT, chain BLOB, seal BLOB)",
    "CREATE TABLE entry (seq INTEGER PRIMARY KEY, idx INT, kind TEXT, item TEXT, data TEXT, wall INT, chain BLOB)",
)
RUN = "SELECT verb, origin, userid, created, id, generation, open, log, seq, chain, seal FROM run"

# https://www.sqlite.org/fileformat2.html#wal_file_format: magic number, whose last bit is the byte order of the
# checksums, and version of the format; the header has 32 bytes. At offset 12 is the number of the checkpoint after
# which the log began again, and after it the first salt: random in a new log, one more each time that it begins again.
_LOG_HEADERS = (bytes.fromhex("377f0682002de218"), bytes.fromhex("377f0683002de218"))
LOG_HEADER_SIZE = 32

LogState: TypeAlias = Literal["missing", "foreign", "there"]


@frozen
class Binding:
    """What a run is, other than its items."""

    verb: str
    origin: str
    userid: str | None


@frozen
class Mark:
    """The row of `run`.

    Attributes:
        binding: of the run.
        created: microseconds of the wall clock when the file was made.
        id: random, so that no two files have the same chain.
        generation: how often the journal was opened for writing.
        is_open: whether it is open, so that it consists of two files.
        log: what its log began with, see `log_begins`; None if that is not known (yet).
        seq: number of its rows.
        chain: hash of the last one.
    """

    binding: Binding
    created: int
    id: str
    generation: int = 0
    is_open: bool = False
    log: int | None = None
    seq: int = 0
    chain: bytes = field(repr=False, default=b"")

    def seal(self, bound: bytes) -> bytes:
        """A hash over all of it: a page that a power cut left half written is not mistaken for another file's.

        `bound` is the `root`, which is the same for all marks of a file.
        """
        what = f"{self.generation} {int(self.is_open)} {self.log} {self.seq} "
        return blake2b(bound + what.encode() + self.chain, digest_size=8).digest()


def root(mark: Mark) -> bytes:
    """The hash that the first row follows."""
    binding = mark.binding
    bound = json.dumps([_FORMAT, binding.verb, binding.origin, binding.userid, mark.created, mark.id], default=repr)
    return blake2b(bound.encode(), digest_size=16).digest()


def link(chain: bytes, seq: int, index: int, kind: str, item: str, data: str, wall: int) -> bytes:
    """The hash of a row that follows the one with the hash `chain`."""
    row = f"{seq} {index} {kind} {wall} {len(item)} {item}{data}"
    return blake2b(chain + row.encode(), digest_size=16).digest()


def log_path(path: Path) -> Path:
    """The write-ahead log of a journal."""
    return path.with_name(f"{path.name}-wal")


def ensure(path: Path, binding: Binding, created: int) -> None:
    """Make the journal if there is none; refuse what is no journal without touching it.

    Raises:
        JournalError: something else has that name.
    """
    with os_errors(path.name):
        try:
            found = path.lstat()
        except FileNotFoundError:
            _create(path, binding, created)
            found = path.lstat()
        recognise(path, found)


def recognise_at_once(path: Path) -> None:
    """Refuse what is no journal before a lock file is made beside it; see `recognise`."""
    with os_errors(path.name):
        try:
            found = path.lstat()
        except FileNotFoundError:
            return
        recognise(path, found)


def _create(path: Path, binding: Binding, created: int) -> None:
    """Make it under another name and give it its own when it is complete, unless another program is faster."""
    for rest in ("-wal", "-journal"):
        if os.path.lexists(f"{path}{rest}"):
            raise JournalError(f"{path.name} is gone, but {path.name}{rest} is still there: it would be lost")
    new = path.with_name(f".aioconnections-journal-{secrets.token_hex(8)}.new")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(new, flags, 0o600))
    try:
        with closing(database.connect(new, "rw")) as db:
            _lay_out(db, Mark(binding, created, secrets.token_hex(8)))
        with suppress(FileExistsError):
            _name(new, path)
    finally:
        for rest in ("", "-wal", "-journal"):
            new.with_name(new.name + rest).unlink(missing_ok=True)
    sync_folder(path)


def _lay_out(db: SqliteConnection, mark: Mark) -> None:
    make_durable(db)
    list(db.execute("BEGIN IMMEDIATE"))
    list(db.execute(f"PRAGMA application_id={APPLICATION}"))
    list(db.execute(f"PRAGMA user_version={_FORMAT}"))
    for table in SCHEMA:
        list(db.execute(table))
    binding = mark.binding
    bound = (binding.verb, binding.origin, binding.userid, mark.created, mark.id)
    mark = Mark(binding, mark.created, mark.id, chain=root(mark))
    values = (*bound, mark.generation, int(mark.is_open), mark.log, mark.seq, mark.chain, mark.seal(mark.chain))
    list(db.execute("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values))
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


def sync_folder(path: Path) -> None:
    """Make the names in the folder of `path` durable."""
    if os.name != "nt":  # where a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def recognise(path: Path, found: os.stat_result) -> Mark | None:
    """Refuse what is no journal, without a lock or a write, and without its log.

    Returns:
        What the main file by itself says, which may be less than the log says. None if it cannot be read without the
        log: the run was killed while SQLite copied the log into the file.

    Raises:
        JournalError: it is no journal, or one that this version does not know.
    """
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(f"{path.name} is no regular file")
    if os.name != "nt" and found.st_uid != os.geteuid() and path.absolute().parent.stat().st_mode & 0o022:
        raise JournalError(f"{path.name} belongs to another user, in a folder where anybody may put it")
    if not found.st_size:
        raise JournalError(f"{path.name} is empty, so it is no journal; choose another path for a new one")
    try:
        with closing(database.connect(path, "peek")) as db:
            marks = (*one(db, "PRAGMA application_id"), *one(db, "PRAGMA user_version"))
            if marks == (APPLICATION, _FORMAT):
                return _mark(db)
    except sqlite3.Error as error:
        if database.is_damage(error) and log_state(path) == "there":
            return None  # reading it with the log tells
        raise
    if marks[0] != APPLICATION:
        raise JournalError(f"{path.name} is no journal")
    old = ", which cannot show whether its log is missing" if marks[1] == 1 else ""
    raise JournalError(
        f"{path.name} is a journal of format {marks[1]}{old}; this version knows format {_FORMAT} only: go on with the "
        f"version that made it, or choose another path"
    )


def _mark(db: SqliteConnection) -> Mark | None:
    try:
        rows = list(db.execute(RUN))
    except sqlite3.Error:
        return None
    return mark_of(rows[0]) if len(rows) == 1 else None


def mark_of(row: tuple[object, ...]) -> Mark | None:
    """The mark in a row of `run`; None if its seal is not the right one."""
    verb, origin, userid, created, name, generation, is_open, log, seq, chain, seal = row
    if not (type(generation) is int and type(seq) is int and type(chain) is bytes and is_open in {0, 1}):
        return None
    bound: object = Binding(verb, origin, userid)  # type: ignore[arg-type] # what is no text has another seal
    mark = Mark(bound, created, name, generation, bool(is_open), log, seq, chain)  # type: ignore[arg-type] # likewise
    return mark if mark.seal(root(mark)) == seal else None


def check_log(path: Path, alone: Mark | None, *, may_be_lost: bool = False) -> bool:
    """Refuse a journal that was not closed and has no log; whether that is so.

    Args:
        path: of the journal.
        alone: see `recognise`.
        may_be_lost: whether the journal is wanted without its log.

    Raises:
        JournalLogMissingError: there is none, or something else has its name.
    """
    if alone is None or not alone.is_open:
        return False
    state = log_state(path)
    if state == "foreign":
        raise not_its_log(path.name)
    lost = state == "missing"
    if lost and not may_be_lost:
        raise JournalLogMissingError(
            f"the journal {path.name} was not closed, and its log, {path.name}-wal, is missing or empty: what was sent "
            f"last is not known. Put the log back, or pass lost_log='in_doubt' (--lost-log in-doubt)"
        )
    return lost


def not_its_log(name: str) -> JournalLogMissingError:
    """The error for a log that belongs to something else."""
    return JournalLogMissingError(
        f"the journal {name} was not closed, and {name}-wal is not its log: it belongs to another file or an earlier "
        f"time. Put the right one back; if it is lost, move this one away"
    )


def log_state(path: Path) -> LogState:
    """What stands where the log should be.

    A log that was cut off at the end of any of its commits looks like one that was written until then.
    """
    header = log_header(path)
    if not any(known.startswith(header[:8]) for known in _LOG_HEADERS):
        return "foreign"
    return "there" if len(header) == LOG_HEADER_SIZE else "missing"


def log_header(path: Path) -> bytes:
    """The header of the log; empty if there is none."""
    try:
        with log_path(path).open("rb") as file:
            return file.read(LOG_HEADER_SIZE)
    except FileNotFoundError:
        return b""


def log_begins(header: bytes) -> int | None:
    """What a log began with: number of the checkpoint, and the salt less that, which stays the same."""
    if len(header) != LOG_HEADER_SIZE:
        return None
    checkpoint, salt = (int.from_bytes(header[at : at + 4], "big") for at in (12, 16))
    return checkpoint << 32 | (salt - checkpoint) % 2**32


def is_stray(path: Path, alone: Mark | None) -> bool:
    """Whether the log is not the one that the main file was marked with, nor that one begun again.

    A log without rows, as it is when it has just begun again, says nothing else of the file that it belongs to.
    """
    now = log_begins(log_header(path))
    if alone is None or not alone.is_open or alone.log is None or now is None:
        return False
    same = (now - alone.log) % 2**32 in {0, 2**32 - 1}  # the latter if a power cut left the salt of the one before
    return not same or now >> 32 < alone.log >> 32
