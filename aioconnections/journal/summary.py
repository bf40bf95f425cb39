"""The report of a run: a fold of its journal, which changes nothing and may be made at any time but during the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from attrs import define, field, frozen

from aioconnections.errors import InDoubtError, JournalError, UsageError
from aioconnections.journal.items import reference_columns
from aioconnections.journal.stored import StoredOutcome, moment, replay
from aioconnections.outcomes import InDoubt, Outcome, Tally, milliseconds

if TYPE_CHECKING:
    from aioconnections.journal.database import SqliteConnection

__all__ = ["RecordedItem", "RecordedItems", "Report", "report"]

_ROWS = """
SELECT fold.idx AS idx, coalesce(stored.item, sent.item), sent.wall, stored.wall,
    CASE WHEN fold.outcome > coalesce(fold.intent, 0) THEN stored.data END AS data
FROM temp.fold
LEFT JOIN entry AS sent ON sent.seq = fold.intent
LEFT JOIN entry AS stored ON stored.seq = fold.outcome
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
class RecordedItem:
    """What a journal holds of one item.

    Attributes:
        index: zero-based place in the source.
        item: what was asked for: ``source_email``, ``target_userid``, ``key``, ``connection_id``, ``message_digest``
            and so on.
        outcome: as `Outcome.as_dict` names it; ``in_doubt`` if the run ended between the intent and the answer.
        stored: the latest outcome; None if the run ended before there was one.
        intent_at: when something was about to be sent, for the last time; aware, None if never.
        outcome_at: when the latest outcome was recorded; aware, None if never.
    """

    index: int
    item: dict[str, str]
    outcome: str
    stored: StoredOutcome | None
    intent_at: datetime | None
    outcome_at: datetime | None

    @property
    def details(self) -> dict[str, str | int | None]:
        """What the outcome adds to `as_dict`, besides an error: ``status``, ``connection_id``, ``was``, ..."""
        facts = {} if self.stored is None else self.stored.facts
        if "status" in facts:
            facts["status"] = facts["status"] or "none"
        names = {"of": "duplicate_of"}
        return {names.get(name, name): value for name, value in facts.items() if name not in {"error", "reason"}}

    def replay(self, item: object) -> Outcome:
        """The outcome of `item`, which this is about, `replayed`."""
        if self.stored is None:
            error = InDoubtError(_CUT_SHORT)
            return InDoubt(error, index=self.index, item=item, replayed=True, recorded_at=self.intent_at)
        return replay(self.stored, index=self.index, item=item, recorded_at=self.outcome_at)

    @property
    def error(self) -> str | None:
        """Why the item was not done, as in `Outcome.as_dict`."""
        if self.stored is None:
            return _CUT_SHORT
        facts = self.stored.facts
        error = facts.get("error")
        return f"{error['class']}: {error['text']}" if error else facts.get("reason")

    def as_dict(self) -> dict[str, Any]:
        """A flat dictionary with the names that `Outcome.as_dict` has, and the two times in ISO 8601.

        It has only those of the identities and details that the item has.
        """
        stored = self.stored or StoredOutcome("in_doubt")
        return {
            "index": self.index,
            **self.item,
            "outcome": self.outcome,
            **self.details,
            "attempts": stored.attempts,
            "elapsed_ms": milliseconds(stored.elapsed),
            "waited_ms": milliseconds(stored.waited),
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
    _db: SqliteConnection = field(repr=False)
    _left: ExitStack = field(repr=False)
    _closed: bool = field(default=False, repr=False)

    def rows(self) -> Iterator[RecordedItem]:
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
                stored = StoredOutcome.from_text(data) if data is not None else None
                outcome = stored.outcome if stored is not None else "in_doubt"
                yield RecordedItem(
                    index=index,
                    item=reference_columns(item),
                    outcome=outcome,
                    stored=stored,
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
        status = StoredOutcome(name, detail).facts["status"] or "none"
        counts[f"status_{status}"] = counts.get(f"status_{status}", 0) + count


def _time(wall: int | None) -> datetime | None:
    return None if wall is None else moment(wall)


class RecordedItems:
    """Looks up the items of a journal by ascending index, and closes the report when its block is left.

    Args:
        path: of the journal, which is read when the first item is looked up.
        is_usable: whether the journal is of the same run; otherwise nothing is found.
    """

    def __init__(self, path: Path, is_usable: Callable[[Report], bool]) -> None:
        self._path = path
        self._is_usable = is_usable
        self._stack = ExitStack()
        self._rows: Iterator[RecordedItem] | None = None
        self._next: RecordedItem | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def find(self, index: int, reference: str) -> RecordedItem | None:
        """The item at this index if it has this reference; None if not, or if the journal cannot be read."""
        try:
            if self._rows is None:
                self._rows = self._read()
            while self._next is None or self._next.index < index:
                self._next = next(self._rows)
        except StopIteration:
            return None
        except JournalError:  # already reported by the run, or reported by the next one
            self._rows = iter(())
            return None
        found = self._next
        return found if found.index == index and found.item == reference_columns(reference) else None

    def _read(self) -> Iterator[RecordedItem]:
        run = self._stack.enter_context(report(self._path))
        return run.rows() if self._is_usable(run) else iter(())
