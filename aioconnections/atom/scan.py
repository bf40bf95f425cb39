"""What stands in front of expat: cuts a document where a tag ends, and keeps back what is not complete.

Expat looks at an incomplete token again from its start with every piece that arrives, which makes a long token in
small pieces quadratic in versions before 2.6. So it is given whole tokens only; here each byte is looked at once,
however small the pieces. The length of a token and the attributes of a tag are bounded before expat sees them.

In a well-formed document ``<`` stands nowhere but at the start of a tag, save in comments, CDATA sections and
processing instructions. Where none of these is near, the last ``<`` is therefore the start of the last tag, and all
before it is complete: no other byte needs a look. In a document that is not well-formed the same step hands expat
the place where it is broken.
"""

from __future__ import annotations

import re
from enum import Enum

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from aioconnections.errors import AtomError

__all__ = ["HTML_REASON", "NO_TAG", "Scanner", "first_tag", "search", "tag_at"]

HTML_REASON = "an HTML page where an XML document was expected"

_TAG = re.compile(rb"""<[^"'>]*+(?:"[^"]*+"[^"'>]*+|'[^']*+'[^"'>]*+)*+>""")
_TAG_REST = re.compile(rb"""[^"'>]*+(?:"[^"]*+"[^"'>]*+|'[^']*+'[^"'>]*+)*+""")
_COMMENT = rb"<!--(?P<comment>[^-]*+(?:-(?!->)[^-]*+)*+)-->"
NO_TAG = rb"<!\[CDATA\[[^\]]*+(?:\](?!\]>)[^\]]*+)*+\]\]>|<\?[^?]*+(?:\?(?!>)[^?]*+)*+\?>|" + _COMMENT
_CONSTRUCT = re.compile(NO_TAG + rb"|(?P<tag>(?!<[!?])" + _TAG.pattern + rb")")
_RUN = re.compile(rb"(?:[^<]*+(?:" + _CONSTRUCT.pattern + rb"))*")
_HIDEABLE = re.compile(NO_TAG)
_QUOTED = re.compile(rb""""[^"]*+"|'[^']*+'""")
_SHORTEST_ATTRIBUTE = len(b' a=""')
_LONGEST_NAMESPACE = 256
_LONG_NAMESPACE = re.compile(
    rb"""\sxmlns(?::[^\s=]*+)?+\s*+=\s*+(?:"[^"]{%(too_long)d}|'[^']{%(too_long)d})"""
    % {b"too_long": _LONGEST_NAMESPACE + 1}
)
_HTML_DOCTYPE = re.compile(rb"<!doctype\s+html\b", re.IGNORECASE)
_LONGEST_DOCTYPE = 4096
_DOCTYPE_SHOWN = re.compile(rb"[\[>]")
_NOT_IN_COMMENTS = re.compile(rb"--|-\Z|[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_BLANKED = bytes(c if c in b"\r\n" else 0x20 for c in range(256))
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
_FEW = 200


class _Mode(Enum):
    """What the scanner is in; the value is what ends it."""

    TEXT = b"<"
    OPEN = b"<?"
    TAG = b">"
    DOUBLE = b'"'
    SINGLE = b"'"
    COMMENT = b"-->"
    CDATA = b"]]>"
    INSTRUCTION = b"?>"
    DECLARATION = b"<!>"


_QUOTES = {ord('"'): _Mode.DOUBLE, ord("'"): _Mode.SINGLE}
_OPENERS = ((b"<?", _Mode.INSTRUCTION), (b"<!--", _Mode.COMMENT), (b"<![CDATA[", _Mode.CDATA))


def tag_at(document: bytes | bytearray, start: int) -> bytes:
    """The whole tag that begins at `start`, or nothing."""
    found = _TAG.match(document, start)
    return found[0] if found else b""


def first_tag(prolog: bytes) -> bytes:
    """The first tag, comments and processing instructions passed over, or nothing."""
    return next((found[0] for found in _CONSTRUCT.finditer(prolog) if found["tag"]), b"")


def search(data: bytes | bytearray, mark: bytes, start: int = 0) -> int:
    """Where ``<`` and then `mark`, one byte, stand next, or -1."""
    # One rare byte is found ten times faster than two; where it is not rare, two are better.
    at = start
    for _ in range(_FEW):
        at = data.find(mark, at + 1)
        if at < 0 or data[at - 1] == 0x3C:
            return max(at - 1, -1)
    return data.find(b"<" + mark, at)


class Scanner:
    """Takes a document in pieces, gives it back in pieces that end where a tag begins or ends.

    Args:
        max_token: most bytes of a tag, a comment, a CDATA section, a processing instruction or a run of text.
        max_attributes: most attributes of an element, namespace declarations among them.

    Attributes:
        failure: why nothing more can be taken: a token that is too long, too many attributes, a namespace whose name
            is too long (each name in it repeats it), or a declaration. What the last `push` returned was complete
            before it.
        last_tag: the last complete tag so far.
    """

    def __init__(self, max_token: int, max_attributes: int) -> None:
        self._max_token = max_token
        self._max_attributes = max_attributes
        self._buffer = bytearray()
        self._mode = _Mode.TEXT
        self._token = 0  # where the token that is not complete begins
        self._seen = 0  # all before it has been looked at
        self._ahead: dict[bytes, int] = {}  # where the next ``<!`` and ``<?`` are
        self.failure: AtomError | None = None
        self.last_tag: bytes = b""

    def push(self, piece: bytes) -> bytes:
        """Add `piece`, shorter than the longest token; returns what the parser may have, and may set `failure`."""
        kept = len(self._buffer)
        # What is kept back is looked at again, which is cheap if it is not much.
        if kept <= len(piece) and kept + len(piece) <= self._max_token:
            data = bytes(self._buffer) + piece
            if search(data, b"!") < 0 and search(data, b"?") < 0:
                return self._within_attributes(self._plain(data))
        self._buffer += piece
        self._ahead.clear()
        while self.failure is None and self._advance():
            pass
        self._bound(len(self._buffer))
        whole = bytes(memoryview(self._buffer)[: self._token])
        del self._buffer[: self._token]
        self._seen -= self._token
        self._token = 0
        return self._within_attributes(whole)

    def _plain(self, data: bytes) -> bytes:
        """What is complete of tags and text and nothing else; the rest is kept back."""
        end = data.rfind(b"<")
        tag = tag_at(data, end) if end >= 0 else b""
        if tag:
            end += len(tag)
        elif end > 0:
            tag = tag_at(data, data.rfind(b"<", 0, end))
        self.last_tag = tag or self.last_tag
        self._buffer[:] = data[max(end, 0) :]
        self._mode = _Mode.TEXT
        self._seen = 0
        return data[: max(end, 0)]

    def finish(self) -> bytes:
        """What was kept back at the end of input, for the parser to say what is wrong with it."""
        if self._mode is _Mode.DECLARATION:
            self.failure = self.failure or _declared(bytes(self._buffer))
            return b""
        return bytes(self._buffer)

    def _bound(self, end: int) -> None:
        if end - self._token > self._max_token and self.failure is None:
            self.failure = AtomError(f"a token of more than {self._max_token} bytes")

    def _advance(self) -> bool:
        """Look at what is next; False if more input is needed."""
        match self._mode:
            case _Mode.TEXT:
                return self._text()
            case _Mode.OPEN:
                return self._open()
            case _Mode.TAG:
                return self._tag()
            case _Mode.DOUBLE | _Mode.SINGLE:
                return self._quoted()
            case _Mode.DECLARATION:
                return self._declaration()
            case _:
                return self._until(self._mode.value)

    def _text(self) -> bool:
        first = self._buffer.find(b"<", self._seen)
        if first < 0:
            self._seen = len(self._buffer)
            return False
        self._bound(first)
        special = min((at for at in (self._next(b"!", first), self._next(b"?", first)) if at >= 0), default=-1)
        at = special if special >= 0 else self._buffer.rfind(b"<", first)
        if at > first:
            self.last_tag = tag_at(self._buffer, self._buffer.rfind(b"<", first, at))
        self._token = self._seen = at
        # No token in the buffer can be too long if the buffer is not.
        if special < 0 or len(self._buffer) > self._max_token or not self._run():
            self._mode = _Mode.OPEN
        return True

    def _run(self) -> bool:
        """Pass at once what is complete; False if nothing is. One by one, small comments cost microseconds each."""
        found = _RUN.match(self._buffer, self._token)
        if found is None or found.end() == self._token:
            return False
        self.last_tag = found["tag"] or self.last_tag
        self._token = self._seen = self._hide_comments(found.end())
        return True

    def _hide_comments(self, end: int) -> int:
        """Hide those from the token on; what is complete ends somewhat earlier then if they are not all ASCII."""
        hidden = _HIDEABLE.sub(_hidden, bytes(self._buffer[self._token : end]))
        self._buffer[self._token : end] = hidden
        self._ahead.clear()  # all that follows may stand elsewhere now
        return self._token + len(hidden)

    def _next(self, mark: bytes, start: int) -> int:
        """Where ``<`` and `mark` stand next, or -1; asked again only once that place is passed."""
        at = self._ahead.get(mark, -2)
        if at == -2 or -1 < at < start:
            at = self._ahead[mark] = search(self._buffer, mark, start)
        return at

    def _open(self) -> bool:
        head = bytes(self._buffer[self._token : self._token + 9])
        if len(head) < 2:
            return False
        for opener, mode in _OPENERS:
            if head.startswith(opener):
                self._mode = mode
                self._seen = self._token + len(opener)
                return True
            if opener.startswith(head):
                return False
        self._mode = _Mode.DECLARATION if head.startswith(b"<!") else _Mode.TAG
        self._seen = self._token + 1
        return True

    def _tag(self) -> bool:
        found = _TAG_REST.match(self._buffer, self._seen)
        self._seen = found.end() if found else self._seen
        if self._seen == len(self._buffer):
            return False
        mode = _QUOTES.get(self._buffer[self._seen])
        self._seen += 1
        if mode is None:
            self.last_tag = bytes(self._buffer[self._token : self._seen])
            return self._complete()
        self._mode = mode
        return True

    def _quoted(self) -> bool:
        at = self._buffer.find(self._mode.value, self._seen)
        if at < 0:
            self._seen = len(self._buffer)
            return False
        self._mode = _Mode.TAG
        self._seen = at + 1
        return True

    def _until(self, end: bytes) -> bool:
        at = self._buffer.find(end, self._seen)
        if at < 0:
            # The first bytes of what ends it may be here already.
            self._seen = max(self._seen, len(self._buffer) - len(end) + 1)
            return False
        self._seen = at + len(end)
        if end == _Mode.COMMENT.value:
            self._seen = self._hide_comments(self._seen)
        return self._complete()

    def _complete(self) -> bool:
        self._bound(self._seen)
        self._token = self._seen
        self._mode = _Mode.TEXT
        return True

    def _declaration(self) -> bool:
        head = bytes(self._buffer[self._token : self._token + _LONGEST_DOCTYPE])
        if len(head) < _LONGEST_DOCTYPE and not _DOCTYPE_SHOWN.search(head):
            return False
        self.failure = _declared(head)
        return False

    def _within_attributes(self, whole: bytes) -> bytes:
        """`whole`, up to the first tag that has too many attributes or declares a namespace of a long name.

        Such a tag is long and holds no second ``<``.
        """
        shortest = min(self._max_attributes * _SHORTEST_ATTRIBUTE, _LONGEST_NAMESPACE)
        tags: frozenset[int] | None = None
        start, end, last = 0, len(whole) - shortest, whole.rfind
        while 0 <= start < end:
            after = last(b"<", start + 1, start + shortest)
            if after >= 0:
                start = after
                continue
            reason = self._excess(tag_at(whole, start))
            if reason:
                tags = _tags(whole) if tags is None else tags
                if start in tags:
                    self.failure = AtomError(reason)
                    return whole[:start]
            start = whole.find(b"<", start + 1)
        return whole

    def _excess(self, tag: bytes) -> str | None:
        """Which limit on what is in a tag it breaks."""
        most = self._max_attributes
        if len(tag) > most * _SHORTEST_ATTRIBUTE and sum(1 for _ in _QUOTED.finditer(tag)) > most:
            return f"more than {most} attributes in one tag"
        if _LONG_NAMESPACE.search(tag):
            return f"the name of a namespace of more than {_LONGEST_NAMESPACE} bytes"
        return None


def _hidden(found: re.Match[bytes]) -> bytes:
    """A processing instruction of the same shape in place of a comment.

    At a comment ElementTree joins the text before it to the text before the last one: quadratic. At a processing
    instruction it does not. Positions stay as they are. A comment that is not well-formed is left to the parser.
    """
    body: bytes | None = found["comment"]
    if body is None or _NOT_IN_COMMENTS.search(body) or not _is_utf8(body):
        return found[0]
    return b"<?c  " + body.translate(_BLANKED, _CONTINUATION_BYTES) + b"?>"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _tags(whole: bytes) -> frozenset[int]:
    """Where tags begin, without those places in comments and CDATA sections that look like one."""
    return frozenset(found.start() for found in _CONSTRUCT.finditer(whole) if found["tag"])


def _declared(head: bytes) -> AtomError:
    """What defusedxml says to a document that begins with this declaration."""
    if _HTML_DOCTYPE.match(head):
        return AtomError(HTML_REASON)
    guard = DefusedXMLParser(encoding="utf-8", forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        guard.feed(head)
    except DefusedXmlException as refused:
        return AtomError(f"a document type declaration, which is not allowed ({type(refused).__name__})")
    except ParseError:
        pass
    return AtomError("a declaration that is not well-formed or not allowed")
