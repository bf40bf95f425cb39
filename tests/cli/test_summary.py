"""The summary of a run: the commonest reasons of failures; and the lines on stderr during a run without a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from virtual_loop import VirtualLoop

from aioconnections.cli.reasons import Reasons
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
