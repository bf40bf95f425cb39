"""Name lookup, TCP and TLS: what the probes find, and what doctor makes of it."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from typing import Any

import pytest
import trustme
from transport.tls import CA, real_handshakes, server_context, trusting

from aioconnections.doctor.network_verdicts import on_tcp, on_tls, over_http
from aioconnections.doctor.probes import (
    Handshake,
    Reached,
    SocketAddress,
    accepted_versions,
    look_up,
    reach,
    shake_hands,
    unverified,
)
from aioconnections.errors import CertificateError, DeadlineError, LocalLimitError
from aioconnections.protocol.messages import Origin

V4: SocketAddress = (socket.AF_INET, ("192.0.2.1", 443))
V6: SocketAddress = (socket.AF_INET6, ("2001:db8::1", 443, 0, 0))


def local(port: int) -> SocketAddress:
    return socket.AF_INET, ("127.0.0.1", port)


# --- verdicts on TCP ---


def test_all_addresses_connect() -> None:
    finding = on_tcp([Reached(V4, 0.012), Reached(V6, 0.0021)], 10)
    assert (finding.status, finding.found) == ("ok", "connected in 12 ms, 2.1 ms")
    assert finding.tried == "TCP connection to 192.0.2.1:443, [2001:db8::1]:443"


def test_a_limit_of_this_machine_is_not_a_problem_of_the_server() -> None:
    finding = on_tcp([Reached(V6, None, OSError(errno.EMFILE, "")), Reached(V4, 0.012)], 10)
    assert finding.status == "warning"
    assert finding.found.endswith(
        "[2001:db8::1]:443 was not tried, because this process has reached its limit of open files"
    )
    assert finding.advice == "raise it (ulimit -n) or lower max_connections"


@pytest.mark.parametrize(
    ("failure", "status", "problem"),
    [
        (ConnectionRefusedError(), "warning", "refused the connection"),
        (None, "warning", "did not respond within 10 s"),
        (OSError(errno.EHOSTUNREACH, ""), "warning", "is out of reach from this machine"),
        (OSError(errno.ENETUNREACH, ""), "ok", "is out of reach from this machine"),
    ],
)
def test_one_address_of_two_connects(failure: OSError | None, status: str, problem: str) -> None:
    finding = on_tcp([Reached(V6, None, failure), Reached(V4, 0.012)], 10)
    assert finding.status == status
    assert finding.found == f"192.0.2.1:443 connected in 12 ms; [2001:db8::1]:443 {problem}"
    assert bool(finding.advice) is (status == "warning")


def test_no_address_connects() -> None:
    finding = on_tcp([Reached(V6, None, OSError(errno.ENETUNREACH, "")), Reached(V4, None)], 10)
    assert finding.status == "failed"
    assert finding.found == (
        "the server could not be reached; [2001:db8::1]:443 is out of reach from this machine, 192.0.2.1:443 did not"
        " respond within 10 s"
    )
    assert isinstance(on_tcp([Reached(V4, None)], 10).error, DeadlineError)


def test_a_limit_of_this_machine() -> None:
    finding = on_tcp([Reached(V4, None, OSError(errno.EMFILE, "Too many open files"))], 10)
    assert isinstance(finding.error, LocalLimitError)


# --- verdicts on TLS ---


def test_http_urls() -> None:
    statuses = [finding.status for finding in over_http(Origin("http", "localhost", 80), has_login=True)]
    assert statuses == ["skipped", "skipped"]
    tls, certificate = over_http(Origin("http", "connections.example.com", 80), has_login=True)
    assert (tls.status, tls.found) == ("warning", "http: the login and all data are sent unencrypted")
    assert certificate.status == "skipped"
    tls, _ = over_http(Origin("http", "connections.example.com", 80), has_login=False)
    assert tls.found == "http: all data are sent unencrypted"


def test_a_handshake_without_known_versions() -> None:
    finding = on_tls(V4, Handshake("TLS 1.3", "TLS_AES_256_GCM_SHA384", (), None, answered=True), {}, 10)
    assert finding.found == "TLS 1.3 with TLS_AES_256_GCM_SHA384"
    refused = Handshake(None, None, (), ssl.SSLCertVerificationError(), answered=True)
    assert on_tls(V4, refused, {}, 10).found == "the server sent its certificate"


# --- probes ---


@pytest.mark.asyncio
async def test_a_handshake_and_its_chain() -> None:
    leaf = CA.create_child_ca().issue_cert("localhost")
    with real_handshakes(server_context(leaf)) as (port, _):
        done = await shake_hands(local(port), trusting(), "localhost")
        assert await accepted_versions(local(port), "localhost", 30) == {
            "TLS 1.0": False,
            "TLS 1.1": False,
            "TLS 1.2": True,
            "TLS 1.3": True,
        }
    assert (done.version, done.failure, done.answered) == ("TLS 1.3", None, True)
    assert done.cipher is not None
    assert [ssl.DER_cert_to_PEM_cert(each).strip() for each in done.chain] == [
        blob.bytes().decode().strip() for blob in leaf.cert_chain_pems
    ]


@pytest.mark.asyncio
async def test_a_refused_certificate_can_be_looked_at() -> None:
    with real_handshakes(server_context(trustme.CA().issue_cert("localhost"))) as (port, _):
        refused = await shake_hands(local(port), trusting(), "localhost")
        described = await shake_hands(local(port), unverified(), "localhost")
    assert isinstance(refused.failure, ssl.SSLCertVerificationError)
    assert (refused.version, refused.cipher) == (None, None)
    assert described.failure is None
    assert len(described.chain) == 1


@pytest.mark.asyncio
async def test_a_client_certificate_is_demanded_in_the_handshake() -> None:
    context = server_context(CA.issue_cert("localhost"))
    context.verify_mode = ssl.CERT_REQUIRED
    CA.configure_trust(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with real_handshakes(context) as (port, _):
        refused = await shake_hands(local(port), trusting(), "localhost")
        versions = await accepted_versions(local(port), "localhost", 30)
    finding = on_tls(local(port), refused, versions, 10)
    assert isinstance(finding.error, CertificateError)
    assert "demands a client certificate" in finding.found
    assert versions == {"TLS 1.0": False, "TLS 1.1": False, "TLS 1.2": True, "TLS 1.3": False}


@pytest.mark.asyncio
async def test_a_server_with_outdated_ciphers_only() -> None:
    context = server_context(CA.issue_cert("localhost", key_type=trustme.KeyType.RSA))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA")
    with real_handshakes(context) as (port, _):
        refused = await shake_hands(local(port), trusting(), "localhost")
        versions = await accepted_versions(local(port), "localhost", 30)
    finding = on_tls(local(port), refused, versions, 10)
    assert finding.status == "failed"
    assert finding.found.endswith("of TLS 1.0 to 1.3, the server accepts TLS 1.2")
    assert (
        finding.advice
        == "ask the administrator of the server to enable a secure TLS cipher, such as ECDHE with AES-GCM"
    )


@pytest.mark.parametrize(
    ("accepted", "advice"),
    [
        (["TLS 1.0", "TLS 1.1"], "ask the administrator of the server to enable TLS 1.2 or later"),
        ([], "check the host and the port in the URL, and whether a firewall is in the way"),
    ],
)
def test_a_refused_handshake(accepted: list[str], advice: str) -> None:
    failure = ssl.SSLError(1, "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE]")
    failure.reason = "SSLV3_ALERT_HANDSHAKE_FAILURE"
    refused = Handshake(None, None, (), failure, answered=False)
    assert on_tls(V4, refused, dict.fromkeys(accepted, True), 10).advice == advice


@pytest.mark.asyncio
@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_a_server_without_tls(data: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(data)

        thread = threading.Thread(target=answer)
        thread.start()
        done = await shake_hands(local(listener.getsockname()[1]), trusting(), "localhost")
        thread.join(30)
    assert isinstance(done.failure, OSError)
    assert (done.answered, done.chain) == (False, ())


@pytest.mark.asyncio
async def test_connections_are_tried_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as open_port, socket.create_server(("127.0.0.1", 0)) as closing:
        ports = [listener.getsockname()[1] for listener in (open_port, closing)]
        closing.close()
        reached = await reach([local(port) for port in ports], 30)
    assert [each.seconds is not None for each in reached] == [True, False]
    assert isinstance(reached[1].failure, ConnectionRefusedError)


@pytest.mark.asyncio
async def test_each_address_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(_: str, port: int, **__: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port))] * 2

    monkeypatch.setattr(socket, "getaddrinfo", twice)
    assert await look_up("connections.example.com", 443) == [local(443)]


@pytest.mark.asyncio
async def test_a_lookup_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(socket.gaierror):
        await look_up("connections.example.com", 443)
