"""Incremental reading of Atom documents."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterator
from typing import Unpack
from xml.etree.ElementTree import Element, ParseError

from attrs import evolve, fields_dict

from aioconnections.atom.build import Builder
from aioconnections.atom.children import Child, ChildParser, Example
from aioconnections.atom.constructs import Scope, build_element, scope_of
from aioconnections.atom.decode import Utf8Decoder
from aioconnections.atom.lenient import LenientFilter
from aioconnections.atom.names import ATOM, shown
from aioconnections.atom.records import Entry, Feed, XmlElement
from aioconnections.atom.references import Resolver
from aioconnections.atom.templates import Templates, TemplatesByRoot, template_of
from aioconnections.atom.tree import PIECE, LimitOptions, Limits, count_with_attributes
from aioconnections.errors import AtomError, UsageError

__all__ = ["Reader", "read_document", "read_entries"]

_FEED = f"{ATOM}feed"
_ENTRY = f"{ATOM}entry"
_DEFAULT_LIMITS = Limits()
_MARKS_PER_CHILD = 3  # the cost of a record in addition to its elements and attributes
_MARKS = re.compile(rb"""<(?!/)|=[ \t\r\n]*+["']""")


class Reader:
    """A push parser: takes the bytes of one document and returns each entry as soon as it is complete.

    It reads feeds and lone entries. A document that holds only an XML declaration yields an empty feed: that is the
    server's response for an unknown person (``profileEntry.do``). HTML pages are refused with a specific reason.
    Document type declarations, and with them custom entities and external references, are refused, as are XML 1.1 and
    encodings other than UTF-8, UTF-16, US-ASCII, ISO-8859-1 and windows-1252.

    Memory is bounded by one entry, the longest token and the chunk, regardless of the length of the document.

    Args:
        base: the URI against which relative references are resolved where the document has no ``xml:base``. A base and
            a resolved relative reference may have up to 8,192 characters. Resolution may add up to 1,048,576 characters
            to a document, and 4,096 more for each entry.
        charset: the charset of the HTTP ``Content-Type``, or None. A byte order mark overrides it; it overrides the XML
            declaration.
        strict: refuse characters that XML 1.0 forbids, and unknown entities. Otherwise forbidden characters, also as
            references (``&#8;``), are read as U+FFFD, and the entities of HTML 4 and XHTML 1.0 (``&nbsp;``) as the
            characters that they name. The client reads responses this way.
        fields: names of the fields of `Entry` to read; the others keep their defaults, which saves time. None for all.
        templates: what readers of similar documents share, such as those of the pages of a listing, to save time.
        **limits: maximum sizes:

            - max_bytes: bytes of the document as received. 64 MiB.
            - max_markup: tags, comments, CDATA sections and processing instructions, counted by their ``<``. They take
              more time than plain text. 1,048,576, enough for 15,000 connections in one feed of 30 MB; the client
              requests 250 at a time.
            - max_density: elements, attributes, comments, CDATA sections and processing instructions in each successive
              16 KiB of the document in UTF-8; an entry counts as three more. 1,280, one per 12.8 bytes.
            - max_token: bytes of a tag, comment, CDATA section, processing instruction or run of text. 256 KiB.
            - max_depth: nesting depth of elements. 100.
            - max_attributes: attributes of one element, including namespace declarations. 250.
            - max_elements: elements and attributes in one entry, and outside the entries. 5,000.
            - max_entry: bytes of one entry, checked to within one token and 32 KiB. 256 KiB.
            - max_entries: entries of the document. 100,000.

    Raises:
        AtomError: the charset is not supported.
        ValueError: a limit is below 1, or `Entry` has no such field.
    """

    def __init__(
        self,
        *,
        base: str | None = None,
        charset: str | None = None,
        strict: bool = True,
        fields: Collection[str] | None = None,
        templates: Templates | None = None,
        **limits: Unpack[LimitOptions],
    ) -> None:
        self._limits = Limits(**limits) if limits else _DEFAULT_LIMITS
        self._fields = None if fields is None else frozenset(fields)
        if self._fields is not None and (unknown := self._fields.difference(fields_dict(Entry))):
            raise ValueError(f"Entry has no field {', '.join(sorted(unknown))}")
        store = (templates or Templates()).of(base, self._fields)
        self._source = _ElementSource(self._limits, charset, _FEED, store, strict=strict)
        self._builder = Builder()
        self._base = base
        self._resolver = Resolver(base)
        self._outer_scope: Scope = (None, None, self._resolver)
        self._scope: Scope = self._outer_scope
        self._root_checked = False
        self._metadata_elements: list[Element] = []
        self._metadata_size = 0
        self._entry_count = 0
        self._feed: Feed | None = None
        self._failure: AtomError | None = None

    def feed(self, chunk: bytes) -> list[Entry]:
        """Parse more of the document.

        Args:
            chunk: any number of bytes; the document may be split anywhere.

        Returns:
            the entries that `chunk` completed.

        Raises:
            AtomError: the document is not acceptable. If `chunk` completed entries before the error, they are returned
                and the next call raises. Every later call raises too.
            UsageError: the reader is closed.
        """
        if self._feed is not None:
            raise UsageError("the reader is closed; create a new one for each document")
        entries: list[Entry] = []
        if self._failure is None:
            try:
                for children in self._source.push(chunk):
                    self._add_children(children, entries)
            except AtomError as error:
                self._failure = error
        if self._failure is not None and not entries:
            raise _copy(self._failure)
        return entries

    def close(self) -> Feed:
        """End the document. May be called more than once.

        Returns:
            the metadata of the feed; its `entries` are those that only the end of the input completed, including a
            lone ``<entry>`` document.

        Raises:
            AtomError: the document is incomplete or not acceptable.
        """
        if self._failure is None and self._feed is None:
            try:
                self._feed = self._finish()
            except AtomError as error:
                self._failure = error
        if self._feed is None:
            raise _copy(self._failure or AtomError("unexpected end of document"))
        return self._feed

    @property
    def head(self) -> Feed | None:
        """The metadata of the feed so far, without entries; None before its start tag and for a lone entry.

        Raises:
            AtomError: a reference or markup in the metadata is too long.
        """
        root = self._source.root
        return None if root is None or root.tag != _FEED else self._metadata(root)

    def _finish(self) -> Feed:
        entries: list[Entry] = []
        for children in self._source.close():
            self._add_children(children, entries)
        root = self._source.root
        if root is None:
            return Feed()
        if root.tag == _ENTRY:
            return Feed(entries=(self._reduced(self._builder.entry(root, self._outer_scope)),))
        return evolve(self._metadata(root), entries=tuple(entries))

    def _metadata(self, root: Element) -> Feed:
        """Build the metadata with a separate resolver, which leaves the entries' budget unchanged."""
        lang, base, _ = self._scope
        return self._builder.feed(root, self._metadata_elements, (lang, base, Resolver(self._base)))

    def _add_children(self, children: list[Child], entries: list[Entry]) -> None:
        root = self._source.root
        if root is not None and not self._root_checked:
            self._root_checked = True
            if root.tag not in {_FEED, _ENTRY}:
                raise AtomError("root element is neither an Atom feed nor an Atom entry", element=shown(root.tag))
            self._scope = scope_of(root, self._outer_scope)
        for child in children:
            if isinstance(child, Element) and child.tag != _ENTRY:
                self._add_metadata(child)
                continue
            self._entry_count += 1
            if self._entry_count > self._limits.max_entries:
                raise AtomError(f"more than {self._limits.max_entries} entries")
            self._resolver.begin_entry()
            if isinstance(child, Entry):
                entries.append(child)
                continue
            element = child.element if isinstance(child, Example) else child
            entry = self._builder.entry(element, self._scope)
            entries.append(self._reduced(entry))
            if isinstance(child, Example):
                self._source.children.learn(template_of(child.text, entry, self._read_apart, self._reduced))

    def _reduced(self, entry: Entry) -> Entry:
        """The entry with the wanted fields only."""
        if self._fields is None:
            return entry
        return Entry(**{name: getattr(entry, name) for name in self._fields})

    def _read_apart(self, text: str) -> Entry | None:
        """The record of another entry in the same place; None if it cannot be read, or has relative references."""
        lang, base, _ = self._scope
        resolver = Resolver(self._base)
        try:
            element = self._source.children.tree.parse_apart(text.encode())
            entry = self._builder.entry(element, (lang, base, resolver))
        except (AtomError, ParseError):
            return None
        return None if resolver.has_added else entry

    def _add_metadata(self, child: Element) -> None:
        self._metadata_size += count_with_attributes(child)
        if self._metadata_size > self._limits.max_elements:
            raise AtomError(f"more than {self._limits.max_elements} elements and attributes outside the entries")
        self._metadata_elements.append(child)


async def read_entries(chunks: AsyncIterable[bytes], reader: Reader | None = None) -> AsyncIterator[Entry]:
    """Read the entries of a document from an asynchronous stream.

    Args:
        chunks: the document, split anywhere.
        reader: the reader, for other options or for its `head`; a new `Reader()` by default.

    Yields:
        each entry as soon as it is complete.

    Raises:
        AtomError: the document is not acceptable; the entries before the error have been yielded.
    """
    reader = reader or Reader()
    async for chunk in chunks:
        for entry in reader.feed(chunk):
            yield entry
    for entry in reader.close().entries:
        yield entry


def read_document(
    data: bytes, *, charset: str | None = None, strict: bool = True, max_bytes: int = 1 << 19
) -> XmlElement | None:
    """Read a small XML document that is not a feed: a service document or an error document.

    The rules of `Reader` apply. Blank lines before the document are accepted; the vendor's error documents have them.

    Args:
        data: the whole document.
        charset: the charset of the HTTP ``Content-Type``, or None.
        strict: as in `Reader`.
        max_bytes: maximum bytes of the document.

    Returns:
        the root element, or None if the document holds only an XML declaration.

    Raises:
        AtomError: the document is not acceptable, or is an HTML page.
    """
    source = _ElementSource(Limits(max_bytes=max_bytes), charset, strict=strict)
    for _ in source.push(data):
        pass
    for _ in source.close():
        pass
    return None if source.root is None else build_element(source.root, {}, tail=False)


class _ElementSource:
    """Converts bytes to elements: decoder, lenient filter, limits of the whole document, and tree parser."""

    def __init__(
        self,
        limits: Limits,
        charset: str | None,
        split: str | None = None,
        templates: TemplatesByRoot | None = None,
        *,
        strict: bool,
    ) -> None:
        self._limits = limits
        self._bytes = 0
        self._markup = 0
        self._window = bytearray()  # the current 16 KiB of the document in UTF-8
        self._marks = 0  # maximum elements, attributes and other markup that begin in it
        self._child_marks = 0  # extra marks for the children of the root that end in it
        self._decoder = Utf8Decoder(charset, strict=strict)
        self._filter = None if strict else LenientFilter()
        self.children: ChildParser = ChildParser(limits, split, {} if templates is None else templates)

    @property
    def root(self) -> Element | None:
        return self.children.tree.root

    def push(self, data: bytes) -> Iterator[list[Child]]:
        allowed = self._limits.max_bytes - self._bytes
        self._bytes += len(data)
        yield from self._parse(self._decoder.push(data[:allowed]))
        if len(data) > allowed:
            yield from self.children.flush()
            self._check()
            raise AtomError(f"document longer than {self._limits.max_bytes} bytes")

    def close(self) -> Iterator[list[Child]]:
        yield from self._parse(self._decoder.push(b"", last=True), last=True)
        yield from self.children.close()
        self._check()
        if self.root is None and not self._decoder.declared:
            raise AtomError("empty document")

    def _parse(self, text: bytes, *, last: bool = False) -> Iterator[list[Child]]:
        at = 0
        while at < len(text):
            part = text[at : at + PIECE - len(self._window)]
            at += len(part)
            yield from self._parse_part(part)
        if self._filter is not None and (last or self._decoder.failure is not None):
            yield from self.children.push(self._filter.push(b"", last=True), 0)
        if self._decoder.failure is not None:
            yield from self.children.flush()
        self._check()

    def _parse_part(self, part: bytes) -> Iterator[list[Child]]:
        opened, allowed = part.count(b"<"), self._limits.max_markup - self._markup
        self._markup += opened
        attributes = part.count(b"=")
        self._marks += opened + attributes
        self._window += part
        if opened > allowed:
            part = b"<".join(part.split(b"<", allowed + 1)[:-1])
        text = part if self._filter is None else self._filter.push(part, last=opened > allowed)
        for children in self.children.push(text, attributes):
            self._child_marks += len(children) * _MARKS_PER_CHILD
            yield children
        self._check()
        if opened > allowed:
            yield from self.children.flush()
            self._check()
            raise AtomError(f"more than {self._limits.max_markup} tags and other markup")
        if len(self._window) == PIECE:
            # The exact count is needed only if the upper bound exceeds the limit.
            most = self._limits.max_density
            child_marks = self._child_marks
            if self._marks + child_marks > most and len(_MARKS.findall(self._window)) + child_marks > most:
                yield from self.children.flush()
                self._check()
                raise AtomError(f"more than {most} elements, attributes and other markup in {PIECE} bytes")
            self._window.clear()
            self._marks = self._child_marks = 0

    def _check(self) -> None:
        failure = self.children.tree.failure or self._decoder.failure
        if failure is not None:
            raise failure


def _copy(failure: AtomError) -> AtomError:
    """Copy a failure, because an exception that is raised twice accumulates tracebacks."""
    return AtomError(failure.reason, failure.line, failure.column, failure.element)
