"""``check --plan auto``: fewer requests, the same statuses, and a column that says how each was found."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from aioconnections.policy.estimate import Estimate, Estimator
from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
PairsFile = Callable[..., Path]
Command = Callable[..., Any]


def all_pairs(pairs_file: PairsFile, kind: str = "email") -> Path:
    pairs = permutations((getattr(person, kind) for person in DIRECTORY.people), 2)
    rows = [f'"{one}","{other}"' for one, other in pairs]
    return pairs_file("\n".join([f"source_{kind},target_{kind}", *rows, rows[0], ""]))


def test_pairs_found_in_lists(command: Command, pairs_file: PairsFile, signed_in: Any) -> None:
    path = all_pairs(pairs_file)
    # Without a rate, the price of a list would be the time that it takes on this machine.
    said = command("check", path, "--plan", "auto", "--max-per-second", 500)
    assert said.code == 0
    rows = [*csv.DictReader(io.StringIO(said.out))]
    truth = {
        (one.email.value, other.email.value): str(DIRECTORY.status(one, other) or "none")
        for one, other in permutations(DIRECTORY.people, 2)
        if one.email is not None and other.email is not None
    }
    assert len(rows) == len(truth) + 1
    assert all(row["status"] == truth[row["source_email"], row["target_email"]] for row in rows)
    ways = Counter(row["via"] for row in rows)
    assert ways["duplicate"] == 1
    assert ways["list"] > 1_000
    assert {(row["http_status"], row["attempts"]) for row in rows if row["via"] == "list"} == {("", "0")}
    assert {row["http_status"] for row in rows if row["via"] == "head"} == {"200", "404"}
    summary, found = said.err.splitlines()
    asked = signed_in.app.requests.total
    assert asked < 3_541
    assert summary.endswith(f"; {asked} requests for 3,541 pairs")
    assert found == f"{ways['list']:,} of them found in lists of colleagues"


@pytest.mark.usefixtures("signed_in")
def test_every_pair_is_checked_by_default(command: Command, pairs_file: PairsFile) -> None:
    said = command("check", pairs_file())
    assert "via" not in said.out.splitlines()[0].split(",")
    assert "lists of colleagues" not in said.err
    assert "requests for" not in said.err


@pytest.mark.usefixtures("signed_in")
def test_a_plan_and_a_journal(command: Command, pairs_file: PairsFile) -> None:
    line = ("check", all_pairs(pairs_file), "--plan", "auto", "--max-per-second", 0, "--journal", "run.sqlite")
    first, second = command(*line), command(*line, "--resume")
    assert (first.code, second.code) == (0, 0)
    assert sorted(first.out.splitlines()) == sorted(second.out.splitlines())
    assert "requests for 3,541 pairs" in first.err
    assert "for the other" not in second.err, "the only request was the one for the login"


@pytest.mark.usefixtures("signed_in")
def test_the_requests_of_a_resumed_run_are_those_for_the_other_pairs(
    command: Command, pairs_file: PairsFile, signed_in: Any
) -> None:
    line = ("check", all_pairs(pairs_file), "--plan", "auto", "--max-per-second", 0, "--journal", "run.sqlite")
    signed_in.refuses_after = 250
    assert command(*line).code != 0
    signed_in.refuses_after, before = float("inf"), signed_in.app.requests.total
    said = command(*line)
    assert said.code == 0
    found = re.search(
        r"; ([\d,]+) of these from an earlier run; .*; ([\d,]+) requests for the other ([\d,]+) pairs", said.err
    )
    assert found is not None, said.err
    replayed, sent, others = (int(text.replace(",", "")) for text in found.groups())
    assert replayed + others == 3_541
    assert sent == signed_in.app.requests.total - before


@pytest.mark.usefixtures("signed_in")
def test_what_a_plan_would_have_saved_is_estimated_once(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimates: list[int] = []
    end = Estimator.end

    def counted(self: Estimator) -> Estimate:
        estimates.append(1)
        return end(self)

    monkeypatch.setattr(Estimator, "end", counted)
    said = command("check", all_pairs(pairs_file, "userid"), "--max-per-second", 0)
    assert "saved by --plan auto" in said.err
    assert len(estimates) == 1


@pytest.mark.usefixtures("signed_in")
def test_a_run_without_a_plan_says_what_one_would_have_saved(command: Command, pairs_file: PairsFile) -> None:
    path = all_pairs(pairs_file, "userid")
    lines = path.read_text("utf-8").splitlines(keepends=True)
    line = ("check", path, "--max-per-second", 0, "--journal", "run.sqlite")
    said = command(*line)
    assert said.code == 0
    saved = re.fullmatch(
        r"about (1,\d+) of the first 2,000 requests would have been saved by --plan auto", said.err.splitlines()[-1]
    )
    assert saved is not None, said.err
    assert "saved by" not in command(*line, "--resume").err
    path.write_text("".join(lines[:1_001]), "utf-8")
    said = command(*line[:-2])
    assert " of the 1,000 requests would have been saved by --plan auto\n" in said.err
    path.write_text("".join(lines[:1_000]), "utf-8")
    assert "saved by" not in command(*line[:-2]).err


def test_no_other_plan(command: Command) -> None:
    said = command("check", "pairs.csv", "--plan", "lists")
    assert said.code == 2
    assert "--plan" in said.err
