"""Following the records of TLS, in whatever pieces they arrive."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aioconnections.transport.tls import RecordTracker

bodies = st.lists(st.binary(max_size=300), max_size=6)


def record(body: bytes) -> bytes:
    return b"\x17\x03\x03" + len(body).to_bytes(2, "big") + body


@given(bodies, st.lists(st.integers(0, 2000), max_size=12))
def test_it_is_whole_exactly_at_the_ends(bodies: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(record, bodies))
    ends = {0}
    for body in bodies:
        ends.add(max(ends) + len(record(body)))
    places = sorted({cut for cut in cuts if cut < len(data)} | {0, len(data)})
    followed = RecordTracker()
    assert followed.at_boundary
    for start, end in pairwise(places):
        followed.feed(memoryview(data)[start:end])
        assert followed.at_boundary == (end in ends)


@given(bodies)
def test_byte_by_byte(bodies: list[bytes]) -> None:
    followed = RecordTracker()
    for body in bodies:
        for byte in record(body)[:-1]:
            followed.feed(bytes([byte]))
            assert not followed.at_boundary
        followed.feed(record(body)[-1:])
        assert followed.at_boundary
