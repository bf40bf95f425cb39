"""Exit codes, and how to resume a command that ended early."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from aioconnections.cli.terminal import escaped
from aioconnections.errors import (
    AtomError,
    AuthenticationError,
    ConnectionsError,
    DeadlineError,
    InvalidInputError,
    JournalDiskError,
    JournalError,
    LocalLimitError,
    NotFoundError,
    ProxyError,
    ServerError,
    ServerUnavailableError,
    SharedStoreError,
    ThrottledError,
    TransportError,
    UnexpectedResponseError,
    UsageError,
)

__all__ = [
    "GOOD",
    "INTERRUPTED",
    "LOGIN",
    "MORE_FILES",
    "RESUMABLE",
    "SOME_BAD",
    "UNAVAILABLE",
    "USAGE",
    "Ended",
    "command_line",
    "in_words",
    "of_error",
    "of_stop",
]

GOOD = 0
SOME_BAD = 1
USAGE = 2
LOGIN = 3
UNAVAILABLE = 5
RESUMABLE = 75
INTERRUPTED = 130


MORE_FILES = "raise the limit of open files (ulimit -n)"


def in_words(error: OSError) -> str:
    """The message for an error; without a filename it concerns standard output, as when help is printed."""
    if error.errno in {errno.EMFILE, errno.ENFILE}:  # the file that was opened is not the cause
        return f"{error.strerror}; {MORE_FILES}"
    return f"{error.filename or 'standard output'}: {error.strerror}"


class Ended(Exception):  # noqa: N818 # not always an error
    """A run ended early, and the reason has been printed.

    Attributes:
        code: the exit code.
        resumable: whether the same command resumes the run.
        unwritten: whether the result could not be written.
        refused: whether the login was refused, so that another one is needed.
        piped: whether the input was a pipe, so that it must be supplied again.
        result: the result, if --retry can complete it.
        replaced: what --retry then takes the place of; None if the rows are not all in the result.
    """

    def __init__(self, code: int, *, resumable: bool, unwritten: bool = False, refused: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.resumable = resumable
        self.unwritten = unwritten
        self.refused = refused
        self.piped: bool = False
        self.result: Path | None = None
        self.replaced: str | None = None

    @property
    def terms(self) -> str:
        """The part of a sentence that says what the user must supply to resume."""
        terms = ["a login that is not refused"] * self.refused + ["the same input"] * self.piped
        return f", with {' and '.join(terms)}" if terms else ""

    def to_go_on(self, arguments: Sequence[str]) -> str | None:
        """How to do the rest of the run, for a message; None if that is not possible.

        Args:
            arguments: those of the command.
        """
        if self.resumable:
            return f"to resume{self.terms}: {command_line(arguments)}"
        if self.result is None or self.replaced is None:
            return None
        retry = _joined(["--retry", str(self.result)])
        return f"to go on{self.terms}: run the same command with {retry} in place of {self.replaced}"


def of_error(error: ConnectionsError) -> int:
    """The exit code for an error that ended a command."""
    match error:
        case AuthenticationError():
            return LOGIN
        case InvalidInputError() | UsageError() | JournalError() | NotFoundError() | UnexpectedResponseError():
            return USAGE  # the last two: the server at this URL is not Profiles
        case TransportError() | SharedStoreError() if _needs_change(error):
            return USAGE
        case LocalLimitError():
            return SOME_BAD  # a limit of this machine: the server is available
        case ServerUnavailableError() | SharedStoreError() | TransportError() | ServerError() | ThrottledError():
            return UNAVAILABLE
        case _:
            return SOME_BAD


def _needs_change(error: TransportError | SharedStoreError) -> bool:
    """Whether the URL, the certificates, the proxy or its login, or the settings of the shared store must change."""
    if isinstance(error, SharedStoreError):
        return not error.temporary
    return error.blocks_all_requests or _is_refused_by_proxy(error)


def _is_refused_by_proxy(error: TransportError) -> bool:
    """Whether the proxy asks for a login, or does not allow the server."""
    return isinstance(error, ProxyError) and error.status is not None and error.status < 500


def of_stop(error: ConnectionsError, *, resumable: bool, begun: bool, succeeded: bool) -> int:
    """The exit code for an error that stopped a run.

    A login refused at the start is never resumable, even with a journal: retrying it would lock the account. A deadline
    or a limit of this machine does not mean that the server is unavailable. A server whose responses become unusable
    or whose TLS fails during a run is unavailable.

    Args:
        error: the error that stopped the run.
        resumable: whether the run can be resumed from a journal.
        begun: whether the run had read a row before.
        succeeded: whether the server had responded to a request for a row before.
    """
    if isinstance(error, DeadlineError | LocalLimitError):  # the deadline of the run
        return RESUMABLE if resumable else SOME_BAD
    unusable = begun and isinstance(error, AtomError | UnexpectedResponseError)
    unusable = unusable or (succeeded and isinstance(error, TransportError))
    code = UNAVAILABLE if unusable else of_error(error)
    temporary = code == UNAVAILABLE or (code == LOGIN and begun) or isinstance(error, JournalDiskError)
    return RESUMABLE if resumable and temporary else code


def command_line(arguments: Sequence[str]) -> str:
    """A shell command line that runs the command with these arguments again."""
    import shutil  # not needed for help

    script, *given = sys.argv
    program = ["aioconnections"]
    if given == [*arguments]:
        if Path(script).name == "__main__.py":
            return _joined(sys.orig_argv)
        found = shutil.which(Path(script).name)
        program = [Path(script).name if found and Path(found).absolute() == Path(script).absolute() else script]
    return _joined([*program, *arguments])


def _joined(words: Sequence[str]) -> str:
    import shlex

    return " ".join(shlex.quote(word) if escaped(word) == word else _quoted(word) for word in words)


def _quoted(word: str) -> str:
    """A word with characters that must not reach a terminal, in the quotes for it of POSIX.1-2024, bash and zsh."""
    safe = (
        c if escaped(c) == c and c not in "\\'" else "".join(f"\\{byte:03o}" for byte in os.fsencode(c)) for c in word
    )
    return f"$'{''.join(safe)}'"
