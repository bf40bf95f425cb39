"""The file of a journal: created atomically, and recognised before it is opened.

The table `entry` has one row per intent and per outcome; rows are only added. Each row has a hash of its values and
of the hash of the row before. The single row of `run` holds the binding of the run and the last hash, so that changed
and missing rows are detected.

The table `timeline`, which format 2 does not have, has the course of the run over time in at most 1,000 rows, for the
report. They are replaced as the run goes on, so they are not in the chain; each has a hash of its own. No other part of
the journal depends on them.

An open journal consists of two files: SQLite's write-ahead log (NAME-wal) holds rows that the main file lacks. The row
of `run` therefore records that the journal is open, and is copied into the main file before the first intent. A main
file with this mark and without its log is refused, because it shows fewer intents than were sent.
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
from aioconnections.policy.timeline import TimelineRow

__all__ = [
    "LOG_HEADER_SIZE",
    "RUN",
    "SCHEMAS",
    "TIMELINE",
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
    "timeline_seal",
]

_FORMAT = 3
_WITHOUT_TIMELINE = 2
_CHAIN = 2  # the chain of rows is the same in both formats
_BOUND = "verb TEXT, origin TEXT, userid TEXT, created INT, id TEXT"
_TABLES = (
    f"CREATE TABLE run ({_BOUND}, generation INT, open INT, log INT, seq INT, chain BLOB, seal BLOB)",
    "CREATE TABLE entry (seq INTEGER PRIMARY KEY, idx INT, kind TEXT, item TEXT, data TEXT, wall INT, chain BLOB)",
    "CREATE TABLE timeline (start INTEGER PRIMARY KEY, width INT, data TEXT, seal BLOB)",
)
SCHEMAS = {_WITHOUT_TIMELINE: _TABLES[:2], _FORMAT: _TABLES}
"""The tables of a journal, by its format."""
RUN = "SELECT verb, origin, userid, created, id, generation, open, log, seq, chain, seal FROM run"
TIMELINE = "SELECT start, width, data, seal FROM timeline ORDER BY start"

# https://www.sqlite.org/fileformat2.html#wal_file_format: the magic number, whose last bit is the byte order of the
# checksums, and the format version; the header has 32 bytes. At offset 12 is the checkpoint sequence number, then the
# first salt: random in a new log, and incremented at each checkpoint that restarts the log.
_LOG_HEADERS = (bytes.fromhex("377f0682002de218"), bytes.fromhex("377f0683002de218"))
LOG_HEADER_SIZE = 32

LogState: TypeAlias = Literal["missing", "foreign", "there"]


@frozen
class Binding:
    """The properties of a run that must be the same when it is resumed."""

    verb: str
    origin: str
    userid: str | None


@frozen
class Mark:
    """The row of `run`.

    Attributes:
        binding: binding of the run.
        created: microseconds of the wall clock when the file was created.
        id: random text, so that no two files have the same hashes.
        generation: how often the journal was opened for writing.
        is_open: whether the journal is open, and so consists of two files.
        log: identifies the log, see `log_begins`; None if it is not known yet.
        seq: number of rows.
        chain: hash of the last row.
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
        """The hash of the mark. It matches on the page of another file, but not on a page half written in a power cut.

        `bound` is the `root`, which is the same for all marks of a file.
        """
        text = f"{self.generation} {int(self.is_open)} {self.log} {self.seq} "
        return blake2b(bound + text.encode() + self.chain, digest_size=8).digest()


def root(mark: Mark) -> bytes:
    """The hash before the first row."""
    binding = mark.binding
    bound = json.dumps([_CHAIN, binding.verb, binding.origin, binding.userid, mark.created, mark.id], default=repr)
    return blake2b(bound.encode(), digest_size=16).digest()


def link(chain: bytes, seq: int, index: int, kind: str, item: str, data: str, wall: int) -> bytes:
    """The hash of a row; `chain` is the hash of the row before."""
    row = f"{seq} {index} {kind} {wall} {len(item)} {item}{data}"
    digest = _EMPTY.copy()  # cheaper than `blake2b` with its arguments
    digest.update(chain + row.encode())
    return digest.digest()


_EMPTY = blake2b(digest_size=16)


def timeline_seal(bound: bytes, row: TimelineRow) -> bytes:
    """The hash of a row of the timeline; `bound` is the `root`."""
    start, width, data = row
    return blake2b(bound + f"timeline {start} {width} {data}".encode(), digest_size=8).digest()


def log_path(path: Path) -> Path:
    """The write-ahead log of a journal."""
    return path.with_name(f"{path.name}-wal")


def ensure(path: Path, binding: Binding, created: int) -> None:
    """Create the journal if it does not exist. Refuse another kind of file, without changing it.

    Raises:
        JournalError: the file is not a journal that this version supports.
    """
    with os_errors(path.name):
        try:
            found = path.lstat()
        except FileNotFoundError:
            _create(path, binding, created)
            found = path.lstat()
        recognise(path, found)


def recognise_at_once(path: Path) -> None:
    """Refuse another kind of file at `path`, before a lock file is created; see `recognise`."""
    with os_errors(path.name):
        try:
            found = path.lstat()
        except FileNotFoundError:
            return
        recognise(path, found)


def _create(path: Path, binding: Binding, created: int) -> None:
    """Create the file under a temporary name, and rename it unless the path exists by then."""
    for rest in ("-wal", "-journal"):
        if os.path.lexists(f"{path}{rest}"):
            raise JournalError(
                f"{path.name} does not exist, but {path.name}{rest} does and would be lost; restore the journal or "
                f"choose another path"
            )
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
    for table in SCHEMAS[_FORMAT]:
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
    """Rename the new file to `path` unless that exists."""
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
    if os.name != "nt":  # Windows cannot open a folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def recognise(path: Path, found: os.stat_result) -> Mark | None:
    """Refuse a file that is not a journal, without a lock or a write, and without its log.

    Returns:
        The mark in the main file, which may be older than the one in the log. None if the main file cannot be read
        without the log: the run was killed while SQLite copied the log into the file.

    Raises:
        JournalError: the file is not a journal that this version supports.
    """
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(f"{path.name} is not a regular file; choose another path")
    if os.name != "nt" and found.st_uid != os.geteuid() and path.absolute().parent.stat().st_mode & 0o022:
        raise JournalError(
            f"{path.name} belongs to another user, in a folder that other users can write to; choose another path"
        )
    if not found.st_size:
        raise JournalError(f"{path.name} is empty, so it is not a journal; choose another path for a new one")
    try:
        with closing(database.connect(path, "peek")) as db:
            marks = (*one(db, "PRAGMA application_id"), *one(db, "PRAGMA user_version"))
            if marks[0] == APPLICATION and marks[1] in SCHEMAS:
                return _mark(db)
    except sqlite3.Error as error:
        if database.is_damage(error) and log_state(path) == "there":
            return None  # decided when it is read with the log
        raise
    if marks[0] != APPLICATION:
        raise JournalError(f"{path.name} is not a journal; choose another path")
    first, last = SCHEMAS
    old = ", which cannot show whether its log is missing" if marks[1] == 1 else ""
    raise JournalError(
        f"{path.name} is a journal of format {marks[1]}{old}; this version supports formats {first} and {last}; use "
        f"the version that created it, or choose another path"
    )


def _mark(db: SqliteConnection) -> Mark | None:
    try:
        rows = list(db.execute(RUN))
    except sqlite3.Error:
        return None
    return mark_of(rows[0]) if len(rows) == 1 else None


def mark_of(row: tuple[object, ...]) -> Mark | None:
    """The mark in a row of `run`; None if its seal does not match."""
    verb, origin, userid, created, name, generation, is_open, log, seq, chain, seal = row
    if not (type(generation) is int and type(seq) is int and type(chain) is bytes and is_open in {0, 1}):
        return None
    bound: object = Binding(verb, origin, userid)  # type: ignore[arg-type] # the seal does not match if this is not text
    mark = Mark(bound, created, name, generation, bool(is_open), log, seq, chain)  # type: ignore[arg-type] # likewise
    return mark if mark.seal(root(mark)) == seal else None


def check_log(path: Path, main_mark: Mark | None, *, may_be_lost: bool = False) -> bool:
    """Refuse a journal that was not closed and has no log.

    Args:
        path: path of the journal.
        main_mark: the mark in the main file, from `recognise`.
        may_be_lost: whether to accept the journal without its log.

    Returns:
        Whether the log is missing.

    Raises:
        JournalLogMissingError: the log is missing, or another file has its name.
    """
    if main_mark is None or not main_mark.is_open:
        return False
    state = log_state(path)
    if state == "foreign":
        raise not_its_log(path.name)
    lost = state == "missing"
    if lost and not may_be_lost:
        raise JournalLogMissingError(
            f"the journal {path.name} was not closed, and its log, {path.name}-wal, is missing or empty: the last "
            f"changes are not known. Put the log back, or pass lost_log='in_doubt' (--lost-log in-doubt)"
        )
    return lost


def not_its_log(name: str) -> JournalLogMissingError:
    """The error for a log that belongs to another file."""
    return JournalLogMissingError(
        f"the journal {name} was not closed, and {name}-wal is not its log: it belongs to another file or an earlier "
        f"time. Put the right log back; if it is lost, move {name}-wal away"
    )


def log_state(path: Path) -> LogState:
    """Whether the file at the path of the log is missing, foreign, or a log.

    A log that was truncated at the end of a commit cannot be detected.
    """
    header = log_header(path)
    if not any(known.startswith(header[:8]) for known in _LOG_HEADERS):
        return "foreign"
    return "there" if len(header) == LOG_HEADER_SIZE else "missing"


def log_header(path: Path) -> bytes:
    """The header of the log; empty if the log does not exist."""
    try:
        with log_path(path).open("rb") as file:
            return file.read(LOG_HEADER_SIZE)
    except FileNotFoundError:
        return b""


def log_begins(header: bytes) -> int | None:
    """Identify a log: its checkpoint number, and its salt minus that number, which is constant."""
    if len(header) != LOG_HEADER_SIZE:
        return None
    checkpoint, salt = (int.from_bytes(header[at : at + 4], "big") for at in (12, 16))
    return checkpoint << 32 | (salt - checkpoint) % 2**32


def is_stray(path: Path, main_mark: Mark | None) -> bool:
    """Whether the log is neither the one that the mark names nor a restart of it.

    In a log without rows, such as one just restarted, only the header shows to which file it belongs.
    """
    now = log_begins(log_header(path))
    if main_mark is None or not main_mark.is_open or main_mark.log is None or now is None:
        return False
    same = (now - main_mark.log) % 2**32 in {0, 2**32 - 1}  # the latter if a power cut left the previous salt
    return not same or now >> 32 < main_mark.log >> 32
