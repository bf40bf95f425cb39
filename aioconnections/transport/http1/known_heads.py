"""The memory of parsed heads.

Responses of one kind differ only in fields that decide neither where the body ends nor whether the connection persists:
a date, a cookie, a request id. These *volatile* fields are cut from a head before it is looked up, and `Keep-Alive`,
which does decide, is read apart. Rules:

- A field is cut only if it has the characters that the parser allows; any other remains, and the whole head is parsed.
- A response keeps its own head. Its fields are parsed as soon as a volatile one is asked for, or all of them, so a
  remembered head never supplies a date or a cookie of an earlier response.
"""

from __future__ import annotations

import re
from typing import Final

from aioconnections.protocol.messages import Response
from aioconnections.transport.http1.head import (
    MAX_FIELDS,
    TOO_MANY_FIELDS,
    Fields,
    Head,
    KeepAlive,
    MalformedResponseError,
    keep_alive,
    parse_head,
    valid_fields,
)

__all__ = ["EQUAL_HEADS", "KEEP_ALIVES", "SIMILAR_HEADS", "VOLATILE_FIELDS", "read_head"]

VOLATILE_FIELDS: Final = frozenset(
    {
        b"age",
        b"date",
        b"etag",
        b"expires",
        b"keep-alive",
        b"last-modified",
        b"request-id",
        b"set-cookie",
        b"traceparent",
        b"x-correlation-id",
        b"x-request-id",
    }
)
"""Names of the fields that are cut from a head before it is looked up."""

EQUAL_HEADS: dict[bytes, Head] = {}
"""Heads by all of their bytes: those without a cookie often recur within a second."""

SIMILAR_HEADS: dict[bytes, Head] = {}
"""Heads without volatile fields, by their bytes."""

KEEP_ALIVES: dict[bytes, KeepAlive] = {}
"""Meanings of ``Keep-Alive`` by value."""

_MOST_KNOWN = 256
_LONGEST_KNOWN = 1024  # bytes, without volatile fields
_NOT_DECLARED: KeepAlive = (None, None)


def _name(name: bytes) -> bytes:
    """A pattern for `name` in any case; testing the first letter by a set makes the search twice as fast."""
    return b"[%b%b](?i:%b)" % (name[:1], name[:1].upper(), name[1:])


_VALUE = rb"[^\x00-\x08\x0a-\x1f\x7f]*"  # RFC 9110, section 5.5
_PLAIN = b"|".join(_name(name) for name in sorted(VOLATILE_FIELDS - {b"keep-alive", b"set-cookie"}))
_CUT = re.compile(
    rb"\n(?:(?:%b):%b|%b:(%b)|(%b):%b)\r(?=\n)"
    % (_PLAIN, _VALUE, _name(b"keep-alive"), _VALUE, _name(b"set-cookie"), _VALUE)
)


class _SimilarResponse(Response):
    """A response without a body whose head differs from a known one only in volatile fields."""

    __slots__ = ("_parsed", "_raw", "_similar")

    def __init__(self, similar: Response, raw: bytes) -> None:
        super().__init__(similar.status)
        self._own = similar.is_own_form
        self._similar = similar
        self._raw = raw
        self._parsed: Fields | None = None

    @property
    def fields(self) -> Fields:
        """The fields of this response, parsed at the first use."""
        if self._parsed is None:
            self._parsed = valid_fields(self._raw)
        return self._parsed

    def get(self, name: bytes) -> str | None:
        """See `Response.get`."""
        return super().get(name) if name in VOLATILE_FIELDS else self._similar.get(name)

    def get_all(self, name: bytes) -> list[str]:
        """See `Response.get_all`."""
        return super().get_all(name) if name in VOLATILE_FIELDS else self._similar.get_all(name)


def read_head(raw: bytes) -> Head:
    """The head that `raw`, which includes the blank line, encodes; parsed, or derived from a similar one.

    Raises:
        MalformedResponseError: it is not an acceptable head.
    """
    known = EQUAL_HEADS.get(raw)
    if known is not None:
        return known
    parts = _CUT.split(raw)
    key, keep_alives, cookies = b"".join(parts[::3]), parts[1::3], parts[2::3]
    similar = SIMILAR_HEADS.get(key)
    if similar is None:
        head = parse_head(raw)
        if len(key) <= _LONGEST_KNOWN:
            _remember(SIMILAR_HEADS, key, Head(head.framing, _without_volatile(head), _NOT_DECLARED))
    elif raw.count(b"\n") > MAX_FIELDS + 2:
        raise MalformedResponseError(TOO_MANY_FIELDS)
    else:
        declared = _keep_alive([value for value in keep_alives if value is not None])
        head = Head(similar.framing, _SimilarResponse(similar.empty_response, raw), declared)
    if len(raw) <= _LONGEST_KNOWN and not any(cookies):  # a cookie may be a credential, and hardly ever recurs
        _remember(EQUAL_HEADS, raw, head)
    return head


def _remember(heads: dict[bytes, Head], key: bytes, head: Head) -> None:
    if len(heads) >= _MOST_KNOWN:
        heads.clear()
    heads[key] = head


def _without_volatile(head: Head) -> Response:
    fields = tuple(each for each in head.fields if each[0].lower() not in VOLATILE_FIELDS)
    return Response(head.framing.status, fields)


def _keep_alive(values: list[bytes]) -> KeepAlive:
    if not values:
        return _NOT_DECLARED
    value = b",".join(values)
    known = KEEP_ALIVES.get(value)
    if known is None:
        known = keep_alive(value)
        if len(KEEP_ALIVES) >= _MOST_KNOWN:
            KEEP_ALIVES.clear()
        if len(value) <= _LONGEST_KNOWN:
            KEEP_ALIVES[value] = known
    return known
