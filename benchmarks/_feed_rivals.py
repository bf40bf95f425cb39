"""Other readers of a colleague feed, to compare with `aioconnections.atom.Reader`.

For parsers that return elements (lxml, ElementTree), straightforward code builds our records from the elements, without
what these feeds do not contain: markup in texts, bases, languages, extensions and attributes without a field. Readers
with records of their own (feedparser, fastfeedparser, atoma) are used unchanged; none supports ``snx:connection``.
"""

from __future__ import annotations

import importlib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from xml.parsers import expat

from aioconnections.atom import (
    AtomPerson,
    Category,
    ConnectionEnds,
    Content,
    Entry,
    Link,
    Reader,
    Text,
)

ATOM = "{http://www.w3.org/2005/Atom}"
SNX = "{http://www.ibm.com/xmlns/prod/sn}"
CHUNK = 1 << 16


def chunks(path: Path) -> Iterable[bytes]:
    """Yield the document in pieces."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def person(element: Any) -> AtomPerson:
    """Build a person."""
    values = {child.tag: (child.text or "").strip() for child in element}
    return AtomPerson(
        values.get(f"{ATOM}name"),
        values.get(f"{ATOM}email"),
        values.get(f"{ATOM}uri"),
        values.get(f"{SNX}userid"),
        values.get(f"{SNX}userState"),
        values.get(f"{SNX}isExternal"),
    )


def ends(element: Any) -> ConnectionEnds:
    """Build the two people of ``snx:connection``."""
    sides = {side.get(f"{SNX}rel").rpartition("/")[2]: person(side) for side in element}
    return ConnectionEnds(sides.get("source"), sides.get("target"))


def link(element: Any) -> Link:
    """Build a link."""
    get = element.get
    return Link(get("href"), get("rel", "alternate"), get("type"), get("title"), get("hreflang"), get("length"))


def record(element: Any) -> Entry:  # noqa: C901 # deliberately straightforward
    """Build an entry from any element with the interface of ElementTree."""
    fields: dict[str, Any] = {}
    many: dict[str, list[Any]] = {"authors": [], "contributors": [], "links": [], "categories": []}
    for child in element:
        tag = child.tag
        if tag == f"{ATOM}category":
            many["categories"].append(Category(child.get("term"), child.get("scheme"), child.get("label")))
        elif tag == f"{ATOM}link":
            many["links"].append(link(child))
        elif tag == f"{ATOM}author":
            many["authors"].append(person(child))
        elif tag == f"{ATOM}contributor":
            many["contributors"].append(person(child))
        elif tag == f"{SNX}connection":
            fields["connection"] = ends(child)
        elif tag == f"{ATOM}content":
            fields["content"] = Content(child.text or "", child.get("type", "text"), child.get("src"))
        elif tag in {f"{ATOM}title", f"{ATOM}summary", f"{ATOM}rights"}:
            fields[tag.rpartition("}")[2]] = Text(child.text or "", child.get("type", "text"))
        elif tag in {f"{ATOM}updated", f"{ATOM}published"}:
            fields[f"{tag.rpartition('}')[2]}_text"] = (child.text or "").strip()
        elif tag == f"{ATOM}id":
            fields["id"] = (child.text or "").strip()
    fields |= {name: tuple(found) for name, found in many.items()}
    return Entry(**fields)


def ours(path: Path, *, strict: bool = True) -> int:
    """Our reader."""
    reader = Reader(strict=strict, max_bytes=1 << 40, max_markup=1 << 40, max_entries=1 << 40)
    count = sum(len(reader.feed(chunk)) for chunk in chunks(path))
    return count + len(reader.close().entries)


def bare_expat(path: Path) -> int:
    """The lower bound: no handlers, no results."""
    parser = expat.ParserCreate(namespace_separator="}")
    for chunk in chunks(path):
        parser.Parse(chunk)
    parser.Parse(b"", True)  # noqa: FBT003 # the signature of pyexpat
    return -1


def elementtree(path: Path) -> int:
    """The parser of the standard library, without protection against hostile documents."""
    root: Any = None
    count = 0
    with path.open("rb") as file:
        for event, element in ET.iterparse(file, events=("start", "end")):  # noqa: S314 # our own document
            if root is None:
                root = element
            elif event == "end" and element.tag == f"{ATOM}entry":
                record(element)
                count += 1
                root.clear()
    return count


def lxml_pull(path: Path) -> int:
    """The fastest of the other incremental parsers."""
    etree = importlib.import_module("lxml.etree")
    parser = etree.XMLPullParser(events=("end",), tag=f"{ATOM}entry", resolve_entities=False, huge_tree=True)
    count = 0
    for chunk in chunks(path):
        parser.feed(chunk)
        for _, element in parser.read_events():
            count += _consume(element)
    return count


def lxml_iterparse(path: Path) -> int:
    """The same parser, reading the file itself."""
    etree = importlib.import_module("lxml.etree")
    with path.open("rb") as file:
        events = etree.iterparse(file, events=("end",), tag=f"{ATOM}entry", resolve_entities=False, huge_tree=True)
        return sum(_consume(element) for _, element in events)


def _consume(element: Any) -> int:
    record(element)
    element.clear(keep_tail=True)
    while element.getprevious() is not None:
        del element.getparent()[0]
    return 1


def feedparser(path: Path) -> int:
    """A tolerant reader of all feed formats; reads whole documents."""
    return len(importlib.import_module("feedparser").parse(path.read_bytes()).entries)


def fastfeedparser(path: Path) -> int:
    """A reader of whole documents on lxml, with few fields."""
    return len(importlib.import_module("fastfeedparser").parse(path.read_bytes()).entries)


def atoma(path: Path) -> int:
    """A reader of whole documents on defusedxml, with attrs records."""
    return len(importlib.import_module("atoma").parse_atom_bytes(path.read_bytes()).entries)


CONTENDERS: dict[str, tuple[Callable[[Path], int], str | None]] = {
    "aioconnections": (ours, None),
    "aioconnections, lenient": (partial(ours, strict=False), None),
    "pyexpat, no handlers": (bare_expat, None),
    "lxml pull": (lxml_pull, "lxml"),
    "lxml iterparse": (lxml_iterparse, "lxml"),
    "ElementTree iterparse": (elementtree, None),
    "fastfeedparser": (fastfeedparser, "fastfeedparser"),
    "atoma": (atoma, "atoma"),
    "feedparser": (feedparser, "feedparser"),
}
WHOLE_DOCUMENT = {"fastfeedparser", "atoma", "feedparser"}
