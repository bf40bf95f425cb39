"""Reproducible pseudorandom numbers, and GUIDs that encode a number.

A directory computes everything from its seed on demand. Therefore random values are a function of the seed, and GUIDs
can be decoded without a table.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Guids", "draws", "mix"]

_MASK_64 = (1 << 64) - 1

_MASK_128 = (1 << 128) - 1

_STEP = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: consecutive numbers start far apart


def mix(*numbers: int) -> int:
    """A hash of 64 bits that depends on every bit of `numbers` (the rounds of splitmix64)."""
    state = 0
    for number in numbers:
        state = (state + number + 1) * _STEP & _MASK_64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK_64
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK_64
        state ^= state >> 31
    return state


def draws(*seed: int) -> Iterator[int]:
    """An infinite sequence of 64-bit numbers, the same for the same seed on every version of Python."""
    start = mix(*seed)
    return (mix(start + number) for number in count())


class Guids:
    """Encodes numbers as GUIDs and decodes them.

    Every step of the encoding is invertible in 128 bits, so different numbers have different GUIDs.
    """

    def __init__(self, *seed: int) -> None:
        self._odd = mix(*seed, 1) << 64 | mix(*seed, 2) | 1
        self._inverse = pow(self._odd, -1, 1 << 128)
        self._start = mix(*seed, 3)

    def write(self, number: int) -> str:
        """The GUID of `number`, in lower case with dashes."""
        bits = (number + self._start) * self._odd & _MASK_128
        bits = (bits ^ bits >> 64) * self._odd & _MASK_128
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def read(self, text: str) -> int | None:
        """The number encoded in a GUID, in upper or lower case; None or an arbitrary number for other text.

        The caller must check the number by comparing its identifier with `text`.
        """
        if len(text) != 36:
            return None
        try:
            bits = int(text.replace("-", ""), 16)
        except ValueError:
            return None
        bits = bits * self._inverse & _MASK_128
        return ((bits ^ bits >> 64) * self._inverse & _MASK_128) - self._start
