"""The markup inside an element that was read, as text: XHTML and other XML content, and HTML that was not escaped.

The parser has seen to it that there is nothing here that XML cannot hold, so all of this is about speed and size.
What is written may be longer than what was read, because each outermost element declares its namespaces again.
"""

from __future__ import annotations

from typing import TypeAlias
from xml.etree.ElementTree import Element

from aioconnections.atom.markup import escaped, prefix_for
from aioconnections.atom.names import ATOM, XHTML, XML
from aioconnections.errors import AtomError

__all__ = ["html_inside", "xml_inside"]

LONGEST = 1 << 20
"""Most characters of markup in one construct."""

_Scope: TypeAlias = dict[str, str]
"""The prefix of each namespace that is declared."""

_PLAIN_IN_HTML = (ATOM, XHTML)
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)  # elements of HTML that have no end tag


def xml_inside(element: Element, default: str = "") -> str:
    """Write what is inside an element: its text and children.

    Args:
        element: what to write; neither its own tag nor what follows it is.
        default: the namespace (in braces) that names without a prefix are in where this will stand.

    Raises:
        AtomError: it is too long.
    """
    return _whole(element, default, in_html=False)


def html_inside(element: Element) -> str:
    """The same as HTML: names of HTML have no prefix, and only elements that are void there go without an end tag.

    Raises:
        AtomError: it is too long.
    """
    return _whole(element, "", in_html=True)


def _whole(element: Element, default: str, *, in_html: bool) -> str:
    parts = [escaped(element.text or "")]
    if len(element):
        _Writer(parts, in_html=in_html).children(element, default, {})
    if sum(map(len, parts)) > LONGEST:
        raise AtomError(f"markup of more than {LONGEST} characters")
    return "".join(parts)


class _Writer:
    def __init__(self, parts: list[str], *, in_html: bool) -> None:
        self._parts = parts
        self._html = in_html

    def children(self, parent: Element, default: str, scope: _Scope) -> None:
        """Write the children of an element, and what follows each."""
        add, known = self._parts.append, len(default)
        for child in parent:
            tag = child.tag
            if tag.startswith(default) if default else not tag.startswith("{"):
                name, declared, inner, within = tag[known:], "", scope, default
            else:
                name, declared, inner, within = self._named(tag, default, scope)
            if child.keys():
                attributes, inner = self._attributes(child, inner)
                declared += attributes
            self._element(child, name, declared, inner, within)
            if child.tail:
                add(escaped(child.tail))

    def _element(self, child: Element, name: str, declared: str, scope: _Scope, default: str) -> None:
        add, text = self._parts.append, child.text
        if not text and not len(child):
            add(f"<{name}{declared}></{name}>" if self._html and name.lower() not in _VOID else f"<{name}{declared}/>")
            return
        add(f"<{name}{declared}>{escaped(text)}" if text else f"<{name}{declared}>")
        if len(child):
            self.children(child, default, scope)
        add(f"</{name}>")

    def _named(self, tag: str, default: str, scope: _Scope) -> tuple[str, str, _Scope, str]:
        """The name as it is written, declarations with a blank before each, and what is in force inside."""
        at = tag.find("}") + 1
        space, name = tag[:at], tag[at:]
        if self._html and space in _PLAIN_IN_HTML:
            return name, "", scope, default
        if space in {"", XHTML}:
            return name, f' xmlns="{space[1:-1]}"', scope, space
        declared, scope = _declared(space, scope)
        return f"{scope[space]}:{name}", declared, scope, default

    def _attributes(self, element: Element, scope: _Scope) -> tuple[str, _Scope]:
        written: list[str] = []
        for key, value in sorted(element.items()):
            name = key
            if key.startswith(XML):
                name = f"xml:{key[len(XML) :]}"
            elif key.startswith("{"):
                at = key.find("}") + 1
                declared, scope = _declared(key[:at], scope)
                written.append(declared)
                name = f"{scope[key[:at]]}:{key[at:]}"
            written.append(f' {name}="{escaped(value, in_attribute=True)}"' if value else f' {name}=""')
        return "".join(written), scope


def _declared(space: str, scope: _Scope) -> tuple[str, _Scope]:
    """The declaration of a namespace, where it needs one, and the scope with it."""
    if space in scope:
        return "", scope
    prefix = prefix_for(space, scope)
    return f' xmlns:{prefix}="{escaped(space[1:-1], in_attribute=True)}"', {**scope, space: prefix}
