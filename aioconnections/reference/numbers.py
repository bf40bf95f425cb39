"""Numbers that look like chance and are none.

Everything that a directory says is computed from its seed when it is asked for, so chance must be a function, and what
it gave must be readable backwards: no table of a million GUIDs is kept anywhere.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Guids", "draws", "mix"]

_MASK_64 = (1 << 64) - 1
_MASK_128 = (1 << 128) - 1
_STEP = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: neighbouring numbers start far apart


def mix(*numbers: int) -> int:
    """64 bits that depend on every bit of `numbers` (the rounds of splitmix64)."""
    state = 0
    for number in numbers:
        state = (state + number + 1) * _STEP & _MASK_64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK_64
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK_64
        state ^= state >> 31
    return state


def draws(*seed: int) -> Iterator[int]:
    """Without end, 64 bits each; the same for the same seed on every version of Python."""
    start = mix(*seed)
    return (mix(start + number) for number in count())


class Guids:
    """Numbers written as GUIDs, and read back.

    Writing is made of steps that can be undone in 128 bits, so two numbers never share a GUID.
    """

    def __init__(self, *seed: int) -> None:
        self._odd = mix(*seed, 1) << 64 | mix(*seed, 2) | 1
        self._undo = pow(self._odd, -1, 1 << 128)
        self._start = mix(*seed, 3)

    def write(self, number: int) -> str:
        """`number` in lower case with dashes."""
        bits = (number + self._start) * self._odd & _MASK_128
        bits = (bits ^ bits >> 64) * self._odd & _MASK_128
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def read(self, text: str) -> int | None:
        """The number whose GUID `text` is, in whatever case; None or any number if it was not written here.

        So what comes out has to be checked, by comparing what that number has with `text`. It has to be done anyway
        where GUIDs are one kind of identifier among others.
        """
        if len(text) != 36:
            return None
        try:
            bits = int(text.replace("-", ""), 16)
        except ValueError:
            return None
        bits = bits * self._undo & _MASK_128
        return ((bits ^ bits >> 64) * self._undo & _MASK_128) - self._start
