"""CPU time per listed colleague, compared with reading the same pages as Atom, and with checking one pair.

``python benchmarks/listing.py [--quick] [--rounds N] [--json FILE]``

The pages have 250 entries in the form of the vendor's servers. The first three ways use a client and a server on
loopback, each pinned to one core: `Client.colleagues`, the lean reading (identities and status only), and `check_many`
over 64 connections with responses like those of real servers. The others read the bytes of the pages without I/O. The
ways take turns. The table shows the median of the CPU microseconds of the client process per colleague or pair; on a
busy machine only the ratios are meaningful.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from _feeds import HEAD, TAIL, entry
from _servers import pinned, served

from aioconnections import Client, Userid
from aioconnections.atom import Reader
from aioconnections.protocol import listing
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import Response

Way: TypeAlias = Callable[[], Awaitable[int]]
"""Reads or checks everything once, and returns the number of colleagues or pairs."""

FULL, LEAN, CHECKED = "listed by a client", "listed lean by a client", "checked by a client"
PURE, PURE_LEAN, ATOM = "pages to connections", "pages, lean", "pages to Atom entries"
_PAGE_SIZE = 250
_CHUNK = 1 << 16
_WHO = Userid("00000000-9C1B-4F7E-8A55-0123456789AB")
_RATIOS = ((FULL, CHECKED), (LEAN, CHECKED), (LEAN, FULL), (PURE, ATOM), (PURE_LEAN, ATOM), (PURE_LEAN, PURE))


def pages(count: int) -> list[bytes]:
    """The pages of a listing of `count` colleagues."""
    numbers = range(count)
    whole = [numbers[start : start + _PAGE_SIZE] for start in range(0, count, _PAGE_SIZE)]
    return [(HEAD.format(count=count) + "".join(map(entry, page)) + TAIL).encode() for page in whole]


async def number_of(records: AsyncIterator[object]) -> int:
    """The number of records, of which none is kept."""
    found = 0
    async for _ in records:
        found += 1
    return found


def ways_of_client(client: Client, address: Address, count: int) -> dict[str, Way]:
    """The ways that use a client."""

    async def full() -> int:
        return await number_of(client.colleagues(_WHO))

    async def lean() -> int:
        lean_stream = client._caller.stream("colleagues", listing.lean_colleagues(address, _WHO))  # noqa: SLF001 # not public yet
        return await number_of(lean_stream)

    async def checked() -> int:
        pairs = ((Userid(f"a{n}"), Userid(f"b{n}")) for n in range(count))
        async with client.check_many(pairs) as outcomes:
            return await number_of(outcomes)

    return {FULL: full, LEAN: lean, CHECKED: checked}


def ways_of_pages(listed: list[bytes], address: Address) -> dict[str, Way]:
    """The ways that read the pages of one listing without I/O."""
    parts = [[page[start : start + _CHUNK] for start in range(0, len(page), _CHUNK)] for page in listed]
    head = Response(200, [(b"Content-Type", b"application/atom+xml;charset=UTF-8")])

    def read(pager: listing.FeedPager[Any]) -> int:
        found = 0
        for chunks in parts:
            pager.next_request()
            pager.begin(head)
            found += sum(len(pager.feed(chunk)) for chunk in chunks) + len(pager.end())
        return found

    async def full() -> int:
        return read(listing.colleagues(address, _WHO))

    async def lean() -> int:
        return read(listing.lean_colleagues(address, _WHO))

    async def atom() -> int:
        found = 0
        for chunks in parts:
            reader = Reader(charset="utf-8", base=f"{address.origin}/profiles/atom/connections.do", strict=False)
            found += sum(len(reader.feed(chunk)) for chunk in chunks) + len(reader.close().entries)
        return found

    return {PURE: full, PURE_LEAN: lean, ATOM: atom}


async def measure(count: int, rounds: int) -> dict[str, float]:
    """The median CPU microseconds per colleague or pair of each way."""
    listed = pages(count)
    with served(responses="real", pages=listed) as server:
        pinned(1)
        address = Address.of(server.url)
        options: dict[str, Any] = {"max_connections": 64, "max_per_second": 1e7}
        async with Client(server.url, auth=("ajones", "secret"), **options) as client:
            ways = ways_of_client(client, address, count) | ways_of_pages(listed, address)
            spent: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds + 1):
                for name, way in ways.items():
                    spent[name].append(await microseconds(way))
    return {name: statistics.median(times[1:]) for name, times in spent.items()}  # without a warm-up


async def microseconds(way: Way) -> float:
    """The CPU microseconds per colleague or pair of one run."""
    began = time.process_time()
    found = await way()
    return 1e6 * (time.process_time() - began) / found


def table(figures: dict[str, float]) -> str:
    """The figures and their ratios as a text table."""
    lines = [f"{'':40}{'µs CPU':>8}", *(f"{name:40}{figure:8.1f}" for name, figure in figures.items()), ""]
    return "\n".join(lines + [f"{f'{one} / {other}':56}{figures[one] / figures[other]:6.2f}" for one, other in _RATIOS])


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="run one round of two pages, as a smoke test")
    options.add_argument("--rounds", type=int, default=7, help="rounds (default: 7)")
    options.add_argument("--json", type=Path, help="write the figures to this file")
    chosen = options.parse_args()
    count, rounds = (2 * _PAGE_SIZE, 1) if chosen.quick else (40 * _PAGE_SIZE, chosen.rounds)
    figures = asyncio.run(measure(count, rounds))
    print(table(figures))
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
