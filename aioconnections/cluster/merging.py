"""Put the rows of parts back into the order of the input, in bounded memory, and find out what is missing or twice.

Each row has its number in the input. The rows of a part are ascending if it was written in order. Otherwise they are
sorted in pieces, in temporary files. All these runs are then merged.
"""

from __future__ import annotations

import heapq
import pickle
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from attrs import field

from aioconnections.errors import InvalidInputError
from aioconnections.reprs import define

__all__ = ["Account", "Entry", "Ranges", "Row", "Run", "merged", "sorted_runs", "whole"]

Row: TypeAlias = dict[str, object]

Entry: TypeAlias = tuple[int, int, Row]
"""The number of a row in the input, from 1, the index of its part, and the row."""

Run: TypeAlias = Callable[[], Iterator[Entry]]
"""Opens some entries, whose numbers ascend."""

_PIECE = 20_000  # rows that are sorted in memory
_MOST_OPEN = 100  # files; the usual limit of a process is 256 or more
_SHOWN = 5  # ranges
_number = itemgetter(0)


@define
class Ranges:
    """Ascending numbers, shown as ranges: ``3, 7-9``.

    Attributes:
        count: how many numbers there are.
    """

    count: int = 0
    _first: list[tuple[int, int]] = field(factory=list[tuple[int, int]])
    _is_cut: bool = False

    def add(self, first: int, last: int | None = None) -> None:
        """Add a number, or all from `first` to `last`; they must be above those added before."""
        last = first if last is None else last
        self.count += last - first + 1
        if self._first and not self._is_cut and self._first[-1][1] == first - 1:
            self._first[-1] = self._first[-1][0], last
        elif len(self._first) < _SHOWN:
            self._first.append((first, last))
        else:
            self._is_cut = True

    def __str__(self) -> str:
        shown = [f"{first}" if first == last else f"{first}-{last}" for first, last in self._first]
        return ", ".join([*shown, *["…"] * self._is_cut])


@define
class Account:
    """What became known about the rows of an input.

    Attributes:
        rows: number of rows of the input.
        names: names of the parts.
        added: names of the columns of the outcome, of which the first tells whether a row is done.
        missing: rows that are in no part.
        twice: rows that are in the parts more than once.
        disputed: those of them whose outcomes contradict each other, or whose other columns differ.
        undone: rows without an outcome, such as unreadable ones, apart from disputed ones.
        outcomes: number of the other rows with each outcome.
    """

    rows: int
    names: Sequence[str]
    added: Sequence[str]
    missing: Ranges = field(factory=Ranges)
    twice: Ranges = field(factory=Ranges)
    disputed: Ranges = field(factory=Ranges)
    undone: Ranges = field(factory=Ranges)
    outcomes: Counter[str] = field(factory=Counter[str])

    @property
    def good(self) -> bool:
        """Whether each row is there exactly once and has an outcome."""
        return not (self.missing.count or self.twice.count or self.undone.count)

    def settled(self, number: int, copies: list[Entry]) -> Row:
        """The one row for all copies of a row.

        A copy with an outcome takes precedence over copies without one. If outcomes contradict each other, the row has
        none, and its error names them; so a retry of the merged result finds out.
        """
        column = self.added[0]
        if len(copies) > 1:
            self.twice.add(number)
        done = [copy for copy in copies if copy[2].get(column)]
        if not done:
            self.undone.add(number)
            return copies[0][2]
        first = done[0][2]
        if len(done) > 1 and any(self._essence(first) != self._essence(row) for _, _, row in done[1:]):
            self.disputed.add(number)
            found = dict.fromkeys(f"{row[column]} in {self.names[part]}" for _, part, row in done)
            problem = f"the parts contradict each other: {', '.join(found)}; check the row again"
            return first | dict.fromkeys(self.added) | {"error": problem}
        self.outcomes[str(first[column])] += 1
        return first

    def _essence(self, row: Row) -> Row:
        """The row without the columns that differ from run to run."""
        volatile = self.added[1:]
        return {name: value for name, value in row.items() if name not in volatile}


def sorted_runs(entries: Iterable[Entry], folder: Path) -> Iterator[Run]:
    """Sort entries in pieces, and yield these as runs, which are files in `folder`.

    Raises:
        OSError: a file cannot be written.
    """
    rest = iter(entries)
    while piece := list(islice(rest, _PIECE)):
        piece.sort(key=_number)
        yield _written(piece, folder)


def merged(runs: Sequence[Run], folder: Path) -> Iterator[Entry]:
    """The entries of all runs in ascending order; equal numbers in the order of the runs.

    Args:
        runs: the runs.
        folder: folder for temporary files, which many runs need.

    Raises:
        OSError: a file cannot be written or read.
    """
    while len(runs) > _MOST_OPEN:
        groups = [runs[start : start + _MOST_OPEN] for start in range(0, len(runs), _MOST_OPEN)]
        runs = [_written(_merged(group), folder) for group in groups]
    return _merged(runs)


def whole(entries: Iterator[Entry], account: Account) -> Iterator[Row]:
    """The rows of the input in its order, each once, as far as they are known.

    Args:
        entries: the entries of all parts in ascending order.
        account: notes what is missing or twice.

    Raises:
        InvalidInputError: the entries are not in order.
    """
    after = 1
    for number, copies in groupby(entries, _number):
        if number < after:
            raise InvalidInputError("a part has changed while it was read; merge the parts again")
        if number > after:
            account.missing.add(after, number - 1)
        after = number + 1
        yield account.settled(number, list(copies))
    if after <= account.rows:
        account.missing.add(after, account.rows)


def _merged(runs: Sequence[Run]) -> Iterator[Entry]:
    return heapq.merge(*(run() for run in runs), key=_number)


def _written(entries: Iterable[Entry], folder: Path) -> Run:
    """Write entries to a file in `folder`, and return the run that reads them."""
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        for entry in entries:
            pickle.dump(entry, file)
    path = Path(file.name)

    def run() -> Iterator[Entry]:
        with path.open("rb") as written, suppress(EOFError):
            while True:
                yield pickle.load(written)  # noqa: S301 # this process has written it

    return run
