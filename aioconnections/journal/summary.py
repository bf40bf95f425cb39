"""The report of a run, read from its journal without changing it. There is no report during the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from attrs import field

from aioconnections.errors import InDoubtError, JournalError, UsageError
from aioconnections.journal.items import reference_columns
from aioconnections.journal.stored import StoredOutcome, moment, replay
from aioconnections.outcomes import InDoubt, Outcome, Tally, milliseconds
from aioconnections.reprs import define, frozen

if TYPE_CHECKING:
    import sqlite3

    from aioconnections.journal.database import SqliteConnection
    from aioconnections.policy.timeline import Timeline

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
"""  # noqa: S608 # both parts are constants
_CUT_SHORT = "the run ended before the outcome was recorded"


@frozen(kw_only=True)
class RecordedItem:
    """The journal's record of one item.

    Attributes:
        index: zero-based place in the source.
        item: names and values that identify the item: ``source_email``, ``target_userid``, ``key``,
            ``connection_id``, ``message_digest`` and so on.
        outcome: name as in `Outcome.as_dict`; ``in_doubt`` if the run ended between the intent and the outcome.
        stored: the latest outcome; None if the run ended before it was recorded.
        intent_at: time of the last intent, aware; None if there is none.
        outcome_at: time of the latest outcome, aware; None if there is none.
    """

    index: int
    item: dict[str, str]
    outcome: str
    stored: StoredOutcome | None
    intent_at: datetime | None
    outcome_at: datetime | None

    @property
    def details(self) -> dict[str, str | int | None]:
        """The fields that the outcome adds to `as_dict`, except errors: ``status``, ``connection_id``, ``was``, ...

        A list of connections is represented by their number.
        """
        facts = {} if self.stored is None else self.stored.facts
        if "status" in facts:
            facts["status"] = facts["status"] or "none"
        if self.outcome == "listed":
            return {"connections": len(facts["connections"])}
        names = {"of": "duplicate_of"}
        return {names.get(name, name): value for name, value in facts.items() if name not in {"error", "reason"}}

    def replay(self, item: object) -> Outcome:
        """The recorded outcome for `item`, with `replayed` set."""
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
        """A flat dictionary with the names of `Outcome.as_dict`, and the two times in ISO 8601.

        Identities and details that the item does not have are left out.
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
    """The report of the run that a journal records.

    ``with report("invites.sqlite") as run: print(run.tally, *run.rows())``

    No run can use the journal until the report is closed.

    Attributes:
        verb: verb of the run.
        origin: origin of the server.
        userid: id of the signed-in user; None if there was none.
        created: when the run first began, aware.
        finished: when the run was first finished (source exhausted, each item with a final outcome), aware; None if it
            is not finished.
        tally: counts of the recorded items by their latest outcome; an item without an outcome is in doubt.
        timeline: the course of the run over time; None if the journal is of a format without one.
    """

    verb: str
    origin: str
    userid: str | None
    created: datetime
    finished: datetime | None
    tally: Tally
    timeline: Timeline | None
    _name: str = field(repr=False)
    _db: SqliteConnection = field(repr=False)
    _stack: ExitStack = field(repr=False)
    _closed: bool = field(default=False, repr=False)

    def rows(self) -> Iterator[RecordedItem]:
        """Iterate over the recorded items in the order of their index; they are read from the disk one by one.

        Raises:
            UsageError: the report is closed.
            JournalError: the disk is failing.
        """
        from aioconnections.journal.database import os_errors

        with os_errors(self._name):
            if self._closed:
                raise UsageError("the report is closed")
            rows = cast("sqlite3.Cursor", self._db.execute(f"{_ROWS} ORDER BY idx"))
            self._stack.callback(rows.close)  # the caller may keep an iterator that is not exhausted
            for index, item, intent, recorded, data in rows:
                stored = StoredOutcome.from_text(data) if data is not None else None
                outcome = stored.outcome if stored is not None else "in_doubt"
                yield RecordedItem(
                    index=index,
                    item=reference_columns(item),
                    outcome=outcome,
                    stored=stored,
                    intent_at=_time(intent),
                    outcome_at=_time(recorded),
                )

    def close(self) -> None:
        """Close the file and release the lock."""
        self._closed = True
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def report(path: str | os.PathLike[str]) -> Report:
    """Open a report of a journal whose run has ended or was interrupted. Blocks while it verifies the whole journal.

    Any number of reports can be open at a time. In a read-only folder a journal that was not closed is read from a copy
    in a private temporary folder, which is removed when the report is closed.

    Raises:
        JournalLockedError: a run has the journal open.
        JournalLogMissingError: the journal was not closed, and its log is missing.
        JournalDiskError: the disk is failing.
        JournalError: the file is damaged, not a journal, or cannot be opened.
    """
    from aioconnections.journal.database import os_errors
    from aioconnections.journal.file import recognise
    from aioconnections.journal.lock import take
    from aioconnections.journal.reading import fold, whole

    file = Path(path)
    with ExitStack() as stack, os_errors(file.name):
        recognise(file, file.lstat())  # before a lock file is created for it
        stack.callback(take(file, shared=True).release)
        db, head = stack.enter_context(whole(file, None, lambda: True))
        fold(db)
        counts: dict[str, int] = {}
        for name, detail, count in db.execute(_COUNTS):
            _count(counts, name or "in_doubt", detail, count)
        tally = Tally(read=sum(n for name, n in counts.items() if not name.startswith("status_")), **counts)
        binding = head.mark.binding
        created, finished = moment(head.mark.created), _time(head.finished)
        about = (binding.verb, binding.origin, binding.userid, created, finished, tally, head.timeline)
        return Report(*about, file.name, db, stack.pop_all())


def _count(counts: dict[str, int], name: str, detail: str | None, count: int) -> None:
    counts[name] = counts.get(name, 0) + count
    if detail is not None:
        status = StoredOutcome(name, detail).facts["status"] or "none"
        counts[f"status_{status}"] = counts.get(f"status_{status}", 0) + count


def _time(wall: int | None) -> datetime | None:
    return None if wall is None else moment(wall)


class RecordedItems:
    """Looks up the items of a journal in ascending order of their index. A context manager, which closes the report.

    Args:
        path: path of the journal, which is read at the first look-up.
        is_usable: returns whether the journal records the same run; if not, no item is found.
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
        """The item at this index; None if it has another reference, or if the journal cannot be read."""
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
