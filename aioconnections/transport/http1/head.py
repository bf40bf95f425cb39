"""The head of an answer: checked whole, and what it says of the body and of the connection."""

from __future__ import annotations

import re

from attrs import field, frozen
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from aioconnections.protocol.messages import Response

__all__ = ["BLANK_LINE", "LONGEST_HEAD", "BadAnswerError", "Head", "read_head", "without_lengths"]

LONGEST_HEAD = 64 * 1024
BLANK_LINE = b"\r\n\r\n"
_MOST_FIELDS = 256
_LONGEST_REST = 60.0

_STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9][0-9])(?: ([\t !-~\x80-\xff]*))?\r\n")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_LENGTH_LINE = re.compile(
    rb"(?<=\r\n)content-length:[\t ]*([0-9]{1,18}(?:[\t ]*,[\t ]*[0-9]{1,18})*)[\t ]*\r\n", re.IGNORECASE
)
_KEEP_ALIVE = re.compile(rb"\b(timeout|max)\s*=\s*([0-9]{1,9})\b", re.IGNORECASE)

_Fields = tuple[tuple[bytes, bytes], ...]


class BadAnswerError(Exception):
    """What came is not an acceptable answer; the text is one of our constants."""


@frozen
class Head:
    """The head of an answer, checked, and what it says of the connection.

    Attributes:
        status: status code.
        version: ``b"HTTP/1.1"`` or ``b"HTTP/1.0"``.
        reason: what stands behind the status code.
        fields: in order, names as received, values without the blanks around them.
        length: what Content-Length declares, or None.
        chunked: whether the body comes in chunks.
        coding: content coding in lower case; empty if there is none.
        persistent: whether the connection may be used again after a body of which one knows where it ends.
        persistent_bare: the same after an answer without body: not if one was announced that could follow all the same.
        rest: seconds for which the connection may stay idle: a little less than the server says, or None.
        requests_left: how many further requests the server takes on it, if it said.
        bare: the whole answer if it has no body. Answers are immutable, so every one with this head may be this one.
    """

    status: int
    version: bytes
    reason: bytes
    fields: _Fields
    length: int | None
    chunked: bool
    coding: bytes
    persistent: bool
    rest: float | None
    requests_left: int | None
    persistent_bare: bool = field(init=False)
    bare: Response = field(init=False)

    def __attrs_post_init__(self) -> None:
        announced = self.chunked or (self.status == 204 and bool(self.length))
        object.__setattr__(self, "persistent_bare", self.persistent and not announced)
        object.__setattr__(self, "bare", Response(self.status, self.fields))


class _Gathered:
    """Gathers what llhttp finds in a head."""

    __slots__ = ("ended", "found")

    def __init__(self) -> None:
        self.found: list[tuple[bytes, bytes]] = []
        self.ended = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.found.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.ended = True


def without_lengths(raw: bytes) -> bytes:
    """A head, or the beginning of one, without its lines that say nothing but a length, or several."""
    return _LENGTH_LINE.sub(b"", raw)


def _with_one_length(raw: bytes) -> bytes | None:
    """The head with one Content-Length in place of several equal ones; None if there are not several equal ones.

    RFC 9112, section 6.3: a list whose members are all valid and the same counts as that one value, and lines of one
    name are a list (RFC 9110, section 5.3).
    """
    said = [length.strip(b"\t ") for value in _LENGTH_LINE.findall(raw) for length in value.split(b",")]
    if len(said) < 2 or len({int(length) for length in said}) > 1:
        return None
    status_line, _, rest = without_lengths(raw).partition(b"\r\n")
    return b"%b\r\nContent-Length: %b\r\n%b" % (status_line, said[0], rest)


def _fields(raw: bytes) -> _Fields:
    found = _valid_fields(raw)
    if found is None and (single := _with_one_length(raw)) is not None:  # llhttp refuses several, equal or not
        found = _valid_fields(single)
    if found is None:
        raise BadAnswerError("the head of the answer is not valid HTTP")
    return found


def _valid_fields(raw: bytes) -> _Fields | None:
    """The fields of a head; None if it is not valid."""
    lines = raw.count(b"\r\n")
    if lines > _MOST_FIELDS + 2:
        raise BadAnswerError("the head of the answer has too many fields")
    gathered = _Gathered()
    try:
        HttpResponseParser(gathered).feed_data(raw)
    except (HttpParserError, HttpParserUpgrade):
        valid = False
    else:
        # one field per line and no other line end: nothing was folded, skipped or ended early
        valid = gathered.ended and len(gathered.found) == lines - 2 == raw.count(b"\n") - 2 == raw.count(b"\r") - 2
    return tuple(gathered.found) if valid else None


def _values(fields: _Fields, wanted: bytes) -> list[bytes]:
    return [value for name, value in fields if name.lower() == wanted]


def _tokens(fields: _Fields, wanted: bytes) -> list[bytes]:
    """The members of a comma-separated list, in lower case."""
    members = b",".join(_values(fields, wanted)).lower().split(b",")
    return [member.strip(b" \t") for member in members if member.strip(b" \t")]


def _length(fields: _Fields) -> int | None:
    values = _values(fields, b"content-length")
    if not values:
        return None
    if len(values) > 1 or not _LENGTH.fullmatch(values[0]):
        raise BadAnswerError("the answer does not say clearly how long it is")
    return int(values[0])


def _keep_alive(fields: _Fields) -> dict[bytes, int]:
    return {name.lower(): int(value) for name, value in _KEEP_ALIVE.findall(b",".join(_values(fields, b"keep-alive")))}


def _parse_head(raw: bytes) -> Head:
    line = _STATUS_LINE.match(raw)
    if line is None:
        raise BadAnswerError("the status line of the answer is not one of HTTP/1.0 or HTTP/1.1")
    fields = _fields(raw)
    status = int(line[2])
    modern = line[1] == b"HTTP/1.1"
    length, transfer = _length(fields), _tokens(fields, b"transfer-encoding")
    if transfer and (transfer != [b"chunked"] or not modern or length is not None):
        raise BadAnswerError("the answer does not say clearly how it is framed")
    if status < 200 and (transfer or length or status == 101):
        raise BadAnswerError("the informational answer is not one that was asked for")
    connection = _tokens(fields, b"connection")
    said = _keep_alive(fields)
    patience = said.get(b"timeout")
    return Head(
        status=status,
        version=line[1],
        reason=line[3] or b"",
        fields=fields,
        length=length,
        chunked=bool(transfer),
        coding=b",".join(coding for coding in _tokens(fields, b"content-encoding") if coding != b"identity"),
        persistent=b"close" not in connection and (modern or b"keep-alive" in connection),
        rest=None if patience is None else min(patience - min(1.0, patience / 2), _LONGEST_REST),
        requests_left=said.get(b"max"),
    )


_RECENT_HEADS: dict[bytes, Head] = {}
_MOST_RECENT = 256
_LONGEST_RECENT = 1024


def read_head(raw: bytes) -> Head:
    """The head whose bytes, blank line included, are `raw`.

    Answers of one kind differ in nothing but their Date, which changes once a second, so what the same bytes meant
    is remembered for a while. Heads that set a cookie are not.

    Raises:
        BadAnswerError: it is not an acceptable head.
    """
    head = _RECENT_HEADS.get(raw)
    if head is None:
        head = _parse_head(raw)
        if len(raw) <= _LONGEST_RECENT and not _values(head.fields, b"set-cookie"):
            if len(_RECENT_HEADS) >= _MOST_RECENT:
                _RECENT_HEADS.clear()
            _RECENT_HEADS[raw] = head
    return head
