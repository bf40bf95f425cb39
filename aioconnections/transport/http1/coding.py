"""Content codings, undone in bounded steps: 64 KiB of gzip may hold 64 MiB, and nobody asked for them at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from aioconnections.transport.http1.head import BadAnswerError

__all__ = ["Decoder", "decoded"]

_STEP = 64 * 1024
_MOST_MEMBERS = 1000  # of gzip in one answer; each costs time, even an empty one
_GZIP, _ZLIB, _RAW = 31, 15, -15


class Decoder:
    """Undoes one content coding: ``gzip``, ``x-gzip`` or ``deflate`` (with or without zlib's frame).

    Raises:
        BadAnswerError: the coding is another one.
    """

    def __init__(self, coding: bytes) -> None:
        if coding not in {b"gzip", b"x-gzip", b"deflate"}:
            raise BadAnswerError("the answer has a content coding that nobody asked for")
        self._gzip = coding != b"deflate"
        self._start = b""
        self._members = 1
        self._stream = zlib.decompressobj(_GZIP) if self._gzip else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` decodes to, in pieces of at most 64 KiB, decoded as they are asked for.

        Raises:
            BadAnswerError: it is not of this coding.
        """
        if self._stream is None:
            data = self._start = self._start + data
            if len(data) < 2:
                return
            framed = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._stream = zlib.decompressobj(_ZLIB if framed else _RAW)
        for start in range(0, len(data), _STEP):  # zlib copies what it has not used yet, each time that it is asked
            yield from self._feed(data[start : start + _STEP])

    def _feed(self, data: bytes) -> Iterator[bytes]:
        stream = self._stream
        assert stream is not None  # noqa: S101 # the caller has looked
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
        if not self._gzip or self._members > _MOST_MEMBERS:
            raise BadAnswerError("the answer has more content than its coding says")
        return zlib.decompressobj(_GZIP)

    def _step(self, stream: zlib._Decompress, data: bytes) -> bytes:
        try:
            return stream.decompress(data, _STEP)
        except zlib.error:
            pass
        raise BadAnswerError("the content of the answer is not of the coding that it says")

    def end(self) -> None:
        """No more will come.

        Raises:
            BadAnswerError: something is missing.
        """
        if self._stream is None or not self._stream.eof:
            raise BadAnswerError("the content of the answer breaks off")


def decoded(data: bytes, coding: bytes, limit: int) -> bytes:
    """The content that `data` is `coding` of; an empty coding is none.

    Raises:
        BadAnswerError: it is not, or there are more than `limit` bytes of it.
    """
    if not coding:
        return data
    decoder = Decoder(coding)
    pieces: list[bytes] = []
    for piece in decoder.feed(data):
        limit -= len(piece)
        if limit < 0:
            raise BadAnswerError("the answer is longer than allowed")
        pieces.append(piece)
    decoder.end()
    return b"".join(pieces)
