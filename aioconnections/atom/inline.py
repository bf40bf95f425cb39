"""The markup inside an element that was read, as text: XHTML and other XML content, and HTML that was not escaped.

The parser has seen to it that there is nothing here that XML cannot hold, so all of this is about speed and size.
What is written may be longer than what was read, because each outermost element declares its namespaces again.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

from aioconnections.atom.markup import escaped, prefix_for
from aioconnections.atom.names import ATOM, XHTML, XML
from aioconnections.errors import AtomError

__all__ = ["html_inside", "xml_inside"]

LONGEST = 1 << 19
"""Most characters of markup in one construct."""

_LONGEST_REFERENCE = len("&quot;")
_ESCAPED = "&<>\r"
_ESCAPED_IN_ATTRIBUTES = _ESCAPED + '"\t\n'
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


def _written(value: str, *, in_attribute: bool = False) -> str:
    """Text as it is written, unless that would be too long: known before it takes the memory."""
    if len(value) > LONGEST // _LONGEST_REFERENCE:
        _check(
            len(value)
            + sum(map(value.count, _ESCAPED_IN_ATTRIBUTES if in_attribute else _ESCAPED)) * (_LONGEST_REFERENCE - 1)
        )
    return escaped(value, in_attribute=in_attribute)


def _check(length: int) -> None:
    if length > LONGEST:
        raise AtomError(f"markup of more than {LONGEST} characters")


def _whole(element: Element, default: str, *, in_html: bool) -> str:
    text = _written(element.text or "")
    if not len(element):
        return text
    parts = [text]
    _Writer(parts, in_html=in_html).children(element, default)
    _check(sum(map(len, parts)))
    return "".join(parts)


class _Writer:
    def __init__(self, parts: list[str], *, in_html: bool) -> None:
        self._parts = parts
        self._html = in_html
        self._prefixes: dict[str, str] = {}  # of each namespace that is declared where we are
        self._names: dict[str, tuple[str, str]] = {}  # of each tag the namespace and the name
        self._declarations: dict[tuple[str, int], tuple[str, str]] = {}  # those that were written before

    def children(self, parent: Element, default: str) -> None:
        """Write the children of an element, and what follows each."""
        add, known, prefixes = self._parts.append, len(default), self._prefixes
        for child in parent:
            tag, declared = child.tag, len(prefixes)
            if tag.startswith(default) if default else not tag.startswith("{"):
                self._element(child, tag[known:], self._attributes(child) if child.keys() else "", default)
            else:
                self._foreign(child, default)
            if child.tail:
                add(_written(child.tail))
            while len(prefixes) > declared:
                prefixes.popitem()

    def _element(self, child: Element, name: str, attributes: str, default: str) -> None:
        add, text = self._parts.append, child.text
        if not text and not len(child):
            void = not self._html or name.lower() in _VOID
            add(f"<{name}{attributes}/>" if void else f"<{name}{attributes}></{name}>")
            return
        add(f"<{name}{attributes}>{_written(text)}" if text else f"<{name}{attributes}>")
        if len(child):
            self.children(child, default)
        add(f"</{name}>")

    def _foreign(self, child: Element, default: str) -> None:
        """Write an element that is not in the namespace of names without a prefix."""
        space, name = self._split(child.tag)
        declared = ""
        if space in {"", XHTML} and not self._html:
            declared, default = f' xmlns="{space[1:-1]}"', space
        elif space not in _PLAIN_IN_HTML or not self._html:
            declared = self._declared(space)
            name = f"{self._prefixes[space]}:{name}"
        attributes = self._attributes(child) if child.keys() else ""
        self._element(child, name, declared + attributes, default)

    def _attributes(self, element: Element) -> str:
        written: list[str] = []
        for key, value in sorted(element.items()):
            name = key
            if key.startswith(XML):
                name = f"xml:{key[len(XML) :]}"
            elif key.startswith("{"):
                at = key.find("}") + 1
                written.append(self._declared(key[:at]))
                name = f"{self._prefixes[key[:at]]}:{key[at:]}"
            written.append(f' {name}="{_written(value, in_attribute=True)}"' if value else f' {name}=""')
        return "".join(written)

    def _split(self, tag: str) -> tuple[str, str]:
        found = self._names.get(tag)
        if found is None:
            at = tag.find("}") + 1
            found = self._names[tag] = tag[:at], tag[at:]
        return found

    def _declared(self, space: str) -> str:
        """The declaration of a namespace, where it is not in force yet."""
        if space in self._prefixes:
            return ""
        at = space, len(self._prefixes)
        if at not in self._declarations:
            prefix = prefix_for(space, self._prefixes)
            self._declarations[at] = prefix, f' xmlns:{prefix}="{escaped(space[1:-1], in_attribute=True)}"'
        self._prefixes[space], declaration = self._declarations[at]
        return declaration
