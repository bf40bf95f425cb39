"""The children of the root of a document: from the XML parser, or entries that templates read.

A template is applied only where the parser is known to be between two complete children of the root. What it reads, the
parser never sees. Therefore an apparent entry in a comment, a CDATA section or another entry is left to the parser, and
so is everything that no template reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias
from xml.etree.ElementTree import Element

from attrs import frozen

from aioconnections.atom.names import ATOM
from aioconnections.atom.records import Entry
from aioconnections.atom.scan import tag_at
from aioconnections.atom.templates import Template, TemplatesByRoot
from aioconnections.atom.tree import PIECE, Limits, TreeParser

__all__ = ["Child", "ChildParser", "Example"]

_ENTRY = f"{ATOM}entry"
_START = re.compile(rb"<entry[ \t\r\n>]")
_END = b"</entry>"
_OTHER_END = re.compile(rb"</entry[ \t\r\n]")
# Making a template takes as long as parsing ten to twenty entries. So none is made in a short feed, and at most one for
# each piece that is pushed.
_FIRST_EXAMPLE = 12
_MOST_EXAMPLES = _MOST_TEMPLATES = 12
_LONGEST_EXAMPLE = 1 << 12  # bytes
_LONGEST_HELD = 1 << 13  # bytes of an incomplete entry; the beginnings of longer ones go to the parser
# The limits of tokens and entries must exceed everything that a template reads: what is held and a piece, of which
# each byte may be a control character that the `LenientFilter` replaces by three bytes.
_LEAST_LIMIT = 4 * PIECE
_WASTE = 64  # entries that no template reads, beyond which there must be as many that one reads
# Parsing entries one by one takes up to ten times as long as all at once, so the number in a piece is limited.
_MOST_MISSED = 4
_BYTES_PER_MISSED = 1 << 10


@frozen
class Example:
    """An entry from which a template can be made.

    Attributes:
        element: the entry, from the parser.
        text: the entry in the document.
    """

    element: Element
    text: str


Child: TypeAlias = Element | Example | Entry
"""A complete child of the root."""


class ChildParser:
    """Parses one document.

    Args:
        limits: the limits on the document.
        split: the name of the root element whose complete children are returned and removed; None to keep the tree.
        templates: templates of earlier documents, to which new ones are added.

    Attributes:
        tree: the XML parser.
    """

    def __init__(self, limits: Limits, split: str | None, templates: TemplatesByRoot) -> None:
        self.tree: TreeParser = TreeParser(limits, split)
        self._by_root = templates
        self._templates: list[Template] = []
        self._root_tag = b""  # to which the templates belong
        self._uses_templates = split is not None and min(limits.max_token, limits.max_entry) >= _LEAST_LIMIT
        self._held = b""  # the beginning of an entry
        self._read = 0  # entries that a template has read
        self._missed = 0  # entries that no template has read
        self._examples = 0  # entries that were returned as examples
        self._may_learn = False  # whether this piece may have another one

    def learn(self, template: Template | None) -> None:
        """Use a template, if there is one, for the following entries."""
        if template is not None:
            self._templates.insert(0, template)
            del self._templates[_MOST_TEMPLATES:]

    def push(self, data: bytes, attributes: int) -> Iterator[list[Child]]:
        """Parse more of the document; yield complete children of the root. The arguments are those of `TreeParser`."""
        if self._held:
            data, attributes = self._held + data, attributes + self._held.count(b"=")
            self._held = b""
        self._may_learn = self._examples < _MOST_EXAMPLES
        most_missed = self._missed + _MOST_MISSED + len(data) // _BYTES_PER_MISSED
        at = 0
        while self._uses_templates and self._missed < most_missed and self.tree.failure is None:
            start = _START.search(data, at)
            if start is None:
                break
            if start.start() > at:
                yield from self._parse(data[at : start.start()])
                at = start.start()
                continue
            end = data.find(_END, at) + len(_END)
            if end < len(_END):
                if self._templates and self.tree.is_between_children and _may_hold(data, at):
                    self._held = data[at:]
                    return
                break
            if self._root_tag != self.tree.root_tag:
                self._root_tag = self.tree.root_tag
                self._templates = self._by_root.setdefault(self._root_tag, [])
            entries, size = self._read_entries(data, at)
            if entries:
                yield [*entries]
                at += size
            else:
                yield from self._parse_entry(data[at:end])
                at = end
        if at < len(data) and self.tree.failure is None:
            yield from self._parse(data[at:], None if at else attributes)

    def flush(self) -> Iterator[list[Child]]:
        """Parse the beginning of an entry that was held back."""
        held, self._held = self._held, b""
        if held and self.tree.failure is None:
            yield from self._parse(held)

    def close(self) -> Iterator[list[Child]]:
        """End the document; yield the last children of the root."""
        yield from self.flush()
        if self.tree.failure is None:
            yield [*self.tree.close()]

    def _parse(self, data: bytes, attributes: int | None = None) -> Iterator[list[Child]]:
        for elements in self.tree.push(data, data.count(b"=") if attributes is None else attributes):
            yield [*elements]

    def _parse_entry(self, data: bytes) -> Iterator[list[Child]]:
        """Parse what looks like one entry, which no template reads."""
        was_between = self.tree.is_between_children
        children = [child for found in self._parse(data) for child in found]
        self._missed += 1
        is_entry = (
            was_between
            and self.tree.is_between_children
            and [child.tag for child in children if isinstance(child, Element)] == [_ENTRY]
        )
        if is_entry and self._may_learn and self._missed >= _FIRST_EXAMPLE and len(data) <= _LONGEST_EXAMPLE:
            self._may_learn = False
            self._examples += 1
            children = [_example(child, data) for child in children]
        self._uses_templates = self._missed <= _WASTE + self._read
        yield children

    def _read_entries(self, data: bytes, at: int) -> tuple[list[Entry], int]:
        """Read with templates the entries from `at` on; return them and their length in bytes."""
        if not self._templates or not self.tree.is_between_children:
            return [], 0
        try:
            text = data[at : data.rfind(_END) + len(_END)].decode()
        except UnicodeDecodeError:
            return [], 0
        entries: list[Entry] = []
        end = 0
        while (found := self._read_entry(text, end)) is not None:
            entry, end = found
            entries.append(entry)
        if not entries:
            return [], 0
        size = end if text.isascii() else len(text[:end].encode())
        self.tree.skip(data[at : at + size])
        self._read += len(entries)
        return entries, size

    def _read_entry(self, text: str, at: int) -> tuple[Entry, int] | None:
        for position, template in enumerate(self._templates):
            found = template.read(text, at)
            if found is not None:
                if position:
                    self._templates.insert(0, self._templates.pop(position))
                return found
        return None


def _may_hold(data: bytes, at: int) -> bool:
    """Whether the entry at the end of `data` is short and incomplete: one that ends otherwise would be late."""
    return len(data) - at <= _LONGEST_HELD and not _OTHER_END.search(data, at) and not tag_at(data, at).endswith(b"/>")


def _example(child: Child, data: bytes) -> Child:
    return Example(child, data.decode()) if isinstance(child, Element) else child
