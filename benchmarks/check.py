"""Speed of checking pairs, compared with other ways to send the same HEAD requests from Python.

``python benchmarks/check.py [--quick] [--only TEXT] [--json FILE] [--chart FILE] [--rounds N]``

`check_many` is measured end to end: pairs from a generator, outcomes from an ``async for``, the rate limiter on. The
rivals (aiohttp, httpx, requests; those that are not installed are left out) only look for the header. The responses are
like those of real servers, unless the name of a setting says otherwise. Server and client are pinned to one core each,
and the clients of one setting take turns. The table shows medians: CPU microseconds of the client process per HEAD,
HEADs per second, and the CPU of each rival as a multiple of ours. With a latency, no client can exceed connections /
latency HEADs per second. ``wrk``, if it is installed, is a client in C for comparison. The floor is what asyncio
itself takes to send the requests and to be called with the responses, which nothing reads. On a busy machine only the
ratios are meaningful.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from _chart import chart
from _rivals import RIVALS
from _servers import Responses, Served, served
from attrs import asdict, field, frozen

OURS = "aioconnections"
WRK = "wrk (C)"
FLOOR = "floor: asyncio, unread"
_NEEDS = {"aiohttp, worker queue": "aiohttp", "aiohttp, no cookies": "aiohttp", "requests, threads": "requests"}
_COUNTS = {
    OURS: 20_000,
    FLOOR: 20_000,
    "aiohttp, worker queue": 10_000,
    "aiohttp, no cookies": 10_000,
    "requests, threads": 1_500,
}
_FEW = 600  # with more pairs, httpx takes minutes
_RIVALS_FILE = Path(__file__).with_name("_rivals.py")


@frozen
class Setting:
    """Conditions under which every rival is measured.

    Attributes:
        connections: number of connections.
        responses: see `Responses`.
        way: how we use `check_many`: in input order, with a journal, on trio, or with an async generator as source; the
            rivals do the same as ever.
        latency: seconds before each response.
        tls: whether to use TLS.
        requests: number of requests after which a connection is closed.
    """

    connections: int
    responses: Responses = "real"
    way: Literal["plain", "ordered", "journal", "trio", "async source"] = "plain"
    latency: float = 0.0
    tls: bool = False
    requests: int = 100_000_000

    def __str__(self) -> str:
        extras = [f"{self.responses} responses"] if self.responses != "real" else []
        extras += [self.way] if self.way != "plain" else []
        extras += [f"{self.latency * 1000:.0f} ms latency"] if self.latency else []
        extras += ["TLS"] if self.tls else []
        extras += [f"closed after {self.requests}"] if self.requests < 1000 else []
        return ", ".join([f"{self.connections} connections", *extras])


@frozen
class Figure:
    """One rival in one setting: medians over the rounds."""

    setting: Setting
    rival: str
    server: str
    microseconds: float
    per_second: float
    runs: list[dict[str, float]] = field(factory=list)


SETTINGS = (
    *(Setting(connections) for connections in (1, 16, 64, 256, 1024)),
    Setting(64, "simple"),
    Setting(64, "html404"),
    Setting(64, way="ordered"),
    Setting(64, way="journal"),
    Setting(64, way="trio"),
    Setting(64, way="async source"),
    Setting(64, tls=True),
    Setting(64, latency=0.02),
    Setting(64, latency=0.1),
    Setting(64, requests=100),
)
QUICK = (
    Setting(8),
    Setting(8, "simple", way="trio", tls=True),
    Setting(8, "html404", way="ordered"),
    Setting(8, way="journal", latency=0.02),
    Setting(8, way="async source"),
)


def rivals(setting: Setting) -> list[str]:
    """Names of the rivals that are installed; wrk waits for the body that the head of an HTML page declares.

    The floor neither connects again nor reads the head that tells where a response ends.
    """
    found = [name for name in RIVALS if importlib.util.find_spec(_NEEDS.get(name, "httpx"))]
    if setting.requests < 1000 or setting.tls:
        found.remove(FLOOR)
    return found + ([WRK] if shutil.which("wrk") and setting.responses != "html404" else [])


def count_for(rival: str, setting: Setting, *, quick: bool) -> int:
    """Number of pairs for a run of one or two seconds."""
    if quick:
        return 100
    count = _COUNTS.get(rival, _FEW)
    if rival == "httpx, gather" and setting.connections < 16:
        count = 100  # every waiting request scans the whole queue of the pool
    if setting.latency:
        count = min(count, max(_FEW, int(2 * setting.connections / setting.latency)))
    return count


def run(rival: str, server: Served, setting: Setting, count: int) -> dict[str, float]:
    """Run one rival once and return elapsed seconds, CPU seconds and the number of requests."""
    if rival == WRK:
        return _wrk(server, setting)
    numbers = (str(setting.connections), str(count))
    command = [sys.executable, str(_RIVALS_FILE), rival, server.url, server.ca or "", *numbers, setting.way]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 # our own script
    figures: dict[str, float] = json.loads(done.stdout)
    return {**figures, "count": count}


def _wrk(server: Served, setting: Setting) -> dict[str, float]:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write('wrk.method = "HEAD"\n')
        script.flush()
        url = f"{server.url}/profiles/atom/connection.do?connectionType=colleague&sourceUserid=a1&targetUserid=b1"
        command = ["wrk", "-t1", f"-c{setting.connections}", "-d1s", "-s", script.name, url]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        pin = ["taskset", "-c", "1"] if shutil.which("taskset") else []
        done = subprocess.run([*pin, *command], check=True, capture_output=True, text=True)  # noqa: S603 # our own command
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    words = next(line for line in done.stdout.splitlines() if "requests in" in line).split()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu, "count": float(words[0])}


def measure(setting: Setting, *, rounds: int, quick: bool) -> Iterator[Figure]:
    """Measure all rivals in one setting, taking turns."""
    with served(
        responses=setting.responses, latency=setting.latency, tls=setting.tls, requests=setting.requests
    ) as server:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in rivals(setting)}
        for _ in range(rounds):
            for name, done in runs.items():
                done.append(run(name, server, setting, count_for(name, setting, quick=quick)))
        for name, done in runs.items():
            yield Figure(
                setting,
                name,
                server.name,
                statistics.median(1e6 * one["cpu"] / one["count"] for one in done),
                statistics.median(one["count"] / one["seconds"] for one in done),
                done,
            )


def table(figures: list[Figure]) -> str:
    """The figures as a text table."""
    lines = []
    for setting in dict.fromkeys(figure.setting for figure in figures):
        here = [figure for figure in figures if figure.setting == setting]
        ours = next(figure for figure in here if figure.rival == OURS)
        lines.append(f"\n{setting} (server: {ours.server})")
        if setting.latency:
            most = setting.connections / setting.latency
            lines[-1] += f": at most {most:,.0f} HEAD/s, we reach {ours.per_second / most:.1%} of that"
        lines.append(f"  {'':24}{'µs CPU/HEAD':>12}{'HEAD/s':>10}{'× our CPU':>11}{'our rate is':>13}")
        for one in here:
            cpu, rate = one.microseconds / ours.microseconds, ours.per_second / one.per_second
            lines.append(f"  {one.rival:24}{one.microseconds:12.1f}{one.per_second:10,.0f}{cpu:11.2f}{rate:12.2f}×")
    return "\n".join(lines)


def main() -> None:
    """Measure the settings that the command line selects."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="run one round of tiny sizes, as a smoke test")
    options.add_argument("--only", metavar="TEXT", default="", help="run only settings whose name contains TEXT")
    options.add_argument("--rounds", type=int, default=3, help="rounds per setting (default: 3)")
    options.add_argument("--json", type=Path, help="write all figures to this file")
    options.add_argument("--chart", type=Path, help="write an SVG of the setting with 64 connections to this file")
    chosen = options.parse_args()
    settings = QUICK if chosen.quick else SETTINGS
    figures: list[Figure] = []
    for setting in (setting for setting in settings if chosen.only in str(setting)):
        found = list(measure(setting, rounds=1 if chosen.quick else chosen.rounds, quick=chosen.quick))
        print(table(found), flush=True)
        figures += found
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n", encoding="utf-8")
    if chosen.chart:
        shown = [one for one in figures if one.setting == (Setting(8) if chosen.quick else Setting(64))]
        shown = [one for one in shown if one.rival != FLOOR]
        found_by_rival = {one.rival: one.microseconds for one in sorted(shown, key=lambda one: one.microseconds)}
        title = "CPU microseconds per checked pair, 64 connections (logarithmic; shorter is better)"
        chosen.chart.write_text(chart(title, found_by_rival, {OURS}), encoding="utf-8")


if __name__ == "__main__":
    main()
