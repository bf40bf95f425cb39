"""Reasons for which no TLS connection can succeed: in words, over lanes and through httpx, on asyncio and trio."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from transport.faulty import COMMON, Connection, Script, answer, serving
from transport.tls import CA, real_handshakes, server_context, trusting, weak_server

from aioconnections.errors import CertificateError, ConnectFailedError, ProtocolError, TransportError
from aioconnections.protocol.messages import Origin, Request
from aioconnections.transport.pool import LanePool
from aioconnections.transport.via_httpx import HttpxEngine

pytestmark = pytest.mark.anyio

USERS = trustme.CA()
YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
ADVICE = "pass client_cert= or --client-cert and --client-key"
DEMANDED = f"the server demands a client certificate; {ADVICE}"
NO_OR_REFUSED = f"the server demands a client certificate, or refused the one that it got; {ADVICE}"
UNKNOWN_CA = (
    "the server refused the client certificate, because it does not trust its CA; use another one, or add the "
    "intermediate certificates to its file"
)
EXPIRED = "the server refused the client certificate, because it has expired or is not valid yet; use another one"
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
Engine = Callable[..., LanePool | HttpxEngine]


@pytest.fixture(params=[LanePool, HttpxEngine])
def engine(request: pytest.FixtureRequest, anyio_backend: str) -> Engine:  # noqa: ARG001 -- which event loop
    return request.param  # type: ignore[no-any-return] # one of the parameters above


async def serve(connection: Connection) -> None:
    while await connection.request():
        await connection.say(answer(b"hello"))


async def failure(engine: LanePool | HttpxEngine, origin: Origin, method: str = "GET") -> TransportError:
    """The error of a request; it is final, and quotes and holds nothing."""
    async with contextlib.aclosing(engine):
        with pytest.raises(TransportError) as raised:
            await engine.exchange(origin, Request(method, "/secret"), COMMON, 30)
    error = raised.value
    assert error.deterministic
    assert error.blocks_all_requests
    assert error.__context__ is error.__cause__ is None
    return error


async def from_server(
    engine: Engine, context: ssl.SSLContext | None, verify: ssl.SSLContext, script: Script = serve
) -> TransportError:
    async with serving(script, context) as server:
        error = await failure(engine(verify=verify), Origin("https", "localhost", server.origin.port))
        assert error.sent == "no"
        return error


# --- versions, ciphers and renegotiation ---


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
async def test_a_server_with_tls_1_0_only(engine: Engine) -> None:
    old = server_context(CA.issue_cert("localhost"))
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1
    with real_handshakes(old) as (port, reasons):
        error = await failure(engine(verify=trusting()), Origin("https", "localhost", port))
    assert reasons == ["UNSUPPORTED_PROTOCOL"]
    assert type(error) is ConnectFailedError
    assert str(error) == (
        "the server and this client have no TLS version in common, most likely because the server accepts only "
        "outdated ones; ask the administrator of the server to enable TLS 1.2 or later"
    )


def record(kind: int, content: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(content).to_bytes(2, "big") + content


def server_hello(version: int) -> bytes:
    """The beginning of a handshake of TLS 1.2 or earlier, without any extension."""
    body = bytes([3, version]) + bytes(range(32)) + b"\x00" + b"\xc0\x2f" + b"\x00"
    return record(22, b"\x02" + len(body).to_bytes(3, "big") + body)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (server_hello(3), "the server does not support secure renegotiation of TLS (RFC 5746); ask the administrator"),
        (server_hello(1), "the server and this client have no TLS version in common"),
        (record(21, b"\x02\x70"), "the server has no certificate for this host; check the host in the URL"),
        (record(21, b"\x02\x47"), "the server and this client have no TLS cipher in common"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the server does not speak TLS at this port; check the scheme and port"),
    ],
    ids=["no secure renegotiation", "TLS 1.0", "unrecognized name", "insufficient security", "https to a plain port"],
)
async def test_a_server_whose_first_bytes_rule_tls_out(engine: Engine, sent: bytes, words: str) -> None:
    async def script(connection: Connection) -> None:
        await connection.more()
        await connection.say(sent)
        await connection.until_closed()

    error = await from_server(engine, None, trusting(), script)
    assert type(error) is ConnectFailedError
    assert str(error).startswith(words)


# --- the certificate of the server ---


@pytest.mark.parametrize(
    ("weakness", "words"),
    [
        ({"key_bits": 1024}, "has a key that is too short to be secure"),
        ({"ca_bits": 1024}, "is signed by a CA whose key is too short to be secure"),
        ({"digest": "sha1"}, "or that of its CA is signed with a digest that is not secure, such as SHA-1"),
    ],
    ids=["EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"],
)
async def test_a_weak_certificate(engine: Engine, weakness: dict[str, int | str], words: str) -> None:
    server, ca = weak_server(**weakness)  # type: ignore[arg-type] # each has its own type
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca)
    error = await from_server(engine, server, context)
    assert type(error) is CertificateError
    assert str(error) == f"the server's certificate {words}; ask the administrator of the server for a new one"


async def test_a_strict_context_names_what_is_missing(engine: Engine) -> None:
    """`ssl.create_default_context` is strict from Python 3.13 on."""
    server, ca = weak_server()
    context = ssl.create_default_context(cadata=ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    error = await from_server(engine, server, context)
    assert type(error) is CertificateError
    assert str(error) == (
        "the server's certificate or that of its CA breaks RFC 5280: it has no Authority Key Identifier; ask the "
        "administrator of the server for a new one, or clear ssl.VERIFY_X509_STRICT in the context"
    )


@pytest.mark.parametrize("trusted", ["root", "intermediate", "leaf"])
async def test_any_certificate_of_the_chain_may_be_the_trusted_one(
    engine: Engine, tmp_path: Path, trusted: str
) -> None:
    intermediate = CA.create_child_ca()
    leaf = intermediate.issue_cert("localhost")
    pem = {"root": CA.cert_pem, "intermediate": intermediate.cert_pem, "leaf": leaf.cert_chain_pems[0]}[trusted]
    pem.write_to_path(str(tmp_path / "ca.pem"))
    async with serving(serve, server_context(leaf)) as server:
        origin = Origin("https", "localhost", server.origin.port)
        async with contextlib.aclosing(engine(verify=tmp_path / "ca.pem")) as trusting_one:
            assert (await trusting_one.exchange(origin, Request("GET", "/"), COMMON, 30)).body == b"hello"
        error = await failure(engine(verify=tmp_path / "ca.pem"), server.origin)
        assert str(error) == "the server's certificate is for another host; check the host in the URL"


async def test_a_final_dot_of_the_host_is_not_part_of_its_name_in_tls_and_http(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(name: str | bytes, *_: object, **__: object) -> object:
        looked_up.append(name.decode() if isinstance(name, bytes) else name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    looked_up: list[str] = []
    names: list[str | None] = []
    heads: list[bytes] = []

    async def script(connection: Connection) -> None:
        heads.append(await connection.request())
        await connection.say(answer(b"hello"))

    CA.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = server_context(CA.issue_cert("localhost"))
    context.sni_callback = lambda _, name, __: names.append(name)
    async with serving(script, context) as server, contextlib.aclosing(engine(verify=tmp_path / "ca.pem")) as client:
        port = server.origin.port
        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        response = await client.exchange(Origin("https", "localhost.", port), Request("GET", "/"), COMMON, 30)
        assert response.body == b"hello"
    assert names == ["localhost"]
    assert looked_up == ["localhost." if engine is LanePool else "localhost"]  # httpx has one name for both
    assert f"\r\nhost: localhost:{port}\r\n".encode() in heads[0].lower()


# --- the certificate of the client ---


def demanding(version: ssl.TLSVersion) -> ssl.SSLContext:
    """The TLS context of a server that demands a client certificate."""
    context = server_context(CA.issue_cert("localhost"))
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    USERS.configure_trust(context)
    return context


def stored(certificate: trustme.LeafCert, folder: Path) -> tuple[str, Path]:
    """The certificate with its chain, and its key, as files."""
    path, key = folder / "me.pem", folder / "me.key"
    path.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(key))
    return str(path), key


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    CA.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("chain", [False, True])
async def test_the_right_client_certificate(
    engine: Engine, trusted: Path, version: ssl.TLSVersion, *, chain: bool
) -> None:
    issuer = USERS.create_child_ca() if chain else USERS
    certificate = stored(issuer.issue_cert("ajones@example.com"), trusted.parent)
    async with (
        serving(serve, demanding(version)) as server,
        contextlib.aclosing(engine(verify=trusted, client_cert=certificate)) as client,
    ):
        origin = Origin("https", "localhost", server.origin.port)
        for _ in range(3):
            assert (await client.exchange(origin, Request("POST", "/", body=b"x"), COMMON, 30)).body == b"hello"
        assert len(server.connections) == 1


@pytest.mark.parametrize("method", ["HEAD", "POST"])
@pytest.mark.parametrize(
    ("version", "certificate", "words"),
    [
        (TLS13, None, DEMANDED),
        (TLS12, None, NO_OR_REFUSED),
        *((version, trustme.CA().issue_cert("ajones@example.com"), UNKNOWN_CA) for version in (TLS12, TLS13)),
        *((v, USERS.issue_cert("ajones@example.com", not_after=YESTERDAY), EXPIRED) for v in (TLS12, TLS13)),
    ],
    ids=["none 1.3", "none 1.2", "untrusted 1.2", "untrusted 1.3", "expired 1.2", "expired 1.3"],
)
async def test_a_refused_client_certificate(
    engine: Engine,
    trusted: Path,
    version: ssl.TLSVersion,
    certificate: trustme.LeafCert | None,
    words: str,
    method: str,
) -> None:
    files = None if certificate is None else stored(certificate, trusted.parent)
    with real_handshakes(demanding(version), resets=engine is LanePool) as (port, reasons):  # httpx may miss an alert
        error = await failure(engine(verify=trusted, client_cert=files), Origin("https", "localhost", port), method)
    assert len(reasons) == 1
    assert "CERTIFICATE" in reasons[0]
    if engine is HttpxEngine and words == NO_OR_REFUSED:  # httpx does not tell how far the handshake came
        assert type(error) is ConnectFailedError
        assert "no TLS version or cipher in common, or the server demands a client certificate" in str(error)
        return
    assert type(error) is CertificateError
    assert str(error) == words
    in_handshake = version is TLS12
    assert error.sent == ("no" if in_handshake or engine is LanePool else "maybe")


# --- http to a port that speaks https ---


@pytest.mark.parametrize("alert", [b"\x15\x03\x01\x00\x02\x02\x46", b"\x15\x03\x03\x00\x02\x02\x0a"])
async def test_http_to_a_tls_port_that_sends_an_alert(engine: Engine, alert: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.more()
        await connection.say(alert)

    async with serving(script) as server:
        if engine is LanePool:
            error = await failure(engine(), server.origin)
            assert type(error) is ConnectFailedError
            assert str(error) == "the server speaks https at this port; use an https URL"
            return
        async with contextlib.aclosing(engine()) as client:  # h11 does not tell which byte it refused
            with pytest.raises(
                ProtocolError, match="the response is TLS, not HTTP; check the scheme and port"
            ) as raised:
                await client.exchange(server.origin, Request("GET", "/"), COMMON, 30)
            assert raised.value.deterministic
