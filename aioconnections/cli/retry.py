"""``--retry``: the rows of an earlier result that have no final outcome, and a result that keeps the others.

An invitation in doubt may have been sent. Only a journal knows when, so without one it is reported again, not sent.
"""

from __future__ import annotations

import errno
import os
import pickle
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar, cast

from attrs import evolve

from aioconnections.cli.output import is_ours, replacing
from aioconnections.cli.terminal import escaped
from aioconnections.cli.verbs import BulkVerb
from aioconnections.cli.writing import RECORDED_AT
from aioconnections.errors import InvalidInputError
from aioconnections.files.rows import BadRowError, InputRow, Item, Table
from aioconnections.files.sheet import RowWriter, Sheet

if TYPE_CHECKING:
    import io

__all__ = ["completed", "retried"]

ItemT = TypeVar("ItemT", bound=Item)

_NOT_DONE = {"failed", "unprocessed", "unreadable"}
_FINAL = {
    *("invited", "already_exists", "accepted", "removed", "connected", "resolved", "unknown"),
    *("rejected", "duplicate"),
}
_STILL_IN_DOUBT = "in doubt since the earlier run, so it is not sent again; look whether it was made"


def retried(table: Table[ItemT], verb: BulkVerb[ItemT], path: Path) -> Table[ItemT]:
    """The rows of an earlier result without those that have a final outcome.

    Raises:
        InvalidInputError: the table is not a result of this verb.
    """
    column = _column(verb)
    if table.form != "jsonl" and column not in table.columns:
        raise InvalidInputError(f"{path} has no column {column}, so it is not the result of an earlier run")
    rows = _unanswered(table, verb)
    return evolve(table, rows=rows, total=None)


def _unanswered(table: Table[ItemT], verb: BulkVerb[ItemT]) -> Iterator[ItemT | BadRowError]:
    for item in table.rows:
        fate = _fate(item.row, verb)
        if fate == "keep":
            continue
        if RECORDED_AT in item.row:
            item.row[RECORDED_AT] = None  # the time of the earlier outcome
        if fate == "in doubt":
            yield BadRowError(item.line, _STILL_IN_DOUBT, item.row, outcome="in_doubt")
        else:
            yield item


def _column(verb: BulkVerb[Any]) -> str:
    """The column that tells whether a row is answered: status for a check, outcome for any other verb."""
    return verb.added[0]


def _fate(row: InputRow, verb: BulkVerb[Any]) -> Literal["keep", "repeat", "in doubt"]:
    value = row.get(_column(verb))
    if not verb.changes and not value:
        return "repeat"
    if value in _NOT_DONE:
        return "repeat"
    if value in _FINAL or not verb.changes:
        return "keep"
    # Other changes are verified by their first request, or have the same effect if they are repeated.
    return "in doubt" if verb.once else "repeat"


@contextmanager
def completed(
    path: Path,
    source: IO[str] | io.FileIO,
    sheet: Callable[[IO[str]], Sheet],
    encoding: str | None,
    earlier: Callable[[], AbstractContextManager[Table[ItemT]]],
    verb: BulkVerb[ItemT],
) -> Generator[Sheet]:
    """Yield a sheet for the retried rows, in their order; once it is finished, they replace those in the file `path`.

    Until then the file is unchanged. It is replaced at once, so that it is complete at any time. Without the last
    retried rows, the earlier ones are kept. If something else has changed the file meanwhile, it is left as it is, and
    the retried rows are written to a new file beside it.

    Args:
        path: result of the earlier run.
        source: the same file, open, from which the retried rows are read.
        sheet: makes a sheet that writes the whole result to a file.
        encoding: encoding of the result; None for Parquet.
        earlier: opens the result of the earlier run.
        verb: the verb.

    Raises:
        InvalidInputError: another run writes to the file.
        OSError: a row cannot be written, or the file has changed; ``filename`` is the file.
    """
    target = Path(os.path.realpath(path))
    if not is_ours(source):
        raise InvalidInputError(f"{escaped(str(path))} is being written by another run; wait for its end")
    version = _version(os.fstat(source.fileno()))

    def replace() -> None:
        if _version(target.stat()) != version:
            aside = _set_aside(target, sheet, encoding, rows)
            raise OSError(
                errno.EBUSY, f"it has changed during the run and is left as it is; the retried rows are in {aside.name}"
            )
        _replace(target, sheet, encoding, rows, earlier, verb)

    try:
        with tempfile.TemporaryFile(dir=target.parent) as rows:
            yield _RetriedSheet(rows, replace)
    except OSError as error:
        error.filename = str(path)
        raise


class _RetriedSheet(Sheet):
    """Keeps the retried rows in a temporary file, and replaces the earlier result when it is finished."""

    def __init__(self, file: IO[bytes], replace: Callable[[], None]) -> None:
        super().__init__(cast("IO[str]", file), "jsonl", (), fresh=False)
        self._rows = file
        self._replace = replace

    def begin(self) -> RowWriter:
        """See `Sheet`."""
        return self

    def __call__(self, row: InputRow) -> None:
        """See `Sheet`."""
        pickle.dump(row, self._rows)

    def finish(self) -> None:
        """See `Sheet`."""
        self.flush()
        self._replace()


def _kept(file: IO[bytes]) -> Iterator[InputRow]:
    """The rows in the temporary file."""
    _ = file.seek(0)
    with suppress(EOFError):
        while True:
            yield pickle.load(file)  # noqa: S301 # this process has written it, to a file without a name


def _version(found: os.stat_result) -> tuple[int, ...]:
    """What changes if a file is written or replaced."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _set_aside(target: Path, sheet: Callable[[IO[str]], Sheet], encoding: str | None, rows: IO[bytes]) -> Path:
    """Write the retried rows to a new file beside `target`, and return its path."""
    for number in count(1):
        path = target.with_name(f"{target.name}.retried{'' if number == 1 else number}")
        with (
            suppress(FileExistsError),
            path.open("xb") if encoding is None else path.open("x", encoding=encoding, newline="") as file,
        ):
            write = sheet(cast("IO[str]", file))
            for row in _kept(rows):
                write(row)
            write.finish()
            return path
    raise AssertionError("unreachable: `count` does not end")


def _replace(
    target: Path,
    sheet: Callable[[IO[str]], Sheet],
    encoding: str | None,
    retried_rows: IO[bytes],
    earlier: Callable[[], AbstractContextManager[Table[ItemT]]],
    verb: BulkVerb[ItemT],
) -> None:
    new = _kept(retried_rows)
    with replacing(target, encoding) as file, earlier() as table:
        write = sheet(file)
        for item in table.rows:
            for row in [item.row] if _fate(item.row, verb) == "keep" else _rows_of_next(new, verb, item.row):
                write(row)
        write.finish()


def _rows_of_next(rows: Iterator[InputRow], verb: BulkVerb[Any], earlier: InputRow) -> Iterator[InputRow]:
    """Take the rows of the next outcome; without one, give the earlier row."""
    first = next(rows, None)
    yield earlier if first is None else first
    if first is not None:
        yield from islice(rows, verb.rows_of(first) - 1)
