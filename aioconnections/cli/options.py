"""The options that commands share: where rows come from, how, and where they go."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from aioconnections.cli.output import Format
from aioconnections.cli.rows import IdType, Row
from aioconnections.errors import InvalidInputError
from aioconnections.records import Email, Identity, Key, Userid

__all__ = [
    "NOBODY",
    "NOTHING_SAID",
    "NO_MESSAGE",
    "PLAIN",
    "ROWS",
    "File",
    "Message",
    "One",
    "Result",
    "Rows",
    "TypedMessage",
]


def _no_option(kind: object, path: Path | None) -> None:
    """Refuse an option that is none, which would be taken for the name of a file because "-" may be one."""
    del kind
    if str(path).startswith("-") and str(path) != "-":
        raise ValueError(f"There is no such option. A file of that name is ./{path}")


File: TypeAlias = Annotated[Path | None, Parameter(allow_leading_hyphen=True, validator=_no_option)]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Result:
    """How the result is written, and where."""

    format: Format | None = None
    """Format of the result. By default it is that of the input, and CSV where there is none."""
    json: Annotated[bool, Parameter(negative="")] = False
    """The same as --format jsonl."""
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    """File for the result. By default it goes to standard output."""

    @property
    def form(self) -> Format | None:
        """What --format or --json says.

        Raises:
            InvalidInputError: they contradict each other.
        """
        if self.json and self.format == "csv":
            raise InvalidInputError("--json and --format csv exclude each other")
        return "jsonl" if self.json else self.format


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Rows(Result):
    """How rows are read and written."""

    id_type: IdType | None = None
    """What columns with bare names hold, such as "source", "target" and "person"."""
    ordered: Annotated[bool, Parameter(negative="")] = False
    """Keep the order of the input. By default rows are written as they complete."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class One:
    """One person, named on the command line."""

    email: str | None = None
    """E-mail address of the person."""
    userid: str | None = None
    """Id of the person in the directory."""
    key: str | None = None
    """Id of the person in Profiles."""

    @property
    def row(self) -> Row:
        """The row that names this person; its values are None if nobody is named."""
        return {"email": self.email, "userid": self.userid, "key": self.key}

    @property
    def identity(self) -> Identity | None:
        """The best identity of them, or None."""
        kinds = ((Userid, self.userid), (Key, self.key), (Email, self.email))
        return next((kind(value) for kind, value in kinds if value is not None), None)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Message:
    """The message that goes along; it is kept out of every repr."""

    message: str | None = field(default=None, repr=False)
    """Message that goes along. Other users of this machine can see it while the command runs; --message-file keeps it
    from them."""
    message_file: Path | None = None
    """File with that message, in UTF-8."""

    @property
    def text(self) -> str:
        """The message that is given on the command line or in a file.

        Raises:
            InvalidInputError: both are, or the file cannot be read.
        """
        if self.message_file is None:
            return self.message or ""
        if self.message is not None:
            raise InvalidInputError("--message and --message-file exclude each other")
        try:
            return self.message_file.read_text(encoding="utf-8-sig")
        except OSError as error:
            problem = f"{self.message_file}: {error.strerror}"
        except UnicodeError:
            problem = f"{self.message_file} is not text in UTF-8"
        raise InvalidInputError(problem)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TypedMessage(Message):
    """A message that may be HTML."""

    message_type: Literal["text", "html"] = "text"
    """Whether the message is plain text or HTML."""


ROWS = Rows()
PLAIN = Result()
NOBODY = One()
NO_MESSAGE = Message()
NOTHING_SAID = TypedMessage()
