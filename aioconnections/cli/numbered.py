"""The column with the number of a row in the whole input, which the results of shards have, and merging removes."""

from __future__ import annotations

__all__ = ["ROW", "carried", "restored"]

ROW = "input_row"
"""Name of the column."""


def carried(name: str) -> str:
    """The name, in the result of a shard, of a column of the input; a column with our name gets an underscore."""
    return f"_{name}" if name.endswith(ROW) and name.lstrip("_") == ROW else name


def restored(name: str) -> str:
    """The name that `carried` has changed."""
    return name[1:] if name != ROW and carried(name) != name else name
