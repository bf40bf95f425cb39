"""Lenient reading: replaces characters that XML forbids and the named entities of HTML.

Servers copy user input into their documents: control characters from word processors, and ``&nbsp;`` from HTML
editors. A single one makes the whole document malformed. `LenientFilter` replaces forbidden characters with
U+FFFD and HTML entities with the characters that they name, and leaves everything else to the parser.
"""

from __future__ import annotations

import re
from html.entities import name2codepoint

from aioconnections.atom.scan import NON_TAG, find_markup

__all__ = ["LenientFilter"]

_REPLACEMENT_CHARACTER = "\ufffd".encode()
_CONTROLS = bytes([*range(9), 0x0B, 0x0C, *range(0x0E, 0x20)])
_EACH_CONTROL = tuple(bytes([code]) for code in _CONTROLS)
_CONTROLS_TO_NULL = bytes.maketrans(_CONTROLS, bytes(len(_CONTROLS)))
_NONCHARACTERS = ("\ufffe".encode(), "\uffff".encode())
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_FORBIDDEN_START = b"\xed\xef"  # first bytes of forbidden three-byte sequences

_PREDEFINED = {"amp", "lt", "gt", "quot", "apos"}
_FORMS = ("{}", "{:02}", "{:03}", "x{:x}", "x{:X}", "x{:02x}", "x{:02X}")
# Frequent references that are left to the parser.
_LEFT = (
    *(f"&{name};".encode() for name in sorted(_PREDEFINED)),
    *(f"&#{form.format(code)};".encode() for code in b"\t\n\r" for form in _FORMS),
)
_REPLACEMENTS = {
    # XHTML 1.0 has the 252 names of HTML 4 and `apos`.
    **{f"&{name};".encode(): chr(code).encode() for name, code in name2codepoint.items() if name not in _PREDEFINED},
    # Forbidden characters in the usual notations; `_replacement` decodes the others.
    **{f"&#{form.format(code)};".encode(): _REPLACEMENT_CHARACTER for code in _CONTROLS for form in _FORMS},
    **{reference: reference for reference in _LEFT},
}
_NOT_PREDEFINED = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)")
_MAX_REFERENCE = 32
_UNFINISHED = re.compile(rb"(?:&#?[A-Za-z0-9]*|<)\Z")
_REFERENCE = rb"&(?:[A-Za-z][A-Za-z0-9]{1,29}|#[0-9]{1,29}|#x[0-9A-Fa-f]{1,28});"
_IN_TEXT = re.compile(_REFERENCE)
_IN_ANYTHING = re.compile(NON_TAG + rb"|(?P<reference>" + _REFERENCE + rb")")
_COMPLETE_PREFIX = re.compile(rb"(?:[^<]++|<(?![!?])|" + NON_TAG + rb")*+")
_ENDS = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}


class LenientFilter:
    """Replaces characters and references in a UTF-8 document that is passed in pieces of any size.

    References are replaced in text and attribute values, not in comments, CDATA sections and processing instructions,
    where XML does not recognise them. Document type declarations are left to the scanner, which refuses them.
    """

    def __init__(self) -> None:
        self._held = b""
        self._end = b""  # end mark of the open comment, CDATA section or processing instruction

    def push(self, piece: bytes, *, last: bool = False) -> bytes:
        """Return the text that `piece` completes; a few bytes may be held until the next piece."""
        data = self._held + piece if self._held else piece
        held = 0 if last else _incomplete(data)
        data, self._held = _without_forbidden(data[: len(data) - held]), data[len(data) - held :]
        if not self._end and find_markup(data, b"!") < 0 and find_markup(data, b"?") < 0:
            return self._filter_text(data, last=last)
        return self._filter_mixed(data, last=last)

    def _filter_text(self, data: bytes, *, last: bool) -> bytes:
        """Filter data that holds only tags and text."""
        if _NOT_PREDEFINED.search(data):
            data = _IN_TEXT.sub(_replacement, self._hold_incomplete(data, last=last))
        elif data.endswith(b"<"):
            data = self._hold_incomplete(data, last=last)
        return data

    def _hold_incomplete(self, data: bytes, *, last: bool) -> bytes:
        """Hold back an incomplete reference or markup opener at the end of `data`."""
        if last:
            return data
        match = _UNFINISHED.search(data, max(len(data) - _MAX_REFERENCE, 0))
        end = match.start() if match else len(data)
        self._held = data[end:] + self._held
        return data[:end]

    def _filter_mixed(self, data: bytes, *, last: bool) -> bytes:
        """Filter data that may hold comments, CDATA sections and processing instructions."""
        start = 0
        if self._end:
            end = data.find(self._end)
            if end < 0:
                return self._hold_end_mark(data, 0, last=last)
            start = end + len(self._end)
            self._end = b""
        complete = _COMPLETE_PREFIX.match(data, start)
        end = complete.end() if complete else start
        rest = data[end:]
        opener = next((opener for opener in _ENDS if rest.startswith(opener)), b"")
        if opener:
            self._end = _ENDS[opener]
            rest = self._hold_end_mark(rest, len(opener), last=last)
        elif rest and not last and any(opener.startswith(rest) for opener in _ENDS):
            self._held, rest = rest + self._held, b""
        middle = data[start:end]
        if _NOT_PREDEFINED.search(middle) or middle.endswith(b"<"):
            middle = _IN_ANYTHING.sub(_replace_captured, middle if rest else self._hold_incomplete(middle, last=last))
        return data[:start] + middle + rest

    def _hold_end_mark(self, data: bytes, opened: int, *, last: bool) -> bytes:
        """Hold back what may be the start of the end mark of the open construct."""
        end = len(data) if last else max(len(data) - len(self._end) + 1, opened)
        self._held = data[end:] + self._held
        return data[:end]


def _incomplete(data: bytes) -> int:
    """Count the bytes at the end that may be the start of a forbidden three-byte character."""
    if data[-1:] in _FORBIDDEN_START:
        return len(data[-1:])
    return 2 if len(data) > 1 and data[-2] in _FORBIDDEN_START else 0


def _without_forbidden(data: bytes) -> bytes:
    # One C-level search per byte value is much faster than one regular expression.
    if any(map(data.__contains__, _EACH_CONTROL)):
        data = data.translate(_CONTROLS_TO_NULL).replace(b"\0", _REPLACEMENT_CHARACTER)
    if b"\xef" in data:
        for code in _NONCHARACTERS:
            data = data.replace(code, _REPLACEMENT_CHARACTER)
    return _SURROGATE.sub(_REPLACEMENT_CHARACTER, data) if b"\xed" in data else data


def _replace_captured(match: re.Match[bytes]) -> bytes:
    return _replacement(match) if match["reference"] else match[0]


def _replacement(match: re.Match[bytes]) -> bytes:
    """Return the replacement of a reference, or the reference itself if it is left to the parser."""
    reference = match[0]
    replacement = _REPLACEMENTS.get(reference)
    if replacement is not None:
        return replacement
    if not reference.startswith(b"&#"):
        return reference
    digits = reference[2:-1]
    code = int(digits[1:], 16) if digits.startswith(b"x") else int(digits)
    return reference if _is_allowed(code) else _REPLACEMENT_CHARACTER


def _is_allowed(code: int) -> bool:
    if code < 0x20:
        return code in b"\t\n\r"
    return code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
