"""Where the rows of a run go: CSV or JSON lines, on stdout or in a file."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, TypeAlias

from aioconnections.cli.rows import Row
from aioconnections.errors import InvalidInputError

__all__ = ["Format", "RowWriter", "rows_to"]

Format: TypeAlias = Literal["csv", "jsonl"]


RowWriter: TypeAlias = Callable[[Row], object]
"""Takes one row after the other."""


@contextmanager
def rows_to(output: Path | None, form: Format, columns: Sequence[str]) -> Generator[RowWriter]:
    """A writer of rows: to the file `output`, or to stdout if that is None.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    if output is None:
        yield _writer(sys.stdout, form, columns)
        sys.stdout.flush()
        return
    try:
        # lone surrogates stand for bytes of the input that are not UTF-8: they leave as they came
        file = output.open("w", encoding="utf-8", errors="surrogateescape", newline="")
    except OSError as error:
        problem = f"{output}: {error.strerror}"
    else:
        with file:
            yield _writer(file, form, columns)
            return
    raise InvalidInputError(problem)


def _writer(file: IO[str], form: Format, columns: Sequence[str]) -> RowWriter:
    if form == "jsonl":
        return lambda row: print(json.dumps(row, ensure_ascii=True), file=file)
    table = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    return table.writerow
