"""vCard 2.1, as far as Profiles writes it: names and values, decoded (protocol page "Profile entry content")."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

__all__ = ["card_properties"]

_LINE_END = re.compile(r"\r\n|\n|\r")
_QUOTED_PRINTABLE = {"quoted-printable", "encoding=quoted-printable"}
_OCTETS = re.compile(r"(?:=[0-9A-Fa-f]{2})+")
# Names that a server made up never reach the codec registry.
_CHARSETS = {"us-ascii": "utf-8", "iso-8859-1": "iso-8859-1", "windows-1252": "cp1252"}
_NOT_ENCODED = re.compile(r"=(?![0-9A-Fa-f]{2})")
_MOST_PARAMETERS = 50
# What no XML document can hold is read from a card as it is from one.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_STRUCTURE = {"begin", "end", "version"}


def card_properties(card: str) -> Iterator[tuple[str, str]]:
    """Name, in lower case, and value of each property.

    What is quoted-printable is decoded: in the charset that it names, UTF-8 where it names none or one that is unknown.
    A value goes on in the next line where that begins with a blank, and, if it is quoted-printable, after a ``=`` at
    the end of the line. Characters that XML forbids are read as U+FFFD.
    """
    for line in _whole_lines(card):
        left, colon, value = line.strip().partition(":")
        name, *parameters = left.lower().split(";", _MOST_PARAMETERS)
        if colon and name not in _STRUCTURE:
            yield name, _FORBIDDEN.sub("\ufffd", _decoded(value, parameters)).strip()


def _whole_lines(card: str) -> Iterator[str]:
    pieces: list[str] = []
    quoted = soft = False  # whether the property is quoted-printable; whether a soft line break came last
    for line in _LINE_END.split(card):
        if pieces and (soft or line.startswith((" ", "\t"))):
            pieces.append(line if soft else line[1:])
        else:
            yield "".join(pieces)
            pieces = [line]
            quoted = _is_quoted_printable(line)
        soft = quoted and line.rstrip().endswith("=")
        if soft:
            pieces[-1] = pieces[-1].rstrip()[:-1]
    yield "".join(pieces)


def _is_quoted_printable(line: str) -> bool:
    return not _QUOTED_PRINTABLE.isdisjoint(line.partition(":")[0].lower().split(";", _MOST_PARAMETERS))


def _decoded(value: str, parameters: list[str]) -> str:
    if _QUOTED_PRINTABLE.isdisjoint(parameters):
        return value
    named = next((each.removeprefix("charset=") for each in parameters if each.startswith("charset=")), "")
    charset = _CHARSETS.get(named.strip('"'), "utf-8")
    if value.isascii() or charset == "utf-8":
        # A loop in C; it takes a sign that encodes nothing for something else than itself.
        decoded = binascii.a2b_qp(_NOT_ENCODED.sub("=3D", value).encode()).decode(charset, "replace")
    else:
        decoded = _OCTETS.sub(lambda found: bytes.fromhex(found[0].replace("=", "")).decode(charset, "replace"), value)
    return decoded.replace("\r\n", "\n")
