"""Bytes in any allowed encoding, to UTF-8.

What a document is encoded in is said, in falling order of weight, by its byte order mark, by HTTP, and by its XML
declaration (RFC 7303 section 3). Names outside a short list never reach the codec registry: they can raise anything
there. The declaration has done its work then and is blanked out, so that the parser is never told of an encoding.
"""

from __future__ import annotations

import codecs
import re

from aioconnections.errors import AtomError

__all__ = ["Utf8Decoder"]

_ALLOWED = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
}
_MARKS = (
    (b"\xff\xfe\x00\x00", None),
    (b"\x00\x00\xfe\xff", None),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_BLANKS = b" \t\r\n"
_DECLARATION = re.compile(
    rb"""[ \t\r\n]*+<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"(1\.\d+)"|'(1\.\d+)')"""
    rb"""(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([A-Za-z][\w.-]*)"|'([A-Za-z][\w.-]*)'))?"""
    rb"""(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>"""
)
_LONGEST_DECLARATION = 1024
_NOT_A_LINE_END = re.compile(rb"[^\r\n]")
_DECLARATION_OPENS = re.compile(rb"<\?xml[ \t\r\n?]")


def _codec(name: str) -> str:
    codec = _ALLOWED.get(name.strip().strip("\"'").lower())
    if codec is None:
        raise AtomError("an encoding that is not allowed")
    return codec


class Utf8Decoder:
    """Turns the bytes of one document into UTF-8, piece by piece.

    Args:
        charset: what HTTP says of the encoding, or None.
        strict: refuse UTF-16 with lone surrogates; else they are given in the three bytes that UTF-8 would have for
            them, for the `Mender` to replace.

    Attributes:
        declared: whether the document began with an XML declaration.
        failure: set when bytes were met that are not of the encoding; those before them have been given.

    Raises:
        AtomError: the encoding is not allowed.
    """

    def __init__(self, charset: str | None = None, *, strict: bool = True) -> None:
        self._errors = "strict" if strict else "surrogatepass"  # of which only the codecs of UTF know
        self._charset = _codec(charset) if charset else None
        self._start: bytes | None = b""
        self._codec = ""
        self.declared: bool = False
        self.failure: AtomError | None = None
        self._decoder: codecs.IncrementalDecoder | None = None

    def push(self, data: bytes, *, last: bool = False) -> bytes:
        """The UTF-8 that `data` adds; nothing until the start of the document shows its encoding.

        Raises:
            AtomError: the encoding is not allowed, or the declaration is malformed.
        """
        if self._start is not None:
            self._start += data
            ready = self._begin(self._start, last=last)
            if ready is None:
                return b""
            self._start = None
            return ready
        return self._transcode(data, last=last)

    def _transcode(self, data: bytes, *, last: bool) -> bytes:
        if self._decoder is None:
            return data
        try:
            return self._decoder.decode(data, last).encode("utf-8", self._errors)
        except UnicodeDecodeError as broken:
            self.failure = AtomError("bytes that are not of the document's encoding")
            return broken.object[: broken.start].decode(self._codec, self._errors).encode("utf-8", self._errors)

    def _begin(self, start: bytes, *, last: bool) -> bytes | None:
        if len(start) < 4 and not last:
            return None
        mark, codec = next(((mark, codec) for mark, codec in _MARKS if start.startswith(mark)), (b"", ""))
        if codec is None:
            raise AtomError("an encoding that is not allowed")
        codec = codec or self._settled(start)
        text = start[len(mark) :] if codec == "utf-8" else start
        if codec.startswith("utf-16"):
            text = codecs.decode(start[: len(start) & ~1], codec, "replace").encode("utf-8")
            text = text.removeprefix(codecs.BOM_UTF8)
        found = _declaration(text, last=last)
        if found is None:
            return None
        blanked, declared = found
        self.declared = bool(blanked)
        if not mark and self._charset is None and not codec.startswith("utf-16"):
            codec = _codec(declared) if declared else "utf-8"
            if codec.startswith("utf-16"):
                raise AtomError("a declared encoding that the document is not in")
        if codec == "utf-8":
            return blanked + text[len(blanked) :]
        self._codec = codec
        self._decoder = codecs.getincrementaldecoder(codec)(self._errors)
        whole = self._transcode(start[len(mark) :], last=last)
        return blanked + whole[len(blanked) :]

    def _settled(self, start: bytes) -> str:
        """What HTTP says, or the look of the first bytes: UTF-16 shows itself without a mark too."""
        guess = {b"<\x00": "utf-16-le", b"\x00<": "utf-16-be"}.get(start[:2])
        if self._charset == "utf-16":
            return guess or "utf-16-be"
        return self._charset or guess or "utf-8"


def _declaration(text: bytes, *, last: bool) -> tuple[bytes, str | None] | None:
    """The declaration blanked out and the codec that it names; None while more is needed to tell."""
    body = text.lstrip(_BLANKS)
    if len(text) <= _LONGEST_DECLARATION and not last:
        if len(body) < 6 and b"<?xml ".startswith(body):
            return None
        if _DECLARATION_OPENS.match(body) and b"?>" not in body:
            return None
    if not _DECLARATION_OPENS.match(body):
        return b"", None
    found = _DECLARATION.match(text)
    if found is None:
        raise AtomError("a malformed XML declaration", 1 + text[: len(text) - len(body)].count(b"\n"))
    if (found[1] or found[2]) != b"1.0":
        raise AtomError("a version of XML other than 1.0")
    declared = found[3] or found[4]
    return _NOT_A_LINE_END.sub(b" ", found[0]), declared.decode("ascii") if declared else None
