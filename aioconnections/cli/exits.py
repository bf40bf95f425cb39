"""Exit codes, and how a command that ended early says that it can go on."""

from __future__ import annotations

import errno
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from aioconnections.errors import (
    AtomError,
    AuthenticationError,
    CertificateError,
    ConnectionsError,
    DeadlineError,
    InvalidInputError,
    JournalDiskError,
    JournalError,
    LocalLimitError,
    NotFoundError,
    ServerError,
    ServerUnavailableError,
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
    """What the system refused. Without a name it was standard output: a help text, or the version."""
    if error.errno in {errno.EMFILE, errno.ENFILE}:  # the file that happened to be the next one is not at fault
        return f"{error.strerror}; {MORE_FILES}"
    return f"{error.filename or 'standard output'}: {error.strerror}"


class Ended(Exception):  # noqa: N818 # that it ended is all it says
    """A run ended early; what there was to say of that has been said.

    Attributes:
        code: to exit with.
        resumable: whether the same command goes on from there.
        unwritten: whether the result could not be written.
        refused: whether the login was refused, so that it must be another one.
        piped: whether the input came through a pipe, so that it has to come again.
    """

    def __init__(self, code: int, *, resumable: bool, unwritten: bool = False, refused: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.resumable = resumable
        self.unwritten = unwritten
        self.refused = refused
        self.piped: bool = False

    @property
    def terms(self) -> str:
        """On which the same command goes on."""
        terms = ["a login that is not refused"] * self.refused + ["the same input"] * self.piped
        return f", with {' and '.join(terms)}" if terms else ""


def of_error(error: ConnectionsError) -> int:
    """The exit code for an error that ended a command."""
    match error:
        case AuthenticationError():
            return LOGIN
        case InvalidInputError() | UsageError() | JournalError() | NotFoundError() | UnexpectedResponseError():
            return USAGE  # the last two: what answers at this URL is not Profiles
        case LocalLimitError():
            return SOME_BAD  # of this machine: the server is available
        case ServerUnavailableError() | CertificateError() | TransportError() | ServerError() | ThrottledError():
            return UNAVAILABLE
        case _:
            return SOME_BAD


def of_stop(error: ConnectionsError, *, resumable: bool, begun: bool) -> int:
    """The exit code for an error that stopped a run.

    A login that is refused at the start stays what it is even where there is a journal: to try again and again with it
    would lock the account. A deadline, or a limit of this machine, says nothing of the server. A server that answered
    before and then answers every request with the same unusable response is not available.

    Args:
        error: why it stopped.
        resumable: whether there is a journal to go on with.
        begun: whether a row was read before.
    """
    if isinstance(error, DeadlineError | LocalLimitError):  # a deadline is that of the run
        return RESUMABLE if resumable else SOME_BAD
    nonsense = begun and isinstance(error, AtomError | UnexpectedResponseError)
    code = UNAVAILABLE if nonsense else of_error(error)
    passes = code == UNAVAILABLE or (code == LOGIN and begun) or isinstance(error, JournalDiskError)
    return RESUMABLE if resumable and passes else code


def command_line(arguments: Sequence[str]) -> str:
    """The line that runs a command with these arguments again, for a shell."""
    script, *given = sys.argv
    program = ["aioconnections"]
    if given == [*arguments]:
        if Path(script).name == "__main__.py":
            return shlex.join(sys.orig_argv)
        found = shutil.which(Path(script).name)
        program = [Path(script).name if found and Path(found).absolute() == Path(script).absolute() else script]
    return shlex.join([*program, *arguments])
