"""Doctor against a zoo of wrong servers: the line that it prints for each, and its exit code; and against good ones."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from examined import DIRECTORY, ME, examined
from plain_server import serving
from screen import Terminal
from virtual_loop import VirtualLoop
from zoo import PLAIN, USERS, Zoo, black_hole, running_zoo

from aioconnections.doctor import sender
from aioconnections.doctor.findings import STEPS
from aioconnections.reference import Fault, app
from aioconnections.reference.server import listening_in_thread

Command = Callable[..., Any]

PAUSE = sender.PAUSE


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Generator[Zoo]:
    with running_zoo(tmp_path_factory.mktemp("zoo")) as zoo:
        yield zoo


@pytest.fixture(autouse=True)
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")
    monkeypatch.setattr(sender, "PAUSE", 0.0)


@pytest.fixture
def virtual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncio.events.new_event_loop", VirtualLoop)


def lines(said: Any) -> dict[str, tuple[str, str]]:
    """Status and text of each step; ports, dates, durations and ids of certificates are replaced."""
    found: dict[str, tuple[str, str]] = {}
    for line in said.out.splitlines():
        status, step, text = line.split(maxsplit=2)
        text = re.sub(r"(localhost|127\.0\.0\.1|\[::1\]):\d+", r"\1:PORT", text)
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "DATE", text)
        text = re.sub(r"[\d.,]+ ms", "TIME", text)
        found[step] = status, re.sub(r" #[\w-]+", " #ID", text)
    assert tuple(found) == STEPS, "each step has one line, in the same order"
    return found


def failures(said: Any) -> dict[str, str]:
    return {step: text for step, (status, text) in lines(said).items() if status == "failed"}


ASK_BROWSER = "or ask the administrator for a URL that needs no login in a browser"
SERVICE = "/profiles/atom/profileService.do"
CHECK_PATH = "check the URL: its path is what precedes /profiles in the address bar of a browser"

# The exit code, the step that fails, and its line.
ZOO: dict[str, tuple[int, str, str]] = {
    "plain": (
        2,
        "profiles",
        (
            "search for Profiles at http://localhost:PORT/profiles: HTTP 404: there is no Profiles service at"
            f" http://localhost:PORT/profiles -> {CHECK_PATH}"
        ),
    ),
    "login redirect": (
        3,
        "login",
        (
            f"GET {SERVICE} with the password of ajones, once: HTTP 302: http://localhost:PORT{SERVICE} redirected to"
            f" sso.example.com, most likely to a login page -> check the login, {ASK_BROWSER}"
        ),
    ),
    "login page": (
        3,
        "login",
        (
            f"GET {SERVICE} with the password of ajones, once: HTTP 200: http://localhost:PORT{SERVICE} returned an"
            f" HTML page, most likely a login page -> check the login, {ASK_BROWSER}"
        ),
    ),
    "negotiate": (
        3,
        "login",
        (
            f"GET {SERVICE} with the password of ajones, once: HTTP 401: the server refused the login -> the server"
            " offers only Negotiate, which this library does not speak; ask the administrator to allow Basic for the"
            " paths below /profiles/atom and /communities/service/atom"
        ),
    ),
    "maintenance": (
        5,
        "http",
        (
            "GET /profiles/serviceconfigs without a login: HTTP 503: Service Unavailable;"
            " http://localhost:PORT/profiles/serviceconfigs returned an HTML page, which does not come from"
            " Connections; Server: nginx -> try again later; the server asks for a pause (Retry-After: 3600)"
        ),
    ),
    "to https": (
        2,
        "profiles",
        (
            "search for Profiles at http://localhost:PORT/profiles: HTTP 301:"
            " http://localhost:PORT/profiles/serviceconfigs redirects to https://connections.example.com -> use"
            " --url https://connections.example.com"
        ),
    ),
    "tls": (
        2,
        "profiles",
        (
            "search for Profiles at https://localhost:PORT/profiles: HTTP 404: there is no Profiles service at"
            f" https://localhost:PORT/profiles -> {CHECK_PATH}"
        ),
    ),
    "outdated": (
        2,
        "tls",
        (
            "TLS handshake with 127.0.0.1:PORT:"
            " the server and this client have no TLS version in common, most likely because the server"
            " accepts only outdated ones; of TLS 1.0 to 1.3, the server accepts TLS 1.0 -> ask the administrator of"
            " the server to enable TLS 1.2 or later"
        ),
    ),
    "expired": (
        2,
        "certificate",
        (
            "verification of the certificate for localhost: the server's certificate has expired; it was valid until"
            " DATE, 28 days ago; the clock of this machine says DATE -> ask the administrator of the server for a"
            " new certificate if the clock is right"
        ),
    ),
    "not yet": (
        2,
        "certificate",
        (
            "verification of the certificate for localhost: the server's certificate is not valid yet; it is valid"
            " from DATE on; the clock of this machine says DATE -> check the clock of this machine, or ask the"
            " administrator of the server for a new certificate"
        ),
    ),
    "other host": (
        2,
        "certificate",
        (
            "verification of the certificate for localhost: the server's certificate is for another host; it is for"
            " old.example.com, www.example.com -> use one of these names in the URL, or ask the administrator of"
            " the server for a certificate for this host"
        ),
    ),
    "unknown CA": (
        2,
        "certificate",
        (
            "verification of the certificate for localhost: the server's certificate is not signed by a trusted CA;"
            " Testing cert #ID is signed by Testing CA #ID; the server sent this certificate alone -> pass the"
            " certificate of the CA as --ca-file; if its root is trusted here, ask the administrator of the server"
            " to send the intermediate certificates"
        ),
    ),
    "client certificate": (
        2,
        "http",
        (
            "GET /profiles/serviceconfigs without a login: the server demands a client certificate -> pass"
            " client_cert= or --client-cert and --client-key"
        ),
    ),
}


@pytest.mark.parametrize("site", ZOO)
def test_each_server_of_the_zoo(command: Command, zoo: Zoo, site: str) -> None:
    code, step, line = ZOO[site]
    zoo.requests()
    said = command(
        "doctor", "--url", zoo.url(site, "http" if site in PLAIN else "https"), "--ca-file", zoo.ca, "--user", "ajones"
    )
    found = failures(said)
    found = {step: re.sub(r"nginx/[\d.]+", "nginx", text) for step, text in found.items()}
    assert (said.code, found) == (code, {step: line})
    users = [user for user, _ in zoo.requests()]
    assert users.count("ajones") == (1 if step == "login" else 0), "the password is sent once, and only where it may"


def test_https_on_an_http_port_and_the_other_way_round(command: Command, zoo: Zoo) -> None:
    zoo.requests()
    said = command("doctor", "--url", zoo.url("plain", "https"), "--user", "ajones")
    problem = "the server does not speak TLS at this port -> check the scheme and port of the URL"
    assert (said.code, failures(said)) == (2, {"tls": f"TLS handshake with 127.0.0.1:PORT: {problem}"})
    said = command("doctor", "--url", zoo.url("tls"), "--user", "ajones")
    problem = "GET /profiles/serviceconfigs without a login: the server speaks https at this port -> use an https URL"
    assert (said.code, failures(said)) == (2, {"http": problem})
    assert "ajones" not in {user for user, _ in zoo.requests()}


@pytest.mark.usefixtures("virtual")
def test_a_black_hole(command: Command) -> None:
    with black_hole() as port:
        said = command("doctor", "--url", f"https://127.0.0.1:{port}", "--user", "ajones")
    advice = "check the host and the port in the URL, and whether a firewall is in the way, or allow more time with"
    problem = f"TCP connection to 127.0.0.1:PORT: the connection was not established in time -> {advice}"
    assert (said.code, failures(said)) == (5, {"tcp": f"{problem} --attempt-timeout"})
    skipped = [text for status, text in lines(said).values() if status == "skipped"]
    assert skipped == ["not tried: no TCP connection was opened"] * 13
    assert said.err == "2 ok, 1 failed, 13 skipped\n"


@pytest.mark.usefixtures("virtual")
def test_a_server_that_is_silent_after_the_connection(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        authority = f"127.0.0.1:{listener.getsockname()[1]}"
        over_tls = command("doctor", "--url", f"https://{authority}", "--user", "ajones")
        over_http = command("doctor", "--url", f"http://{authority}", "--user", "ajones", "--attempt-timeout", 3)
    assert (over_tls.code, over_http.code) == (5, 5)
    assert failures(over_tls)["tls"].startswith(
        "TLS handshake with 127.0.0.1:PORT: the TLS handshake did not end within 10 s -> check"
    )
    assert failures(over_http)["http"] == (
        "GET /profiles/serviceconfigs without a login: no complete response within 3 s -> try again later, or ask the"
        " administrator of the server, or allow more time with --attempt-timeout"
    )


@pytest.mark.usefixtures("virtual")
def test_a_name_server_that_does_not_respond(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60) and [])
    said = command("doctor", "--url", "https://connections.example.com", "--user", "ajones")
    over.set()
    problem = "lookup of connections.example.com: the host name was not resolved within 10 s"
    assert (said.code, failures(said)) == (5, {"name": f"{problem} -> check the name servers of this machine"})


def test_an_unknown_host(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    said = command("doctor", "--url", "https://conections.example.com", "--user", "ajones")
    problem = "lookup of conections.example.com: the host name of the server could not be resolved -> check the host in"
    assert (said.code, failures(said)) == (5, {"name": f"{problem} the URL"})


@pytest.mark.parametrize(
    ("host", "shown"),
    [("localhost", "localhost"), ("localhost.", "localhost."), ("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")],
)
def test_hosts(command: Command, monkeypatch: pytest.MonkeyPatch, host: str, shown: str) -> None:
    """A server that listens at 127.0.0.1 and not at ::1, although the name has both addresses."""

    def addresses(_: str, port: int, *args: object, **__: object) -> list[tuple[Any, ...]]:
        del args
        both = [(socket.AF_INET6, 1, 6, "", ("::1", port, 0, 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]
        return both if shown.startswith("localhost") else both[:1] if ":" in shown else both[1:]

    with listening_in_thread(app(DIRECTORY)) as url:
        port = url.rpartition(":")[2]
        monkeypatch.setattr(socket, "getaddrinfo", addresses)
        said = command("doctor", "--url", f"http://{host}:{port}", "--user", ME.email, "--attempt-timeout", 60)
    found = lines(said)
    assert found["name"][1].startswith(f"lookup of {shown}: ")
    if shown.startswith("localhost"):
        assert found["tcp"] == (
            "warning",
            (
                "TCP connection to [::1]:PORT, 127.0.0.1:PORT: 127.0.0.1:PORT connected in TIME; [::1]:PORT refused the"
                " connection -> if that is intended, do nothing: connections use the other addresses, which takes up to"
                " 0.25 s longer; else let the server listen at every address, or correct the name"
            ),
        )
    assert said.code == (5 if shown == "::1" else 0)
    assert list(failures(said)) == (["tcp"] if shown == "::1" else [])


# --- servers that can be used ---


@pytest.fixture
def good() -> Generator[Callable[..., str]]:
    """Starts a reference server, and returns its URL."""
    with ExitStack() as stack:
        yield lambda **switches: stack.enter_context(listening_in_thread(app(DIRECTORY, **switches)))


@pytest.mark.parametrize("version", ["4.5", "5.0", "6.0"])
@pytest.mark.parametrize("emails", ["exposed", "hidden"])
def test_a_server_of_each_version(command: Command, good: Callable[..., str], version: str, emails: str) -> None:
    checks = examined(command, good(version=version, emails=emails), user=ME.userid)
    assert {check["status"] for check in checks.values()} == {"ok", "skipped"}
    assert checks["profiles"]["details"]["version"] == f"{version}.0.0"
    assert checks["communities"]["found"] == f"found, version {version}.0.0"
    assert checks["emails"]["details"] == {"emails": emails}
    assert ("name people by userid or key" in checks["emails"]["advice"]) is (emails == "hidden")
    assert checks["user"]["details"] == {"name": ME.name, "userid": str(ME.userid), "key": str(ME.key)}
    assert checks["administrator"]["details"] == {"administrator": False, "status": 403}
    assert checks["keep_alive"]["details"] == {"closes": False, "timeout": 10, "max": None}
    assert checks["http"]["details"]["server"] == "IBM_HTTP_Server"
    assert abs(checks["clock"]["details"]["seconds_ahead"]) < 60
    latency, proposed = checks["latency"]["details"], checks["max_connections"]["details"]
    assert latency["requests"] == 20
    assert 0 < latency["p50_ms"] <= latency["p95_ms"]
    assert 2 <= proposed["max_connections"] <= 64
    assert proposed["max_per_second"] <= 100


def test_an_administrator(command: Command, good: Callable[..., str]) -> None:
    checks = examined(command, good(), user="admin")
    assert checks["administrator"]["details"]["administrator"] is True


def test_nothing_is_changed_and_the_login_is_not_sent_before_it_is_needed(command: Command) -> None:
    server = app(DIRECTORY)
    with listening_in_thread(server) as url:
        examined(command, url)
    assert server.commits == []
    assert server.requests.total == 24


def test_a_wrong_password_is_sent_once(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "geheim")
    server = app(DIRECTORY)
    with listening_in_thread(server) as url:
        said = command("doctor", "--url", url, "--user", ME.email)
    assert said.code == 3
    assert failures(said)["login"] == (
        f"GET {SERVICE} with the password of {ME.email}, once: HTTP 401: the server refused the login -> check the user"
        " and the password; if they are right, sign in with a browser: the account may be locked or expired. The login"
        " was sent once and is not repeated, because servers lock accounts"
    )
    assert lines(said)["communities"][0] == lines(said)["emails"][0] == "ok"
    assert server.requests.by_status[401] == 1
    assert "geheim" not in said.out + said.err


def test_a_login_on_a_connection_that_the_server_closes_is_not_repeated(command: Command) -> None:
    server = app(DIRECTORY, faults=[Fault("reset", operation="service document")])
    with listening_in_thread(server) as url:
        said = command("doctor", "--url", url, "--user", ME.email)
    assert said.code == 5
    assert "the connection was lost before the response was complete" in failures(said)["login"]
    assert server.requests.total == 3, "two canaries and the login"


def test_without_a_login(command: Command, good: Callable[..., str]) -> None:
    checks = examined(command, good(), user=None)
    assert [name for name, check in checks.items() if check["status"] == "skipped"] == [
        *("tls", "certificate", "login", "user", "administrator", "latency", "max_connections")
    ]
    assert checks["login"]["found"] == "not tried: neither --user nor a token was given"


@pytest.mark.parametrize(("site", "status"), [("negotiate", 401), ("login redirect", 302), ("login page", 200)])
def test_a_server_that_demands_a_login_and_gets_none(command: Command, zoo: Zoo, site: str, status: int) -> None:
    checks = examined(command, zoo.url(site), user=None, code=3)
    assert checks["profiles"]["found"].startswith(f"HTTP {status}: ")
    assert checks["profiles"]["advice"] == "pass --user, or --token-file"


@pytest.mark.parametrize("token", ["good", "bad"])
def test_tokens(command: Command, good: Callable[..., str], monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_TOKEN", token)
    checks = examined(command, good(auth="oauth", tokens={"good": ME}), user=None, code=0 if token == "good" else 3)
    assert checks["login"]["tried"] == "GET /profiles/oauth/atom/profileService.do with the token, once"
    if token == "bad":
        assert checks["login"]["advice"] == "get a new token, or check --token-paths"


@pytest.mark.parametrize(
    ("context", "path", "better"),
    [("/social", "", "/social"), ("", "/profiles/html/search.do", ""), ("", "/social", ""), ("/a/b", "/a/b/c", "/a/b")],
)
def test_profiles_is_under_another_path(
    command: Command, good: Callable[..., str], context: str, path: str, better: str
) -> None:
    url = good(context=context)
    checks = examined(command, url + path, code=2)
    assert checks["profiles"]["status"] == "failed"
    assert checks["profiles"]["advice"] == f"use --url {url}{better}"
    assert checks["login"]["found"] == "not tried: Profiles was not found, and the login is sent only there"
    assert checks["communities"]["tried"] == f"search for Communities at {url}{better}/communities"
    assert checks["communities"]["status"] == "ok"


def test_a_permanent_redirect_is_followed_without_the_login(command: Command) -> None:
    """The library follows it, so this is a warning; the login is sent to its target directly."""
    server = app(DIRECTORY, context="/social")
    signed_in: list[str] = []

    async def front(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/social/"):
            if b"authorization" in dict(scope.get("headers", ())):
                signed_in.append(scope["path"])
            await server(scope, receive, send)
            return
        assert b"authorization" not in dict(scope["headers"])
        headers = [(b"location", b"/social" + scope["raw_path"]), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 301, "headers": headers})
        await send({"type": "http.response.body"})

    with listening_in_thread(front) as url:  # type: ignore[arg-type] # any ASGI callable will do
        checks = examined(command, url)
    assert checks["profiles"]["status"] == "warning"
    assert checks["profiles"]["advice"] == f"use --url {url}/social, which saves a request each time"
    assert checks["login"]["status"] == "ok"
    assert set(signed_in) == {f"/social{SERVICE}", "/social/profiles/admin/atom/profileService.do"}


class Gate:
    """A front end that lets nothing pass without a login, and with one only what begins with `open_path`."""

    def __init__(self, open_path: str = "/") -> None:
        self.server = app(DIRECTORY)
        self._open_path = open_path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.server(scope, receive, send)
            return
        signed_in = b"authorization" in dict(scope["headers"])
        if signed_in and scope["path"].startswith(self._open_path):
            await self.server(scope, receive, send)
            return
        headers = [(b"content-type", b"text/html"), (b"content-length", b"0")]
        headers += [] if signed_in else [(b"www-authenticate", b'Basic realm="Example"')]
        await send({"type": "http.response.start", "status": 404 if signed_in else 401, "headers": headers})
        await send({"type": "http.response.body"})


def test_a_server_that_shows_nothing_without_a_login(command: Command) -> None:
    with listening_in_thread(Gate()) as url:  # type: ignore[arg-type] # any ASGI callable will do
        checks = examined(command, url)
        assert {check["status"] for check in checks.values()} == {"ok", "skipped"}
        assert checks["http"]["found"].endswith("; it asks for a login (Basic)")
        assert checks["profiles"]["found"] == "found, version 6.0.0.0"
        assert checks["communities"]["found"] == "found, version 6.0.0.0"
        assert checks["emails"]["details"] == {"emails": "exposed"}
        checks = examined(command, url, user="unknown@example.com", code=3)
    assert checks["profiles"]["found"] == "not tried: Profiles shows itself only to an accepted login"
    assert checks["communities"]["found"] == "not tried: Communities shows itself only to an accepted login"
    assert checks["emails"]["status"] == "skipped"


def test_profiles_turns_out_to_be_missing_after_the_login(command: Command) -> None:
    with listening_in_thread(Gate("/nothing")) as url:  # type: ignore[arg-type] # any ASGI callable will do
        checks = examined(command, url, code=2)
    assert checks["profiles"]["found"] == f"HTTP 404: there is no Profiles service at {url}/profiles"
    assert checks["login"]["found"] == f"HTTP 404: there is no Profiles service at {url}/profiles"
    assert checks["latency"]["status"] == "skipped"


def test_an_application_that_is_stopped(command: Command, good: Callable[..., str]) -> None:
    checks = examined(command, good(faults=[Fault("missing", application="profiles")]), code=2)
    assert "the application server reports that the application is stopped" in checks["profiles"]["found"]
    checks = examined(command, good(faults=[Fault("missing", application="communities")]))
    assert checks["communities"]["status"] == "warning"
    assert checks["latency"]["status"] == "ok"


def test_a_failure_while_the_latency_is_measured(command: Command) -> None:
    server = app(DIRECTORY, faults=[Fault("refuse", operation="service document", every=9)])
    with listening_in_thread(server) as url:
        checks = examined(command, url, code=5)
    assert "HTTP 503: Service Unavailable" in checks["latency"]["found"]
    assert checks["latency"]["details"]["requests"] == 7
    assert checks["max_connections"]["found"] == "not tried: the latency is not known"
    assert server.requests.total == 12, "the first failure ends the measurement"


def test_a_certificate_that_expires_soon_is_a_warning(command: Command, zoo: Zoo) -> None:
    said = command("doctor", "--url", zoo.url("soon", "https"), "--ca-file", zoo.ca)
    status, text = lines(said)["certificate"]
    assert status == "warning"
    assert "which is 9 days away by the clock of this machine" in text
    assert text.endswith("-> ask the administrator of the server to replace it within 9 days")


def test_a_client_certificate(command: Command, zoo: Zoo) -> None:
    USERS.issue_cert("ajones@example.com").private_key_and_cert_chain_pem.write_to_path("me.pem")
    options = ["--ca-file", zoo.ca, "--client-cert", "me.pem", "--client-key", "me.pem"]
    said = command("doctor", "--url", zoo.url("client certificate", "https"), *options)
    assert list(failures(said)) == ["profiles"]
    assert lines(said)["tls"] == (
        "ok",
        (
            "TLS handshake with 127.0.0.1:PORT:"
            " TLS 1.3 with TLS_AES_256_GCM_SHA384; of TLS 1.0 to 1.3, the server accepts TLS 1.2 and 1.3"
        ),
    )


# --- speed, proxies ---


@pytest.mark.slow
def test_the_pace(command: Command, good: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "PAUSE", PAUSE)
    url = good()  # before the loops are counted: some versions of uvicorn take theirs from asyncio
    loops: list[VirtualLoop] = []

    def new_loop() -> VirtualLoop:
        loops.append(VirtualLoop())
        return loops[-1]

    monkeypatch.setattr("asyncio.events.new_event_loop", new_loop)
    examined(command, url, "--attempt-timeout", 1_000)
    examined(command, url, "--attempt-timeout", 1_000, "--max-per-second", 0.5)
    fast, slow = (loop.time() for loop in loops)
    assert 23 * PAUSE <= fast < 5
    assert 23 * 2 <= slow < 60


def test_a_proxy_that_is_not_used(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("https_proxy", "http://ajones:geheim@proxy.example.com:3128")
    checks = examined(command, "https://connections.example.com", code=5)
    assert checks["proxy"]["status"] == "warning"
    assert checks["proxy"]["found"] == "https_proxy names a proxy, which is not used"
    assert "--trust-env" in checks["proxy"]["advice"]


def test_a_proxy_that_is_used(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://ajones:geheim@127.0.0.1:1")
    said = command("doctor", "--url", "https://connections.example.com", "--trust-env", "--user", "ajones")
    found = lines(said)
    assert found["proxy"][1].endswith("http://127.0.0.1:PORT, which https_proxy names, is used")
    assert found["tls"] == ("skipped", "not tried: http://127.0.0.1:PORT connects to the server")
    assert said.code == 5
    problem = "the proxy at 127.0.0.1:PORT (https_proxy) refused the connection -> check https_proxy"
    assert failures(said) == {"http": f"GET /profiles/serviceconfigs without a login: {problem}"}
    assert "geheim" not in said.out + said.err
    monkeypatch.setenv("https_proxy", "gopher://127.0.0.1:1")
    said = command("doctor", "--url", "https://connections.example.com", "--trust-env", "--user", "ajones")
    assert (said.code, list(failures(said))) == (2, ["proxy"])


# --- usage, and what a person sees ---


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "the URL is missing; use --url or --profile, or set AIOCONNECTIONS_URL"),
        (["--url", "connections.example.com"], "a URL must look like https://connections.example.com"),
        (["--url", "ftp://connections.example.com"], "a URL must look like https://connections.example.com"),
        (["--url", "https://x.example.com", "--client-cert", "me.pem"], "--client-cert needs --client-key"),
    ],
)
def test_wrong_options(command: Command, words: list[str], problem: str) -> None:
    said = command("doctor", "--user", "ajones", *words)
    assert (said.code, said.out, said.err) == (2, "", f"aioconnections: {problem}\n")


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_screen(zoo: Zoo, columns: int, good: Callable[..., str]) -> None:
    with Terminal(columns) as terminal:
        terminal.start(
            *("doctor", "--url", zoo.url("expired", "https"), "--ca-file", zoo.ca, "--user", "ajones"),
        )
        assert terminal.wait() == 2
        screen = terminal.screen
        assert screen.cuts == [], "no line is wrapped by the terminal"
        told = " ".join(screen.text.split())
        assert "failed certificate verification of the certificate for localhost: the server's certificate" in told
        assert "skipped http, clock, profiles, login, user, communities, emails, administrator, keep_alive" in told
        assert told.count("the certificate was refused") == 1
        assert told.endswith("4 ok, 1 failed, 11 skipped")
        assert {"32", "1;31", "2"} <= set(screen.colours)
        indented = [line for line in screen.lines if line.startswith(" ")]
        assert {len(line) - len(line.lstrip()) for line in indented} == {9, 2 if columns == 40 else 26}
    with Terminal(columns) as terminal:
        terminal.start("doctor", "--url", good(), "--user", ME.email)
        assert terminal.wait() == 0
        assert "14 ok, 2 skipped" in terminal.screen.text


@pytest.mark.slow
def test_ctrl_c(start: Callable[..., Any]) -> None:
    with black_hole() as port:
        process = start("doctor", "--url", f"http://127.0.0.1:{port}", "--user", "ajones", "--attempt-timeout", 600)
        assert process.stdout.readline().startswith("ok       proxy ")
        assert process.stdout.readline().startswith("ok       name ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "aioconnections: interrupted\n")


WITHOUT = "import sys; sys.modules['cryptography'] = None; from aioconnections.__main__ import main; main()"


def test_a_missing_package_is_named_before_anything_is_tried() -> None:
    """Pip adds no new requirement of an extra to an installation that was only updated."""
    command = [sys.executable, "-c", WITHOUT, "doctor", "--url", "https://127.0.0.1:1", "--user", "ajones"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    advice = 'aioconnections: the command line needs more packages; run: pip install "aioconnections[cli]"\n'
    assert (done.returncode, done.stdout, done.stderr) == (1, "", advice)


LOADED = "import sys; from aioconnections.cli import run; run(sys.argv[1:]); print('cryptography' in sys.modules)"


@pytest.mark.parametrize("words", [["doctor", "--help"], ["check", "--dry-run", "pairs.csv"]], ids=" ".join)
def test_other_commands_and_help_do_without_cryptography(words: list[str]) -> None:
    Path("pairs.csv").write_text("source_userid,target_userid\na,b\n", "utf-8")
    done = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_texts_of_the_server_reach_no_terminal_unescaped(command: Command) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.1 404 Not Found\r\nServer: \x9b31m web\r\nContent-Length: 0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with serving(Handler) as authority:
        said = command("doctor", "--url", f"http://{authority}", "--user", "ajones")
        checks = command("doctor", "--url", f"http://{authority}", "--user", "ajones", "--json")
    assert "Server: \\x9b31m web" in said.out
    assert "\x9b" not in said.out
    assert checks.out.isascii()
    assert json.loads(checks.out)["checks"][STEPS.index("http")]["details"]["server"] == "\x9b31m web"
