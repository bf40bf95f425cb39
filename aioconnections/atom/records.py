"""The records of RFC 4287, and what the vendor's documents add to them.

All are immutable all the way down and can be pickled. Text is kept as written wherever its meaning needs a second
look (dates), so that an entry that was read can be sent back with nothing lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeAlias

from attrs import frozen

from aioconnections.atom.dates import parse_date
from aioconnections.atom.names import SNX

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
"""Attributes that have no field of their own: ``{namespace}name`` and value, sorted by name."""


@frozen(weakref_slot=False)
class XmlElement:
    """An element that RFC 4287 does not define, with everything in it.

    Attributes:
        tag: ``{namespace}name``.
        attributes: name and value of each, sorted by name.
        text: what stands before the first child.
        children: the elements inside.
        tail: what stands between this element and the next one.
    """

    tag: str
    attributes: Attributes = ()
    text: str = ""
    children: tuple[XmlElement, ...] = ()
    tail: str = ""

    def get(self, name: str) -> str | None:
        """The value of an attribute, or None."""
        return next((value for key, value in self.attributes if key == name), None)

    def find(self, tag: str) -> XmlElement | None:
        """The first child of that name, or None."""
        return next((child for child in self.children if child.tag == tag), None)

    def walk(self) -> Iterator[XmlElement]:
        """This element and all below it, in the order of the document."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def content(self) -> str:
        """All text in this element and below it, as written."""
        parts: list[str] = []
        _collect(self, parts.append)
        return "".join(parts)


def _collect(element: XmlElement, add: Callable[[str], None]) -> None:
    """Add the texts one by one: joined level by level, each would be copied as often as it is deep."""
    add(element.text)
    for child in element.children:
        _collect(child, add)
        add(child.tail)


@frozen(weakref_slot=False)
class Text:
    """A text construct (RFC 4287 section 3.1).

    Attributes:
        value: the text; for ``xhtml`` the markup inside the wrapping div, in which names without a prefix are XHTML.
            RFC 4287 allows child elements in no other type. Where a document has them nevertheless, ``html`` keeps them
            as markup (a server that did not escape its HTML), and ``text`` keeps only their text.
        type: ``text``, ``html`` or ``xhtml``.
        lang: the language in scope, or None.
        base: the ``xml:base`` in scope, resolved, or None.
        attributes: those that RFC 4287 does not define.
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
        value: as in `Text`; for an XML media type the markup; for any other that is not text, the decoded bytes
            (text that was not base64 after all is kept as text).
        type: ``text``, ``html``, ``xhtml`` or a media type.
        src: where the content is, if it is not here.
        lang: the language in scope, or None.
        base: the ``xml:base`` in scope, resolved, or None.
        attributes: those that RFC 4287 does not define.
    """

    value: str | bytes = ""
    type: str = "text"
    src: str | None = None
    lang: str | None = None
    base: str | None = None
    attributes: Attributes = ()


@frozen(weakref_slot=False)
class AtomPerson:
    """A person construct, with what the vendor says of a person; all without the blanks around it.

    Attributes:
        name: display name.
        email: absent or empty where the server hides e-mail addresses.
        uri: resolved against the base.
        userid: ``snx:userid``, the directory's id; case matters.
        user_state: ``snx:userState``, ``active`` or ``inactive``.
        is_external: ``snx:isExternal``, ``true`` or ``false``; servers from 5.0.
        extensions: other elements.
        attributes: those without a field, ``xml:lang`` and ``xml:base`` among them; of a side of a connection without
            ``snx:rel``.
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
        rel: ``alternate`` if the document names none.
        type: media type of what is there.
        title: of the link.
        hreflang: language of what is there.
        length: in bytes, if a number was given.
        attributes: those without a field, ``xml:lang`` and ``xml:base`` among them.
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
    """A category (RFC 4287 section 4.2.2), the vendor's way to say type and status of an entry."""

    term: str
    scheme: str | None = None
    label: str | None = None
    attributes: Attributes = ()


@frozen(weakref_slot=False)
class Generator:
    """The program that wrote a feed (RFC 4287 section 4.2.4); `uri` resolved against the base."""

    value: str
    uri: str | None = None
    version: str | None = None


@frozen(weakref_slot=False)
class ConnectionEnds:
    """``snx:connection``: the two people of a connection, told apart by ``snx:rel`` and by nothing else.

    Attributes:
        source: the person whose connections are looked at.
        target: the other one.
        extensions: other elements.
        attributes: all of ``snx:connection`` itself.
    """

    source: AtomPerson | None = None
    target: AtomPerson | None = None
    extensions: tuple[XmlElement, ...] = ()
    attributes: Attributes = ()


@frozen(weakref_slot=False)
class Feed:
    """What a feed says of itself; also what an entry says of the feed that it was copied from.

    Attributes:
        entries: the entries that only the end of input completed, a lone ``<entry>`` document among them.
        total_results: ``opensearch:totalResults``; the vendor caps it for searches.
        start_index: ``opensearch:startIndex``, 1 or (Communities, no results) 0.
        items_per_page: ``opensearch:itemsPerPage``.
        updated_text: as written; the vendor gives the time of the answer, which says nothing of the data.
        lang: ``xml:lang`` of the feed.
        base: ``xml:base`` of the feed, resolved.
        extensions: elements that RFC 4287 and OpenSearch do not define.
        attributes: those that RFC 4287 does not define.
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
        """`updated_text` as an aware datetime; None where it is no date."""
        return parse_date(self.updated_text)

    def link(self, rel: str) -> Link | None:
        """The first link of that relation, or None."""
        return next((link for link in self.links if link.rel == rel), None)


@frozen(weakref_slot=False)
class Entry:
    """An entry (RFC 4287 section 4.1.2).

    Of an element that may stand only once, the first counts (RFC 4287 leaves open which); the others are among the
    extensions, so that they are not lost. What an element that holds nothing but plain text (id, dates, the parts of a
    person) says in attributes is not kept.

    Attributes:
        id: without the blanks around it.
        updated_text: as written, without the blanks around it; `updated` reads it.
        published_text: likewise.
        source: what the entry says of the feed that it was copied from.
        connection: ``snx:connection``, the two people of a connection.
        extensions: elements that RFC 4287 does not define, or not here, each with everything in it.
        lang: the language in scope, or None.
        base: the ``xml:base`` in scope, resolved, or None.
        attributes: those that RFC 4287 does not define.
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
        """`updated_text` as an aware datetime; None where it is no date."""
        return parse_date(self.updated_text)

    @property
    def published(self) -> datetime | None:
        """`published_text` as an aware datetime; None where it is no date."""
        return parse_date(self.published_text)

    @property
    def role(self) -> str | None:
        """``snx:role``, what a member of a community is there."""
        found = self.extension(f"{SNX}role")
        return None if found is None else found.content.strip()

    def extension(self, tag: str) -> XmlElement | None:
        """The first extension element of that ``{namespace}name``, or None."""
        return next((element for element in self.extensions if element.tag == tag), None)

    def link(self, rel: str) -> Link | None:
        """The first link of that relation, or None."""
        return next((link for link in self.links if link.rel == rel), None)

    def term(self, scheme: str) -> str | None:
        """The term of the first category of that scheme, or None."""
        return next((category.term for category in self.categories if category.scheme == scheme), None)
