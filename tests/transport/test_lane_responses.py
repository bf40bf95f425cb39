"""Faulty responses. Each case names its end: the response, `ProtocolError`, or the response without the surplus.

In all cases nothing hangs, the next request gets its own response, and the pool is intact afterwards.
"""

from __future__ import annotations

import gzip
from typing import NamedTuple

import anyio
import pytest
from transport.faulty import Connection, Script, answer, ask, serving

from aioconnections.errors import ProtocolError
from aioconnections.transport.pool import LanePool

pytestmark = pytest.mark.anyio

OWN = b"the right response"
FORGED = answer(b"forged")
CHUNKS = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(bytes(80 * 1024 * 1024))


class Ends(NamedTuple):
    """How a case ends."""

    status: int | None  # None: ProtocolError
    body: bytes = b""
    connections: int = 1  # opened for it and the next request


def responds(body: bytes = b"", *, status: int = 200, connections: int = 1) -> Ends:
    return Ends(status, body, connections)


def surplus_ignored(body: bytes = b"", *, status: int = 200) -> Ends:
    return Ends(status, body, connections=2)


REFUSED = Ends(None, connections=2)

# name: method, bytes that the server sends for the first request, end
CASES: dict[str, tuple[str, bytes, Ends]] = {
    "plain": ("GET", answer(b"hello"), responds(b"hello")),
    "to HEAD": ("HEAD", b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\n", responds(status=404)),
    "informational first": ("GET", b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"a"), responds(b"a")),
    "chunks": ("GET", CHUNKS.encode() + b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", responds(b"hello")),
    "Connection: close": ("GET", answer(b"a", "Connection: close"), responds(b"a", connections=2)),
    "Keep-Alive: max=0": ("GET", answer(b"a", "Keep-Alive: timeout=5, max=0"), responds(b"a", connections=2)),
    "Keep-Alive: timeout=0": ("GET", answer(b"a", "Keep-Alive: timeout=0"), responds(b"a", connections=2)),
    "HTTP/1.0": ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", responds(b"a", connections=2)),
    "gzip": ("GET", answer(gzip.compress(b"hello"), "Content-Encoding: gzip"), responds(b"hello")),
    "HEAD with body": ("HEAD", answer(b"hello"), surplus_ignored()),
    "HEAD in chunks": ("HEAD", CHUNKS.encode() + b"5\r\nhello\r\n0\r\n\r\n", surplus_ignored()),
    "HEAD in chunks, none sent": ("HEAD", CHUNKS.encode(), surplus_ignored()),
    "204 with body": ("GET", b"HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\nhello", surplus_ignored(status=204)),
    "204 in chunks": ("GET", b"HTTP/1.1 204 \r\nTransfer-Encoding: chunked\r\n\r\n", surplus_ignored(status=204)),
    "304 with body": ("GET", b"HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\nhello", surplus_ignored(status=304)),
    "length too short": ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhello", surplus_ignored(b"hel")),
    "surplus line end": ("GET", answer(b"hello") + b"\r\n", surplus_ignored(b"hello")),
    "surplus NUL": ("GET", answer(b"hello") + b"\0", surplus_ignored(b"hello")),
    "surplus answer": ("GET", answer(b"hello") + FORGED, surplus_ignored(b"hello")),
    "surplus after chunks": ("GET", CHUNKS.encode() + b"1\r\na\r\n0\r\n\r\n" + FORGED, surplus_ignored(b"a")),
    "surplus of 1 MB": ("HEAD", answer() + b"x" * 1_000_000, surplus_ignored()),
    "two lengths": ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", REFUSED),
    "two lengths to HEAD": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", REFUSED),
    "the same length twice": (
        "GET",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\ncontent-length: 5\r\n\r\nhello",
        responds(b"hello"),
    ),
    "the same length twice to HEAD": (
        "HEAD",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        responds(status=404),
    ),
    "none twice, and a body": (
        "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\nhello", surplus_ignored()
    ),
    "204 with the same length twice": (
        "GET", b"HTTP/1.1 204 \r\nContent-Length: 5, 5\r\n\r\n", surplus_ignored(status=204)
    ),
    "304 with the same length twice": (
        "GET", b"HTTP/1.1 304 \r\nContent-Length: 5, 5\r\n\r\n", responds(status=304)
    ),
    "the same length twice and chunks": (
        "GET",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        REFUSED,
    ),
    "negative length": ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", REFUSED),
    "length and chunks": ("GET", answer(b"x", "Transfer-Encoding: chunked"), REFUSED),
    "bad chunks": ("GET", CHUNKS.encode() + b"zz\r\nhello\r\n", REFUSED),
    "headers of 64 KB": ("GET", answer(b"", "X: " + "a" * 65536), REFUSED),
    "headers of 10 MB": ("GET", answer(b"", "X: " + "a" * 10_000_000), REFUSED),
    "20,000 header lines": ("GET", answer(b"", *["X: a"] * 20_000), REFUSED),
    "NUL in a header": ("GET", answer(b"", "X: a\0b"), REFUSED),
    "HTTP/0.9": ("GET", b"<html>\r\n\r\n", REFUSED),
    "HTTP/1.2": ("GET", b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", REFUSED),
    "informational without end": ("GET", b"HTTP/1.1 100 Continue\r\n\r\n" * 50, REFUSED),
    "switching protocols": ("GET", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", REFUSED),
    "gzip bomb": ("GET", answer(BOMB, "Content-Encoding: gzip"), Ends(None, connections=1)),
    "gzip truncated": ("GET", answer(gzip.compress(OWN)[:-3], "Content-Encoding: gzip"), Ends(None, connections=1)),
    "gzip mislabelled": ("GET", answer(b"hello", "Content-Encoding: gzip"), Ends(None, connections=1)),
    "coding unknown": ("GET", answer(b"hello", "Content-Encoding: br"), Ends(None, connections=1)),
}  # fmt: skip

# name: method, bytes that the server sends before it closes, end
CLOSING: dict[str, tuple[str, bytes, Ends]] = {
    "until closed": ("GET", b"HTTP/1.1 200 OK\r\n\r\nhello", responds(b"hello", connections=2)),
    "closed before a byte": ("GET", b"", REFUSED),
    "closed in the status line": ("GET", b"HTTP/1.1 2", REFUSED),
    "closed in the head": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-", REFUSED),
    "closed in the body": ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", REFUSED),
    "closed in a chunk": ("GET", CHUNKS.encode() + b"50\r\nhello", REFUSED),
    "closed before the last chunk": ("GET", CHUNKS.encode() + b"5\r\nhello\r\n", REFUSED),
}


async def check(lanes: LanePool, method: str, ends: Ends, script: Script) -> None:
    """Send two requests: the first ends as in `ends`; the second, sent after the script, gets its own response."""
    said = anyio.Event()

    async def serve(connection: Connection) -> None:
        while True:
            head = await connection.request()
            if b" /first " in head:
                try:
                    await script(connection)
                finally:
                    said.set()
            else:
                await connection.say(answer(b"" if head.startswith(b"HEAD") else OWN, "X-Own: yes"))

    async with serving(serve) as server:
        if ends.status is None:
            with pytest.raises(ProtocolError) as raised:
                await ask(lanes, server, method, "/first")
            assert raised.value.sent == "maybe"
            assert raised.value.__context__ is None
        else:
            response = await ask(lanes, server, method, "/first")
            assert (response.status, response.body) == (ends.status, ends.body)
        await said.wait()
        second = await ask(lanes, server, method, "/second")
        assert second.get(b"x-own") == "yes"
        assert second.body == (b"" if method == "HEAD" else OWN)
        assert len(server.connections) == ends.connections
        assert "1 idle" in repr(lanes)


@pytest.mark.parametrize(("method", "said", "ends"), CASES.values(), ids=CASES.keys())
async def test_response(lanes: LanePool, method: str, said: bytes, ends: Ends) -> None:
    await check(lanes, method, ends, lambda connection: connection.say(said))


@pytest.mark.parametrize(
    ("method", "said", "ends"), [case for case in CASES.values() if len(case[1]) < 1000], ids=lambda _: ""
)
async def test_response_byte_by_byte(lanes: LanePool, method: str, said: bytes, ends: Ends) -> None:
    await check(lanes, method, ends, lambda connection: connection.drip(said))


@pytest.mark.parametrize(("method", "said", "ends"), CLOSING.values(), ids=CLOSING.keys())
async def test_response_and_the_end_of_the_connection(lanes: LanePool, method: str, said: bytes, ends: Ends) -> None:
    async def script(connection: Connection) -> None:
        await connection.say(said or b"")
        await connection.stream.aclose()

    await check(lanes, method, ends, script)


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\n\r\nhel", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel"]
)
async def test_reset(lanes: LanePool, said: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.say(said)
        await connection.reset()

    await check(lanes, "GET", REFUSED, script)


async def test_the_error_has_the_status_if_the_body_is_incomplete(lanes: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nhel")

    async with serving(serve) as server:
        with pytest.raises(ProtocolError) as raised:
            await ask(lanes, server, "POST", body=b"<entry/>")
        assert raised.value.status == 201
        assert (raised.value.sent, len(server.connections)) == ("maybe", 1)
