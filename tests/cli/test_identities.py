"""Text that cannot name a person is a row that fails alone, in every command and every form of input."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections.reference import Directory, app

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, ANN, BOB = DIRECTORY.people[0], *[person for person in DIRECTORY.people[1:] if str(person.userid).isalnum()][:2]
COMMUNITY = DIRECTORY.communities[0]

Command = Callable[..., Any]

EMAILS = {
    "zero width space": f"\u200b{ANN.email}",
    "byte order mark": f"x\ufeff{ANN.email}",
    "scheme": f"mailto:{ANN.email}",
    "name": f"Ann <{ANN.email}>",
    "list": f"{ANN.email},{BOB.email}",
    "list with a space": f"{ANN.email}, {BOB.email}",
    "semicolon": f"{ANN.email};{BOB.email}",
    "number": "20000001.0",
    "no @": "ann",
    "long": "a" * 50_000 + "@example.com",
}
USERIDS = {
    "zero width space": f"\u200b{ANN.userid}",
    "no-break space": "ann\u00a0lee",
    "decimal": "20000001.0",
    "decimal comma": "20000001,0",
    "exponent": "2.0000001E+07",
    "long": "u" * 50_000,
}
PAIRS = [("check",), ("connect",), ("disconnect",), ("accept",), ("remove",)]
PEOPLE = [("invite", "--no-journal"), ("profile",), ("community", "invite", COMMUNITY.uuid, "--no-journal")]


@pytest.fixture(autouse=True)
def server(signed_in: Any) -> Any:
    """A server that knows no difference between a person without colleagues and an unknown one."""
    signed_in.app = app(DIRECTORY, version="4.5")
    return signed_in


def csv_of(header: list[str], rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def jsonl_of(header: list[str], rows: list[list[str]]) -> str:
    return "".join(f"{json.dumps(dict(zip(header, row, strict=True)))}\n" for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["email", "userid"])
@pytest.mark.parametrize("form", [csv_of, jsonl_of])
@pytest.mark.parametrize("piped", [False, True], ids=["file", "standard input"])
@pytest.mark.parametrize("words", [*PAIRS, *PEOPLE], ids=lambda words: " ".join(words[:2]))
def test_text_that_names_nobody_is_never_an_answer(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    form: Callable[[list[str], list[list[str]]], str],
    words: tuple[str, ...],
    *,
    piped: bool,
) -> None:
    odd, good = (EMAILS if kind == "email" else USERIDS), [str(getattr(person, kind)) for person in (ME, ANN, BOB)]
    if words in PAIRS:
        header = [f"source_{kind}", f"target_{kind}"]
        rows = [*([good[0], text] for text in odd.values()), *([text, good[0]] for text in odd.values())]
        rows.append(good[:2])
    else:
        header, rows = [kind], [*([text] for text in odd.values()), good[1:2]]
    Path("rows").write_text(form(header, rows), encoding="utf-8")
    with Path("rows").open(encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        said = command(*words, *([] if piped else ["rows"]), "--format", "jsonl", "--ordered")
    assert said.code == 1
    *bad, last = map(json.loads, said.out.splitlines())
    assert len(bad) == len(rows) - 1
    for line, row in enumerate(bad, start=2 if form is csv_of else 1):
        assert row.get("outcome", "unreadable") == "unreadable"
        assert row.get("status") is None
        assert row["error"].startswith(f"line {line}: ")
        assert row["attempts"] is None
        assert "@" not in row["error"].replace("no @", "").replace("its @", "")
    assert last["error"] is None or "Error" in last["error"]  # it was asked for
    assert last["attempts"] >= 1
    assert not {"resolved", "invited"} & {row.get("outcome") for row in bad}
    assert {len(row["error"]) < 300 for row in bad} == {True}


@pytest.mark.slow
def test_a_field_of_50_megabytes_is_not_sent(command: Command, server: Any) -> None:
    limit = csv.field_size_limit()
    text = f"{'x' * 50_000_000}@example.com"
    Path("pairs.csv").write_text(f"source_email,target_email\n{ME.email},{text}\n{ME.email},{ANN.email}\n", "utf-8")
    said = command("check", "pairs.csv", "-o", "out.csv", "--ordered")
    assert said.code == 1
    problem = "line 2: target_email: the e-mail address has 50,000,012 bytes in UTF-8; at most 2,048 are allowed"
    assert said.err.splitlines()[0] == problem
    assert len(said.err) < 300
    assert csv.field_size_limit() == limit, "a setting of the process"
    assert server.app.requests.total == 2  # the proof of the login, and the good pair


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--email", f"\u200b{ANN.email}"], "email: character 1 of the e-mail address is U+200B ZERO WIDTH SPACE"),
        (["--email", f"{ANN.email},{BOB.email}"], "of the e-mail address is U+002C COMMA: name one person at a time"),
        (["--userid", "20000001.0"], "userid ends in .0, as spreadsheets and pandas write whole numbers"),
    ],
)
@pytest.mark.parametrize("words", PEOPLE, ids=lambda words: " ".join(words[:2]))
def test_an_option_that_names_nobody_is_a_usage_error(
    command: Command, server: Any, words: tuple[str, ...], options: list[str], problem: str
) -> None:
    said = command(*words, *options)
    assert (said.code, said.out) == (2, "")
    assert problem in said.err
    assert str(ANN.email) not in said.err
    assert server.app.requests.total == 0


@pytest.mark.parametrize("words", [("accept",), ("remove",)], ids=" ".join)
@pytest.mark.parametrize("text", ["a\u200bb", "c" * 3_000, "a\x08b"], ids=["invisible", "long", "control"])
def test_a_connection_id_that_cannot_be_one_fails_alone(command: Command, words: tuple[str, ...], text: str) -> None:
    Path("ids.csv").write_text(f"connection_id\n{text}\nunknown\n", "utf-8")
    said = command(*words, "ids.csv", "--ordered")
    assert said.code == 1
    assert [row["outcome"] for row in said.rows] == ["unreadable", "rejected"]
    assert re.search(" the connection[_ ]id ", said.rows[0]["error"])


def test_an_invitation_that_cannot_be_named_fails_alone(command: Command) -> None:
    Path("ids.csv").write_text("community_uuid,edit_href\n\u200bx,\nx,/a\x08\n,\n", "utf-8")
    said = command("invitations", "decline", "ids.csv", "--ordered")
    assert said.code == 1
    assert [row["error"].partition(": ")[2].split(" is ")[0] for row in said.rows] == [
        "character 1 of the community_uuid",
        "character 3 of the edit_href",
        "no invitation: community_uuid, edit_href and self_href are empty",
    ]


@pytest.mark.parametrize("dry", [["--dry-run"], []], ids=["dry run", "run"])
def test_a_community_that_cannot_be_named_is_a_usage_error(command: Command, server: Any, dry: list[str]) -> None:
    said = command("community", "invite", "a\u200bb", "--email", ANN.email, "--no-journal", *dry)
    assert (said.code, said.out) == (2, "")
    assert "character 2 of the uuid of the community is U+200B ZERO WIDTH SPACE" in said.err
    assert server.app.requests.total == 0


def test_a_dry_run_refuses_the_same_rows(command: Command) -> None:
    Path("people.csv").write_text(csv_of(["email"], [[text] for text in EMAILS.values()]), "utf-8")
    said = command("profile", "people.csv", "--dry-run")
    assert said.code == 1
    assert [bool(row["url"]) for row in said.rows] == [False] * len(EMAILS)


def test_a_whole_number_of_json_is_an_id_whatever_its_type(command: Command) -> None:
    decimal = next(person for person in DIRECTORY.people if str(person.userid).isdecimal())
    lines = [
        f'{{"userid": {decimal.userid}}}',
        f'{{"userid": {decimal.userid}.0}}',
        f'{{"userid": {decimal.userid}.5}}',
        '{"userid": 9007199254740992.0}',
        '{"userid": 1e300}',
        '{"userid": true}',
        '{"userid": [1]}',
        '{"userid": {"a": 1}}',
        f'{{"userid": "{decimal.userid}.0"}}',
    ]
    Path("people.jsonl").write_text("\n".join(lines), "utf-8")
    said = command("profile", "people.jsonl", "--ordered")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert said.code == 1
    assert [row["outcome"] for row in rows] == ["resolved"] * 2 + ["unreadable"] * 7
    assert [row["found_userid"] for row in rows[:2]] == [str(decimal.userid)] * 2
    lost = "userid is a number whose last digits may be lost; write the id as text"
    assert [row["error"].partition(": ")[2] for row in rows[2:]] == [
        "userid is a number with a fraction; an id is text or a whole number",
        lost,
        lost,
        *["userid is neither text nor a whole number"] * 3,
        f"userid ends in .0, as spreadsheets and pandas write whole numbers; write {decimal.userid}",
    ]


def test_the_headers_of_a_concatenated_file_are_skipped_and_counted(command: Command) -> None:
    one = f"Userid,note\r\n{ANN.userid},x\r\n"
    text = f"{one}\ufeffuserid,Note\r\n{BOB.userid},y\r\n\ufeff{ANN.userid},z\r\nUSERID , note\r\n{BOB.userid},\r\n"
    Path("people.csv").write_bytes(text.encode("utf-8-sig"))
    said = command("profile", "people.csv", "--ordered")
    assert said.code == 0
    assert [row["found_userid"] for row in said.rows] == [str(person.userid) for person in (ANN, BOB, ANN, BOB)]
    assert said.err.endswith("4 resolved; 2 lines repeat the header, from line 3 on\n")
    assert command("profile", "people.csv", "--dry-run").err == (
        "nothing was sent; 2 lines repeat the header, from line 3 on\n"
    )
    Path("people.csv").write_text(one + one, "utf-8")
    assert command("profile", "people.csv").err.endswith("; line 3 repeats the header\n")
