"""Responses as bytes, and how they must be read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aioconnections.transport.http1 import ResponseReader

LIMIT = 1_000_000


def read(method: str, pieces: Iterable[bytes], *, eof: bool = False, limit: int = LIMIT) -> ResponseReader:
    reader = ResponseReader(method, limit=limit)
    for piece in pieces:
        reader.feed(piece)
    if eof:
        reader.eof()
    return reader


def single_bytes(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def head(*lines: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    return "".join(f"{line}\r\n" for line in (f"HTTP/{version} {status}", *lines, "")).encode("latin-1")


CHUNKED = "Transfer-Encoding: chunked"


AGAIN, CLOSE = True, False  # whether the connection may be used again


class Good(NamedTuple):
    method: str
    data: bytes
    status: int
    body: bytes
    persistent: bool
