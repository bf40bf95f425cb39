"""Relative references, resolved (RFC 3986 section 5.2) at a bounded cost.

A base is written once and counts for every reference below it, so a small document could resolve to a large one: what
references grow by has a budget. Nothing here takes longer than in proportion to the reference itself and what it
resolves to.
"""

from __future__ import annotations

import re

from aioconnections.errors import AtomError

__all__ = ["Resolver"]

LONGEST = 8192
"""Most characters of a base, and of what a relative reference resolves to."""

_MOST_GROWTH = 1 << 20
_GROWTH_FOR_AN_ENTRY = 1 << 12
_WEB = ("https://", "http://")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_BASE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)(//[^/?#]*)([^?#]*)(\?[^#]*)?")
_PATH = re.compile(r"[^?#]*")
_DOT = re.compile(r"(?:\A|/)\.")
_BRACKETS = re.compile(r"//[^/?#]*[\[\]]")
_IP_LITERAL = re.compile(r"//(?:[^@/?#\[\]]*@)?\[[0-9A-Fa-f:.]+\](?::[0-9]*)?(?:[/?#]|\Z)")


class Resolver:
    """Resolves the references of one document.

    Args:
        outside: the base that counts where the document names none, or None.
    """

    def __init__(self, outside: str | None = None) -> None:
        self._outside = outside
        self._growth = _MOST_GROWTH  # what references may still grow by, in characters
        self._base: str | None = None  # the one that was taken apart last
        self._scheme = self._origin = self._file = self._query = ""
        self._folder = ""

    def begin_entry(self) -> None:
        """An entry begins. Each adds to the budget of the document, which never exceeds what it was at the start."""
        if self._growth < _MOST_GROWTH:
            self._growth = min(self._growth + _GROWTH_FOR_AN_ENTRY, _MOST_GROWTH)

    def resolve(self, base: str | None, reference: str) -> str:
        """The reference as an absolute one; where no base with a host is known it stays as it is.

        Args:
            base: what the document names, or None for the base from outside.
            reference: as written.

        Raises:
            AtomError: the base or the result is too long, or the document has too many references that grow.
        """
        reference = reference.strip()
        base = base or self._outside
        if base is None or reference.startswith(_WEB):
            return reference
        if base is not self._base:
            self._take_apart(base)
        if not self._origin or _SCHEME.match(reference):
            return reference
        resolved = self._joined(reference)
        if len(resolved) > LONGEST:
            raise AtomError(f"a reference that resolves to more than {LONGEST} characters")
        self._growth -= max(len(resolved) - len(reference), 0)
        if self._growth < 0:
            raise AtomError("too many relative references to a long base")
        return resolved

    def _take_apart(self, base: str) -> None:
        if len(base) > LONGEST:
            raise AtomError(f"a base URI of more than {LONGEST} characters")
        found = _BASE.match(base)
        scheme, host, path, query = found.groups() if found else ("", "", "", "")
        self._base, self._scheme, self._origin, self._file, self._query = base, scheme, scheme + host, path, query or ""
        self._folder = _merged("/", path[1 : path.rfind("/") + 1])

    def _joined(self, reference: str) -> str:
        first = reference[:1]
        if first == "/":
            if reference.startswith("//"):
                is_host = not _BRACKETS.match(reference) or _IP_LITERAL.match(reference)
                return self._scheme + reference if is_host else reference
            return self._origin + _merged("/", reference[1:])
        if first == "?":
            return self._origin + self._file + reference
        if first in {"", "#"}:
            return self._origin + self._file + self._query + reference
        return self._origin + _merged(self._folder, reference)


def _merged(folder: str, reference: str) -> str:
    """A path relative to `folder`, which ends with a slash, without the segments that are dots."""
    if not _DOT.search(reference):
        return folder + reference
    found = _PATH.match(reference)
    path = found[0] if found else ""
    end, kept = len(folder), list[str]()
    *segments, last = path.split("/")
    if last in {".", ".."}:
        segments, last = [*segments, last], ""
    for segment in segments:
        if segment == ".." and kept:
            kept.pop()
        elif segment == "..":
            end = folder.rfind("/", 0, end - 1) + 1 or 1
        elif segment != ".":
            kept.append(segment)
    return folder[:end] + "/".join([*kept, last]) + reference[len(path) :]
