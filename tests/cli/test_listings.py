"""What is only read: colleagues, people, profiles."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections.records import Status
from aioconnections.reference import Directory, Fault, app

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME = DIRECTORY.people[0]

Command = Callable[..., Any]
PairsFile = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("signed_in")


def test_every_colleague_is_one_row(command: Command) -> None:
    said = command("colleagues", "--userid", ME.userid)
    accepted = {str(person.userid) for person, status in DIRECTORY.neighbours(ME) if status is Status.ACCEPTED}
    assert said.code == 0
    assert {row["target_userid"] for row in said.rows} == accepted
    assert {row["source_email"] for row in said.rows} == {str(ME.email)}
    assert {row["status"] for row in said.rows} == {"accepted"}
    assert list(said.rows[0])[-2:] == ["message", "message_type"]
    assert {row["message_type"] for row in said.rows} == {"html"}
    assert said.err == f"{len(accepted)} listed\n"


def test_only_what_changed_since_then_is_listed(command: Command) -> None:
    said = command("colleagues", "--email", ME.email, "--since", "2999-01-01T00:00:00+0000", "--sort-by", "modified")
    assert (said.code, said.rows, said.err) == (0, [], "0 listed\n")
    said = command("colleagues", "--email", ME.email, "--since", "2999-01-01T00:00:00")
    assert (said.code, said.err) == (2, "aioconnections: --since has no time zone; append one, such as +0000 or Z\n")


def test_a_listing_in_json_lines_ends_in_the_pipe_of_another_command(command: Command) -> None:
    said = command("search", "--name", f"{(ME.name or '')[:4]}*", "--json")
    people = [json.loads(line) for line in said.out.splitlines()]
    assert str(ME.userid) in {person["userid"] for person in people}
    Path("people.jsonl").write_text(said.out, encoding="utf-8")
    said = command("profile", "people.jsonl", "--ordered")
    assert [json.loads(line)["found_key"] for line in said.out.splitlines()] == [person["key"] for person in people]


@pytest.mark.parametrize(("value", "found"), [("default", True), ("contractor", False)])
def test_a_search_by_the_kind_of_profile(command: Command, value: str, found: object) -> None:
    said = command("search", "--profile-type", value, "--school", "*", "--name", f"{(ME.name or '')[:4]}*")
    assert said.code == 0
    assert (str(ME.userid) in {row["userid"] for row in said.rows}) is found


@pytest.mark.parametrize(("people", "listed"), [(250, 234), (300, 250)])
def test_a_search_that_ends_where_the_server_stops_says_so(
    command: Command, signed_in: Any, people: int, listed: int
) -> None:
    signed_in.app = app(Directory.generate(people=people, seed=7))
    said = command("search", "--email", "*")  # who is active
    assert (said.code, len(said.rows)) == (0, listed)
    more = "Servers list at most 250, so there may be more; narrow the search to see the rest.\n"
    assert said.err == f"{listed} listed\n" + more * (listed == 250)


def test_a_search_for_nothing_is_refused(command: Command) -> None:
    said = command("search", "--active-users-only")
    assert said.code == 2
    assert said.err.startswith(
        "aioconnections: no search criteria; give words of a profile, or an option such as --name"
    )


def test_who_is_not_known_is_an_answer(command: Command, pairs_file: PairsFile) -> None:
    said = command("profile", pairs_file(f"email\n{ME.email}\nnobody@example.com\n"), "--ordered")
    assert said.code == 0
    assert [row["outcome"] for row in said.rows] == ["resolved", "unknown"]
    assert [row["found_userid"] for row in said.rows] == [str(ME.userid), ""]
    assert said.rows[0]["name"] == ME.name
    assert said.err.endswith("/s): 1 resolved, 1 unknown\n")


def test_the_colleagues_of_an_unknown_person_are_an_error_and_no_empty_list(command: Command) -> None:
    said = command("colleagues", "--email", "nobody@example.com")
    assert (said.code, said.rows) == (1, [])
    assert said.err.splitlines() == [
        "aioconnections: HTTP 400: CLFRN1172E: The request is invalid.",
        "aioconnections: the server responds so if it does not know a person; check the id or address",
    ]


def test_a_listing_that_fails_says_why(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "gehe1m")
    said = command("colleagues", "--email", ME.email)
    assert said.code == 3
    assert said.err == "aioconnections: HTTP 401: the server refused the login\n"


@pytest.mark.parametrize(
    "words",
    [
        ("colleagues", "--email", "a@x"),
        ("search", "--name", "a*"),
        ("invitations", "list"),
        ("community", "invitations", "c"),
    ],
    ids=lambda words: words[0],
)
def test_a_server_that_does_not_answer_is_named(command: Command, words: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    said = command(*words, "--url", f"http://127.0.0.1:{port}")
    assert said.code == 5
    assert said.err == f"aioconnections: http://127.0.0.1:{port} is not available: the server refused the connection\n"


@pytest.mark.parametrize("status", [429, 503])
def test_a_listing_of_a_server_that_is_overloaded_ends_as_a_run_would(
    command: Command, signed_in: Any, status: int
) -> None:
    signed_in.app.faults = [Fault("refuse", operation="search", status=status)]
    said = command("search", "--name", "a*")
    assert said.code == 5
    assert said.err.startswith(f"aioconnections: HTTP {status}: ")
