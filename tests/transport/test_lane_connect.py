"""Failures to establish a connection."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from transport.faulty import COMMON, Connection, StoppedClock, answer, ask, serving
from transport.tls import CA, server_context, trusting

from aioconnections.errors import (
    CertificateError,
    ConnectFailedError,
    DeadlineError,
    InvalidInputError,
    TransportError,
)
from aioconnections.protocol.messages import Origin, Request
from aioconnections.transport.connect import connect_error
from aioconnections.transport.pool import LanePool

pytestmark = pytest.mark.anyio

YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
TOMORROW = YESTERDAY + datetime.timedelta(days=2)


async def serve(connection: Connection) -> None:
    while await connection.request():
        await connection.say(answer(b"hello"))


async def refused(lanes: LanePool, origin: Origin) -> TransportError:
    with pytest.raises(TransportError) as raised:
        await lanes.exchange(origin, Request("POST", "/secret"), COMMON, 20)
    assert raised.value.sent == "no"
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None
    assert "secret" not in str(raised.value)
    assert repr(lanes) == "<LanePool: 0 opening, 0 lent, 0 idle>"
    return raised.value


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_refused(lanes: LanePool, host: str) -> None:
    error = await refused(lanes, Origin("http", host, free_port()))
    assert type(error) is ConnectFailedError
    assert str(error) == "the server refused the connection"


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".invalid"])
async def test_a_name_that_cannot_be_resolved(lanes: LanePool, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def encoded(name: str | bytes, *_: object, **__: object) -> object:
        if isinstance(name, str):
            name = name.encode("idna")  # as the real one does first
        raise socket.gaierror(socket.EAI_NONAME, "quotes what was asked")

    monkeypatch.setattr(socket, "getaddrinfo", encoded)
    error = await refused(lanes, Origin("http", host, 80))
    assert type(error) is ConnectFailedError
    assert str(error) == "the host name of the server could not be resolved; check the URL"


async def test_an_unknown_name(lanes: LanePool, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "quotes what was asked")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = await refused(lanes, Origin("http", "nobody.example", 80))
    assert str(error) == "the host name of the server could not be resolved; check the URL"


async def test_unreachable(lanes: LanePool) -> None:
    error = await refused(lanes, Origin("http", "127.255.255.255", 80))
    assert type(error) is ConnectFailedError


async def test_only_http_and_https(lanes: LanePool) -> None:
    with pytest.raises(InvalidInputError, match="must be http or https, got ftp"):
        await lanes.exchange(Origin("ftp", "127.0.0.1", 21), Request("GET", "/"), COMMON, 1)


async def test_the_first_address_that_accepts_wins(lanes: LanePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first two addresses refuse."""
    async with serving(serve) as server:
        port = server.origin.port
        found = [("127.0.0.2", port), ("127.0.0.3", port), ("127.0.0.1", port)]

        def lookup(*_: object, **__: object) -> object:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in found]

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        origin = Origin("http", "many.example", port)
        response = await lanes.exchange(origin, Request("GET", "/"), COMMON, 20)
        assert response.body == b"hello"
        found.pop()
        with pytest.raises(ConnectFailedError, match="refused"):
            await lanes.exchange(Origin("http", "few.example", port), Request("GET", "/"), COMMON, 20)


# --- TLS ---


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_valid_certificate(secure: LanePool, name: str) -> None:
    async with serving(serve, server_context(CA.issue_cert(name))) as server:
        origin = Origin("https", name, server.origin.port)
        for _ in range(5):
            response = await secure.exchange(origin, Request("GET", "/"), COMMON, 20)
            assert response.body == b"hello"
        assert len(server.connections) == 1


async def test_the_host_name_and_the_protocol_are_negotiated(anyio_backend: str, tmp_path: Path) -> None:
    assert anyio_backend
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    names = []
    context = server_context(CA.issue_cert("localhost"))
    context.set_alpn_protocols(["h2", "http/1.1"])

    def note(_: ssl.SSLObject, name: str, __: ssl.SSLContext) -> None:
        names.append(name)

    context.sni_callback = note
    async with serving(serve, context) as server:
        async with contextlib.aclosing(LanePool(verify=tmp_path / "ca.pem")) as lanes:
            origin = Origin("https", "localhost", server.origin.port)
            assert (await lanes.exchange(origin, Request("GET", "/"), COMMON, 20)).status == 200
        assert names == ["localhost"]


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (CA.issue_cert("other.example"), "is for another host; check the host in the URL"),
        (CA.issue_cert("localhost", not_after=YESTERDAY), "has expired"),
        (CA.issue_cert("localhost", not_before=TOMORROW), "is not valid yet; check the clock of this machine"),
        (trustme.CA().issue_cert("localhost"), "is not signed by a trusted CA; pass verify= or --ca-file"),
    ],
    ids=["wrong host", "expired", "not yet valid", "untrusted"],
)
async def test_a_refused_certificate(secure: LanePool, certificate: trustme.LeafCert, reason: str) -> None:
    async with serving(serve, server_context(certificate)) as server:
        error = await refused(secure, Origin("https", "localhost", server.origin.port))
        assert type(error) is CertificateError
        assert str(error) == f"the server's certificate {reason}"
        assert not server.connections


async def test_another_reason_to_refuse_a_certificate_is_named_by_its_code() -> None:
    refused = ssl.SSLCertVerificationError("quotes the server")
    refused.verify_code = 50
    error = connect_error([refused])
    assert type(error) is CertificateError
    assert str(error) == "the server's certificate was refused (OpenSSL verify code 50)"


async def test_the_ca_of_the_tests_is_not_in_the_trust_store(lanes: LanePool) -> None:
    async with serving(serve, server_context(CA.issue_cert("localhost"))) as server:
        error = await refused(lanes, Origin("https", "localhost", server.origin.port))
        assert type(error) is CertificateError


async def test_verification_can_be_switched_off_with_a_warning(anyio_backend: str) -> None:
    assert anyio_backend
    with pytest.warns(UserWarning, match="verify=False"):
        lanes = LanePool(verify=False)
    async with contextlib.aclosing(lanes), serving(serve, server_context(trustme.CA().issue_cert("x"))) as server:
        assert (await ask(lanes, server)).body == b"hello"


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
async def test_a_path_without_certificates_is_refused_at_once(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInputError, match="certificates") as raised:
        LanePool(verify=path)
    assert raised.value.__context__ is None


async def test_a_folder_of_certificates_is_accepted(tmp_path: Path) -> None:
    assert "0 idle" in repr(LanePool(verify=str(tmp_path)))


LOST = "the connection was lost while it was being established"
NOT_TLS = "the server does not speak TLS at this port; check the scheme and port of the URL"
NO_COMMON_VERSION = (
    "the server and this client have no TLS version in common, most likely because the server accepts only outdated "
    "ones; ask the administrator of the server to enable TLS 1.2 or later"
)
NO_COMMON_TLS = "the server and this client have no TLS version or cipher in common"


@pytest.mark.parametrize(
    ("sent", "reason", "deterministic"),
    [
        (None, LOST, False),
        (b"", LOST, False),
        (b"\x15\x03\x03\x00\x02\x02\x50", LOST, False),  # the alert "internal error"
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", NOT_TLS, True),
        (b"220 mail.example.com ESMTP\r\n", NOT_TLS, True),
        (b"\x15\x03\x03\x00\x02\x02\x28", NO_COMMON_TLS, True),  # the alert "handshake failure"
        (b"\x15\x03\x03\x00\x02\x02\x46", NO_COMMON_VERSION, True),  # the alert "protocol version"
    ],
)
async def test_a_failed_handshake(secure: LanePool, sent: bytes | None, reason: str, *, deterministic: bool) -> None:
    async def close(connection: Connection) -> None:
        await connection.stream.receive()
        if sent is None:
            await connection.reset()
        elif sent:
            await connection.say(sent)

    async with serving(close) as server:
        error = await refused(secure, Origin("https", "localhost", server.origin.port))
        assert type(error) is ConnectFailedError
        assert str(error) == reason
        assert error.deterministic is deterministic


async def test_a_handshake_that_stalls_ends_with_the_deadline(anyio_backend: str) -> None:
    assert anyio_backend
    clock = StoppedClock()

    async def stall(connection: Connection) -> None:
        await connection.stream.receive()
        clock.advance(11)
        await connection.until_closed()

    async with serving(stall) as server, contextlib.aclosing(LanePool(verify=trusting(), clock=clock)) as lanes:
        with pytest.raises(DeadlineError) as raised:
            await lanes.exchange(Origin("https", "localhost", server.origin.port), Request("GET", "/"), COMMON, 10)
        assert raised.value.sent == "no"
        await server.until(0)
