"""What a command has to do with its journal, besides handing it to the client."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from aioconnections.cli.progress import say
from aioconnections.cli.rows import Item, RowConnection, RowInvitation, RowPair, RowPerson
from aioconnections.errors import InDoubtError, JournalError, JournalMismatchError
from aioconnections.journal import Journal, Past, Report, Said, columns, item_text, replay, report
from aioconnections.journal import Row as RecordedRow
from aioconnections.outcomes import InDoubt, Outcome

__all__ = ["WatchedJournal", "difference"]

_DIGEST = "message_digest"


class WatchedJournal(Journal):
    """A journal that knows of which items something was sent, in this run or before, and no outcome is recorded.

    Args:
        path: of the file.
        verb: of the run, as the client names it.
        origin: of the server.
        oldest: seconds that the answers of a finished check may be old.
        log_may_be_lost: whether to go on if its log is lost.

    Attributes:
        in_doubt: indices of these items.
        failure: what was wrong first, even where that did not end the run because it was about its last item.
    """

    def __init__(
        self, path: Path, *, verb: str, origin: str, oldest: float | None = None, log_may_be_lost: bool = False
    ) -> None:
        super().__init__(path, max_age=oldest, lost_log="in_doubt" if log_may_be_lost else None)
        self.in_doubt: set[int] = set()
        self.failure: JournalError | None = None
        self._bound = verb, origin
        self._oldest = oldest
        self._was_open = False
        self._last: float = float("inf")  # index that an earlier run recorded
        self._rows: Iterator[RecordedRow] | None = None
        self._row: RecordedRow | None = None
        self._left = ExitStack()

    async def open(self, *, verb: str, origin: str, userid: str | None, changes: bool = True) -> None:
        """See `Journal`."""
        await super().open(verb=verb, origin=origin, userid=userid, changes=changes)
        self._was_open = True
        if self._writer is not None:
            self._last = self._writer.last_index
        if self.kept is not None:
            say(f"aioconnections: the journal of a check that is finished is kept as {self.kept}; all is asked anew")

    def recorded(self, index: int, item: Item) -> Outcome | None:
        """What it holds of an item that the run, which is over, has not come to; None if nothing.

        It is asked in the order of the input, and blocks; `forget` gives the file up again. If the run could not begin,
        because the server was away, nobody can tell whether the same user would have signed in.
        """
        row, self._row = self._row, None
        with suppress(JournalError):  # why it cannot be read was said, or will be by the next run
            if self._rows is None:
                self._rows = self._read() if index <= self._last else iter(())
            while row is None or row.index < index:
                row = next(self._rows, None)
                if row is None:
                    return None
            self._row = row
            named = {name: value for name, value in row.item.items() if name != _DIGEST}
            return _outcome(row, item) if row.index == index and named == _named(item) else None
        return None

    def _read(self) -> Iterator[RecordedRow]:
        run = self._left.enter_context(report(self.path))
        return run.rows() if (run.verb, run.origin) == self._bound and not self._is_too_old(run) else iter(())

    def _is_too_old(self, run: Report) -> bool:
        """Whether a finished check would have been asked anew, had the run begun."""
        if self._was_open or self._oldest is None or run.finished is None:
            return False
        return (datetime.now(UTC) - run.finished).total_seconds() >= self._oldest

    def forget(self) -> None:
        """Read no more of what it holds."""
        self._rows = self._row = None
        self._left.close()

    async def past(self, index: int, item: str) -> Past | None:
        """See `Journal`."""
        with self._noticing():
            past = await super().past(index, item)
        if past is not None and past.in_doubt:
            self.in_doubt.add(index)
        return past

    async def intent(self, index: int, item: str, *, send: int) -> None:
        """See `Journal`."""
        self.in_doubt.add(index)
        with self._noticing():
            await super().intent(index, item, send=send)

    async def outcome(self, index: int, item: str, said: Said, *, durable: bool) -> datetime:
        """See `Journal`."""
        with self._noticing():
            recorded_at = await super().outcome(index, item, said, durable=durable)
        self.in_doubt.discard(index)
        return recorded_at

    @contextmanager
    def _noticing(self) -> Generator[None]:
        try:
            yield
        except JournalError as error:
            self.failure = self.failure or error
            raise


def _named(item: Item) -> dict[str, str]:
    """How a journal names an item."""
    match item:
        case RowPair():
            return columns(item_text(pair=item))
        case RowPerson():
            return columns(item_text(person=item.identity))
        case RowConnection():
            return columns(item_text(ref=("connection_id", str(item.id).strip())))
        case RowInvitation():
            href = item.edit_href or item.self_href or f"{item.community_uuid}"
            return columns(item_text(ref=("invitation_href", href)))
        case _:
            return {}


def _outcome(row: RecordedRow, item: Item) -> Outcome:
    if row.said is not None:
        return replay(row.said, index=row.index, item=item, recorded_at=row.outcome_at)
    doubt = InDoubtError(str(row.error))
    return InDoubt(doubt, index=row.index, item=item, replayed=True, recorded_at=row.intent_at)


def difference(error: JournalMismatchError, line: int | None) -> str:
    """One line that shows how an input differs from that of the run which the journal records."""
    was, now = columns(error.was), columns(error.now)
    where = f"line {line}" if line else "it"
    people = [{name: value for name, value in item.items() if name != _DIGEST} for item in (was, now)]
    if people[0] == people[1]:
        return f"{where} is the same, but the text that goes with it is another one"
    texts = [", ".join(f"{name} {value}" for name, value in item.items()) or "unreadable" for item in people]
    return f"{where} was {texts[0]}, and is {texts[1]} now"
