"""Reading and writing of Atom documents as immutable records, without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioconnections.lazy import all_names, imported

if TYPE_CHECKING:
    from aioconnections.atom.reader import Reader, read_document, read_entries
    from aioconnections.atom.records import (
        AtomPerson,
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
    from aioconnections.atom.templates import Templates
    from aioconnections.atom.writer import write_entry

__all__ = [
    "AtomPerson",
    "Category",
    "ConnectionEnds",
    "Content",
    "Entry",
    "Feed",
    "Generator",
    "Link",
    "Reader",
    "Templates",
    "Text",
    "XmlElement",
    "read_document",
    "read_entries",
    "write_entry",
]

_READER = "aioconnections.atom.reader"
_LAZY = dict.fromkeys(__all__, "aioconnections.atom.records") | {
    "Reader": _READER,
    "read_document": _READER,
    "read_entries": _READER,
    "Templates": "aioconnections.atom.templates",
    "write_entry": "aioconnections.atom.writer",
}


def __getattr__(name: str) -> object:
    return imported(__name__, name, _LAZY)


def __dir__() -> list[str]:
    return all_names(__name__, _LAZY)
