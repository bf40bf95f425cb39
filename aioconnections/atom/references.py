"""Resolution of relative references (RFC 3986 section 5.2) at a bounded cost.

A base is written once and applies to every reference below it, so a small document could expand to a large one.
Therefore the characters that resolution adds have a budget. The time to resolve a reference is proportional to the
length of the reference and of the result.
"""

from __future__ import annotations

import re

from aioconnections.errors import AtomError

__all__ = ["WEB_SCHEMES", "Resolver"]

WEB_SCHEMES = ("https://", "http://")

_MAX_LENGTH = 8192  # characters of a base, and of a resolved relative reference
_BUDGET = 1 << 20
_BUDGET_PER_ENTRY = 1 << 12
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_BASE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)(//[^/?#]*)([^?#]*)(\?[^#]*)?")
_PATH = re.compile(r"[^?#]*")
_DOT_SEGMENT = re.compile(r"(?:\A|/)\.")
_BRACKETS = re.compile(r"//[^/?#]*[\[\]]")
_IP_LITERAL = re.compile(r"//(?:[^@/?#\[\]]*@)?\[[0-9A-Fa-f:.]+\](?::[0-9]*)?(?:[/?#]|\Z)")


class Resolver:
    """Resolves the references of one document.

    Args:
        default_base: the base where the document has no ``xml:base``, or None.
    """

    def __init__(self, default_base: str | None = None) -> None:
        self._default_base = default_base
        self._budget = _BUDGET  # characters that resolution may still add
        self._base: str | None = None  # the base of the following parts
        self._scheme = self._origin = self._path = self._query = ""
        self._folder = ""

    @property
    def has_added(self) -> bool:
        """Whether resolution has used some of the budget that `begin_entry` restores."""
        return self._budget < _BUDGET

    def begin_entry(self) -> None:
        """Add the share of one entry to the budget, up to the initial budget."""
        if self._budget < _BUDGET:
            self._budget = min(self._budget + _BUDGET_PER_ENTRY, _BUDGET)

    def resolve(self, base: str | None, reference: str) -> str:
        """Return the absolute form of a reference, or the reference itself if no base with a host is known.

        Args:
            base: the ``xml:base`` in scope, or None for the default base.
            reference: the reference as written.

        Raises:
            AtomError: the base or the result is too long, or the budget of the document is exhausted.
        """
        reference = reference.strip()
        base = base or self._default_base
        if base is None or reference.startswith(WEB_SCHEMES):
            return reference
        if base is not self._base:
            self._split_base(base)
        if not self._origin or _SCHEME.match(reference):
            return reference
        resolved = self._join(reference)
        if len(resolved) > _MAX_LENGTH:
            raise AtomError(f"reference resolves to more than {_MAX_LENGTH} characters")
        self._budget -= max(len(resolved) - len(reference), 0)
        if self._budget < 0:
            raise AtomError("relative references resolve to too many characters")
        return resolved

    def _split_base(self, base: str) -> None:
        if len(base) > _MAX_LENGTH:
            raise AtomError(f"base URI longer than {_MAX_LENGTH} characters")
        match = _BASE.match(base)
        scheme, host, path, query = match.groups() if match else ("", "", "", "")
        self._base, self._scheme, self._origin, self._path, self._query = base, scheme, scheme + host, path, query or ""
        self._folder = _merge("/", path[1 : path.rfind("/") + 1])

    def _join(self, reference: str) -> str:
        first = reference[:1]
        if first == "/":
            if reference.startswith("//"):
                is_host = not _BRACKETS.match(reference) or _IP_LITERAL.match(reference)
                return self._scheme + reference if is_host else reference
            return self._origin + _merge("/", reference[1:])
        if first == "?":
            return self._origin + self._path + reference
        if first in {"", "#"}:
            return self._origin + self._path + self._query + reference
        return self._origin + _merge(self._folder, reference)


def _merge(folder: str, reference: str) -> str:
    """Append `reference` to `folder`, which ends with a slash, and remove dot segments."""
    if not _DOT_SEGMENT.search(reference):
        return folder + reference
    match = _PATH.match(reference)
    path = match[0] if match else ""
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
