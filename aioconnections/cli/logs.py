"""The log of the library on stderr."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from aioconnections.cli.progress import Level, say

__all__ = ["logged"]


class _SayHandler(logging.Handler):
    """Prints log records with `say`, above the progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        say(*self.format(record).split("\n"))


@contextmanager
def logged(level: Level | None) -> Generator[None]:
    """Print the log records of the library from `level` on; with None print none, not even warnings."""
    log = logging.getLogger("aioconnections")
    handler = logging.NullHandler() if level is None else _SayHandler()
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
