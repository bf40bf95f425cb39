"""Incremental conversion of a document from any supported encoding to UTF-8.

The encoding is given by the byte order mark, else by HTTP, else by the XML declaration (RFC 7303 section 3). Only the
names in `_CODECS` are looked up in Python's codec registry, because other codecs may raise any exception. The XML
declaration is then overwritten with spaces, so that the parser does not act on its encoding.
"""

from __future__ import annotations

import codecs
import re

from aioconnections.errors import AtomError

__all__ = ["Utf8Decoder"]

_CODECS = {
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
_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", None),
    (b"\x00\x00\xfe\xff", None),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_WHITESPACE = b" \t\r\n"
_DECLARATION = re.compile(
    rb"""[ \t\r\n]*+<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"(1\.\d+)"|'(1\.\d+)')"""
    rb"""(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([A-Za-z][\w.-]*)"|'([A-Za-z][\w.-]*)'))?"""
    rb"""(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>"""
)
_MAX_DECLARATION = 1024
_NO_LINE_BREAK = re.compile(rb"[^\r\n]")
_DECLARATION_START = re.compile(rb"<\?xml[ \t\r\n?]")


def _codec(name: str) -> str:
    codec = _CODECS.get(name.strip().strip("\"'").lower())
    if codec is None:
        raise AtomError("unsupported encoding")
    return codec


class Utf8Decoder:
    """Converts the bytes of one document to UTF-8, piece by piece.

    Args:
        charset: the charset of the HTTP ``Content-Type``, or None.
        strict: refuse lone surrogates in UTF-16. Otherwise each is converted to the three bytes that UTF-8 would use,
            which the `LenientFilter` replaces.

    Attributes:
        declared: whether the document begins with an XML declaration.
        failure: set by the first bytes that are invalid in the encoding; the text before them has been returned.

    Raises:
        AtomError: the encoding is not supported.
    """

    def __init__(self, charset: str | None = None, *, strict: bool = True) -> None:
        self._errors = "strict" if strict else "surrogatepass"  # known to the UTF codecs only
        self._charset = _codec(charset) if charset else None
        self._start: bytes | None = b""
        self._codec = ""
        self.declared: bool = False
        self.failure: AtomError | None = None
        self._decoder: codecs.IncrementalDecoder | None = None

    def push(self, data: bytes, *, last: bool = False) -> bytes:
        """Return the UTF-8 that `data` adds; empty until the encoding is known.

        Raises:
            AtomError: the encoding is not supported, or the declaration is malformed.
        """
        if self._start is not None:
            self._start += data
            text = self._start_decoding(self._start, last=last)
            if text is None:
                return b""
            self._start = None
            return text
        return self._transcode(data, last=last)

    def _transcode(self, data: bytes, *, last: bool) -> bytes:
        if self._decoder is None:
            return data
        try:
            return self._decoder.decode(data, last).encode("utf-8", self._errors)
        except UnicodeDecodeError as error:
            self.failure = AtomError("bytes are invalid in the document's encoding")
            return error.object[: error.start].decode(self._codec, self._errors).encode("utf-8", self._errors)

    def _start_decoding(self, start: bytes, *, last: bool) -> bytes | None:
        if len(start) < 4 and not last:
            return None
        mark, codec = next(((mark, codec) for mark, codec in _BYTE_ORDER_MARKS if start.startswith(mark)), (b"", ""))
        if codec is None:
            raise AtomError("unsupported encoding")
        codec = codec or self._detect(start)
        text = start[len(mark) :] if codec == "utf-8" else start
        if codec.startswith("utf-16"):
            text = codecs.decode(start[: len(start) & ~1], codec, "replace").encode("utf-8")
            text = text.removeprefix(codecs.BOM_UTF8)
        declaration = _blank_declaration(text, last=last)
        if declaration is None:
            return None
        blanked, declared = declaration
        self.declared = bool(blanked)
        if not mark and self._charset is None and not codec.startswith("utf-16"):
            codec = _codec(declared) if declared else "utf-8"
            if codec.startswith("utf-16"):
                raise AtomError("document is not in its declared encoding")
        if codec == "utf-8":
            return blanked + text[len(blanked) :]
        self._codec = codec
        self._decoder = codecs.getincrementaldecoder(codec)(self._errors)
        whole = self._transcode(start[len(mark) :], last=last)
        return blanked + whole[len(blanked) :]

    def _detect(self, start: bytes) -> str:
        """Return the codec by HTTP or by the first bytes, which reveal UTF-16 without a byte order mark."""
        guess = {b"<\x00": "utf-16-le", b"\x00<": "utf-16-be"}.get(start[:2])
        if self._charset == "utf-16":
            return guess or "utf-16-be"
        return self._charset or guess or "utf-8"


def _blank_declaration(text: bytes, *, last: bool) -> tuple[bytes, str | None] | None:
    """Return the blanked declaration and its encoding; None if more input is needed."""
    body = text.lstrip(_WHITESPACE)
    if len(text) <= _MAX_DECLARATION and not last:
        if len(body) < 6 and b"<?xml ".startswith(body):
            return None
        if _DECLARATION_START.match(body) and b"?>" not in body:
            return None
    if not _DECLARATION_START.match(body):
        return b"", None
    match = _DECLARATION.match(text)
    if match is None:
        raise AtomError("malformed XML declaration", 1 + text[: len(text) - len(body)].count(b"\n"))
    if (match[1] or match[2]) != b"1.0":
        raise AtomError("unsupported XML version, expected 1.0")
    declared = match[3] or match[4]
    return _NO_LINE_BREAK.sub(b" ", match[0]), declared.decode("ascii") if declared else None
