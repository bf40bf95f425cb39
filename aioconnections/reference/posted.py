"""Atom entries that clients send: what this server takes from them.

Tolerant where the product is known to be: any content type, no title, any id, elements that nobody knows.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from attrs import frozen
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from aioconnections.reference.markup import ATOM, SN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from aioconnections.reference.population import Kind

__all__ = ["Posted", "read_entry"]

_ATOM, _SNX = f"{{{ATOM}}}", f"{{{SN}}}"


@frozen
class Posted:
    """An entry.

    Attributes:
        terms: the term of each category, by its scheme without the vendor's prefix: ``type``, ``status`` and so on.
        title: its text.
        message: the content, as HTML whatever its type was.
        people: how the contributor is named.
        role: the ``snx:role`` of a member.
    """

    terms: Mapping[str, str]
    title: str
    message: str
    people: tuple[tuple[Kind, str], ...]
    role: str


def read_entry(body: bytes) -> Posted | None:
    """The entry in `body`; None if it is no Atom entry, or declares a document type."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, LookupError, ValueError):  # the last two: encodings that are none
        return None
    if root.tag != f"{_ATOM}entry":
        return None
    return Posted(
        {
            category.get("scheme", "").strip().removeprefix(f"{SN}/"): category.get("term", "").strip()
            for category in root.iter(f"{_ATOM}category")
        },
        _text(root.find(f"{_ATOM}title")),
        _html(root.find(f"{_ATOM}content")),
        tuple(_people(root.find(f"{_ATOM}contributor"))),
        _text(root.find(f"{_SNX}role")).strip(),
    )


def _people(contributor: Element | None) -> list[tuple[Kind, str]]:
    if contributor is None:
        return []
    named: tuple[tuple[Kind, str], ...] = (
        ("userid", _text(contributor.find(f"{_SNX}userid")).strip()),
        ("email", _text(contributor.find(f"{_ATOM}email")).strip()),
    )
    return [(kind, text) for kind, text in named if text]


def _text(element: Element | None) -> str:
    return "" if element is None else "".join(element.itertext())


def _html(content: Element | None) -> str:
    """Content of type ``html`` is HTML in a string; all other types are taken for text."""
    text = _text(content)
    return text if content is not None and content.get("type") == "html" else escape(text, quote=False)
