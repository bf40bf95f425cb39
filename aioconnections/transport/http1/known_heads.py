"""The memory of parsed heads.

Responses of one kind differ only in fields that decide neither where the body ends nor whether the connection persists:
a date, a cookie, a request id. These *volatile* fields are cut from a head before it is looked up, and `Keep-Alive`,
which does decide, is read apart. Rules:

- A field is cut only if it has the characters that the parser allows; any other remains, and the whole head is parsed.
- A *template* recognises the lines of a frequent kind of head in one step. It accepts a head only if cutting would give
  the same fields and the same rest as for the head from which it was made.
- A response keeps its own head. Its fields are parsed as soon as a volatile one is asked for, or all of them, so a
  remembered head never supplies a date or a cookie of an earlier response.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from attrs import frozen

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

__all__ = ["EQUAL_HEADS", "KEEP_ALIVES", "SIMILAR_HEADS", "TEMPLATES", "VOLATILE_FIELDS", "read_head"]

HeadT = TypeVar("HeadT", bound=Head)

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

SIMILAR_HEADS: dict[bytes, _SimilarHead] = {}
"""Heads without volatile fields, by their bytes."""

KEEP_ALIVES: dict[bytes, KeepAlive] = {}
"""Meanings of ``Keep-Alive`` by value."""

TEMPLATES: list[_Template] = []
"""Templates of the kinds of heads that were frequent last, the latest first."""

_MOST_KNOWN = 256
_MOST_TEMPLATES = 4
_FREQUENT = 32  # uses of a similar head before its template is made, which takes as long as parsing a dozen heads
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


_TEXT = bytes({*range(256)} - {*range(0x09), *range(0x0A, 0x20), 0x7F})  # the characters of _VALUE


class _SimilarResponse(Response):
    """A response without a body whose head differs from a known one only in volatile fields."""

    __slots__ = ("_parsed", "_raw", "_similar")

    def __init__(self, similar: Response, raw: bytes) -> None:
        self.status: int = similar.status
        self.body: bytes = b""
        self._values = None
        self._similar = similar
        self._raw = raw
        self._parsed: Fields | None = None

    @property
    def is_own_form(self) -> bool:
        """See `Response.is_own_form`."""
        return self._similar.is_own_form

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


class _SimilarHead(Head):
    """A head without its volatile fields, and how often another head was derived from it by cutting."""

    __slots__ = ("uses",)

    def __init__(self, head: Head) -> None:
        super().__init__(head.framing, _without_volatile(head), _NOT_DECLARED)
        self.uses: int = 0


@frozen
class _Template:
    """Recognises the heads that have the same lines as a known one, except for the values of volatile fields.

    Attributes:
        match: matches such a head, but for control characters in these values; its groups are those of `Keep-Alive`.
        line_ends: the line ends of such a head, which are its only control characters apart from tabs.
        similar: the head without volatile fields.
        has_cookie: whether one of the fields is a cookie.
    """

    match: Callable[[bytes], re.Match[bytes] | None]
    line_ends: bytes
    similar: _SimilarHead
    has_cookie: bool


def read_head(raw: bytes) -> Head:
    """The head that `raw`, which includes the blank line, encodes; parsed, or derived from a similar one.

    Raises:
        MalformedResponseError: it is not an acceptable head.
    """
    known = EQUAL_HEADS.get(raw)
    if known is not None:
        return known
    for template in TEMPLATES:
        found = template.match(raw)
        if found is not None and raw.translate(None, _TEXT) == template.line_ends:
            head = _derived(template.similar, raw, found.groups())
            has_cookie = template.has_cookie
            break
    else:
        head, has_cookie = _cut_head(raw)
    if not has_cookie and len(raw) <= _LONGEST_KNOWN:  # a cookie may be a credential, and hardly ever recurs
        _remember(EQUAL_HEADS, raw, head)
    return head


def _cut_head(raw: bytes) -> tuple[Head, bool]:
    """The head, found by cutting its volatile fields; and whether one of them is a cookie."""
    parts = _CUT.split(raw)
    key, keep_alives, cookies = b"".join(parts[::3]), parts[1::3], parts[2::3]
    has_cookie = any(value is not None for value in cookies)
    similar = SIMILAR_HEADS.get(key)
    if similar is None:
        head = parse_head(raw)
        if len(key) <= _LONGEST_KNOWN:
            _remember(SIMILAR_HEADS, key, _SimilarHead(head))
        return head, has_cookie
    if raw.count(b"\n") > MAX_FIELDS + 2:
        raise MalformedResponseError(TOO_MANY_FIELDS)
    similar.uses += 1
    if similar.uses % _FREQUENT == 0:
        TEMPLATES.insert(0, _template(raw, similar, has_cookie=has_cookie))
        del TEMPLATES[_MOST_TEMPLATES:]
    return _derived(similar, raw, [value for value in keep_alives if value is not None]), has_cookie


def _derived(similar: Head, raw: bytes, keep_alives: Sequence[bytes]) -> Head:
    return Head(similar.framing, _SimilarResponse(similar.empty_response, raw), _keep_alive(keep_alives))


def _template(raw: bytes, similar: _SimilarHead, *, has_cookie: bool) -> _Template:
    """The template of heads like `raw`. Its pattern matches in one way at most, so a search never takes long."""
    pattern, end = b"", 0
    for cut in _CUT.finditer(raw):
        name = cut[0].partition(b":")[0]
        value = rb"[^\r]*" if cut[1] is None else rb"([^\r]*)"
        pattern += b"%b:%b\r" % (re.escape(raw[end : cut.start()] + name), value)
        end = cut.end()
    match = re.compile(pattern + re.escape(raw[end:])).fullmatch
    return _Template(match, b"\r\n" * raw.count(b"\n"), similar, has_cookie)


def _remember(heads: dict[bytes, HeadT], key: bytes, head: HeadT) -> None:
    if len(heads) >= _MOST_KNOWN:
        heads.clear()
    heads[key] = head


def _without_volatile(head: Head) -> Response:
    fields = tuple(each for each in head.fields if each[0].lower() not in VOLATILE_FIELDS)
    return Response(head.framing.status, fields)


def _keep_alive(values: Sequence[bytes]) -> KeepAlive:
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
