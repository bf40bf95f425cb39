"""Reading and writing of Atom documents as immutable records, without I/O."""

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
    "Text",
    "XmlElement",
    "read_document",
    "read_entries",
    "write_entry",
]
