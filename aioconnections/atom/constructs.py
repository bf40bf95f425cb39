"""Conversion of elements to the constructs of RFC 4287: texts, content, people, links, categories."""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element

from aioconnections.atom.markup import inner_html, inner_xml
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
from aioconnections.atom.references import WEB_SCHEMES, Resolver

__all__ = [
    "LeafCache",
    "Scope",
    "build_element",
    "category",
    "content",
    "extensions",
    "generator",
    "link",
    "number",
    "other_attributes",
    "person",
    "reference",
    "scope_of",
    "stripped_text",
    "text",
]

Scope: TypeAlias = tuple[str | None, str | None, Resolver]
"""The language and the ``xml:base`` in scope, each or None, and the resolver of references."""

LeafCache: TypeAlias = dict[tuple[str, str | None, str | None], XmlElement]
"""Cache of elements that hold only text, by tag, text and tail."""

_MAX_CACHED_LEAVES = 1024
_MAX_CACHED_LEAF = 200
_SCOPE_ATTRIBUTES = frozenset({XML_LANG, XML_BASE})
_TEXT_ATTRIBUTES = _SCOPE_ATTRIBUTES | {"type"}
_CONTENT_ATTRIBUTES = _TEXT_ATTRIBUTES | {"src"}
_LINK_ATTRIBUTES = frozenset({"href", "rel", "type", "title", "hreflang", "length"})
_ONLY_TYPE = frozenset({"type"})
_PLAIN_TYPES = frozenset({"text", "html"})
_EMPTY_TEXTS = {kind: Text("", kind) for kind in _PLAIN_TYPES}
_EMPTY_CONTENTS = {kind: Content("", kind) for kind in _PLAIN_TYPES}
_CATEGORY_ATTRIBUTES = frozenset({"term", "scheme", "label"})
_PERSON_FIELDS = {
    f"{ATOM}name": "name",
    f"{ATOM}email": "email",
    f"{ATOM}uri": "uri",
    f"{SNX}userid": "userid",
    f"{SNX}userState": "user_state",
    f"{SNX}isExternal": "is_external",
}


def scope_of(element: Element, scope: Scope) -> Scope:
    """Return the scope inside `element`, given the scope around it."""
    lang, base, resolver = scope
    lang = element.get(XML_LANG, lang)
    own = element.get(XML_BASE)
    return lang or None, base if own is None else _resolve(scope, own) or None, resolver


def _resolve(scope: Scope, reference: str) -> str:
    _, base, resolver = scope
    return resolver.resolve(base, reference)


def other_attributes(element: Element, known: frozenset[str] = _SCOPE_ATTRIBUTES) -> Attributes:
    """Return the attributes that are not `known`, sorted by name."""
    return (
        ()
        if known.issuperset(element.attrib)
        else tuple(sorted((name, value) for name, value in element.items() if name not in known))
    )


def build_element(element: Element, leaf_cache: LeafCache, *, tail: bool = True) -> XmlElement:
    """Convert an element with its content and, unless `tail` is False, the text after it."""
    keys = element.keys()
    return XmlElement(
        element.tag,
        tuple(sorted(element.items())) if keys else (),
        element.text or "",
        tuple(_elements(element, leaf_cache)) if len(element) else (),
        (element.tail or "") if tail else "",
    )


def _elements(parent: Iterable[Element], leaf_cache: LeafCache) -> list[XmlElement]:
    """Convert elements; those that hold only text are cached, because they may be many."""
    converted: list[XmlElement] = []
    for element in parent:
        if len(element) or element.keys():
            converted.append(build_element(element, leaf_cache))
            continue
        key = (element.tag, element.text, element.tail)
        leaf = leaf_cache.get(key)
        if leaf is None:
            tag, text, tail = key
            leaf = XmlElement(tag, (), text or "", (), tail or "")
            if len(tag) + len(text or "") + len(tail or "") < _MAX_CACHED_LEAF:
                if len(leaf_cache) >= _MAX_CACHED_LEAVES:
                    leaf_cache.clear()
                leaf_cache[key] = leaf
        converted.append(leaf)
    return converted


def extensions(elements: list[Element], leaf_cache: LeafCache) -> tuple[XmlElement, ...]:
    """Convert elements that RFC 4287 does not define, without the text after each."""
    for element in elements:
        element.tail = None
    return tuple(_elements(elements, leaf_cache))


def text(element: Element, scope: Scope) -> Text:
    """Convert a text construct."""
    attrib = element.attrib
    kind = attrib.get("type", "text")
    if kind in _PLAIN_TYPES and not len(element) and _ONLY_TYPE.issuperset(attrib):
        lang, base, _ = scope
        if not (element.text or lang or base):
            return _EMPTY_TEXTS[kind]
        return Text(element.text or "", kind, lang, base)
    value, (lang, base, _) = _inline(element, kind, scope_of(element, scope))
    return Text(value, kind, lang, base, other_attributes(element, _TEXT_ATTRIBUTES))


def _inline(element: Element, kind: str, scope: Scope) -> tuple[str, Scope]:
    """Return the text of a construct and its scope."""
    if kind == "xhtml":
        return _xhtml(element, scope)
    if not len(element):
        return element.text or "", scope
    # RFC 4287 allows no child elements here. In unescaped HTML they are its markup.
    return inner_html(element) if kind == "html" else "".join(element.itertext()), scope


def _xhtml(element: Element, scope: Scope) -> tuple[str, Scope]:
    """Return the markup inside the required div, which is not part of it (RFC 4287 section 3.1.1.3)."""
    div = element.find(f"{XHTML}div")
    if div is None:
        return inner_xml(element, XHTML), scope
    return inner_xml(div, XHTML), scope_of(div, scope)


def content(element: Element, scope: Scope) -> Content:
    """Convert the content of an entry."""
    attrib = element.attrib
    kind = attrib.get("type", "text")
    if kind in _PLAIN_TYPES and not len(element) and _ONLY_TYPE.issuperset(attrib):
        lang, base, _ = scope
        if not (element.text or lang or base):
            return _EMPTY_CONTENTS[kind]
        return Content(element.text or "", kind, None, lang, base)
    scope = scope_of(element, scope)
    src = element.get("src")
    if src is not None:
        src = _resolve(scope, src)
    value, (lang, base, _) = _media(element, kind, scope) if "/" in kind else _inline(element, kind, scope)
    return Content(value, kind, src, lang, base, other_attributes(element, _CONTENT_ATTRIBUTES))


def _media(element: Element, kind: str, scope: Scope) -> tuple[str | bytes, Scope]:
    """Return content of a media type: markup, text or decoded base64 (RFC 4287 section 4.1.3.3)."""
    media_type = kind.partition(";")[0].strip().lower()
    if media_type.endswith(("+xml", "/xml")):
        return inner_xml(element), scope
    value, scope = _inline(element, "html" if media_type == "text/html" else "", scope)
    return (value if media_type.startswith("text/") else _from_base64(value)), scope


def _from_base64(text: str) -> str | bytes:
    """Decode base64; return the text itself if it is not base64."""
    try:
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except ValueError:
        return text


def person(element: Element, scope: Scope, leaf_cache: LeafCache, known: str = "") -> AtomPerson:
    """Convert a person construct, without the attribute `known`."""
    values: dict[str, Any] = {}
    others: list[Element] = []
    for child in element:
        name = _PERSON_FIELDS.get(child.tag)
        if name is None or name in values:
            others.append(child)
        else:
            values[name] = stripped_text(child)
            if name == "uri":
                values[name] = _resolve(scope_of(child, scope_of(element, scope)), values[name])
    if others:
        values["extensions"] = extensions(others, leaf_cache)
    if element.keys():
        values["attributes"] = other_attributes(element, frozenset({known}))
    return AtomPerson(**values)


def link(element: Element, scope: Scope) -> Link:
    """Convert a link."""
    attrib = element.attrib
    href = attrib.get("href", "").strip()
    if XML_BASE in attrib:
        scope = scope_of(element, scope)
    if not href.startswith(WEB_SCHEMES):
        href = _resolve(scope, href)
    length = attrib.get("length")
    known = _LINK_ATTRIBUTES
    size: int | None = None
    if length is not None:
        if length.isascii() and length.isdigit() and len(length) < 20:
            size = int(length)
        else:
            known = _LINK_ATTRIBUTES - {"length"}
    get = attrib.get
    attributes = () if known.issuperset(attrib) else other_attributes(element, known)
    return Link(href, get("rel", "alternate"), get("type"), get("title"), get("hreflang"), size, attributes)


def category(element: Element) -> Category:
    """Convert a category."""
    attrib = element.attrib
    attributes = () if _CATEGORY_ATTRIBUTES.issuperset(attrib) else other_attributes(element, _CATEGORY_ATTRIBUTES)
    return Category(attrib.get("term", ""), attrib.get("scheme"), attrib.get("label"), attributes)


def stripped_text(element: Element, _: Scope | None = None) -> str:
    """Return the text without surrounding whitespace."""
    return (element.text or "").strip()


def reference(element: Element, scope: Scope) -> str:
    """Return a URI, resolved."""
    return _resolve(scope_of(element, scope), stripped_text(element))


def number(element: Element, _: Scope) -> int | None:
    """Return a number, or None if the text is not one."""
    text = stripped_text(element)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def generator(element: Element, scope: Scope) -> Generator:
    """Convert the generator of a feed."""
    uri = element.get("uri")
    uri = None if uri is None else _resolve(scope_of(element, scope), uri)
    return Generator(stripped_text(element), uri, element.get("version"))
