"""An asyncio loop on virtual time, for a command that talks to a real server on loopback."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

__all__ = ["VirtualLoop"]

_QUIET = 0.02  # real seconds without traffic, after which virtual time advances


class _Selector(selectors.DefaultSelector):
    def __init__(self, advance: Any, quiet: float) -> None:
        super().__init__()
        self._advance = advance
        self._quiet = quiet

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(min(timeout, self._quiet))
        if not ready:
            self._advance(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time stands still while the loop works, and jumps to the next timer when nothing arrives.

    A test without sockets passes ``quiet=0``, so that no real time passes.
    """

    def __init__(self, quiet: float = _QUIET) -> None:
        self._virtual = 0.0
        super().__init__(_Selector(self._advance, quiet))

    def time(self) -> float:
        return self._virtual

    def _advance(self, seconds: float) -> None:
        self._virtual += seconds
