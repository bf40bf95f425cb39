"""Costs of reading a document: memory, and CPU time relative to raw expat in the same run; hostile documents."""

from __future__ import annotations

import gc
import random
import re
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from xml.parsers import expat

from attrs import frozen

from aioconnections.atom import Reader
from aioconnections.errors import AtomError

__all__ = ["FEED", "PIECE", "Costs", "cost_of_largest", "costs", "hostile_units", "memory", "repeated", "spaced"]

PIECE = 1 << 16
LARGEST = 1 << 26
MOST_MARKUP = 1 << 20
MOST_ENTRIES = 100_000
DENSEST = 1_280
WINDOW = 1 << 14
CHILD_MARKS = 3
FEED = b'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:snx="http://www.ibm.com/xmlns/prod/sn">'
_ROUNDS = 8

_ENTRY = (
    '<entry><id>tag:profiles.ibm.com,2006:entry{n:08}-7d2e-4c1a-9b3f-001122334455</id><title type="text">Ada Marsh'
    '</title><updated>2017-05-15T13:40:45.123Z</updated><category term="connection" '
    'scheme="http://www.ibm.com/xmlns/prod/sn/type"></category><author><name>Ada Marsh</name><snx:userid>{n:08X}-9C1B'
    "-4F7E-8A55-0123456789AB</snx:userid><email>person{n}@example.com</email><snx:userState>active</snx:userState>"
    '</author><content type="html">Hello &amp; welcome</content><link rel="self" type="application/atom+xml" '
    'href="https://connections.example.com/profiles/atom/connection.do?connectionId={n:08}"></link></entry>'
)


@contextmanager
def untraced() -> Iterator[None]:
    """Pause coverage measurement, which slows Python code down but not expat."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


@cache
def _ordinary() -> bytes:
    return repeated(_ENTRY, 16 * PIECE) + b"</feed>"


def _raw_piece() -> float:
    """Return the CPU seconds that expat without handlers takes for 64 KiB of an ordinary feed."""
    document = _ordinary()
    start, parser = time.process_time(), expat.ParserCreate()
    for at in range(0, len(document), PIECE):
        parser.Parse(document[at : at + PIECE])
    return (time.process_time() - start) * PIECE / len(document)


def repeated(unit: str, size: int, before: str = "") -> bytes:
    """Return a feed of repeated units, with a number in place of ``{n}``."""
    parts = [FEED, before.encode()]
    length = sum(map(len, parts))
    number = 0
    while unit and length < size:
        parts.append(unit.replace("{n}", str(number)).replace("{n:08}", f"{number:08}").replace("{n:08X}", "").encode())
        length += len(parts[-1])
        number += 1
    return b"".join(parts)


def spaced(unit: str) -> str:
    """Pad the unit with spaces until a feed of such units is just below the density limit; numbers get eight digits."""
    unit = unit.replace("{n}", "{n:08}")
    text = unit.replace("{n:08}", "0" * 8)
    marks = len(re.findall(r"<(?!/)|=[\"']", text)) + CHILD_MARKS * text.count("<entry")
    if marks > DENSEST // 2:
        return unit
    # A window may hold part of a unit at both ends.
    return unit + " " * (-(-marks * WINDOW // (DENSEST - marks)) - len(text))


@frozen
class Costs:
    """CPU times as multiples of the time of raw expat.

    Attributes:
        whole: time for the document, continued until it reaches a limit, relative to the largest feed.
        call: time of the longest call of `Reader.feed`, relative to 64 KiB.
        refused: the reason if the document was refused, or None.
        raw: seconds that expat took for 64 KiB of an ordinary feed in the last repetition.
    """

    whole: float
    call: float
    refused: str | None
    raw: float


def costs(document: bytes, *, strict: bool = True, enough: Callable[[Costs], bool]) -> Costs:
    """Measure the costs of a document; repeat, with the least cost of each call, until they are low `enough`.

    The speed of the processor changes within seconds, so each reading is compared with expat right before and after it.
    """
    least: list[float] = []
    found = Costs(0, 0, None, 0)
    gc.collect()
    gc.freeze()  # exclude the objects of the test run
    try:
        for _ in range(_ROUNDS):
            before = _raw_piece()
            spent, entries, refused = _spent(document, strict=strict)
            raw = min(before, _raw_piece())
            ratios = [seconds / raw for seconds in spent]
            least = [min(pair) for pair in zip(least, ratios, strict=True)] if least else ratios
            read = min(len(spent) * PIECE, len(document))
            marks = document[:read].count(b"<") or 1
            until = read if refused else min(LARGEST, MOST_MARKUP * read / marks, MOST_ENTRIES * read / (entries or 1))
            found = Costs(sum(least) / read * until / (LARGEST / PIECE), max(least), refused, raw)
            if enough(found):
                break
    finally:
        gc.unfreeze()
    return found


@untraced()
def _spent(document: bytes, *, strict: bool) -> tuple[list[float], int, str | None]:
    reader, spent, entries = Reader(strict=strict), list[float](), 0
    for at in range(0, len(document), PIECE):
        start = time.process_time()
        try:
            entries += len(reader.feed(document[at : at + PIECE]))
        except AtomError as refused:
            return [*spent, time.process_time() - start], entries, refused.reason
        spent.append(time.process_time() - start)
    return spent, entries, None


def cost_of_largest(unit: str, *, strict: bool) -> float:
    """Return the CPU time for as many units as the default limits allow, as a multiple of expat's for the largest feed.

    Nothing is extrapolated: the reader refuses the document at a limit, and expat reads `LARGEST` bytes.
    """
    plain = _ordinary().removesuffix(b"</feed>")
    units = repeated(unit, 16 * PIECE)[len(FEED) :]
    parser, reader = expat.ParserCreate(), Reader(strict=strict)
    spent, raw = _fed(reader.feed, units), _fed(parser.Parse, plain[len(FEED) :])
    return spent / raw


@untraced()
def _fed(feed: Callable[[bytes], object], units: bytes) -> float:
    """Return the CPU seconds for a feed of these units, repeated up to `LARGEST` bytes or an error."""
    feed(FEED)
    pieces = [units[at : at + PIECE] for at in range(0, len(units), PIECE)]
    start = time.process_time()
    with suppress(AtomError):
        for _ in range(LARGEST // len(units) + 1):
            for piece in pieces:
                feed(piece)
    return time.process_time() - start


def memory(document: bytes, *, strict: bool = True) -> int:
    """Return the peak memory of reading the document in bytes, where the result of each call is dropped."""
    reader = Reader(strict=strict)
    tracemalloc.start()
    try:
        for at in range(0, len(document), PIECE):
            reader.feed(document[at : at + PIECE])
    except AtomError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak


_NAMES = [
    "a", "a{n}", "entry", "title", "summary", "content", "rights", "source", "author", "contributor", "link",
    "category", "id", "snx:connection", "snx:x", "p:b", "p:b{n}", "name", "uri", "generator", "icon", "n" * 300,
]  # fmt: skip
_ATTRIBUTES = [
    "a", "b{n}", "type", "type", "href", "src", "xml:base", "xml:base", "xml:lang", "term", "snx:rel", "p:c", "p:c{n}",
    "xmlns:q{n}", "xmlns:p", "xmlns",
]  # fmt: skip
_VALUES = [
    "", "x", "{n}", "xhtml", "html", "text", "a/xml", "image/png", "http://h/", "http://h/" + "a/" * 3000, "../" * 20,
    "http://h/" + "b" * 8000, "http://www.w3.org/1999/xhtml", "u:" + "u" * 120, ">" * 200, "&quot;" * 50, "&#10;" * 50,
]  # fmt: skip
_TEXTS = [
    "", "x", "{n}", "ab\n" * 300, "&lt;" * 200, ">" * 500, "\r" * 99, "AAAA", "A ", "é", "\U0001f600" + "x" * 500,
    "<![CDATA[]]>", "<![CDATA[x]]>", "<!---->", "x<!--é-->", "<?p?>", "x" * 5000,
]  # fmt: skip
_LENIENT_TEXTS = ["&nbsp;", "&#8;", "\x08", "\x08" * 200, "\ufffe", "&nbsp;" * 99, "&#0008;", "<![CDATA[&nbsp;\x00]]>"]


def hostile_units(seed: int, *, strict: bool) -> Iterator[tuple[str, str]]:
    """Yield random pairs without end: the start of a feed, and the unit that is repeated after it."""
    rng = random.Random(seed)
    texts = _TEXTS if strict else _TEXTS + _LENIENT_TEXTS

    def element(depth: int) -> str:
        name = rng.choice(_NAMES)
        given = {rng.choice(_ATTRIBUTES): rng.choice(_VALUES) for _ in range(rng.choice([0, 0, 1, 1, 2, 5, 60]))}
        if "p:" in name + "".join(given):
            given["xmlns:p"] = rng.choice(["u:p", "u:" + "p" * 124])
        start = name + "".join(f' {key}="{value}"' for key, value in given.items())
        inside = "".join(content(depth + 1) for _ in range(rng.choice([0, 0, 1, 1, 2, 4])))
        return f"<{start}>{inside}</{name}>" if inside else f"<{start}/>"

    def content(depth: int) -> str:
        if depth < rng.choice([1, 3, 30]) and rng.random() < 0.6:
            return element(depth) * rng.choice([1, 1, 1, 3, 50])
        return rng.choice(texts) * rng.choice([1, 1, 1, 3, 50])

    while True:
        before = rng.choice(["", "", element(3), "<entry>", "<entry><content type='xhtml'>"])
        inner = content(1) * rng.choice([1, 1, 10, 300])
        around = rng.choice(
            [("", ""), ("<entry>", "</entry>"), ("<entry><content type='xhtml'>", "</content></entry>")]
        )
        yield before, f"{around[0]}{inner if 0 < len(inner) < 1 << 19 else element(1)}{around[1]}"
