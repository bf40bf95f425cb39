"""Conversion of records to Atom documents.

A document that is written here reads back as the same record.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Iterator
from typing import TypeVar

from aioconnections.atom.markup import write_element
from aioconnections.atom.names import (
    ATOM,
    CONNECTION_SOURCE,
    CONNECTION_TARGET,
    OPENSEARCH,
    SNX,
    SNX_REL,
    XHTML,
    XML_BASE,
    XML_LANG,
)
from aioconnections.atom.reader import read_document
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
from aioconnections.errors import AtomError, InvalidInputError

__all__ = ["write_entry"]

T = TypeVar("T")

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def write_entry(entry: Entry) -> bytes:
    """Write an entry as a standalone document.

    Returns:
        the document in UTF-8, with an XML declaration.

    Raises:
        InvalidInputError: a text holds a character that XML does not allow, a name is not a valid XML name, or markup
            is not well-formed.
    """
    body = write_element(_entry(entry), ATOM).removeprefix("<entry")
    return f'{_DECLARATION}<entry xmlns="{ATOM[1:-1]}"{body}'.encode()


def _entry(entry: Entry) -> XmlElement:
    lang, base = entry.lang, entry.base
    children = [
        *_plain(f"{ATOM}id", entry.id),
        *_text("title", entry.title, lang, base),
        *_plain(f"{ATOM}updated", entry.updated_text),
        *_plain(f"{ATOM}published", entry.published_text),
        *map(_category, entry.categories),
        *(_person(f"{ATOM}author", person) for person in entry.authors),
        *(_person(f"{ATOM}contributor", person) for person in entry.contributors),
        *_optional(_connection_ends, entry.connection),
        *_optional(lambda content: _content(content, lang, base), entry.content),
        *map(_link, entry.links),
        *_text("summary", entry.summary, lang, base),
        *_text("rights", entry.rights, lang, base),
        *_optional(lambda source: _source(source, lang, base), entry.source),
        *entry.extensions,
    ]
    return XmlElement(f"{ATOM}entry", _with_scope(entry.attributes, lang, base, None, None), "", tuple(children))


def _source(feed: Feed, lang: str | None, base: str | None) -> XmlElement:
    attributes = _with_scope(feed.attributes, feed.lang, feed.base, lang, base)
    lang, base = feed.lang, feed.base
    children = [
        *_plain(f"{ATOM}id", feed.id),
        *_optional(_generator, feed.generator),
        *_text("title", feed.title, lang, base),
        *_text("subtitle", feed.subtitle, lang, base),
        *_text("rights", feed.rights, lang, base),
        *_plain(f"{ATOM}updated", feed.updated_text),
        *_plain(f"{ATOM}icon", feed.icon),
        *_plain(f"{ATOM}logo", feed.logo),
        *(_person(f"{ATOM}author", person) for person in feed.authors),
        *(_person(f"{ATOM}contributor", person) for person in feed.contributors),
        *map(_category, feed.categories),
        *_plain(f"{OPENSEARCH}totalResults", _number(feed.total_results)),
        *_plain(f"{OPENSEARCH}startIndex", _number(feed.start_index)),
        *_plain(f"{OPENSEARCH}itemsPerPage", _number(feed.items_per_page)),
        *map(_link, feed.links),
        *feed.extensions,
    ]
    return XmlElement(f"{ATOM}source", attributes, "", tuple(children))


def _optional(write: Callable[[T], XmlElement], record: T | None) -> Iterator[XmlElement]:
    if record is not None:
        yield write(record)


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)


def _plain(tag: str, value: str | None) -> Iterator[XmlElement]:
    if value is not None:
        yield XmlElement(tag, (), value)


def _with_scope(
    attributes: Attributes, lang: str | None, base: str | None, outer_lang: str | None, outer_base: str | None
) -> Attributes:
    """Add ``xml:lang`` and ``xml:base`` where they differ from those in scope."""
    scoped = list(attributes)
    if lang != outer_lang:
        scoped.append((XML_LANG, lang or ""))
    if base != outer_base and base is not None:
        scoped.append((XML_BASE, base))
    return tuple(scoped)


def _present(*pairs: tuple[str, str | None]) -> Attributes:
    return tuple((name, value) for name, value in pairs if value is not None)


def _text(name: str, text: Text | None, lang: str | None, base: str | None) -> Iterator[XmlElement]:
    if text is None:
        return
    attributes = _with_scope((("type", text.type), *text.attributes), text.lang, text.base, lang, base)
    yield _inline(f"{ATOM}{name}", attributes, text.type, text.value)


def _content(content: Content, lang: str | None, base: str | None) -> XmlElement:
    own = _present(("type", content.type), ("src", content.src))
    attributes = _with_scope((*own, *content.attributes), content.lang, content.base, lang, base)
    tag = f"{ATOM}content"
    if isinstance(content.value, bytes):
        return XmlElement(tag, attributes, b2a_base64(content.value, newline=False).decode("ascii"))
    media_type = content.type.partition(";")[0].strip().lower()
    if not media_type.endswith(("+xml", "/xml")):
        return _inline(tag, attributes, content.type, content.value)
    inside = _parse(f"<content>{content.value}</content>")
    return XmlElement(tag, attributes, inside.text, inside.children)


def _inline(tag: str, attributes: Attributes, kind: str, value: str) -> XmlElement:
    if kind != "xhtml":
        return XmlElement(tag, attributes, value)
    # The div that RFC 4287 section 3.1.1.3 requires.
    div = _parse(f'<div xmlns="{XHTML[1:-1]}">{value}</div>')
    return XmlElement(tag, attributes, "", (XmlElement(f"{XHTML}div", (), div.text, div.children),))


def _parse(document: str) -> XmlElement:
    try:
        root = read_document(document.encode("utf-8"))
    except (AtomError, UnicodeEncodeError):
        root = None
    if root is None:
        raise InvalidInputError("XHTML and XML content must be well-formed")
    return root


def _person(tag: str, person: AtomPerson, attributes: Attributes = ()) -> XmlElement:
    children = [
        *_plain(f"{ATOM}name", person.name),
        *_plain(f"{SNX}userid", person.userid),
        *_plain(f"{ATOM}email", person.email),
        *_plain(f"{ATOM}uri", person.uri),
        *_plain(f"{SNX}userState", person.user_state),
        *_plain(f"{SNX}isExternal", person.is_external),
        *person.extensions,
    ]
    return XmlElement(tag, (*attributes, *person.attributes), "", tuple(children))


def _connection_ends(ends: ConnectionEnds) -> XmlElement:
    people = [(CONNECTION_SOURCE, ends.source), (CONNECTION_TARGET, ends.target)]
    children = [_person(f"{ATOM}contributor", end, ((SNX_REL, rel),)) for rel, end in people if end is not None]
    return XmlElement(f"{SNX}connection", ends.attributes, "", (*children, *ends.extensions))


def _link(link: Link) -> XmlElement:
    own = _present(
        ("href", link.href),
        ("rel", link.rel),
        ("type", link.type),
        ("title", link.title),
        ("hreflang", link.hreflang),
        ("length", _number(link.length)),
    )
    return XmlElement(f"{ATOM}link", (*own, *link.attributes))


def _category(category: Category) -> XmlElement:
    own = _present(("term", category.term), ("scheme", category.scheme), ("label", category.label))
    return XmlElement(f"{ATOM}category", (*own, *category.attributes))


def _generator(generator: Generator) -> XmlElement:
    own = _present(("uri", generator.uri), ("version", generator.version))
    return XmlElement(f"{ATOM}generator", own, generator.value)
