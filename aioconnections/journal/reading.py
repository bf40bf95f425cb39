"""Reading a journal through: every row is verified before any of it is used, and nothing is changed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from attrs import evolve, frozen

from aioconnections.errors import JournalBoundError, JournalError
from aioconnections.journal import database
from aioconnections.journal.database import SqliteConnection, one, os_errors
from aioconnections.journal.file import (
    RUN,
    SCHEMA,
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
)
from aioconnections.journal.stored import SET_BACK

__all__ = ["END", "LOST", "JournalEnd", "fold", "verified", "whole"]

END, LOST = "end", "lost"
"""Kinds of rows that are about the run: that it is finished, and since when; that it goes on without its log."""

_CHANGED = "its rows are not those that were written"
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
    """Where a verified journal ends.

    Attributes:
        mark: what its row of `run` says.
        wall: time of its last row, in microseconds; of the creation if there is none.
        set_back: the last row whose time is before that of the row before it; 0 if there is none.
        finished: when the run was finished first, if the last row says that it is; else None.
        lost: when the journal went on without its log, for the last time; None if it never did.
        log_lost: whether it has to go on without its log now.
    """

    mark: Mark
    wall: int
    set_back: int = 0
    finished: int | None = None
    lost: int | None = None
    log_lost: bool = False


def verified(
    path: Path, binding: Binding | None, wanted: Callable[[], bool], *, may_be_lost: bool = False
) -> JournalEnd:
    """Read all of the journal, without changing it, and say where it ends.

    Args:
        path: of the journal.
        binding: what it must be bound to, if that matters.
        wanted: asked now and then whether to go on.
        may_be_lost: whether the journal is wanted without its log, if that is lost.

    Raises:
        JournalLogMissingError: its log is missing, or belongs to something else.
        JournalError: it is damaged, bound to something else, in use, or not wanted any more.
    """
    with os_errors(path.name), whole(path, binding, wanted, may_be_lost=may_be_lost) as (_, head):
        return head


@contextmanager
def whole(
    path: Path, binding: Binding | None, wanted: Callable[[], bool], *, may_be_lost: bool = False
) -> Generator[tuple[SqliteConnection, JournalEnd]]:
    """A connection to a journal that is `verified`, and where that ends."""
    alone = recognise(path, path.lstat())
    lost = check_log(path, alone, may_be_lost=may_be_lost)
    with _reading(path) as db:
        head = _read_through(db, path, alone, binding, wanted)
        if not lost and _is_without_its_log(path, alone, head):
            if not may_be_lost:
                raise not_its_log(path.name)
            lost = True  # what is there holds no rows
        yield db, evolve(head, log_lost=lost)


def _is_without_its_log(path: Path, alone: Mark | None, head: JournalEnd) -> bool:
    """Whether the log is another one and holds nothing; a journal that went on without its log has another one, too."""
    return alone is not None and head.mark.generation == alone.generation and is_stray(path, alone)


@contextmanager
def _reading(path: Path) -> Generator[SqliteConnection]:
    """A connection that only reads, and leaves nothing behind."""
    log, shared = log_path(path), path.with_name(f"{path.name}-shm")
    found = os.path.lexists(shared)
    with ExitStack() as left:
        db = left.enter_context(closing(database.connect(path, "ro")))
        try:
            one(db, "PRAGMA schema_version")  # from here on no run can begin, so what is removed is not in use
        except sqlite3.DatabaseError as error:
            # In a folder that is read-only SQLite cannot make what it needs to read beside writers; without a log, the
            # main file is all of the journal.
            if database.is_read_only(error) and log_state(path) == "missing":
                yield left.enter_context(closing(database.connect(path, "peek")))
                return
            if not database.is_damage(error):  # `_read_through` meets that again, and finds out whose fault it is
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


def _read_through(
    db: SqliteConnection, path: Path, alone: Mark | None, binding: Binding | None, wanted: Callable[[], bool]
) -> JournalEnd:
    """Verify every row; see `verified`. `alone` is what the main file says by itself.

    Raises:
        JournalError: see `verified`.
    """
    try:
        head = _whole(db, alone, wanted)
    except _WrongLogError:
        raise not_its_log(path.name) from None
    except (_DamageError, sqlite3.DatabaseError) as error:
        if alone is not None and alone.is_open and _is_whole_alone(path, wanted):
            raise not_its_log(path.name) from None
        if isinstance(error, _DamageError):
            raise JournalError(f"the journal {path.name} is damaged: {error}") from None
        raise
    if binding is not None:
        _compare(path.name, head.mark.binding, binding)
    return head


class _DamageError(Exception):
    """It is not what was written."""


class _WrongLogError(Exception):
    """What the log says does not follow what the main file says."""


def _is_whole_alone(path: Path, wanted: Callable[[], bool]) -> bool:
    """Whether the main file makes sense without the log."""
    try:
        with closing(database.connect(path, "peek")) as db:
            _whole(db, None, wanted)
    except (_DamageError, sqlite3.Error, UnicodeDecodeError):
        return False
    return True


def _whole(db: SqliteConnection, alone: Mark | None, wanted: Callable[[], bool]) -> JournalEnd:
    if [sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema ORDER BY rowid")] != list(SCHEMA):
        raise _DamageError("its tables are not ours")
    runs = list(db.execute(RUN))
    mark = mark_of(tuple(runs[0])) if len(runs) == 1 else None
    if one(db, "PRAGMA quick_check(1)") != ("ok",) or mark is None:
        raise _DamageError(_CHANGED)
    if alone is not None and (mark.id != alone.id or mark.generation < alone.generation):
        raise _WrongLogError
    return _follow(db, mark, alone, wanted)


def _follow(db: SqliteConnection, mark: Mark, alone: Mark | None, wanted: Callable[[], bool]) -> JournalEnd:
    """Verify the chain up to `mark`; `alone` has to be a link of it."""
    number, chain, before, set_back = 0, root(mark), mark.created, 0
    finished: int | None = None
    lost: int | None = None
    passed = alone is None or (alone.seq, alone.chain) == (0, chain)
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
        if not passed and alone is not None and alone.seq == number:
            passed = alone.chain == chain
        if not number % 1000 and not wanted():
            raise JournalError("opening the journal was given up")
    if (number, chain) != (mark.seq, mark.chain):
        raise _DamageError(_CHANGED)
    if not passed:
        raise _WrongLogError
    return JournalEnd(mark, before, set_back, finished, lost)


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


def fold(db: SqliteConnection) -> None:
    """Note the last intent, the last outcome and the number of sends of each index, in a table of this connection.

    It is made anew from rows that were verified, where an index kept in the file would be verified by nothing.
    """
    for statement in _FOLD.split(";"):
        list(db.execute(statement))
