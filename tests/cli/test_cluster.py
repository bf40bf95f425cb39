"""Options of ``aioconnections check --cluster``; what such a command does is shown in tests/cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CLUSTER = ("--cluster", "tcp://127.0.0.1:1")
Command = Callable[..., Any]


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--journal", "x.sqlite"], "--journal"),
        (["--ordered"], "--ordered"),
        (["--retry", "x.csv"], "--retry"),
        (["--format", "csv"], "--format"),
        (["--json"], "--json"),
        (["--excel-safe"], "--excel-safe"),
        (["--group", "x.csv"], "--group"),
        (["--against", "x.csv"], "--against"),
        (["--dry-run"], "--dry-run"),
        (["--run-timeout", "9"], "--run-timeout"),
        (["--fresh"], "--fresh"),
        (["--log-level", "info"], "--log-level"),
    ],
)
def test_options_without_a_meaning_are_refused(command: Command, words: list[str], option: str) -> None:
    said = command("check", "pairs.csv", *CLUSTER, "--url", "http://127.0.0.1:1", "--output", "results", *words)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"aioconnections: {option} has no meaning with --cluster; omit it\n"
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--user", "me"], "--user"),
        (["--password-file", "x"], "--password-file"),
        (["--token-file", "x"], "--token-file"),
        (["--client-cert", "x"], "--client-cert"),
    ],
)
def test_a_login_of_this_machine_is_refused(command: Command, words: list[str], option: str) -> None:
    said = command("check", "pairs.csv", *CLUSTER, "--url", "http://127.0.0.1:1", "--output", "results", *words)
    problem = "has no meaning with --cluster: workers read the login in their environment"
    assert (said.code, said.err) == (2, f"aioconnections: {option} {problem}\n")


def test_the_login_of_the_environment_is_no_option(
    command: Command, signed_in: object, pairs_file: Callable[..., Path]
) -> None:
    del signed_in
    said = command("check", pairs_file(), *CLUSTER, "--output", "results", "--auth", "admin:secret")
    assert said.code == 2
    assert "there is no function of the name that auth gives; auth is never a credential" in said.err
    assert "admin" not in said.err


@pytest.mark.parametrize("words", [["pairs.csv"], ["--output", "results"]])
def test_a_file_and_a_folder_are_needed(command: Command, words: list[str]) -> None:
    said = command("check", *words, *CLUSTER, "--url", "http://127.0.0.1:1")
    problem = "--cluster needs a file of pairs, or a quoted pattern, and --output with a folder"
    assert (said.code, said.err) == (2, f"aioconnections: {problem}\n")


@pytest.mark.parametrize("words", [["--auth", "a:b"], ["--parts", "parquet"], ["--rows-per-partition", "5"]])
def test_options_for_a_cluster_need_one(command: Command, words: list[str]) -> None:
    said = command("check", "pairs.csv", *words)
    assert (said.code, said.err) == (2, f"aioconnections: {words[0]} needs --cluster\n")


def test_a_scheduler_that_is_not_there(command: Command, pairs_file: Callable[..., Path]) -> None:
    said = command("check", pairs_file(), "--cluster", "nonsense://x", "--url", "http://127.0.0.1:1", "--output", "r")
    assert said.code == 1
    assert said.err.startswith("aioconnections: no scheduler at nonsense://x: ")


def test_a_missing_package_is_named(
    command: Command, pairs_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    said = command("check", pairs_file(), *CLUSTER, "--url", "http://127.0.0.1:1", "--output", "results")
    problem = 'runs on a cluster need distributed; run: pip install "aioconnections[dask]"'
    assert (said.code, said.err) == (2, f"aioconnections: {problem}\n")
