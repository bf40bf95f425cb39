"""TLS on an established connection: close_notify, records, alerts and renegotiation."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator

import anyio
import anyio.lowlevel
import httpx
import pytest
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSStream
from OpenSSL import SSL
from transport.faulty import COMMON, Connection, answer, ask, serving
from transport.tls import CA, server_context, trusting

from aioconnections.errors import CertificateError, ProtocolError
from aioconnections.protocol.messages import Origin, Request
from aioconnections.transport.as_httpx import LaneTransport
from aioconnections.transport.pool import LanePool

pytestmark = pytest.mark.anyio

LOCALHOST = server_context(CA.issue_cert("localhost", "127.0.0.1"))
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\nall of it"


async def close_notify(connection: Connection) -> None:
    """Close with close_notify, without waiting for that of the client."""
    stream = connection.stream
    assert isinstance(stream, TLSStream)
    with contextlib.suppress(ssl.SSLWantReadError):
        stream._ssl_object.unwrap()
    await stream.transport_stream.send(stream._write_bio.read())
    await connection.stream.aclose()


async def test_a_response_that_ends_with_the_connection_needs_close_notify(secure: LanePool) -> None:
    """Without it, an attacker may have cut it short (RFC 9112, section 9.8)."""

    async def serve(connection: Connection) -> None:
        head = await connection.request()
        await connection.say(ENDLESS)
        if head.startswith(b"GET"):
            await close_notify(connection)

    async with serving(serve, LOCALHOST) as server:
        assert (await ask(secure, server, "GET")).body == b"all of it"
        with pytest.raises(ProtocolError) as raised:
            await ask(secure, server, "POST")
        assert raised.value.sent == "maybe"


async def test_a_response_with_a_length_needs_no_close_notify(secure: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer(b"all of it"))

    async with serving(serve, LOCALHOST) as server:
        for number in range(1, 4):
            assert (await ask(secure, server)).body == b"all of it"
            await server.until(0)
            assert len(server.connections) == number


async def test_an_early_response(secure: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        await connection.more()
        await connection.say(answer(b"", status="413 Content Too Large"))
        await answered.wait()

    answered = anyio.Event()
    async with serving(serve, LOCALHOST) as server:
        assert (await ask(secure, server, "POST", body=b"x" * 30_000_000)).status == 413
        assert "0 idle" in repr(secure)
        answered.set()
        await server.until(0)


async def test_close_notify_between_two_requests(secure: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer(b"hello"))
        await close_notify(connection)

    async with serving(serve, LOCALHOST) as server:
        for number in range(1, 4):
            assert (await ask(secure, server)).body == b"hello"
            await server.until(0)
            assert len(server.connections) == number


async def test_a_record_that_cannot_be_decrypted(secure: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        assert isinstance(connection.stream, TLSStream)
        await connection.stream.transport_stream.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        with contextlib.suppress(ssl.SSLError):  # raised for the alert
            await connection.until_closed()

    async with serving(serve, LOCALHOST) as server:
        with pytest.raises(ProtocolError) as raised:
            await ask(secure, server, "POST")
        assert raised.value.sent == "maybe"
        await server.until(0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_untrusted_server_receives_an_alert(lanes: LanePool) -> None:
    said: list[str] = []

    async def serve(connection: Connection) -> None:
        try:
            await TLSStream.wrap(connection.stream, server_side=True, ssl_context=LOCALHOST)
        except ssl.SSLError as error:
            said.append(error.reason)

    async with serving(serve) as server:
        with pytest.raises(CertificateError):
            await lanes.exchange(Origin("https", "127.0.0.1", server.origin.port), Request("GET", "/"), COMMON, 30)
        await server.until(0)
    assert said == ["TLSV1_ALERT_UNKNOWN_CA"]


async def test_large_bodies_in_both_directions(anyio_backend: str) -> None:
    assert anyio_backend
    body = bytes(range(256)) * 8_000

    async def serve(connection: Connection) -> None:
        head = await connection.request()
        await connection.say(answer(head.partition(b"\r\n\r\n")[2]))

    transport = LaneTransport(verify=trusting())
    async with serving(serve, LOCALHOST) as server, httpx.AsyncClient(transport=transport) as client:
        response = await client.post(f"https://127.0.0.1:{server.origin.port}/", content=body)
        assert response.content == body


# --- renegotiation, which servers use to demand a client certificate for some paths ---


class Renegotiating:
    """A server on TLS 1.2 that demands a new handshake during a request, and then waits."""

    def __init__(self, listener: socket.socket) -> None:
        self.received = b""
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self._listener = listener
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._context.set_max_proto_version(SSL.TLS1_2_VERSION)
        CA.issue_cert("127.0.0.1").configure_cert(self._context)

    def serve(self) -> None:
        plain, _ = self._listener.accept()
        with plain:
            plain.settimeout(None)
            connection = SSL.Connection(self._context, plain)
            connection.set_accept_state()
            connection.do_handshake()
            self._receive(connection, b"one half")
            assert connection.renegotiate()
            connection.do_handshake()  # only sends the demand
            self.asked.set()
            self.go_on.wait(30)
            self._receive(connection, b"the end")
            assert not connection.renegotiate_pending()
            connection.sendall(answer(b"agreed"))
            connection.shutdown()

    def _receive(self, connection: SSL.Connection, until: bytes) -> None:
        while until not in self.received:
            self.received += connection.recv(65536)


@contextlib.contextmanager
def renegotiating() -> Iterator[tuple[Renegotiating, str]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Renegotiating(listener)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server, f"https://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            thread.join(30)


async def turns(number: int) -> None:
    """Let the event loop run `number` iterations."""
    for _ in range(number):
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # on trio, anyio's streams handle it
async def test_a_new_handshake_during_a_request(anyio_backend: str) -> None:
    """Data sent meanwhile waits for the handshake and arrives complete."""
    assert anyio_backend
    with renegotiating() as (server, url):
        provided: list[bytes] = []

        async def body() -> AsyncIterator[bytes]:
            for piece in (b"one half, ", b"the other half, ", b"the end"):
                if len(provided) == 1:
                    await anyio.to_thread.run_sync(server.asked.wait)
                    await turns(3)  # the loop reads the demand, and the client responds to it first
                provided.append(piece)
                yield piece

        async def let_it_go_on() -> None:
            await anyio.to_thread.run_sync(server.asked.wait)
            while len(provided) < 2:  # httpx has no event for it
                await turns(1)
            await turns(50)
            assert len(provided) == 2  # no more is read than can be sent
            server.go_on.set()

        client = httpx.AsyncClient(transport=LaneTransport(verify=trusting()))
        async with client, anyio.create_task_group() as tasks:
            tasks.start_soon(let_it_go_on)
            response = await client.post(url, content=body())
        assert response.content == b"agreed"
        assert b"the other half" in server.received


async def test_a_lane_resumes_reading_after_a_slow_consumer(secure: LanePool) -> None:
    """Reading pauses in the middle of one read, which also contains the end of the response."""

    async def serve(connection: Connection) -> None:
        while head := await connection.request():
            await connection.say(answer(b"x" * int(head.split()[1][1:])))

    async with serving(serve, LOCALHOST) as server:
        for size in range(255_000, 330_000, 5_000):
            async with secure.stream(server.origin, Request("GET", f"/{size}"), COMMON, 30) as stream:
                await anyio.sleep(0.02)
                assert sum([len(piece) async for piece in stream]) == size
            assert (await ask(secure, server, "POST", "/5", b"")).body == b"xxxxx"
        assert len(server.connections) == 1


@pytest.mark.parametrize("cut", [3, 5, 40])
async def test_part_of_an_unsolicited_record(secure: LanePool, cut: int) -> None:
    """The rest of the record arrives after the next request was made."""
    go_on = anyio.Event()

    async def serve(connection: Connection) -> None:
        stream = connection.stream
        assert isinstance(stream, TLSStream)
        await connection.request()
        if connection.number:
            await connection.say(answer(b"real"))
            go_on.set()
            await connection.until_closed()
            return
        pieces = []
        for piece in (answer(b"", "X-Target: /1"), answer(b"forged")):
            stream._ssl_object.write(piece)
            pieces.append(stream._write_bio.read())
        await stream.transport_stream.send(pieces[0] + pieces[1][:cut])
        await go_on.wait()
        await stream.transport_stream.send(pieces[1][cut:])

    async with serving(serve, LOCALHOST) as server:
        assert (await ask(secure, server)).get(b"x-target") == "/1"
        assert (await ask(secure, server, "POST", "/2", b"")).body == b"real"
        assert len(server.connections) == 2


@pytest.mark.parametrize("records", ["one record", "two records"])
async def test_surplus_inside_tls_is_never_a_response(secure: LanePool, records: str) -> None:
    said = [anyio.Event() for _ in range(4)]

    async def surplus(connection: Connection) -> None:
        while head := await connection.request():
            number = int(head.split(b" ")[1][1:])
            real, forged = answer(b"", f"X-Target: /{number}"), answer(b"forged")
            if records == "one record":
                await connection.say(real + forged)
            else:
                await together(connection, real, forged)
            said[number].set()

    async with serving(surplus, server_context(CA.issue_cert("localhost"))) as server:
        origin = Origin("https", "localhost", server.origin.port)
        for number, event in enumerate(said):
            response = await secure.exchange(origin, Request("GET", f"/{number}"), COMMON, 20)
            assert response.get(b"x-target") == f"/{number}"
            await event.wait()
        assert len(server.connections) == 4


async def together(connection: Connection, *pieces: bytes) -> None:
    """Send each piece as its own TLS record, all in one segment."""
    assert isinstance(connection.stream, TLSStream)
    raw = connection.stream.transport_stream.extra(SocketAttribute.raw_socket)  # noqa: S610 -- not Django's
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    for piece in pieces:
        await connection.say(piece)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
