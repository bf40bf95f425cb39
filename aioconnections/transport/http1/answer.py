"""One answer, read from whatever pieces it arrives in."""

from __future__ import annotations

from httptools import HttpParserError, HttpResponseParser

from aioconnections.protocol.messages import Response
from aioconnections.transport.http1.body import Body, body_after
from aioconnections.transport.http1.coding import decoded
from aioconnections.transport.http1.head import (
    BLANK_LINE,
    LONGEST_HEAD,
    BadAnswerError,
    Head,
    read_head,
    without_lengths,
)

__all__ = ["Answer"]

_MOST_INFORMATIONAL = 8
_LONG_HEAD = "the head of the answer is longer than allowed"
_NO_HTTP = "what came is not HTTP"
_TLS = "what came is TLS and not HTTP; check the scheme and port of the URL"
_ALERT = b"\x15\x03"  # how TLS complains of a request that is not encrypted (RFC 8446, section 5.1)
_WITHOUT_BODY = frozenset({204, 304})
_HEADS_BEGIN = (b"HTTP/1.1 ", b"HTTP/1.0 ")


class Answer:
    """Reads the answer to one request.

    Feed it what arrives until it is `ready`: the whole answer has come, or what came is no answer. With
    ``whole=False`` it is also ready whenever content may be taken, first when the head is known; `take` takes it.

    Attributes:
        head: the head, once it is known.
        ready: there is something to act on.
        done: the answer is complete.
        surplus: something followed it.
        persistent: the connection may be used again: the answer is complete, alone, and leaves no doubt about its end.
        failure: why what came is no answer, in words that hold nothing of it, or None.
        malformed: it failed because of what the server sent, and not because the connection ended.
        buffered: bytes of content that wait to be taken.
    """

    # defaults of the class: one of these is made for every request, and most of them never change
    head: Head | None = None
    failure: str | None = None
    malformed: bool = False
    ready: bool = False
    done: bool = False
    surplus: bool = False
    persistent: bool = False
    buffered: int = 0
    _start: bytearray | None = None
    _body: Body | None = None
    _pieces: list[bytes] | None = None
    _early: HttpResponseParser | None = None
    _received: int = 0
    _informational: int = 0

    def __init__(self, method: str, *, limit: int, whole: bool = True) -> None:
        self._method = method
        self._limit = limit
        self._whole = whole

    def feed(self, data: bytes) -> None:
        """What arrived. Once the answer is complete or broken, more is surplus."""
        if self._body is not None and self.head is not None:
            self._feed_body(self.head, self._body, data)
        elif self.head is not None or self.failure is not None:
            self._spoil()
        elif self._start is not None:
            self._continue_head(self._start, data)
        elif (end := data.find(BLANK_LINE)) >= 0:
            self._end_head(data, end + 4)
        else:
            self._start = bytearray()
            self._continue_head(self._start, data)

    def eof(self) -> None:
        """The connection has ended."""
        if self._body is not None and not self.done and self.failure is None:
            self._body.eof()
            self.done = self._body.done
        if not self.done:
            self.fail("the connection ended before the answer did")
        self.ready = True

    def fail(self, reason: str) -> None:
        """Give up on the answer, unless it is complete."""
        if not self.done and self.failure is None:
            self.failure = reason
        self.ready = True

    @property
    def status(self) -> int | None:
        """The status code, once it is known."""
        return None if self.head is None else self.head.status

    def response(self) -> Response:
        """The whole answer, decoded. To be asked for once it is done.

        Raises:
            BadAnswerError: the content is not of the coding that the head names, or too long.
        """
        head = self.head
        assert head is not None, "the answer has not come"  # noqa: S101 -- the caller broke the contract
        if not self._pieces:
            return head.bare
        return Response(head.status, head.fields, decoded(b"".join(self._pieces), head.coding, self._limit))

    def take(self) -> bytes:
        """The content that has arrived since, not decoded."""
        content = b"".join(self._pieces or ())
        self._pieces = None
        self.buffered = 0
        self.ready = self.done or self.failure is not None
        return content

    def _continue_head(self, start: bytearray, data: bytes) -> None:
        known = len(start)
        start += data
        end = start.find(BLANK_LINE, max(known - 3, 0))
        if end >= 0:
            self._end_head(bytes(start), end + 4)
        elif len(start) > LONGEST_HEAD:
            self._refuse(_LONG_HEAD)
        elif not self._may_become_head(start, data, first=not known):
            self._refuse(_TLS if start.startswith(_ALERT) else _NO_HTTP)

    def _may_become_head(self, start: bytearray, data: bytes, *, first: bool) -> bool:
        """Garbage is told from a slow head at once, not when the time is up."""
        if first:
            self._early = HttpResponseParser(object())
        if self._early is not None:
            try:
                self._early.feed_data(data)
            except HttpParserError:
                if not _repeats_length(start):
                    return False
                self._early = None  # several equal lengths are one, which the whole head will show
        return any(line.startswith(start[:9]) for line in _HEADS_BEGIN)

    def _end_head(self, data: bytes, end: int) -> None:
        if end > LONGEST_HEAD:
            self._refuse(_LONG_HEAD)
            return
        try:
            head = read_head(data[:end])
        except BadAnswerError as error:
            self._refuse(str(error))
            return
        rest = data[end:]
        if head.status < 200:
            self._after_informational(rest)
            return
        self.head = head
        if self._method == "HEAD" or head.status in _WITHOUT_BODY:
            self.done = self.ready = True
            self.surplus = bool(rest)
            self.persistent = head.persistent_bare and not rest
            return
        self._body = body_after(head)
        self._feed_body(head, self._body, rest)

    def _after_informational(self, rest: bytes) -> None:
        self._start = None
        self._informational += 1
        if self._informational > _MOST_INFORMATIONAL:
            self._refuse("the server keeps sending informational answers")
        elif rest:
            self.feed(rest)

    def _feed_body(self, head: Head, body: Body, data: bytes) -> None:
        if self.failure is not None:
            return
        if self.done:
            self._spoil()
            return
        try:
            piece = body.feed(data) if data else b""
        except BadAnswerError as error:
            self._refuse(str(error))
            return
        if piece:
            self._keep(piece)
        self.done = body.done and self.failure is None
        self.surplus = body.surplus
        self.persistent = self.done and head.persistent and not self.surplus
        self.ready = self.ready or self.done or not self._whole

    def _refuse(self, reason: str) -> None:
        self.malformed = self.malformed or self.failure is None
        self.fail(reason)

    def _spoil(self) -> None:
        self.surplus = True
        self.persistent = False

    def _keep(self, piece: bytes) -> None:
        if self._pieces is None:
            self._pieces = []
        self._pieces.append(piece)
        self.buffered += len(piece)
        self._received += len(piece)
        if self._received > self._limit:
            self._refuse("the answer is longer than allowed")


def _repeats_length(start: bytes | bytearray) -> bool:
    """Whether the beginning of a head would be a good one if it told a length once, or not at all."""
    lines, end, last = bytes(start).rpartition(b"\r\n")
    if not last.lower().startswith(b"content-length:"):
        end += last
    try:
        HttpResponseParser(object()).feed_data(without_lengths(lines + end))
    except HttpParserError:
        return False
    return True
