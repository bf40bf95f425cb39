"""What a command has to do with its journal, besides handing it to the client."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from aioconnections.errors import InvalidInputError, JournalError, JournalMismatchError
from aioconnections.journal import Journal, Past, Said, columns

__all__ = ["WatchedJournal", "apart", "difference"]

_DIGEST = "message_digest"


class WatchedJournal(Journal):
    """A journal that knows of which items something was sent, in this run or before, and no outcome is recorded.

    Attributes:
        in_doubt: their indices.
        failure: what was wrong first, even where that did not end the run because it was about its last item.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.in_doubt: set[int] = set()
        self.failure: JournalError | None = None

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

    async def outcome(self, index: int, item: str, said: Said, *, durable: bool) -> None:
        """See `Journal`."""
        with self._noticing():
            await super().outcome(index, item, said, durable=durable)
        self.in_doubt.discard(index)

    @contextmanager
    def _noticing(self) -> Generator[None]:
        try:
            yield
        except JournalError as error:
            self.failure = self.failure or error
            raise


def apart(journal: Path | None, output: Path | None) -> None:
    """Pass if the result is not written over the journal.

    Raises:
        InvalidInputError: it would be.
    """
    if journal is None or output is None:
        return
    files = [journal, *(journal.with_name(journal.name + rest) for rest in ("-wal", "-shm"))]
    if any(output.resolve() == file.resolve() or _same(output, file) for file in files):
        raise InvalidInputError("the result cannot be written over the journal")


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def difference(error: JournalMismatchError, line: int | None) -> str:
    """One line that shows how an input differs from that of the run which the journal records."""
    was, now = columns(error.was), columns(error.now)
    where = f"line {line}" if line else "it"
    people = [{name: value for name, value in item.items() if name != _DIGEST} for item in (was, now)]
    if people[0] == people[1]:
        return f"{where} is the same, but the text that goes with it is another one"
    texts = [", ".join(f"{name} {value}" for name, value in item.items()) or "unreadable" for item in people]
    return f"{where} was {texts[0]}, and is {texts[1]} now"
