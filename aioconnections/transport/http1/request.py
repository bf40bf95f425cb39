"""Requests as bytes. The part of the head that all requests share is encoded once."""

from __future__ import annotations

import re

from aioconnections.errors import InvalidInputError
from aioconnections.protocol.messages import INVALID_FIELD_NAME, NO_HEADERS, Headers, Request

__all__ = ["constant_part", "foreign_head", "request_bytes"]

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(rb"[\t !-~\x80-\xff]*")
_TARGET = re.compile(rb"[!-~]+")

_METHODS = {name: f"{name} ".encode() for name in ("HEAD", "GET", "POST", "PUT", "DELETE")}
_WITHOUT_BODY = frozenset({"HEAD", "GET", "DELETE"})
_TRANSPORT_HEADERS = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "transfer-encoding", "upgrade"}
)


def _refuse_framing(headers: Headers) -> None:
    name = next((name for name, _ in headers if name.lower() in _TRANSPORT_HEADERS), None)
    if name is not None:
        raise InvalidInputError(f"the header {name} is set by the transport; remove it")


def constant_part(authority: str, common: Headers) -> bytes:
    """The part of the head after the target, equal for all requests to `authority` with the headers `common`.

    Raises:
        InvalidInputError: `common` contains a header that the transport sets.
    """
    _refuse_framing(common)
    return f" HTTP/1.1\r\nHost: {authority}\r\n".encode("ascii") + common.wire


def request_bytes(request: Request, constant: bytes) -> bytes:
    """The whole request, with the `constant` part of its head.

    Raises:
        InvalidInputError: the request contains a header that the transport sets.
    """
    method = _METHODS[request.method]  # `Request` accepts no other
    own = request.headers
    if own is not NO_HEADERS:
        _refuse_framing(own)
    body = request.body
    if body is None and request.method in _WITHOUT_BODY:
        return b"".join((method, request.target.encode("ascii"), constant, own.wire, b"\r\n"))
    body = body or b""
    framing = b"Content-Length: %d\r\n\r\n" % len(body)
    return b"".join((method, request.target.encode("ascii"), constant, own.wire, framing, body))


def foreign_head(method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]) -> bytes:
    """The head of a request of another library, which contains its own framing fields.

    Raises:
        InvalidInputError: a part contains characters that would change the meaning of the request.
    """
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        raise InvalidInputError("the method or the target holds characters that cannot be sent")
    for name, value in fields:
        if not _TOKEN.fullmatch(name):
            raise InvalidInputError(INVALID_FIELD_NAME)
        if not _FIELD_VALUE.fullmatch(value):
            raise InvalidInputError(f"the value of the header {name.decode()} contains characters that cannot be sent")
    lines = b"".join(b"%b: %b\r\n" % (name, value.strip(b" \t")) for name, value in fields)
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, lines)
