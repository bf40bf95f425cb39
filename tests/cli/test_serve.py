from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from aioconnections.reference import Directory

Start = Callable[..., "subprocess.Popen[str]"]
SN = "http://www.ibm.com/xmlns/prod/sn"
INVITATION = (
    f'<entry xmlns="http://www.w3.org/2005/Atom"><category term="connection" scheme="{SN}/type"/>'
    f'<category term="colleague" scheme="{SN}/connection/type"/><category term="pending" scheme="{SN}/status"/></entry>'
)


def test_it_says_where_it_listens_and_ends_with_sigterm(start: Start) -> None:
    server = start("serve", "--people", 20)
    assert server.stdout is not None
    url = server.stdout.readline().removeprefix("listening on ").strip()
    path = f"{url}/profiles/atom/profileService.do"
    assert httpx.get(path, auth=("admin", "secret"), trust_env=False).status_code == 200
    assert httpx.get(path, trust_env=False).status_code == 401
    server.terminate()
    assert server.communicate(timeout=20) == ("", "")
    assert server.returncode == 0


def test_its_switches_are_those_of_the_reference_server(start: Start, tmp_path: Path) -> None:
    switches = {
        "imitate": "4.5",
        "emails": "hidden",
        "auth": "form",
        "max-ps": 2,
        "invitation-delete": 204,
        "invite-201-body": "entry",
        "commit-log": tmp_path / "commits.jsonl",
    }
    options = [text for name, value in switches.items() for text in (f"--{name}", value)]
    server = start("serve", "--people", 20, "--anonymous-read", *options)
    assert server.stdout is not None
    url = server.stdout.readline().removeprefix("listening on ").strip()
    ann, *_ = Directory.generate(people=20, seed=1).people
    with httpx.Client(base_url=url, trust_env=False) as web:
        feed = web.get(
            "/profiles/atom/connections.do",
            params={"connectionType": "colleague", "userid": str(ann.userid), "ps": "250"},
        )
        assert (feed.status_code, feed.text.count("<entry")) == (200, 2)
        assert str(ann.email) not in feed.text
        assert web.get("/profiles/atom/profileService.do").status_code == 302
        hidden = web.get("/profiles/atom/profile.do", params={"email": str(ann.email)})
        assert hidden.status_code == 400
    assert (tmp_path / "commits.jsonl").exists()


def test_it_stands_in_for_a_gateway_and_for_other_front_ends(start: Start, tmp_path: Path) -> None:
    directory = Directory.generate(people=20, seed=1)
    ann = directory.people[0]
    cid = next(person for person in directory.people[1:] if directory.status(ann, person) is None)
    (tmp_path / "tokens.csv").write_text(f"token,email\nof-ann,{ann.email}\n", encoding="utf-8")
    switches = {
        "auth": "oauth",
        "tokens": tmp_path / "tokens.csv",
        "token-paths": "ordinary",
        "context": "/ctx",
        "link-base": "https://inner.example.com:9443",
        "front-end-status": 200,
    }
    options = [text for name, value in switches.items() for text in (f"--{name}", value)]
    server = start("serve", "--people", 20, "--no-require-connection-type", "--front-end-pages", *options)
    assert server.stdout is not None
    url = server.stdout.readline().removeprefix("listening on ").strip()
    with httpx.Client(base_url=f"{url}/ctx", trust_env=False, headers={"Authorization": "Bearer of-ann"}) as web:
        own = web.get("/profiles/atom/profileService.do")
        assert "https://inner.example.com:9443/profiles/atom/connections.do" in own.text
        page = web.get("/profiles/atom/connection.do", params={"connectionId": "x"})
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html;charset=UTF-8")
        made = web.post("/profiles/atom/connections.do", params={"key": str(cid.key)}, content=INVITATION)
        assert (made.status_code, made.text) == (201, "")  # without connectionType
        assert httpx.get(f"{url}/profiles/serviceconfigs", trust_env=False).status_code == 404


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--context", "social", "context must be empty or a path such as /social, got 'social'"),
        ("--link-base", "inner", "link_base must be a URL such as https://inner.example.com:9443, got 'inner'"),
        ("--front-end-status", "200", "front_end_status requires front_end_pages=True"),
    ],
)
def test_it_refuses_switches_that_make_no_server(
    command: Callable[..., Any], option: str, value: str, problem: str
) -> None:
    said = command("serve", "--people", 20, option, value)
    assert (said.code, problem in said.err) == (2, True)


def test_it_takes_tokens_instead_of_passwords(start: Start, tmp_path: Path) -> None:
    ann, bob, *_ = Directory.generate(people=20, seed=1).people
    (tmp_path / "tokens.csv").write_text(f"token,email\nof-ann,{ann.email}\nof-bob,{bob.email}\n", encoding="utf-8")
    options = ("--page-default", 3, "--no-cache-headers", "--no-rootless-profile-entry")
    server = start("serve", "--people", 20, "--auth", "oauth", "--tokens", tmp_path / "tokens.csv", *options)
    assert server.stdout is not None
    url = server.stdout.readline().removeprefix("listening on ").strip()
    with httpx.Client(base_url=url, trust_env=False, headers={"Authorization": "Bearer of-bob"}) as web:
        own = web.get("/profiles/oauth/atom/profileService.do")
        assert (own.status_code, str(bob.userid) in own.text) == (200, True)
        assert web.get("/profiles/atom/profileService.do", auth=("admin", "secret")).status_code == 401
        found = web.get("/profiles/oauth/atom/search.do", params={"name": "*"})
        assert (found.text.count("<entry"), "cache-control" in found.headers) == (3, False)
        assert web.get("/profiles/oauth/atom/profileEntry.do", params={"userid": "nobody"}).status_code == 404


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "token,email\nt,nobody@example.com\n",
            "a token must be in the directory, got nobody@example.com",
        ),
        ("token,email\nt\n", "line 2: no person: userid, key and email are empty"),
        ("email\na@example.com\n", "line 2: the token is empty"),
        ("token\nt\n", "the input has no column for the person"),
    ],
)
def test_a_file_of_tokens_that_is_none(command: Callable[..., Any], content: str, problem: str) -> None:
    Path("tokens.csv").write_text(content, encoding="utf-8")
    said = command("serve", "--people", "20", "--auth", "oauth", "--tokens", "tokens.csv")
    assert (said.code, said.out) == (2, "")
    assert problem in said.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--people", "5"], "people must be from 10 to 1,000,000, got 5"),
        (["--port", "99999"], "it must be a port number, 0 to 65535; got '99999'."),
        (["--port", "-1"], "it must be a port number, 0 to 65535; got '-1'."),
        (["--max-ps", "0"], "it must be a whole number, at least 1; got '0'."),
        (["--auth", "oauth"], "aioconnections: --auth oauth and --tokens must be used together"),
        (["--tokens", "x"], "aioconnections: --auth oauth and --tokens must be used together"),
        (["--auth", "oauth", "--tokens", "x"], "aioconnections: x: No such file or directory"),
        (["--commit-log", "missing/log"], "aioconnections: missing/log: No such file or directory"),
        (["--commit-log", "."], "aioconnections: .: Is a directory"),
        (["--imitate", "3.0"], 'Invalid value "3.0" for --imitate'),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(
    command: Callable[..., Any], arguments: list[str], problem: str
) -> None:
    said = command("serve", *arguments)
    assert (said.code, said.out) == (2, "")
    assert problem in said.err


def test_a_port_that_is_taken_is_named(command: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = command("serve", "--port", port)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"aioconnections: port {port}: Address already in use")
