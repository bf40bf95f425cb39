"""Files of pairs of a directory, and what the parts of a result must say."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=400, seed=7)
HEADER = "source_email,target_email,number,truth\n"


def write_pairs(path: Path, count: int, *, first: int = 0) -> Path:
    """Write `count` pairs with their number and their status; after 159,600 they come again."""
    people = [*DIRECTORY.people]  # made once
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(HEADER)
        for number in range(first, first + count):
            one, step = number % len(people), 1 + (number // len(people)) % (len(people) - 1)
            source, target = people[one], people[(one + step) % len(people)]
            truth = DIRECTORY.status(source, target) or "none"
            file.write(f'{source.email},{target.email},{number},"{truth}"\n')
    return path


def rows_of(parts: Iterable[Path]) -> Iterator[dict[str, str]]:
    """The rows of CSV parts."""
    for part in parts:
        with part.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def assert_complete(parts: Iterable[Path], count: int) -> None:
    """Check that each pair is there once, in order, with the status that the directory has."""
    expected = 0
    for row in rows_of(parts):
        assert row["number"] == str(expected), row
        assert row["status"] == row["truth"], row
        assert not row["error"], row
        expected += 1
    assert expected == count


def login() -> tuple[str, str]:
    """A login for ``auth="pair_files:login"``, which no environment has."""
    return "admin", "".join(reversed("terces"))


def no_login() -> tuple[str, str]:
    """A function that fails, with a secret in the message."""
    raise RuntimeError(f"the secret of process {os.getpid()} is terces")


def nothing() -> None:
    """A function that gives None."""
