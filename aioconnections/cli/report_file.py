"""The HTML report of a run, and the file that it is written to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from attrs import define, field

from aioconnections import errors
from aioconnections.files.rows import BadRowError, Item
from aioconnections.journal.items import MESSAGE_DIGEST
from aioconnections.outcomes import Count, Failed, InDoubt, Outcome, Rejected, Unprocessed
from aioconnections.report import FailureLog, RunFacts, document

if TYPE_CHECKING:
    from aioconnections.journal import RecordedItem, Report
    from aioconnections.policy.timeline import Timeline

__all__ = ["RunReport", "facts_of", "write_report"]

_BAD = frozenset({"in_doubt", "rejected", "failed", "unprocessed"})
_UNREADABLE = "(unreadable row)"


def write_report(path: Path, facts: RunFacts) -> None:
    """Write the report at once, readable by its owner alone, because it names people.

    Raises:
        OSError: the file cannot be written; an earlier one is unchanged.
    """
    content = document(facts).encode()
    target = Path(os.path.realpath(path))
    try:
        if path.exists() and not path.is_file():  # a device or a pipe; the target of /dev/stdout may have no path
            path.write_bytes(content)
            return
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        error.filename = str(path)
        raise


def facts_of(run: Report) -> RunFacts:
    """What the report of a journal says."""
    failures = FailureLog()
    for row in run.rows():
        if row.outcome in _BAD:
            error, text = _error_of(row)
            failures.add(
                number=row.index + 1,
                who=_who(row.item),
                outcome=row.outcome,
                error=error,
                text=text,
                at=row.outcome_at or row.intent_at,
            )
    return RunFacts(
        verb=run.verb,
        origin=run.origin,
        user=run.userid,
        begun=run.created,
        finished=run.finished,
        tally=run.tally,
        failures=failures,
        timeline=run.timeline,
    )


def _error_of(row: RecordedItem) -> tuple[str | None, str]:
    """The class of an error, and its text."""
    kind, separator, text = (row.error or "").partition(": ")
    has_class = row.stored is not None and "error" in row.stored.facts
    return (kind, text) if has_class and separator else (None, row.error or "")


def _who(item: Mapping[str, object]) -> str:
    """The people or the entry that a row names."""
    values = {name: str(value) for name, value in item.items() if value and name != MESSAGE_DIGEST}
    ends = [next((it for name, it in values.items() if name.startswith(end)), "") for end in ("source_", "target_")]
    if any(ends):
        return " → ".join(end or "?" for end in ends)
    return next(iter(values.values()), _UNREADABLE)


@define
class RunReport:
    """Gathers what the report says of a run while its outcomes are written.

    Attributes:
        path: the file of the report.
        verb: verb of the run.
        origin: origin of the server.
        user: who signs in; None if that is not known.
        failures: the items that were not done.
        replayed: number of outcomes that an earlier run had recorded.
    """

    path: Path
    verb: str
    origin: str
    user: str | None
    failures: FailureLog = field(factory=FailureLog)
    replayed: int = 0
    _begun: datetime = field(factory=lambda: datetime.now(UTC))
    _count: Count = field(factory=Count)

    def add(self, outcome: Outcome) -> None:
        """Add an outcome."""
        self._count.add(outcome)
        self.replayed += outcome.replayed
        if isinstance(outcome, Rejected | Failed | InDoubt):
            known = (kind for kind in type(outcome.error).__mro__ if getattr(errors, kind.__name__, None) is kind)
            self._note(outcome, next(known).__name__, str(outcome.error))
        elif isinstance(outcome, Unprocessed):
            self._note(outcome, None, outcome.reason)

    def write(self, timeline: Timeline | None, stopped: str | None, *, ended: datetime | None = None) -> None:
        """Write the report.

        Args:
            timeline: the course of the run.
            stopped: why the run ended early; None if it did not.
            ended: when it ended; None for now.

        Raises:
            OSError: see `write_report`.
        """
        facts = RunFacts(
            verb=self.verb,
            origin=self.origin,
            user=self.user,
            begun=self._begun,
            finished=(ended or datetime.now(UTC)) if stopped is None else None,
            stopped=stopped,
            tally=self._count.tally(self._count.finished),
            replayed=self.replayed,
            failures=self.failures,
            timeline=timeline,
        )
        write_report(self.path, facts)

    def _note(self, outcome: Outcome, error: str | None, text: str) -> None:
        item = outcome.item
        if outcome.pair is not None:
            who = f"{outcome.pair.source.value} → {outcome.pair.target.value}"
        elif isinstance(item, BadRowError):
            who = _who({name: value for name, value in item.row.items() if name.startswith(("source", "target"))})
        else:
            who = _who(cast("Item", item).row)
        self.failures.add(
            number=outcome.index + 1, who=who, outcome=outcome.kind, error=error, text=text, at=outcome.recorded_at
        )
