"""How often checks with a plan find out that lists are not reliable.

``python benchmarks/evidence.py [--quick] [--seeds N] [--json FILE]``

Each run checks all ordered pairs of a group with lists of a reference server that leaves something out, which a check
would show. Each seed is another directory, another group and other omissions; the server is in this process, and
nothing waits. The table has, for each kind of omission and each viewer:

- ``runs``: the number of seeds;
- ``stopped``: the runs that ended with an `InconsistentListsError`;
- ``refuted``: further runs that found a contradiction before anything was concluded from absence, so that no outcome is
  doubtful;
- ``wrong``: the runs with a wrong outcome;
- ``detected``: those of them that were stopped, and whose wrong outcomes all count as doubtful;
- ``verified``: the requests for verification, on average over the runs without a contradiction, in which nothing else
  needs a check: all but one list of colleagues for each person, and to an administrator those of invitations.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from aioconnections import Checked, CheckOutcome, Client, InconsistentListsError, Pair, Plan
from aioconnections.reference import App, Directory, app

_URL = "https://connections.example.com"
_PEOPLE = 1_500
_STATUSES = ("accepted", "pending", "unconfirmed")
_COLUMNS = ("runs", "stopped", "refuted", "wrong", "detected")


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
        requests: how often each was sent, without the proof of the login.
    """

    def __init__(self, server: App) -> None:
        super().__init__(server)
        self.requests: Counter[tuple[str, str, str]] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        if request.method == "HEAD":
            self.requests["HEAD", "", ""] += 1
        elif "/admin/" in request.url.path:
            self.requests["GET", "admin", ""] += 1
        elif request.url.path.endswith("/connections.do"):
            self.requests["GET", query["userid"], query.get("status", "accepted")] += query.get("page", "1") == "1"
        return await super().handle_async_request(request)

    def verified(self, viewer: str) -> int:
        """The number of requests that do not read the list of one more person."""
        needed = _STATUSES if viewer == "administrator" else _STATUSES[:1]
        return self.requests.total() - sum(status in needed for _, _, status in self.requests)


def _is_wrong(server: App, outcome: CheckOutcome, viewer: str) -> bool:
    """Whether a check would have said something else."""
    if not isinstance(outcome, Checked):
        raise SystemExit(f"a pair was not checked: {outcome!r}")
    status = server.status(outcome.pair.source, outcome.pair.target)
    if viewer == "person" and status != "accepted":
        status = None
    return (None if outcome.status is None else str(outcome.status)) != status


async def run(omission: Omission, viewer: str, seed: int, size: int) -> dict[str, int]:
    """What one run counts for in each column."""
    directory = Directory.generate(people=_PEOPLE, seed=seed)
    *group, outsider = (it.userid for it in directory.people[: size + 1] if it.userid is not None)
    server = app(directory, fault_seed=seed, **omission.switches)
    recorder = _Recorder(server)
    user = "admin" if viewer == "administrator" else str(outsider)
    pairs = [Pair(one, other) for one, other in permutations(group, 2)]
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
    return {
        "runs": 1,
        "stopped": is_stopped,
        "refuted": is_refuted,
        "wrong": bool(wrong),
        "detected": bool(wrong) and is_stopped and are_doubtful,
        "quiet": is_quiet,
        "verified": recorder.verified(viewer) if is_quiet else 0,
    }


def measure(omission: Omission, viewer: str, seeds: Iterable[int], size: int) -> dict[str, int]:
    """The sums over all seeds."""
    sums: Counter[str] = Counter()
    for seed in seeds:
        sums.update(asyncio.run(run(omission, viewer, seed, size)))
    return dict(sums)


def line(name: str, row: dict[str, int]) -> str:
    """One line of the table."""
    verified = f"{row['verified'] / row['quiet']:10.0f}" if row["quiet"] else f"{'-':>10}"
    return f"{name:36}" + "".join(f"{row[it]:10,}" for it in _COLUMNS) + verified


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="few runs over small groups, as a smoke test")
    options.add_argument("--seeds", type=int, default=100, help="number of runs for each line of the table")
    options.add_argument("--json", type=Path, help="write the figures to this file")
    chosen = options.parse_args()
    seeds, size = (range(1), 22) if chosen.quick else (range(chosen.seeds), 40)
    figures: dict[str, dict[str, int]] = {}
    print(f"{'lists leave out':36}" + "".join(f"{name:>10}" for name in (*_COLUMNS, "verified")))
    for omission in OMISSIONS:
        for viewer in omission.viewers:
            name = f"{omission.name}, {viewer}"
            figures[name] = measure(omission, viewer, seeds, size)
            print(line(name, figures[name]), flush=True)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
