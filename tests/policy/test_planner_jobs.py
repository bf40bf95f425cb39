"""What runs cost that follow the planner: the jobs it is made for, shuffled streams, and memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, permutations, product
from math import ceil, exp
from random import Random
from statistics import NormalDist, mean
from typing import TypeAlias

import pytest

from aioconnections.policy.edges import EdgeTable, _bytes_needed
from aioconnections.policy.planner import Check, List, Planner

PAGE = 250
Pairs: TypeAlias = Iterable[tuple[int, int]]


class Totals(dict[int, int]):
    """Lengths of lists: lognormal with median 60, 99th percentile 1,500 and mean 156; 1.33 pages on average."""

    def __init__(self, *groups: Iterable[int]) -> None:
        normal = NormalDist(0, NormalDist().inv_cdf(0.99) ** -1 * 3.2189)
        for group in groups:
            people = [*group]
            lengths = [ceil(60 * exp(normal.inv_cdf((it + 0.5) / len(people)))) for it in range(len(people))]
            Random(1).shuffle(lengths)
            self.update(zip(people, lengths, strict=True))


class Simulation:
    """Counts the requests of a run that answers pairs from every list it has read, or from a table."""

    def __init__(self, planner: Planner[int], totals: dict[int, int]) -> None:
        self.planner, self.totals = planner, totals
        self.requests = 0
        self.listed: set[int] = set()
        self._held: dict[int, tuple[int, int]] = {}

    def run(self, pairs: Pairs) -> None:
        planner, listed = self.planner, self.listed
        for number, (one, other) in enumerate(pairs):
            if one in listed or other in listed:
                continue
            self._held[number] = one, other
            planner.add(number, one, other)
            if planner.is_full:
                self._ask()
        planner.close()
        self._ask()
        assert planner.waiting == 0
        assert not self._held

    def _ask(self) -> None:
        while (said := self.planner.next()) is not None:
            self.requests += 1
            if isinstance(said, Check):
                del self._held[said.number]
            else:
                self._list(said)

    def _list(self, said: List[int]) -> None:
        """Read a list; page 1 of several names none of the people looked for."""
        total = self.totals[said.person]
        pages = max(1, ceil(total / PAGE))
        if self.planner.goes_on(total, len(said.numbers) if pages > 1 else 0, person=said.person):
            self.requests += pages - 1
            self.keep(said.person)
            for number in said.numbers:
                del self._held[number]
        else:
            for number in said.numbers:
                self.planner.add(number, *self._held[number])

    def keep(self, person: int) -> None:
        self.listed.add(person)


def same_targets(sources: int, targets: int) -> tuple[Totals, int, Pairs]:
    everyone = range(sources), range(sources, sources + targets)
    return Totals(*everyone), sources * targets, product(*everyone)


def own_targets(sources: int, targets: int) -> tuple[Totals, int, Pairs]:
    pairs = ((source, sources + source * targets + it) for source in range(sources) for it in range(targets))
    return Totals(range(sources), range(sources, sources * (targets + 1))), sources * targets, pairs


def all_pairs(people: int) -> tuple[Totals, int, Pairs]:
    return Totals(range(people)), people * (people - 1), permutations(range(people), 2)


def one_source(targets: int) -> tuple[Totals, int, Pairs]:
    return Totals(range(1), range(1, targets + 1)), targets, ((0, target) for target in range(1, targets + 1))


def once_each(pairs: int) -> tuple[Totals, int, Pairs]:
    return Totals(range(2 * pairs)), pairs, zip(range(0, 2 * pairs, 2), range(1, 2 * pairs, 2), strict=True)


@pytest.mark.parametrize(
    ("job", "sizes", "window", "per_pair"),
    [
        pytest.param(all_pairs, (100,), 2000, 0.0133, id="all pairs of 100"),
        pytest.param(all_pairs, (300,), 50_000, 0.0044, id="all pairs of 300", marks=pytest.mark.slow),
        pytest.param(same_targets, (500, 20), 5000, 0.00267, id="500 x the same 20"),
        pytest.param(same_targets, (10_000, 100), 50_000, 0.00013, id="10,000 x the same 100", marks=pytest.mark.full),
        pytest.param(own_targets, (200, 100), 5000, 0.0133, id="200 x 100 of their own"),
        pytest.param(own_targets, (10_000, 100), 50_000, 0.0133, id="10,000 x 100 of own", marks=pytest.mark.full),
        pytest.param(one_source, (10_000,), 5000, 0.001, id="1 x 10,000"),
        pytest.param(one_source, (100_000,), 50_000, 0.0001, id="1 x 100,000", marks=pytest.mark.slow),
        pytest.param(once_each, (5000,), 500, 1, id="5,000 pairs, each person once"),
        pytest.param(once_each, (1_000_000,), 50_000, 1, id="a million pairs", marks=pytest.mark.full),
    ],
)
def test_the_jobs_of_the_table_take_few_requests(
    job: Callable[..., tuple[Totals, int, Pairs]], sizes: tuple[int, ...], window: int, per_pair: float
) -> None:
    totals, count, pairs = job(*sizes)
    simulation = Simulation(Planner(window, 1.0, PAGE), totals)
    simulation.run(pairs)
    assert simulation.requests <= 1.1 * per_pair * count


class Network(dict[int, int]):
    """People in rings, each connected with the nearest on both sides; the lengths of their lists are `Totals`."""

    def __init__(self, people: int, rings: int) -> None:
        lengths = sorted(Totals(range(people)).values())
        self.size = people // rings
        for ring in range(rings):
            part = lengths[ring * self.size : (ring + 1) * self.size]
            self.update(dict.fromkeys(range(ring * self.size, (ring + 1) * self.size), 2 * round(mean(part) / 2)))

    def neighbours(self, person: int) -> list[str]:
        ring, place = divmod(person, self.size)
        reach = self[person] // 2
        return [f"u{ring * self.size + (place + step) % self.size}" for step in range(-reach, reach + 1) if step]

    def needed(self) -> int:
        """The memory of all lists."""
        return _bytes_needed(sum(self.values()) // 2, len(self))


class TableSimulation(Simulation):
    """Keeps the lists in a table while it admits them."""

    def __init__(self, window: int, network: Network, memory_bytes: int) -> None:
        super().__init__(Planner(window, 1.0, PAGE), network)
        self.network, self.table = network, EdgeTable(memory_bytes)

    def keep(self, person: int) -> None:
        if self.table.is_full:
            return
        name, neighbours = f"u{person}", self.network.neighbours(person)
        if self.table.lists % 100 == 0:
            assert self.table.disagreement(name, neighbours) is None
        if self.table.add(name, neighbours):
            self.listed.add(person)
        else:
            self.planner.window_only()


def shuffled(pairs: int, people: int) -> Iterator[tuple[int, int]]:
    random = Random(3)
    for _ in range(pairs):
        one = int(random.random() * people)
        yield one, (one + 1 + int(random.random() * (people - 1))) % people


@pytest.mark.parametrize(
    ("pairs", "people", "rings", "window"),
    [
        (10_000, 500, 1, 2000),
        pytest.param(1_000_000, 10_000, 5, 50_000, marks=pytest.mark.slow),
        pytest.param(10_000_000, 100_000, 20, 50_000, marks=[pytest.mark.full, pytest.mark.timeout(3600)]),
    ],
)
def test_a_shuffled_stream_takes_few_requests_with_half_of_the_memory(
    pairs: int, people: int, rings: int, window: int
) -> None:
    network = Network(people, rings)
    simulation = TableSimulation(window, network, network.needed() // 2)
    simulation.run(shuffled(pairs, people))
    assert simulation.table.is_full
    assert simulation.requests <= 0.3 * pairs


@pytest.mark.slow
def test_memory_is_bounded_by_the_window_and_the_table() -> None:
    network = Network(300, 1)
    most, window = network.needed() // 2, 300
    once = zip(range(1000, 3000), range(3000, 5000), strict=True)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        simulation = TableSimulation(window, network, most)
        made, _ = tracemalloc.get_traced_memory()
        simulation.run(chain(shuffled(1500, 300), once))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made - before <= (1 << 20) + (1 << 17) + 20_000, "tables of fixed size"
    assert peak - made <= most + 1700 * window + (1 << 17)


@pytest.mark.parametrize("excluded", [False, True])
def test_a_person_whose_pairs_come_and_go_for_long_takes_no_more_memory(*, excluded: bool) -> None:
    planner: Planner[int] = Planner(10, 1e6, PAGE)
    planner.know(0, 1)
    if excluded:
        planner.exclude(0)
    for number in range(3000):
        planner.know(number + 1, 1)
        planner.add(number, 0, number + 1)
        planner.next()
    candidate = planner._people[0]
    assert candidate.pending == 9
    assert len(candidate.numbers) <= 2 * 9 + 20
    assert len(planner._heap) <= 1100
