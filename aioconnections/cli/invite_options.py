"""The options of commands that name one person or invite people: person, message and run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from attrs import field, frozen
from cyclopts import Parameter

from aioconnections.cli.numbers import PAUSE
from aioconnections.cli.run_options import RecordedRun
from aioconnections.cli.terminal import escaped
from aioconnections.errors import InvalidInputError

if TYPE_CHECKING:
    from aioconnections.records import Identity

__all__ = [
    "EXPLICIT",
    "INVITING",
    "NO_MESSAGE",
    "NO_PERSON",
    "NO_TYPED_MESSAGE",
    "ExplicitRun",
    "InvitingRun",
    "Message",
    "One",
    "TypedMessage",
]


@Parameter(name="*")
@frozen(kw_only=True)
class One:
    """One person, named on the command line."""

    email: str | None = None
    """E-mail address of the person."""
    userid: str | None = None
    """Directory id of the person."""
    key: str | None = None
    """Profiles key of the person."""

    @property
    def row(self) -> dict[str, object]:
        """The row that names this person; its values are None if no person is given."""
        return {"email": self.email, "userid": self.userid, "key": self.key}

    @property
    def identity(self) -> Identity | None:
        """The preferred identity that is given, or None."""
        from aioconnections.records import Email, Key, Userid  # not needed for help

        kinds = ((Userid, self.userid), (Key, self.key), (Email, self.email))
        return next((kind(value) for kind, value in kinds if value is not None), None)


@Parameter(name="*")
@frozen(kw_only=True)
class Message:
    """A message to send; every repr omits it."""

    message: str | None = field(default=None, repr=False)
    """Message to send. Other users of this machine can see it while the command runs; use --message-file to hide it."""
    message_file: Path | None = None
    """File with the message, in UTF-8."""

    @property
    def text(self) -> str:
        """The message from the command line or the file.

        Raises:
            InvalidInputError: both are given, or the file cannot be read.
        """
        if self.message_file is None:
            return self.message or ""
        if self.message is not None:
            raise InvalidInputError("--message and --message-file cannot be used together; use one of them")
        try:
            return self.message_file.read_text(encoding="utf-8-sig")
        except OSError as error:
            problem = f"{escaped(str(self.message_file))}: {error.strerror}"
        except UnicodeError:
            problem = f"{escaped(str(self.message_file))} is not text in UTF-8"
        raise InvalidInputError(problem)


@Parameter(name="*")
@frozen(kw_only=True)
class TypedMessage(Message):
    """A message that may be HTML."""

    message_type: Literal["text", "html"] = "text"
    """Whether the message is plain text or HTML."""


@Parameter(name="*", group="Run")
@frozen(kw_only=True)
class ExplicitRun(RecordedRun):
    """A run that needs --journal or --no-journal."""

    no_journal: Annotated[bool, Parameter(negative="")] = False
    """Run without a journal: after a crash there is no record of the people invited."""

    @property
    def record(self) -> Path | None:
        """See `RunOptions`."""
        if self.journal is not None and self.no_journal:
            raise InvalidInputError("--journal and --no-journal cannot be used together; use one of them")
        if self.journal is None and not self.no_journal:
            raise InvalidInputError(
                "use --journal FILE to record the invitations, or --no-journal to run without a journal"
            )
        return self.journal


@Parameter(name="*", group="Run")
@frozen(kw_only=True)
class InvitingRun(ExplicitRun):
    """A run whose changes must not be made twice."""

    on_unknown: Literal["recheck", "report"] = "recheck"
    """Action after a lost response: "recheck" looks for the invitation and sends it once more if it does not exist;
    "report" leaves the row in doubt."""
    settle: Annotated[float, PAUSE] = 30
    """Seconds to wait before "recheck" looks for the invitation."""


NO_PERSON = One()
NO_MESSAGE = Message()
NO_TYPED_MESSAGE = TypedMessage()
EXPLICIT = ExplicitRun()
INVITING = InvitingRun()
