"""A run over an application that is stopped behind its web server never says that there is no connection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections import Email
from aioconnections.reference import Directory, Fault

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest

Command = Callable[..., Any]
PairsFile = Callable[..., Path]


def false_ones(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [
        row
        for row in rows
        if row["status"] == "none"
        and DIRECTORY.status(Email(row["source_email"]), Email(row["target_email"])) is not None
    ]


@pytest.mark.parametrize(("journal", "code"), [(True, 75), (False, 5)])
def test_a_check_stops_when_the_application_stays_away(
    command: Command, pairs_file: PairsFile, signed_in: Any, code: int, *, journal: bool
) -> None:
    signed_in.stops_after = 12
    words = ["--journal", "checks.sqlite"] if journal else []
    said = command("check", pairs_file(count=200), "--max-outage", "0.2", "--max-connections", "4", *words)
    assert said.code == code
    assert "stopped: Profiles has been away for" in said.err
    assert ("to resume: " in said.err) is journal
    assert len(said.rows) == 200
    assert false_ones(said.rows) == []
    answered = sum(row["status"] != "" for row in said.rows)
    assert 0 < answered <= 12


def test_an_address_where_something_else_answers_is_a_usage_error(
    command: Command, pairs_file: PairsFile, signed_in: Any
) -> None:
    signed_in.stops_after = 0
    said = command("check", pairs_file(), "--output", "result.csv")
    assert said.code == 2
    assert f"there is no Profiles service at {signed_in.url}/profiles" in said.err


def test_invitations_go_on_where_the_application_stopped(
    command: Command, signed_in: Any, pairs_file: PairsFile
) -> None:
    people = DIRECTORY.people[1:40]
    file = pairs_file("email\n" + "".join(f"{person.email}\n" for person in people), name="people.csv")
    words = ["invite", file, "--journal", "invites.sqlite", "--max-connections", "4"]
    signed_in.stops_after = 12
    first = command(*words, "--max-outage", "0.2")
    assert first.code == 75
    assert not {"rejected", "in_doubt"} & {row["outcome"] for row in first.rows}
    signed_in.stops_after = float("inf")
    signed_in.app.faults = []
    second = command(*words)
    assert second.code == 0
    assert Counter(commit.target for commit in signed_in.app.commits).most_common(1)[0][1] == 1
    assert {row["outcome"] for row in second.rows} == {"invited"}
    assert len(second.rows) == len(people) == len(signed_in.app.commits)


def test_pages_that_stay_unclear_are_failures_and_no_answers(
    command: Command, pairs_file: PairsFile, signed_in: Any
) -> None:
    signed_in.app.faults = [Fault("missing", operation="check")]
    said = command("check", pairs_file(count=2))
    assert said.code == 1
    assert [row["status"] for row in said.rows] == ["", ""]
    assert all(
        "ForeignResponseError" in row["error"] or "does not come from Connections" in row["error"] for row in said.rows
    )
