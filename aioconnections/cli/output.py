"""Where the rows of a run go: CSV or JSON lines, on stdout or in a file."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, TypeAlias, cast

from aioconnections.cli.rows import Row
from aioconnections.errors import InvalidInputError

if TYPE_CHECKING:
    import io

__all__ = ["Format", "RowWriter", "rows_to"]

Format: TypeAlias = Literal["csv", "jsonl"]


RowWriter: TypeAlias = Callable[[Row], object]
"""Takes one row after the other."""


@contextmanager
def rows_to(
    output: Path | None, form: Format, columns: Sequence[str], *, source: IO[str] | None
) -> Generator[RowWriter]:
    """A writer of rows: to the file `output`, or to stdout if that is None.

    Raises:
        InvalidInputError: the file cannot be opened, or it is `source`, the file from which rows come.
        OSError: a row cannot be written; its ``filename`` says where.
    """
    try:
        with _stdout() if output is None else _file(output, source) as file:
            yield _writer(file, form, columns)
            file.flush()
    except OSError as error:
        error.filename = error.filename or str(output or "standard output")
        raise


def _stdout() -> nullcontext[IO[str]]:
    # as a file would be written, whatever the locale says
    cast("io.TextIOWrapper", sys.stdout).reconfigure(encoding="utf-8", errors="surrogateescape", newline="")
    return nullcontext(sys.stdout)


def _file(path: Path, source: IO[str] | None) -> IO[str]:
    try:
        if source is not None and path.exists() and os.path.samestat(path.stat(), os.fstat(source.fileno())):
            problem = "the result cannot be written over its own input"
        else:
            # lone surrogates stand for bytes of the input that are not UTF-8: they leave as they came
            return path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
    except OSError as error:
        problem = f"{path}: {error.strerror}"
    raise InvalidInputError(problem)


def _writer(file: IO[str], form: Format, columns: Sequence[str]) -> RowWriter:
    if form == "jsonl":
        return lambda row: file.write(json.dumps(row) + "\n")
    table = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    return table.writerow
