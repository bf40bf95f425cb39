"""``check --dry-run``: how many requests each plan takes, and for how long."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from screen import Terminal

from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
Command = Callable[..., Any]
PairsFile = Callable[..., Path]
MEANING = "head is exact unless requests are repeated; auto is estimated from lists of usual length"


@pytest.fixture
def group(pairs_file: PairsFile) -> Path:
    return pairs_file("\n".join(["userid", *(f'"{person.userid}"' for person in DIRECTORY.people)]))


def figures(err: str) -> dict[str, int]:
    """The requests of each plan."""
    found = re.findall(r"^(head|auto) +([\d,]+)", err, re.MULTILINE)
    return {name: int(count.replace(",", "")) for name, count in found}


def test_without_a_url_it_prints_the_estimate_alone(command: Command, group: Path) -> None:
    said = command("check", "--group", group, "--both-ways", "--dry-run")
    assert (said.code, said.out) == (0, "")
    assert said.err.splitlines() == [
        "3,540 pairs",
        "plan  requests  time at 100/s",
        "head     3,541         35.4 s",
        "auto       252          2.5 s",
        MEANING,
        "nothing was sent",
    ]
    slow = command("check", "--group", group, "--both-ways", "--dry-run", "--max-per-second", 0.5)
    assert slow.err.splitlines()[1:4] == [
        "plan  requests  time at 0.5/s",
        "head     3,541        1:58:02",
        "auto       252        0:08:24",
    ]


def test_without_a_limit_the_time_depends_on_the_server(command: Command, pairs_file: PairsFile) -> None:
    said = command("check", pairs_file(), "--dry-run", "--max-per-second", 0)
    _, *table, meaning, time, _ = said.err.splitlines()
    assert table == ["plan  requests", "head        21", "auto        21"]
    assert (meaning, time) == (MEANING, "without a limit of requests per second, the time depends on the server")


def test_rows_that_cannot_be_read_are_reported_as_by_a_run(
    command: Command, pairs_file: PairsFile, signed_in: Any
) -> None:
    path = pairs_file("source_userid,target_userid\na,b\na,a\na,b\n,b\na\na,\u200b\n")
    dry = command("check", path, "--dry-run", "--plan", "auto")
    assert signed_in.app.requests.total == 0
    assert (dry.code, dry.out) == (1, "")
    *problems, counts, _, _, _, _, _ = dry.err.splitlines()
    assert len(problems) == 4
    assert counts == "2 pairs; 1 of them repeats an earlier one; 4 unreadable"
    real = command("check", path)
    assert real.err.splitlines()[:4] == problems


def test_the_requests_of_checks_are_those_that_the_server_gets(
    command: Command, pairs_file: PairsFile, signed_in: Any
) -> None:
    path = pairs_file(count=50)
    dry = command("check", path, "--dry-run")
    assert len(dry.rows) == 50
    assert signed_in.app.requests.total == 0
    assert command("check", path, "--max-per-second", 0).code == 0
    assert figures(dry.err)["head"] == signed_in.app.requests.total == 51


@pytest.mark.slow
def test_the_requests_of_a_plan_are_about_those_that_the_server_gets(
    command: Command, group: Path, signed_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(DIRECTORY.people[-1].userid))
    path = group.with_name("others.csv")
    path.write_text("\n".join(group.read_text("utf-8").splitlines()[:-1]), "utf-8")
    words = ("check", "--group", path, "--both-ways", "--plan", "auto")
    dry = command(*words, "--dry-run")
    assert command(*words).code == 0
    sent = signed_in.app.requests.total
    assert sent / 1.25 <= figures(dry.err)["auto"] <= 1.25 * sent


def test_rows_of_an_earlier_result_that_are_not_retried_do_not_count(command: Command, pairs_file: PairsFile) -> None:
    header = "source_userid,target_userid,status,http_status,attempts,elapsed_ms,error"
    path = pairs_file(f"{header}\na,b,none,404,1,1.0,\na,c,,503,3,9.0,ServerError: HTTP 503\n")
    said = command("check", "--retry", path, "--dry-run")
    assert (said.code, said.err.splitlines()[0]) == (0, "1 pair")


def test_pairs_in_a_journal_count_and_the_journal_is_not_read(
    command: Command, pairs_file: PairsFile, signed_in: Any
) -> None:
    note = "pairs that the journal has recorded are counted too"
    words = ("check", pairs_file(), "--journal", "j.sqlite")
    assert note not in command(*words, "--dry-run").err
    assert not Path("j.sqlite").exists()
    assert command(*words).code == 0
    asked, before = signed_in.app.requests.total, Path("j.sqlite").read_bytes()
    said = command(*words, "--dry-run")
    assert note in said.err.splitlines()
    assert figures(said.err)["head"] == 21
    assert (signed_in.app.requests.total, Path("j.sqlite").read_bytes()) == (asked, before)


@pytest.mark.parametrize("options", [["-o", "r.csv"], ["--json"], ["--format", "csv"]], ids=" ".join)
def test_a_plan_has_no_requests_to_write_before_the_run(
    command: Command, pairs_file: PairsFile, options: list[str]
) -> None:
    said = command("check", pairs_file(), "--plan", "auto", "--dry-run", *options)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("aioconnections: --dry-run writes no result with --plan auto")
    assert not Path("r.csv").exists()
    said = command("check", pairs_file(), "--dry-run", *options)
    assert (said.code, said.err) == (
        2,
        "aioconnections: the URL is missing; use --url or --profile, or set AIOCONNECTIONS_URL\n",
    )


def test_other_options_are_checked_without_a_url(command: Command, pairs_file: PairsFile) -> None:
    said = command("check", pairs_file(), "--dry-run", "--client-key", "key.pem")
    assert (said.code, said.err) == (2, "aioconnections: --client-key needs --client-cert\n")
    assert command("connect", pairs_file(), "--dry-run").code == 2, "its requests are all that it shows"


@pytest.fixture(params=[40, 80, 120], ids="{} columns".format)
def terminal(request: pytest.FixtureRequest) -> Generator[Terminal]:
    with Terminal(request.param) as terminal:
        yield terminal


def test_the_table_at_40_80_and_120_columns(terminal: Terminal, pairs_file: PairsFile) -> None:
    rows = [f'"{one.userid}","{other.userid}"' for one, other in permutations(DIRECTORY.people[:35], 2)]
    path = pairs_file("\n".join(["source_userid,target_userid", *rows, rows[0], "x,", ""]))
    terminal.start("check", path, "--dry-run")
    assert terminal.wait() == 1
    screen = terminal.screen
    assert not screen.cuts
    lines = screen.text.splitlines()
    at = lines.index("plan  requests  time at 100/s")
    assert lines[at + 1 : at + 3] == ["head     1,192         11.9 s", "auto       219          2.2 s"]
    assert " ".join(" ".join(lines[at + 3 :]).split()) == f"{MEANING} nothing was sent"
    assert "1,191 pairs; 1 of them repeats an earlier one; 1 unreadable" in " ".join(lines[:at])
