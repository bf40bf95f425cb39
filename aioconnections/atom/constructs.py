"""Elements to the constructs that RFC 4287 makes entries and feeds of: texts, persons, links, categories."""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element

from aioconnections.atom.inline import html_inside, xml_inside
from aioconnections.atom.names import ATOM, SNX, XHTML, XML_BASE, XML_LANG
from aioconnections.atom.records import (
    AtomPerson,
    Attributes,
    Category,
    Content,
    Generator,
    Link,
    Text,
    XmlElement,
)
from aioconnections.atom.references import Resolver

__all__ = [
    "Leaves",
    "Scope",
    "build_element",
    "category",
    "content",
    "extensions",
    "generator",
    "link",
    "number",
    "person",
    "plain",
    "reference",
    "rest",
    "scope_of",
    "text",
]

Scope: TypeAlias = tuple[str | None, str | None, Resolver]
"""The language, the base that the document names, and what resolves references."""

Leaves: TypeAlias = dict[tuple[str, str | None, str | None], XmlElement]
"""Elements that hold only text, by tag, text and what follows."""

_MOST_LEAVES = 1024
_LONGEST_LEAF = 200
_SCOPE = frozenset({XML_LANG, XML_BASE})
_TEXT = _SCOPE | {"type"}
_CONTENT = _TEXT | {"src"}
_LINK = frozenset({"href", "rel", "type", "title", "hreflang", "length"})
_WEB = ("https://", "http://")
_TYPE_ALONE = frozenset({"type"})
_FLAT = frozenset({"text", "html"})
_EMPTY_TEXTS = {kind: Text("", kind) for kind in _FLAT}
_EMPTY_CONTENTS = {kind: Content("", kind) for kind in _FLAT}
_CATEGORY = frozenset({"term", "scheme", "label"})


def scope_of(element: Element, scope: Scope) -> Scope:
    """What is in force inside `element`, given what is around it."""
    lang, base, resolver = scope
    lang = element.get(XML_LANG, lang)
    own = element.get(XML_BASE)
    return lang or None, base if own is None else _resolve(scope, own) or None, resolver


def _resolve(scope: Scope, reference: str) -> str:
    return scope[2].resolve(scope[1], reference)


def _stripped(element: Element) -> str:
    return (element.text or "").strip()


def rest(element: Element, known: frozenset[str] = _SCOPE) -> Attributes:
    """Attributes that have no field of their own."""
    return (
        ()
        if known.issuperset(element.attrib)
        else tuple(sorted((name, value) for name, value in element.items() if name not in known))
    )


def build_element(element: Element, leaves: Leaves, *, tail: bool = True) -> XmlElement:
    """Any element, with everything in it and, unless `tail` is False, the text that follows it."""
    keys = element.keys()
    return XmlElement(
        element.tag,
        tuple(sorted(element.items())) if keys else (),
        element.text or "",
        tuple(_elements(element, leaves)) if len(element) else (),
        (element.tail or "") if tail else "",
    )


def _elements(parent: Iterable[Element], leaves: Leaves) -> list[XmlElement]:
    """The children of an element. Those that hold only text, of which there may be many, are remembered."""
    found: list[XmlElement] = []
    for element in parent:
        if len(element) or element.keys():
            found.append(build_element(element, leaves))
            continue
        key = (element.tag, element.text, element.tail)
        leaf = leaves.get(key)
        if leaf is None:
            tag, text, tail = key
            leaf = XmlElement(tag, (), text or "", (), tail or "")
            if len(tag) + len(text or "") + len(tail or "") < _LONGEST_LEAF:
                if len(leaves) >= _MOST_LEAVES:
                    leaves.clear()
                leaves[key] = leaf
        found.append(leaf)
    return found


def extensions(elements: list[Element], leaves: Leaves) -> tuple[XmlElement, ...]:
    """Elements that RFC 4287 does not define; what follows them is not their own."""
    for element in elements:
        element.tail = None
    return tuple(_elements(elements, leaves))


def text(element: Element, scope: Scope) -> Text:
    """A text construct."""
    attrib = element.attrib
    kind = attrib.get("type", "text")
    if kind in _FLAT and not len(element) and _TYPE_ALONE.issuperset(attrib):
        value, (lang, base, _) = element.text, scope
        return Text(value or "", kind, lang, base) if value or lang or base else _EMPTY_TEXTS[kind]
    value, (lang, base, _) = _inline(element, kind, scope_of(element, scope))
    return Text(value, kind, lang, base, rest(element, _TEXT))


def _inline(element: Element, kind: str, scope: Scope) -> tuple[str, Scope]:
    """The text of a construct, and the scope that it is in."""
    if kind == "xhtml":
        return _xhtml(element, scope)
    if not len(element):
        return element.text or "", scope
    # RFC 4287 allows no child elements here. In HTML that was not escaped they are its markup.
    return html_inside(element) if kind == "html" else "".join(element.itertext()), scope


def _xhtml(element: Element, scope: Scope) -> tuple[str, Scope]:
    """The markup inside the div that must wrap it and is not part of it (RFC 4287 section 3.1.1.3)."""
    div = element.find(f"{XHTML}div")
    if div is None:
        return xml_inside(element, XHTML), scope
    return xml_inside(div, XHTML), scope_of(div, scope)


def content(element: Element, scope: Scope) -> Content:
    """The content of an entry, here or elsewhere."""
    attrib = element.attrib
    kind = attrib.get("type", "text")
    if kind in _FLAT and not len(element) and _TYPE_ALONE.issuperset(attrib):
        body, (lang, base, _) = element.text, scope
        return Content(body or "", kind, None, lang, base) if body or lang or base else _EMPTY_CONTENTS[kind]
    scope = scope_of(element, scope)
    src = element.get("src")
    if src is not None:
        src = _resolve(scope, src)
    value, (lang, base, _) = _media(element, kind, scope) if "/" in kind else _inline(element, kind, scope)
    return Content(value, kind, src, lang, base, rest(element, _CONTENT))


def _media(element: Element, kind: str, scope: Scope) -> tuple[str | bytes, Scope]:
    """Content of a media type: markup, text, or else base64 (RFC 4287 section 4.1.3.3)."""
    media_type = kind.partition(";")[0].strip().lower()
    if media_type.endswith(("+xml", "/xml")):
        return xml_inside(element), scope
    value, scope = _inline(element, "html" if media_type == "text/html" else "", scope)
    return (value if media_type.startswith("text/") else _from_base64(value)), scope


def _from_base64(text: str) -> str | bytes:
    """The bytes, or the text itself if it is something else."""
    try:
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except ValueError:
        return text


_PERSON = {
    f"{ATOM}name": "name",
    f"{ATOM}email": "email",
    f"{ATOM}uri": "uri",
    f"{SNX}userid": "userid",
    f"{SNX}userState": "user_state",
    f"{SNX}isExternal": "is_external",
}


def person(element: Element, scope: Scope, leaves: Leaves, known: str = "") -> AtomPerson:
    """A person construct; the attribute `known` is told elsewhere."""
    values: dict[str, Any] = {}
    others: list[Element] = []
    for child in element:
        name = _PERSON.get(child.tag)
        if name is None or name in values:
            others.append(child)
        else:
            values[name] = _stripped(child)
            if name == "uri":
                values[name] = _resolve(scope_of(child, scope_of(element, scope)), values[name])
    if others:
        values["extensions"] = extensions(others, leaves)
    if element.keys():
        values["attributes"] = rest(element, frozenset({known}))
    return AtomPerson(**values)


def link(element: Element, scope: Scope) -> Link:
    """A link."""
    attrib = element.attrib
    href = attrib.get("href", "").strip()
    if XML_BASE in attrib:
        scope = scope_of(element, scope)
    if not href.startswith(_WEB):
        href = _resolve(scope, href)
    length = attrib.get("length")
    known = _LINK
    size: int | None = None
    if length is not None:
        if length.isascii() and length.isdigit() and len(length) < 20:
            size = int(length)
        else:
            known = _LINK - {"length"}
    get = attrib.get
    attributes = () if known.issuperset(attrib) else rest(element, known)
    return Link(href, get("rel", "alternate"), get("type"), get("title"), get("hreflang"), size, attributes)


def category(element: Element) -> Category:
    """A category."""
    attrib = element.attrib
    attributes = () if _CATEGORY.issuperset(attrib) else rest(element, _CATEGORY)
    return Category(attrib.get("term", ""), attrib.get("scheme"), attrib.get("label"), attributes)


def plain(element: Element, _: Scope) -> str:
    """Text without the blanks around it."""
    return _stripped(element)


def reference(element: Element, scope: Scope) -> str:
    """A URI, resolved."""
    return _resolve(scope_of(element, scope), _stripped(element))


def number(element: Element, _: Scope) -> int | None:
    """A number, or None if it is none."""
    text = _stripped(element)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def generator(element: Element, scope: Scope) -> Generator:
    """The program that wrote a feed."""
    uri = element.get("uri")
    uri = None if uri is None else _resolve(scope_of(element, scope), uri)
    return Generator(_stripped(element), uri, element.get("version"))
