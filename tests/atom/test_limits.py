"""Edge cases of limits: windows of density, and the change to a new parser."""

import tracemalloc

import pytest

from aioconnections.atom import Reader
from aioconnections.errors import AtomError

FEED = b'<feed xmlns="http://www.w3.org/2005/Atom">'


def read_all(document: bytes, size: int, reader: Reader) -> int:
    count = sum(len(reader.feed(document[at : at + size])) for at in range(0, len(document), size))
    return count + len(reader.close().entries)


def test_a_density_is_that_of_successive_pieces_however_the_document_is_cut() -> None:
    inside = b"<a/>" * 600 + b'<a b="" c= "" d=\'\'/>' * 100  # 1,000 elements and attributes in 4,400 bytes
    for gap, accepted in ((14_000, True), (4_000, False)):
        document = FEED + b"<entry>" + inside + b"x" * gap + inside + b"x" * 20_000 + b"</entry></feed>"
        for size in (1, 1000, 1 << 16):
            reader = Reader()
            if accepted:
                assert read_all(document, size, reader) == 1
            else:
                with pytest.raises(
                    AtomError, match="more than 1280 elements, attributes and other markup in 16384 bytes"
                ):
                    read_all(document, size, reader)


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        "<entry a{n}=''/>",
        "<entry xmlns:a{n}='u:{n}'/>",
        "<e:entry xmlns:e='http://www.w3.org/2005/Atom' a{n}=''></e:entry>",
    ],
)
def test_names_of_empty_entries_are_forgotten_too(unit: str) -> None:
    reader, seen = Reader(max_density=1 << 14), 0
    tracemalloc.start()
    try:
        reader.feed(FEED)
        while seen < 90_000:
            chunk = "".join(unit.format(n=seen + number) for number in range(100))
            seen += len(reader.feed(chunk.encode()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_positions_are_right_after_empty_entries() -> None:
    document = FEED + b"\n<entry a='b'/> <entry/>" * 30_000 + b"\n <bad></entry>"
    reader = Reader(max_density=1 << 14)
    with pytest.raises(AtomError) as caught:  # noqa: PT012 # any of the calls may raise
        for at in range(0, len(document), 1 << 14):
            reader.feed(document[at : at + (1 << 14)])
        reader.close()
    assert (caught.value.line, caught.value.column) == (30_002, 8)
