"""The options that commands share: input rows, results and runs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Group, Parameter, Token

from aioconnections.cli.output import Format
from aioconnections.cli.rows import IdType, InputRow
from aioconnections.errors import InvalidInputError
from aioconnections.records import Email, Identity, Key, Userid

__all__ = [
    "AGE",
    "CHECKING",
    "COUNT",
    "END",
    "EXPLICIT",
    "INVITING",
    "NO_MESSAGE",
    "NO_PERSON",
    "NO_TYPED_MESSAGE",
    "OUTAGE",
    "PAUSE",
    "PLAIN",
    "RATE",
    "RECORDED",
    "ROWS",
    "RUN",
    "TIMEOUT",
    "CheckingRun",
    "ExplicitRun",
    "File",
    "InvitingRun",
    "Message",
    "One",
    "RecordedRun",
    "Result",
    "Rows",
    "RunOptions",
    "Seconds",
    "TypedMessage",
]


def _refuse_unknown_option(kind: object, path: Path | None) -> None:
    """Refuse an unknown option, which would otherwise be read as a file name, because "-" is allowed."""
    del kind
    if str(path).startswith("-") and str(path) != "-":
        raise ValueError(f"Unknown option. For a file of that name, use ./{path}")


File: TypeAlias = Annotated[Path | None, Parameter(allow_leading_hyphen=True, validator=_refuse_unknown_option)]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Result:
    """Format and file of the result."""

    format: Format | None = None
    """Format of the result. By default the format of the input, or CSV without an input."""
    json: Annotated[bool, Parameter(negative="")] = False
    """The same as --format jsonl."""
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    """File for the result. By default standard output."""

    @property
    def form(self) -> Format | None:
        """The format that --format or --json selects.

        Raises:
            InvalidInputError: the two conflict.
        """
        if self.json and self.format == "csv":
            raise InvalidInputError("--json and --format csv cannot be used together; use one of them")
        return "jsonl" if self.json else self.format


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Rows(Result):
    """How rows are read and written."""

    id_type: IdType | None = None
    """Kind of identity in the columns "source", "target" and "person"."""
    ordered: Annotated[bool, Parameter(negative="")] = False
    """Keep the order of the input. By default rows are written in the order of completion."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class One:
    """One person, named on the command line."""

    email: str | None = None
    """E-mail address of the person."""
    userid: str | None = None
    """Directory id of the person."""
    key: str | None = None
    """Profiles key of the person."""

    @property
    def row(self) -> InputRow:
        """The row that names this person; its values are None if no person is given."""
        return {"email": self.email, "userid": self.userid, "key": self.key}

    @property
    def identity(self) -> Identity | None:
        """The preferred identity that is given, or None."""
        kinds = ((Userid, self.userid), (Key, self.key), (Email, self.email))
        return next((kind(value) for kind, value in kinds if value is not None), None)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
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
NO_PERSON = One()
NO_MESSAGE = Message()
NO_TYPED_MESSAGE = TypedMessage()


Seconds: TypeAlias = float | Literal["none"]


def _number(text: str, *, least: float, above: bool = False) -> float | None:
    """Parse a finite number that is at least `least`, or above it if `above` is True; None for other text."""
    try:
        number = float(text)
    except ValueError:
        return None
    passes = number > least if above else number >= least
    return number if passes and math.isfinite(number) else None


def _count(text: str) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if number >= 1 else None


def _or_none(text: str, *, above: bool) -> Seconds | None:
    return "none" if text == "none" else _number(text, least=0, above=above)


_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _age(text: str) -> float | None:
    """Parse a number with an optional unit, and return seconds."""
    found = _AGE.fullmatch(text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else math.inf
    return seconds if math.isfinite(seconds) else None


def _option(parse: Callable[[str], Seconds | None], expected: str) -> Parameter:
    """An option whose value `parse` converts; a result of None means that the value is invalid."""

    def convert(kind: object, tokens: Sequence[Token]) -> Seconds:
        del kind
        value = parse(tokens[0].value.strip())
        if value is None:
            raise ValueError(f"it must be {expected}; got {tokens[0].value!r}.")
        return value

    return Parameter(converter=convert)


AGE: Parameter = _option(_age, "a number of seconds, or one with the unit s, m, h or d, such as 90m")
COUNT: Parameter = _option(_count, "a whole number, at least 1")
RATE: Parameter = _option(lambda text: _number(text, least=0), "a positive number, or 0 for no limit")
PAUSE: Parameter = _option(lambda text: _number(text, least=0), "a number of seconds, 0 or more")
OUTAGE: Parameter = _option(
    lambda text: _or_none(text, above=False), "a number of seconds, 0 or more, or none for no limit"
)
TIMEOUT: Parameter = _option(lambda text: _number(text, least=0, above=True), "a positive number of seconds")
END: Parameter = _option(lambda text: _or_none(text, above=True), "a positive number of seconds, or none for no limit")


_GROUP = Group("Run")
_HOUR = 3_600.0


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Time limits of a run, and whether it is a dry run."""

    dry_run: Annotated[bool, Parameter(negative="")] = False
    """Write the requests to the result instead of sending them."""
    max_outage: Annotated[Seconds, OUTAGE] = 300
    """Seconds to wait for a server that becomes unavailable before the run stops; "none" for no limit. A server that is
    unavailable at the start, before the login is proved, ends the run after a few attempts."""
    run_timeout: Annotated[Seconds, END] = "none"
    """Seconds after which the run stops, even if rows are left; "none" for no limit."""

    @property
    def record(self) -> Path | None:
        """The file that records the run, if any.

        Raises:
            InvalidInputError: a required choice is missing, or options conflict.
        """
        return None

    @property
    def log_may_be_lost(self) -> bool:
        """Whether to resume from a journal whose log is lost."""
        return False

    @property
    def oldest(self) -> float | None:
        """Maximum age, in seconds, of the outcomes of a finished check; None for a run that changes something.

        Raises:
            InvalidInputError: options conflict.
        """
        return None


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class RecordedRun(RunOptions):
    """A run that may be recorded."""

    journal: Path | None = None
    """File that records the run. After any interruption the same command resumes from it: recorded outcomes are written
    again without repeating the work, and items in doubt are verified. Each row then has one more column, recorded_at:
    the time of the outcome. FILE-wal and FILE.lock belong to the journal."""
    lost_log: Literal["in-doubt"] | None = None
    """Resume from a journal that was not closed and whose FILE-wal is lost: "in-doubt" treats items without a final
    outcome as sent, verifies them, and never sends them again."""

    @property
    def record(self) -> Path | None:
        """See `RunOptions`."""
        return self.journal

    @property
    def log_may_be_lost(self) -> bool:
        """See `RunOptions`."""
        return self.lost_log is not None


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class CheckingRun(RecordedRun):
    """A run that changes nothing on the server."""

    max_age: Annotated[float | None, AGE] = None
    """Maximum age of a finished run whose outcomes are written again, in seconds or as 90m, 6h or 2d; by default one
    hour. The journal of an older run is kept as FILE.1 (2, 3 …), and all rows are checked again. An unfinished run is
    resumed at any age."""
    fresh: Annotated[bool, Parameter(negative="")] = False
    """The same as --max-age 0."""
    resume: Annotated[bool, Parameter(negative="")] = False
    """Write the outcomes of a finished run again, regardless of their age."""

    @property
    def oldest(self) -> float | None:
        """See `RunOptions`."""
        given = {"--max-age": self.max_age is not None, "--fresh": self.fresh, "--resume": self.resume}
        named = [name for name, is_given in given.items() if is_given]
        if len(named) > 1:
            raise InvalidInputError(f"{' and '.join(named)} cannot be used together; use one of them")
        if named and self.journal is None:
            raise InvalidInputError(f"{named[0]} needs --journal")
        if self.fresh or self.resume:
            return 0.0 if self.fresh else math.inf
        return _HOUR if self.max_age is None else self.max_age


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
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


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class InvitingRun(ExplicitRun):
    """A run whose changes must not be made twice."""

    on_unknown: Literal["recheck", "report"] = "recheck"
    """Action after a lost response: "recheck" looks for the invitation and sends it once more if it does not exist;
    "report" leaves the row in doubt."""
    settle: Annotated[float, PAUSE] = 30
    """Seconds to wait before "recheck" looks for the invitation."""


RUN = RunOptions()
RECORDED = RecordedRun()
CHECKING = CheckingRun()
EXPLICIT = ExplicitRun()
INVITING = InvitingRun()
