"""Doctor and servers that respond in odd ways: where it sends the login, and what it says of them."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from examined import DIRECTORY, examined
from plain_server import serving

from aioconnections.cli import run
from aioconnections.doctor import sender
from aioconnections.reference import app
from aioconnections.reference.server import listening_in_thread

Command = Callable[..., Any]

SERVICE = "/profiles/atom/profileService.do"
CONFIGS = b'<feed xmlns="http://www.w3.org/2005/Atom"><generator version="6.0.0.0">IBM Connections</generator></feed>'
SERVICE_DOCUMENT = (
    b'<service xmlns="http://www.w3.org/2007/app" xmlns:atom="http://www.w3.org/2005/Atom"'
    b' xmlns:snx="http://www.ibm.com/xmlns/prod/sn"><workspace><atom:title>Ann Jones</atom:title><collection'
    b' href="https://connections.example.com/profiles/atom/profile.do?userid=20000001"><accept/>'
    b"<snx:userid>20000001</snx:userid></collection></workspace></service>"
)


@pytest.fixture(autouse=True)
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
    monkeypatch.setattr(sender, "PAUSE", 0.0)


@pytest.mark.parametrize(
    ("status", "target", "better"),
    [(302, "/social/profiles/serviceconfigs", "/social"), (301, "/app?page=/profiles/serviceconfigs", None)],
)
def test_redirects_to_which_the_login_is_not_sent(
    command: Command, status: int, target: str, better: str | None
) -> None:
    signed_in: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers["Authorization"]:
                signed_in.append(self.path)
            found = self.path == target
            self.send_response(200 if found else status)
            self.send_header("Location", target)
            self.send_header("Content-Type", "application/atom+xml")
            self.end_headers()
            self.wfile.write(CONFIGS if found else b"")

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with serving(Handler) as authority:
        checks = examined(command, f"http://{authority}", code=2 if better else 3)
    if better:
        assert checks["profiles"]["advice"] == f"use --url http://{authority}{better}"
    assert signed_in == ([] if better else [SERVICE])


def test_communities_that_does_not_accept_the_login_and_a_login_that_is_refused_later(command: Command) -> None:
    signed_in: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_service = self.path == SERVICE
            signed_in.extend([self.path] * ("Authorization" in self.headers))
            is_open = self.path == "/profiles/serviceconfigs" or (is_service and signed_in.count(SERVICE) < 4)
            self.send_response(200 if is_open else 401)
            self.send_header("Content-Type", "application/atomsvc+xml" if is_service else "application/atom+xml")
            self.end_headers()
            self.wfile.write(b"" if not is_open else SERVICE_DOCUMENT if is_service else CONFIGS)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with serving(Handler) as authority:
        checks = examined(command, f"http://{authority}", code=3)
    assert checks["communities"]["status"] == "warning"
    assert checks["communities"]["found"] == ("HTTP 401: Communities does not accept the login that Profiles accepted")
    assert checks["latency"]["status"] == "failed"
    assert checks["latency"]["details"]["requests"] == 2
    assert checks["latency"]["advice"].startswith("ask the administrator of the server why it refuses a login")
    assert signed_in.count(SERVICE) == 4, "the first refusal ends the measurement"


def test_a_server_that_keeps_no_connection_and_does_not_say_so(command: Command) -> None:
    """HTTP/1.0, in which the connection ends with the response."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_service = self.path.endswith("profileService.do")
            self.send_response(200)
            self.send_header("Content-Type", "application/atomsvc+xml" if is_service else "application/atom+xml")
            self.end_headers()
            self.wfile.write(SERVICE_DOCUMENT if is_service else CONFIGS)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with serving(Handler) as authority:
        checks = examined(command, f"http://{authority}")
    assert checks["keep_alive"]["status"] == "warning"
    assert checks["keep_alive"]["found"] == (
        "the server closes connections without saying so: 20 requests needed 20 new ones"
    )


def test_a_login_through_a_proxy_that_garbles_the_response_is_not_repeated(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.headers["Authorization"]:
                signed_in.append(self.path)
                self.wfile.write(b"HTTP/1.1 two hundred\r\n\r\n")
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/atom+xml")
            self.send_header("Content-Length", str(len(CONFIGS)))
            self.end_headers()
            self.wfile.write(CONFIGS)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with serving(Handler) as authority:
        monkeypatch.setenv("http_proxy", f"http://{authority}")
        checks = examined(command, "http://connections.example.com", "--trust-env", code=5)
    assert checks["login"]["status"] == "failed"
    assert signed_in == [f"http://connections.example.com{SERVICE}"]


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_name_that_the_output_cannot_encode(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """As when the output is redirected on a machine with another code page."""
    person = next(person for person in DIRECTORY.people if person.name and not person.name.isascii())
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="ascii"))
    with listening_in_thread(app(DIRECTORY)) as url:
        assert run(["doctor", "--url", url, "--user", str(person.userid), *words]) == 0
    name = str(person.name)
    shown = json.dumps(name).encode() if words else name.encode("ascii", "backslashreplace")
    assert shown in output.getvalue()
