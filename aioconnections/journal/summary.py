"""The report of a run: a fold of its journal, which changes nothing and may be made at any time but during the run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from attrs import define, field, frozen

from aioconnections.errors import UsageError
from aioconnections.journal.items import columns
from aioconnections.journal.said import Said, moment
from aioconnections.outcomes import Tally, milliseconds

if TYPE_CHECKING:
    from aioconnections.journal.database import Connection

__all__ = ["Report", "Row", "report"]

_ROWS = """
SELECT fold.idx AS idx, coalesce(said.item, sent.item), sent.wall, said.wall,
    CASE WHEN fold.outcome > coalesce(fold.intent, 0) THEN said.data END AS data
FROM temp.fold
LEFT JOIN entry AS sent ON sent.seq = fold.intent
LEFT JOIN entry AS said ON said.seq = fold.outcome
"""
_COUNTS = f"""
SELECT name, CASE name WHEN 'checked' THEN detail END AS split, count(*)
FROM (
    SELECT substr(data, 1, instr(data, ' ') - 1) AS name, substr(data, instr(data, '{{')) AS detail
    FROM ({_ROWS})
)
GROUP BY name, split
"""  # noqa: S608 # both parts are ours
_CUT_SHORT = "the run ended before the answer was recorded"


@frozen(kw_only=True)
class Row:
    """What a journal holds of one item.

    Attributes:
        index: zero-based place in the source.
        item: what was asked for: ``source_email``, ``target_userid``, ``key``, ``connection_id``, ``message_digest``
            and so on.
        outcome: as `Outcome.as_dict` names it; ``in_doubt`` if the run ended between the intent and the answer.
        said: the latest outcome; None if the run ended before there was one.
        intent_at: when something was about to be sent, for the last time; aware, None if never.
        outcome_at: when the latest outcome was recorded; aware, None if never.
    """

    index: int
    item: dict[str, str]
    outcome: str
    said: Said | None
    intent_at: datetime | None
    outcome_at: datetime | None

    @property
    def details(self) -> dict[str, str | int | None]:
        """What the outcome adds to `as_dict`, besides an error: ``status``, ``connection_id``, ``was``, ..."""
        facts = {} if self.said is None else self.said.facts
        if "status" in facts:
            facts["status"] = facts["status"] or "none"
        names = {"of": "duplicate_of"}
        return {names.get(name, name): value for name, value in facts.items() if name not in {"error", "reason"}}

    @property
    def error(self) -> str | None:
        """Why the item was not done, as in `Outcome.as_dict`."""
        if self.said is None:
            return _CUT_SHORT
        facts = self.said.facts
        error = facts.get("error")
        return f"{error['class']}: {error['text']}" if error else facts.get("reason")

    def as_dict(self) -> dict[str, Any]:
        """A flat dictionary with the names that `Outcome.as_dict` has, and the two times in ISO 8601.

        It has only those of the identities and details that the item has.
        """
        said = self.said or Said("in_doubt")
        return {
            "index": self.index,
            **self.item,
            "outcome": self.outcome,
            **self.details,
            "attempts": said.attempts,
            "elapsed_ms": milliseconds(said.elapsed),
            "waited_ms": milliseconds(said.waited),
            "error": self.error,
            "intent_at": self.intent_at.isoformat() if self.intent_at else None,
            "outcome_at": self.outcome_at.isoformat() if self.outcome_at else None,
        }


@define(eq=False)
class Report:
    """What a journal says of its run.

    ``with report("invites.sqlite") as run: print(run.tally, *run.rows())``

    No run can use the journal until the report is closed.

    Attributes:
        verb: which bulk run it was.
        origin: of the server.
        userid: of the signed-in user; None if there was none.
        created: when the run began first; aware.
        finished: when it was finished, the source exhausted and each item with a verdict, first; aware. None if it is
            not.
        tally: every item that was recorded, by its latest outcome; one that was cut short is in doubt.
    """

    verb: str
    origin: str
    userid: str | None
    created: datetime
    finished: datetime | None
    tally: Tally
    _name: str = field(repr=False)
    _db: Connection = field(repr=False)
    _left: ExitStack = field(repr=False)
    _closed: bool = field(default=False, repr=False)

    def rows(self) -> Iterator[Row]:
        """One row per item that was recorded, by index; they are read from the disk while they are asked for.

        Raises:
            UsageError: the report is closed.
            JournalError: the disk is failing.
        """
        from aioconnections.journal.database import os_errors

        with os_errors(self._name):
            if self._closed:
                raise UsageError("the report is closed")
            for index, item, sent, answered, data in self._db.execute(f"{_ROWS} ORDER BY idx"):
                said = Said.from_text(data) if data is not None else None
                outcome = said.outcome if said is not None else "in_doubt"
                yield Row(
                    index=index,
                    item=columns(item),
                    outcome=outcome,
                    said=said,
                    intent_at=_time(sent),
                    outcome_at=_time(answered),
                )

    def close(self) -> None:
        """Give the file up."""
        self._closed = True
        self._left.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def report(path: str | os.PathLike[str]) -> Report:
    """Read a journal, of a run that is over or was cut short. It blocks while it verifies all of it.

    Any number of reports can be open at a time. In a folder that is read-only, where no lock file can be made, it works
    if the journal was closed, or if the lock file is there and SQLite can read the log; SQLite's own lock is then what
    keeps out runs.

    Raises:
        JournalLockedError: a run has it open.
        JournalLogMissingError: it was not closed, and the file with its latest rows is missing.
        JournalDiskError: the disk is failing.
        JournalError: the file is damaged, no journal, or cannot be opened.
    """
    from aioconnections.journal.database import os_errors
    from aioconnections.journal.file import recognise
    from aioconnections.journal.lock import take
    from aioconnections.journal.reading import fold, whole

    file = Path(path)
    with ExitStack() as left, os_errors(file.name):
        recognise(file, file.lstat())  # before a lock file is made beside it
        left.callback(take(file, shared=True).release)
        db, head = left.enter_context(whole(file, None, lambda: True))
        fold(db)
        counts: dict[str, int] = {}
        for name, detail, count in db.execute(_COUNTS):
            _count(counts, name or "in_doubt", detail, count)
        tally = Tally(read=sum(n for name, n in counts.items() if not name.startswith("status_")), **counts)
        bound = head.mark.binding
        made, finished = moment(head.mark.created), _time(head.finished)
        return Report(bound.verb, bound.origin, bound.userid, made, finished, tally, file.name, db, left.pop_all())


def _count(counts: dict[str, int], name: str, detail: str | None, count: int) -> None:
    counts[name] = counts.get(name, 0) + count
    if detail is not None:
        status = Said(name, detail).facts["status"] or "none"
        counts[f"status_{status}"] = counts.get(f"status_{status}", 0) + count


def _time(wall: int | None) -> datetime | None:
    return None if wall is None else moment(wall)
