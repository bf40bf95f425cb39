"""The guard in front of expat: passes on complete tokens only, and refuses declarations and oversized tags.

Expat before 2.6 rescans an incomplete token from its start with every piece, so a long token in small pieces takes
quadratic time. The scanner holds a token back until it is complete and examines each byte once, even in small pieces.
The length of a token and the attributes of a tag are checked before they reach expat.

In a well-formed document ``<`` occurs only at the start of markup, in comments, in CDATA sections and in processing
instructions. In a piece without the latter three, the last ``<`` is therefore the start of the last tag, and
everything before it is complete, so no other byte is examined. If the document is not well-formed, the same step
passes the error on to expat. A ``<`` inside a tag is passed on with what precedes it, and nothing after it, so that
the error is the same for any pieces.
"""

from __future__ import annotations

import re
from enum import Enum

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from aioconnections.errors import AtomError

__all__ = ["HTML_REASON", "NON_TAG", "Scanner", "find_markup", "first_tag", "tag_at"]

HTML_REASON = "expected XML, got an HTML page"

_TAG = re.compile(rb"""<[^"'>]*+(?:"[^"]*+"[^"'>]*+|'[^']*+'[^"'>]*+)*+>""")
_TAG_REST = re.compile(rb"""[^"'>]*+(?:"[^"]*+"[^"'>]*+|'[^']*+'[^"'>]*+)*+""")
_COMMENT = rb"<!--(?P<comment>[^-]*+(?:-(?!->)[^-]*+)*+)-->"
NON_TAG = rb"<!\[CDATA\[[^\]]*+(?:\](?!\]>)[^\]]*+)*+\]\]>|<\?[^?]*+(?:\?(?!>)[^?]*+)*+\?>|" + _COMMENT
_CONSTRUCT = re.compile(NON_TAG + rb"|(?P<tag>(?!<[!?])" + _TAG.pattern + rb")")
_CONSTRUCTS = re.compile(rb"(?:[^<]*+(?:" + _CONSTRUCT.pattern + rb"))*")
_NON_TAG = re.compile(NON_TAG)
_QUOTED = re.compile(rb""""[^"]*+"|'[^']*+'""")
_SHORTEST_ATTRIBUTE = len(b' a=""')
_MAX_NAMESPACE = 128
_LONG_NAMESPACE = re.compile(
    rb"""\sxmlns(?::[^\s=]*+)?+\s*+=\s*+(?:"[^"]{%(too_long)d}|'[^']{%(too_long)d})"""
    % {b"too_long": _MAX_NAMESPACE + 1}
)
# Matches wherever `_LONG_NAMESPACE` does, and rarely elsewhere. It begins with a literal, so the search is fast; a long
# prefix matches too, so that no byte is examined more than once per prefix of 64 bytes.
_MAYBE_LONG_NAMESPACE = re.compile(
    rb"""xmlns(?::[^\s=]{65}|(?::[^\s=]*+)?+\s*+=\s*+(?:"[^"]{%(too_long)d}|'[^']{%(too_long)d}))"""
    % {b"too_long": _MAX_NAMESPACE + 1}
)
_HTML_DOCTYPE = re.compile(rb"<!doctype\s+html\b", re.IGNORECASE)
_MAX_DOCTYPE = 4096
_DOCTYPE_KIND_KNOWN = re.compile(rb"[\[>]")
_MALFORMED_COMMENT = re.compile(rb"--|-\Z|[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_TO_SPACES = bytes(c if c in b"\r\n" else 0x20 for c in range(256))
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
_MAX_FINDS = 200
_SPACE = b" \t\r\n"


class _Mode(Enum):
    """The construct that the scanner is in; the value is its end mark."""

    TEXT = b"<"
    OPEN = b"<?"
    TAG = b">"
    DOUBLE = b'"'
    SINGLE = b"'"
    COMMENT = b"-->"
    CDATA = b"]]>"
    INSTRUCTION = b"?>"
    DECLARATION = b"<!>"


_QUOTE_MODES = {ord('"'): _Mode.DOUBLE, ord("'"): _Mode.SINGLE}
_OPENERS = ((b"<?", _Mode.INSTRUCTION), (b"<!--", _Mode.COMMENT), (b"<![CDATA[", _Mode.CDATA))


def tag_at(document: bytes | bytearray, start: int) -> bytes:
    """Return the complete tag that begins at `start`, or an empty string."""
    match = _TAG.match(document, start)
    return match[0] if match else b""


def first_tag(prolog: bytes) -> bytes:
    """Return the first tag after comments and processing instructions, or an empty string."""
    return next((match[0] for match in _CONSTRUCT.finditer(prolog) if match["tag"]), b"")


def find_markup(data: bytes | bytearray, mark: bytes, start: int = 0) -> int:
    """Return the next position of ``<`` followed by the byte `mark`, or -1."""
    # A search for one rare byte is ten times faster than one for two bytes, unless the byte is frequent.
    position = start
    for _ in range(_MAX_FINDS):
        position = data.find(mark, position + 1)
        if position < 0 or data[position - 1] == 0x3C:
            return max(position - 1, -1)
    return data.find(b"<" + mark, position)


class Scanner:
    """Takes a document in pieces and returns it in pieces that end between tokens.

    Args:
        max_token: maximum bytes of a tag, comment, CDATA section, processing instruction or run of text.
        max_attributes: maximum attributes of an element, including namespace declarations.

    Attributes:
        failure: why the rest of the document is refused: a token that is too long, too many attributes, a long
            namespace URI (the parser repeats it in every name) or a declaration. It applies after the data that the
            last `push` returned.
        last_tag: the last complete tag so far; empty if it is malformed.
    """

    def __init__(self, max_token: int, max_attributes: int) -> None:
        self._max_token = max_token
        self._max_attributes = max_attributes
        self._buffer = bytearray()
        self._mode = _Mode.TEXT
        self._token_start: int = 0  # start of the incomplete token
        self._scanned: int = 0  # end of what has been scanned
        self._upcoming: dict[bytes, int] = {}  # positions of the next ``<!`` and ``<?``
        self._begun = False
        self.failure: AtomError | None = None
        self.last_tag: bytes = b""

    def push(self, piece: bytes) -> bytes:
        """Add `piece`, at most `max_token` bytes; return what is complete. May set `failure`."""
        if not self._begun:
            begins = piece.lstrip(_SPACE)
            self._begun = bool(begins)
            if begins.startswith((b'"', b"'")):  # expat would wait for the end of a quoted string
                self.failure = AtomError("not well-formed (invalid token)")
                return self.take_rest() + piece[: -len(begins)]
        held = len(self._buffer)
        # Rescanning what was held back is cheap where it is shorter than the new piece.
        if held <= len(piece) and held + len(piece) <= self._max_token:
            data = bytes(self._buffer) + piece
            if find_markup(data, b"!") < 0 and find_markup(data, b"?") < 0:
                return self._before_oversized_tag(self._push_plain(data))
        self._buffer += piece
        self._upcoming.clear()
        while self.failure is None and self._advance():
            pass
        self._check_length(len(self._buffer))
        whole = bytes(memoryview(self._buffer)[: self._token_start])
        del self._buffer[: self._token_start]
        self._scanned -= self._token_start
        self._token_start = 0
        return self._before_oversized_tag(whole)

    def _push_plain(self, data: bytes) -> bytes:
        """Return what is complete in data that holds only tags and text; hold the rest back."""
        end = data.rfind(b"<")
        tag = tag_at(data, end) if end >= 0 else b""
        if tag:
            self.last_tag = tag
            end += len(tag)
        elif (before := data.rfind(b"<", 0, max(end, 0))) >= 0:
            self.last_tag = tag_at(data[before:end], 0)
            if not self.last_tag:
                self._buffer.clear()
                return self._malformed(data[:end])
        self._buffer[:] = data[max(end, 0) :]
        self._mode = _Mode.TEXT
        self._scanned = 0
        return data[: max(end, 0)]

    def _malformed(self, before: bytes) -> bytes:
        """Return what the parser gets to report a ``<`` inside a tag, after the data `before` it.

        If a character of several bytes is cut off by the ``<``, expat waits for as many bytes as the character has.
        """
        self.failure = AtomError("malformed tag")
        return before + b"<<<<"

    @property
    def is_between_tokens(self) -> bool:
        """Whether nothing but white space is held back."""
        return self._mode is _Mode.TEXT and self.failure is None and not self._buffer.strip(_SPACE)

    def take_rest(self) -> bytes:
        """Return what is held back, and hold nothing back."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._upcoming.clear()
        self._token_start = self._scanned = 0
        return rest

    def finish(self) -> bytes:
        """Return what was held back at the end of input, for the parser to report."""
        if self._mode is _Mode.DECLARATION:
            self.failure = self.failure or _declaration_error(bytes(self._buffer))
            return b""
        return bytes(self._buffer)

    def _check_length(self, end: int) -> None:
        if end - self._token_start > self._max_token and self.failure is None:
            self.failure = AtomError(f"token longer than {self._max_token} bytes")

    def _advance(self) -> bool:
        """Scan one step; return False if more input is needed."""
        match self._mode:
            case _Mode.TEXT:
                return self._scan_text()
            case _Mode.OPEN:
                return self._scan_opener()
            case _Mode.TAG:
                return self._scan_tag()
            case _Mode.DOUBLE | _Mode.SINGLE:
                return self._scan_quoted()
            case _Mode.DECLARATION:
                return self._scan_declaration()
            case _:
                return self._scan_until(self._mode.value)

    def _scan_text(self) -> bool:
        first = self._buffer.find(b"<", self._scanned)
        if first < 0:
            self._scanned = len(self._buffer)
            return False
        self._check_length(first)
        specials = self._find_special(b"!", first), self._find_special(b"?", first)
        special = min((position for position in specials if position >= 0), default=-1)
        position = special if special >= 0 else self._buffer.rfind(b"<", first)
        if position > first:
            self.last_tag = tag_at(self._buffer[self._buffer.rfind(b"<", first, position) : position], 0)
            if not self.last_tag:
                self._buffer[:] = self._malformed(bytes(self._buffer[:position]))
                self._token_start = self._scanned = len(self._buffer)
                return False
        self._token_start = self._scanned = position
        # A buffer within the limit cannot hold a token beyond it.
        if special < 0 or len(self._buffer) > self._max_token or not self._skip_constructs():
            self._mode = _Mode.OPEN
        return True

    def _skip_constructs(self) -> bool:
        """Skip all complete constructs in one match, for documents with many comments; False if there are none."""
        match = _CONSTRUCTS.match(self._buffer, self._token_start)
        if match is None or match.end() == self._token_start:
            return False
        self.last_tag = match["tag"] or self.last_tag
        self._token_start = self._scanned = self._hide_comments(match.end())
        return True

    def _hide_comments(self, end: int) -> int:
        """Hide the comments between the token and `end`; return the new end, because non-ASCII comments get shorter."""
        hidden = _NON_TAG.sub(_as_instruction, bytes(self._buffer[self._token_start : end]))
        self._buffer[self._token_start : end] = hidden
        self._upcoming.clear()  # positions have changed
        return self._token_start + len(hidden)

    def _find_special(self, mark: bytes, start: int) -> int:
        """Return the next position of ``<`` and `mark`, or -1; the position is cached until `start` passes it."""
        position = self._upcoming.get(mark)
        if position is None or -1 < position < start:
            position = self._upcoming[mark] = find_markup(self._buffer, mark, start)
        return position

    def _scan_opener(self) -> bool:
        head = bytes(self._buffer[self._token_start : self._token_start + 9])
        if len(head) < 2:
            return False
        for opener, mode in _OPENERS:
            if head.startswith(opener):
                self._mode = mode
                self._scanned = self._token_start + len(opener)
                return True
            if opener.startswith(head):
                return False
        self._mode = _Mode.DECLARATION if head.startswith(b"<!") else _Mode.TAG
        self._scanned = self._token_start + 1
        return True

    def _scan_tag(self) -> bool:
        match = _TAG_REST.match(self._buffer, self._scanned)
        self._scanned = match.end() if match else self._scanned
        if self._scanned == len(self._buffer):
            return False
        mode = _QUOTE_MODES.get(self._buffer[self._scanned])
        self._scanned += 1
        if mode is None:
            self.last_tag = bytes(self._buffer[self._token_start : self._scanned])
            return self._end_token()
        self._mode = mode
        return True

    def _scan_quoted(self) -> bool:
        position = self._buffer.find(self._mode.value, self._scanned)
        if position < 0:
            self._scanned = len(self._buffer)
            return False
        self._mode = _Mode.TAG
        self._scanned = position + 1
        return True

    def _scan_until(self, end: bytes) -> bool:
        position = self._buffer.find(end, self._scanned)
        if position < 0:
            # The buffer may end within the end mark.
            self._scanned = max(self._scanned, len(self._buffer) - len(end) + 1)
            return False
        self._scanned = position + len(end)
        if end == _Mode.COMMENT.value:
            self._scanned = self._hide_comments(self._scanned)
        return self._end_token()

    def _end_token(self) -> bool:
        self._check_length(self._scanned)
        self._token_start = self._scanned
        self._mode = _Mode.TEXT
        return True

    def _scan_declaration(self) -> bool:
        head = bytes(self._buffer[self._token_start : self._token_start + _MAX_DOCTYPE])
        if len(head) < _MAX_DOCTYPE and not _DOCTYPE_KIND_KNOWN.search(head):
            return False
        self.failure = _declaration_error(head)
        return False

    def _before_oversized_tag(self, whole: bytes) -> bytes:
        """Return `whole` up to the first tag with too many attributes or a long namespace URI.

        Only tags of a minimum length qualify, and they hold no second ``<``.
        """
        shortest = self._max_attributes * _SHORTEST_ATTRIBUTE
        if _MAYBE_LONG_NAMESPACE.search(whole):
            shortest = min(shortest, _MAX_NAMESPACE)
        tags: frozenset[int] | None = None
        start, end, rfind = 0, len(whole) - shortest, whole.rfind
        while 0 <= start < end:
            after = rfind(b"<", start + 1, start + shortest)
            if after >= 0:
                start = after
                continue
            reason = self._exceeded_limit(tag_at(whole, start))
            if reason:
                tags = _tag_starts(whole) if tags is None else tags
                if start in tags:
                    self.failure = AtomError(reason)
                    return whole[:start]
            start = whole.find(b"<", start + 1)
        return whole

    def _exceeded_limit(self, tag: bytes) -> str | None:
        """Return the limit that a tag exceeds, or None."""
        most = self._max_attributes
        if len(tag) > most * _SHORTEST_ATTRIBUTE and sum(1 for _ in _QUOTED.finditer(tag)) > most:
            return f"more than {most} attributes in one tag"
        if _LONG_NAMESPACE.search(tag):
            return f"namespace URI longer than {_MAX_NAMESPACE} bytes"
        return None


def _as_instruction(match: re.Match[bytes]) -> bytes:
    """Replace a comment with a processing instruction of the same lines and columns.

    ElementTree joins all text so far at every comment, in quadratic time, but not at processing instructions. A
    comment that is not well-formed is left to the parser.
    """
    body: bytes | None = match["comment"]
    if body is None or _MALFORMED_COMMENT.search(body) or not _is_utf8(body):
        return match[0]
    return b"<?c  " + body.translate(_TO_SPACES, _CONTINUATION_BYTES) + b"?>"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _tag_starts(whole: bytes) -> frozenset[int]:
    """Return the start positions of tags, without those of apparent tags in comments and CDATA sections."""
    return frozenset(match.start() for match in _CONSTRUCT.finditer(whole) if match["tag"])


def _declaration_error(head: bytes) -> AtomError:
    """Return the error of a declaration, with the name of defusedxml's exception."""
    if _HTML_DOCTYPE.match(head):
        return AtomError(HTML_REASON)
    guard = DefusedXMLParser(encoding="utf-8", forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        guard.feed(head)
    except DefusedXmlException as error:
        return AtomError(f"document type declarations are not allowed ({type(error).__name__})")
    except ParseError:
        pass
    return AtomError("malformed or unsupported declaration")
