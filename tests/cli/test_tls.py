"""A server with which no connection can succeed ends a command at once, with exit code 2 and one line of advice."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from transport.tls import CA, server_context

from aioconnections.cli.server import ServerOptions
from aioconnections.errors import InvalidInputError

Command = Callable[..., Any]

USERS = trustme.CA()
PAIRS = "source_email,target_email\n" + "".join(f"a{n}@example.com,b{n}@example.com\n" for n in range(1000))
HTTPS = "the server speaks https at this port; use an https URL"
NGINX = """<html>\r
<head><title>400 {0}</title></head>\r
<body>\r
<center><h1>400 Bad Request</h1></center>\r
<center>{0}</center>\r
<hr><center>nginx/1.24.0</center>\r
</body>\r
</html>\r
"""
APACHE = """<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">
<html><head>
<title>400 Bad Request</title>
</head><body>
<h1>Bad Request</h1>
<p>Your browser sent a request that this server could not understand.<br />
Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />
 Instead use the HTTPS scheme to access this URL, please.<br />
</p>
</body></html>
"""
VERBS = [["check", "pairs.csv"], ["invite", "people.csv", "--no-journal"], ["search", "--name", "b*"]]


class Server:
    """Answers each connection by a function, in a thread, and counts the connections."""

    def __init__(self, answer: Callable[[socket.socket], object]) -> None:
        self.count = 0
        self._answer = answer
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                if self._ended.is_set():
                    return
                self.count += 1
                self._answer(connection)

    def close(self) -> None:
        self._ended.set()
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join(30)
        self._listener.close()


@pytest.fixture
def serving() -> Iterator[Callable[[Callable[[socket.socket], object]], Server]]:
    servers: list[Server] = []

    def call(answer: Callable[[socket.socket], object]) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield call
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("pairs.csv").write_text(PAIRS, "utf-8")
    Path("people.csv").write_text("email\n" + "".join(f"a{n}@example.com\n" for n in range(1000)), "utf-8")
    CA.cert_pem.write_to_path("ca.pem")
    monkeypatch.setenv("AIOCONNECTIONS_PASSWORD", "secret")


def page(text: str) -> Callable[[socket.socket], object]:
    """Answer a request like a web server that refuses it with a page of its own."""

    def answer(connection: socket.socket) -> None:
        body = b"" if connection.recv(65536).startswith(b"HEAD") else text.encode()
        head = "HTTP/1.1 400 Bad Request\r\nServer: web\r\nContent-Type: text/html\r\nConnection: close\r\n"
        connection.sendall(f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + body)

    return answer


def saying(data: bytes) -> Callable[[socket.socket], object]:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(data)

    return answer


def ended(said: Any, problem: str) -> None:
    """The command said `problem` in its last line and nothing else of the kind."""
    assert said.code == 2
    last = said.err.splitlines()[-1]
    assert last.removeprefix("aioconnections: ").removeprefix("stopped: ") == problem
    assert said.err.count(problem) == 1


@pytest.mark.parametrize("words", VERBS, ids=lambda words: words[0])
@pytest.mark.parametrize("login", [["--user", "ajones"], []], ids=["login", "no login"])
@pytest.mark.parametrize(
    "answer",
    [
        page(NGINX.format("The plain HTTP request was sent to HTTPS port")),
        page(APACHE),
        page("Client sent an HTTP request to an HTTPS server.\n"),
        page("Bad Request\r\nThis combination of host and port requires TLS.\r\n"),
        saying(b"\x15\x03\x01\x00\x02\x02\x46"),
    ],
    ids=["nginx", "Apache", "Go", "Tomcat", "alert"],
)
def test_http_to_a_tls_port(
    command: Command,
    serving: Callable[..., Server],
    words: list[str],
    login: list[str],
    answer: Callable[[socket.socket], object],
) -> None:
    server = serving(answer)
    url = f"http://127.0.0.1:{server.port}"
    ended(command(*words, "--url", url, "--max-connections", "1", *login), HTTPS)
    assert server.count <= (1 if login else 4), "a response to HEAD has no page, so others follow"


@pytest.mark.parametrize("words", VERBS, ids=lambda words: words[0])
@pytest.mark.parametrize("login", [["--user", "ajones"], []], ids=["login", "no login"])
def test_https_to_a_plain_port(
    command: Command, serving: Callable[..., Server], words: list[str], login: list[str]
) -> None:
    server = serving(saying(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
    said = command(*words, "--url", f"https://127.0.0.1:{server.port}", *login)
    ended(said, "the server does not speak TLS at this port; check the scheme and port of the URL")
    assert server.count <= (1 if login else 16)


@pytest.mark.parametrize("words", VERBS, ids=lambda words: words[0])
@pytest.mark.parametrize("login", [["--user", "ajones"], []], ids=["login", "no login"])
def test_an_untrusted_certificate(
    command: Command, serving: Callable[..., Server], words: list[str], login: list[str]
) -> None:
    context = server_context(trustme.CA().issue_cert("127.0.0.1"))
    server = serving(lambda connection: context.wrap_socket(connection, server_side=True).recv(1))
    said = command(*words, "--url", f"https://127.0.0.1:{server.port}", "--ca-file", "ca.pem", *login)
    ended(said, "the server's certificate is not signed by a trusted CA; pass verify= or --ca-file")
    assert server.count <= (1 if login else 16)


@pytest.mark.parametrize(("journal", "code"), [([], 5), (["--journal", "checks.sqlite"], 75)])
def test_a_certificate_that_is_no_longer_accepted_during_a_run(
    command: Command, serving: Callable[..., Server], journal: list[str], code: int
) -> None:
    """The server is unavailable then: the same command may go on once the certificate is renewed."""
    good, bad = (server_context(authority.issue_cert("127.0.0.1")) for authority in (CA, trustme.CA()))
    contexts = iter([good, good])

    def answer(connection: socket.socket) -> None:
        with next(contexts, bad).wrap_socket(connection, server_side=True) as secure:
            secure.recv(65536)
            head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n"
            secure.sendall(f"{head}X-Profiles-Connection-Status: accepted\r\n\r\n".encode())

    url = f"https://127.0.0.1:{serving(answer).port}"
    said = command("check", "pairs.csv", "--url", url, "--ca-file", "ca.pem", "--max-connections", "1", *journal)
    assert said.code == code
    assert "stopped: the server's certificate is not signed by a trusted CA" in said.err
    assert [row["status"] for row in said.rows[:2]] == ["accepted", "accepted"]
    assert len(said.rows) == 1000


# --- client certificates ---


def demanding(name: str = "127.0.0.1") -> ssl.SSLContext:
    context = server_context(CA.issue_cert(name))
    context.verify_mode = ssl.CERT_REQUIRED
    USERS.configure_trust(context)
    return context


def refusing(connection: socket.socket) -> None:
    """Demand a client certificate, and reply to a request if there is one."""
    secure = CONTEXT.wrap_socket(connection, server_side=True)
    with secure:
        while secure.recv(65536):
            secure.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n")


CONTEXT = demanding()


@pytest.mark.parametrize("words", VERBS, ids=lambda words: words[0])
@pytest.mark.parametrize("login", [["--user", "ajones"], []], ids=["login", "no login"])
def test_a_server_that_demands_a_client_certificate(
    command: Command, serving: Callable[..., Server], words: list[str], login: list[str]
) -> None:
    server = serving(refusing)
    said = command(*words, "--url", f"https://127.0.0.1:{server.port}", "--ca-file", "ca.pem", *login)
    ended(said, "the server demands a client certificate; pass client_cert= or --client-cert and --client-key")
    assert server.count <= (1 if login else 16)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "No required SSL certificate was sent",
            "the server demands a client certificate; pass client_cert= or --client-cert and --client-key",
        ),
        ("The SSL certificate error", "the server refused the client certificate; use another one"),
    ],
)
def test_nginx_checks_a_client_certificate_after_the_handshake(
    command: Command, serving: Callable[..., Server], text: str, problem: str
) -> None:
    server = serving(page(NGINX.format(text)))
    ended(command("check", "pairs.csv", "--user", "ajones", "--url", f"http://127.0.0.1:{server.port}"), problem)


@pytest.mark.parametrize("by", ["option", "environment"])
def test_the_right_client_certificate_is_accepted(
    command: Command, serving: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    USERS.issue_cert("ajones@example.com").private_key_and_cert_chain_pem.write_to_path("me.pem")
    options = ["--client-cert", "me.pem", "--client-key", "me.pem"]
    if by == "environment":
        options = []
        monkeypatch.setenv("AIOCONNECTIONS_CLIENT_CERT", "me.pem")
        monkeypatch.setenv("AIOCONNECTIONS_CLIENT_KEY", "me.pem")
    server = serving(refusing)
    url = f"https://127.0.0.1:{server.port}"
    said = command("check", "pairs.csv", "--user", "ajones", "--url", url, "--ca-file", "ca.pem", *options)
    assert said.err.endswith(f"there is no Profiles service at {url}/profiles: check the URL\n")


@pytest.mark.parametrize("certificate", [True, False])
def test_a_client_certificate_through_a_proxy(
    command: Command, serving: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, *, certificate: bool
) -> None:
    context = demanding("connections.example.com")

    def tunnel(connection: socket.socket) -> None:
        while b"\r\n\r\n" not in connection.recv(65536):
            pass
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secure:
            try:
                secure.do_handshake()
            except ssl.SSLError:  # sent as an alert; a proxy does not reset the connection
                with socket.socket(fileno=secure.detach()) as still_open:
                    while still_open.recv(65536):
                        pass
                return
            secure.recv(65536)
            secure.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n")

    server = serving(tunnel)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.port}")
    USERS.issue_cert("ajones@example.com").private_key_and_cert_chain_pem.write_to_path("me.pem")
    options = ["--client-cert", "me.pem", "--client-key", "me.pem"] if certificate else []
    url = "https://connections.example.com"
    said = command(
        *("check", "pairs.csv", "--trust-env", "--user", "ajones", "--url", url, "--ca-file", "ca.pem"), *options
    )
    if certificate:
        ended(said, f"HTTP 404: there is no Profiles service at {url}/profiles: check the URL")
    else:
        ended(said, "the server demands a client certificate; pass client_cert= or --client-cert and --client-key")
    assert server.count == 1


@pytest.mark.parametrize(("given", "missing"), [("cert", "key"), ("key", "cert")])
def test_a_client_certificate_needs_its_key(command: Command, given: str, missing: str) -> None:
    said = command("check", "pairs.csv", "--url", "https://127.0.0.1:1", f"--client-{given}", "me.pem")
    assert (said.code, said.err) == (2, f"aioconnections: --client-{given} needs --client-{missing}\n")


def test_a_client_certificate_that_cannot_be_read(command: Command) -> None:
    options = ["--client-cert", "me.pem", "--client-key", "me.pem", "--user", "ajones"]
    said = command("check", "pairs.csv", "--url", "https://127.0.0.1:1", *options)
    problem = "the client certificate cannot be used: the certificate file cannot be read: No such file or directory"
    assert (said.code, said.err) == (2, f"aioconnections: {problem}: me.pem\n")


def test_a_client_certificate_is_not_used_over_http(capsys: pytest.CaptureFixture[str]) -> None:
    USERS.issue_cert("ajones@example.com").private_key_and_cert_chain_pem.write_to_path("me.pem")
    me = Path("me.pem")
    ServerOptions(url="http://127.0.0.1:1", user="ajones", client_cert=me, client_key=me).client()
    warning = "the client certificate is not used over http; use an https URL"
    assert capsys.readouterr().err == f"aioconnections: warning: {warning}\n"


def test_the_password_of_the_key_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = USERS.issue_cert("ajones@example.com")
    mine.private_key_and_cert_chain_pem.write_to_path("me.pem")
    key = serialization.load_pem_private_key(mine.private_key_pem.bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"gehe1m")
    Path("me.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    )
    options = ServerOptions(
        url="https://127.0.0.1:1", user="ajones", client_cert=Path("me.pem"), client_key=Path("me.key")
    )
    with pytest.raises(InvalidInputError, match=r"the key is encrypted; give its password.*me\.key"):
        options.client()
    monkeypatch.setenv("AIOCONNECTIONS_CLIENT_KEY_PASSWORD", "gehe1m")
    assert "gehe1m" not in repr(options.client())
