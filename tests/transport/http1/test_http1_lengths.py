"""Equal values of Content-Length are one (RFC 9110, section 8.6); any other unclear length is refused."""

from __future__ import annotations

import pytest
from transport.responses import AGAIN, CHUNKED, CLOSE, LIMIT, Good, head, read, single_bytes

from aioconnections.transport.http1 import ResponseReader

EQUAL = {
    "the same length twice": Good(
        "GET", head("Content-Length: 5", "Content-Length: 5") + b"hello", 200, b"hello", AGAIN
    ),
    "the same length on lines apart": Good(
        "GET", head("content-length:5 ", "Date: x", "CONTENT-LENGTH:\t05", "X: y") + b"hello", 200, b"hello", AGAIN
    ),
    "a list of lengths": Good("GET", head("Content-Length: 5, 5\t,5") + b"hello", 200, b"hello", AGAIN),
    "lists on two lines": Good("GET", head(*["Content-Length: 0,0"] * 2), 200, b"", AGAIN),
    "HEAD, the same length twice": Good("HEAD", head(*["Content-Length: 0"] * 2, status="404 NF"), 404, b"", AGAIN),
    "201, the same length twice": Good("POST", head(*["Content-Length: 0"] * 2, status="201 C"), 201, b"", AGAIN),
    "204, none twice": Good("GET", head(*["Content-Length: 0"] * 2, status="204 No Content"), 204, b"", AGAIN),
    "204, the same length twice": Good("GET", head(*["Content-Length: 5"] * 2, status="204 N"), 204, b"", CLOSE),
    "304, the same length twice": Good("GET", head(*["Content-Length: 5"] * 2, status="304 N"), 304, b"", AGAIN),
    "100 with none twice": Good(
        "PUT", head(*["Content-Length: 0"] * 2, status="100 C") + head("Content-Length: 0"), 200, b"", AGAIN
    ),
}

# name: bytes. None of them is a valid response, whatever the method.
UNCLEAR = {
    "two lengths in a list": head("Content-Length: 3, 4") + b"abcd",
    "three lengths, one of them another": head("Content-Length: 3, 3", "X: a", "content-length: 4") + b"abcd",
    "the same length twice, folded": head("Content-Length: 3", " X: a", "Content-Length: 3") + b"abc",
    "the same length twice, and folded": head("X: a", "Content-Length: 3", "\tb", "Content-Length: 3") + b"abc",
    "the same length twice, and a signed one": head(*["Content-Length: 3"] * 2, "Content-Length: +3") + b"abc",
    "the same length twice, and a line that is none": head(*["Content-Length: 3"] * 2, "X") + b"abc",
    "the same length twice, and LF in a value": head(*["Content-Length: 3"] * 2, "X: a\nb") + b"abc",
    "the same length twice, and chunks": head(*["Content-Length: 3"] * 2, CHUNKED) + b"3\r\nabc\r\n0\r\n\r\n",
    "the same length twice, HTTP/1.2": head(*["Content-Length: 3"] * 2, version="1.2") + b"abc",
    "a list with an empty member": head("Content-Length: 3,,3") + b"abc",
    "a list that ends with a comma": head("Content-Length: 3,") + b"abc",
    "the same signed length twice": head(*["Content-Length: +3"] * 2) + b"abc",
    "the same length with a blank inside twice": head(*["Content-Length: 1 0"] * 2) + b"0123456789",
    "the same huge length twice": head(*[f"Content-Length: {10**19}"] * 2) + b"abc",
    "a length and an empty one": head("Content-Length: 3", "Content-Length: ") + b"abc",
    "the same length 300 times": head(*["Content-Length: 3"] * 300) + b"abc",
    "informational with the same length twice": head(*["Content-Length: 3"] * 2, status="100 Continue"),
}


@pytest.mark.parametrize("good", EQUAL.values(), ids=EQUAL.keys())
def test_equal_lengths_are_one(good: Good) -> None:
    for pieces in ([good.data], single_bytes(good.data)):
        reader = ResponseReader(good.method, limit=LIMIT)
        for piece in pieces:
            assert not reader.ready
            reader.feed(piece)
        response = reader.response()
        assert (response.status, response.body) == (good.status, good.body)
        assert reader.persistent == good.persistent


@pytest.mark.parametrize("good", EQUAL.values(), ids=EQUAL.keys())
def test_what_follows_equal_lengths_closes_the_connection(good: Good) -> None:
    data = good.data + b"HTTP/1.1 200 OK\r\n\r\n"
    for pieces in ([data], [good.data, data[len(good.data) :]], single_bytes(data)):
        reader = read(good.method, pieces)
        response = reader.response()
        assert (response.status, response.body) == (good.status, good.body)
        assert reader.surplus
        assert not reader.persistent


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("data", UNCLEAR.values(), ids=UNCLEAR.keys())
def test_unclear_lengths_are_refused(data: bytes, method: str) -> None:
    for pieces in ([data], single_bytes(data)):
        reader = read(method, pieces)
        assert reader.failure is not None
        assert reader.malformed
        assert reader.head is None
        assert not reader.persistent


@pytest.mark.parametrize("lines", [["Content-Length: 0", "content-length: 0"], ["Content-Length: 0, 0"]])
def test_equal_lengths_are_one_field_of_the_response(lines: list[str]) -> None:
    response = read("HEAD", [head("Date: x", *lines, "X: y", status="404 Not Found")]).response()
    assert response.fields == ((b"Content-Length", b"0"), (b"Date", b"x"), (b"X", b"y"))


def test_garbage_after_equal_lengths_is_refused() -> None:
    pieces = [*single_bytes(head(*["Content-Length: 0"] * 2)[:-2]), b"no field\r\n", b"\r\n"]
    reader = read("GET", pieces)
    assert reader.failure is not None
    assert reader.malformed
