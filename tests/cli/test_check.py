from __future__ import annotations

import csv
import json
import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from plain_server import serving

ADDED = ["status", "http_status", "attempts", "elapsed_ms", "error"]
Command = Callable[..., Any]
PairsFile = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("signed_in")


@pytest.fixture
def elsewhere() -> Generator[Callable[..., str]]:
    """Starts servers that are no Profiles: the same answer to everything."""

    def start(status: int, media_type: str = "text/html") -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"hi")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # as in the base class
                pass

        return "http://" + servers.enter_context(serving(Handler))

    with ExitStack() as servers:
        yield start


@pytest.mark.parametrize("ordered", [False, True])
def test_every_row_gets_the_status_that_the_directory_knows(
    command: Command, pairs_file: PairsFile, *, ordered: bool
) -> None:
    said = command("check", pairs_file(count=60), "--max-per-second", 0, *["--ordered"] * ordered)
    assert said.code == 0
    assert list(said.rows[0]) == ["source_email", "target_email", "truth", *ADDED]
    assert len(said.rows) == 60
    assert {row["status"] for row in said.rows} == {"accepted", "pending", "unconfirmed", "none"}
    for row in said.rows:
        assert row["status"] == row["truth"]
        assert row["http_status"] == ("404" if row["truth"] == "none" else "200")
        assert row["attempts"] == "1"
        assert float(row["elapsed_ms"]) > 0
        assert not row["error"]
    assert said.err.startswith("60 checked in ")
    assert said.err.endswith("/s): 10 accepted, 10 pending, 10 unconfirmed, 30 none\n")


def test_ordered_keeps_the_order_of_the_input(command: Command, pairs_file: PairsFile) -> None:
    path = pairs_file(count=60)
    said = command("check", path, "--max-per-second", 0, "--ordered", "-o", "result.csv")
    assert (said.code, said.out) == (0, "")
    before, after = (Path(name).read_text("utf-8").splitlines() for name in (path, "result.csv"))
    assert [line.startswith(old) for old, line in zip(before, after, strict=True)] == [True] * 61


def test_the_result_has_the_format_of_the_input(command: Command, pairs_file: PairsFile) -> None:
    told = command("check", pairs_file(count=4), "--format", "jsonl", "--ordered")
    first = json.loads(told.out.splitlines()[0])
    assert (first["status"], first["http_status"], first["error"]) == (first["truth"], 200, None)
    again = command("check", pairs_file(told.out, name="pairs.jsonl"), "--ordered")
    assert again.code == 0
    assert [json.loads(line)["status"] for line in again.out.splitlines()] == [
        json.loads(line)["truth"] for line in told.out.splitlines()
    ]
    refused = command("check", pairs_file(told.out, name="pairs.jsonl"), "--format", "csv")
    assert (refused.code, refused.out) == (2, "")
    assert "JSON lines have no common columns" in refused.err


def test_columns_with_the_names_of_ours_are_replaced(command: Command, pairs_file: PairsFile) -> None:
    text = pairs_file(count=1).read_text("utf-8").replace("truth", "status")
    said = command("check", pairs_file(text.replace("accepted", "old")))
    assert list(said.rows[0]) == ["source_email", "target_email", *ADDED]
    assert said.rows[0]["status"] == "accepted"
    warning = "aioconnections: warning: the result has no column status of the input, but its own; rename it to keep it"
    assert said.err.splitlines()[0] == warning
    path = pairs_file(text.replace("status", "status,note,error").replace("accepted", "old,x,none"))
    said = command("check", path)
    assert "has no columns status and error of the input, but its own; rename them to keep them\n" in said.err
    assert list(said.rows[0]) == ["source_email", "target_email", "note", *ADDED]
    assert "warning" not in command("check", pairs_file(said.out)).err, "an earlier result"


def test_rows_that_cannot_be_read_are_named_and_stop_nothing(command: Command, pairs_file: PairsFile) -> None:
    good = pairs_file(count=1).read_text("utf-8")
    said = command("check", pairs_file(f'{good},b@x,\n{good.splitlines()[1]}\n"a,b,c\n', name="bad.csv"), "--ordered")
    assert said.code == 1
    assert [row["error"] for row in said.rows] == [
        "",
        "line 3: no source: source_userid, source_key and source_email are empty",
        "",
        "line 5: not valid CSV; check its quotes",
    ]
    assert said.rows[1]["target_email"] == "b@x"
    *lines, summary = said.err.splitlines()
    assert lines == [
        "line 3: no source: source_userid, source_key and source_email are empty",
        "line 5: not valid CSV; check its quotes",
    ]
    assert summary.startswith("2 checked in ")
    assert summary.endswith("; 2 unreadable")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["csv", "json"])
def test_bytes_that_are_no_utf8_are_replaced(command: Command, pairs_file: PairsFile, options: list[str]) -> None:
    text = pairs_file(count=1).read_bytes().replace(b"accepted", b"J\xf6rg")
    said = command("check", pairs_file(text), "-o", "result", *options)
    assert said.code == 0
    assert said.err.startswith("line 2 contains bytes that are not UTF-8; in the result each becomes \ufffd\n")
    result = Path("result").read_text("utf-8")
    row = json.loads(result) if options else dict(zip(*csv.reader(result.splitlines()), strict=True))
    assert row["truth"] == "J\ufffdrg"


def test_what_the_server_rejects_is_one_row_among_others(command: Command, pairs_file: PairsFile) -> None:
    said = command("check", pairs_file("source,target\nnobody,ñöbody\n"), "--id-type", "userid")
    assert said.code == 1
    assert said.rows[0] | {"elapsed_ms": "?"} == {
        "source": "nobody",
        "target": "ñöbody",
        "status": "",
        "http_status": "400",
        "attempts": "1",
        "elapsed_ms": "?",
        "error": "BadRequestError: HTTP 400: the server found the request invalid, for example because it does not "
        "know a person in it",
    }
    assert "s; 1 rejected\n  1 rejected: BadRequestError: HTTP 400: " in said.err


def test_a_header_alone_is_a_short_run(command: Command, pairs_file: PairsFile) -> None:
    said = command("check", pairs_file("source_email,target_email\n"))
    assert (said.code, said.rows) == (0, [])
    assert said.err.startswith("0 checked in ")


def test_a_wrong_password_costs_one_401_and_every_row_is_still_written(
    command: Command, pairs_file: PairsFile, signed_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "gehe1m")
    said = command("check", pairs_file(count=200), "--max-per-second", 0)
    assert said.code == 3
    assert signed_in.app.requests.by_status == {401: 1}
    assert [row["error"] for row in said.rows] == ["unprocessed: HTTP 401: the server refused the login"] * 200
    assert said.err.splitlines()[0].endswith("s; 200 unprocessed")
    assert said.err.splitlines()[1:] == ["aioconnections: stopped: HTTP 401: the server refused the login"]
    assert "gehe1m" not in said.out + said.err


@pytest.mark.parametrize("piped", [False, True])
def test_a_login_that_goes_bad_ends_the_run_and_every_row_is_still_written(
    command: Command, pairs_file: PairsFile, signed_in: Any, monkeypatch: pytest.MonkeyPatch, *, piped: bool
) -> None:
    monkeypatch.setattr("aioconnections.files.source.stat.S_ISREG", lambda _: not piped)
    signed_in.refuses_after = 100
    text = pairs_file(count=300).read_text("utf-8") + ",b@x,\n"
    said = command("check", pairs_file(text), "--max-per-second", 0)
    assert said.code == 3
    assert len(said.rows) == 301
    assert said.rows[-1]["error"] == "line 302: no source: source_userid, source_key and source_email are empty"
    assert sum(row["status"] != "" for row in said.rows) == 99
    assert said.rows[-2]["error"].startswith("unprocessed: HTTP 401")
    assert said.err.splitlines()[-1] == "aioconnections: stopped: HTTP 401: the server refused the login"


def test_a_server_that_is_not_there(command: Command, pairs_file: PairsFile) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    said = command("check", pairs_file(), "--url", url)
    assert said.code == 5
    assert said.err.splitlines()[1:] == [
        f"aioconnections: stopped: {url} is not available: the server refused the connection"
    ]
    assert len(said.rows) == 20


@pytest.mark.parametrize(
    ("status", "media_type", "code", "message"),
    [
        (404, "text/html", 2, "there is no Profiles service at "),
        (
            200,
            "text/plain",
            2,
            "/profiles/atom/profileService.do does not come from the Profiles service: check the URL",
        ),
        (
            200,
            "text/html",
            3,
            "/profiles/atom/profileService.do returned an HTML page, most likely a login page; check",
        ),
        (403, "text/html", 1, "HTTP 403: Forbidden; http://127.0.0.1:"),
        (503, "text/html", 5, "is not available: HTTP 503"),
    ],
)
def test_a_server_that_is_not_profiles(
    command: Command,
    pairs_file: PairsFile,
    elsewhere: Callable[..., str],
    *,
    status: int,
    media_type: str,
    code: int,
    message: str,
) -> None:
    said = command("check", pairs_file(), "--url", elsewhere(status, media_type))
    assert said.code == code
    assert message in said.err.splitlines()[-1]
    assert len(said.rows) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv"], "aioconnections: missing.csv: No such file or directory"),
        (["."], "aioconnections: .: Is a directory"),
        (
            ["pairs.csv", "-o", "pairs.csv"],
            "aioconnections: the result cannot be written over its own input; choose another file",
        ),
        (["pairs.csv", "-o", "no/such.csv"], "aioconnections: no/such.csv: No such file or directory"),
        (["pairs.csv", "-o", "."], "aioconnections: .: Is a directory"),
        (["pairs.csv", "--format", "xml"], 'Invalid value "xml" for --format'),
        (["pairs.csv", "--id-type", "name"], 'Invalid value "name" for --id-type'),
        (["pairs.csv", "--oredered"], "Did you mean --ordered?"),
        (["pairs.csv", "--url", "connections.example.com"], "a URL must look like https://connections.example.com"),
        (["pairs.csv", "--url", "https://me:gehe1m@example.com"], "a URL must not contain a user, a password"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_and_nothing_is_sent(
    command: Command, pairs_file: PairsFile, signed_in: Any, *, arguments: list[str], message: str
) -> None:
    before = pairs_file().read_bytes()
    said = command("check", *arguments)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert "gehe1m" not in said.err
    assert signed_in.app.requests.total == 0
    assert Path("pairs.csv").read_bytes() == before


def test_without_a_login_the_first_answer_ends_the_run(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIOCONNECTIONS_USER")
    said = command("check", pairs_file(), "--max-per-second", 0)
    assert said.code == 3
    assert len(said.rows) == 20
    assert "without --user or a token, requests are sent without a login" in said.err
    assert {row["error"] for row in said.rows} == {
        "AuthenticationError: HTTP 401: the server refused the login",
        "unprocessed: HTTP 401: the server refused the login",
    }
