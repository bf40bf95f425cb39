"""Which files a command reads, and that it writes over none of them.

Two names are the same file if they lead to the same inode, through links and names such as ``/dev/stdin`` as well. A
file that is not there yet is known by its resolved name.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path

from attrs import frozen

from aioconnections.cli.progress import StandardStream, standard
from aioconnections.errors import InvalidInputError

__all__ = ["INPUT", "JOURNAL", "NamedFile", "journal_files", "keep_apart", "option_files", "stream_file"]

INPUT = "its own input"
JOURNAL = "the journal"
_BESIDE = ("-wal", "-shm", "-journal", ".lock")  # what SQLite and the lock of a journal put beside it
_CERTIFICATES = "[0-9a-f]" * 8 + ".*"  # names that OpenSSL looks for in a folder


@frozen
class NamedFile:
    """A file of a command.

    Attributes:
        what: it is, in an error.
        path: None for a standard stream.
        found: what the system says of it; None if it is not there.
    """

    what: str
    path: str | None
    found: os.stat_result | None

    @classmethod
    def at(cls, path: Path, what: str) -> NamedFile:
        """The file of that name, whether it is there or not."""
        found: os.stat_result | None = None
        with suppress(OSError, ValueError):  # nothing there, or a name that no file can have
            found = path.stat()
        return cls(what, os.path.realpath(path), found)

    def is_same(self, other: NamedFile) -> bool:
        """Whether writing to one of them changes the other, which is so for regular files alone."""
        if self.found is not None and other.found is not None:
            return stat.S_ISREG(self.found.st_mode) and os.path.samestat(self.found, other.found)
        return self.path is not None and self.path == other.path


def stream_file(name: StandardStream, what: str) -> Iterator[NamedFile]:
    """The file behind a standard stream; nothing if that is closed, or is no file of the system."""
    stream = standard(name)
    with suppress(OSError, ValueError):
        if stream is not None:
            yield NamedFile(what, None, os.fstat(stream.fileno()))


def option_files(*options: object) -> Iterator[NamedFile]:
    """The files that options name, whichever options there are, but for those that are written."""
    for group in options:
        if not is_dataclass(group):
            continue
        for option in fields(group):
            path = getattr(group, option.name)
            if isinstance(path, Path) and option.name not in {"output", "journal"}:
                what = f"the file of --{option.name.replace('_', '-')}"
                yield from (NamedFile.at(one, what) for one in (path, *_certificates(path)))
    certificates = os.environ.get("SSL_CERT_FILE")
    if certificates:
        yield NamedFile.at(Path(certificates), "the file of SSL_CERT_FILE")


def _certificates(path: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from path.glob(_CERTIFICATES) if path.is_dir() else ()


def journal_files(path: Path) -> Iterator[NamedFile]:
    """A journal, the files beside it, which SQLite puts where a link to it leads, and those kept of earlier runs."""
    yield NamedFile.at(path, JOURNAL)
    for base in (path, Path(os.path.realpath(path))):
        yield from (NamedFile.at(base.with_name(base.name + end), JOURNAL) for end in _BESIDE)
    with suppress(OSError):
        yield from (NamedFile.at(file, JOURNAL) for file in path.parent.iterdir() if _is_kept(file, path))


def _is_kept(path: Path, journal: Path) -> bool:
    """Whether a file has the name of one that is kept of an earlier run with `journal`, or of a file beside that."""
    where, base = Path(os.path.realpath(path)), Path(os.path.realpath(journal))
    kept = rf"{re.escape(base.name)}\.[0-9]+({'|'.join(map(re.escape, _BESIDE))})?"
    return where.parent == base.parent and re.fullmatch(kept, where.name) is not None


def _belongs_to_a_journal(path: Path) -> bool:
    """Whether a file is a journal, or stands beside one."""
    from aioconnections.journal.items import is_journal  # not needed for help

    if not path.is_file():
        return False
    return any(is_journal(path.with_name(path.name.removesuffix(end) or path.name)) for end in ("", *_BESIDE))


def keep_apart(inputs: list[NamedFile], *, output: Path | None, journal: Path | None = None) -> None:
    """Pass if neither the result nor the journal is written over an input, nor one of them over the other.

    Args:
        inputs: the files that the command reads.
        output: where the result goes; None for standard output.
        journal: where the run is recorded.

    Raises:
        InvalidInputError: one would be. Nothing has been written then.
    """
    record = [] if journal is None else [*journal_files(journal)]
    results = [*stream_file("output", "standard output")] if output is None else [NamedFile.at(output, "--output")]
    for result in results:
        _refuse("the result", result, [*inputs, *record])
    if output is not None and journal is not None and _is_kept(output, journal):
        raise InvalidInputError(f"the result cannot be written over {JOURNAL}; choose another file")
    if output is not None and _belongs_to_a_journal(output):
        advice = "the result cannot be written over it; choose another file"
        raise InvalidInputError(f"{output} is a journal, or belongs to one: {advice}")
    for file in record:
        _refuse(JOURNAL, file, inputs)


def _refuse(what: str, written: NamedFile, others: list[NamedFile]) -> None:
    for other in others:
        if written.is_same(other):
            raise InvalidInputError(f"{what} cannot be written over {other.what}; choose another file")
