"""When the server counts as away, and when it is looked at again."""

from __future__ import annotations

import random
from itertools import pairwise

from aioconnections.policy.outage import Outage


def probes(outage: Outage, until: float) -> list[float]:
    """When probes go out while nothing answers them."""
    at: list[float] = []
    while outage.probe_at < until:
        at.append(outage.probe_at)
        outage.probed(outage.probe_at, there=False)
    return at


def test_eight_failures_in_a_row_begin_it_and_seven_do_not() -> None:
    outage = Outage(lambda: 0.0)
    for _ in range(7):
        outage.failed(1.0)
    outage.answered()
    for _ in range(7):
        outage.failed(2.0)
    assert outage.is_clear(2.0)
    assert repr(outage) == "Outage(none)"
    outage.failed(3.0)
    assert not outage.is_clear(1e9)
    assert outage.since == 3.0
    assert repr(outage) == "Outage(away)"


def test_probes_go_out_after_one_two_four_up_to_thirty_seconds() -> None:
    outage = Outage(lambda: 0.0)
    outage.begin(100.0)
    at = [100.0, *probes(outage, 300.0)]
    assert [round(later - earlier) for earlier, later in pairwise(at)][:8] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_an_hour_takes_no_more_than_130_probes_and_two_clients_do_not_keep_step() -> None:
    found: set[tuple[float, ...]] = set()
    for seed in range(20):
        outage = Outage(random.Random(seed).random)
        outage.begin(0.0)
        at = probes(outage, 3600.0)
        assert 95 <= len(at) <= 130
        found.add(tuple(at[:3]))
    assert len(found) == 20


def test_it_ends_with_the_first_good_answer_and_not_with_the_probe() -> None:
    outage = Outage(lambda: 0.0)
    outage.begin(0.0)
    outage.probed(1.0, there=True)
    assert outage.is_clear(1.0)
    assert repr(outage) == "Outage(over soon)"
    outage.begin(2.0)
    assert outage.since == 0.0
    assert outage.probe_at == 2.0 + 2.0
    outage.probed(4.0, there=True)
    outage.answered()
    outage.begin(9.0)
    assert (outage.since, outage.probe_at) == (9.0, 10.0)


def test_to_begin_twice_changes_nothing() -> None:
    outage = Outage(lambda: 0.0)
    outage.begin(0.0)
    outage.begin(0.5)
    outage.answered()  # an answer to a request that went out before
    assert (outage.since, outage.probe_at, outage.away) == (0.0, 1.0, True)


def test_a_pause_that_the_server_asks_for_is_never_shortened_and_at_most_three_hundred_seconds() -> None:
    outage = Outage(lambda: 0.0)
    outage.hold(20.0, 100.0)
    outage.hold(1.0, 100.0)
    assert not outage.is_clear(119.9)
    assert outage.is_clear(120.0)
    outage.hold(1e9, 200.0)
    assert outage.held_until == 500.0
    later = Outage(lambda: 1.0)
    later.hold(20.0, 100.0)
    assert later.held_until == 124.0  # so that many clients do not come back together
