from __future__ import annotations

import gzip
import zlib

import pytest

from aioconnections.transport.http1 import Decoder, MalformedResponseError, ResponseReader

TEXT = b"colleagues of colleagues " * 4000
RAW = zlib.compressobj(wbits=-15)
# Named, because gzip writes the time into its bytes: ids made of them differ from process to process.
CODED = {
    "gzip": (b"gzip", gzip.compress(TEXT)),
    "x-gzip": (b"x-gzip", gzip.compress(TEXT)),
    "gzip in two members": (b"gzip", gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:])),
    "gzip in many members": (b"gzip", b"".join(gzip.compress(TEXT[i : i + 1000]) for i in range(0, len(TEXT), 1000))),
    "deflate with zlib's frame": (b"deflate", zlib.compress(TEXT)),
    "deflate bare": (b"deflate", RAW.compress(TEXT) + RAW.flush()),
}


def read_with(coding: str, body: bytes, limit: int = 1_000_000) -> ResponseReader:
    reader = ResponseReader("GET", limit=limit)
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding.encode(), len(body)))
    reader.feed(body)
    assert reader.done
    return reader


@pytest.mark.parametrize(("coding", "data"), CODED.values(), ids=CODED.keys())
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_decodes_in_any_pieces(coding: bytes, data: bytes, size: int) -> None:
    decoder = Decoder(coding)
    pieces = [piece for i in range(0, len(data), size) for piece in decoder.feed(data[i : i + size])]
    decoder.end()
    assert b"".join(pieces) == TEXT
    assert max(map(len, pieces)) <= 64 * 1024


def test_nothing_is_held_back_wherever_the_input_is_cut() -> None:
    zeros = bytes(200_000)
    data = gzip.compress(zeros)
    for cut in range(len(data)):
        decoder = Decoder(b"gzip")
        assert b"".join([*decoder.feed(data[:cut]), *decoder.feed(data[cut:])]) == zeros


@pytest.mark.parametrize(("coding", "data"), CODED.values(), ids=CODED.keys())
def test_what_breaks_off_is_refused(coding: bytes, data: bytes) -> None:
    decoder = Decoder(coding)
    list(decoder.feed(data[:-1] if coding == b"deflate" else data[:-5]))
    with pytest.raises(MalformedResponseError, match="incomplete"):
        decoder.end()


def test_a_bomb_goes_off_in_small_steps() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    pieces = Decoder(b"gzip").feed(bomb)
    assert len(next(pieces)) <= 64 * 1024
    with pytest.raises(MalformedResponseError, match="larger than the limit of 1000000 bytes"):
        read_with("gzip", bomb).response()


MISLABELLED = {
    "gzip that is none": ("gzip", b"hello"),
    "gzip with a surplus": ("gzip", gzip.compress(TEXT) + b"hello"),
    "gzip cut short": ("gzip", gzip.compress(TEXT)[:-1]),
    "gzip cut in its magic": ("gzip", b"\x1f"),
    "deflate of one byte": ("deflate", b"h"),
    "deflate that is none": ("deflate", b"hello"),
    "deflate with a surplus": ("deflate", zlib.compress(TEXT) + b"hello"),
    "an unknown coding": ("br", b"hello"),
    "gzip of nothing, over and over": ("gzip", gzip.compress(b"") * 40_000),
    "gzip twice": ("gzip, gzip", gzip.compress(gzip.compress(TEXT))),
}


@pytest.mark.parametrize(("coding", "body"), MISLABELLED.values(), ids=MISLABELLED.keys())
def test_what_is_not_what_it_says_is_refused(coding: str, body: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        read_with(coding, body).response()


def test_nothing_is_nothing_in_any_coding() -> None:
    assert read_with("gzip", b"").response().body == b""
