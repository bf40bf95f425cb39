"""The head of a response: parsed as a whole, with its consequences for the body and the connection."""

from __future__ import annotations

import re
from typing import TypeAlias

from attrs import field, frozen
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from aioconnections.protocol.messages import Response

__all__ = [
    "BLANK_LINE",
    "LONGEST_HEAD",
    "MAX_FIELDS",
    "NOT_HTTP",
    "TOO_MANY_FIELDS",
    "Fields",
    "Framing",
    "Head",
    "KeepAlive",
    "MalformedResponseError",
    "keep_alive",
    "parse_head",
    "valid_fields",
    "without_lengths",
]

LONGEST_HEAD = 64 * 1024
NOT_HTTP = "the response is not valid HTTP/1.0 or HTTP/1.1"
BLANK_LINE = b"\r\n\r\n"
MAX_FIELDS = 256
TOO_MANY_FIELDS = f"the response head has more than {MAX_FIELDS} fields"
_LONGEST_IDLE = 60.0  # seconds

_STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9][0-9])(?: ([\t !-~\x80-\xff]*))?\r\n")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_LENGTH_LINE = re.compile(
    rb"(?<=\r\n)content-length:[\t ]*([0-9]{1,18}(?:[\t ]*,[\t ]*[0-9]{1,18})*)[\t ]*\r\n", re.IGNORECASE
)
_KEEP_ALIVE = re.compile(rb"\b(timeout|max)\s*=\s*([0-9]{1,9})\b", re.IGNORECASE)

Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Names and values of header fields."""

KeepAlive: TypeAlias = tuple[float | None, int | None]
"""Seconds for which a connection may stay idle, and number of further requests on it; None where undeclared."""


class MalformedResponseError(Exception):
    """The received bytes are not an acceptable response. The message contains none of these bytes."""


@frozen
class Framing:
    """What the head of a response says about its body and its connection.

    Attributes:
        status: status code.
        version: ``b"HTTP/1.1"`` or ``b"HTTP/1.0"``.
        reason: the reason phrase.
        length: the declared Content-Length, or None.
        chunked: whether the body is in chunks.
        coding: content coding in lower case; empty if there is none.
        persistent: whether the connection may be used again after a body whose end is known.
        persistent_without_body: the same after a response without a body; False if the head declares a body, which
            may follow nevertheless.
    """

    status: int
    version: bytes
    reason: bytes
    length: int | None
    chunked: bool
    coding: bytes
    persistent: bool
    persistent_without_body: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        announced = self.chunked or (self.status == 204 and bool(self.length))
        object.__setattr__(self, "persistent_without_body", self.persistent and not announced)


class Head:
    """The parsed head of a response.

    Attributes:
        framing: what it says about body and connection.
        idle_seconds: how long the connection may stay idle, a little less than the server declares; or None.
        requests_left: how many further requests the server accepts on this connection, if declared.
        empty_response: the whole response if it has no body. Responses with equal heads may share it.
    """

    __slots__ = ("empty_response", "framing", "idle_seconds", "requests_left")

    def __init__(self, framing: Framing, response: Response, keep_alive: KeepAlive) -> None:
        self.framing: Framing = framing
        self.empty_response: Response = response
        self.idle_seconds: float | None = keep_alive[0]
        self.requests_left: int | None = keep_alive[1]

    @property
    def fields(self) -> Fields:
        """Names as received and values without surrounding white space, in order."""
        return self.empty_response.fields


class _FieldCollector:
    """Collects the fields that llhttp finds in a head."""

    __slots__ = ("complete", "fields")

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


def without_lengths(raw: bytes) -> bytes:
    """A head, or the beginning of one, without its valid Content-Length lines."""
    return _LENGTH_LINE.sub(b"", raw)


def _with_one_length(raw: bytes) -> bytes | None:
    """The head with one Content-Length in place of several equal ones; None if there are not several equal ones.

    RFC 9112, section 6.3: a list of equal valid values counts as that value. Lines of one name form a list (RFC 9110,
    section 5.3).
    """
    lengths = [length.strip(b"\t ") for value in _LENGTH_LINE.findall(raw) for length in value.split(b",")]
    if len(lengths) < 2 or len({int(length) for length in lengths}) > 1:
        return None
    status_line, _, rest = without_lengths(raw).partition(b"\r\n")
    return b"%b\r\nContent-Length: %b\r\n%b" % (status_line, lengths[0], rest)


def valid_fields(raw: bytes) -> Fields:
    """The fields of a head.

    Raises:
        MalformedResponseError: it is not valid.
    """
    found = _parsed_fields(raw)
    if found is None and (single := _with_one_length(raw)) is not None:  # llhttp refuses equal lengths too
        found = _parsed_fields(single)
    if found is None:
        raise MalformedResponseError("the response head is not valid HTTP")
    return found


def _parsed_fields(raw: bytes) -> Fields | None:
    """The fields of a head; None if it is not valid."""
    lines = raw.count(b"\r\n")
    if lines > MAX_FIELDS + 2:
        raise MalformedResponseError(TOO_MANY_FIELDS)
    collector = _FieldCollector()
    try:
        HttpResponseParser(collector).feed_data(raw)
    except (HttpParserError, HttpParserUpgrade):
        valid = False
    else:
        # one field per line and no other line ending: no line was folded or skipped, and the head did not end early
        valid = (
            collector.complete and len(collector.fields) == lines - 2 == raw.count(b"\n") - 2 == raw.count(b"\r") - 2
        )
    return tuple(collector.fields) if valid else None


def _values(fields: Fields, wanted: bytes) -> list[bytes]:
    return [value for name, value in fields if name.lower() == wanted]


def _tokens(fields: Fields, wanted: bytes) -> list[bytes]:
    """The members of a comma-separated list, in lower case."""
    members = b",".join(_values(fields, wanted)).lower().split(b",")
    return [member.strip(b" \t") for member in members if member.strip(b" \t")]


def _length(fields: Fields) -> int | None:
    values = _values(fields, b"content-length")
    if not values:
        return None
    if len(values) > 1 or not _LENGTH.fullmatch(values[0]):
        raise MalformedResponseError("the response has an ambiguous Content-Length")
    return int(values[0])


def keep_alive(value: bytes) -> KeepAlive:
    """The meaning of the value of a ``Keep-Alive`` field."""
    declared = {name.lower(): int(number) for name, number in _KEEP_ALIVE.findall(value)}
    timeout = declared.get(b"timeout")
    idle_seconds = None if timeout is None else min(timeout - min(1.0, timeout / 2), _LONGEST_IDLE)
    return idle_seconds, declared.get(b"max")


def parse_head(raw: bytes) -> Head:
    """The head that `raw`, which includes the blank line, encodes.

    Raises:
        MalformedResponseError: it is not an acceptable head.
    """
    line = _STATUS_LINE.match(raw)
    if line is None:
        raise MalformedResponseError(NOT_HTTP)
    fields = valid_fields(raw)
    status = int(line[2])
    is_http11 = line[1] == b"HTTP/1.1"
    length, transfer = _length(fields), _tokens(fields, b"transfer-encoding")
    if transfer and (transfer != [b"chunked"] or not is_http11 or length is not None):
        raise MalformedResponseError("the response has an ambiguous or unknown Transfer-Encoding")
    if status < 200 and (transfer or length or status == 101):
        raise MalformedResponseError("the informational response switches protocols or announces a body")
    connection = _tokens(fields, b"connection")
    framing = Framing(
        status=status,
        version=line[1],
        reason=line[3] or b"",
        length=length,
        chunked=bool(transfer),
        coding=b",".join(coding for coding in _tokens(fields, b"content-encoding") if coding != b"identity"),
        persistent=b"close" not in connection and (is_http11 or b"keep-alive" in connection),
    )
    return Head(framing, Response(status, fields), keep_alive(b",".join(_values(fields, b"keep-alive"))))
