"""Every response in the tables is fed whole, byte by byte, and with surplus data."""

from __future__ import annotations

import gzip

import pytest
from transport.responses import AGAIN, CHUNKED, CLOSE, LIMIT, Good, head, read, single_bytes

from aioconnections.transport.http1 import ResponseReader

UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\0"
OTHER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"

COMPLETE = {
    "counted": Good("GET", head("Content-Length: 5") + b"hello", 200, b"hello", AGAIN),
    "counted, none": Good("GET", head("Content-Length: 0"), 200, b"", AGAIN),
    "counted, zeros in front": Good("GET", head("Content-Length: 005") + b"hello", 200, b"hello", AGAIN),
    "blanks around values": Good("GET", head("Content-Length: \t5 \t") + b"hello", 200, b"hello", AGAIN),
    "no reason": Good("GET", head("Content-Length: 0", status="404"), 404, b"", AGAIN),
    "empty reason": Good("GET", head("Content-Length: 0", status="404 "), 404, b"", AGAIN),
    "reason in Latin-1": Good("GET", head("Content-Length: 0", status="404 Não"), 404, b"", AGAIN),
    "chunked": Good("GET", head(CHUNKED) + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200, b"hello", AGAIN),
    "chunked, empty": Good("GET", head(CHUNKED) + b"0\r\n\r\n", 200, b"", AGAIN),
    "chunked, capital": Good(
        "GET", head("Transfer-Encoding: Chunked") + b"A\r\n0123456789\r\n0\r\n\r\n", 200, b"0123456789", AGAIN
    ),
    "chunked, extension": Good("GET", head(CHUNKED) + b'5;a=b;c="d"\r\nhello\r\n0\r\n\r\n', 200, b"hello", AGAIN),
    "chunked, trailer": Good(
        "GET", head(CHUNKED) + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", 200, b"hello", AGAIN
    ),
    "chunked POST": Good(
        "POST", head(CHUNKED, status="201 Created") + b"5\r\nhello\r\n0\r\n\r\n", 201, b"hello", AGAIN
    ),
    "HEAD, length": Good("HEAD", head("Content-Length: 5"), 200, b"", AGAIN),
    "HEAD, no framing": Good("HEAD", head(), 200, b"", AGAIN),
    "HEAD, chunked": Good("HEAD", head(CHUNKED), 200, b"", CLOSE),
    "HEAD, coded": Good("HEAD", head("Content-Encoding: gzip", "Content-Length: 9"), 200, b"", AGAIN),
    "204": Good("DELETE", head(status="204 No Content"), 204, b"", AGAIN),
    "204, length": Good("GET", head("Content-Length: 5", status="204 No Content"), 204, b"", CLOSE),
    "204, chunked": Good("GET", head(CHUNKED, status="204 No Content"), 204, b"", CLOSE),
    "304, length": Good("GET", head("Content-Length: 5", status="304 Not Modified"), 304, b"", AGAIN),
    "304, chunked": Good("GET", head(CHUNKED, status="304 Not Modified"), 304, b"", CLOSE),
    "closing": Good("GET", head("Content-Length: 0", "Connection: close"), 200, b"", CLOSE),
    "closing, in a list": Good("GET", head("Content-Length: 0", "Connection: x, Close"), 200, b"", CLOSE),
    "closing HEAD": Good("HEAD", head("Content-Length: 7", "Connection: close"), 200, b"", CLOSE),
    "HTTP/1.0": Good("GET", head("Content-Length: 0", version="1.0"), 200, b"", CLOSE),
    "HTTP/1.0, kept alive": Good(
        "GET", head("Content-Length: 0", "Connection: Keep-Alive", version="1.0"), 200, b"", AGAIN
    ),
    "HTTP/1.0, both": Good(
        "GET", head("Content-Length: 0", "Connection: close, keep-alive", version="1.0"), 200, b"", CLOSE
    ),
    "100 first": Good("PUT", head(status="100 Continue") + head("Content-Length: 2") + b"ok", 200, b"ok", AGAIN),
    "103 and 102 first": Good(
        "HEAD",
        head("Link: </a>", status="103 Early Hints") + head("Content-Length: 0", status="102 Processing") + head(),
        200,
        b"",
        AGAIN,
    ),
    "upgrade offered": Good(
        "GET", head("Connection: Upgrade", "Upgrade: h2c", "Content-Length: 2") + b"ok", 200, b"ok", AGAIN
    ),
    "status above 599": Good("GET", head("Content-Length: 0", status="999 Odd"), 999, b"", AGAIN),
    "gzip": Good(
        "GET",
        head("Content-Encoding: gzip", f"Content-Length: {len(gzip.compress(b'hello', mtime=0))}")
        + gzip.compress(b"hello", mtime=0),
        200,
        b"hello",
        AGAIN,
    ),
    "identity": Good("GET", head("Content-Encoding: identity", "Content-Length: 2") + b"ok", 200, b"ok", AGAIN),
}

# name: bytes. None of them is a valid response, whatever the method.
BROKEN = {
    "two lengths": head("Content-Length: 3", "Content-Length: 4") + b"abcd",
    "negative length": head("Content-Length: -3") + b"abc",
    "signed length": head("Content-Length: +3") + b"abc",
    "hexadecimal length": head("Content-Length: 0x3") + b"abc",
    "empty length": head("Content-Length: ") + b"abc",
    "fractional length": head("Content-Length: 3.0") + b"abc",
    "huge length": head(f"Content-Length: {10**19}") + b"abc",
    "length and chunks": head("Content-Length: 3", CHUNKED) + b"3\r\nabc\r\n0\r\n\r\n",
    "chunks and length": head(CHUNKED, "Content-Length: 3") + b"3\r\nabc\r\n0\r\n\r\n",
    "chunked twice": head(CHUNKED, CHUNKED) + b"0\r\n\r\n",
    "gzip as transfer coding": head("Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "unknown transfer coding": head("Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "identity as transfer coding": head("Transfer-Encoding: identity") + b"abc",
    "HTTP/1.0 in chunks": head(CHUNKED, version="1.0") + b"0\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "HTTP/0.9 as version": head("Content-Length: 0", version="0.9"),
    "HTTP/1.2": head("Content-Length: 0", version="1.2"),
    "HTTP/2.0": head("Content-Length: 0", version="2.0"),
    "HTTP/1.10": head("Content-Length: 0", version="1.10"),
    "lower case": b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "RTSP": b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status of two digits": head("Content-Length: 0", status="20 OK"),
    "status of four digits": head("Content-Length: 0", status="2000 OK"),
    "status below 100": head("Content-Length: 0", status="099 OK"),
    "two blanks": head("Content-Length: 0", status=" 200 OK"),
    "NUL in the reason": head("Content-Length: 0", status="200 O\0K"),
    "NUL in a value": head("X: a\0b", "Content-Length: 0"),
    "NUL in a name": head("X\0: a", "Content-Length: 0"),
    "control in a value": head("X: a\x01b", "Content-Length: 0"),
    "DEL in a value": head("X: a\x7fb", "Content-Length: 0"),
    "CR in a value": head("X: a\rb", "Content-Length: 0"),
    "LF in a value": head("X: a\nb", "Content-Length: 0"),
    "LF alone": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
    "CR alone": b"HTTP/1.1 200 OK\rContent-Length: 0\r\r\r\n\r\n",
    "blank before the colon": head("X : a", "Content-Length: 0"),
    "folded": head("X: a", " b", "Content-Length: 0"),
    "folded at the start": head(" X: a", "Content-Length: 0"),
    "no colon": head("X", "Content-Length: 0"),
    "no name": head(": a", "Content-Length: 0"),
    "name not ASCII": head("Ä: a", "Content-Length: 0"),
    "line ends in front": b"\r\n\r\n" + head("Content-Length: 0"),
    "switching protocols": head("Upgrade: h2c", "Connection: upgrade", status="101 Switching Protocols"),
    "informational with a length": head("Content-Length: 3", status="100 Continue"),
    "informational in chunks": head(CHUNKED, status="103 Early Hints"),
    "informational without end": head(status="100 Continue") * 9,
    "too long a line": head("X: " + "a" * 70_000),
    "too many lines": head(*["X: a"] * 300),
    "20,000 lines": head(*["X: a"] * 20_000),
    "a head of 10 MB": head("X: " + "a" * 10_000_000),
}

BROKEN_BODIES = {
    "chunk size negative": b"-3\r\nabc\r\n0\r\n\r\n",
    "chunk size in prose": b"three\r\nabc\r\n0\r\n\r\n",
    "chunk size prefixed": b"0x3\r\nabc\r\n0\r\n\r\n",
    "chunk size with blanks": b"3 \r\nabc\r\n0\r\n\r\n",
    "chunk size missing": b"\r\nabc\r\n0\r\n\r\n",
    "chunk size too big": b"f" * 17 + b"\r\nabc\r\n0\r\n\r\n",
    "chunk longer than it says": b"3\r\nabcd\r\n0\r\n\r\n",
    "chunk shorter than it says": b"5\r\nabc\r\n0\r\n\r\n    ",
    "line feeds alone": b"3\nabc\n0\n\n",
    "trailer that is none": b"3\r\nabc\r\n0\r\nX Y\r\n\r\n",
    "extension without end": b"3;" + b"a" * 70_000,
    "trailers without end": b"0\r\n" + b"X: a\r\n" * 20_000,
}


@pytest.mark.parametrize("good", COMPLETE.values(), ids=COMPLETE.keys())
class TestComplete:
    def test_whole(self, good: Good) -> None:
        reader = read(good.method, [good.data])
        response = reader.response()
        assert (response.status, response.body) == (good.status, good.body)
        assert reader.persistent == good.persistent
        assert not reader.surplus

    def test_byte_by_byte(self, good: Good) -> None:
        reader = ResponseReader(good.method, limit=LIMIT)
        for byte in single_bytes(good.data):
            assert not reader.ready
            reader.feed(byte)
        assert reader.ready
        response = reader.response()
        assert (response.status, response.body) == (good.status, good.body)
        assert reader.persistent == good.persistent
        assert response.fields == read(good.method, [good.data]).response().fields

    @pytest.mark.parametrize("surplus", [b"\r\n", b"\0", b"HTTP", OTHER, UPGRADE, b"0\r\n\r\n"])
    def test_with_surplus(self, good: Good, surplus: bytes) -> None:
        data = good.data
        for pieces in (
            [data + surplus],
            [data, surplus],
            single_bytes(data + surplus),
            [data[:-1], data[-1:] + surplus],
        ):
            reader = read(good.method, pieces)
            response = reader.response()
            assert (response.status, response.body) == (good.status, good.body)
            assert reader.surplus
            assert not reader.persistent

    def test_cut_short(self, good: Good) -> None:
        for end in range(0, len(good.data), 3):
            reader = read(good.method, [good.data[:end]] if end else [], eof=True)
            assert reader.failure is not None
            assert not reader.malformed
            assert reader.ready
            assert not reader.done


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
class TestBroken:
    def test_whole(self, data: bytes, method: str) -> None:
        reader = read(method, [data])
        assert reader.failure is not None
        assert reader.malformed
        assert reader.head is None
        assert reader.ready
        assert not reader.persistent

    def test_in_pieces(self, data: bytes, method: str) -> None:
        pieces = single_bytes(data) if len(data) < 5000 else [data[i : i + 1000] for i in range(0, len(data), 1000)]
        reader = read(method, pieces)
        assert reader.failure is not None
        assert reader.head is None
        assert not reader.persistent


@pytest.mark.parametrize("data", BROKEN_BODIES.values(), ids=BROKEN_BODIES.keys())
def test_broken_chunks_are_refused_and_the_status_is_known(data: bytes) -> None:
    whole = head(CHUNKED, status="201 Created") + data
    for pieces in ([whole], [whole[:60], whole[60:]], [whole[i : i + 7] for i in range(0, len(whole), 7)]):
        reader = read("POST", pieces)
        assert reader.failure is not None
        assert reader.status == 201
        assert not reader.done
        reader.feed(OTHER)
        reader.eof()
        assert not reader.done
        assert not reader.persistent


def test_many_small_chunks_are_accepted() -> None:
    reader = read("GET", [head(CHUNKED) + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n"])
    assert reader.response().body == b"x" * 100_000


def test_without_length_the_body_ends_with_the_connection() -> None:
    reader = read("GET", [head() + b"hel", b"lo"])
    assert not reader.ready
    reader.eof()
    assert reader.response().body == b"hello"
    assert not reader.persistent


def test_a_reset_is_not_an_end() -> None:
    reader = read("GET", [head() + b"hel"])
    reader.fail("the connection was reset")
    assert reader.failure == "the connection was reset"
    reader.eof()
    assert not reader.done


def test_a_complete_response_cannot_fail_any_more() -> None:
    reader = read("GET", [head("Content-Length: 0")], eof=True)
    reader.fail("late")
    assert reader.failure is None
    assert reader.done


def test_garbage_fails_at_once() -> None:
    for garbage in (b"SSH-2.0-OpenSSH_9.9\r\n", b"\x15\x03\x03\x00\x02\x02\x50", b"HTTP/1.1 200 OK\nX", b"HTTP/1.3"):
        reader = read("GET", [garbage])
        assert reader.ready
        assert reader.failure is not None


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "data", [head("Content-Length: 101") + b"x" * 101, head(CHUNKED) + b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n"]
)
def test_a_body_longer_than_allowed_is_refused(data: bytes, *, whole: bool) -> None:
    reader = ResponseReader("GET", limit=100, whole=whole)
    reader.feed(data)
    assert reader.failure == "the response body is larger than the limit of 100 bytes"
    assert not reader.done


def test_equal_heads_share_a_response_unless_they_set_a_cookie() -> None:
    plain = head("Content-Length: 0", "X-Once: 1")
    assert read("GET", [plain]).response() is read("GET", [plain]).response()
    cookie = head("Content-Length: 0", "Set-Cookie: a=b")
    assert read("GET", [cookie]).response() is not read("GET", [cookie]).response()


def test_the_head_cache_is_bounded() -> None:
    first = read("HEAD", [head("X: first")]).response()
    for number in range(1000):
        assert read("HEAD", [head(f"X: {number}")]).response().get(b"x") == str(number)
    assert read("HEAD", [head("X: first")]).response() is not first


@pytest.mark.parametrize(
    ("value", "idle_seconds", "left"),
    [
        ("timeout=5, max=100", 4.0, 100),
        ("timeout=15", 14.0, None),
        ("max=0", None, 0),
        ("timeout=1", 0.5, None),
        ("timeout=0", 0.0, None),
        ("TIMEOUT = 20 , Max=7", 19.0, 7),
        ("timeout=86400", 60.0, None),
        ("timeout=soon, max=-1", None, None),
        ("", None, None),
    ],
)
def test_keep_alive(value: str, idle_seconds: float | None, left: int | None) -> None:
    found = read("HEAD", [head(f"Keep-Alive: {value}")]).head
    assert found is not None
    assert (found.idle_seconds, found.requests_left) == (idle_seconds, left)


def test_content_can_be_taken_while_it_arrives() -> None:
    reader = ResponseReader("GET", limit=LIMIT, whole=False)
    reader.feed(head("Content-Length: 10"))
    assert (reader.ready, reader.take()) == (True, b"")
    assert (reader.ready, reader.take()) == (False, b"")
    reader.feed(b"01234")
    reader.feed(b"567")
    assert (reader.ready, reader.buffered) == (True, 8)
    assert reader.take() == b"01234567"
    assert (reader.ready, reader.buffered) == (False, 0)
    reader.feed(b"89")
    assert reader.done
    assert reader.take() == b"89"
    assert reader.ready
    assert reader.persistent


def test_an_incomplete_response_cannot_be_taken() -> None:
    with pytest.raises(AssertionError):
        ResponseReader("GET", limit=LIMIT).response()
