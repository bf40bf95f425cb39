"""Loads pyarrow, and says how to install it."""

from __future__ import annotations

from typing import Any

from aioconnections.errors import UsageError

__all__ = ["pyarrow"]

_ADVICE = '{} pyarrow; run: pip install "aioconnections[data]"'


def pyarrow(needed_by: str = "Arrow tables need") -> Any:
    """The package pyarrow, which has no types, with its module for Parquet.

    Args:
        needed_by: subject and verb of the message.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import pyarrow as found  # type: ignore[import-untyped, unused-ignore] # see above
        import pyarrow.parquet  # type: ignore[import-untyped, unused-ignore] # see above
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "pyarrow":
            raise
        raise UsageError(_ADVICE.format(needed_by)) from None
    return found
