from __future__ import annotations

import pytest

from aioconnections.errors import InvalidInputError
from aioconnections.protocol.messages import Headers, Request
from aioconnections.transport.http1 import constant_part, foreign_head, request_bytes

CONSTANT = constant_part("h.example:8443", Headers([("User-Agent", "x"), ("Authorization", "Basic YTpi")]))
HEAD = b" HTTP/1.1\r\nHost: h.example:8443\r\nUser-Agent: x\r\nAuthorization: Basic YTpi\r\n"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request("HEAD", "/a?b=%40"), b"HEAD /a?b=%40" + HEAD + b"\r\n"),
        (Request("GET", "/a", Headers([("Accept", "*/*")])), b"GET /a" + HEAD + b"Accept: */*\r\n\r\n"),
        (Request("DELETE", "/a"), b"DELETE /a" + HEAD + b"\r\n"),
        (Request("POST", "/a"), b"POST /a" + HEAD + b"Content-Length: 0\r\n\r\n"),
        (Request("PUT", "/a", body=b""), b"PUT /a" + HEAD + b"Content-Length: 0\r\n\r\n"),
        (Request("POST", "/a", body=b"<entry/>"), b"POST /a" + HEAD + b"Content-Length: 8\r\n\r\n<entry/>"),
        (Request("DELETE", "/a", body=b"x"), b"DELETE /a" + HEAD + b"Content-Length: 1\r\n\r\nx"),
    ],
)
def test_bytes_of_a_request(request_: Request, expected: bytes) -> None:
    assert request_bytes(request_, CONSTANT) == expected


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "Connection", "Expect", "TE", "Upgrade"]
)
def test_only_the_transport_sets_framing_headers(name: str) -> None:
    with pytest.raises(InvalidInputError, match="is set by the transport"):
        constant_part("h", Headers([(name, "1")]))
    with pytest.raises(InvalidInputError, match="is set by the transport"):
        request_bytes(Request("GET", "/", Headers([(name, "1")])), CONSTANT)


@pytest.mark.parametrize("method", ["PATCH", "get", "GET / HTTP/1.1\r\nX:", ""])
def test_other_methods_are_refused(method: str) -> None:
    with pytest.raises(InvalidInputError, match="method"):
        request_bytes(Request(method, "/"), CONSTANT)


def test_a_head_from_another_library() -> None:
    fields = [(b"Host", b"h"), (b"X", b" \tpadded\xe4 ")]
    assert foreign_head(b"PATCH", b"/a", fields) == b"PATCH /a HTTP/1.1\r\nHost: h\r\nX: padded\xe4\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "field"),
    [
        (b"GET /", b"/", (b"X", b"a")),
        (b"", b"/", (b"X", b"a")),
        (b"GET", b"/ HTTP/1.1", (b"X", b"a")),
        (b"GET", b"/\r\n", (b"X", b"a")),
        (b"GET", b"", (b"X", b"a")),
        (b"GET", b"/", (b"X:", b"a")),
        (b"GET", b"/", (b"X", b"a\r\nY: b")),
        (b"GET", b"/", (b"X", b"a\0")),
        (b"GET", b"/", (b"", b"a")),
    ],
)
def test_a_head_with_another_meaning_is_refused(method: bytes, target: bytes, field: tuple[bytes, bytes]) -> None:
    with pytest.raises(InvalidInputError):
        foreign_head(method, target, [field])
