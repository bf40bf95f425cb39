"""Requests, time and CPU time of bulk checks with and without a plan.

``python benchmarks/plan.py [--quick] [--json FILE] [--chart FILE]``

Each job is a set of pairs of people of one directory, which the reference server serves in a process of its own. The
jobs run with ``plan="head"``, and with a `Plan` whose page costs as much as a check, so that the figures depend on the
directory alone. The table shows requests per pair, the seconds that these requests take at 100 per second, and CPU
microseconds of the client per pair, which are meaningful only relative to each other. ``verified`` counts the requests
that confirm the lists: 150 checks, and the invitations of ten people. Lists that are read because nothing else would
show what the lists of a few people leave out, 250 to 400 requests, are not among these.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice, permutations, product
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, TypeAlias

from _chart import chart

from aioconnections import Client, Pair, Person, Plan
from aioconnections.reference import Directory, app
from aioconnections.reference.server import listening

Job: TypeAlias = Callable[[Directory, int], Iterable[Pair]]
"""The pairs of a job for a directory, of about the given number."""

_SEED = 5
_VERIFICATION = 50 + 100 + 2 * 10
_RATE = 100


def group(directory: Directory, count: int) -> Iterator[Pair]:
    """All ordered pairs of a group."""
    return _pairs(permutations(directory.people[: int(count**0.5) + 1], 2))


def same_targets(directory: Directory, count: int) -> Iterator[Pair]:
    """Many sources with the same 100 targets."""
    people = directory.people
    return _pairs(product(people[100 : 100 + count // 100], people[:100]))


def own_targets(directory: Directory, count: int) -> Iterator[Pair]:
    """Many sources with 100 targets each."""
    people = directory.people
    return _pairs(
        (people[number], people[(number * 37 + 11 * other + 1) % len(people)])
        for number in range(count // 100)
        for other in range(100)
        if (number * 37 + 11 * other + 1) % len(people) != number
    )


def one_source(directory: Directory, count: int) -> Iterator[Pair]:
    """One source, a person with many colleagues, with many targets."""
    people = directory.people
    popular = max(people[:300], key=lambda person: sum(1 for _ in directory.neighbours(person)))
    return _pairs((popular, person) for person in islice(people, count) if person != popular)


def strangers(directory: Directory, count: int) -> Iterator[Pair]:
    """Pairs in which each person comes once."""
    people = directory.people
    return _pairs(zip(people[:count:2], people[1 : count + 1 : 2], strict=False))


JOBS: dict[str, Job] = {
    "all ordered pairs of a group": group,
    "many sources × the same 100 targets": same_targets,
    "many sources × 100 targets of their own": own_targets,
    "one source × many": one_source,
    "pairs in which each person comes once": strangers,
}


def _pairs(people: Iterable[tuple[Person, Person]]) -> Iterator[Pair]:
    return (Pair(one.userid or one, other.userid or other) for one, other in people)


def _serve(people: int, pipe: Pipe) -> None:
    """Serve the directory until the pipe is closed."""

    async def main() -> None:
        async with listening(app(Directory.generate(people=people, seed=_SEED))) as url:
            pipe.send(url)
            await asyncio.to_thread(pipe.poll, None)

    asyncio.run(main())


@contextmanager
def serving(people: int) -> Iterator[str]:
    """Yield the URL of a server in another process."""
    mine, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(people, its), daemon=True)
    process.start()
    try:
        yield mine.recv()
    finally:
        mine.send(None)
        process.join(10)


async def run(url: str, outsider: str, pairs: list[Pair], plan: Any) -> dict[str, float]:
    """The figures of one run."""
    async with Client(url, auth=(outsider, "secret"), max_connections=64, max_per_second=1e7) as client:
        began = time.process_time()
        outcomes = client.check_many(pairs, plan=plan)
        tally = await outcomes.drain()
        spent = time.process_time() - began
        sent = sum(client.stats().responses.values())
    if outcomes.stopped is not None or tally.checked != len(pairs):
        raise SystemExit(f"the run did not check every pair: {tally}, {outcomes.stopped}")
    return {"requests": sent, "seconds": sent / _RATE, "cpu": 1e6 * spent / len(pairs), "lists": tally.via_list}


def measure(people: int, count: int) -> dict[str, dict[str, dict[str, float]]]:
    """The figures of each job with each plan."""
    directory = Directory.generate(people=people, seed=_SEED)
    outsider = str(directory.people[-1].userid)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    with serving(people) as url:
        for name, job in JOBS.items():
            pairs = list(job(directory, count))
            figures[name] = {"pairs": {"count": len(pairs)}}
            for label, plan in (("head", "head"), ("plan", Plan(page_cost=1))):
                figures[name][label] = asyncio.run(run(url, outsider, pairs, plan))
    return figures


def table(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """The figures as a text table."""
    lines = [
        f"{'':42}{'pairs':>8} {'plan':6}{'requests':>9}{'per pair':>10}{'verified':>10}{'s at 100/s':>11}{'µs CPU':>8}"
    ]
    for name, job in figures.items():
        count = job["pairs"]["count"]
        for label in ("head", "plan"):
            found = job[label]
            verified = _VERIFICATION if found["lists"] else 0
            per_pair = max(found["requests"] - verified, 0) / count
            lines.append(
                f"{name if label == 'head' else '':42}{count:8,.0f} {label:6}{found['requests']:9,.0f}{per_pair:10.4f}"
                f"{verified:10}{found['seconds']:11.1f}{found['cpu']:8.1f}"
            )
    return "\n".join(lines)


def _chart(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """The requests of each job, one by one and with a plan."""
    bars: dict[str, float] = {}
    planned: set[str] = set()
    for name, job in figures.items():
        bars[f"{name}, one by one"] = job["head"]["requests"]
        bars[f"{name}, with a plan"] = job["plan"]["requests"]
        planned.add(f"{name}, with a plan")
    return chart("Requests for the same pairs (logarithmic; shorter is better)", bars, planned)


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="run small jobs, as a smoke test")
    options.add_argument("--json", type=Path, help="write the figures to this file")
    options.add_argument("--chart", type=Path, help="write an SVG of the requests of each job to this file")
    chosen = options.parse_args()
    figures = measure(2_000, 4_000) if chosen.quick else measure(30_000, 90_000)
    print(table(figures))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if chosen.chart is not None:
        chosen.chart.write_text(_chart(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
