"""The options of a run: limits and journal.

The classes of options are in several modules because, for the help of a command, Cyclopts parses the whole module of
each class that it uses. Annotations are not postponed, because it would evaluate those of inherited options in the
module of the subclass.
"""

import math
from pathlib import Path
from typing import Annotated, Literal

from attrs import frozen
from cyclopts import Parameter

from aioconnections.cli.numbers import AGE, END, OUTAGE, Seconds
from aioconnections.errors import InvalidInputError

__all__ = [
    "CHECKING",
    "RECORDED",
    "REMOVING",
    "REPORTED",
    "RUN",
    "CheckingRun",
    "RecordedRun",
    "RemovingRun",
    "ReportedRun",
    "RunOptions",
]

_HOUR = 3_600.0


@Parameter(name="*", group="Run")
@frozen(kw_only=True)
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
    def report_file(self) -> Path | None:
        """The file for an HTML report of the run, if any."""
        return None

    @property
    def asks(self) -> bool:
        """Whether to ask before many items, if the verb has a question."""
        return True

    @property
    def log_may_be_lost(self) -> bool:
        """Whether to resume from a journal whose log is lost."""
        return False

    @property
    def oldest(self) -> float | None:
        """Maximum age, in seconds, of the outcomes of a finished run; None for a run that changes something.

        Raises:
            InvalidInputError: options conflict.
        """
        return None


@Parameter(name="*", group="Run")
@frozen(kw_only=True)
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


@Parameter(name="*", group="Run")
@frozen(kw_only=True)
class RemovingRun(RecordedRun):
    """A run that removes something."""

    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="")] = False
    """Do not ask before more than 10 rows. Without a terminal, as in a scheduled job, nothing is asked in any case."""

    @property
    def asks(self) -> bool:
        """See `RunOptions`."""
        return not self.yes


@Parameter(name="*", group="Run")
@frozen(kw_only=True)
class CheckingRun(RecordedRun):
    """A run that changes nothing on the server."""

    max_age: Annotated[float | None, AGE] = None
    """Maximum age of a finished run whose outcomes are written again, in seconds or as 90m, 6h or 2d; by default one
    hour. The journal of an older run is kept as FILE.1 (2, 3 …), and all rows are processed again. An unfinished run is
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


@Parameter(name="*", group="Run")
@frozen(kw_only=True)
class ReportedRun(CheckingRun):
    """A run of checks, with a report to look at."""

    report: Path | None = None
    """HTML file to write at the end, such as report.html: outcomes, throughput, pauses and latencies over time, and
    failures with what to do. It needs no network. Only you may read it, because it names people."""

    @property
    def report_file(self) -> Path | None:
        """See `RunOptions`."""
        return self.report


RUN = RunOptions()
RECORDED = RecordedRun()
REMOVING = RemovingRun()
CHECKING = CheckingRun()
REPORTED = ReportedRun()
