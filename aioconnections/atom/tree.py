"""An incremental tree parser: pieces of UTF-8 in, complete children of the root out, under the limits of a document.

The C parser of ElementTree builds the elements. Complete children of the root are removed after every piece, so that
memory does not grow with the document. Three rules keep this true for hostile documents:

- Only the `Scanner` feeds the parser: complete tokens, no declarations, a bounded number of attributes.
- The depth of the tree is measured after each piece.
- Expat keeps every name and prefix that it has parsed. So after every 128 KiB, at the start of the next entry, a new
  parser replaces it and is fed only the start tags of the root and of that entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypedDict
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser
from xml.parsers.expat import ErrorString

from attrs import Attribute, field, frozen

from aioconnections.atom.names import local, shown
from aioconnections.atom.scan import HTML_REASON, Scanner, first_tag, tag_at
from aioconnections.errors import AtomError

__all__ = ["PIECE", "LimitOptions", "Limits", "TreeParser", "count_with_attributes"]

PIECE = 1 << 14
"""Maximum bytes that the parser is fed at once."""

_CHANGE_AFTER = 1 << 17
_HELD_ATTRIBUTES = 10  # maximum that the `LenientFilter` holds back
_SHORTEST_ELEMENT = len(b"<a/>")
_ENTRY = re.compile(rb"<(?:[^\s<>/!?:\"'=]+:)?entry[\s/>]")
_TAG_NAME = re.compile(rb"</?(?:[^\s/>:]*:)?([^\s/>]*)")
_HTML_NAMES = {"html", "head", "body"}
_INCOMPLETE = {"no element found", "unclosed token", "unclosed CDATA section", "partial character"}


class LimitOptions(TypedDict, total=False):
    """The limits as keyword arguments of `Reader`."""

    max_bytes: int
    max_markup: int
    max_density: int
    max_token: int
    max_depth: int
    max_attributes: int
    max_elements: int
    max_entry: int
    max_entries: int


def _at_least_one(_: object, attribute: Attribute[int], value: int) -> None:
    if value < 1:
        raise ValueError(f"{attribute.name} must be at least 1, got {value}")


@frozen(kw_only=True)
class Limits:
    """Limits on a document; `Reader` describes each.

    Raises:
        ValueError: a limit is below 1.
    """

    max_bytes: int = field(default=1 << 26, validator=_at_least_one)
    max_markup: int = field(default=1 << 20, validator=_at_least_one)
    max_density: int = field(default=1_280, validator=_at_least_one)
    max_token: int = field(default=1 << 18, validator=_at_least_one)
    max_depth: int = field(default=100, validator=_at_least_one)
    max_attributes: int = field(default=250, validator=_at_least_one)
    max_elements: int = field(default=5_000, validator=_at_least_one)
    max_entry: int = field(default=1 << 18, validator=_at_least_one)
    max_entries: int = field(default=100_000, validator=_at_least_one)


class TreeParser:
    """Parses one document.

    Args:
        limits: the limits on the document.
        split: the name of the root element whose complete children are returned and removed; None to keep the tree.

    Attributes:
        root: the root element, or None before its start tag.
        root_tag: the start tag of the root; empty before it.
        failure: why the rest of the document is refused.
    """

    def __init__(self, limits: Limits, split: str | None = None) -> None:
        self._limits = limits
        self._split = split
        self._scanner = Scanner(limits.max_token, limits.max_attributes)
        self._builder, self._parser = _parser()
        self.root_tag: bytes = b""
        self._completed: list[Element] = []
        self._parsed_any = False
        self._parsed_bytes = 0
        self._unfinished = 0  # maximum bytes of the incomplete child of the root
        self._counted_at = 0  # value of `_unfinished` when its elements were last counted
        self._attributes = 0  # maximum attributes of that child and of those completed last
        self._piece_attributes = 0  # maximum attributes in the last piece
        # A position, as line and column: by the count of the current parser, and in the document.
        self._parser_start = (1, 0)
        self._document_start = (1, 0)
        self._parser_end = (1, 0)  # after what the current parser was fed
        self._last_complete = False  # whether the last child of the root was complete at the failure
        self.root: Element | None = None
        self.failure: AtomError | None = None

    def push(self, data: bytes, attributes: int) -> Iterator[list[Element]]:
        """Parse more of the document; yield the completed children of the root for each piece.

        Args:
            data: UTF-8.
            attributes: maximum number of attributes in `data`.
        """
        self._piece_attributes = attributes + _HELD_ATTRIBUTES
        self._attributes += self._piece_attributes
        size = min(PIECE, self._limits.max_token)
        for start in range(0, len(data), size):
            whole = self._scanner.push(data[start : start + size])
            self._run(whole)
            if self.failure is None and self._scanner.failure is not None:
                self._fail(self._scanner.failure.reason)
            yield self._take_valid(len(whole))
            if self.failure is not None:
                return

    @property
    def is_between_children(self) -> bool:
        """Whether the document so far certainly ends between two children of the root, all of which were returned."""
        root = self.root
        if self.failure is not None or root is None or root.tag != self._split or len(root) or self._completed:
            return False
        tag = self._scanner.last_tag
        is_end = tag.startswith(b"</") or tag.endswith(b"/>")
        return self._scanner.is_between_tokens and not (is_end and _tag_name(tag) == local(root.tag))

    def skip(self, children: bytes) -> None:
        """Count the lines and columns of complete children of the root that are not parsed here.

        Must be called only if `is_between_children`.
        """
        self._feed(self._scanner.take_rest())
        self._document_start = _moved(self._document_position(self._parser_end), children)
        self._parser_start = self._parser_end
        self._unfinished = self._counted_at = self._attributes = 0

    def parse_apart(self, child: bytes) -> Element:
        """Parse a child of the root by itself, with the start tag of the root before it.

        Raises:
            ParseError: it is not well-formed.
        """
        builder, parser = _parser()
        parser.feed(self.root_tag + child)
        return builder.close()[0]

    def close(self) -> list[Element]:
        """End the document; return the last children of the root."""
        rest = self._scanner.finish()
        if not self._parsed_any and not rest.strip() and self._scanner.failure is None:
            return []  # only whitespace, or an XML declaration
        if self._scanner.failure is not None:
            self._fail(self._scanner.failure.reason)
        else:
            self._run(rest)
        if self.failure is None:
            try:
                self._parser.close()
            except ParseError as error:
                self._fail_at(error, at_end=True)
        return self._take_valid(len(rest))

    def _run(self, whole: bytes) -> None:
        try:
            self._parse(whole)
        except ParseError as error:
            self._fail_at(error)
        except AtomError as error:
            self._fail(error.reason)

    def _parse(self, whole: bytes) -> None:
        if not self.root_tag:
            self.root_tag = first_tag(whole)
            if _tag_name(self.root_tag).lower() in _HTML_NAMES:
                raise AtomError(HTML_REASON)
        if self._parsed_bytes < _CHANGE_AFTER or self._split is None:
            self._feed(whole)
        else:
            self._parse_with_change(whole)
        self._parsed_bytes += len(whole)
        self._parsed_any = self._parsed_any or bool(whole)
        if self.root is None:
            self.root = self._builder.close()
        self._measure_depth()

    def _parse_with_change(self, whole: bytes) -> None:
        """Parse `whole` and change parsers at the first entry that begins in it."""
        done = 0
        root = self.root
        for found in _ENTRY.finditer(whole):
            start = found.start()
            tag = tag_at(whole, start)
            if root is None or start < done or not tag:
                continue
            self._feed(whole[done:start])
            before = len(root)
            self._feed(tag)
            done = start + len(tag)
            # A match in a comment or in another entry adds no child to the root.
            if len(root) == before + 1 and not len(root[-1]):
                self._change_parser(root, tag)
                break
        self._feed(whole[done:])

    def _feed(self, data: bytes) -> None:
        _feed(self._parser, data)
        self._parser_end = _moved(self._parser_end, data)

    def _change_parser(self, root: Element, entry_tag: bytes) -> None:
        if entry_tag.endswith(b"/>"):  # the entry is complete
            entry_tag = b""
            self._completed += root
        else:
            self._completed += root[:-1]
        known = self.root_tag + entry_tag
        self._document_start = self._position()
        self._parser_start = self._parser_end = _moved((1, 0), known)
        self._builder, self._parser = _parser()
        _feed(self._parser, known)
        self.root = self._builder.close()
        self._parsed_bytes = 0

    def _measure_depth(self) -> None:
        if sum(1 for _ in self._last_path()) > self._limits.max_depth:
            raise AtomError(self._too_deep)

    def _last_path(self) -> Iterator[Element]:
        """Yield the root, its last child, the last child of that, and so on, which includes all open elements."""
        node = self.root
        while node is not None:
            yield node
            node = node[-1] if len(node) else None

    def _take_valid(self, size: int) -> list[Element]:
        """Remove and return the complete children of the root, up to one that exceeds a limit."""
        done = self._take_complete()
        # The end of this piece may belong to the next child.
        self._unfinished = min(size, PIECE) if done else self._unfinished + size
        for index, child in enumerate(done):
            reason = self._exceeded_limit(child)
            if reason:
                if self.failure is None:
                    self._fail(reason)
                return done[:index]
        if done:
            self._counted_at, self._attributes = 0, self._piece_attributes
        if self.failure is None:
            self._count_unfinished()
        return done

    def _take_complete(self) -> list[Element]:
        root = self.root
        if root is None or root.tag != self._split:
            return []
        done, self._completed = self._completed, []
        complete = len(root) if self._is_last_complete(root) else max(len(root) - 1, 0)
        done += root[:complete]
        del root[:complete]
        return done

    def _is_last_complete(self, root: Element) -> bool:
        """Whether the last tag completed the last child of the root; False if that is ambiguous.

        The element that the last tag completed is on the last path. It is known if no other element there has its name.
        """
        if self.failure is not None:
            return self._last_complete
        tag = self._scanner.last_tag
        if not tag.startswith(b"</") and not tag.endswith(b"/>"):
            return False
        name = _tag_name(tag)
        if name not in {local(root.tag), local(root[-1].tag) if len(root) else name}:
            return False
        ended = [node for node in self._last_path() if local(node.tag) == name]
        return len(ended) == 1 and (ended[0] is root or ended[0] is root[-1])

    def _exceeded_limit(self, element: Element) -> str | None:
        """Return the limit that a complete child of the root exceeds, or None."""
        elements = _count(element) if len(element) else 1
        if (
            elements + self._attributes > self._limits.max_elements
            and count_with_attributes(element) > self._limits.max_elements
        ):
            return self._too_many
        # The height is at most the number of elements.
        if elements + 1 > self._limits.max_depth and _height(element) + 1 > self._limits.max_depth:
            return self._too_deep
        return None

    def _count_unfinished(self) -> None:
        """Check the incomplete child, unless it is too short to exceed the limit or was counted recently."""
        if self._split is not None and self._unfinished > self._limits.max_entry + 2 * PIECE:
            self._fail(f"more than {self._limits.max_entry} bytes without the end of an entry")
            return
        longest = self._limits.max_elements * _SHORTEST_ELEMENT
        if self.root is None or self._unfinished < max(longest, self._counted_at + PIECE):
            return
        self._counted_at = self._unfinished
        subject = self.root if self.root.tag != self._split or not len(self.root) else self.root[-1]
        if count_with_attributes(subject) > self._limits.max_elements:
            self._fail(self._too_many)

    @property
    def _too_deep(self) -> str:
        return f"elements nested deeper than {self._limits.max_depth}"

    @property
    def _too_many(self) -> str:
        return f"more than {self._limits.max_elements} elements and attributes in one entry"

    def _fail_at(self, error: ParseError, *, at_end: bool = False) -> None:
        reason = ErrorString(error.code)
        incomplete = at_end and reason in _INCOMPLETE
        self._fail("unexpected end of document" if incomplete else reason, self._document_position(error.position))

    def _fail(self, reason: str, position: tuple[int, int] | None = None) -> None:
        """Record the failure with the position and the open element."""
        line, column = position or self._position()
        if self.root is None:
            self.root = self._builder.close()
        self.failure = AtomError(reason, line, column, self._open_element())

    def _open_element(self) -> str | None:
        if self.root is None:
            return None
        try:
            mark = self._builder.start("mark", {})  # becomes a child of the open element
        except ParseError:  # the root is closed
            self._last_complete = True
            return None
        parent = next(node for node in self._last_path() if len(node) and node[-1] is mark)
        del parent[-1]
        self._last_complete = parent is self.root
        return shown(parent.tag)

    def _position(self) -> tuple[int, int]:
        """Return the position of the parser, which expat reports only in an error; the parser is then unusable."""
        position = self._parser_start
        try:
            self._parser.feed(b"\0\0\0\0")
        except ParseError as error:
            position = error.position
        return self._document_position(position)

    def _document_position(self, position: tuple[int, int]) -> tuple[int, int]:
        line, column = position
        if line == self._parser_start[0]:
            return self._document_start[0], self._document_start[1] + column - self._parser_start[1]
        return self._document_start[0] + line - self._parser_start[0], column


def _moved(position: tuple[int, int], data: bytes) -> tuple[int, int]:
    """The line and column after `data`, which begins at `position`."""
    line, column = position
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = data.count(b"\n")
    if lines:
        line, column, data = line + lines, 0, data[data.rfind(b"\n") + 1 :]
    return line, column + (len(data) if data.isascii() else len(data.decode("utf-8", "replace")))


def _count(element: Element) -> int:
    """Count an element and its descendants."""
    return len(list(element.iter()))


def count_with_attributes(element: Element) -> int:
    """Count an element, its descendants and all their attributes."""
    return sum(len(each.keys()) + 1 for each in element.iter())


def _height(element: Element) -> int:
    """Count the levels of elements; without recursion, because the depth is not yet checked."""
    level, height = [element], 0
    while level:
        level = [child for parent in level for child in parent]
        height += 1
    return height


def _tag_name(tag: bytes) -> str:
    found = _TAG_NAME.match(tag)
    return found[1].decode("utf-8", "replace") if found else ""


def _parser() -> tuple[TreeBuilder, XMLParser]:
    builder = TreeBuilder()
    # Safe: the scanner refuses document type declarations, so there are no entities.
    return builder, XMLParser(target=builder, encoding="utf-8")  # noqa: S314


def _feed(parser: XMLParser, data: bytes) -> None:
    """Give `data` to the parser, and have it parse all of it.

    After a character that is cut off, expat since 2.6 parses nothing before much more data has come. Then an element
    would be taken for complete whose end the parser has not seen.
    """
    parser.feed(data)
    # There since Python 3.13, and in later releases of earlier versions; bytes() does nothing.
    getattr(parser, "flush", bytes)()
