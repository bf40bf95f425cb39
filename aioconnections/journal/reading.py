"""Verifies a journal: reads every row before any is used, and changes nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve, frozen

from aioconnections.errors import JournalBoundError, JournalError, JournalLockedError
from aioconnections.journal import database
from aioconnections.journal.database import SqliteConnection, one, os_errors
from aioconnections.journal.file import (
    RUN,
    SCHEMAS,
    TIMELINE,
    Binding,
    Mark,
    check_log,
    is_stray,
    link,
    log_path,
    log_state,
    mark_of,
    not_its_log,
    recognise,
    root,
    timeline_seal,
)
from aioconnections.journal.stored import SET_BACK
from aioconnections.policy.timeline import MOST_BUCKETS, Timeline, TimelineRow

__all__ = ["END", "LOST", "JournalEnd", "fold", "verified", "whole"]

END, LOST = "end", "lost"
"""Kinds of rows about the run: `END`, it is finished, with the time; `LOST`, it was resumed without its log."""

_CHANGED = "its rows were changed or removed"
_FOLD = """
CREATE TEMP TABLE fold (idx INTEGER PRIMARY KEY, intent INTEGER, outcome INTEGER, sends INTEGER);
INSERT INTO fold SELECT idx,
    max(CASE kind WHEN 'intent' THEN seq END),
    max(CASE kind WHEN 'outcome' THEN seq END),
    max(CASE kind WHEN 'intent' THEN CAST(data AS INTEGER) END)
FROM entry WHERE idx >= 0 GROUP BY idx
"""


@frozen
class JournalEnd:
    """The end of a verified journal.

    Attributes:
        mark: the row of `run`.
        wall: time of the last row, or of the creation if there is no row, in microseconds.
        set_back: number of the last row that is older than the row before it; 0 if there is none.
        finished: when the run was first finished, if the last row records that; else None.
        lost: when the journal was last resumed without its log; None if it never was.
        log_lost: whether the log is missing now.
        timeline: the course of the run; None if the format of the journal has none.
    """

    mark: Mark
    wall: int
    set_back: int = 0
    finished: int | None = None
    lost: int | None = None
    log_lost: bool = False
    timeline: Timeline | None = None


def verified(
    path: Path, binding: Binding | None, is_wanted: Callable[[], bool], *, may_be_lost: bool = False
) -> JournalEnd:
    """Verify the whole journal without changing it, and return its end.

    Args:
        path: path of the journal.
        binding: the required binding; None accepts any.
        is_wanted: called after every 1000 rows; the verification stops if the result is False.
        may_be_lost: whether to accept a journal whose log is missing.

    Raises:
        JournalLogMissingError: the log is missing, or belongs to another file.
        JournalError: the journal is damaged, bound to another run or in use, or the verification was stopped.
    """
    with os_errors(path.name), whole(path, binding, is_wanted, may_be_lost=may_be_lost) as (_, head):
        return head


@contextmanager
def whole(
    path: Path, binding: Binding | None, is_wanted: Callable[[], bool], *, may_be_lost: bool = False
) -> Generator[tuple[SqliteConnection, JournalEnd]]:
    """A database connection to a verified journal, and the end of the journal; see `verified`."""
    main_mark = recognise(path, path.lstat())
    lost = check_log(path, main_mark, may_be_lost=may_be_lost)
    with _reading(path) as db:
        head = _read_through(db, path, main_mark, binding, is_wanted)
        if not lost and _is_without_its_log(path, main_mark, head):
            if not may_be_lost:
                raise not_its_log(path.name)
            lost = True  # the file in its place holds no rows
        yield db, evolve(head, log_lost=lost)


def _is_without_its_log(path: Path, main_mark: Mark | None, head: JournalEnd) -> bool:
    """Whether the log is a foreign one without rows, such as the new log of a journal resumed without its own."""
    return main_mark is not None and head.mark.generation == main_mark.generation and is_stray(path, main_mark)


@contextmanager
def _reading(path: Path) -> Generator[SqliteConnection]:
    """A read-only database connection that leaves no files behind."""
    log, shared = log_path(path), path.with_name(f"{path.name}-shm")
    found = os.path.lexists(shared)
    with ExitStack() as stack:
        db = stack.enter_context(closing(database.connect(path, "ro")))
        try:
            # takes a lock, so that no run can begin and use the files that are removed below
            one(db, "PRAGMA schema_version")
        except sqlite3.DatabaseError as error:
            # In a read-only folder SQLite cannot create the shared-memory file.
            if database.is_read_only(error) and not os.access(path.parent, os.W_OK):
                yield stack.enter_context(_reading_read_only(path))
                return
            if not database.is_damage(error):  # `_read_through` meets the same error, and determines its cause
                raise
        try:
            yield db
        finally:
            with suppress(OSError):
                if not log.stat().st_size:
                    log.unlink()
            with suppress(OSError):
                if not found:
                    shared.unlink()


@contextmanager
def _reading_read_only(path: Path) -> Generator[SqliteConnection]:
    """A connection to a database in a read-only folder: to the main file, or with a log to a copy of both files."""
    if log_state(path) == "missing":  # the main file is complete
        with closing(database.connect(path, "peek")) as db:
            yield db
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(TemporaryDirectory(prefix="aioconnections-report-"))  # for this user alone
            copy = Path(folder, path.name)
            before = _states(path)
            for source, target in zip(_files(path), _files(copy), strict=True):
                shutil.copyfile(source, target)
        except OSError as error:
            raise JournalError(
                f"the journal {path.name} is in a read-only folder, and could not be copied to a temporary one: "
                f"{error.strerror}; set TMPDIR to a folder with enough space, or copy {path.name} and {path.name}-wal"
            ) from None
        if _states(path) != before:
            raise JournalLockedError(f"the journal {path.name} is in use by another run")
        yield stack.enter_context(closing(database.connect(copy, "ro")))


def _files(path: Path) -> tuple[Path, Path]:
    """The two files of a journal that is open."""
    return path, log_path(path)


def _states(path: Path) -> list[tuple[int, int, int]]:
    """What changes when another program writes to a journal."""
    found = [file.stat() for file in _files(path)]
    return [(state.st_ino, state.st_size, state.st_mtime_ns) for state in found]


def _read_through(
    db: SqliteConnection, path: Path, main_mark: Mark | None, binding: Binding | None, is_wanted: Callable[[], bool]
) -> JournalEnd:
    """Verify every row; see `verified`. `main_mark` is the mark in the main file without the log.

    Raises:
        JournalError: see `verified`.
    """
    try:
        head = _whole(db, main_mark, is_wanted)
    except _WrongLogError:
        raise not_its_log(path.name) from None
    except (_DamageError, sqlite3.DatabaseError) as error:
        if main_mark is not None and main_mark.is_open and _is_whole_alone(path, is_wanted):
            raise not_its_log(path.name) from None
        if isinstance(error, _DamageError):
            raise JournalError(f"the journal {path.name} is damaged: {error}") from None
        raise
    if binding is not None:
        _compare(path.name, head.mark.binding, binding)
    return head


class _DamageError(Exception):
    """The rows differ from those that were written."""


class _WrongLogError(Exception):
    """The log does not continue the main file."""


def _is_whole_alone(path: Path, is_wanted: Callable[[], bool]) -> bool:
    """Whether the main file is valid without the log."""
    try:
        with closing(database.connect(path, "peek")) as db:
            _whole(db, None, is_wanted)
    except (_DamageError, sqlite3.Error, UnicodeDecodeError):
        return False
    return True


def _whole(db: SqliteConnection, main_mark: Mark | None, is_wanted: Callable[[], bool]) -> JournalEnd:
    (form,) = one(db, "PRAGMA user_version")
    tables = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema ORDER BY rowid")]
    if tables != list(SCHEMAS.get(form, ())):
        raise _DamageError("its tables are not those of a journal")
    runs = list(db.execute(RUN))
    mark = mark_of(tuple(runs[0])) if len(runs) == 1 else None
    if one(db, "PRAGMA quick_check(1)") != ("ok",) or mark is None:
        raise _DamageError(_CHANGED)
    if main_mark is not None and (mark.id != main_mark.id or mark.generation < main_mark.generation):
        raise _WrongLogError
    head = _follow(db, mark, main_mark, is_wanted)
    return head if form == min(SCHEMAS) else evolve(head, timeline=_timeline(db, root(mark)))


def _timeline(db: SqliteConnection, bound: bytes) -> Timeline:
    """The verified timeline of a journal."""
    rows: list[TimelineRow] = []
    for start, width, data, seal in db.execute(TIMELINE):
        row = (start, width, data)
        if seal != timeline_seal(bound, row) or len(rows) == MOST_BUCKETS:
            raise _DamageError(_CHANGED)
        rows.append(row)
    try:
        return Timeline.from_rows(rows)
    except ValueError:
        raise _DamageError(_CHANGED) from None


def _follow(db: SqliteConnection, mark: Mark, main_mark: Mark | None, is_wanted: Callable[[], bool]) -> JournalEnd:
    """Verify the hashes up to `mark`; the hash in `main_mark` must be one of them."""
    number, chain, before, set_back = 0, root(mark), mark.created, 0
    finished: int | None = None
    lost: int | None = None
    is_linked = main_mark is None or (main_mark.seq, main_mark.chain) == (0, chain)
    for seq, index, kind, item, data, wall, chained in db.execute("SELECT * FROM entry ORDER BY seq"):
        number += 1
        if type(item) is not str:
            raise _DamageError(_CHANGED)
        chain = link(chain, number, index, kind, item, data, wall)
        if seq != number or chain != chained:
            raise _DamageError(_CHANGED)
        if wall < before - SET_BACK:
            set_back = number
        before = wall
        finished = int(data) if kind == END else None
        if kind == LOST:
            lost = wall
        if not is_linked and main_mark is not None and main_mark.seq == number:
            is_linked = main_mark.chain == chain
        if not number % 1000 and not is_wanted():
            raise JournalError("opening the journal was cancelled")
    if (number, chain) != (mark.seq, mark.chain):
        raise _DamageError(_CHANGED)
    if not is_linked:
        raise _WrongLogError
    return JournalEnd(mark, before, set_back, finished, lost)


def _compare(name: str, was: Binding, now: Binding) -> None:
    differs = [
        f"its {key} is {old}, not {new}"
        for key, old, new in (("verb", was.verb, now.verb), ("server", was.origin, now.origin))
        if old != new
    ]
    if was.userid != now.userid:
        differs.append("another user was signed in")
    if differs:
        raise JournalBoundError(
            f"the journal {name} belongs to another run: {' and '.join(differs)}; choose another path"
        )


def fold(db: SqliteConnection) -> None:
    """Create a temporary table of the last intent, the last outcome and the number of sends of each index.

    The table is built from verified rows; an index stored in the file would be unverified.
    """
    for statement in _FOLD.split(";"):
        list(db.execute(statement))
