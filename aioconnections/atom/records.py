"""Records of RFC 4287 and of the vendor's extensions.

All are deeply immutable and can be pickled. Dates are kept as written, so that an entry can be sent back without loss;
properties parse them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeAlias

from aioconnections.atom.dates import parse_date
from aioconnections.atom.names import SNX
from aioconnections.reprs import frozen

__all__ = [
    "AtomPerson",
    "Attributes",
    "Category",
    "ConnectionEnds",
    "Content",
    "Entry",
    "Feed",
    "Generator",
    "Link",
    "Text",
    "XmlElement",
]

Attributes: TypeAlias = tuple[tuple[str, str], ...]
"""Attributes without a field: pairs of ``{namespace}name`` and value, sorted by name."""


@frozen(weakref_slot=False)
class XmlElement:
    """An element that RFC 4287 does not define, with its content.

    Attributes:
        tag: ``{namespace}name``.
        attributes: pairs of name and value, sorted by name.
        text: the text before the first child.
        children: the child elements.
        tail: the text between this element and the next one.
    """

    tag: str
    attributes: Attributes = ()
    text: str = ""
    children: tuple[XmlElement, ...] = ()
    tail: str = ""

    def get(self, name: str) -> str | None:
        """Return the value of an attribute, or None."""
        return next((value for key, value in self.attributes if key == name), None)

    def find(self, tag: str) -> XmlElement | None:
        """Return the first child with this tag, or None."""
        return next((child for child in self.children if child.tag == tag), None)

    def walk(self) -> Iterator[XmlElement]:
        """Yield this element and its descendants in document order."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def content(self) -> str:
        """The text of this element and its descendants, as written."""
        parts: list[str] = []
        _collect(self, parts.append)
        return "".join(parts)


def _collect(element: XmlElement, add: Callable[[str], None]) -> None:
    """Add each text once; joining at every level would copy it once per level."""
    add(element.text)
    for child in element.children:
        _collect(child, add)
        add(child.tail)


@frozen(weakref_slot=False)
class Text:
    """A text construct (RFC 4287 section 3.1).

    Attributes:
        value: the text; for ``xhtml``, the markup inside the required div, where names without a prefix are XHTML.
            The other types must not have child elements (RFC 4287). If they do, ``html`` keeps them as markup
            (unescaped HTML), and ``text`` keeps only their text.
        type: ``text``, ``html`` or ``xhtml``.
        lang: the language in scope, or None.
        base: the ``xml:base`` in scope, resolved, or None.
        attributes: attributes that RFC 4287 does not define.
    """

    value: str
    type: str = "text"
    lang: str | None = None
    base: str | None = None
    attributes: Attributes = ()


@frozen(weakref_slot=False)
class Content:
    """The content of an entry (RFC 4287 section 4.1.3).

    Attributes:
        value: as in `Text`; for an XML media type, the markup; for other media types that are not text, the decoded
            bytes, or the text itself if it is not base64.
        type: ``text``, ``html``, ``xhtml`` or a media type.
        src: URI of the content, if it is not in the entry; resolved against the base.
        lang: the language in scope, or None.
        base: the ``xml:base`` in scope, resolved, or None.
        attributes: attributes that RFC 4287 does not define.
    """

    value: str | bytes = ""
    type: str = "text"
    src: str | None = None
    lang: str | None = None
    base: str | None = None
    attributes: Attributes = ()


@frozen(weakref_slot=False)
class AtomPerson:
    """A person construct with the vendor's extensions, without surrounding whitespace.

    Attributes:
        name: display name.
        email: None or empty if the server hides e-mail addresses.
        uri: resolved against the base.
        userid: ``snx:userid``, the ID in the directory; case-sensitive.
        user_state: ``snx:userState``, ``active`` or ``inactive``.
        is_external: ``snx:isExternal``, ``true`` or ``false``; since server version 5.0.
        extensions: other elements.
        attributes: attributes without a field, including ``xml:lang`` and ``xml:base``; without ``snx:rel`` for the
            source and target of a connection.
    """

    name: str | None = None
    email: str | None = None
    uri: str | None = None
    userid: str | None = None
    user_state: str | None = None
    is_external: str | None = None
    extensions: tuple[XmlElement, ...] = ()
    attributes: Attributes = ()


@frozen(weakref_slot=False)
class Link:
    """A link (RFC 4287 section 4.2.7).

    Attributes:
        href: resolved against the base.
        rel: the relation; ``alternate`` if the document has none.
        type: media type of the target.
        title: title of the link.
        hreflang: language of the target.
        length: length of the target in bytes, or None if it is not a number.
        attributes: attributes without a field, including ``xml:lang`` and ``xml:base``.
    """

    href: str
    rel: str = "alternate"
    type: str | None = None
    title: str | None = None
    hreflang: str | None = None
    length: int | None = None
    attributes: Attributes = ()


@frozen(weakref_slot=False)
class Category:
    """A category (RFC 4287 section 4.2.2); the vendor uses it for the type and status of an entry."""

    term: str
    scheme: str | None = None
    label: str | None = None
    attributes: Attributes = ()


@frozen(weakref_slot=False)
class Generator:
    """The program that wrote a feed (RFC 4287 section 4.2.4); `uri` is resolved against the base."""

    value: str
    uri: str | None = None
    version: str | None = None


@frozen(weakref_slot=False)
class ConnectionEnds:
    """``snx:connection``: the two people of a connection, distinguished by ``snx:rel`` alone.

    Attributes:
        source: the person whose connections are listed.
        target: the other person.
        extensions: other elements.
        attributes: all attributes of ``snx:connection``.
    """

    source: AtomPerson | None = None
    target: AtomPerson | None = None
    extensions: tuple[XmlElement, ...] = ()
    attributes: Attributes = ()


@frozen(weakref_slot=False)
class Feed:
    """The metadata of a feed; also the ``atom:source`` of an entry.

    Attributes:
        entries: entries that only the end of the input completed, including a lone ``<entry>`` document.
        total_results: ``opensearch:totalResults``; the vendor caps it for searches.
        start_index: ``opensearch:startIndex``; 1, or 0 for no results in Communities.
        items_per_page: ``opensearch:itemsPerPage``.
        updated_text: as written; the vendor's servers send the time of the response, not of the data.
        lang: ``xml:lang`` of the feed.
        base: ``xml:base`` of the feed, resolved.
        extensions: elements that RFC 4287 and OpenSearch do not define.
        attributes: attributes that RFC 4287 does not define.
    """

    id: str | None = None
    title: Text | None = None
    subtitle: Text | None = None
    rights: Text | None = None
    updated_text: str | None = None
    generator: Generator | None = None
    icon: str | None = None
    logo: str | None = None
    authors: tuple[AtomPerson, ...] = ()
    contributors: tuple[AtomPerson, ...] = ()
    links: tuple[Link, ...] = ()
    categories: tuple[Category, ...] = ()
    total_results: int | None = None
    start_index: int | None = None
    items_per_page: int | None = None
    entries: tuple[Entry, ...] = ()
    extensions: tuple[XmlElement, ...] = ()
    lang: str | None = None
    base: str | None = None
    attributes: Attributes = ()

    @property
    def updated(self) -> datetime | None:
        """`updated_text` as an aware datetime, or None if it is not a date."""
        return parse_date(self.updated_text)

    def link(self, rel: str) -> Link | None:
        """Return the first link with this relation, or None."""
        return next((link for link in self.links if link.rel == rel), None)


@frozen(weakref_slot=False)
class Entry:
    """An entry (RFC 4287 section 4.1.2).

    If an element that must be unique is repeated, the first one is used (RFC 4287 does not say which), and the others
    are kept among the extensions. Attributes of elements that hold plain text (id, dates, the parts of a person) are
    not kept.

    Attributes:
        id: without surrounding whitespace.
        updated_text: as written, without surrounding whitespace; `updated` parses it.
        published_text: as written, without surrounding whitespace; `published` parses it.
        source: metadata of the feed that the entry was copied from.
        connection: ``snx:connection``, the two people of a connection.
        extensions: elements that RFC 4287 does not define for an entry, each with its content.
        lang: the language in scope, or None.
        base: the ``xml:base`` in scope, resolved, or None.
        attributes: attributes that RFC 4287 does not define.
    """

    id: str | None = None
    title: Text | None = None
    updated_text: str | None = None
    published_text: str | None = None
    summary: Text | None = None
    content: Content | None = None
    rights: Text | None = None
    authors: tuple[AtomPerson, ...] = ()
    contributors: tuple[AtomPerson, ...] = ()
    links: tuple[Link, ...] = ()
    categories: tuple[Category, ...] = ()
    source: Feed | None = None
    connection: ConnectionEnds | None = None
    extensions: tuple[XmlElement, ...] = ()
    lang: str | None = None
    base: str | None = None
    attributes: Attributes = ()

    @property
    def updated(self) -> datetime | None:
        """`updated_text` as an aware datetime, or None if it is not a date."""
        return parse_date(self.updated_text)

    @property
    def published(self) -> datetime | None:
        """`published_text` as an aware datetime, or None if it is not a date."""
        return parse_date(self.published_text)

    @property
    def role(self) -> str | None:
        """``snx:role``, the role of a community member, or None."""
        found = self.extension(f"{SNX}role")
        return None if found is None else found.content.strip()

    def extension(self, tag: str) -> XmlElement | None:
        """Return the first extension element with this ``{namespace}name``, or None."""
        return next((element for element in self.extensions if element.tag == tag), None)

    def link(self, rel: str) -> Link | None:
        """Return the first link with this relation, or None."""
        return next((link for link in self.links if link.rel == rel), None)

    def term(self, scheme: str) -> str | None:
        """Return the term of the first category with this scheme, or None."""
        return next((category.term for category in self.categories if category.scheme == scheme), None)
