"""Reasons that blame the right thing: what a command says of login pages, front ends, proxies and variables."""

from __future__ import annotations

from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from attrs import define, field

PAIRS = "source_email,target_email\namy.jones@example.com,bob.smith@example.com\n"
ASKED = "/profiles/atom/profileService.do"
SSO = "https://amy:hidden@sso.example.com/login?user=amy.jones%40example.com"
COMMANDS = pytest.mark.parametrize(
    "words",
    [("check", "pairs.csv"), ("profile", "--email", "amy.jones@example.com"), ("invitations", "list")],
    ids=lambda words: words[0],
)


@define
class Front:
    """A server that gives one answer to everything, and records the request lines."""

    status: int = 200
    fields: dict[str, str] = field(factory=dict)
    body: bytes = b"<html><title>Sign in</title></html>"
    asked: list[str] = field(factory=list)
    authority: str = ""

    @property
    def url(self) -> str:
        return f"http://{self.authority}"

    @property
    def lines(self) -> list[str]:
        """The requests besides the public document that shows whether the application is there."""
        return [line for line in self.asked if "serviceconfigs" not in line]


@pytest.fixture
def front() -> Generator[Front]:
    told = Front()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        front: ClassVar[Front] = told

        def answer(self) -> None:
            self.front.asked.append(self.requestline)
            self.send_response(self.front.status)
            for name, value in {"Content-Type": "text/html;charset=UTF-8", **self.front.fields}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(self.front.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(self.front.body)
            self.close_connection = self.command == "CONNECT"

        do_GET = do_HEAD = do_POST = do_CONNECT = answer  # noqa: N815 # the names that http.server looks up

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # as in the base class
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.authority = f"127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield told
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture(autouse=True)
def _login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_USER", "amy.jones")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "pl4nted")
    Path("pairs.csv").write_text(PAIRS, encoding="utf-8")


def reason(said: Any) -> str:
    """The line that says why the command ended; nothing else is said but progress, and no secret or address."""
    for text in ("amy.jones@", "amy.jones%40", "hidden", "pl4nted", "Traceback"):
        assert text not in said.err
    (line,) = [line for line in said.err.splitlines() if line.startswith("aioconnections: ") and "warning" not in line]
    return str(line)


# --- login pages and pages of front ends ---


@COMMANDS
@pytest.mark.parametrize("status", [302, 303, 307])
def test_302_to_a_login_names_the_url_that_was_asked_and_the_host_of_the_location(
    command: Callable[..., Any], front: Front, words: tuple[str, ...], status: int
) -> None:
    front.status, front.fields = status, {"Location": SSO}
    said = command(*words, "--url", front.url)
    assert said.code == 3
    assert f"HTTP {status}: {front.url}{ASKED} redirected to sso.example.com, most likely to a login page" in reason(
        said
    )
    assert len(front.lines) == 1


def test_302_to_another_host_with_the_same_path_is_a_wrong_url(command: Callable[..., Any], front: Front) -> None:
    front.status, front.fields = 302, {"Location": f"https://connections.example.com{ASKED}"}
    said = command("check", "pairs.csv", "--url", front.url)
    assert said.code == 2
    assert f"{front.url}{ASKED} redirects to https://connections.example.com: check the URL" in reason(said)
    assert len(front.lines) == 1


@COMMANDS
def test_html_in_place_of_a_document_names_the_url_that_was_asked(
    command: Callable[..., Any], front: Front, words: tuple[str, ...]
) -> None:
    said = command(*words, "--url", front.url)
    assert said.code == 3
    assert f"HTTP 200: {front.url}{ASKED} returned an HTML page, most likely a login page" in reason(said)
    assert len(front.lines) == 1


def test_html_of_a_front_end_that_refuses_is_not_the_word_of_connections(
    command: Callable[..., Any], front: Front
) -> None:
    front.status = 403
    said = command("check", "pairs.csv", "--url", front.url)
    assert said.code == 1
    assert (
        f"HTTP 403: Forbidden; {front.url}{ASKED} returned an HTML page, which does not come from Connections"
        in reason(said)
    )
