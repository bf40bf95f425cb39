"""Response bodies: framing (length, chunks, end of the connection) and content codings, decoded in bounded steps."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from aioconnections.transport.http1.head import Framing, MalformedResponseError

__all__ = ["LARGEST_BODY", "Body", "Decoder", "body_after", "body_too_large", "decoded"]

LARGEST_BODY = 64 * 1024 * 1024  # bytes, decoded

_STEP = 64 * 1024  # bytes per step; 64 KiB of gzip may expand to 64 MiB
_MAX_GZIP_MEMBERS = 1000  # per response; each costs time, even an empty one
_GZIP, _ZLIB, _RAW = 31, 15, -15  # window sizes, which select the format


def body_too_large(limit: int) -> MalformedResponseError:
    """The error for a body of more than `limit` bytes."""
    return MalformedResponseError(f"the response body is larger than the limit of {limit} bytes")


# --- framing ---


class Body(Protocol):
    """Separates the content of a body from its framing.

    Attributes:
        done: the body is complete.
        surplus: bytes followed the body.
    """

    done: bool
    surplus: bool

    def feed(self, data: bytes) -> bytes:
        """The part of `data` that is content.

        Raises:
            MalformedResponseError: the framing is not valid.
        """
        ...

    def eof(self) -> None:
        """Note the end of the connection."""
        ...


class _LengthBody:
    """A body of a declared length."""

    __slots__ = ("_missing", "done", "surplus")

    def __init__(self, length: int) -> None:
        self._missing = length
        self.done = not length
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        piece = data[: self._missing]
        self._missing -= len(piece)
        self.done = not self._missing
        self.surplus = self.surplus or len(piece) < len(data)
        return piece

    def eof(self) -> None:
        """Do nothing: the end of the connection does not complete the body."""


class _UntilCloseBody:
    """A body that ends with the connection."""

    __slots__ = ("done", "surplus")

    def __init__(self) -> None:
        self.done = self.surplus = False

    def feed(self, data: bytes) -> bytes:
        return data

    def eof(self) -> None:
        self.done = True


class _ChunkedBody:
    """A body in chunks, which llhttp reads. Trailers are checked and dropped.

    Framing may take eight bytes per byte of content plus 64 KiB: endless extensions and trailers are refused, chunks
    of one byte are not.
    """

    __slots__ = ("_overhead", "_parser", "_pieces", "done", "surplus")

    _HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    _OVERHEAD_ALLOWED = 64 * 1024
    _OVERHEAD_PER_BYTE = 8

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._overhead = -self._OVERHEAD_ALLOWED
        self.done = self.surplus = False
        self._parser = HttpResponseParser(self)
        self._parser.feed_data(self._HEAD)

    def on_body(self, piece: bytes) -> None:
        if not self.done:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self.done = True

    def feed(self, data: bytes) -> bytes:
        # llhttp does not report where the body ended. If it ended before the last byte, that byte is surplus.
        view = memoryview(data)
        valid = self._accepts(view[:-1])
        self.surplus = self.done
        valid = valid and (self.done or self._accepts(view[-1:]))
        piece = b"".join(self._pieces)
        self._pieces.clear()
        self._overhead += len(data) - len(piece) * (1 + self._OVERHEAD_PER_BYTE)
        if not (valid or self.done) or self._overhead > 0:
            raise MalformedResponseError("the chunks of the response are not valid HTTP")
        return piece

    def _accepts(self, data: memoryview) -> bool:
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):  # llhttp reads surplus as the next response, possibly an upgrade
            return False
        return True

    def eof(self) -> None:
        """Do nothing: the end of the connection does not complete the body."""


def body_after(framing: Framing) -> Body:
    """The reader for the body that `framing` declares."""
    if framing.chunked:
        return _ChunkedBody()
    return _UntilCloseBody() if framing.length is None else _LengthBody(framing.length)


# --- content codings ---


class Decoder:
    """Decodes one content coding: ``gzip``, ``x-gzip`` or ``deflate`` (with or without the zlib header).

    Raises:
        MalformedResponseError: `coding` is not one of these.
    """

    def __init__(self, coding: bytes) -> None:
        if coding not in {b"gzip", b"x-gzip", b"deflate"}:
            raise MalformedResponseError("the response has a content coding other than gzip and deflate")
        self._gzip = coding != b"deflate"
        self._start = b""
        self._members = 1
        self._stream = zlib.decompressobj(_GZIP) if self._gzip else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode `data` on demand, in pieces of at most 64 KiB.

        Raises:
            MalformedResponseError: `data` is not valid in this coding.
        """
        if self._stream is None:
            data = self._start = self._start + data
            if len(data) < 2:
                return
            has_header = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._stream = zlib.decompressobj(_ZLIB if has_header else _RAW)
        for start in range(0, len(data), _STEP):  # zlib copies the unused input at each call
            yield from self._feed(data[start : start + _STEP])

    def _feed(self, data: bytes) -> Iterator[bytes]:
        stream = self._stream
        assert stream is not None  # noqa: S101 # set by the caller
        while data:
            if stream.eof:
                stream = self._stream = self._next_member()
            piece = self._step(stream, data)
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
            if piece:
                yield piece
        while not stream.eof and (piece := self._step(stream, b"")):
            yield piece

    def _next_member(self) -> zlib._Decompress:
        self._members += 1
        if not self._gzip or self._members > _MAX_GZIP_MEMBERS:
            raise MalformedResponseError("the response has data after the end of its encoded content")
        return zlib.decompressobj(_GZIP)

    def _step(self, stream: zlib._Decompress, data: bytes) -> bytes:
        try:
            return stream.decompress(data, _STEP)
        except zlib.error:
            pass
        raise MalformedResponseError("the response content is not valid in its declared content coding")

    def end(self) -> None:
        """Check that the content is complete.

        Raises:
            MalformedResponseError: part of it is missing.
        """
        if self._stream is None or not self._stream.eof:
            raise MalformedResponseError("the encoded content of the response is incomplete")


def decoded(data: bytes, coding: bytes, limit: int) -> bytes:
    """The decoded content of `data`; an empty `coding` means that it is not encoded.

    Raises:
        MalformedResponseError: `data` is not valid in this coding, or decodes to more than `limit` bytes.
    """
    if not coding:
        return data
    decoder = Decoder(coding)
    pieces: list[bytes] = []
    size = 0
    for piece in decoder.feed(data):
        size += len(piece)
        if size > limit:
            raise body_too_large(limit)
        pieces.append(piece)
    decoder.end()
    return b"".join(pieces)
