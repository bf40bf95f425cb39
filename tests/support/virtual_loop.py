"""An asyncio loop on virtual time, for a command that talks to a real server on loopback."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

__all__ = ["VirtualLoop"]

_QUIET = 0.02  # real seconds without traffic, after which virtual time advances


class _Selector(selectors.DefaultSelector):
    def __init__(self, advance: Any) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(min(timeout, _QUIET))
        if not ready:
            self._advance(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time stands still while the loop works, and jumps to the next timer when nothing arrives."""

    def __init__(self) -> None:
        self._virtual = 0.0
        super().__init__(_Selector(self._advance))

    def time(self) -> float:
        return self._virtual

    def _advance(self, seconds: float) -> None:
        self._virtual += seconds
