"""Profiles as Atom entries: hCard or vCard, lite or full (protocol pages "Profile entry content")."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from attrs import evolve

from aioconnections import atom
from aioconnections.errors import AtomError
from aioconnections.protocol.entries import SN, bare_id, href_of, identity, kind_of, person_from, query_value, text_of
from aioconnections.records import Email, Key, Person, Profile, Userid

__all__ = ["card_properties", "profile_from"]

_XHTML = "http://www.w3.org/1999/xhtml"
_LARGEST_CARD = 1 << 22  # bytes
_MOST_GROWTH = 16
_PROPERTY = 64  # bytes that a property takes besides its name and value
_HREFS = {"url": "href", "photo": "src", "sound": "href"}
_LINE_END = re.compile(r"\r\n|\n|\r")
_QUOTED_PRINTABLE = {"quoted-printable", "encoding=quoted-printable"}
_OCTETS = re.compile(r"(?:=[0-9A-Fa-f]{2})+")
# Names sent by a server never reach the codec registry.
_CHARSETS = {"us-ascii": "utf-8", "iso-8859-1": "iso-8859-1", "windows-1252": "cp1252"}
_NOT_ENCODED = re.compile(r"=(?![0-9A-Fa-f]{2})")
_MOST_PARAMETERS = 50
# Characters that XML forbids, which are replaced as in XML documents.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_STRUCTURE = {"begin", "end", "version"}


def profile_from(entry: atom.Entry) -> Profile:
    """The profile that an entry describes.

    The key comes from the entry's id, else from the card, else from the ``self`` link.

    Raises:
        AtomError: the entry does not describe a profile, or its hCard is not well-formed.
    """
    if kind_of(entry) not in {"profile", None}:
        raise AtomError("the entry does not describe a profile", element="entry")
    properties = tuple(_properties(entry.content))
    card = dict(reversed(properties))  # the first of each name counts
    key = bare_id(entry) or _of(card, "profile-key") or query_value(href_of(entry, "self"), "key")
    return Profile(
        person=_person(entry, card, identity(Key, key)),
        job_title=_of(card, "title"),
        profile_type=_of(card, "profile-type"),
        uid=_of(card, "profile-uid"),
        updated=entry.updated,
        properties=properties,
        self_href=href_of(entry, "self"),
        edit_href=href_of(entry, "edit"),
        image_href=href_of(entry, f"{SN}/image"),
    )


def _of(card: dict[str, str], name: str) -> str | None:
    """A property by its name in hCard (``x-profile-key``) or vCard (``x_profile_key``)."""
    return card.get(name) or card.get(f"x-{name}") or card.get(f"x_{name.replace('-', '_')}") or None


def _person(entry: atom.Entry, card: dict[str, str], key: Key | None) -> Person:
    """The contributor of the entry, completed from the card."""
    person = person_from(entry.contributors[0] if entry.contributors else None, key)
    return evolve(
        person,
        name=person.name or _of(card, "fn") or text_of(entry.title) or None,
        userid=person.userid or identity(Userid, _of(card, "lconn-userid") or _of(card, "uid")),
        email=person.email or identity(Email, _of(card, "email")),
    )


def _properties(content: atom.Content | None) -> Iterator[tuple[str, str]]:
    if content is None or not isinstance(content.value, str):
        return
    if content.type == "xhtml":
        yield from _of_hcard(content.value)
    elif "BEGIN:VCARD" in content.value:
        yield from card_properties(content.value)


def _of_hcard(markup: str) -> Iterator[tuple[str, str]]:
    """The properties of an hCard. Nested properties repeat their text, so the total length is limited.

    Raises:
        AtomError: the properties are far longer than the card.
    """
    document = f'<div xmlns="{_XHTML}">{markup}</div>'.encode()
    card = atom.read_document(document, strict=False, max_bytes=_LARGEST_CARD)
    left = _MOST_GROWTH * len(document)
    for element in card.walk() if card is not None else ():
        names = (element.get("class") or "").lower().split()
        if not names:
            continue
        text = " ".join(element.content.split())
        for name in names:
            if name == "vcard":
                continue
            value = element.get(_HREFS[name]) or "" if name in _HREFS else text
            left -= _PROPERTY + len(name) + len(value)
            if left < 0:
                raise AtomError("the properties of an hCard are far longer than the card itself", element="content")
            yield name, value


def card_properties(card: str) -> Iterator[tuple[str, str]]:
    """Name (lower case) and value of each property of a vCard.

    Quoted-printable values are decoded with the charset of the property, or as UTF-8 if it has none or an unknown one.
    A value continues on the next line if that line begins with a blank, or if the value is quoted-printable and its
    line ends with ``=``. Characters that XML forbids are read as U+FFFD.
    """
    for line in _whole_lines(card):
        left, colon, value = line.strip().partition(":")
        name, *parameters = left.lower().split(";", _MOST_PARAMETERS)
        if colon and name not in _STRUCTURE:
            yield name, _FORBIDDEN.sub("\ufffd", _decoded(value, parameters)).strip()


def _whole_lines(card: str) -> Iterator[str]:
    pieces: list[str] = []
    quoted = soft = False  # whether the property is quoted-printable, and the last line ended with a soft line break
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
        # fast, but it misreads a "=" that encodes nothing, so that is encoded first
        decoded = binascii.a2b_qp(_NOT_ENCODED.sub("=3D", value).encode()).decode(charset, "replace")
    else:
        decoded = _OCTETS.sub(lambda found: bytes.fromhex(found[0].replace("=", "")).decode(charset, "replace"), value)
    return decoded.replace("\r\n", "\n")
