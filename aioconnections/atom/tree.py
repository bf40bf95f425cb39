"""ElementTree's own parser under our limits: pieces of a document in, elements out as soon as they are complete.

C code builds the elements; finished children of the root are taken out after every piece, so that memory does not
grow with the document. Three things keep that true for hostile documents too:

- Only the `Scanner` feeds the parser: whole tokens, no declarations, bounded attributes.
- After each piece the path of last children is measured, so depth cannot run away.
- Expat never forgets a name or a prefix that it has seen. So every now and then, where an entry begins, a fresh parser
  takes over that is told of the root and of this entry only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser
from xml.parsers.expat import ErrorString

from aioconnections.atom.limits import Limits
from aioconnections.atom.names import local
from aioconnections.atom.scan import HTML_REASON, Scanner, first_tag, tag_at
from aioconnections.errors import AtomError

__all__ = ["PIECE", "Tree", "weight"]

PIECE = 1 << 14
"""Most bytes that the parser is given at once."""

_FRESH_AFTER = 1 << 17
_HELD_ATTRIBUTES = 10  # that the `Mender` may hold back
_SHORTEST_ELEMENT = len(b"<a/>")
_ENTRY = re.compile(rb"<(?:[^\s<>/!?:\"'=]+:)?entry[\s/>]")
_TAG_NAME = re.compile(rb"</?(?:[^\s/>:]*:)?([^\s/>]*)")
_HTML_NAMES = {"html", "head", "body"}
_ENDS_TOO_EARLY = {"no element found", "unclosed token", "unclosed CDATA section", "partial character"}
_LONGEST_NAME = 64


class Tree:
    """A document as far as it was read.

    Args:
        limits: how much is borne.
        split: the name of a root whose finished children are taken out one by one, or None to keep all.

    Attributes:
        root: the root element, once its start tag was read.
        failure: why nothing more can be read.
    """

    def __init__(self, limits: Limits, split: str | None = None) -> None:
        self._limits = limits
        self._split = split
        self._scanner = Scanner(limits.max_token, limits.max_attributes)
        self._builder, self._parser = _parser()
        self._root_tag = b""
        self._done: list[Element] = []
        self._handed = False
        self._since_fresh = 0
        self._unfinished = 0  # bytes that the child of the root that is being read may have
        self._counted_at = 0  # how many these were when its elements were last counted
        self._attributes = 0  # how many attributes it, and what was completed last, have at most
        self._latest = 0  # how many of these were in what the parser was given last
        # The line and column at which this parser started, in its own count and in that of the document.
        self._own_start = (1, 0)
        self._true_start = (1, 0)
        self._last_complete = False  # whether the last child of the root is, once there is a failure
        self.root: Element | None = None
        self.failure: AtomError | None = None

    def push(self, data: bytes, attributes: int) -> Iterator[list[Element]]:
        """Read more of the document; gives the children of the root that became complete, piece by piece.

        Args:
            data: in UTF-8.
            attributes: how many are in `data`, at most.
        """
        self._latest = attributes + _HELD_ATTRIBUTES
        self._attributes += self._latest
        size = min(PIECE, self._limits.max_token)
        for start in range(0, len(data), size):
            whole = self._scanner.push(data[start : start + size])
            self._run(whole)
            if self.failure is None and self._scanner.failure is not None:
                self._stop(self._scanner.failure.reason)
            yield self._harvest(len(whole))
            if self.failure is not None:
                return

    def close(self) -> list[Element]:
        """Say that the document ends here; returns the last children of its root."""
        rest = self._scanner.finish()
        if not self._handed and not rest.strip() and self._scanner.failure is None:
            return []  # nothing but blanks, or an XML declaration
        if self._scanner.failure is not None:
            self._stop(self._scanner.failure.reason)
        else:
            self._run(rest)
        if self.failure is None:
            try:
                self._parser.close()
            except ParseError as broken:
                self._broke(broken, at_end=True)
        return self._harvest(len(rest))

    def _run(self, whole: bytes) -> None:
        try:
            self._parse(whole)
        except ParseError as broken:
            self._broke(broken)
        except AtomError as refused:
            self._stop(refused.reason)

    def _parse(self, whole: bytes) -> None:
        if not self._root_tag:
            self._root_tag = first_tag(whole)
            if _name(self._root_tag).lower() in _HTML_NAMES:
                raise AtomError(HTML_REASON)
        if self._since_fresh < _FRESH_AFTER or self._split is None:
            self._parser.feed(whole)
        else:
            self._parse_afresh(whole)
        self._since_fresh += len(whole)
        self._handed = self._handed or bool(whole)
        if self.root is None:
            self.root = self._builder.close()
        self._measure_depth()

    def _parse_afresh(self, whole: bytes) -> None:
        """Read `whole`, and change parsers at the first child of the root that is an entry and begins in it."""
        done = 0
        root = self.root
        for found in _ENTRY.finditer(whole):
            start = found.start()
            tag = tag_at(whole, start)
            if root is None or start < done or not tag:
                continue
            self._parser.feed(whole[done:start])
            before = len(root)
            self._parser.feed(tag)
            done = start + len(tag)
            # In a comment or inside another entry it would not be one child more of the root.
            if len(root) == before + 1 and not len(root[-1]):
                self._change_parser(root, tag)
                break
        self._parser.feed(whole[done:])

    def _change_parser(self, root: Element, entry_tag: bytes) -> None:
        if entry_tag.endswith(b"/>"):  # it is complete
            entry_tag = b""
            self._done += root
        else:
            self._done += root[:-1]
        known = self._root_tag + entry_tag
        self._true_start = self._position()
        lines = known.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._own_start = (len(lines), len(lines[-1].decode("utf-8")))
        self._builder, self._parser = _parser()
        self._parser.feed(known)
        self.root = self._builder.close()
        self._since_fresh = 0

    def _measure_depth(self) -> None:
        if sum(1 for _ in self._last_path()) > self._limits.max_depth:
            raise AtomError(self._too_deep)

    def _last_path(self) -> Iterator[Element]:
        """The root, its last child, the last child of that, and so on: all open elements are among them."""
        node = self.root
        while node is not None:
            yield node
            node = node[-1] if len(node) else None

    def _harvest(self, size: int) -> list[Element]:
        """Take the complete children of the root out of the tree, up to one that breaks a limit."""
        done = self._take_complete()
        # What a long token belongs to, a complete child or the next one, is not known.
        self._unfinished = min(size, PIECE) if done else self._unfinished + size
        for index, child in enumerate(done):
            reason = self._unsound(child, 2)
            if reason:
                self._stop(reason)
                return done[:index]
        if done:
            self._counted_at, self._attributes = 0, self._latest
        if self.failure is None:
            self._count_unfinished()
        return done

    def _take_complete(self) -> list[Element]:
        root = self.root
        if root is None or root.tag != self._split:
            return []
        done, self._done = self._done, []
        complete = len(root) if self._is_last_complete(root) else max(len(root) - 1, 0)
        done += root[:complete]
        del root[:complete]
        return done

    def _is_last_complete(self, root: Element) -> bool:
        """Whether nothing in the root is still open, as far as the last tag tells; if in doubt, no.

        What the last tag ended is on the last path. If only one element there has its name, it is known.
        """
        if self.failure is not None:
            return self._last_complete
        tag = self._scanner.last_tag
        if not tag.startswith(b"</") and not tag.endswith(b"/>"):
            return False
        name = _name(tag)
        if name not in {local(root.tag), local(root[-1].tag) if len(root) else name}:
            return False
        ended = [node for node in self._last_path() if local(node.tag) == name]
        return len(ended) == 1 and (ended[0] is root or ended[0] is root[-1])

    def _unsound(self, element: Element, depth: int) -> str | None:
        """Which limit a complete element at that depth breaks."""
        elements = count(element) if len(element) else 1
        if elements + self._attributes > self._limits.max_elements and weight(element) > self._limits.max_elements:
            return self._too_many
        # Fewer elements than levels: no need to measure.
        if elements + depth > self._limits.max_depth and depth + _height(element) - 1 > self._limits.max_depth:
            return self._too_deep
        return None

    def _count_unfinished(self) -> None:
        """Count what is still being read, unless it is too short to matter, or was counted not long ago."""
        if self._split is not None and self._unfinished > self._limits.max_entry + 2 * PIECE:
            self._stop(f"more than {self._limits.max_entry} bytes without the end of an entry")
            return
        longest = self._limits.max_elements * _SHORTEST_ELEMENT
        if self.root is None or self._unfinished < max(longest, self._counted_at + PIECE):
            return
        self._counted_at = self._unfinished
        subject = self.root if self.root.tag != self._split or not len(self.root) else self.root[-1]
        if weight(subject) > self._limits.max_elements:
            self._stop(self._too_many)

    @property
    def _too_deep(self) -> str:
        return f"elements nested deeper than {self._limits.max_depth}"

    @property
    def _too_many(self) -> str:
        return f"more than {self._limits.max_elements} elements and attributes in one entry"

    def _broke(self, broken: ParseError, *, at_end: bool = False) -> None:
        reason = ErrorString(broken.code)
        early = at_end and reason in _ENDS_TOO_EARLY
        self._stop("the document breaks off" if early else reason, self._true_position(broken.position))

    def _stop(self, reason: str, position: tuple[int, int] | None = None) -> None:
        """Read no more. A mark put into the tree shows which element is open, and so what is complete."""
        line, column = position or self._position()
        if self.root is None:
            self.root = self._builder.close()
        self.failure = AtomError(reason, line, column, self._open_element())

    def _open_element(self) -> str | None:
        if self.root is None:
            return None
        try:
            mark = self._builder.start("mark", {})
        except ParseError:  # the root is closed
            self._last_complete = True
            return None
        parent = next(node for node in self._last_path() if len(node) and node[-1] is mark)
        del parent[-1]
        self._last_complete = parent is self.root
        return local(parent.tag)[:_LONGEST_NAME]

    def _position(self) -> tuple[int, int]:
        """Where the parser stands, which it tells only in an error; it is of no use after that."""
        position = self._own_start
        try:
            self._parser.feed(b"\0\0\0\0")
        except ParseError as broken:
            position = broken.position
        return self._true_position(position)

    def _true_position(self, position: tuple[int, int]) -> tuple[int, int]:
        line, column = position
        if line == self._own_start[0]:
            return self._true_start[0], self._true_start[1] + column - self._own_start[1]
        return self._true_start[0] + line - self._own_start[0], column


def count(element: Element) -> int:
    """How many elements there are, this one included."""
    return len(list(element.iter()))


def weight(element: Element) -> int:
    """How many elements and attributes there are, this one and its own included."""
    return sum(len(each.keys()) + 1 for each in element.iter())


def _height(element: Element) -> int:
    """Levels of elements; by level, because recursion would end at the depth that is to be measured."""
    level, height = [element], 0
    while level:
        level = [child for parent in level for child in parent]
        height += 1
    return height


def _name(tag: bytes) -> str:
    found = _TAG_NAME.match(tag)
    return found[1].decode("utf-8", "replace") if found else ""


def _parser() -> tuple[TreeBuilder, XMLParser]:
    builder = TreeBuilder()
    # A document type declaration never gets past the scanner, and without one there is nothing to defuse.
    return builder, XMLParser(target=builder, encoding="utf-8")  # noqa: S314
