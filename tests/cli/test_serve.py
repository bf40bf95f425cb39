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


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--people", "5"], "a directory has 10 to 1000000 people, not 5"),
        (["--port", "99999"], "Must be <= 65535"),
        (["--port", "-1"], "Must be >= 0"),
        (["--max-ps", "0"], "Must be >= 1"),
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
