"""What a worker does: it checks the rows of one partition, and writes them to one part of the result.

The part is written under another name and renamed when it is complete. So a worker that dies, or two workers that have
the same partition, can do no harm.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import anyio

from aioconnections._version import __version__
from aioconnections.auth.credentials import Auth
from aioconnections.auth.environment import client_cert_of_environment, login_of_environment
from aioconnections.client import Client
from aioconnections.cluster.partitions import PARQUET, Partition, PartitionRows, opened_rows
from aioconnections.cluster.settings import TaskSettings, function_of
from aioconnections.errors import InvalidInputError, UsageError
from aioconnections.files.checks import (
    CHECKED,
    COST,
    PLANNED,
    check_columns,
    cost_columns,
    planned_check_columns,
)
from aioconnections.files.dialect import output_encoding
from aioconnections.files.rows import BadRowError, InputRow, Item
from aioconnections.files.sheet import RowWriter, Sheet
from aioconnections.outcomes import Count, Outcome

__all__ = ["STOPPED", "check_partition", "temporary_files"]

STOPPED = {"stopped": 1}
"""The counts of a partition whose task was stopped. It has no part."""

_REPORT = 0.5  # seconds between two reports
_LOOK = 0.25  # seconds between two looks at whether the task should stop


def check_partition(
    settings: TaskSettings,
    partition: Partition,
    *,
    stop: Callable[[], bool],
    report: Callable[[dict[str, int]], object],
) -> dict[str, int]:
    """Check the rows of a partition, write its part, and return its counts. Runs an event loop of its own.

    Args:
        settings: the settings of the run.
        partition: the partition.
        stop: called in a thread from time to time; whether to stop and leave no part.
        report: called with the counts so far, first for the first outcome.

    Raises:
        ConnectionsError: the run of checks was stopped, or the file is not the same on this machine.
        OSError: the part cannot be written.
    """
    if settings.version != __version__:
        raise UsageError(
            f"a worker has version {__version__} of aioconnections, and the driver has {settings.version}; "
            "install the same version on all machines"
        )
    with opened_rows(partition, settings.untyped) as rows, _part(settings, partition) as write:
        part = _Part(settings, rows, write, report)
        return asyncio.run(part.run(stop))


class _Part:
    """The checks of one partition."""

    def __init__(
        self,
        settings: TaskSettings,
        rows: PartitionRows,
        part: _PartFile,
        report: Callable[[dict[str, int]], object],
    ) -> None:
        self._settings = settings
        self._rows = rows
        self._part = part
        self._report = report
        self._count = Count()
        self._unreadable = 0
        self._reported = 0.0
        self._columns = check_columns if settings.plan == "head" else planned_check_columns

    async def run(self, stop: Callable[[], bool]) -> dict[str, int]:
        with anyio.CancelScope() as scope:
            watching = asyncio.create_task(_watch(stop, scope))
            try:
                requests = await self._check()
            finally:
                watching.cancel()
                with suppress(asyncio.CancelledError), anyio.CancelScope(shield=True):
                    await watching
            counts = {
                **self._counts(),
                "requests": requests,
                "replaced": self._rows.invalid.count,
                "repeated": self._rows.repeats.count,
            }
            self._part.commit({name: count for name, count in counts.items() if name != "requests"})
            return counts
        return dict(STOPPED)

    async def _check(self) -> int:
        settings = self._settings
        if settings.shared is None and settings.max_per_second is not None:
            # The task before this one may just have sent its last request.
            await asyncio.sleep(1 / settings.max_per_second)
        async with _client(settings) as client:
            run = client.check_many(self._rows.rows, plan=settings.plan, ordered=True)
            async with run as outcomes:
                async for outcome in outcomes:
                    self._take(outcome)
            if run.stopped is not None:
                raise run.stopped
            return client.stats().attempts

    def _take(self, outcome: Outcome) -> None:
        item = outcome.item
        if isinstance(item, BadRowError):
            self._unreadable += 1
            self._part.write(item.row | dict.fromkeys(self._part.added) | {"error": str(item)})
        else:
            self._count.add(outcome)
            row: Item = item  # type: ignore[assignment] # every other item is a pair of a row
            self._part.write(row.row | self._columns(outcome) | cost_columns(outcome))
        now = time.monotonic()
        if now - self._reported >= _REPORT:
            self._reported = now
            self._report(self._counts())

    def _counts(self) -> dict[str, int]:
        tally = self._count.tally(self._count.finished).as_dict()
        return {name: count for name, count in tally.items() if count} | {"unreadable": self._unreadable}


async def _watch(stop: Callable[[], bool], scope: anyio.CancelScope) -> None:
    while not await asyncio.to_thread(stop):  # noqa: ASYNC110 # what is looked at belongs to another thread
        await asyncio.sleep(_LOOK)
    scope.cancel()


def _client(settings: TaskSettings) -> Client:
    shared = _called(settings.shared) if isinstance(settings.shared, str) else settings.shared
    if settings.shared is not None and shared is None:
        raise InvalidInputError("the function that shared names returned None on a worker, so nothing limits the rate")
    options: dict[str, Any] = {} if shared is None else {"shared": shared}
    return Client(
        settings.url,
        auth=_login(settings),
        max_connections=settings.max_connections,
        max_per_second=settings.max_per_second,
        verify=settings.verify,
        client_cert=client_cert_of_environment(),
        trust_env=settings.trust_env,
        timeouts=settings.timeouts,
        **options,
    )


def _login(settings: TaskSettings) -> tuple[str, str] | Auth | None:
    """The login that this machine has."""
    if settings.auth is None:
        return login_of_environment(oauth_paths=settings.oauth_paths)
    found: tuple[str, str] | Auth | None = _called(settings.auth)
    return found


def _called(name: str) -> Any:
    """What a function on this machine returns."""
    function = function_of(name)
    try:
        return function()
    except InvalidInputError:
        raise
    except Exception as error:  # noqa: BLE001 # its text may be a secret, and goes through the scheduler
        kind = type(error).__name__
    raise InvalidInputError(f"the function {name} raised {kind} on a worker")


class _PartFile:
    """The file of a part.

    Attributes:
        added: the columns that are added to each row.
        write: writes a row.
    """

    def __init__(self, settings: TaskSettings, partition: Partition) -> None:
        self.added: tuple[str, ...] = (*(CHECKED if settings.plan == "head" else PLANNED), *COST)
        self._path = settings.part(partition.number)
        self._counts = settings.counts(partition.number)
        self._temporary = self._path.with_name(f"{self._path.name}.tmp-{settings.run}-{uuid.uuid4().hex}")
        layout = settings.layout
        columns = (*(name for name in layout.columns if name not in self.added), *self.added)
        self._finish: Callable[[], object]
        self._abandon: Callable[[], object] = lambda: None
        self.write: RowWriter
        if settings.form == PARQUET:
            from aioconnections.cluster.parquet import column_types
            from aioconnections.files.parquet import TEXT, RowTable

            path, form = Path(partition.file.path), partition.form
            types = column_types(path, form) if form.form == PARQUET else dict.fromkeys(layout.columns, TEXT)
            kept = {name: kind for name, kind in types.items() if name not in self.added}
            self._file: Any = self._temporary.open("xb")
            table = RowTable(self._file, columns, kept)
            self.write, self._finish, self._abandon = table, table.finish, table.abandon
            return
        encoding, marked = output_encoding(layout.encoding)
        self._file = self._temporary.open("x", encoding=encoding, newline="")
        sheet = Sheet(self._file, "csv", columns, fresh=False, dialect=layout.dialect, marked=marked)
        self.write, self._finish = (_flat(sheet) if partition.form.form == "jsonl" else sheet), sheet.finish

    def commit(self, counts: dict[str, int]) -> None:
        """Make the part visible under its name, complete and durable, after the file with its counts.

        A driver that was killed has not heard of them.
        """
        self._finish()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        temporary = self._temporary.with_name(f"{self._temporary.name}-counts")
        with temporary.open("x", encoding="utf-8") as file:
            json.dump(counts, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._counts)
        self._temporary.replace(self._path)
        with suppress(OSError):  # not every system can synchronize a folder
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        """Remove the file, unless it was committed."""
        if not self._file.closed:
            self._abandon()
        self._file.close()
        self._temporary.unlink(missing_ok=True)


@contextmanager
def _part(settings: TaskSettings, partition: Partition) -> Generator[_PartFile]:
    part = _PartFile(settings, partition)
    try:
        yield part
    finally:
        part.close()


def _flat(write: RowWriter) -> RowWriter:
    """Write rows of JSON lines as cells: other values than text become JSON."""

    def write_flat(row: InputRow) -> None:
        write({name: _cell(value) for name, value in row.items()})

    return write_flat


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, bool | dict | list) else value


def counts_of(path: Path) -> dict[str, int] | None:
    """The counts in a file that a task has written; None if there are none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    counts = cast("dict[str, object]", found)
    return {name: count for name, count in counts.items() if isinstance(count, int)}


def temporary_files(folder: Path, run: str | None = None) -> list[Path]:
    """The unfinished files of a run, or of all runs, in a folder."""
    return sorted(folder.glob(f"part-*.tmp-{run or ''}*"))
