"""Reasons that blame the right thing: what a command says of login pages, front ends, proxies and variables."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import define, field
from plain_server import serving

from aioconnections import Client

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

    with serving(Handler) as told.authority:
        yield told


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


# --- proxies ---

FAR = "https://connections.example.com"
OPEN = "http://connections.example.com"
DIRECT = "list connections.example.com in NO_PROXY if this machine can reach it directly"


@pytest.fixture
def through(command: Callable[..., Any], front: Front, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a command through the proxy `front`, whose login is in the URL."""

    def call(*words: str, url: str, login: str = "proxy.user:pl4nted@") -> Any:
        monkeypatch.setenv("ALL_PROXY", f"http://{login}{front.authority}")
        return command(*words, "--url", url, "--trust-env")

    return call


@COMMANDS
@pytest.mark.parametrize(
    ("status", "code", "problem"),
    [
        (407, 2, "refused its login (HTTP 407); correct the user and password in ALL_PROXY"),
        (
            403,
            2,
            f"does not allow connections to connections.example.com (HTTP 403); ask its administrator, or {DIRECT}",
        ),
        (405, 2, "does not allow connections to connections.example.com (HTTP 405)"),
        (502, 5, "could not reach connections.example.com (HTTP 502); check the host in the URL, or list"),
        (503, 5, "could not reach connections.example.com (HTTP 503); check the host in the URL, or list"),
    ],
)
def test_a_proxy_that_refuses_connect_is_named(
    through: Callable[..., Any], front: Front, words: tuple[str, ...], status: int, code: int, problem: str
) -> None:
    front.status = status
    said = through(*words, url=FAR)
    assert said.code == code
    assert f"the proxy at {front.authority} (ALL_PROXY) {problem}" in reason(said)
    assert front.asked == ["CONNECT connections.example.com:443 HTTP/1.1"]


def test_a_proxy_that_asks_for_a_login_of_which_there_is_none(through: Callable[..., Any], front: Front) -> None:
    front.status = 407
    said = through("check", "pairs.csv", url=FAR, login="")
    assert said.code == 2
    assert (
        f"the proxy at {front.authority} (ALL_PROXY) asks for a login (HTTP 407); put one into ALL_PROXY: "
        "http://user:password@host:port"
    ) in reason(said)


@COMMANDS
@pytest.mark.parametrize(
    ("status", "code", "problem"),
    [
        (407, 2, " refused its login (HTTP 407)"),
        (403, 2, ", or a server behind it, responded HTTP 403 with a page that does not come from Connections; check"),
        (502, 5, ", or a server behind it, responded HTTP 502 with a page that does not come from Connections; check"),
        (504, 5, ", or a server behind it, responded HTTP 504 with a page that does not come from Connections; check"),
    ],
)
def test_a_proxy_that_refuses_a_request_in_absolute_form_is_named(
    through: Callable[..., Any], front: Front, words: tuple[str, ...], status: int, code: int, problem: str
) -> None:
    front.status = status
    said = through(*words, url=OPEN)
    assert said.code == code
    assert f"the proxy at {front.authority} (ALL_PROXY){problem}" in reason(said)
    assert front.asked == [f"GET {OPEN}{ASKED} HTTP/1.1"]


@COMMANDS
@pytest.mark.parametrize("url", [FAR, OPEN])
@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("127.0.0.1:{}", "the proxy at 127.0.0.1:{} (ALL_PROXY) refused the connection; check ALL_PROXY"),
        (
            "no-such-host.example:{}",
            "the host name of the proxy at no-such-host.example:{} (ALL_PROXY) could not be resolved; check ALL_PROXY",
        ),
    ],
    ids=["refused", "unknown"],
)
def test_a_proxy_that_is_not_there_is_named(
    command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    url: str,
    *,
    host: str,
    problem: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    resolve = socket.getaddrinfo

    def known(name: Any, *more: Any, **options: Any) -> Any:
        if "no-such-host" in str(name):
            raise socket.gaierror(socket.EAI_NONAME, "quotes what was asked")
        return resolve(name, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    monkeypatch.setenv("ALL_PROXY", f"http://proxy.user:pl4nted@{host.format(port)}")
    said = command(*words, "--url", url, "--trust-env")
    assert said.code == 5
    assert problem.format(port) in reason(said)


@COMMANDS
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("socks4://proxy.user:pl4nted@proxy.example:1080", "names a proxy of the unsupported scheme 'socks4'; use"),
        ("http://proxy.user:pl4nted@proxy.example:port", "is not the URL of a proxy, such as http://"),
    ],
)
def test_a_proxy_url_that_cannot_be_used_is_named_by_its_variable(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], value: str, problem: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    said = command(*words, "--url", FAR, "--trust-env")
    assert (said.code, said.out) == (2, "")
    assert reason(said).startswith(f"aioconnections: HTTPS_PROXY {problem}")


def test_a_proxy_url_without_scheme_is_used_and_no_proxy_excepts_from_it(
    command: Callable[..., Any], signed_in: Any, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.status = 407
    monkeypatch.setenv("http_proxy", front.authority)
    assert command("check", "pairs.csv", "--url", OPEN, "--trust-env").code == 2
    assert front.asked == [f"GET {OPEN}{ASKED} HTTP/1.1"]
    # The proxy variables that httpx itself would read are no reason to ask the proxy for this machine.
    for name in ("USER", "PASSWORD"):
        monkeypatch.delenv(f"AIOCONNECTIONS_{name}")
    assert command("profile", "--userid", "x", "--url", signed_in.url, "--trust-env").code == 3
    assert signed_in.app.requests.total > 0
    assert len(front.asked) == 1


@pytest.mark.parametrize(
    ("no_proxy", "url", "warned"),
    [
        ("", "https://10.1.2.3:1", True),
        ("10.0.0.0/8", "https://10.1.2.3:1", False),
        ("[fd00::1]:1", "https://[fd00::1]:1", False),
        ("*.example.com", FAR, False),
        ("example.com:8443", FAR, True),
    ],
)
def test_a_proxy_variable_is_warned_of_only_where_it_would_apply(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str, *, warned: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.user:pl4nted@proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Client(url)
    told = [str(warning.message) for warning in caught if "proxy" in str(warning.message)]
    assert (
        told == ["HTTPS_PROXY names a proxy, which is not used; pass trust_env=True (--trust-env) to use it"] * warned
    )


# --- variables ---


@COMMANDS
@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize("set_", [False, True], ids=["unset", "empty"])
@pytest.mark.parametrize(
    ("name", "code", "problem"),
    [
        ("URL", 2, "aioconnections: the URL is missing; use --url or --profile, or set AIOCONNECTIONS_URL"),
        ("USER", 3, "aioconnections: warning: without --user or a token, requests are sent without a login"),
        (
            "PASSWORD",
            2,
            'aioconnections: the password is missing; use --password-file or "aioconnections login"',
        ),
        ("TOKEN", 3, "HTTP 401: the server refused the login"),
    ],
)
def test_an_empty_aioconnections_user_is_as_good_as_none(
    command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    *,
    set_: bool,
    name: str,
    code: int,
    problem: str,
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "wrong")
    monkeypatch.delenv(f"AIOCONNECTIONS_{name}", raising=False)
    if set_:
        monkeypatch.setenv(f"AIOCONNECTIONS_{name}", "")
    said = command(*words)
    assert said.code == code
    assert problem in said.err
