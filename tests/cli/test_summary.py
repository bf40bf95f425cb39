"""The summary of a run: the commonest reasons of failures; and the lines on stderr during a run without a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from virtual_loop import VirtualLoop

from aioconnections.cli.meter import Meter
from aioconnections.cli.reasons import Reason, Reasons
from aioconnections.cli.summary import Facts, table
from aioconnections.cli.terminal import duration, per_second
from aioconnections.errors import DeadlineError, ForbiddenError
from aioconnections.outcomes import Failed, Rejected
from aioconnections.reference import Directory, Fault

Command = Callable[..., Any]
PairsFile = Callable[..., Path]

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest


def test_the_summary_gives_the_reasons_of_rejections_and_failures_with_their_counts(
    command: Command, pairs_file: PairsFile, signed_in: Any
) -> None:
    ((source, _),) = DIRECTORY.sample_pairs(1, seed=3)
    signed_in.app.faults = [Fault("stall", operation="check", person=source.userid)]
    path = pairs_file(count=1)
    with path.open("a", encoding="utf-8") as file:
        file.write("nobody@example.org,ann@example.com,none\n" * 2)
    said = command("check", path, "--attempt-timeout", 0.05, "--max-connections", 1, "--ordered")
    assert said.code == 1
    summary, *reasons = said.err.splitlines()
    assert summary.endswith("; 2 rejected; 1 failed")
    errors = [row["error"] for row in said.rows if row["error"]]
    assert reasons == [
        f"  2 rejected: {next(error for error in errors if error.startswith('BadRequestError'))}",
        "  1 failed: DeadlineError: no complete response within 0.05 s",
    ]


def test_only_the_three_commonest_reasons_are_named() -> None:
    reasons = Reasons()
    for count, text in ((1, "a"), (4, "b"), (2, "c"), (3, "d"), (1, "e")):
        for _ in range(count):
            reasons.add(Rejected(ForbiddenError(403, None, text)))
    reasons.add(Failed(DeadlineError("b", sent="no")))
    assert reasons.lines() == [
        "  4 rejected: ForbiddenError: HTTP 403: b",
        "  3 rejected: ForbiddenError: HTTP 403: d",
        "  2 rejected: ForbiddenError: HTTP 403: c",
        "  3 for other reasons",
    ]


def test_reasons_that_are_all_different_need_little_memory() -> None:
    reasons = Reasons()
    for number in range(5_000):
        reasons.add(Rejected(ForbiddenError(403, None, f"no. {number}")))
    assert reasons.lines()[0] == "  4,000 rejected: ForbiddenError for another reason"
    assert reasons.lines()[-1] == "  998 for other reasons"


METER = Meter(sent=5_000, waited=1_400.0, held=47.0)
for _ in range(90):
    METER.times.add(0.079)
for _ in range(10):
    METER.times.add(0.12)
FACTS = Facts(
    done="5,000 checked",
    seconds=124.0,
    rate=40.3,
    good=(("accepted", 834), ("none", 4_166)),
    others=(("of these from an earlier run", 1_000), ("rejected", 103), ("unreadable", 0)),
    remarks=("2 lines that repeat the header were skipped",),
    reasons=(
        Reason(100, "rejected: BadRequestError: HTTP 400: unknown people", "BadRequestError"),
        Reason(2, "failed: ServerError: HTTP 500: broken", "ServerError"),
        Reason(1, "for other reasons", None),
    ),
    requests=5_119,
    retries=11,
    meter=METER,
)


def test_the_table_of_a_long_run() -> None:
    assert (
        "\n".join(table(FACTS, 80))
        == """\
5,000 checked in 0:02:04 (40/s)
  accepted                         834
  none                           4,166
  of these from an earlier run   1,000
  rejected                         103
  requests                       5,119
  retries                           11
  time per item, p50             79 ms
  time per item, p95            120 ms
  mean wait for limits          280 ms
  waited for the server           47 s
  100 rejected: BadRequestError: HTTP 400: unknown people
    What to do: correct the people in these rows.
  2 failed: ServerError: HTTP 500: broken
    What to do: try again later with --retry and this result.
  1 for other reasons
  2 lines that repeat the header were skipped"""
    )


@pytest.mark.parametrize("columns", [10, 20, 40, 120])
def test_the_table_at_other_widths(columns: int) -> None:
    lines = table(FACTS, columns)
    words = " ".join(lines).split()
    assert words == " ".join(table(FACTS, 80)).split()
    if columns >= 40:
        assert all(len(line) < columns for line in lines)


def test_the_table_of_a_run_without_items() -> None:
    assert table(Facts(done="0 checked", seconds=3.0, requests=1), 80) == ["0 checked in 3.0 s", "  requests  1"]


@pytest.mark.slow
@pytest.mark.usefixtures("signed_in")
def test_without_a_terminal_a_run_prints_a_line_every_30_seconds(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncio.events.new_event_loop", VirtualLoop)
    rows = [f"{source.email},{target.email}\n" for source, target in DIRECTORY.sample_pairs(30, seed=3)]
    rejected = "nobody@example.org,ann@example.com\n"
    path = pairs_file("source_email,target_email\n" + rejected * 5 + "".join(rows))
    said = command("check", path, "--max-per-second", 0.5, "--max-connections", 1, "--attempt-timeout", 1_000)
    *lines, summary, _ = said.err.splitlines()
    assert len(lines) == 2, said.err
    for line, least in zip(lines, (13, 28), strict=True):
        found = re.fullmatch(r"aioconnections: checking (\d+)/35 0\.\d/s, 0:\d\d:\d\d left, 5 rejected", line)
        assert found, line
        assert least <= int(found[1]) <= least + 3
    assert re.fullmatch(r"30 checked in 0:01:1\d \(0\.4/s\): .*; 5 rejected", summary)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.34, "9.3 s"), (59.94, "59.9 s"), (59.96, "0:01:00"), (1_008.4, "0:16:48"), (90_061, "25:01:01")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0, "0/s"),
        (0.001, "0.001/s"),
        (0.03333, "0.033/s"),
        (0.44, "0.4/s"),
        (9.94, "9.9/s"),
        (9.96, "10/s"),
        (1_234.5, "1,234/s"),
    ],
)
def test_rates(rate: float, text: str) -> None:
    assert per_second(rate) == text
