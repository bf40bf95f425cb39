"""Lenient reading: characters that XML forbids, and the named entities of HTML.

Servers copy what people typed into their documents: control characters from word processors, and ``&nbsp;`` from
HTML editors. One of either makes a whole document not well-formed. The `Mender` replaces the former with U+FFFD and
the latter with the character that they name, and leaves everything else to the parser.
"""

from __future__ import annotations

import re
from html.entities import name2codepoint

from aioconnections.atom.scan import NO_TAG, search

__all__ = ["Mender"]

_REPLACEMENT = "\ufffd".encode()
_CONTROLS = bytes([*range(9), 0x0B, 0x0C, *range(0x0E, 0x20)])
_EACH_CONTROL = tuple(bytes([code]) for code in _CONTROLS)
_TO_NULL = bytes.maketrans(_CONTROLS, bytes(len(_CONTROLS)))
_NO_CHARACTERS = ("\ufffe".encode(), "\uffff".encode())
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_WIDE = b"\xed\xef"  # the bytes that these three-byte sequences begin with

_PREDEFINED = {"amp", "lt", "gt", "quot", "apos"}
_KNOWN = {
    # XHTML 1.0 has the 252 names of HTML 4 and `apos`.
    **{f"&{name};".encode(): chr(code).encode() for name, code in name2codepoint.items() if name not in _PREDEFINED},
    # Forbidden characters as servers write them; other ways to write them are worked out.
    **{
        f"&#{form.format(code)};".encode(): _REPLACEMENT
        for code in _CONTROLS
        for form in ("{}", "{:02}", "{:03}", "x{:x}", "x{:X}", "x{:02x}", "x{:02X}")
    },
}
_FOREIGN = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)")
_LONGEST_REFERENCE = 32
_UNFINISHED = re.compile(rb"(?:&#?[A-Za-z0-9]*|<)\Z")
_REFERENCE = rb"&(?:[A-Za-z][A-Za-z0-9]{1,29}|#[0-9]{1,29}|#x[0-9A-Fa-f]{1,28});"
_IN_TEXT = re.compile(_REFERENCE)
_ANYWHERE = re.compile(NO_TAG + rb"|(?P<reference>" + _REFERENCE + rb")")
_COMPLETE = re.compile(rb"(?:[^<]++|<(?![!?])|" + NO_TAG + rb")*+")
_ENDS = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}


class Mender:
    """Replaces in the pieces of a document in UTF-8, however it is cut.

    A reference counts in text and in attribute values: not in comments, CDATA sections and processing instructions,
    where it is none. A document type declaration is left alone, for the scanner to refuse.
    """

    def __init__(self) -> None:
        self._held = b""
        self._end = b""  # what ends the comment, CDATA section or processing instruction that the last piece ended in

    def push(self, piece: bytes, *, last: bool = False) -> bytes:
        """What `piece` adds to the document; a few bytes may be held back until the next piece."""
        data = self._held + piece if self._held else piece
        held = 0 if last else _incomplete(data)
        data, self._held = _without_forbidden(data[: len(data) - held]), data[len(data) - held :]
        if not self._end and search(data, b"!") < 0 and search(data, b"?") < 0:
            return self._text(data, last=last)
        return self._mixed(data, last=last)

    def _text(self, data: bytes, *, last: bool) -> bytes:
        """Tags and text and nothing else."""
        if _FOREIGN.search(data):
            data = _IN_TEXT.sub(_character, self._complete(data, last=last))
        elif data.endswith(b"<"):
            data = self._complete(data, last=last)
        return data

    def _complete(self, data: bytes, *, last: bool) -> bytes:
        """`data` without a reference or an opener at its end that may go on in the next piece."""
        if last:
            return data
        found = _UNFINISHED.search(data, max(len(data) - _LONGEST_REFERENCE, 0))
        at = found.start() if found else len(data)
        self._held = data[at:] + self._held
        return data[:at]

    def _mixed(self, data: bytes, *, last: bool) -> bytes:
        start = 0
        if self._end:
            found = data.find(self._end)
            if found < 0:
                return self._inside(data, 0, last=last)
            start = found + len(self._end)
            self._end = b""
        matched = _COMPLETE.match(data, start)
        end = matched.end() if matched else start
        rest = data[end:]
        opener = next((opener for opener in _ENDS if rest.startswith(opener)), b"")
        if opener:
            self._end = _ENDS[opener]
            rest = self._inside(rest, len(opener), last=last)
        elif rest and not last and any(opener.startswith(rest) for opener in _ENDS):
            self._held, rest = rest + self._held, b""
        middle = data[start:end]
        if _FOREIGN.search(middle) or middle.endswith(b"<"):
            middle = _ANYWHERE.sub(_reference, middle if rest else self._complete(middle, last=last))
        return data[:start] + middle + rest

    def _inside(self, data: bytes, opened: int, *, last: bool) -> bytes:
        """`data` without the first bytes of what may end the construct that it is inside of."""
        at = len(data) if last else max(len(data) - len(self._end) + 1, opened)
        self._held = data[at:] + self._held
        return data[:at]


def _incomplete(data: bytes) -> int:
    """How many bytes at the end may be the start of a forbidden character of several bytes."""
    if data[-1:] in _WIDE:
        return len(data[-1:])
    return 2 if len(data) > 1 and data[-2] in _WIDE else 0


def _without_forbidden(data: bytes) -> bytes:
    # Each of these searches is a loop in C that stops at one byte value: much faster than one regular expression.
    if any(map(data.__contains__, _EACH_CONTROL)):
        data = data.translate(_TO_NULL).replace(b"\0", _REPLACEMENT)
    if b"\xef" in data:
        for code in _NO_CHARACTERS:
            data = data.replace(code, _REPLACEMENT)
    return _SURROGATE.sub(_REPLACEMENT, data) if b"\xed" in data else data


def _reference(found: re.Match[bytes]) -> bytes:
    return _character(found) if found["reference"] else found[0]


def _character(found: re.Match[bytes]) -> bytes:
    """What a reference stands for; a reference that the parser knows or has to refuse stays."""
    reference = found[0]
    named = _KNOWN.get(reference)
    if named is not None or not reference.startswith(b"&#"):
        return named or reference
    digits = reference[2:-1]
    code = int(digits[1:], 16) if digits.startswith(b"x") else int(digits)
    return reference if _is_allowed(code) else _REPLACEMENT


def _is_allowed(code: int) -> bool:
    if code < 0x20:
        return code in b"\t\n\r"
    return code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
