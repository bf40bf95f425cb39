"""How a bulk check may use lists of colleagues in place of checks."""

from __future__ import annotations

import sys

from attrs import field

from aioconnections.errors import InvalidInputError
from aioconnections.reprs import frozen

__all__ = ["Plan"]

_LEAST_MEMORY = 1 << 20


@frozen(kw_only=True)
class Plan:
    """How a bulk check may use lists of colleagues in place of checks; ``plan="auto"`` stands for ``Plan()``.

    Attributes:
        window_pairs: number of pairs that are read ahead and compared; at least 1.
        memory_bytes: bound on the memory for connections that lists have shown, for the people listed, and, with a
            quarter, for the responses to checks; at least 1 MiB. When lists have filled theirs, no further list is read
            and the other pairs are checked one by one.
        page_cost: how much longer one page of a list takes than one check; None to learn it during the run from the
            rate limit, the times of responses and the number of connections.

    Raises:
        InvalidInputError: a value is invalid.
    """

    window_pairs: int = field(default=50_000)
    memory_bytes: int = field(default=256 << 20)
    page_cost: float | None = field(default=None)

    def __attrs_post_init__(self) -> None:
        for name, least in (("window_pairs", 1), ("memory_bytes", _LEAST_MEMORY)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InvalidInputError(f"{name} must be an integer of at least {least:,}, got {value!r}")
        cost = self.page_cost
        if cost is not None and (type(cost) not in (int, float) or not 0 < cost <= sys.float_info.max):
            raise InvalidInputError(f"page_cost must be a positive number or None, got {cost!r}")
