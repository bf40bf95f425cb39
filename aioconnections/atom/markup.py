"""Elements to markup. Anything that XML cannot hold is refused here, before a byte leaves.

ElementTree would write control characters and lone surrogates as they are, which no parser reads again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aioconnections.atom.names import APP, ATOM, FH, OPENSEARCH, SNX, THR, XHTML, XML
from aioconnections.atom.records import Attributes, XmlElement
from aioconnections.errors import InvalidInputError

__all__ = ["escaped", "markup", "prefix_for"]

_PREFERRED = {ATOM: "atom", APP: "app", SNX: "snx", OPENSEARCH: "opensearch", THR: "thr", FH: "fh"}
_XMLNS = "{http://www.w3.org/2000/xmlns/}"
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Letters as XML 1.0, fifth edition, has them, without the colon.
_START = (
    r"A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    r"\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NAME = re.compile(rf"(\{{[^{{}}]+\}})?([{_START}][-.0-9\xb7\u0300-\u036f\u203f\u2040{_START}]*)")
_DEEPEST = 90

_IN_TEXT = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))
_IN_ATTRIBUTE = (*_IN_TEXT, ('"', "&quot;"), ("\t", "&#9;"), ("\n", "&#10;"))


def markup(element: XmlElement, default: str = "") -> str:
    """Write an element, without what follows it.

    Args:
        element: what to write.
        default: the namespace (in braces) that names without a prefix are in where this will stand.

    Raises:
        InvalidInputError: a name or a text that XML cannot hold, or elements nested too deep.
    """
    parts: list[str] = []
    _write(parts, element, default, {}, 1)
    return "".join(parts)


def escaped(value: str, *, in_attribute: bool = False) -> str:
    """Text as it is written in text, or in an attribute between double quotes."""
    if not value or value.isalnum():
        return value
    # Each of these is a loop in C, and much faster than `str.translate`.
    for character, reference in _IN_ATTRIBUTE if in_attribute else _IN_TEXT:
        if character in value:
            value = value.replace(character, reference)
    return value


def prefix_for(space: str, scope: Mapping[str, str]) -> str:
    """The prefix of a namespace that `scope`, from namespaces to prefixes, does not hold yet."""
    return _PREFERRED.get(space) or f"ns{len(scope)}"


def _text(value: str, *, in_attribute: bool = False) -> str:
    if _NOT_XML.search(value):
        raise InvalidInputError("text with a character that XML cannot hold")
    return escaped(value, in_attribute=in_attribute)


def _split(name: str) -> tuple[str, str]:
    found = _NAME.fullmatch(name)
    if found is None or found[1] == _XMLNS:
        raise InvalidInputError("a name that XML cannot hold")
    return found[1] or "", found[2]


def _write(parts: list[str], element: XmlElement, default: str, prefixes: dict[str, str], depth: int) -> None:
    if depth > _DEEPEST:
        raise InvalidInputError(f"elements nested deeper than {_DEEPEST}")
    space, name = _split(element.tag)
    declared: list[str] = []
    if space != default or element.attributes:
        prefixes = prefixes.copy()
        if space in {"", XHTML} and space != default:
            declared.append(f' xmlns="{space[1:-1]}"')
            default = space
        elif space != default:
            name = f"{_prefix(space, prefixes, declared)}:{name}"
    attributes = _attributes(element.attributes, prefixes, declared) if element.attributes else ""
    start = f"<{name}{''.join(declared)}{attributes}"
    if not element.children and not element.text:
        parts.append(f"{start}/>")
        return
    parts.append(f"{start}>{_text(element.text)}")
    for child in element.children:
        _write(parts, child, default, prefixes, depth + 1)
        parts.append(_text(child.tail))
    parts.append(f"</{name}>")


def _attributes(attributes: Attributes, scope: dict[str, str], declared: list[str]) -> str:
    if len(dict(attributes)) < len(attributes):
        raise InvalidInputError("an attribute that is there twice")
    return "".join(
        f' {_attribute_name(key, scope, declared)}="{_text(value, in_attribute=True)}"' for key, value in attributes
    )


def _attribute_name(key: str, scope: dict[str, str], declared: list[str]) -> str:
    space, name = _split(key)
    return f"{_prefix(space, scope, declared)}:{name}" if space else name


def _prefix(space: str, scope: dict[str, str], declared: list[str]) -> str:
    if space == XML:
        return "xml"
    if space not in scope:
        scope[space] = prefix_for(space, scope)
        declared.append(f' xmlns:{scope[space]}="{_text(space[1:-1], in_attribute=True)}"')
    return scope[space]
