"""``aioconnections doctor``: examine one server, step by step."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from aioconnections.cli.server import SERVER, ServerOptions

__all__ = ["doctor"]


def doctor(*, server: ServerOptions = SERVER, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Find out why a server cannot be used, or how fast it may be used. Nothing is changed on the server.

    Steps: proxy, name, tcp, tls, certificate, http, clock, profiles, login, user, communities, emails, administrator,
    keep_alive, latency and max_connections. Each is tried once, within --attempt-timeout. The result has a line for
    each: its status (ok; warning: usable, but something should be changed; failed; skipped), what was tried, what came
    back, and what to do.

    The login is sent once, after the certificate was verified. If it is accepted, some 20 more requests with it follow,
    at most 20 per second and at most --max-per-second, over one connection. --shared is not used.

    The first step that failed decides the exit code, which is 2 if the URL, TLS, a certificate or the proxy must be
    changed. A warning does not change it.

    Args:
        server: Server, login and speed.
        json: Write one JSON object instead of lines: url, exit_code, and checks, a list of objects with name, status,
            tried, found, advice and details.
    """
    from aioconnections.cli.doctor_run import run_doctor

    return run_doctor(server, as_json=json)
