"""The options of a bulk run: how long it may take, what it records, or that it is only a dry one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from aioconnections.cli.numbers import AGE, END, PATIENCE, PAUSE, Seconds
from aioconnections.errors import InvalidInputError

__all__ = [
    "CHECKING",
    "RECORDED",
    "RUN",
    "WARY",
    "WARY_INVITING",
    "CheckingRun",
    "InvitingRun",
    "RecordedRun",
    "Run",
    "WaryRun",
]

_GROUP = Group("Run")
_HOUR = 3_600.0


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class Run:
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
class RecordedRun(Run):
    """A run that may be recorded."""

    journal: Path | None = None
    """File that records the run. Whatever ends it, the same command goes on from there: what is done is written again
    and not done again, and what is in doubt is asked after. FILE-wal and FILE.lock belong to it."""
    lost_log: Literal["in-doubt"] | None = None
    """Go on with a journal that was not closed and whose FILE-wal is lost: "in-doubt" takes whatever has no final
    outcome for sent, asks after it, and never sends it again."""

    @property
    def record(self) -> Path | None:
        """See `Run`."""
        return self.journal

    @property
    def log_may_be_lost(self) -> bool:
        """See `Run`."""
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
        """See `Run`."""
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
    """Do without a journal: after a crash nobody can tell who was invited."""

    @property
    def record(self) -> Path | None:
        """See `Run`."""
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


RUN = Run()
RECORDED = RecordedRun()
CHECKING = CheckingRun()
WARY = WaryRun()
WARY_INVITING = InvitingRun()
