"""Incremental reader for one response."""

from __future__ import annotations

from httptools import HttpParserError, HttpResponseParser

from aioconnections.protocol.messages import Response
from aioconnections.transport.http1.body import Body, body_after, body_too_large, decoded
from aioconnections.transport.http1.head import (
    BLANK_LINE,
    LONGEST_HEAD,
    NOT_HTTP,
    Framing,
    Head,
    MalformedResponseError,
    without_lengths,
)
from aioconnections.transport.http1.known_heads import EQUAL_HEADS, read_head

__all__ = ["CLOSED_EARLY", "NOT_HTTP_BUT_TLS", "ResponseReader"]

CLOSED_EARLY = "the server closed the connection before the response was complete"

_MAX_INFORMATIONAL = 8
_HEAD_TOO_LONG = f"the response head is longer than {LONGEST_HEAD} bytes"
NOT_HTTP_BUT_TLS = "the response is TLS, not HTTP; check the scheme and port of the URL"
_TLS_ALERT = b"\x15\x03"  # the reply of a TLS server to a request in plain text (RFC 8446, section 5.1)
_WITHOUT_BODY = frozenset({204, 304})
_HEAD_STARTS = (b"HTTP/1.1 ", b"HTTP/1.0 ")


class ResponseReader:
    """Reads the response to one request.

    Feed it the received bytes until it is `ready`: the response is complete, or reading it has failed. With
    ``whole=False`` it is also ready when the head is known and whenever content is available to `take`.

    Attributes:
        head: the head, once it is known.
        ready: the caller has something to act on.
        done: the response is complete.
        surplus: bytes followed the response.
        persistent: the connection may be used again: the response is complete, nothing followed it, and its end is
            unambiguous.
        empty_response: the whole response, if it has no body by its status or method.
        failure: why there is no complete response, or None. Contains no received bytes.
        malformed: the failure is due to the bytes that the server sent, not to the end of the connection.
        buffered: number of bytes of content that have not been taken.
    """

    # class-level defaults: one reader is made per request, and most of these never change
    head: Head | None = None
    empty_response: Response | None = None
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
    _early_parser: HttpResponseParser | None = None
    _received: int = 0
    _informational: int = 0

    def __init__(self, method: str, *, limit: int, whole: bool = True) -> None:
        self._method = method
        self._limit = limit
        self._whole = whole

    def feed(self, data: bytes) -> None:
        """Read `data`. Once the response is complete or has failed, more data is surplus."""
        if self._body is not None and self.head is not None:
            self._feed_body(self.head.framing, self._body, data)
        elif self.head is not None or self.failure is not None:
            self._mark_surplus()
        elif self._start is not None:
            self._continue_head(self._start, data)
        elif (end := data.find(BLANK_LINE)) >= 0:
            self._end_head(data, end + 4)
        else:
            self._start = bytearray()
            self._continue_head(self._start, data)

    def eof(self) -> None:
        """Note the end of the connection."""
        if self._body is not None and not self.done and self.failure is None:
            self._body.eof()
            self.done = self._body.done
        if not self.done:
            self.fail(CLOSED_EARLY)
        self.ready = True

    def fail(self, reason: str) -> None:
        """Set `failure`, unless the response is complete or has already failed."""
        if not self.done and self.failure is None:
            self.failure = reason
        self.ready = True

    @property
    def status(self) -> int | None:
        """The status code, once it is known."""
        return None if self.head is None else self.head.framing.status

    def response(self) -> Response:
        """The whole response, decoded. Call it once the response is `done`.

        Raises:
            MalformedResponseError: the content cannot be decoded, or is too long.
        """
        head = self.head
        assert head is not None, "the response is not complete"  # noqa: S101 -- the caller broke the contract
        if not self._pieces:
            return head.empty_response
        body = decoded(b"".join(self._pieces), head.framing.coding, self._limit)
        return Response(head.framing.status, head.fields, body)

    def take(self) -> bytes:
        """The content received since the last call, not decoded."""
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
            self._refuse(_HEAD_TOO_LONG)
        elif not self._may_become_head(start, data, first=not known):
            self._refuse(NOT_HTTP_BUT_TLS if start.startswith(_TLS_ALERT) else NOT_HTTP)

    def _may_become_head(self, start: bytearray, data: bytes, *, first: bool) -> bool:
        """Whether the bytes so far can begin a head. Invalid bytes are refused at once, not at the deadline."""
        if first:
            self._early_parser = HttpResponseParser(object())
        if self._early_parser is not None:
            try:
                self._early_parser.feed_data(data)
            except HttpParserError:
                if not _repeats_length(start):
                    return False
                self._early_parser = None  # repeated lengths are checked once the head is complete
        return any(line.startswith(start[:9]) for line in _HEAD_STARTS)

    def _end_head(self, data: bytes, end: int) -> None:
        if end > LONGEST_HEAD:
            self._refuse(_HEAD_TOO_LONG)
            return
        raw, rest = data[:end], data[end:]
        try:
            head = EQUAL_HEADS.get(raw) or read_head(raw)
        except MalformedResponseError as error:
            self._refuse(str(error))
            return
        framing = head.framing
        if framing.status < 200:
            self._after_informational(rest)
            return
        self.head = head
        if self._method == "HEAD" or framing.status in _WITHOUT_BODY:
            self.done = self.ready = True
            self.empty_response = head.empty_response
            self.surplus = bool(rest)
            self.persistent = framing.persistent_without_body and not rest
            return
        self._body = body_after(framing)
        self._feed_body(framing, self._body, rest)

    def _after_informational(self, rest: bytes) -> None:
        self._start = None
        self._informational += 1
        if self._informational > _MAX_INFORMATIONAL:
            self._refuse(f"the server sent more than {_MAX_INFORMATIONAL} informational responses to one request")
        elif rest:
            self.feed(rest)

    def _feed_body(self, framing: Framing, body: Body, data: bytes) -> None:
        if self.failure is not None:
            return
        if self.done:
            self._mark_surplus()
            return
        try:
            piece = body.feed(data) if data else b""
        except MalformedResponseError as error:
            self._refuse(str(error))
            return
        if piece:
            self._keep(piece)
        self.done = body.done and self.failure is None
        self.surplus = body.surplus
        self.persistent = self.done and framing.persistent and not self.surplus
        self.ready = self.ready or self.done or not self._whole

    def _refuse(self, reason: str) -> None:
        self.malformed = self.malformed or self.failure is None
        self.fail(reason)

    def _mark_surplus(self) -> None:
        self.surplus = True
        self.persistent = False

    def _keep(self, piece: bytes) -> None:
        if self._pieces is None:
            self._pieces = []
        self._pieces.append(piece)
        self.buffered += len(piece)
        self._received += len(piece)
        if self._received > self._limit:
            self._refuse(str(body_too_large(self._limit)))


def _repeats_length(start: bytes | bytearray) -> bool:
    """Whether the beginning of a head is valid once its Content-Length lines are removed."""
    lines, end, last = bytes(start).rpartition(b"\r\n")
    if not last.lower().startswith(b"content-length:"):
        end += last
    try:
        HttpResponseParser(object()).feed_data(without_lengths(lines + end))
    except HttpParserError:
        return False
    return True
