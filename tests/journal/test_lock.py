"""What keeps two runs apart: a lock that nothing but its own release drops."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from journals import INVITED, ORIGIN, USERID, VERB, folder, item, log_of, open_once, opened, outcomes

from aioconnections import Journal, JournalDiskError, JournalError, JournalLockedError
from aioconnections.journal import lock, report

pytestmark = [pytest.mark.skipif("sys.platform == 'win32'", reason="there is no flock")]

OTHER = f"""
import asyncio, sys
from aioconnections import Journal, JournalError
async def main():
    journal = Journal(sys.argv[1])
    try:
        await journal.open(verb={VERB!r}, origin={ORIGIN!r}, userid={USERID!r})
    except JournalError as error:
        print(type(error).__name__)
    else:
        await journal.aclose()
        print("open")
asyncio.run(main())
"""


async def other_process(path: Path) -> str:
    """What becomes of a second run."""
    run = await anyio.run_process([sys.executable, "-c", OTHER, str(path)], stderr=None)
    return run.stdout.decode().strip()


def lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


@pytest.mark.anyio
async def test_reading_the_journal_inside_the_running_process_keeps_others_out(path: Path, tmp_path: Path) -> None:
    async with opened(path) as journal:
        await journal.intent(0, item(0), send=1)
        for file in (path, log_of(path), lock_of(path)):
            await anyio.Path(file).read_bytes()
            await anyio.to_thread.run_sync(shutil.copy, file, tmp_path / "copy")
        assert await other_process(path) == "JournalLockedError"
        await journal.intent(1, item(1), send=1)
    assert await other_process(path) == "open"
    assert outcomes(path) == {0: "in_doubt", 1: "in_doubt"}


def test_the_lock_file_is_private_and_stays(path: Path) -> None:
    open_once(path)
    identity = lock_of(path).stat().st_ino
    assert lock_of(path).stat().st_mode & 0o777 == 0o600
    open_once(path)
    assert (lock_of(path).stat().st_ino, lock_of(path).read_bytes()) == (identity, b"")


@pytest.mark.anyio
async def test_the_lock_is_taken_before_the_journal_is_made(path: Path) -> None:
    held = lock.take(path)
    with pytest.raises(JournalLockedError, match="in use by another run or report"):
        await Journal(path).open(verb=VERB, origin=ORIGIN, userid=USERID)
    assert folder(path) == {}
    held.release()
    held.release()
    async with opened(path):
        pass


def test_any_number_of_reports_can_be_open(path: Path) -> None:
    open_once(path)
    with report(path), report(path) as second:
        assert second.tally.read == 0
        with pytest.raises(JournalLockedError):
            open_once(path)
    open_once(path)


FORKING = f"""
import asyncio, os, sys
from aioconnections import Journal
journal = Journal(sys.argv[1])
async def main():
    await journal.open(verb={VERB!r}, origin={ORIGIN!r}, userid={USERID!r})
    await journal.intent(0, "one", send=1)
    await journal.intent(1, "two", send=1)
asyncio.run(main())
child = os.fork()
if sys.argv[2] == "survives":
    if not child:
        os.close(1)
        sys.stdin.read()  # until the test lets it end
        os._exit(0)
    print("done", flush=True)
    os.kill(os.getpid(), 9)
if child:  # else it ends as any interpreter does
    os.waitpid(child, 0)
    assert os.stat(sys.argv[1] + "-wal").st_size
    asyncio.run(journal.aclose())
    print("done", flush=True)
"""


@pytest.mark.parametrize("child", ["survives", "ends"])
def test_a_forked_child_neither_keeps_the_lock_nor_harms_the_journal(path: Path, child: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING, str(path), child]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"done\n"
        process.wait()
        open_once(path)  # the parent is gone, and the child may still be there
    with report(path) as run:
        assert run.tally.in_doubt == 2


def test_what_is_locked_is_given_back_by_a_child_of_its_own(path: Path) -> None:
    held = lock.take(path)
    child = os.fork()
    if not child:
        os._exit(held.descriptor is not None)  # it was closed before anything else ran
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with pytest.raises(JournalLockedError):
        lock.take(path)
    held.release()
    lock.take(path).release()


def directory(file: Path) -> None:
    file.mkdir()


def link(file: Path) -> None:
    file.symlink_to(file.with_name("elsewhere"))


def fifo(file: Path) -> None:
    os.mkfifo(file)


@pytest.mark.parametrize("make", [directory, link, fifo])
def test_a_lock_file_that_is_none_is_refused(path: Path, make: Callable[[Path], None]) -> None:
    open_once(path)
    lock_of(path).unlink()
    make(lock_of(path))
    before = path.read_bytes()
    for attempt in (open_once, report):
        with pytest.raises(
            JournalError, match=r"run\.sqlite\.lock is not a regular file, so the journal cannot be locked"
        ):
            attempt(path)
    assert path.read_bytes() == before
    assert not path.with_name("elsewhere").exists()


def test_a_lock_file_of_another_user_is_refused_in_a_public_folder(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root may give files away")
    open_once(path)
    os.chown(lock_of(path), 12345, -1)
    open_once(path)
    path.parent.chmod(0o1777)
    with pytest.raises(JournalError, match="owned by another user"):
        open_once(path)


def test_a_lock_file_that_may_not_be_opened_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_once(path)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    for attempt in (open_once, report):
        with pytest.raises(JournalError, match=r"run\.sqlite\.lock is not readable and writable for this user"):
            attempt(path)


def test_a_lock_file_that_is_removed_meanwhile_is_made_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = lock._flock, [2]

    def removed(*which: object, **options: bool) -> None:
        real(*which, **options)  # type: ignore[arg-type] # the same
        if left[0]:
            left[0] -= 1
            lock_of(path).unlink()

    monkeypatch.setattr(lock, "_flock", removed)
    lock.take(path).release()
    assert lock_of(path).exists()
    left[0] = 100
    with pytest.raises(JournalError, match="another program keeps replacing"):
        lock.take(path)


READ_ONLY = """
import os, sys
from aioconnections import JournalError
from aioconnections.journal import report
from aioconnections.journal import database, file, lock, reading
os.setgroups([])
os.setuid(12345)  # of nobody in particular, who could not import all that
MEANWHILE
try:
    with report(sys.argv[1]) as run:
        print(run.tally.read, len(list(run.rows())))
except JournalError as error:
    print(type(error).__name__, error)
print(os.listdir(os.environ["TMPDIR"]))
sys.stdout.flush()
os._exit(0)  # what measures coverage could not write its result
"""


@pytest.fixture
def open_folder() -> Generator[Path]:
    """A folder in one that any user may enter."""
    if os.geteuid():
        pytest.skip("only root may become another user")
    folder = Path(tempfile.mkdtemp(prefix="aioconnections-"))
    yield folder
    shutil.rmtree(folder)


def reported_by_another_user(path: Path, meanwhile: str = "") -> str:
    """What a report says, to a user who may read the files of a journal and write only to a temporary folder."""
    scratch = Path(tempfile.mkdtemp(prefix="aioconnections-"))
    try:
        for file in (path.parent, *path.parent.iterdir(), scratch):
            os.chown(file, 12345, -1)
            if file != scratch:
                file.chmod(0o500 if file.is_dir() else 0o400)
        said = subprocess.run(
            [sys.executable, "-c", READ_ONLY.replace("MEANWHILE", meanwhile), str(path)],
            env={**os.environ, "TMPDIR": str(scratch)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(scratch)
    assert said.stderr == ""
    told, left = said.stdout.splitlines()
    assert left == "[]", "nothing is left behind"
    return told


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("locked", [True, False])
def test_a_report_in_a_folder_that_is_read_only(open_folder: Path, *, locked: bool, closed: bool) -> None:
    path = open_folder / "run.sqlite"
    copy = open_folder / "copy"

    async def run() -> None:
        async with opened(path) as journal:
            await journal.outcome(0, item(0), INVITED, durable=True)
            if not closed:  # as a killed process would leave it
                await anyio.to_thread.run_sync(shutil.copytree, open_folder, copy)

    anyio.run(run)
    if not closed:
        path = copy / "run.sqlite"
        Path(f"{path}-shm").unlink(missing_ok=True)
    if not locked:
        lock_of(path).unlink()
    open_folder.chmod(0o755)
    before = {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    assert (f"{path}-wal" in map(str, before)) is not closed
    assert reported_by_another_user(path) == "1 1"
    assert {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()} == before


def test_a_report_in_a_folder_that_is_read_only_while_a_run_goes_on_there(open_folder: Path) -> None:
    path = open_folder / "run.sqlite"
    said: list[str] = []

    async def run() -> None:
        async with opened(path) as journal:
            await journal.outcome(0, item(0), INVITED, durable=True)
            said.append(await anyio.to_thread.run_sync(reported_by_another_user, path))
            await journal.outcome(1, item(1), INVITED, durable=True)

    anyio.run(run)
    assert said == ["JournalLockedError the journal run.sqlite is in use by another run or report"]
    assert len(outcomes(path)) == 2


FULL = """
import errno, shutil
def copy(source, target):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
shutil.copyfile = copy
"""
CHANGED = """
import shutil
real = shutil.copyfile
def copy(source, target):
    real(source, target)
    os.utime(source)
shutil.copyfile = copy
"""


@pytest.mark.parametrize(
    ("meanwhile", "problem"),
    [
        (FULL, "JournalError the journal run.sqlite is in a read-only folder, and could not be copied to a temporary "),
        (CHANGED, "JournalLockedError the journal run.sqlite is in use by another run"),
    ],
    ids=["a full disk", "another program writes"],
)
def test_a_copy_of_a_journal_in_a_read_only_folder_that_fails(open_folder: Path, meanwhile: str, problem: str) -> None:
    path = open_folder / "run.sqlite"
    copy = open_folder / "copy"

    async def run() -> None:
        async with opened(path) as journal:
            await journal.outcome(0, item(0), INVITED, durable=True)
            await anyio.to_thread.run_sync(shutil.copytree, open_folder, copy)

    anyio.run(run)
    open_folder.chmod(0o755)
    assert reported_by_another_user(copy / "run.sqlite", meanwhile).startswith(problem)


def removed(file: Path) -> None:
    file.unlink()


def replaced(file: Path) -> None:
    content = file.read_bytes()
    file.rename(file.with_name("aside"))
    file.write_bytes(content)


def grown(file: Path) -> None:
    with file.open("ab") as log:
        log.write(bytes(4096))


@pytest.mark.parametrize(
    ("which", "how"),
    [*((which, how) for which in ("", "-wal", ".lock") for how in (removed, replaced)), ("-wal", grown)],
)
@pytest.mark.anyio
async def test_another_program_that_removes_a_file_ends_the_run(
    path: Path, which: str, how: Callable[[Path], None]
) -> None:
    async with opened(path) as journal:
        await journal.intent(0, item(0), send=1)
        await anyio.to_thread.run_sync(how, Path(f"{path}{which}"))
        for index in (1, 2):
            with pytest.raises(JournalDiskError, match=f"another program has .* {path.name}{which} during the run"):
                await journal.intent(index, item(index), send=1)


@pytest.mark.anyio
async def test_a_log_that_another_program_removed_takes_nothing_along(path: Path) -> None:
    async with opened(path) as journal:
        await journal.intent(0, item(0), send=1)
        await anyio.to_thread.run_sync(log_of(path).unlink)
        with pytest.raises(JournalDiskError):
            await journal.intent(1, item(1), send=1)
    assert outcomes(path) == {0: "in_doubt"}
