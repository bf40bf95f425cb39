"""Elements written as markup.

`write_element` writes the caller's `XmlElement` and refuses characters that XML does not allow. ElementTree would write
control characters and lone surrogates unchanged, which no parser accepts.

`inner_xml` and `inner_html` write the content of an element that was read. The parser has already refused such
characters, so they only bound the length: the markup may be longer than the original, because each outermost element
declares its namespaces again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element

from aioconnections.atom.names import APP, ATOM, FH, OPENSEARCH, SNX, THR, XHTML, XML
from aioconnections.atom.records import Attributes, XmlElement
from aioconnections.errors import AtomError, InvalidInputError

__all__ = ["inner_html", "inner_xml", "write_element"]

_MAX_LENGTH = 1 << 19  # characters of markup in one construct
_MAX_DEPTH = 90
_MAX_SHOWN = 64  # characters of a name in an error

_PREFERRED_PREFIXES = {ATOM: "atom", APP: "app", SNX: "snx", OPENSEARCH: "opensearch", THR: "thr", FH: "fh"}
_XMLNS = "{http://www.w3.org/2000/xmlns/}"
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Name characters of XML 1.0, fifth edition, without the colon.
_START = (
    r"A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    r"\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NAME = re.compile(rf"(\{{[^{{}}]+\}})?([{_START}][-.0-9\xb7\u0300-\u036f\u203f\u2040{_START}]*)")

_TEXT_ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))
_ATTRIBUTE_ESCAPES = (*_TEXT_ESCAPES, ('"', "&quot;"), ("\t", "&#9;"), ("\n", "&#10;"))
_LONGEST_ESCAPE = len("&quot;")
_UNPREFIXED_IN_HTML = (ATOM, XHTML)
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)  # HTML elements without an end tag


def write_element(element: XmlElement, default: str = "") -> str:
    """Write an element without its tail.

    Args:
        element: the element.
        default: the default namespace in scope, in braces.

    Raises:
        InvalidInputError: a name or a text has characters that XML does not allow, or elements are nested too deep.
    """
    parts: list[str] = []
    _write(parts, element, default, {}, 1)
    return "".join(parts)


def _checked_text(value: str, *, in_attribute: bool = False) -> str:
    match = _NOT_XML.search(value)
    if match:
        raise InvalidInputError(f"text must not contain U+{ord(match[0]):04X}, which XML does not allow; remove it")
    return _escape(value, in_attribute=in_attribute)


def _split_checked(name: str) -> tuple[str, str]:
    match = _NAME.fullmatch(name)
    if match is None or match[1] == _XMLNS:
        raise InvalidInputError(f"{name[:_MAX_SHOWN]!a} is not a valid XML name")
    return match[1] or "", match[2]


def _write(parts: list[str], element: XmlElement, default: str, prefixes: dict[str, str], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise InvalidInputError(f"elements nested deeper than {_MAX_DEPTH}")
    namespace, name = _split_checked(element.tag)
    declared: list[str] = []
    if namespace != default or element.attributes:
        prefixes = prefixes.copy()
        if namespace in {"", XHTML} and namespace != default:
            declared.append(f' xmlns="{namespace[1:-1]}"')
            default = namespace
        elif namespace != default:
            name = f"{_prefix(namespace, prefixes, declared)}:{name}"
    attributes = _attributes(element.attributes, prefixes, declared) if element.attributes else ""
    start = f"<{name}{''.join(declared)}{attributes}"
    if not element.children and not element.text:
        parts.append(f"{start}/>")
        return
    parts.append(f"{start}>{_checked_text(element.text)}")
    for child in element.children:
        _write(parts, child, default, prefixes, depth + 1)
        parts.append(_checked_text(child.tail))
    parts.append(f"</{name}>")


def _attributes(attributes: Attributes, scope: dict[str, str], declared: list[str]) -> str:
    if len(dict(attributes)) < len(attributes):
        raise InvalidInputError("the attributes of an element must have different names")
    return "".join(
        f' {_attribute_name(key, scope, declared)}="{_checked_text(value, in_attribute=True)}"'
        for key, value in attributes
    )


def _attribute_name(key: str, scope: dict[str, str], declared: list[str]) -> str:
    namespace, name = _split_checked(key)
    return f"{_prefix(namespace, scope, declared)}:{name}" if namespace else name


def _prefix(namespace: str, scope: dict[str, str], declared: list[str]) -> str:
    if namespace == XML:
        return "xml"
    if namespace not in scope:
        scope[namespace] = _new_prefix(namespace, scope)
        declared.append(f' xmlns:{scope[namespace]}="{_checked_text(namespace[1:-1], in_attribute=True)}"')
    return scope[namespace]


def inner_xml(element: Element, default: str = "") -> str:
    """Write the text and children of an element as XML.

    Args:
        element: the element; its own tag and tail are not written.
        default: the default namespace in scope, in braces.

    Raises:
        AtomError: the markup is too long.
    """
    return _inner(element, default, in_html=False)


def inner_html(element: Element) -> str:
    """Write the text and children of an element as HTML: without prefixes, and with end tags except for void elements.

    Raises:
        AtomError: the markup is too long.
    """
    return _inner(element, "", in_html=True)


def _bounded_text(value: str, *, in_attribute: bool = False) -> str:
    """Escape text whose length is not yet checked; the result is measured before it takes memory."""
    if len(value) > _MAX_LENGTH // _LONGEST_ESCAPE:
        escapes = _ATTRIBUTE_ESCAPES if in_attribute else _TEXT_ESCAPES
        escaped = sum(value.count(character) for character, _ in escapes)
        _check_length(len(value) + escaped * (_LONGEST_ESCAPE - 1))
    return _escape(value, in_attribute=in_attribute)


def _check_length(length: int) -> None:
    if length > _MAX_LENGTH:
        raise AtomError(f"markup longer than {_MAX_LENGTH} characters")


def _inner(element: Element, default: str, *, in_html: bool) -> str:
    text = _bounded_text(element.text or "")
    if not len(element):
        return text
    parts = [text]
    _InnerWriter(parts, in_html=in_html).children(element, default)
    _check_length(sum(map(len, parts)))
    return "".join(parts)


class _InnerWriter:
    """Writes the children of one element, with caches of names and namespace declarations."""

    def __init__(self, parts: list[str], *, in_html: bool) -> None:
        self._parts = parts
        self._in_html = in_html
        self._prefixes: dict[str, str] = {}  # by namespace, for those declared in scope
        self._names: dict[str, tuple[str, str]] = {}  # namespace and local name by tag
        # Prefix and declaration, by namespace and number of prefixes in scope.
        self._declarations: dict[tuple[str, int], tuple[str, str]] = {}

    def children(self, parent: Element, default: str) -> None:
        """Write the children of an element with their tails."""
        add, skip, prefixes = self._parts.append, len(default), self._prefixes
        for child in parent:
            tag, declared = child.tag, len(prefixes)
            if tag.startswith(default) if default else not tag.startswith("{"):
                self._element(child, tag[skip:], self._attributes(child) if child.keys() else "", default)
            else:
                self._foreign(child, default)
            if child.tail:
                add(_bounded_text(child.tail))
            while len(prefixes) > declared:
                prefixes.popitem()

    def _element(self, child: Element, name: str, attributes: str, default: str) -> None:
        add, text = self._parts.append, child.text
        if not text and not len(child):
            self_closing = not self._in_html or name.lower() in _VOID
            add(f"<{name}{attributes}/>" if self_closing else f"<{name}{attributes}></{name}>")
            return
        add(f"<{name}{attributes}>{_bounded_text(text)}" if text else f"<{name}{attributes}>")
        if len(child):
            self.children(child, default)
        add(f"</{name}>")

    def _foreign(self, child: Element, default: str) -> None:
        """Write an element that is not in the default namespace."""
        namespace, name = self._split(child.tag)
        declared = ""
        if namespace in {"", XHTML} and not self._in_html:
            declared, default = f' xmlns="{namespace[1:-1]}"', namespace
        elif namespace not in _UNPREFIXED_IN_HTML or not self._in_html:
            declared = self._declare(namespace)
            name = f"{self._prefixes[namespace]}:{name}"
        attributes = self._attributes(child) if child.keys() else ""
        self._element(child, name, declared + attributes, default)

    def _attributes(self, element: Element) -> str:
        written: list[str] = []
        for key, value in sorted(element.items()):
            name = key
            if key.startswith(XML):
                name = f"xml:{key[len(XML) :]}"
            elif key.startswith("{"):
                end = key.find("}") + 1
                written.append(self._declare(key[:end]))
                name = f"{self._prefixes[key[:end]]}:{key[end:]}"
            written.append(f' {name}="{_bounded_text(value, in_attribute=True)}"' if value else f' {name}=""')
        return "".join(written)

    def _split(self, tag: str) -> tuple[str, str]:
        parts = self._names.get(tag)
        if parts is None:
            end = tag.find("}") + 1
            parts = self._names[tag] = tag[:end], tag[end:]
        return parts

    def _declare(self, namespace: str) -> str:
        """Return the declaration of a namespace; empty if it is in scope."""
        if namespace in self._prefixes:
            return ""
        key = namespace, len(self._prefixes)
        if key not in self._declarations:
            prefix = _new_prefix(namespace, self._prefixes)
            self._declarations[key] = prefix, f' xmlns:{prefix}="{_escape(namespace[1:-1], in_attribute=True)}"'
        self._prefixes[namespace], declaration = self._declarations[key]
        return declaration


def _escape(value: str, *, in_attribute: bool = False) -> str:
    """Escape text for an element, or for an attribute in double quotes."""
    if not value or value.isalnum():
        return value
    # A few searches in C are much faster than `str.translate`.
    for character, reference in _ATTRIBUTE_ESCAPES if in_attribute else _TEXT_ESCAPES:
        if character in value:
            value = value.replace(character, reference)
    return value


def _new_prefix(namespace: str, scope: Mapping[str, str]) -> str:
    """Return a prefix for a namespace that has none in `scope`."""
    return _PREFERRED_PREFIXES.get(namespace) or f"ns{len(scope)}"
