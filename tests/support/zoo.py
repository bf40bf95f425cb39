"""Wrong servers, each of which cannot be used for another reason: most are sites of one nginx on loopback.

They stand for what a mistyped URL, an outdated server, or a front end with a login of its own shows to a client.
"""

from __future__ import annotations

import datetime
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trustme
from attrs import define

__all__ = ["PLAIN", "USERS", "Zoo", "black_hole", "running_zoo"]

_PATIENCE = 30.0  # seconds for a start
_LOGIN_PAGE = "<html><head><title>Sign in</title></head><body><form action=/pkmslogin.form></form></body></html>"

CA = trustme.CA()
USERS = trustme.CA()
_NAME = "localhost"
_PROTOCOLS = "ssl_protocols TLSv1.2 TLSv1.3;"  # the default depends on the version of nginx


@define
class Zoo:
    """The ports of the sites by name, the CA that has signed most of their certificates, and the log of requests."""

    ports: dict[str, int]
    ca: Path
    log: Path

    def url(self, name: str, scheme: str = "http") -> str:
        return f"{scheme}://localhost:{self.ports[name]}"

    def requests(self) -> list[tuple[str, str]]:
        """The user and the path of each request since the last call; the user is ``-`` without a login."""
        lines = self.log.read_text("utf-8").splitlines()
        self.log.write_text("", "utf-8")
        return [(line.split()[2], line.split()[6]) for line in lines]


def _page(status: int, *fields: str) -> str:
    """A location that gives an HTML page, or a redirect, for every path."""
    lines = "".join(f"add_header {field} always;" for field in fields)
    return f"default_type text/html; {lines} return {status} '{_LOGIN_PAGE}';"


# The location of each site that speaks plain HTTP.
PLAIN = {
    "plain": "root html;",
    "login redirect": "return 302 'https://sso.example.com/login?back=$request_uri';",
    "login page": _page(200),
    "negotiate": _page(401, "WWW-Authenticate Negotiate"),
    "maintenance": _page(503, "Retry-After 3600"),
    "to https": "return 301 'https://connections.example.com$request_uri';",
}


def _ago(days: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)


def _secure(folder: Path) -> dict[str, str]:
    """The settings of each site that speaks TLS."""
    certificates = {
        "tls": CA.issue_cert(_NAME),
        "outdated": CA.issue_cert(_NAME),
        "expired": CA.issue_cert(_NAME, not_before=_ago(400), not_after=_ago(28.5)),
        "not yet": CA.issue_cert(_NAME, not_before=_ago(-3.5), not_after=_ago(-400)),
        "soon": CA.issue_cert(_NAME, not_before=_ago(60), not_after=_ago(-9.5)),
        "other host": CA.issue_cert("old.example.com", "www.example.com"),
        "unknown CA": trustme.CA(organization_name="Example Corp").issue_cert(_NAME),
        "client certificate": CA.issue_cert(_NAME),
    }
    more = {
        "outdated": "ssl_protocols TLSv1; ssl_ciphers ALL:@SECLEVEL=0;",
        "client certificate": f"{_PROTOCOLS} ssl_verify_client on; ssl_client_certificate {folder}/users.pem;",
    }
    USERS.cert_pem.write_to_path(str(folder / "users.pem"))
    settings: dict[str, str] = {}
    for name, certificate in certificates.items():
        path = folder / f"{name.replace(' ', '-')}.pem"
        certificate.private_key_and_cert_chain_pem.write_to_path(str(path))
        settings[name] = f"ssl_certificate {path}; ssl_certificate_key {path}; {more.get(name, _PROTOCOLS)}"
    return settings


def _free_ports(names: Iterable[str]) -> dict[str, int]:
    with ExitStack() as stack:
        sockets = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in names}
        return {name: sock.getsockname()[1] for name, sock in sockets.items()}


@contextmanager
def running_zoo(folder: Path) -> Generator[Zoo]:
    """The zoo, until the end of the block."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert nginx is not None, "these tests need nginx, of the Debian package nginx-light"
    CA.cert_pem.write_to_path(str(folder / "ca.pem"))
    secure = _secure(folder)
    ports = _free_ports([*PLAIN, *secure])
    sites = [f"listen 127.0.0.1:{ports[name]}; location / {{ {text} }}" for name, text in PLAIN.items()]
    sites += [
        f"listen 127.0.0.1:{ports[name]} ssl; {text} location / {{ root html; }}" for name, text in secure.items()
    ]
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    servers = "".join(f"server {{ server_name localhost; {site} }}\n" for site in sites)
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; error_log {folder}/errors crit; pid {folder}/pid;\n"
        f"events {{}}\nhttp {{ access_log {folder}/requests; {temporary}\n{servers}}}\n",
        encoding="utf-8",
    )
    (folder / "html").mkdir()
    process = subprocess.Popen([nginx, "-p", str(folder), "-e", f"{folder}/errors", "-c", str(config)])
    try:
        until = time.monotonic() + _PATIENCE
        while not _accepts(ports["plain"]):
            assert process.poll() is None, (folder / "errors").read_text("utf-8")
            assert time.monotonic() < until, "nginx did not start"
            time.sleep(0.02)
        yield Zoo(ports, folder / "ca.pem", folder / "requests")
    finally:
        process.kill()
        process.wait()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def black_hole() -> Generator[int]:
    """A port that does not respond to connection attempts: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
