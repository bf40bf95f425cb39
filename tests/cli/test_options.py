"""What is wrong with an option is said by its own name and in values that the command line takes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

Command = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("signed_in")

COUNT = "a whole number, at least 1"
RATE = "a positive number, or 0 for no limit"
TIMEOUT = "a positive number of seconds"
OUTAGE = "a number of seconds, 0 or more, or none for no limit"
PAUSE = "a number of seconds, 0 or more"
END = "a positive number of seconds, or none for no limit"


@pytest.mark.parametrize("dry", [False, True], ids=["real", "dry"])
@pytest.mark.parametrize(
    ("option", "value", "must"),
    [
        ("--max-connections", "0", COUNT),
        ("--max-connections", "1.5", COUNT),
        ("--max-connections", "many", COUNT),
        ("--max-per-second", "-1", RATE),
        ("--max-per-second", "inf", RATE),
        ("--max-per-second", "none", RATE),
        ("--attempt-timeout", "0", TIMEOUT),
        ("--attempt-timeout", "none", TIMEOUT),
        ("--max-outage", "-1", OUTAGE),
        ("--max-outage", "abc", OUTAGE),
        ("--max-outage", "nan", OUTAGE),
        ("--run-timeout", "0", END),
        ("--run-timeout", "[b]1", END),
        ("--settle", "nan", PAUSE),
        ("--settle", "-1", PAUSE),
        ("--settle", "inf", PAUSE),
        ("--settle", "1e400", PAUSE),
    ],
)
def test_a_number_that_an_option_does_not_take(
    command: Command, signed_in: Any, option: str, value: str, must: str, *, dry: bool
) -> None:
    said = command("invite", "--email", "a@x", "--no-journal", option, value, *["--dry-run"] * dry)
    assert (said.code, said.out) == (2, "")
    assert f"Invalid value for {option}: it must be {must}; got {value!r}." in said.err
    assert signed_in.app.requests.total == 0


@pytest.mark.parametrize(
    "options",
    [("--max-outage", "none"), ("--max-outage", "0"), ("--run-timeout", "none"), ("--max-per-second", "0")],
    ids=" ".join,
)
def test_a_number_that_an_option_takes(command: Command, options: tuple[str, ...]) -> None:
    assert command("profile", "--email", "a@x", *options).code == 0


@pytest.mark.parametrize("dry", [False, True], ids=["real", "dry"])
@pytest.mark.parametrize(
    ("name", "problem"),
    [("missing.pem", "No such file or directory"), ("other.pem", "it contains no certificates in PEM format")],
)
def test_a_file_of_certificates_that_is_none(command: Command, name: str, problem: str, *, dry: bool) -> None:
    Path("other.pem").write_text("hello\n", encoding="utf-8")
    said = command("check", "pairs.csv", "--ca-file", name, *["--dry-run"] * dry)
    assert (said.code, said.out, said.err) == (2, "", f"aioconnections: --ca-file {name}: {problem}\n")


def test_a_folder_of_certificates_will_do(command: Command, tmp_path: Path) -> None:
    assert command("profile", "--email", "a@x", "--ca-file", tmp_path).code == 0


@pytest.mark.parametrize("given", [None, ""], ids=["unset", "empty"])
@pytest.mark.parametrize(
    "words",
    [("check",), ("invite", "--no-journal", "--dry-run"), ("search", "a"), ("invitations", "list")],
    ids=" ".join,
)
def test_a_url_that_is_missing(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], given: str | None
) -> None:
    monkeypatch.delenv("AIOCONNECTIONS_URL")
    if given is not None:
        monkeypatch.setenv("AIOCONNECTIONS_URL", given)
    said = command(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err == "aioconnections: the URL is missing; use --url or --profile, or set AIOCONNECTIONS_URL\n"


def test_an_unknown_option_is_named_even_where_the_url_is_missing(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIOCONNECTIONS_URL")
    said = command("invitations", "list", "--inv")
    assert said.code == 2
    assert "--inv" in said.err
    assert "--url" not in said.err


def _name(value: object) -> str:
    return " ".join(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else ""


PASSWORD = 'password; use --password-file or "aioconnections login", or set AIOCONNECTIONS_PASSWORD.'
TOKEN = "token; use --token-file, or set AIOCONNECTIONS_TOKEN."


@pytest.mark.parametrize(
    ("words", "option", "advice"),
    [
        (("check", "--password", "gehe1m"), "--password", PASSWORD),
        (("check", "--password=gehe1m"), "--password", PASSWORD),
        (("check", "pairs.csv", "--password", "gehe1m"), "--password", PASSWORD),
        (("check", "pairs.csv", "-p", "gehe1m"), "-p", PASSWORD),
        (("check", "pairs.csv", "-pgehe1m"), "-p", PASSWORD),
        (("check", "-pgehe1m"), "-p", PASSWORD),
        (("invite", "--User-Passwd=gehe1m"), "--User-Passwd", PASSWORD),
        (("search", "a", "--token", "gehe1m"), "--token", TOKEN),
        (("doctor", "--api-key=gehe1m"), "--api-key", TOKEN),
        (("invitations", "list", "--pw", "gehe1m"), "--pw", PASSWORD),
        (("login", "--password", "gehe1m"), "--password", "password; use --password-file or --password-stdin."),
        (("--password=gehe1m", "check"), "--password", PASSWORD),
        (("invitations", "--token=gehe1m"), "--token", TOKEN),
    ],
    ids=_name,
)
def test_an_option_that_would_hold_a_secret(command: Command, words: tuple[str, ...], option: str, advice: str) -> None:
    said = command(*words)
    assert (said.code, said.out) == (2, "")
    text = " ".join(said.err.replace("│", "").split())
    assert f"Unknown option: {option}. Other users can see arguments, so none holds a {advice}" in text
    assert "gehe1m" not in said.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("check", "--passwrod=gehe1m"), 'Invalid value "--passwrod" for PAIRS.'),
        (("report", "j.sqlite", "-p", "gehe1m"), "Unknown option: -p."),
        (("check", "pairs.csv", "--key", "k"), "Unknown option: --key."),
        (("check", "-profile", "prod"), 'Invalid value "-profile" for PAIRS.'),
        (("check", "pairs.csv", "--token-path", "ordinary"), "Did you mean --token-paths?"),
    ],
    ids=_name,
)
def test_an_unknown_option_that_is_for_no_secret(command: Command, words: tuple[str, ...], problem: str) -> None:
    said = command(*words)
    assert (said.code, said.out) == (2, "")
    assert problem in said.err
    assert "Other users" not in said.err
    assert "gehe1m" not in said.err


def test_an_argument_too_many(command: Command) -> None:
    said = command("check", "my", "pairs.csv", "old.csv")
    assert (said.code, said.out) == (2, "")
    assert (
        'There is no place for "pairs.csv", "old.csv". A name or text with spaces needs quotes around it.' in said.err
    )


@pytest.mark.parametrize("words", [("check", "pairs.csv"), ("search", "a")], ids=" ".join)
def test_a_socks_proxy_without_its_package(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:9")
    said = command(*words, "--url", "http://connections.example.com", "--trust-env")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        'aioconnections: http_proxy names a SOCKS proxy, which needs one more package: pip install "httpx[socks]"\n'
    )
