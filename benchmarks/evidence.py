"""How often checks with a plan find out that lists are not reliable.

``python benchmarks/evidence.py [--quick] [--seeds N] [--first SEED] [--job JOB] [--viewer VIEWER] [--json FILE]``

Each run checks pairs with lists of a reference server that leaves something out, which a check would show: all ordered
pairs of a group, of which lists of both people are read, or each of a few people with each of many others. Each seed is
another directory, other people and other omissions; the server is in this process, and nothing waits. The table has,
for each job, each kind of omission and each viewer:

- ``runs``: the number of seeds;
- ``stopped``: the runs that ended with an `InconsistentListsError`;
- ``refuted``: further runs that found a contradiction, or too little evidence, before anything was concluded from
  absence, so that no outcome is doubtful;
- ``wrong``: the runs with a wrong outcome;
- ``detected``: those of them that were stopped, and whose wrong outcomes all count as doubtful;
- ``silent``: those of them that were not;
- ``pairs``: the number of wrong outcomes in these silent runs;
- ``requests``: the number of requests, without those of the login, on average over the runs without a contradiction.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import permutations, product
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import httpx

from aioconnections import Checked, CheckOutcome, Client, InconsistentListsError, Pair, Person, Plan
from aioconnections.reference import App, Directory, app

_URL = "https://connections.example.com"
_PEOPLE = 1_500
_COLUMNS = ("runs", "stopped", "refuted", "wrong", "detected", "silent", "pairs")

Job: TypeAlias = Callable[[Directory, int], Iterable[tuple[Person, Person]]]
"""The people of the pairs of a job, of a size: a part of the full one, in percent."""


def group(directory: Directory, percent: int) -> Iterable[tuple[Person, Person]]:
    """All ordered pairs of a group."""
    return permutations(directory.people[: 40 * percent // 100], 2)


def few_sources(directory: Directory, percent: int) -> Iterable[tuple[Person, Person]]:
    """Five sources with the same 200 targets."""
    return product(directory.people[:5], directory.people[5 : 5 + 2 * percent])


def one_source(directory: Directory, percent: int) -> Iterable[tuple[Person, Person]]:
    """One source, a person with many colleagues, with 1,000 targets."""
    people = directory.people
    popular = max(people[:300], key=lambda it: sum(1 for _ in directory.neighbours(it)))
    return ((popular, it) for it in people[: 10 * percent] if it != popular)


def few_targets(directory: Directory, percent: int) -> Iterable[tuple[Person, Person]]:
    """300 sources with the same ten targets."""
    return product(directory.people[10 : 10 + 3 * percent], directory.people[:10])


JOBS: dict[str, Job] = {
    "all pairs of 40": group,
    "5 x 200": few_sources,
    "1 x 1,000": one_source,
    "300 x 10": few_targets,
}


class Omission(NamedTuple):
    """What lists leave out.

    Attributes:
        name: the name in the table.
        switches: switches of the reference server.
        viewers: the users for whom it makes a difference.
    """

    name: str
    switches: dict[str, Any]
    viewers: tuple[str, ...] = ("person", "administrator")


OMISSIONS = (
    Omission("nothing", {}),
    Omission("2 % of the entries", {"lists_omit": 0.02}),
    Omission("10 % of the entries", {"lists_omit": 0.1}),
    Omission("inactive people", {"lists_omit_inactive": True}),
    Omission("pending invitations", {"lists_omit_pending": True}, ("administrator",)),
)


class _Recorder(httpx.ASGITransport):
    """A server in this process, whose requests are counted.

    Attributes:
        requests: how many were sent, without the proof of the login.
    """

    def __init__(self, server: App) -> None:
        super().__init__(server)
        self.requests: int = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += not request.url.path.endswith("profileService.do")
        return await super().handle_async_request(request)


def _is_wrong(server: App, outcome: CheckOutcome, viewer: str) -> bool:
    """Whether a check would have said something else."""
    if not isinstance(outcome, Checked):
        raise SystemExit(f"a pair was not checked: {outcome!r}")
    status = server.status(outcome.pair.source, outcome.pair.target)
    if viewer == "person" and status != "accepted":
        status = None
    return (None if outcome.status is None else str(outcome.status)) != status


async def run(job: Job, omission: Omission, viewer: str, seed: int, percent: int) -> dict[str, int]:
    """What one run counts for in each column."""
    directory = Directory.generate(people=_PEOPLE, seed=seed)
    server = app(directory, fault_seed=seed, **omission.switches)
    recorder = _Recorder(server)
    user = "admin" if viewer == "administrator" else str(directory.people[_PEOPLE - 1].userid)
    pairs = [Pair(one.userid or one, other.userid or other) for one, other in job(directory, percent)]
    async with Client(_URL, auth=(user, "secret"), transport=recorder, max_per_second=None) as client:
        outcomes = client.check_many(pairs, plan=Plan(page_cost=1))
        found = await outcomes.collect()
    wrong = [it for it in found if _is_wrong(server, it, viewer)]
    is_stopped = isinstance(outcomes.stopped, InconsistentListsError)
    if len(found) != len(pairs) or (outcomes.stopped is not None and not is_stopped):
        raise SystemExit(f"the run did not check every pair: {outcomes.tally}, {outcomes.stopped}")
    are_doubtful = all(isinstance(it, Checked) and it.via != "head" and it.status is None for it in wrong)
    is_refuted = not is_stopped and outcomes.tally.via_list < len(pairs) / 2
    is_quiet = not is_stopped and not is_refuted
    is_detected = bool(wrong) and is_stopped and are_doubtful
    return {
        "runs": 1,
        "stopped": is_stopped,
        "refuted": is_refuted,
        "wrong": bool(wrong),
        "detected": is_detected,
        "silent": bool(wrong) and not is_detected,
        "pairs": 0 if is_detected else len(wrong),
        "quiet": is_quiet,
        "requests": recorder.requests if is_quiet else 0,
    }


def measure(job: Job, omission: Omission, viewer: str, seeds: Iterable[int], percent: int) -> dict[str, int]:
    """The sums over all seeds."""
    sums: Counter[str] = Counter()
    for seed in seeds:
        sums.update(asyncio.run(run(job, omission, viewer, seed, percent)))
    return dict(sums)


def line(name: str, row: dict[str, int]) -> str:
    """One line of the table."""
    requests = f"{row['requests'] / row['quiet']:10.0f}" if row["quiet"] else f"{'-':>10}"
    return f"{name:50}" + "".join(f"{row[it]:10,}" for it in _COLUMNS) + requests


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="few runs over few people, as a smoke test")
    options.add_argument("--seeds", type=int, default=100, help="number of runs for each line of the table")
    options.add_argument("--first", type=int, default=0, help="the first seed")
    options.add_argument("--job", choices=JOBS, help="one job; all by default")
    options.add_argument("--viewer", choices=("person", "administrator"), help="one viewer; both by default")
    options.add_argument("--json", type=Path, help="write the figures to this file")
    chosen = options.parse_args()
    seeds, percent = (range(1), 55) if chosen.quick else (range(chosen.first, chosen.first + chosen.seeds), 100)
    figures: dict[str, dict[str, int]] = {}
    print(f"{'lists leave out':50}" + "".join(f"{name:>10}" for name in (*_COLUMNS, "requests")))
    for job in JOBS if chosen.job is None else (chosen.job,):
        for omission in OMISSIONS:
            for viewer in omission.viewers:
                if viewer != (chosen.viewer or viewer):
                    continue
                name = f"{job}: {omission.name}, {viewer}"
                figures[name] = measure(JOBS[job], omission, viewer, seeds, percent)
                print(line(name, figures[name]), flush=True)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
