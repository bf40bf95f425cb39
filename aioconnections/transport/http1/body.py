"""Where the body of an answer ends: after a declared length, with its last chunk, or with the connection."""

from __future__ import annotations

from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from aioconnections.transport.http1.head import BadAnswerError, Head

__all__ = ["Body", "body_after"]


class Body(Protocol):
    """Tells content from framing.

    Attributes:
        done: the body is complete.
        surplus: something followed it.
    """

    done: bool
    surplus: bool

    def feed(self, data: bytes) -> bytes:
        """The part of `data` that is content.

        Raises:
            BadAnswerError: the framing is not valid.
        """
        ...

    def eof(self) -> None:
        """The connection has ended."""
        ...


class _Counted:
    """A body of a declared length."""

    __slots__ = ("_left", "done", "surplus")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = not length
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        piece = data[: self._left]
        self._left -= len(piece)
        self.done = not self._left
        self.surplus = self.surplus or len(piece) < len(data)
        return piece

    def eof(self) -> None:
        """Nothing changes: what is missing stays missing."""


class _Endless:
    """A body that ends with the connection."""

    __slots__ = ("done", "surplus")

    def __init__(self) -> None:
        self.done = self.surplus = False

    def feed(self, data: bytes) -> bytes:
        return data

    def eof(self) -> None:
        self.done = True


class _Chunked:
    """A body in chunks, which llhttp reads. Trailers are checked and dropped.

    Framing may take up eight bytes for each of content and 64 KiB besides: extensions and trailers without end are
    refused, chunks of one byte are not.
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
        # llhttp does not say where the body ended. If it did before the last byte of the data, that byte is surplus.
        view = memoryview(data)
        valid = self._accepts(view[:-1])
        self.surplus = self.done
        valid = valid and (self.done or self._accepts(view[-1:]))
        piece = b"".join(self._pieces)
        self._pieces.clear()
        self._overhead += len(data) - len(piece) * (1 + self._OVERHEAD_PER_BYTE)
        if not (valid or self.done) or self._overhead > 0:
            raise BadAnswerError("the chunks of the answer are not valid HTTP")
        return piece

    def _accepts(self, data: memoryview) -> bool:
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):  # llhttp reads surplus as the next answer, which may be an upgrade
            return False
        return True

    def eof(self) -> None:
        """Nothing changes: what is missing stays missing."""


def body_after(head: Head) -> Body:
    """The reader of the body that `head` announces."""
    if head.chunked:
        return _Chunked()
    return _Endless() if head.length is None else _Counted(head.length)
