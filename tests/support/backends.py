"""On which event loops a slow test runs that hardly depends on them."""

from __future__ import annotations

import pytest

__all__ = ["asyncio_and_in_full_trio"]

asyncio_and_in_full_trio = pytest.mark.parametrize(
    "anyio_backend", ["asyncio", pytest.param("trio", marks=pytest.mark.full)], scope="module"
)
"""Marks a test that runs on asyncio, and by `nox -s full` on Trio, too."""
