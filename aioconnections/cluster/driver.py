"""The driver of a run on a cluster: it hands out partitions, and notes which of them are done.

It never has more tasks under way than it began with if they divide the rate among them. The first task runs alone until
the server has accepted its login, so that a wrong password is not tried by all workers.

A task stops without a part when the scheduler has given it up: because the driver cancelled it or has died, or because
the worker closes.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, cast

from attrs import evolve, field

from aioconnections.client import Client, Timeouts
from aioconnections.cluster.manifest import MANIFEST, Manifest, width_of
from aioconnections.cluster.partitions import Files, Partition, found_files, input_file, partitions
from aioconnections.cluster.settings import (
    CheckOptions,
    ClusterProgress,
    ClusterResult,
    TaskSettings,
    auth_function,
    checked_shared,
    chosen_columns,
)
from aioconnections.cluster.task import STOPPED, counts_of, temporary_files
from aioconnections.errors import (
    AuthenticationError,
    ClusterError,
    ConnectionsError,
    InvalidInputError,
    JournalError,
    JournalLockedError,
    UsageError,
)
from aioconnections.files.escaping import escaped
from aioconnections.files.sections import TextForm
from aioconnections.journal.lock import Lock, take
from aioconnections.outcomes import Tally
from aioconnections.reprs import define

__all__ = ["ClusterRun"]

_TICK = 0.25  # seconds between two looks at what has changed
_LOOK = 2.0  # seconds between two looks at the workers
_SETTLE = 30.0  # seconds to wait for tasks that were told to stop
_GRACE = 0.5  # seconds in which a task that has just begun reports it
_RATE = 10.0  # seconds over which the rate is measured
_SAVE = 5.0  # seconds between two writes of the manifest


@define(kw_only=True)
class ClusterRun:
    """One run on a cluster.

    Attributes:
        files: the input files.
        folder: the folder of the result.
        settings: settings of the tasks; the rate is that of all tasks together.
        options: further options.
        task: what a worker runs, given settings, a partition and the topic of its reports.
        manifest: the manifest, after `prepare`.
    """

    files: list[Path]
    folder: Path
    settings: TaskSettings
    options: CheckOptions
    task: Callable[[TaskSettings, Partition, str], dict[str, int]]
    manifest: Manifest = field(factory=lambda: Manifest({}, []))
    _todo: deque[int] = field(factory=deque[int])
    _under_way: dict[int, str] = field(factory=dict[int, str])  # tasks that have begun, and their workers
    _live: dict[int, dict[str, int]] = field(factory=dict[int, dict[str, int]])
    _tasks: dict[asyncio.Task[dict[str, int]], int] = field(factory=dict)
    _done: int = 0
    _signed_in: bool = False
    _stopping: bool = False
    _requests: int = 0
    _error: Exception | None = None
    _alive: int = 0  # workers
    _looked: float = 0.0
    _seen: float = 0.0
    _times: deque[tuple[float, int]] = field(factory=deque[tuple[float, int]])
    _started: float = 0.0
    _saved: float = 0.0
    _recorded: set[int] = field(factory=set[int])  # partitions whose counts are in the manifest
    _lock: Lock | None = None

    @classmethod
    def of(
        cls,
        files: Files,
        url: str,
        output: str | Path,
        options: CheckOptions,
        task: Callable[[TaskSettings, Partition, str], dict[str, int]],
    ) -> ClusterRun:
        """Check the arguments of `check_many`.

        Raises:
            InvalidInputError: one is invalid.
        """
        rows: object = options.get("rows_per_partition", 50_000)
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            raise InvalidInputError(f"rows_per_partition must be a positive whole number, got {rows!r}")
        form = options.get("format", "csv")
        if form not in {"csv", "parquet"}:
            raise InvalidInputError(f'format must be "csv" or "parquet", got {form!r}')
        plan = options.get("plan", "head")
        if plan not in {"head", "auto"}:
            raise InvalidInputError(f'plan must be "head" or "auto", got {plan!r}')
        verify = options.get("verify", True)
        folder = Path(output).absolute()
        settings = TaskSettings(
            url=url,
            output=str(folder),
            run=uuid.uuid4().hex[:12],
            auth=auth_function(options.get("auth")),
            oauth_paths=options.get("oauth_paths", True),
            shared=checked_shared(options.get("shared")),
            max_per_second=options.get("max_per_second", 100),
            max_connections=options.get("max_connections", 16),
            plan=plan,
            form=form,
            untyped=chosen_columns(options.get("id_type"), options.get("source_column"), options.get("target_column")),
            layout=TextForm("csv", "utf-8", ()),  # until the files are read
            width=0,
            verify=verify if isinstance(verify, bool) else str(verify),
            trust_env=options.get("trust_env", False),
            timeouts=options.get("timeouts", Timeouts()),
        )
        _check_client_options(settings)
        return cls(files=found_files(files), folder=folder, settings=settings, options=options, task=task)

    def __enter__(self) -> Self:
        """Make the folder of the result, and lock it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(f"{escaped(str(self.folder))}: {error.strerror}") from None
        try:
            self._lock = take(self.folder / MANIFEST)
        except JournalLockedError:
            raise UsageError(f"another run writes to {escaped(str(self.folder))}; choose another folder") from None
        except JournalError:
            self._lock = None  # not every network file system has locks
        return self

    def __exit__(self, *_: object) -> None:
        """Release the folder."""
        if self._lock is not None:
            self._lock.release()

    def prepare(self) -> None:
        """Find the partitions that are to be done: from the manifest of an earlier run, or by reading the files.

        Raises:
            InvalidInputError: see `check_many`.
            OSError: the manifest cannot be written.
        """
        files, settings = [input_file(path) for path in self.files], self.settings.shown()
        settings["rows_per_partition"] = self.options.get("rows_per_partition", 50_000)
        settings["encoding"] = self.options.get("encoding")
        earlier = Manifest.read(self.folder)
        if earlier is not None:
            earlier.refuse_other(settings, files, self.folder)
            self.manifest = earlier
        else:
            if any(self.folder.glob("part-*")):
                raise InvalidInputError(f"{escaped(str(self.folder))} has parts but no manifest; choose another folder")
            rows = self.options.get("rows_per_partition", 50_000)
            read = partitions(files, self.settings.untyped, rows, self.options.get("encoding"))
            self.manifest = Manifest(settings, _checked(read, self.settings))
        found = self.manifest.partitions
        self.settings = evolve(self.settings, layout=found[0].form, width=width_of(len(found)))
        for path in temporary_files(self.folder):
            path.unlink(missing_ok=True)
        for partition in self.manifest.partitions:
            if self.settings.part(partition.number).exists():
                self._done += 1
                counts = counts_of(self.settings.counts(partition.number))
                if counts is not None:
                    self.manifest.counts.setdefault(partition.number, counts)
            else:
                self.manifest.counts.pop(partition.number, None)
                self._todo.append(partition.number)
        self._write_manifest()

    def _write_manifest(self) -> None:
        """Write the manifest, and remove the files with counts that it has now."""
        written = [*self.manifest.counts]
        self.manifest.write(self.folder, self.settings.form)
        for number in written:
            if number not in self._recorded:
                self.settings.counts(number).unlink(missing_ok=True)
                self._recorded.add(number)

    def stop(self) -> None:
        """Begin no further partition, and stop those under way. May be called in any thread."""
        self._stopping = True

    def result(self) -> ClusterResult:
        """What has been done."""
        parts = [self.settings.part(partition.number) for partition in self.manifest.partitions]
        done = [path for path in parts if path.exists()]
        counts = self.manifest.counts.values()
        return ClusterResult(
            output=self.folder,
            parts=tuple(done),
            missing=len(parts) - len(done),
            rows=sum(partition.section.rows for partition in self.manifest.partitions),
            tally=_tally(counts),
            unreadable=sum(count.get("unreadable", 0) for count in counts),
            replaced=sum(count.get("replaced", 0) for count in counts),
            uncounted=len(done) - len(counts),
            requests=self._requests,
        )

    async def do(self, client: Any) -> None:
        """Do the partitions, in the event loop of the client.

        Raises:
            ConnectionsError: see `check_many`.
            OSError: a part or the manifest cannot be written.
        """
        self._started = self._seen = time.monotonic()
        topic = f"aioconnections-{self.settings.run}"
        client.subscribe_topic(topic, self._hear)
        try:
            await self._do(client, topic)
        finally:
            with suppress(Exception):  # the scheduler may be gone
                client.unsubscribe_topic(topic)
            for path in temporary_files(self.folder, self.settings.run):
                path.unlink(missing_ok=True)
            self._write_manifest()
        if self._error is not None:
            raise self._error

    async def _do(self, client: Any, topic: str) -> None:
        most = min(await self._first_workers(client), len(self._todo)) if self._todo else 0
        settings, total = self.settings, self.settings.max_per_second
        if settings.shared is None and total is not None and most:
            settings = evolve(settings, max_per_second=total / most)
        while self._tasks or (self._todo and not self._ending):
            workers = await self._workers(client)
            if settings.shared is not None:
                most = max(1, workers)
            while self._todo and not self._ending and len(self._tasks) < (most if self._signed_in else 1):
                number = self._todo.popleft()
                doing = self._one(client, settings, self.manifest.partitions[number], topic)
                self._tasks[asyncio.ensure_future(doing)] = number
            finished, _ = await asyncio.wait([*self._tasks], timeout=_TICK, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                self._take(task)
            if self._stopping or isinstance(self._error, AuthenticationError):
                await self._settle(client)
                break
            await self._show()
        await self._show()

    async def _first_workers(self, client: Any) -> int:
        """The number of workers, as soon as there are any."""
        while not (found := await self._workers(client)) and not self._ending:  # noqa: ASYNC110 # in another process
            await asyncio.sleep(_TICK)
        return found

    async def _workers(self, client: Any) -> int:
        """The number of workers; after a long time without any, the run ends with an error."""
        now = time.monotonic()
        if self._alive and now - self._looked < _LOOK:
            return self._alive
        self._looked = now
        self._alive = 0
        with suppress(OSError):  # the connection to the scheduler is lost, and may come back
            self._alive = len(await client.nthreads())
        if self._alive:
            self._seen = now
        elif now - self._seen > self.options.get("wait_for_workers", 60.0):
            self._error = self._error or ClusterError(
                "the cluster has no workers; start some, as with: dask worker SCHEDULER"
            )
            for task in self._tasks:
                task.cancel()
        return self._alive

    @property
    def _ending(self) -> bool:
        return self._stopping or self._error is not None

    async def _one(self, client: Any, settings: TaskSettings, partition: Partition, topic: str) -> dict[str, int]:
        key = f"{topic}-{partition.number}-{uuid.uuid4().hex[:8]}"
        future = client.submit(self.task, settings, partition, topic, key=key, pure=False)
        try:
            return cast("dict[str, int]", await future)
        finally:
            with suppress(Exception):  # the scheduler may be gone
                await future.cancel()

    def _take(self, task: asyncio.Task[dict[str, int]]) -> None:
        """Note the end of a task."""
        number = self._tasks.pop(task)
        self._live.pop(number, None)
        self._under_way.pop(number, None)
        try:
            counts = task.result()
        except (ConnectionsError, OSError) as error:
            self._error = self._error or error
        except (asyncio.CancelledError, CancelledError):
            if not self._ending:
                self._error = ClusterError("the scheduler has ended or has forgotten the partitions; start again")
        except Exception as error:  # noqa: BLE001 # from a worker or from distributed: any class
            part = self.settings.part(number).name
            found = ClusterError(f"the cluster cannot do {part}: {type(error).__name__}: {error}")
            self._error = self._error or found
        else:
            if counts == STOPPED:  # the worker closes
                self._todo.appendleft(number)
            else:
                self._finish(number, counts)

    def _finish(self, number: int, counts: dict[str, int]) -> None:
        """Count a partition that is done; a cancelled task reports that in a message only."""
        if counts != STOPPED and number not in self.manifest.counts:
            self._note_signed_in(counts)
            self._requests += counts.get("requests", 0)
            self.manifest.counts[number] = {name: count for name, count in counts.items() if name != "requests"}
            self._live.pop(number, None)
            self._done += 1

    async def _settle(self, client: Any) -> None:
        """Stop the tasks under way, and wait until their workers say that they have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait([*self._tasks, asyncio.ensure_future(asyncio.sleep(_GRACE))])
        until = time.monotonic() + _SETTLE
        while self._under_way and time.monotonic() < until:
            with suppress(OSError):
                alive = await client.nthreads()
                self._under_way = {number: at for number, at in self._under_way.items() if at in alive}
            await asyncio.sleep(_TICK)
        for task in [*self._tasks]:
            self._take(task)

    def _hear(self, event: tuple[object, dict[str, Any]]) -> None:
        """Take note of what a task reports."""
        _, message = event
        number = message["number"]
        if "began" in message:
            self._under_way[number] = message["began"]
        elif "counts" in message:
            if number in self.manifest.counts:  # a late report
                return
            self._live[number] = message["counts"]
            self._note_signed_in(message["counts"])
        else:
            if message["done"] is not None:
                self._finish(number, message["done"])
            if self._under_way.get(number) == message["ended"]:
                del self._under_way[number]

    def _note_signed_in(self, counts: dict[str, int]) -> None:
        self._signed_in |= bool(counts.get("checked") or counts.get("rejected"))

    async def _show(self) -> None:
        """Report the progress, and write the manifest from time to time."""
        now = time.monotonic()
        if now - self._saved >= _SAVE:
            self._saved = now
            await asyncio.to_thread(self.manifest.write, self.folder, self.settings.form)
        on_progress = self.options.get("on_progress")
        if on_progress is not None:
            on_progress(self._progress(now))

    def _progress(self, now: float) -> ClusterProgress:
        known = [*self.manifest.counts.values(), *self._live.values()]
        failed = [count.get("failed", 0) + count.get("rejected", 0) for count in known]
        unreadable = sum(count.get("unreadable", 0) for count in known)
        finished = sum(count.get("read", 0) for count in known) + unreadable
        return ClusterProgress(
            rows=sum(partition.section.rows for partition in self.manifest.partitions),
            finished=finished,
            failed=sum(failed),
            unreadable=unreadable,
            parts=self._done,
            of_parts=len(self.manifest.partitions),
            elapsed=now - self._started,
            rate=self._rate(now, finished),
        )

    def _rate(self, now: float, finished: int) -> float:
        """The number of rows finished per second, over about the last ten seconds."""
        times = self._times
        times.append((now, finished))
        while now - times[0][0] > _RATE:
            _ = times.popleft()
        began, before = times[0]
        return (finished - before) / (now - began) if now > began else 0.0


def _checked(found: Iterable[Partition], settings: TaskSettings) -> list[Partition]:
    """The partitions, if their columns are the same and can be written.

    Raises:
        InvalidInputError: see above.
    """
    result: list[Partition] = []
    for partition in found:
        first = result[0] if result else partition
        if {*partition.form.columns} != {*first.form.columns}:
            names = sorted({*partition.form.columns} ^ {*first.form.columns})
            paths = f"{escaped(first.file.path)} and {escaped(partition.file.path)}"
            raise InvalidInputError(
                f"{paths} have different columns: only one has {escaped(', '.join(names[:5]))}; "
                "use a folder of results for each"
            )
        if partition.form.form == "parquet" and settings.form == "csv":
            _refuse_nested(partition)
        result.append(partition)
    return result


def _refuse_nested(partition: Partition) -> None:
    from aioconnections.cluster.parquet import column_types
    from aioconnections.files.parquet import is_flat

    for name, kind in column_types(Path(partition.file.path), partition.form).items():
        if not is_flat(kind):
            raise InvalidInputError(
                f"the column {escaped(name)} of {escaped(partition.file.path)} is of the type {kind}, which CSV cannot "
                'hold; use format="parquet"'
            )


def _check_client_options(settings: TaskSettings) -> None:
    """Refuse options that the clients of the workers would refuse.

    Raises:
        InvalidInputError: see above.
    """
    _ = Client(
        settings.url,
        max_connections=settings.max_connections,
        max_per_second=settings.max_per_second,
        timeouts=settings.timeouts,
    )


def _tally(counts: Iterable[dict[str, int]]) -> Tally:
    total: dict[str, int] = {}
    for count in counts:
        for name, value in count.items():
            total[name] = total.get(name, 0) + value
    known = Tally().as_dict()
    return Tally(**{name: value for name, value in total.items() if name in known})
