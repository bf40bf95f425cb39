"""Atom documents, read while they arrive."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Unpack
from xml.etree.ElementTree import Element

from attrs import evolve

from aioconnections.atom.build import Builder
from aioconnections.atom.constructs import Scope, build_element, scope_of
from aioconnections.atom.decode import Utf8Decoder
from aioconnections.atom.lenient import Mender
from aioconnections.atom.limits import LimitOptions, Limits
from aioconnections.atom.names import ATOM, local
from aioconnections.atom.records import Entry, Feed, XmlElement
from aioconnections.atom.references import Resolver
from aioconnections.atom.tree import PIECE, Tree, weight
from aioconnections.errors import AtomError, UsageError

__all__ = ["Reader", "read_document", "read_entries"]

_FEED = f"{ATOM}feed"
_ENTRY = f"{ATOM}entry"
_LONGEST_NAME = 64
_USUAL = Limits()
_CHILD_MARKS = 3  # what a record costs beside its elements and attributes
_BEGINS = re.compile(rb"""<(?!/)|=[ \t\r\n]*+["']""")


class Reader:
    """A push parser: bytes of one document in, entries out as soon as each is complete.

    It reads feeds and lone entries. A document that is only an XML declaration holds nobody and is no error: that is
    how a server answers who knows no such person (protocol: profileEntry.do of an unknown user). An HTML page is
    recognised and named. Document type declarations are refused, and with them all entities and external references;
    so are XML 1.1 and every encoding but UTF-8, UTF-16, US-ASCII, ISO-8859-1 and windows-1252.

    Memory is bounded: by one entry, the longest token and what is fed at once, however long the document.

    Args:
        base: the URI that relative references resolve against where the document names no other. A base, and what a
            relative reference resolves to, may have 8,192 characters; all references of a document together may grow by
            1,048,576 characters, and by 4,096 more for every entry.
        charset: of the HTTP ``Content-Type``, or None; a byte order mark outweighs it, and it the XML declaration.
        strict: refuse characters that XML 1.0 forbids, and entities that it does not know. Else the characters, written
            as they are or as references (``&#8;``), are read as U+FFFD, and the entities that HTML 4 and XHTML 1.0
            define (``&nbsp;``) as what they name there. The client reads what servers send in this way.
        **limits: how much is borne, by name:
            max_bytes: of the document, as it came. 64 MiB.
            max_markup: most tags, comments, CDATA sections and processing instructions, counted by their ``<``: it is
                they that cost time, more than bytes do. 4,194,304, which is one for every 16 of these bytes.
            max_density: most elements, attributes, comments, CDATA sections and processing instructions in any of the
                successive 16 KiB of the document in UTF-8, where an entry counts for three more. 1,280, which is one
                for every 12.8 bytes.
            max_token: most bytes of one tag, comment, CDATA section, processing instruction or run of text. 256 KiB.
            max_depth: most elements inside each other. 100.
            max_attributes: most attributes of one element, namespace declarations among them. 250.
            max_elements: most elements and attributes in one entry, and in all that the feed says of itself. 5,000.
            max_entry: most bytes of one entry, give or take one token and 32 KiB. 256 KiB.
            max_entries: 100,000.

    Raises:
        AtomError: the charset is not allowed.
        ValueError: a limit below 1.
    """

    def __init__(
        self,
        *,
        base: str | None = None,
        charset: str | None = None,
        strict: bool = True,
        **limits: Unpack[LimitOptions],
    ) -> None:
        self._limits = Limits(**limits) if limits else _USUAL
        self._source = _Source(self._limits, charset, _FEED, strict=strict)
        self._builder = Builder()
        self._base = base
        self._resolver = Resolver(base)
        self._outside: Scope = (None, None, self._resolver)
        self._scope: Scope = self._outside
        self._known = False  # what the root is
        self._head: list[Element] = []
        self._head_elements = 0
        self._count = 0
        self._feed: Feed | None = None
        self._failure: AtomError | None = None

    def feed(self, chunk: bytes) -> list[Entry]:
        """Read more of the document.

        Args:
            chunk: any number of bytes; where the document is cut makes no difference.

        Returns:
            the entries that `chunk` completed.

        Raises:
            AtomError: the document is not acceptable. If `chunk` completed entries before that place, they are
                returned, and the next call raises; so does every later one.
            UsageError: `close` was called before.
        """
        if self._feed is not None:
            raise UsageError("this reader is closed")
        entries: list[Entry] = []
        if self._failure is None:
            try:
                for children in self._source.push(chunk):
                    self._take(children, entries)
            except AtomError as refused:
                self._failure = refused
        if self._failure is not None and not entries:
            raise _again(self._failure)
        return entries

    def close(self) -> Feed:
        """Say that the document is at its end.

        Returns:
            what the feed says of itself; its `entries` are those that only the end of input completed, a lone
            ``<entry>`` document among them. May be called again.

        Raises:
            AtomError: the document breaks off, or was refused before.
        """
        if self._failure is None and self._feed is None:
            try:
                self._feed = self._finish()
            except AtomError as refused:
                self._failure = refused
        if self._feed is None:
            raise _again(self._failure or AtomError("the document breaks off"))
        return self._feed

    @property
    def head(self) -> Feed | None:
        """What the feed has said of itself so far, without entries; None before it began, and for a lone entry.

        Raises:
            AtomError: a reference or markup in it is too long.
        """
        root = self._source.root
        return None if root is None or root.tag != _FEED else self._said(root)

    def _finish(self) -> Feed:
        entries: list[Entry] = []
        for children in self._source.close():
            self._take(children, entries)
        root = self._source.root
        if root is None:
            return Feed()
        if root.tag == _ENTRY:
            return Feed(entries=(self._builder.entry(root, self._outside),))
        return evolve(self._said(root), entries=tuple(entries))

    def _said(self, root: Element) -> Feed:
        """What the feed has said of itself; it takes nothing from the budget of the entries' references."""
        lang, base, _ = self._scope
        return self._builder.feed(root, self._head, (lang, base, Resolver(self._base)))

    def _take(self, children: list[Element], entries: list[Entry]) -> None:
        root = self._source.root
        if root is not None and not self._known:
            self._known = True
            if root.tag not in {_FEED, _ENTRY}:
                raise AtomError("neither an Atom feed nor an Atom entry", element=local(root.tag)[:_LONGEST_NAME])
            self._scope = scope_of(root, self._outside)
        for child in children:
            if child.tag != _ENTRY:
                self._take_head(child)
                continue
            self._count += 1
            if self._count > self._limits.max_entries:
                raise AtomError(f"more than {self._limits.max_entries} entries")
            self._resolver.begin_entry()
            entries.append(self._builder.entry(child, self._scope))

    def _take_head(self, child: Element) -> None:
        self._head_elements += weight(child)
        if self._head_elements > self._limits.max_elements:
            raise AtomError(f"more than {self._limits.max_elements} elements and attributes outside the entries")
        self._head.append(child)


async def read_entries(chunks: AsyncIterable[bytes], reader: Reader | None = None) -> AsyncIterator[Entry]:
    """Read the entries of a document that arrives in pieces.

    Args:
        chunks: the document, cut anywhere.
        reader: what reads it, for other limits than the usual ones, and for its `head`; a new one by default.

    Yields:
        each entry as soon as it is complete.

    Raises:
        AtomError: the document is not acceptable; the entries before that place have been given.
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

    It is held to the rules of `Reader`; blank lines may stand before it, as the vendor's error documents have them.

    Args:
        data: the whole document.
        charset: of the HTTP ``Content-Type``, or None.
        strict: as in `Reader`.
        max_bytes: of the document. 512 KiB.

    Returns:
        the root element, or None if there is only an XML declaration.

    Raises:
        AtomError: the document is not acceptable, or is an HTML page.
    """
    source = _Source(Limits(max_bytes=max_bytes), charset, strict=strict)
    for _ in source.push(data):
        pass
    for _ in source.close():
        pass
    return None if source.root is None else build_element(source.root, {}, tail=False)


class _Source:
    """Bytes to elements: the decoder, the mender, the limits of the whole, and the tree.

    The first failure of any is raised.
    """

    def __init__(self, limits: Limits, charset: str | None, split: str | None = None, *, strict: bool) -> None:
        self._limits = limits
        self._bytes = 0
        self._markup = 0
        self._window = bytearray()  # the last of the successive pieces of the document in UTF-8
        self._marks = 0  # how many elements, attributes and other markup begin in it, at most
        self._others = 0  # what the children of the root that end in it count for beside
        self._decoder = Utf8Decoder(charset, strict=strict)
        self._mender = None if strict else Mender()
        self._tree = Tree(limits, split)

    @property
    def root(self) -> Element | None:
        return self._tree.root

    def push(self, data: bytes) -> Iterator[list[Element]]:
        allowed = self._limits.max_bytes - self._bytes
        self._bytes += len(data)
        yield from self._parse(self._decoder.push(data[:allowed]))
        if len(data) > allowed:
            raise AtomError(f"a document of more than {self._limits.max_bytes} bytes")

    def close(self) -> Iterator[list[Element]]:
        yield from self._parse(self._decoder.push(b"", last=True), last=True)
        yield self._tree.close()
        self._check()
        if self._tree.root is None and not self._decoder.declared:
            raise AtomError("an empty document")

    def _parse(self, text: bytes, *, last: bool = False) -> Iterator[list[Element]]:
        at = 0
        while at < len(text):
            part = text[at : at + PIECE - len(self._window)]
            at += len(part)
            yield from self._parse_part(part)
        if self._mender is not None and (last or self._decoder.failure is not None):
            yield from self._tree.push(self._mender.push(b"", last=True), 0)
        self._check()

    def _parse_part(self, part: bytes) -> Iterator[list[Element]]:
        found, allowed = part.count(b"<"), self._limits.max_markup - self._markup
        self._markup += found
        attributes = part.count(b"=")
        self._marks += found + attributes
        self._window += part
        if found > allowed:
            part = b"<".join(part.split(b"<", allowed + 1)[:-1])
        text = part if self._mender is None else self._mender.push(part, last=found > allowed)
        for children in self._tree.push(text, attributes):
            self._others += len(children) * _CHILD_MARKS
            yield children
        self._check()
        if found > allowed:
            raise AtomError(f"more than {self._limits.max_markup} tags and other markup")
        if len(self._window) == PIECE:
            # All marks are counted only where there are so many that it may matter.
            most = self._limits.max_density
            others = self._others
            if self._marks + others > most and len(_BEGINS.findall(self._window)) + others > most:
                raise AtomError(f"more than {most} elements, attributes and other markup in {PIECE} bytes")
            self._window.clear()
            self._marks = self._others = 0

    def _check(self) -> None:
        failure = self._tree.failure or self._decoder.failure
        if failure is not None:
            raise failure


def _again(failure: AtomError) -> AtomError:
    """The same failure as a new exception: one that is raised twice would collect the tracebacks of both."""
    return AtomError(failure.reason, failure.line, failure.column, failure.element)
