"""Every command that changes something, against the reference server, and what a dry run says of it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections.records import Person, Status
from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
NEIGHBOURS = {person.userid: status for person, status in DIRECTORY.neighbours(ME)}
STRANGERS = [person for person in OTHERS if person.userid not in NEIGHBOURS]
COMMUNITY = next(community for community in DIRECTORY.communities if community.invited)

Command = Callable[..., Any]
PairsFile = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]


def by_status(status: Status) -> Person:
    return next(person for person, found in DIRECTORY.neighbours(ME) if found is status)


def sign_in(monkeypatch: pytest.MonkeyPatch, person: Person) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(person.userid))


@pytest.fixture(autouse=True)
def me(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    sign_in(monkeypatch, ME)
    return signed_in


def done(reference: Any) -> list[str]:
    return [commit.verb for commit in reference.app.commits]


def csv_of(header: str, *lines: object) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header.split(","))
    table.writerows(line if isinstance(line, tuple) else (line,) for line in lines)
    return text.getvalue()


def test_people_of_a_file_are_invited_each_once(command: Command, pairs_file: PairsFile, me: Any) -> None:
    one, two = STRANGERS[:2]
    colleague = by_status(Status.ACCEPTED)
    people = csv_of("userid,note", *((p.userid, "x") for p in (one, two, colleague, one)), ("", "nobody"))
    said = command("invite", pairs_file(people), "--message", "Hello & welcome", "--ordered", "--no-journal")
    assert said.code == 1
    assert list(said.rows[0]) == ["userid", "note", "outcome", "connection_id", "attempts", "elapsed_ms", "error"]
    assert [row["outcome"] for row in said.rows] == [
        "invited",
        "invited",
        "already_exists",
        "duplicate",
        "unreadable",
    ]
    assert [bool(row["connection_id"]) for row in said.rows] == [True, True, False, False, False]
    assert said.rows[3]["error"] == "the same person as line 2"
    assert said.rows[4]["error"] == "line 6: no person: userid, key and email are empty"
    assert said.err.endswith("/s): 1 already exists, 2 invited; 1 unreadable; 1 duplicate\n")
    assert done(me) == ["invite", "invite"]


@pytest.mark.parametrize("words", [("invite",), ("community", "invite", COMMUNITY.uuid)], ids=" ".join)
@pytest.mark.parametrize("piped", [False, True], ids=["file", "standard input"])
def test_a_person_who_comes_twice_is_no_failure_where_the_first_was_none(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], *, piped: bool
) -> None:
    sign_in(monkeypatch, COMMUNITY.owners[0])
    inside = {person.userid for person in (*COMMUNITY.owners, *COMMUNITY.members, *COMMUNITY.invited)}
    guest = next(person for person in STRANGERS if person.userid not in inside)
    Path("people.csv").write_text(csv_of("userid", *[guest.userid] * 3), encoding="utf-8")
    with Path("people.csv").open(encoding="utf-8") as stdin, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", stdin)
        said = command(*words, "-" if piped else "people.csv", "--ordered", "--no-journal")
    assert said.code == 0
    assert [row["outcome"] for row in said.rows] == ["invited", "duplicate", "duplicate"]
    assert [row["error"] for row in said.rows] == ["", *["the same person as line 2"] * 2]
    assert said.err.endswith("/s): 1 invited; 2 duplicate\n")


def test_a_person_who_comes_twice_and_cannot_be_invited_is_one_failure(command: Command, pairs_file: PairsFile) -> None:
    said = command("invite", pairs_file("\nuserid\n\nnobody\nnobody\n"), "--ordered", "--no-journal")
    assert said.code == 1
    assert [row["outcome"] for row in said.rows] == ["rejected", "duplicate"]
    assert said.rows[1]["error"] == "the same person as line 4"
    summary, reason = said.err.splitlines()
    assert summary.endswith("; 1 rejected; 1 duplicate")
    assert reason.startswith("  1 rejected: BadRequestError: HTTP 400")


@pytest.mark.parametrize("kind", ["email", "userid", "key"])
def test_one_person_may_be_named_on_the_command_line(command: Command, me: Any, kind: str) -> None:
    value = getattr(STRANGERS[0], kind)
    said = command("invite", f"--{kind}", value, "--json", "--no-journal")
    row = json.loads(said.out)
    assert (said.code, row[kind], row["outcome"]) == (0, str(value), "invited")
    assert done(me) == ["invite"]


def test_a_dry_run_of_an_invitation_shows_it_and_sends_nothing(
    command: Command, pairs_file: PairsFile, me: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIOCONNECTIONS_PASSWORD")  # it is not needed
    Path("message.html").write_text("<b>Hello</b>", encoding="utf-8")
    people = pairs_file('person\na@example.com\nA@example.com\n""\n')
    options = (
        "--message-file",
        "message.html",
        "--message-type",
        "html",
        "--dry-run",
        "--no-journal",
        "--id-type",
        "email",
    )
    said = command("invite", people, *options)
    first, second, third = said.rows
    assert list(first) == ["person", "method", "url", "body", "then", "error"]
    assert (first["method"], first["then"], first["error"]) == ("POST", "", "")
    assert first["url"] == f"{me.url}/profiles/atom/connections.do?connectionType=colleague&email=a%40example.com"
    assert "&lt;b&gt;Hello" in first["body"]
    assert (second["method"], second["error"]) == ("", "the same person as line 2")
    assert third["error"] == "line 4: no person: userid, key, email and person are empty"
    assert said.code == 1
    assert said.err.splitlines()[-1] == "nothing was sent"
    assert me.app.requests.total == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            ["--email", "a@x", "--message", "a", "--message-file", "b"],
            "--message and --message-file cannot be used together",
        ),
        (["--email", "a@x", "--message-file", "missing"], "missing: No such file"),
        (["--email", "a@x", "--message-file", "latin1"], "latin1 is not text in UTF-8"),
        (["--email", "a@x", "--message", "\x01"], "XML"),
        (["people.csv", "--email", "a@x"], "a file and --email cannot be used together; use one of them"),
        (["--email", " "], "no person: userid, key and email are empty"),
        (
            ["--email", "a@x", "--json", "--format", "csv"],
            "--json and --format csv cannot be used together; use one of them",
        ),
        (["--mesage", "Hello"], 'Invalid value "--mesage" for PEOPLE. Unknown option.'),
        (["-x", "--email", "a@x"], 'Invalid value "-x" for PEOPLE. Unknown option.'),
        (["people.csv"], "no column for the person: userid, key, email, or person with --id-type"),
    ],
)
def test_what_cannot_be_invited_is_said_in_a_line(command: Command, me: Any, options: list[str], problem: str) -> None:
    Path("latin1").write_bytes(b"caf\xe9")
    Path("people.csv").write_text("name\nx\n", encoding="utf-8")
    said = command("invite", *options, "--no-journal")
    assert (said.code, said.out) == (2, "")
    assert problem in said.err
    assert me.app.requests.total == 0


@pytest.mark.parametrize("words", [("invite",), ("community", "invite", COMMUNITY.uuid)], ids=" ".join)
def test_who_invites_has_to_say_whether_that_is_recorded(command: Command, me: Any, words: tuple[str, ...]) -> None:
    for dry in ([], ["--dry-run"]):
        said = command(*words, "--userid", STRANGERS[0].userid, *dry)
        assert (said.code, said.out) == (2, "")
        assert said.err == (
            "aioconnections: use --journal FILE to record the invitations, or --no-journal to run without a journal\n"
        )
    said = command(*words, "--userid", STRANGERS[0].userid, "--journal", "j.sqlite", "--no-journal")
    assert (said.code, said.err) == (
        2,
        "aioconnections: --journal and --no-journal cannot be used together; use one of them\n",
    )
    said = command(*words, "--userid", STRANGERS[0].userid, "--journal", "j.sqlite", "--dry-run")
    assert (said.code, Path("j.sqlite").exists()) == (0, False)
    said = command(*words, "--userid", STRANGERS[0].userid, "--journal", "j.sqlite", "-o", "j.sqlite", "--dry-run")
    assert (said.code, Path("j.sqlite").exists()) == (2, False)
    assert me.app.requests.total == 0


def test_invitations_are_accepted_by_id_and_by_pair(command: Command, pairs_file: PairsFile, me: Any) -> None:
    listed = command("colleagues", "--userid", ME.userid, "--status", "pending")
    ids = [row["connection_id"] for row in listed.rows]
    assert len(ids) == list(NEIGHBOURS.values()).count(Status.PENDING)
    rows = [(ids[0], "", ""), ("", ME.email, listed.rows[1]["target_email"]), ("", "", "")]
    said = command("accept", pairs_file(csv_of("connection_id,source_email,target_email", *rows)), "--ordered")
    assert [row["outcome"] for row in said.rows] == ["accepted", "accepted", "unreadable"]
    assert (
        said.rows[2]["error"]
        == "line 4: no connection_id, and no source: source_userid, source_key and source_email are empty"
    )
    assert done(me) == ["accept", "accept"]


def test_a_connection_is_named_by_its_self_link_too(command: Command, pairs_file: PairsFile, me: Any) -> None:
    listed = command("colleagues", "--userid", ME.userid, "--status", "pending")
    one, other = listed.rows[:2]
    link = f"{me.url}/profiles/atom/connection.do?connectionType=colleague&sourceUserid={ME.userid}"
    links = [
        f"{me.url}/profiles/atom/connection.do?connectionId={one['connection_id']}&inclMessage=true",
        f"{link}&targetUserid={other['target_userid']}",
        f"{me.url}/profiles/atom/profile.do",
    ]
    said = command("accept", pairs_file(csv_of("connection_id", *links)), "--ordered")
    assert [row["outcome"] for row in said.rows] == ["accepted", "accepted", "unreadable"]
    assert said.rows[2]["error"].startswith("line 4: this link does not lead to a connection")
    assert command("remove", "--connection-id", links[0]).rows[0]["was"] == "accepted"
    assert done(me) == ["accept", "accept", "remove"]


def test_a_listing_makes_a_pipe_with_what_reads_it(command: Command, me: Any) -> None:
    command("colleagues", "--email", ME.email, "--status", "unconfirmed", "-o", "mine.csv")
    said = command("remove", "mine.csv")
    assert said.code == 0
    assert {(row["outcome"], row["was"]) for row in said.rows} == {("removed", "unconfirmed")}
    assert said.err.endswith(" withdrawn\n")
    assert set(done(me)) == {"remove"}


@pytest.mark.parametrize(
    ("status", "word"), [(Status.PENDING, "declined"), (Status.ACCEPTED, "removed"), (Status.UNCONFIRMED, "withdrawn")]
)
def test_what_a_removal_was_is_counted(command: Command, status: Status, word: str) -> None:
    listed = command("colleagues", "--key", ME.key, "--status", status)
    said = command("remove", "--connection-id", listed.rows[0]["connection_id"])
    assert said.rows[0]["was"] == status
    assert said.err.endswith(f": 1 {word}\n")


@pytest.mark.parametrize(("verb", "then"), [("accept", "PUT of"), ("remove", "DELETE of")])
def test_a_dry_run_says_what_follows_the_first_request(command: Command, me: Any, verb: str, then: str) -> None:
    said = command(verb, "--connection-id", "c0ffee", "--dry-run", "--format", "jsonl")
    row = json.loads(said.out)
    assert (said.code, row["method"], row["body"]) == (0, "GET", None)
    assert row["url"].startswith(f"{me.url}/profiles/atom/connection.do?connectionId=c0ffee")
    assert row["then"].startswith(then)
    assert me.app.requests.total == 0


def test_an_administrator_connects_and_disconnects(
    command: Command, pairs_file: PairsFile, me: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = pairs_file(csv_of("source_userid,target_userid", (ME.userid, STRANGERS[0].userid)))
    refused = command("connect", pairs)
    assert (refused.code, refused.rows[0]["outcome"]) == (1, "rejected")
    assert refused.rows[0]["error"].startswith("ForbiddenError")
    monkeypatch.setenv("AIOCONNECTIONS_USER", "admin")
    planned = command("connect", pairs, "--message", "Hello", "--dry-run")
    assert (planned.rows[0]["method"], "Hello" in planned.rows[0]["body"]) == ("PUT", True)
    assert planned.rows[0]["url"].startswith(f"{me.url}/profiles/admin/atom/connections.do?action=complete&")
    said = command("connect", pairs)
    assert (said.code, said.rows[0]["outcome"]) == (0, "connected")
    theirs = command("colleagues", "--userid", STRANGERS[0].userid).rows
    assert said.rows[0]["connection_id"] in {row["connection_id"] for row in theirs}
    planned = command("disconnect", pairs, "--dry-run")
    assert (planned.rows[0]["method"], planned.rows[0]["then"][:6]) == ("HEAD", "DELETE")
    said = command("disconnect", pairs)
    assert (said.code, said.rows[0]["outcome"], said.rows[0]["was"]) == (0, "removed", "accepted")
    assert done(me) == ["connect", "disconnect"]


def test_a_dry_run_of_invitations_into_a_community_names_duplicates(command: Command, pairs_file: PairsFile) -> None:
    people = pairs_file("email\nann@example.com\nANN@example.com\n")
    planned = command("community", "invite", COMMUNITY.uuid, people, "--no-journal", "--dry-run")
    assert [row["error"] for row in planned.rows] == ["", "the same person as line 2"]
    assert planned.code == 0
    assert [(row["method"], COMMUNITY.uuid in row["url"]) for row in planned.rows] == [("POST", True), ("", False)]


def test_a_dry_run_leaves_the_columns_of_the_input_alone(command: Command, pairs_file: PairsFile) -> None:
    said = command("connect", pairs_file("source,target\na,b\n"), "--id-type", "userid", "--dry-run")
    assert [said.rows[0][name] for name in ("source", "target", "method")] == ["a", "b", "PUT"]


def test_a_dry_run_goes_where_the_login_would(command: Command, me: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_TOKEN", "gehe1m")
    said = command("invite", "--email", "a@x", "--no-journal", "--dry-run")
    assert said.rows[0]["url"].startswith(f"{me.url}/profiles/oauth/atom/")
    said = command("invite", "--email", "a@x", "--no-journal", "--dry-run", "--token-paths", "ordinary")
    assert said.rows[0]["url"].startswith(f"{me.url}/profiles/atom/")
    said = command("community", "invite", COMMUNITY.uuid, "--key", "a", "--no-journal", "--dry-run")
    assert (said.code, said.rows[0]["error"][:17]) == (1, "InvalidInputError")
    assert "gehe1m" not in said.out + said.err


def test_people_are_invited_into_a_community_and_answer(
    command: Command, me: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, guest = COMMUNITY.owners[0], COMMUNITY.invited[0]
    inside = {person.userid for person in (*COMMUNITY.owners, *COMMUNITY.members, *COMMUNITY.invited)}
    others = [person for person in DIRECTORY.people if person.userid not in inside]
    Path("people.csv").write_text(csv_of("userid", others[0].userid, others[1].userid), encoding="utf-8")
    sign_in(monkeypatch, owner)
    said = command("community", "invite", COMMUNITY.uuid, "people.csv", "--title", "Join us", "--no-journal")
    assert (said.code, {row["outcome"] for row in said.rows}) == (0, {"invited"})
    listed = command("community", "invitations", COMMUNITY.uuid, "-o", "waiting.csv")
    assert listed.err == "3 listed\n"
    waiting = csv.DictReader(Path("waiting.csv").read_text("utf-8").splitlines())
    theirs = next(row for row in waiting if row["invitee_userid"] == str(others[0].userid))
    Path("one.jsonl").write_text(json.dumps(theirs) + "\n", encoding="utf-8")
    revoked = command("invitations", "revoke", "one.jsonl")
    assert json.loads(revoked.out)["outcome"] == "removed"

    sign_in(monkeypatch, guest)
    command("invitations", "list", "-o", "mine.csv")
    planned = command("invitations", "accept", "mine.csv", "--dry-run")
    assert planned.rows[0]["method"] == "POST"
    assert "(you)" in planned.rows[0]["body"]
    accepted = command("invitations", "accept", "mine.csv")
    assert {row["outcome"] for row in accepted.rows} == {"accepted"}

    sign_in(monkeypatch, others[1])
    command("invitations", "list", "-o", "mine.csv")
    declined = command("invitations", "decline", "mine.csv")
    assert "removed" in {row["outcome"] for row in declined.rows}
    verbs = done(me)
    assert verbs[:3] == ["invite to community", "invite to community", "withdraw from community"]
    assert {"join community", "withdraw from community"} <= {*verbs[3:]}


@pytest.mark.parametrize("verb", ["accept", "decline"])
def test_rows_that_name_no_invitation(command: Command, pairs_file: PairsFile, me: Any, verb: str) -> None:
    said = command("invitations", verb, pairs_file('community_uuid\n""\nx\n'), "--dry-run")
    assert said.rows[0]["error"] == "line 2: no invitation: community_uuid, edit_href and self_href are empty"
    assert (said.code, bool(said.rows[1]["error"])) == (1, verb == "decline")
    said = command("invitations", verb, pairs_file("title\nx\n"))
    problem = "the input has no column community_uuid or edit_href; the first line is: title; is the header missing?"
    assert (said.code, said.err) == (2, f"aioconnections: {problem}\n")
    assert me.app.requests.total == 0


def test_a_file_of_connections_needs_one_of_two_things(command: Command, pairs_file: PairsFile) -> None:
    said = command("remove", pairs_file("id\nx\n"))
    assert said.code == 2
    assert "the input has no column connection_id, nor one for the source: source_userid" in said.err


def test_a_wrong_password_leaves_every_row_unprocessed(
    command: Command, pairs_file: PairsFile, me: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "gehe1m")
    said = command("invite", pairs_file(csv_of("userid", *(person.userid for person in STRANGERS))), "--no-journal")
    assert said.code == 3
    assert [row["outcome"] for row in said.rows] == ["unprocessed"] * len(STRANGERS)
    assert me.app.requests.by_status == {401: 1}


@pytest.mark.parametrize(("verb", "code"), [("invite", 1), ("profile", 0)])
def test_a_reader_that_goes_ends_a_change_as_unfinished(
    start: Start, pairs_file: PairsFile, me: Any, verb: str, code: int
) -> None:
    rows = ((person.userid, "x" * 5_000) for person in STRANGERS)  # more than what waits in a buffer
    options = ["--no-journal"] * (verb == "invite")
    process = start(verb, pairs_file(csv_of("userid,note", *rows)), "--max-connections", 2, *options)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    gone = "aioconnections: standard output: the reader of the result has closed the pipe, so the run was stopped"
    assert (err.splitlines()[-1] == gone) is (code == 1)
    assert len(done(me)) < len(STRANGERS)
