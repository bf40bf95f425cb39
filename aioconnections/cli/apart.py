"""Refuse to write the result or the journal over a file that the command reads.

Two names are the same file if they have the same inode, also through links and names such as ``/dev/stdin``. A file
that does not exist yet is compared by its resolved name.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from attrs import fields, frozen, has

from aioconnections.cli.progress import StandardStream, standard
from aioconnections.cli.sources import OptionSources
from aioconnections.cli.terminal import escaped
from aioconnections.errors import InvalidInputError

__all__ = [
    "INPUT",
    "JOURNAL",
    "NamedFile",
    "journal_files",
    "keep_apart",
    "keep_report_apart",
    "option_files",
    "stream_file",
]

INPUT = "its own input"
JOURNAL = "the journal"
_SIDE_SUFFIXES = ("-wal", "-shm", "-journal", ".lock")  # suffixes of the files of SQLite and of the lock
_CERTIFICATES = "[0-9a-f]" * 8 + ".*"  # names that OpenSSL looks for in a folder


@frozen
class NamedFile:
    """A file of a command.

    Attributes:
        role: what the file is for, in an error message.
        path: resolved name; None for a standard stream.
        status: result of ``stat``; None if the file does not exist.
    """

    role: str
    path: str | None
    status: os.stat_result | None

    @classmethod
    def at(cls, path: Path, role: str) -> NamedFile:
        """The file at `path`, which need not exist."""
        status: os.stat_result | None = None
        with suppress(OSError, ValueError):  # it does not exist, or the name is invalid
            status = path.stat()
        return cls(role, os.path.realpath(path), status)

    def is_same(self, other: NamedFile) -> bool:
        """Whether writing to one changes the other; False unless both are regular files."""
        if self.status is not None and other.status is not None:
            return stat.S_ISREG(self.status.st_mode) and os.path.samestat(self.status, other.status)
        return self.path is not None and self.path == other.path


def stream_file(name: StandardStream, role: str) -> Iterator[NamedFile]:
    """The file of a standard stream; empty if the stream is closed or has no file descriptor."""
    stream = standard(name)
    with suppress(OSError, ValueError):
        if stream is not None:
            yield NamedFile(role, None, os.fstat(stream.fileno()))


def option_files(*options: object) -> Iterator[NamedFile]:
    """The files that options name, except those that are written."""
    for group in options:
        kind = type(group)
        if not has(kind):
            continue
        for option in fields(kind):
            path = getattr(group, option.name)
            if isinstance(path, Path) and option.name not in {"output", "journal"}:
                role = f"the file of --{option.name.replace('_', '-')}"
                yield from (NamedFile.at(one, role) for one in (path, *_certificates(path)))
            if isinstance(path, OptionSources) and path.file is not None:
                yield NamedFile.at(path.file, "the configuration file")
    certificates = os.environ.get("SSL_CERT_FILE")
    if certificates:
        yield NamedFile.at(Path(certificates), "the file of SSL_CERT_FILE")


def _certificates(path: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from path.glob(_CERTIFICATES) if path.is_dir() else ()


def journal_files(path: Path) -> Iterator[NamedFile]:
    """A journal, its side files (next to the target of a link), and the journals kept from earlier runs."""
    yield NamedFile.at(path, JOURNAL)
    for base in (path, Path(os.path.realpath(path))):
        yield from (NamedFile.at(base.with_name(base.name + suffix), JOURNAL) for suffix in _SIDE_SUFFIXES)
    with suppress(OSError):
        yield from (NamedFile.at(file, JOURNAL) for file in path.parent.iterdir() if _is_kept(file, path))


def _is_kept(path: Path, journal: Path) -> bool:
    """Whether `path` has the name of a journal kept from an earlier run with `journal`, or of one of its side files."""
    resolved, base = Path(os.path.realpath(path)), Path(os.path.realpath(journal))
    kept = rf"{re.escape(base.name)}\.[0-9]+({'|'.join(map(re.escape, _SIDE_SUFFIXES))})?"
    return resolved.parent == base.parent and re.fullmatch(kept, resolved.name) is not None


def _belongs_to_a_journal(path: Path) -> bool:
    """Whether a file is a journal or one of its side files."""
    from aioconnections.journal.items import is_journal  # not needed for help

    if not path.is_file():
        return False
    return any(is_journal(path.with_name(path.name.removesuffix(end) or path.name)) for end in ("", *_SIDE_SUFFIXES))


def keep_apart(inputs: list[NamedFile], *, output: Path | None, journal: Path | None = None) -> None:
    """Refuse to write the result or the journal over an input, or one over the other.

    Args:
        inputs: the files that the command reads.
        output: file of the result; None for standard output.
        journal: file that records the run.

    Raises:
        InvalidInputError: a file would be overwritten. Nothing has been written.
    """
    if journal is not None:
        _refuse_place(journal, JOURNAL)
    record = [] if journal is None else [*journal_files(journal)]
    results = [*stream_file("output", "standard output")] if output is None else [NamedFile.at(output, "--output")]
    for result in results:
        _refuse("the result", result, [*inputs, *record])
    if output is not None and journal is not None and _is_kept(output, journal):
        raise InvalidInputError(f"the result cannot be written over {JOURNAL}; choose another file")
    if output is not None and _belongs_to_a_journal(output):
        advice = "the result cannot be written over it; choose another file"
        raise InvalidInputError(f"{escaped(str(output))} is a journal, or belongs to one: {advice}")
    for file in record:
        _refuse(JOURNAL, file, inputs)


def keep_report_apart(
    report: Path, option: str, inputs: list[NamedFile], *, output: Path | None, journal: Path | None
) -> None:
    """Refuse to write the report of a run over another file of the command, or into a folder that does not exist.

    Args:
        report: the file of the report.
        option: the option that names it.
        inputs: the files that the command reads.
        output: file of the result, if any.
        journal: file that records the run, if any.

    Raises:
        InvalidInputError: see above. Nothing has been written.
    """
    _refuse_place(report, option)
    record = [] if journal is None else [*journal_files(journal)]
    result = [] if output is None else [NamedFile.at(output, "the result")]
    _refuse("the report", NamedFile.at(report, option), [*inputs, *record, *result])
    if _belongs_to_a_journal(report) or (journal is not None and _is_kept(report, journal)):
        raise InvalidInputError(f"the report cannot be written over {JOURNAL}; choose another file")


def _refuse_place(path: Path, role: str) -> None:
    """Refuse a path where no file can be written."""
    try:
        problem = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        possible = not path.is_dir() and path.absolute().parent.is_dir()
    except OSError:  # reported when the file is opened
        return
    if not possible:
        raise InvalidInputError(f"{role} {escaped(str(path))} {problem}; choose another file")


def _refuse(role: str, written: NamedFile, others: list[NamedFile]) -> None:
    for other in others:
        if written.is_same(other):
            raise InvalidInputError(f"{role} cannot be written over {other.role}; choose another file")
