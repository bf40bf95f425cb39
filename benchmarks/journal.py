"""Cost of a journal: latency of a durable intent, rows per second, CPU per row, and CPU per invitation.

``python benchmarks/journal.py [--quick] [--folder FOLDER] [--rounds N] [--json FILE]``

Every worker records an intent, sleeps for the time of a response, and records the outcome, as a bulk invitation does; a
check records only the outcome, and does not wait for the disk. Paced workers make 500 requests per second in total, the
others as many as they can. The CPU time of the same run without a journal is subtracted, and "slower" compares the
durations of the two runs. "fsync" is the time that the disk alone needs to make 4 KiB durable, measured just before; no
intent can be faster. The last line compares the CPU time of whole bulk invitations, 64 connections, unpaced, with and
without a journal; the server is another process. Figures are medians over the rounds; on a busy machine only the ratios
are meaningful.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio
from _invitations import invitations
from attrs import asdict, frozen

from aioconnections import Email, Invited, Journal, Pair, Userid
from aioconnections.journal import report
from aioconnections.journal.items import item_reference
from aioconnections.journal.stored import to_stored

BINDING: Any = {"verb": "invite", "origin": "https://connections.example.com", "userid": "u1"}
STORED_OUTCOME = to_stored(
    Invited("c3c8b6a9-8e4b-4f0c-9d36-0f5d0c8e5b55", person=Userid("20000001"), attempts=1, elapsed=0.02)
)
RESPONSE = 0.02  # seconds until the simulated response


@frozen
class Setting:
    """Conditions of one measurement."""

    workers: int
    per_second: float | None
    items: int
    intents: bool = True

    def __str__(self) -> str:
        pace = f"{self.per_second:.0f}/s" if self.per_second else "unlimited"
        return f"{'invite' if self.intents else 'check'}, {self.workers} workers, {pace}"


@frozen
class Figure:
    """One run; times in seconds."""

    p50: float
    p99: float
    fsync_p50: float
    fsync_p99: float
    rows_per_second: float
    cpu_per_row: float
    slower: float


SETTINGS = (
    Setting(16, 500, 2_500),
    Setting(64, 500, 2_500),
    Setting(64, 500, 2_500, intents=False),
    Setting(16, None, 5_000),
    Setting(64, None, 20_000),
    Setting(64, None, 20_000, intents=False),
)


def quantiles(times: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    times.sort()
    return statistics.median(times), times[int(0.99 * (len(times) - 1))]


def fsync(folder: Path, times: int) -> tuple[float, float]:
    """Seconds for one durable write of 4 KiB: median and 99th percentile."""
    taken: list[float] = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return quantiles(taken)


def cpu() -> float:
    """CPU seconds that all threads of this process have used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def work(path: Path | None, setting: Setting) -> tuple[list[float], float, float]:
    """Seconds spent in the journal for each item, seconds of the run, and CPU seconds of the run."""
    waited: list[float] = []
    numbers = iter(range(setting.items))
    journal = Journal(path) if path else None
    if journal:
        await journal.open(**BINDING)
    began, used = time.perf_counter(), cpu()

    async def worker() -> None:
        for index in numbers:
            if setting.per_second:
                await anyio.sleep(max(0.0, began + index / setting.per_second - time.perf_counter()))
            item = item_reference(pair=Pair(Email("ajones@example.com"), Userid(f"u-{index}")), digest="0" * 32)
            started = time.perf_counter()
            if journal and setting.intents:
                await journal.intent(index, item, send=1)
            seconds = time.perf_counter() - started
            await anyio.sleep(RESPONSE if setting.per_second else 0)
            started = time.perf_counter()
            if journal:
                await journal.outcome(index, item, STORED_OUTCOME, durable=False)
            waited.append(seconds + time.perf_counter() - started)

    async with anyio.create_task_group() as tasks:
        for _ in range(setting.workers):
            tasks.start_soon(worker)
    if journal:
        await journal.aclose()
    return waited, time.perf_counter() - began, cpu() - used


def measure(folder: Path, setting: Setting) -> Figure:
    """Measure one setting once, with and without a journal."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        disk = fsync(Path(name), min(500, setting.items))
        path = Path(name) / "run.sqlite"
        waited, seconds, used = anyio.run(work, path, setting)
        _, bare_seconds, bare_used = anyio.run(work, None, setting)
        with report(path) as run:
            assert run.tally.invited == setting.items
    rows = setting.items * (2 if setting.intents else 1)
    cost = (used - bare_used) / rows
    return Figure(*quantiles(waited), *disk, rows / seconds, cost, seconds / bare_seconds - 1)


def median(figures: list[Figure]) -> Figure:
    """Medians of the figures, field by field."""
    names = asdict(figures[0])
    return Figure(**{name: statistics.median(getattr(figure, name) for figure in figures) for name in names})


def reopening(folder: Path, items: int) -> dict[str, float]:
    """Seconds to open a journal of `items` finished items, and to look up each item."""

    async def run() -> dict[str, float]:
        path = Path(name) / "run.sqlite"
        texts = [item_reference(pair=Pair(Email("ajones@example.com"), Userid(f"u-{n}"))) for n in range(items)]
        journal = Journal(path)
        await journal.open(**BINDING)
        for index, text in enumerate(texts):
            await journal.outcome(index, text, STORED_OUTCOME, durable=False)
        await journal.aclose()
        times = [time.perf_counter()]
        await journal.open(**BINDING)
        times.append(time.perf_counter())
        for index, text in enumerate(texts):
            history = await journal.history(index, text)
            assert history is not None
            assert history.finished
        times.append(time.perf_counter())
        await journal.aclose()
        return {"items": items, "open": times[1] - times[0], "look_up": times[2] - times[1]}

    with tempfile.TemporaryDirectory(dir=folder) as name:
        return anyio.run(run)


def main() -> None:
    """Measure all settings and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="run one round of tiny sizes, as a smoke test")
    options.add_argument("--folder", type=Path, help="folder for the journals; by default that of temporary files")
    options.add_argument("--rounds", type=int, default=3, help="rounds per setting (default: 3)")
    options.add_argument("--json", type=Path, help="write all figures to this file")
    chosen = options.parse_args()
    folder: Path = chosen.folder or Path(tempfile.gettempdir())
    settings = (Setting(4, 500, 40), Setting(4, None, 40, intents=False)) if chosen.quick else SETTINGS
    found: list[dict[str, object]] = []
    print(f"{'':32}{'p50 ms':>9}{'p99 ms':>9}{'fsync p50':>11}{'p99':>7}{'rows/s':>9}{'µs CPU/row':>12}{'slower':>9}")
    for setting in settings:
        one = median([measure(folder, setting) for _ in range(1 if chosen.quick else chosen.rounds)])
        times = f"{1e3 * one.p50:9.2f}{1e3 * one.p99:9.2f}{1e3 * one.fsync_p50:11.2f}{1e3 * one.fsync_p99:7.2f}"
        slower = f"{100 * one.slower:8.1f}%" if setting.per_second else f"{'':9}"
        print(f"{setting!s:32}{times}{one.rows_per_second:9,.0f}{1e6 * one.cpu_per_row:12.1f}{slower}", flush=True)
        found.append({"setting": asdict(setting), **asdict(one)})
    again = reopening(folder, 1_000 if chosen.quick else 200_000)
    print(
        f"{again['items']:,.0f} finished items: opened in {again['open']:.2f} s, looked up in {again['look_up']:.2f} s"
    )
    whole = invitations(folder, rounds=1 if chosen.quick else 2 * chosen.rounds, count=200 if chosen.quick else 6_000)
    print(
        f"{whole['invitations']:,.0f} invitations: {whole['plain']:.1f} µs CPU each, {whole['journal']:.1f} µs with a "
        f"journal (× {whole['ratio']:.2f})"
    )
    if chosen.json:
        chosen.json.write_text(json.dumps([*found, again, whole], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
