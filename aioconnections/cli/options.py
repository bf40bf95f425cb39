"""The options that commands share: where rows come from, how, and where they go."""

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
    "NOTHING_SAID",
    "NO_MESSAGE",
    "NO_PERSON",
    "PATIENCE",
    "PAUSE",
    "PLAIN",
    "RATE",
    "RECORDED",
    "ROWS",
    "RUN",
    "WARY",
    "WARY_INVITING",
    "CheckingRun",
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
    "WaryRun",
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
    def row(self) -> InputRow:
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
NO_PERSON = One()
NO_MESSAGE = Message()
NOTHING_SAID = TypedMessage()


Seconds: TypeAlias = float | Literal["none"]


def _number(text: str, *, least: float, above: bool = False) -> float | None:
    """The finite number that a text is, if it is at least `least` or, with `above`, more than that; else None."""
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
    """Seconds, of a number with or without a unit."""
    found = _AGE.fullmatch(text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else math.inf
    return seconds if math.isfinite(seconds) else None


def _option(read: Callable[[str], Seconds | None], must: str) -> Parameter:
    """An option whose value `read` reads; None: it cannot be one."""

    def convert(kind: object, tokens: Sequence[Token]) -> Seconds:
        del kind
        value = read(tokens[0].value.strip())
        if value is None:
            raise ValueError(f"it must be {must}.")
        return value

    return Parameter(converter=convert)


AGE: Parameter = _option(_age, "a number of seconds, or one with the unit s, m, h or d, such as 90m")
COUNT: Parameter = _option(_count, "a whole number, at least 1")
RATE: Parameter = _option(lambda text: _number(text, least=0), "a positive number, or 0 for no limit")
PAUSE: Parameter = _option(lambda text: _number(text, least=0), "a number of seconds, 0 or more")
PATIENCE: Parameter = _option(
    lambda text: _or_none(text, above=False), "a number of seconds, 0 or more, or none for no end"
)
END: Parameter = _option(lambda text: _or_none(text, above=True), "a positive number of seconds, or none for no end")


_GROUP = Group("Run")
_HOUR = 3_600.0


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How long a run may take, and whether it is only a dry one."""

    dry_run: Annotated[bool, Parameter(negative="")] = False
    """Send nothing, and print what would be sent."""
    max_outage: Annotated[Seconds, PATIENCE] = 300
    """Seconds that the run waits for a server that goes away, before it stops; "none" for as long as it takes. One that
    does not answer at the beginning, before the login is proved, ends the run after a few attempts."""
    run_timeout: Annotated[Seconds, END] = "none"
    """Seconds after which the run stops, whatever is left."""

    @property
    def record(self) -> Path | None:
        """The file that records the run, if any.

        Raises:
            InvalidInputError: it has not been said, where it has to be.
        """
        return None

    @property
    def log_may_be_lost(self) -> bool:
        """Whether to go on with a journal whose log is lost."""
        return False

    @property
    def oldest(self) -> float | None:
        """Seconds that the answers of a finished check may be old; None for a run that changes something.

        Raises:
            InvalidInputError: options contradict each other.
        """
        return None


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class RecordedRun(RunOptions):
    """A run that may be recorded."""

    journal: Path | None = None
    """File that records the run. Whatever ends it, the same command goes on from there: what is done is written again
    and not done again, and what is in doubt is asked after. FILE-wal and FILE.lock belong to it."""
    lost_log: Literal["in-doubt"] | None = None
    """Go on with a journal that was not closed and whose FILE-wal is lost: "in-doubt" takes whatever has no final
    outcome for sent, asks after it, and never sends it again."""

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
    """A run that only asks."""

    max_age: Annotated[float | None, AGE] = None
    """How long ago a finished run may have ended for its answers to be written again, in seconds or as 90m, 6h or 2d.
    By default an hour. An older one is kept as FILE.1 (2, 3 …), and everything is asked anew. A run that is not
    finished goes on, however old it is."""
    fresh: Annotated[bool, Parameter(negative="")] = False
    """The same as --max-age 0."""
    resume: Annotated[bool, Parameter(negative="")] = False
    """Write the answers of a finished run again, however old they are."""

    @property
    def oldest(self) -> float | None:
        """See `RunOptions`."""
        given = {"--max-age": self.max_age is not None, "--fresh": self.fresh, "--resume": self.resume}
        named = [name for name, is_given in given.items() if is_given]
        if len(named) > 1:
            raise InvalidInputError(f"{' and '.join(named)} exclude each other")
        if named and self.journal is None:
            raise InvalidInputError(f"{named[0]} is about a journal, and there is no --journal")
        if self.fresh or self.resume:
            return 0.0 if self.fresh else math.inf
        return _HOUR if self.max_age is None else self.max_age


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class WaryRun(RecordedRun):
    """A run of which it has to be said whether it is recorded."""

    no_journal: Annotated[bool, Parameter(negative="")] = False
    """Run without a journal: after a crash it is not known who was invited."""

    @property
    def record(self) -> Path | None:
        """See `RunOptions`."""
        if self.journal is not None and self.no_journal:
            raise InvalidInputError("--journal and --no-journal exclude each other")
        if self.journal is None and not self.no_journal:
            raise InvalidInputError(
                "say where to record who is invited, with --journal FILE, or do without, with --no-journal"
            )
        return self.journal


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class InvitingRun(WaryRun):
    """A run whose changes must not be made twice."""

    on_unknown: Literal["recheck", "report"] = "recheck"
    """What follows a lost answer: "recheck" asks whether there is an invitation, and sends it once more if there is
    none; "report" leaves it in doubt."""
    settle: Annotated[float, PAUSE] = 30
    """Seconds to wait before that is asked."""


RUN = RunOptions()
RECORDED = RecordedRun()
CHECKING = CheckingRun()
WARY = WaryRun()
WARY_INVITING = InvitingRun()
