"""Tracking TLS records in pieces of any size."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aioconnections.transport.tls import RecordTracker

bodies = st.lists(st.binary(max_size=300), max_size=6)


def record(body: bytes) -> bytes:
    return b"\x17\x03\x03" + len(body).to_bytes(2, "big") + body


@given(bodies, st.lists(st.integers(0, 2000), max_size=12))
def test_a_boundary_is_reported_exactly_at_the_end_of_a_record(bodies: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(record, bodies))
    ends = {0}
    for body in bodies:
        ends.add(max(ends) + len(record(body)))
    places = sorted({cut for cut in cuts if cut < len(data)} | {0, len(data)})
    tracker = RecordTracker()
    assert tracker.at_boundary
    for start, end in pairwise(places):
        tracker.feed(memoryview(data)[start:end])
        assert tracker.at_boundary == (end in ends)


@given(bodies)
def test_byte_by_byte(bodies: list[bytes]) -> None:
    tracker = RecordTracker()
    for body in bodies:
        for byte in record(body)[:-1]:
            tracker.feed(bytes([byte]))
            assert not tracker.at_boundary
        tracker.feed(record(body)[-1:])
        assert tracker.at_boundary
