"""What a journal may be opened on, and what it leaves alone."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from journals import INVITED, ORIGIN, USERID, VERB, folder, item, open_once, opened, outcomes

from aioconnections import JournalBoundError, JournalDiskError, JournalError
from aioconnections.journal import database, report


@pytest.fixture
def path(path: Path) -> Path:
    """Where a journal is that holds something."""

    async def run() -> None:
        async with opened(path) as journal:
            await journal.outcome(0, item(0), INVITED, durable=True)

    anyio.run(run)
    return path


@pytest.mark.parametrize(
    ("verb", "origin", "userid", "message"),
    [
        ("remove", ORIGIN, USERID, "its verb is invite, not remove"),
        (VERB, "https://other.example.com", USERID, f"its server is {ORIGIN}, not https://other.example.com"),
        (VERB, ORIGIN, "u2", "another user was signed in"),
        (VERB, ORIGIN, None, "another user was signed in"),
        ("remove", ORIGIN, None, "its verb is invite, not remove and another user was signed in"),
    ],
)
def test_another_run_is_refused(path: Path, verb: str, origin: str, userid: str | None, message: str) -> None:
    before = folder(path)
    with pytest.raises(JournalBoundError, match=f"{message}; choose another path$") as caught:
        open_once(path, verb=verb, origin=origin, userid=userid)
    assert USERID not in str(caught.value)
    assert folder(path) == before
    open_once(path)


def test_a_run_without_a_user_is_bound_to_none(tmp_path: Path) -> None:
    path = tmp_path / "nobody.sqlite"
    open_once(path, userid=None)
    open_once(path, userid=None)
    with pytest.raises(JournalBoundError):
        open_once(path)


def test_only_its_owner_may_read_it(path: Path) -> None:
    log = path.with_name(path.name + "-wal")

    async def run() -> None:
        async with opened(path) as journal:
            await journal.intent(1, item(1), send=1)
            modes.extend(stat.S_IMODE(os.stat(file).st_mode) for file in (path, log))  # noqa: PTH116 # no waiting here

    modes: list[int] = []
    anyio.run(run)
    path.chmod(0o644)
    anyio.run(run)
    assert modes == [0o600] * 4
    assert list(folder(path)) == [path.name]


def other_database(path: Path) -> bytes:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (a)")
    db.close()
    return path.read_bytes()


def test_what_is_no_journal_is_never_written_to(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    for content in (other_database(path), b"index,outcome\n" * 1000, b"", b"SQLite"):
        path.write_bytes(content)
        for attempt in (open_once, report):
            with pytest.raises(JournalError, match="not a journal"):
                attempt(path)
        assert folder(path) == {path.name: content}


def changed(path: Path, sql: str) -> None:
    db = sqlite3.connect(path)
    db.executescript(sql)
    db.close()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("PRAGMA user_version=4", "of format 4; this version supports formats 2 and 3"),
        (
            "PRAGMA user_version=1",
            "of format 1, which cannot show whether its log is missing; this version supports formats 2 and 3",
        ),
        ("DROP TABLE entry", "its tables are not those of a journal"),
        ("CREATE TABLE mine (a)", "its tables are not those of a journal"),
        ("DELETE FROM entry", "is damaged"),
        ("UPDATE entry SET item = 'x'", "is damaged"),
        ("UPDATE entry SET item = NULL", "is damaged"),
        ("UPDATE entry SET data = CAST(data AS BLOB)", "is damaged"),
        ("UPDATE entry SET kind = NULL", "is damaged"),
        ("UPDATE entry SET idx = 0.5", "is damaged"),
        ("UPDATE entry SET wall = NULL", "is damaged"),
        ("UPDATE entry SET chain = NULL", "is damaged"),
        ("UPDATE entry SET wall = wall + 1", "is damaged"),
        ("UPDATE run SET verb = CAST(verb AS BLOB)", "is damaged"),
        ("UPDATE run SET created = NULL", "is damaged"),
        ("UPDATE run SET seq = NULL", "is damaged"),
        ("UPDATE entry SET item = CAST(x'ff' AS TEXT)", "run.sqlite: Could not decode"),
        ("UPDATE run SET verb = 'remove'", "is damaged"),
        ("UPDATE run SET created = 0", "is damaged"),
        ("UPDATE run SET seq = 0", "is damaged"),
        ("UPDATE run SET id = 'x'", "is damaged"),
        ("UPDATE run SET generation = 0", "is damaged"),
        ("UPDATE run SET open = 1", "is damaged"),
        ("UPDATE run SET seal = NULL", "is damaged"),
        ("DELETE FROM run", "is damaged"),
        ("INSERT INTO run SELECT * FROM run", "is damaged"),
        ("INSERT INTO entry SELECT 2, idx, kind, item, data, wall, chain FROM entry", "is damaged"),
    ],
)
def test_what_was_changed_is_refused_and_left_as_it_is(path: Path, sql: str, message: str) -> None:
    changed(path, sql)
    before = folder(path)
    for attempt in (open_once, report):
        with pytest.raises(JournalError, match=message):
            attempt(path)
    assert folder(path) == before


def test_a_damaged_name_that_is_no_text_is_refused(path: Path) -> None:
    content = path.read_bytes().replace(b"tableentryentry", b"table\xffntryentry")
    assert b"\xff" in content
    path.write_bytes(content)
    for attempt in (open_once, report):
        with pytest.raises(JournalError, match="its text cannot be read"):
            attempt(path)
    assert folder(path) == {path.name: content}


def test_what_is_no_file_is_refused(path: Path) -> None:
    link = path.with_name("link.sqlite")
    link.symlink_to(path)
    for attempt in (open_once, report):
        with pytest.raises(JournalError, match="not a regular file"):
            attempt(link)
        with pytest.raises(JournalError, match="not a regular file"):
            attempt(path.parent)
        with pytest.raises(JournalError, match="No such file"):
            attempt(path.parent / "nowhere" / "run.sqlite")
    with pytest.raises(JournalError, match="No such file"):
        report(path.with_name("nothing.sqlite"))


def test_what_somebody_else_put_into_a_public_folder_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    open_once(path)
    path.parent.chmod(0o1777)
    with pytest.raises(JournalError, match="belongs to another user"):
        open_once(path)


@pytest.mark.parametrize("rest", ["-wal", "-journal"])
def test_the_log_of_a_journal_that_is_gone_is_not_lost(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "run.sqlite"
    path.with_name(path.name + rest).write_bytes(b"rows")
    with pytest.raises(JournalError, match=f"run.sqlite does not exist, but run.sqlite{rest} does"):
        open_once(path)
    assert folder(path) == {path.name + rest: b"rows"}


def test_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", link)
    open_once(tmp_path / "run.sqlite")
    assert outcomes(tmp_path / "run.sqlite") == {}


@pytest.mark.parametrize("links", [True, False])
def test_one_that_is_made_by_somebody_else_at_the_same_time(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    new, real = path.with_name("new.sqlite"), os.link

    def link(source: Path, target: Path) -> None:
        target.write_bytes(path.read_bytes())
        if not links:
            raise PermissionError
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    open_once(new)
    assert outcomes(new) == {0: "invited"}
    assert sorted(folder(path)) == ["new.sqlite", "run.sqlite"]


class Breaking:
    """A connection that fails, or finds nothing, in the statement that holds a word."""

    def __init__(self, real: database.SqliteConnection, word: str, found: list[tuple[object, ...]] | None) -> None:
        self.real = real
        self.word = word
        self.found = found

    def execute(self, sql: str, values: tuple[object, ...] = (), /) -> Iterator[object]:
        if self.word not in sql:
            return self.real.execute(sql, values)
        if self.found is not None:
            return iter(self.found)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
        raise error

    def close(self) -> None:
        self.real.close()


@pytest.mark.parametrize(
    ("word", "found", "kind"),
    [
        ("GROUP BY", None, JournalDiskError),
        ("locking_mode", None, JournalDiskError),
        ("BETWEEN", None, JournalDiskError),
        ("BETWEEN", [(0, item(0), 1, 1, None, None, None, 0)], JournalError),
    ],
)
def test_a_disk_that_fails_to_read(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    word: str,
    found: list[tuple[object, ...]] | None,
    kind: type[JournalError],
) -> None:
    real = database.connect

    async def run() -> None:
        async with opened(path) as journal:
            await journal.history(0, item(0))

    with monkeypatch.context() as patched:
        patched.setattr(database, "connect", lambda *which: Breaking(real(*which), word, found))
        with pytest.raises(JournalError) as caught:
            anyio.run(run)
    assert type(caught.value) is kind
    anyio.run(run)


def test_one_that_changes_while_it_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = database.connect

    def connect(path: Path, mode: database.Mode) -> database.SqliteConnection:
        if mode == "rw":
            changed(path, "UPDATE run SET generation = 7")
        return real(path, mode)

    monkeypatch.setattr(database, "connect", connect)
    with pytest.raises(JournalError, match=r"another program has changed the journal .* while it was opened"):
        open_once(path)
