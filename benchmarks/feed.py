"""Benchmark of reading colleague feeds: entries per second, megabytes per second and peak memory.

Rivals; those that are not installed are skipped and listed::

    pip install lxml feedparser fastfeedparser atoma

Usage::

    python benchmarks/feed.py               # 100, 10,000 and 200,000 entries
    python benchmarks/feed.py --quick       # a smoke test with small sizes
    python benchmarks/feed.py --json        # print JSON instead of tables

Figures are medians of the CPU time of interleaved rounds. Compare the ratios, because absolute figures depend on the
machine. Peak memory is the growth of a separate process. Readers of whole documents skip the largest feed. Lenient
reading, which the client uses, is measured separately.

The second table shows the CPU time until each hostile document is refused, which should be at most 50 ms. The third
shows the cost of each markup construct in documents that consist of small constructs only; the reader's `max_markup`
bounds their number.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count as numbers
from pathlib import Path
from typing import Any

from _feed_rivals import CONTENDERS, WHOLE_DOCUMENT
from _feeds import chunks as generated

from aioconnections.atom import Reader
from aioconnections.errors import AtomError

SIZES = (100, 10_000, 200_000)
QUICK_SIZES = (20, 200)
LARGEST_WHOLE = 10_000
HOSTILE_CHUNK = 1 << 10
_FEED = '<feed xmlns="http://www.w3.org/2005/Atom">'

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

DENSE = {
    "comments": "<entry/>" + "<!---->" * 9000,
    "comments between tags": "<entry/><!---->",
    "instructions": "<entry/>" + "<?p?>" * 9000,
    "CDATA sections": "<entry><![CDATA[]]></entry>",
    "elements": "<entry>" + "<a/>" * 9000 + "</entry>",
    "markup in content": "<entry><content type='xhtml'>" + "<a/>" * 9000 + "</content></entry>",
    "links": "<entry>" + "<link/>" * 9000 + "</entry>",
}
DENSE_SIZE = 1 << 16
PIECE = 1 << 12


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
    dense = {name: cost(unit) for name, unit in DENSE.items()}
    if options.json:
        tables = {"feeds": rows, "refused after ms": refusals, "us per markup construct": dense}
        print(json.dumps({"not installed": missing, **tables}, indent=1))
    else:
        show(rows, refusals, dense, missing)


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


def cost(unit: str) -> float:
    """Return the CPU microseconds per markup construct in the accepted part of a document of such units."""
    data = unit.encode() * (DENSE_SIZE // unit.count("<") + 1)
    reader, read = Reader(), 0
    reader.feed(_FEED.encode())
    began = time.process_time()
    with suppress(AtomError):  # a limit of the reader
        for start in range(0, len(data), PIECE):
            reader.feed(data[start : start + PIECE])
            read = start + PIECE
    return round((time.process_time() - began) * 1e6 / (data[:read].count(b"<") or 1), 2)


def hostile_pieces(unit: str) -> Iterator[bytes]:
    """Repeat the unit, with a number in place of ``{n}``."""
    piece = bytearray()
    for number in numbers():
        piece += unit.replace("{n}", str(number)).encode()
        if len(piece) >= HOSTILE_CHUNK:
            yield bytes(piece)
            piece.clear()


def show(rows: list[dict[str, Any]], refusals: dict[str, float], dense: dict[str, float], missing: list[str]) -> None:
    """Print the tables."""
    titles = list(rows[0])
    print("".join(f"{title:>24}" for title in titles))
    for row in rows:
        print("".join(f"{row[title]:>24}" for title in titles))
    print("\nms until a hostile document is refused")
    for name, spent in refusals.items():
        print(f"{name:>32} {spent:6.1f}")
    print("\nµs per small markup construct")
    for name, spent in dense.items():
        print(f"{name:>32} {spent:6.2f}")
    if missing:
        print(f"\nnot installed, skipped: {', '.join(missing)}")


if __name__ == "__main__":
    main()
