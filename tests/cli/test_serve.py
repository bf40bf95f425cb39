from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest

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


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--people", "5"], "a directory has 10 to 1000000 people, not 5"),
        (["--port", "99999"], "Must be <= 65535"),
        (["--port", "-1"], "Must be >= 0"),
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
