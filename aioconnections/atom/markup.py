"""Elements to markup. Anything that XML cannot hold is refused here, before a byte leaves.

ElementTree would write control characters and lone surrogates as they are, which no parser reads again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from aioconnections.atom.names import APP, ATOM, FH, OPENSEARCH, SNX, THR, XHTML
from aioconnections.atom.records import XmlElement
from aioconnections.errors import InvalidInputError

__all__ = ["markup", "markup_inside"]

_PREFERRED = {ATOM: "atom", APP: "app", SNX: "snx", OPENSEARCH: "opensearch", THR: "thr", FH: "fh"}
_XML = "{http://www.w3.org/XML/1998/namespace}"
_XMLNS = "{http://www.w3.org/2000/xmlns/}"
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Letters as XML 1.0, fifth edition, has them, without the colon.
_START = (
    r"A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    r"\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NAME = re.compile(rf"(\{{[^{{}}]+\}})?([{_START}][-.0-9\xb7\u0300-\u036f\u203f\u2040{_START}]*)")
_DEEPEST = 90

_IN_TEXT = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("\r"): "&#13;"}
_IN_ATTRIBUTE = {**_IN_TEXT, ord('"'): "&quot;", ord("\t"): "&#9;", ord("\n"): "&#10;"}


def markup(element: XmlElement, default: str = "") -> str:
    """Write an element, without what follows it.

    Args:
        element: what to write.
        default: the namespace (in braces) that names without a prefix are in where this will stand.

    Raises:
        InvalidInputError: a name or a text that XML cannot hold, or elements nested too deep.
    """
    return "".join(_write(element, default, {}, 1))


def markup_inside(element: XmlElement, default: str = "") -> str:
    """Write what is inside an element: its text and children."""
    return _text(element.text) + "".join(
        part for child in element.children for part in (markup(child, default), _text(child.tail))
    )


def _text(value: str, table: Mapping[int, str] = _IN_TEXT) -> str:
    if _NOT_XML.search(value):
        raise InvalidInputError("text with a character that XML cannot hold")
    return value.translate(table)


def _split(name: str) -> tuple[str, str]:
    found = _NAME.fullmatch(name)
    if found is None or found[1] == _XMLNS:
        raise InvalidInputError("a name that XML cannot hold")
    return found[1] or "", found[2]


def _write(element: XmlElement, default: str, prefixes: Mapping[str, str], depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise InvalidInputError(f"elements nested deeper than {_DEEPEST}")
    if len(dict(element.attributes)) < len(element.attributes):
        raise InvalidInputError("an attribute that is there twice")
    scope = dict(prefixes)
    declared: list[str] = []
    space, name = _split(element.tag)
    if space == default:
        pass
    elif space in {"", XHTML}:
        declared.append(f' xmlns="{space[1:-1]}"')
        default = space
    else:
        name = f"{_prefix(space, scope, declared)}:{name}"
    attributes = "".join(
        f' {_attribute_name(key, scope, declared)}="{_text(value, _IN_ATTRIBUTE)}"' for key, value in element.attributes
    )
    yield f"<{name}{''.join(declared)}{attributes}"
    if not element.children and not element.text:
        yield "/>"
        return
    yield f">{_text(element.text)}"
    for child in element.children:
        yield from _write(child, default, scope, depth + 1)
        yield _text(child.tail)
    yield f"</{name}>"


def _attribute_name(key: str, scope: dict[str, str], declared: list[str]) -> str:
    space, name = _split(key)
    return f"{_prefix(space, scope, declared)}:{name}" if space else name


def _prefix(space: str, scope: dict[str, str], declared: list[str]) -> str:
    if space == _XML:
        return "xml"
    if space not in scope:
        scope[space] = _PREFERRED.get(space, f"ns{len(scope)}")
        declared.append(f' xmlns:{scope[space]}="{_text(space[1:-1], _IN_ATTRIBUTE)}"')
    return scope[space]
