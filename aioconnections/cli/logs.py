"""What the library logs, on stderr for whoever wants to see it."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from aioconnections.cli.progress import say

__all__ = ["Level", "logged"]

Level: TypeAlias = Literal["debug", "info", "warning"]


class _ToPeople(logging.Handler):
    """Says every record, past a progress bar that may be there."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


@contextmanager
def logged(level: Level | None) -> Generator[None]:
    """Show what the library logs from `level` on; by None nothing at all, not even warnings."""
    log = logging.getLogger("aioconnections")
    handler = logging.NullHandler() if level is None else _ToPeople()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = log.level
    log.addHandler(handler)
    if level is not None:
        log.setLevel(level.upper())
    try:
        yield
    finally:
        log.setLevel(before)
        log.removeHandler(handler)
