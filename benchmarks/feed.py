"""Benchmark of reading colleague feeds: entries per second, megabytes per second and peak memory.

Rivals; those that are not installed are skipped and listed::

    pip install lxml feedparser fastfeedparser atoma

Usage::

    python benchmarks/feed.py               # 100, 10,000 and 200,000 entries
    python benchmarks/feed.py --quick       # a smoke test with small sizes
    python benchmarks/feed.py --json        # print JSON instead of tables

Figures are medians of the CPU time of interleaved rounds. Compare the ratios, because absolute figures depend on the
machine. Peak memory is the growth of a separate process. Readers of whole documents skip the largest feed. Lenient
reading, which the client uses, is measured separately. Our entries are complete when they are returned: no field is
made later, so it does not matter which ones are read. The limits on the size of the document are raised, because the
largest feed exceeds them.

The second table shows the CPU time until each hostile document is refused, which should be at most 50 ms. The third
shows the documents that cost most at the default limits: the CPU time for as much as the limits allow, relative to that
of pyexpat without handlers for a feed of the largest size, 64 MiB. It should be at most 25.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count as numbers
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from xml.parsers import expat

from _feed_rivals import CONTENDERS, WHOLE_DOCUMENT
from _feeds import chunks as generated
from _feeds import entry

from aioconnections.atom import Reader
from aioconnections.atom.tree import PIECE as DENSITY_WINDOW
from aioconnections.atom.tree import Limits
from aioconnections.errors import AtomError

SIZES = (100, 10_000, 200_000)
QUICK_SIZES = (20, 200)
LARGEST_WHOLE = 10_000
QUICK_BYTES = 1 << 20
HOSTILE_CHUNK = 1 << 10
_FEED = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:snx="http://www.ibm.com/xmlns/prod/sn">'

HOSTILE = {
    "token in small pieces": (_FEED + "<a x='", "> "),
    "comment in small pieces": (_FEED + "<!--", "x "),
    "depth of a million": (_FEED, "<a>"),
    "a million attributes": (_FEED + "<a", ' a{n}=""'),
    "a million namespaces": (_FEED + "<a", ' xmlns:a{n}="u:{n}"'),
    "a million nested namespaces": (_FEED, '<a xmlns:a{n}="u:{n}">'),
    "a million elements": (_FEED + "<entry>", "<a{n}/>"),
    "document type": ("", '<!DOCTYPE f [<!ENTITY a "b">]>'),
    "encoding": ("", '<?xml version="1.0" encoding="zlib"?>'),
}

EXPENSIVE = {
    "empty entries": "<entry/>",
    "comments": "<entry>" + "<!---->" * 100 + "</entry>",
    "instructions": "<entry>" + "<?p?>" * 100 + "</entry>",
    "CDATA sections": "<entry><title>" + "<![CDATA[x]]>" * 100 + "</title></entry>",
    "elements": "<entry>" + "<a/>" * 100 + "</entry>",
    "names of elements": "<entry>" + "<a{n}/>" * 100 + "</entry>",
    "attributes": "<entry>" + "<a b='c' d='e'/>" * 100 + "</entry>",
    "namespaces": "<entry xmlns:p='u:" + "p" * 124 + "'>" + "<p:a{n}/>" * 100 + "</entry>",
    "links": "<entry xml:base='http://h/'>" + "<link href='x' rel='y'/>" * 100 + "</entry>",
    "people": "<entry>" + "<author><name>{n}</name><uri>x</uri></author>" * 100 + "</entry>",
    "sources": "<entry><source><author/></source></entry>",
    "texts": "<entry><title/><summary>{n}</summary></entry>",
    "XHTML": "<entry><content type='xhtml'>" + "<b>x</b>" * 300 + "</content></entry>",
    "XHTML of another namespace": "<entry xmlns:p='u'><content type='xhtml'>" + "<p:b/>" * 300 + "</content></entry>",
    "deep XHTML": "<entry><content type='xhtml'>" + "<b xmlns='u:1'>" * 90 + "</b>" * 90 + "</content></entry>",
    "lines": "<entry><title>" + "ab\n" * 5_000 + "</title></entry>",
    "base64": "<entry><content type='image/png'>" + "A A A A " * 2_000 + "</content></entry>",
    "references": "<entry><title>" + "&amp;" * 3_000 + "</title></entry>",
    "references that are replaced": "<entry><title>" + "&#8;" * 3_000 + "</title></entry>",
}
LARGEST = Limits().max_bytes
PIECE = 1 << 16
CHILD_MARKS = 3  # marks of density for each entry


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="run one round of small sizes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=5, help="rounds per size and reader (default: 5)")
    parser.add_argument("--memory", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(grown(*options.memory))
        return
    sizes = QUICK_SIZES if options.quick else SIZES
    missing = sorted({module for _, module in CONTENDERS.values() if module and not importlib.util.find_spec(module)})
    rows = [row for size in sizes for row in measure(size, 1 if options.quick else options.rounds, missing)]
    refusals = {name: refused_after(name) for name in HOSTILE}
    size = QUICK_BYTES if options.quick else LARGEST
    worst = {name: expensive(unit, size) for name, unit in EXPENSIVE.items()}
    if options.json:
        tables = {"feeds": rows, "refused after ms": refusals, "times pyexpat": worst}
        print(json.dumps({"not installed": missing, **tables}, indent=1))
    else:
        show(rows, refusals, worst, missing)


def measure(size: int, rounds: int, missing: list[str]) -> Iterator[dict[str, Any]]:
    """Yield a row for each contender at one size; the ratio is our speed to its speed."""
    with tempfile.NamedTemporaryFile(suffix=".atom") as file:
        for chunk in generated(size):
            file.write(chunk)
        file.flush()
        path = Path(file.name)
        names = [
            name
            for name, (_, module) in CONTENDERS.items()
            if module not in missing and (size <= LARGEST_WHOLE or name not in WHOLE_DOCUMENT)
        ]
        spent: dict[str, list[float]] = {name: [] for name in names}
        for number in range(rounds):
            for name in names:
                if number < 2 or name != "feedparser":  # slow, and two rounds are enough
                    spent[name].append(seconds(name, path, size))
        medians = {name: statistics.median(values) for name, values in spent.items()}
        for name, median in medians.items():
            yield {
                "entries": size,
                "reader": name,
                "entries/s": round(size / median),
                "MB/s": round(path.stat().st_size / median / 1e6, 1),
                "ours is faster by": round(median / medians["aioconnections"], 2),
                "peak MB": peak(name, path),
            }


def seconds(name: str, path: Path, size: int) -> float:
    """Return the CPU seconds of one run."""
    read = CONTENDERS[name][0]
    start = time.process_time()
    found = read(path)
    spent = time.process_time() - start
    assert found in {size, -1}, f"{name} found {found} entries"
    return spent


def peak(name: str, path: Path) -> float:
    """Return the growth of the peak memory of a new process, in MB."""
    command = [sys.executable, __file__, "--memory", name, str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603 # this script


def grown(name: str, path: str) -> float:
    """Return the growth of this process while it reads, in MB, after a warm-up with a small feed."""
    with tempfile.NamedTemporaryFile(suffix=".atom") as file:
        file.write(b"".join(generated(50)))
        file.flush()
        CONTENDERS[name][0](Path(file.name))
    before = high_water()
    CONTENDERS[name][0](Path(path))
    return round((high_water() - before) / 1e6, 1)


def high_water() -> int:
    """Return the peak memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss starts with the value of the parent
        line = next(line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def refused_after(name: str) -> float:
    """Return the CPU milliseconds until a hostile document in pieces of 1 KiB is refused."""
    start, unit = HOSTILE[name]
    pieces = hostile_pieces(unit)
    reader, spent = Reader(), 0.0
    data = start.encode()
    while True:
        began = time.process_time()
        try:
            reader.feed(data)
        except AtomError:
            return round((spent + time.process_time() - began) * 1e3, 1)
        spent += time.process_time() - began
        data = next(pieces)


def expensive(unit: str, size: int) -> float:
    """Return the CPU time for such units up to the default limits, as a multiple of expat's for a plain feed.

    Both read at most `size` bytes. The reader is lenient, as in the client, and hands over entries that are dropped.
    """
    data = b"".join(numbered(spaced(unit)))
    spent = fed(Reader(strict=False).feed, _FEED.encode(), data, size)
    plain = "".join(map(entry, range(500))).encode()
    raw = fed(expat.ParserCreate(namespace_separator="}").Parse, _FEED.encode(), plain, size)
    return round(spent / raw, 1)


def fed(feed: Callable[[bytes], object], start: bytes, data: bytes, size: int) -> float:
    """Return the CPU seconds of repeated `data` until a limit or `size` bytes."""
    feed(start)
    pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
    began = time.process_time()
    with suppress(AtomError):
        for piece in islice(cycle(pieces), size // PIECE):
            feed(piece)
    return time.process_time() - began


def spaced(unit: str) -> str:
    """Pad a unit with spaces until a feed of such units is just below the default `max_density`."""
    most = Limits().max_density
    marks = len(re.findall(r"<(?!/)|=[\"']", unit)) + CHILD_MARKS
    return unit + " " * (-(-marks * DENSITY_WINDOW // (most - marks)) - len(unit.replace("{n}", "0" * 8)))


def numbered(unit: str) -> Iterator[bytes]:
    """Yield at least a megabyte of units, each with its own number."""
    for number in range((1 << 20) // len(unit) + 1):
        yield unit.replace("{n}", f"{number:08}").encode()


def hostile_pieces(unit: str) -> Iterator[bytes]:
    """Repeat the unit, with a number in place of ``{n}``."""
    piece = bytearray()
    for number in numbers():
        piece += unit.replace("{n}", str(number)).encode()
        if len(piece) >= HOSTILE_CHUNK:
            yield bytes(piece)
            piece.clear()


def show(rows: list[dict[str, Any]], refusals: dict[str, float], worst: dict[str, float], missing: list[str]) -> None:
    """Print the tables."""
    titles = list(rows[0])
    print("".join(f"{title:>24}" for title in titles))
    for row in rows:
        print("".join(f"{row[title]:>24}" for title in titles))
    print("\nms until a hostile document is refused")
    for name, spent in refusals.items():
        print(f"{name:>32} {spent:6.1f}")
    print("\nCPU of the most expensive documents, in multiples of pyexpat without handlers")
    for name, ratio in worst.items():
        print(f"{name:>32} {ratio:6.1f}")
    if missing:
        print(f"\nnot installed, skipped: {', '.join(missing)}")


if __name__ == "__main__":
    main()
