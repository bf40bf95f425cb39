"""The options of a bulk run: how long it may take, what it records, or that it is only a dry one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from aioconnections.cli.numbers import END, PATIENCE, PAUSE, Seconds
from aioconnections.errors import InvalidInputError

__all__ = ["RECORDED", "RUN", "WARY", "WARY_INVITING", "InvitingRun", "RecordedRun", "Run", "WaryRun"]

_GROUP = Group("Run")


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


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class RecordedRun(Run):
    """A run that may be recorded."""

    journal: Path | None = None
    """File that records the run. Whatever ends it, the same command goes on from there: what is done is written again
    and not done again, and what is in doubt is asked after."""

    @property
    def record(self) -> Path | None:
        """See `Run`."""
        return self.journal


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
WARY = WaryRun()
WARY_INVITING = InvitingRun()
