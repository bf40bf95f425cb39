"""Elements to records. By namespace and local name only, never by prefix or by the order of elements.

Comments and processing instructions never get here, and the text around them is whole.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import urljoin
from xml.etree.ElementTree import Element

from aioconnections.atom.markup import markup_inside
from aioconnections.atom.names import ATOM, OPENSEARCH, SNX, XHTML, XML_BASE, XML_LANG
from aioconnections.atom.records import (
    AtomPerson,
    Attributes,
    Category,
    ConnectionEnds,
    Content,
    Entry,
    Feed,
    Generator,
    Link,
    Text,
    XmlElement,
)

__all__ = ["Scope", "build_element", "build_entry", "build_feed", "scope_of"]

Scope: TypeAlias = tuple[str | None, str | None]
"""Language and base that are in force."""

_SOURCE = "http://www.ibm.com/xmlns/prod/sn/connection/source"
_TARGET = "http://www.ibm.com/xmlns/prod/sn/connection/target"
_REL = f"{SNX}rel"
_SCOPE = frozenset({XML_LANG, XML_BASE})
_TEXT = _SCOPE | {"type"}
_CONTENT = _TEXT | {"src"}
_LINK = frozenset({"href", "rel", "type", "title", "hreflang", "length"})
_CATEGORY = frozenset({"term", "scheme", "label"})


def scope_of(element: Element, scope: Scope) -> Scope:
    """The language and base inside `element`, given those around it."""
    lang, base = scope
    lang = element.get(XML_LANG, lang)
    own = element.get(XML_BASE)
    return lang or None, base if own is None else _resolve(base, own)


def _resolve(base: str | None, reference: str) -> str:
    reference = reference.strip()
    if base is None or reference.startswith(("https://", "http://")):
        return reference
    try:
        return urljoin(base, reference)
    except ValueError:  # brackets that hold no address
        return reference


def _stripped(element: Element) -> str:
    return (element.text or "").strip()


def _rest(element: Element, known: frozenset[str] = _SCOPE) -> Attributes:
    """Attributes that have no field of their own."""
    return tuple(sorted((name, value) for name, value in element.items() if name not in known))


def build_element(element: Element, *, tail: bool = True) -> XmlElement:
    """Any element, with everything in it and, unless `tail` is False, the text that follows it."""
    return XmlElement(
        element.tag,
        tuple(sorted(element.items())),
        element.text or "",
        tuple([build_element(child) for child in element]),
        (element.tail or "") if tail else "",
    )


def _extension(element: Element) -> XmlElement:
    return build_element(element, tail=False)


def _text(element: Element, scope: Scope) -> Text:
    kind = element.get("type", "text")
    attributes: Attributes = ()
    if len(element.keys()) > 1 or (kind == "text" and element.keys()):
        scope = scope_of(element, scope)
        attributes = _rest(element, _TEXT)
    value, scope = _inline(element, kind, scope)
    return Text(value, kind, *scope, attributes)


def _inline(element: Element, kind: str, scope: Scope) -> tuple[str, Scope]:
    """The text of a construct, and the scope that it is in."""
    if kind == "xhtml":
        return _xhtml(element, scope)
    return element.text or "" if not len(element) else "".join(element.itertext()), scope


def _xhtml(element: Element, scope: Scope) -> tuple[str, Scope]:
    """The markup inside the div that must wrap it and is not part of it (RFC 4287 section 3.1.1.3)."""
    div = element.find(f"{XHTML}div")
    if div is None:
        return markup_inside(build_element(element), XHTML), scope
    return markup_inside(build_element(div), XHTML), scope_of(div, scope)


def _content(element: Element, scope: Scope) -> Content:
    kind = element.get("type", "text")
    src = element.get("src")
    attributes: Attributes = ()
    if len(element.keys()) > 1 or (kind == "text" and element.keys()):
        scope = scope_of(element, scope)
        attributes = _rest(element, _CONTENT)
    value: str | bytes
    media_type = kind.partition(";")[0].strip().lower()
    if media_type.endswith(("+xml", "/xml")):
        value = markup_inside(build_element(element))
    else:
        value, scope = _inline(element, kind, scope)
        if "/" in media_type and not media_type.startswith("text/"):
            value = _from_base64(value)
    return Content(value, kind, None if src is None else _resolve(scope[1], src), *scope, attributes)


def _from_base64(text: str) -> str | bytes:
    """The bytes (RFC 4287 section 4.1.3.3), or the text itself if it is something else."""
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


def _person(element: Element, scope: Scope) -> AtomPerson:
    values: dict[str, Any] = {}
    extensions: list[XmlElement] = []
    for child in element:
        name = _PERSON.get(child.tag)
        if name is None or name in values:
            extensions.append(_extension(child))
        else:
            values[name] = _stripped(child)
            if name == "uri":
                values[name] = _resolve(scope_of(child, scope_of(element, scope))[1], values[name])
    if extensions:
        values["extensions"] = tuple(extensions)
    if element.keys():
        values["attributes"] = _rest(element)
    return AtomPerson(**values)


def _link(element: Element, scope: Scope) -> Link:
    attrib = element.attrib
    base = scope_of(element, scope)[1] if XML_BASE in attrib else scope[1]
    href = _resolve(base, attrib.get("href", ""))
    length = attrib.get("length")
    known = _LINK
    size: int | None = None
    if length is not None:
        if length.isascii() and length.isdigit() and len(length) < 20:
            size = int(length)
        else:
            known = _LINK - {"length"}
    attributes = () if known.issuperset(attrib) else _rest(element, known | _SCOPE)
    return Link(
        href,
        attrib.get("rel", "alternate"),
        attrib.get("type"),
        attrib.get("title"),
        attrib.get("hreflang"),
        size,
        attributes,
    )


def _category(element: Element, _: Scope) -> Category:
    attrib = element.attrib
    attributes = () if _CATEGORY.issuperset(attrib) else _rest(element, _CATEGORY | _SCOPE)
    return Category(attrib.get("term", ""), attrib.get("scheme"), attrib.get("label"), attributes)


def _ends(element: Element, scope: Scope) -> ConnectionEnds:
    """Source and target by ``snx:rel`` alone (protocol: author and contributor say nothing of them)."""
    scope = scope_of(element, scope)
    sides: dict[str, AtomPerson] = {}
    extensions: list[XmlElement] = []
    for child in element:
        rel = child.get(_REL)
        if child.tag == f"{ATOM}contributor" and rel in {_SOURCE, _TARGET} and rel not in sides:
            del child.attrib[_REL]
            sides[rel] = _person(child, scope)
        else:
            extensions.append(_extension(child))
    return ConnectionEnds(sides.get(_SOURCE), sides.get(_TARGET), tuple(extensions), _rest(element))


def _plain(element: Element, _: Scope) -> str:
    return _stripped(element)


def _reference(element: Element, scope: Scope) -> str:
    return _resolve(scope_of(element, scope)[1], _stripped(element))


def _number(element: Element, _: Scope) -> int | None:
    text = _stripped(element)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _generator(element: Element, scope: Scope) -> Generator:
    uri = element.get("uri")
    base = scope_of(element, scope)[1]
    return Generator(_stripped(element), None if uri is None else _resolve(base, uri), element.get("version"))


def _source(element: Element, scope: Scope) -> Feed:
    return build_feed(element, list(element), scope_of(element, scope))


_Build: TypeAlias = Callable[[Element, Scope], Any]
_Plan: TypeAlias = dict[str, tuple[str, bool, _Build]]

_COMMON: _Plan = {
    f"{ATOM}id": ("id", False, _plain),
    f"{ATOM}title": ("title", False, _text),
    f"{ATOM}updated": ("updated_text", False, _plain),
    f"{ATOM}rights": ("rights", False, _text),
    f"{ATOM}author": ("authors", True, _person),
    f"{ATOM}contributor": ("contributors", True, _person),
    f"{ATOM}link": ("links", True, _link),
    f"{ATOM}category": ("categories", True, _category),
}
_OF_ENTRY: _Plan = {
    **_COMMON,
    f"{ATOM}published": ("published_text", False, _plain),
    f"{ATOM}summary": ("summary", False, _text),
    f"{ATOM}content": ("content", False, _content),
    f"{ATOM}source": ("source", False, _source),
    f"{SNX}connection": ("connection", False, _ends),
}
_OF_FEED: _Plan = {
    **_COMMON,
    f"{ATOM}subtitle": ("subtitle", False, _text),
    f"{ATOM}generator": ("generator", False, _generator),
    f"{ATOM}icon": ("icon", False, _reference),
    f"{ATOM}logo": ("logo", False, _reference),
    f"{OPENSEARCH}totalResults": ("total_results", False, _number),
    f"{OPENSEARCH}startIndex": ("start_index", False, _number),
    f"{OPENSEARCH}itemsPerPage": ("items_per_page", False, _number),
}


def _fields(children: Element | list[Element], plans: _Plan, scope: Scope) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for child in children:
        name, many, build = plans.get(child.tag, _UNKNOWN)
        if not many:
            if name not in fields:
                fields[name] = build(child, scope)
        elif name in fields:
            fields[name] += (build(child, scope),)
        else:
            fields[name] = (build(child, scope),)
    return fields


_UNKNOWN: tuple[str, bool, _Build] = ("extensions", True, lambda element, _: _extension(element))


def build_entry(element: Element, scope: Scope = (None, None)) -> Entry:
    """An ``<entry>``; `scope` is that around it."""
    fields: dict[str, Any] = {}
    if element.keys():
        scope = scope_of(element, scope)
        fields["attributes"] = _rest(element)
    lang, base = scope
    return Entry(**_fields(element, _OF_ENTRY, scope), **fields, lang=lang, base=base)


def build_feed(element: Element, children: list[Element], scope: Scope) -> Feed:
    """A ``<feed>`` or ``<source>`` with these children; `scope` is that inside it."""
    lang, base = scope
    return Feed(**_fields(children, _OF_FEED, scope), attributes=_rest(element), lang=lang, base=base)
