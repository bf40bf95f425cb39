"""Digests of 64 bits in sorted arrays: a tenth of the memory of a set of Python objects."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

__all__ = ["Digests", "Numbers"]

_MOST_IN_BUCKET = 2048


class Digests:
    """A set of numbers of 64 bits, in sorted arrays; an array that is full is split into two halves.

    An array allocates up to 17/16 of its items and 7 more. A bucket has at least 1,024 items, which share the array's
    header and its place in the list of buckets.

    Attributes:
        count: how many numbers there are.
    """

    __slots__ = ("_buckets", "_starts", "count")

    def __init__(self) -> None:
        self.count: int = 0
        self._starts = array("Q", [0])  # the least digest that belongs in each bucket
        self._buckets = [array("Q")]

    def __contains__(self, digest: int) -> bool:
        return self._find(digest)[2]

    def add(self, digest: int) -> bool:
        """Add a digest; return whether it is new."""
        number, place, found = self._find(digest)
        if not found:
            self._insert(number, place, digest)
        return not found

    def _find(self, digest: int) -> tuple[int, int, bool]:
        """The number of the bucket, the place in it, and whether the digest is there."""
        number = bisect_right(self._starts, digest) - 1
        bucket = self._buckets[number]
        place = bisect_left(bucket, digest)
        return number, place, place < len(bucket) and bucket[place] == digest

    def _insert(self, number: int, place: int, digest: int) -> None:
        self.count += 1
        bucket = self._buckets[number]
        bucket.insert(place, digest)
        if len(bucket) > _MOST_IN_BUCKET:
            self._split(number, len(bucket) // 2)

    def _split(self, number: int, half: int) -> None:
        bucket = self._buckets[number]
        self._starts.insert(number + 1, bucket[half])
        self._buckets[number : number + 1] = bucket[:half], bucket[half:]


class Numbers(Digests):
    """A number for each digest, in arrays parallel to those of the digests.

    Args:
        typecode: type of the numbers, as for `array`.
    """

    __slots__ = ("_values",)

    def __init__(self, typecode: str) -> None:
        super().__init__()
        self._values: list[array[int]] = [array(typecode)]

    def get(self, digest: int) -> int:
        """The number of a digest; 0 if it has none."""
        number, place, found = self._find(digest)
        return self._values[number][place] if found else 0

    def set(self, digest: int, value: int) -> None:
        """Set the number of a digest."""
        number, place, found = self._find(digest)
        if found:
            self._values[number][place] = value
        else:
            self._values[number].insert(place, value)
            self._insert(number, place, digest)

    def _split(self, number: int, half: int) -> None:
        values = self._values[number]
        self._values[number : number + 1] = values[:half], values[half:]
        super()._split(number, half)
