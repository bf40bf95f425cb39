"""The connections of a running server: what has changed, laid over a directory that never does."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from aioconnections.records import Status
from aioconnections.reference.ties import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioconnections.reference.commits import Commits, Verb
    from aioconnections.reference.directory import Directory

__all__ = ["State"]

_FIRST_NEW_ROW = 1 << 64  # no directory numbers its rows so high


class State:
    """What stands between people now. Each change is made at once, both rows together, and committed."""

    def __init__(self, directory: Directory, commits: Commits) -> None:
        self._directory = directory
        self._commits = commits
        self._changed: dict[int, dict[int, Row | None]] = {}
        self._made: dict[str, tuple[int, int]] = {}
        self._numbers = count(_FIRST_NEW_ROW)

    def row(self, source: int, target: int) -> Row | None:
        """What `source` sees of `target`."""
        changed = self._changed.get(source)
        if changed is not None and target in changed:
            return changed[target]
        return self._directory.row(source, target)

    def rows_of(self, source: int) -> Iterator[Row]:
        """Everything that `source` sees."""
        changed = self._changed.get(source, {})
        yield from (row for row in self._directory.rows_of(source) if row.target not in changed)
        yield from (row for row in changed.values() if row is not None)

    def row_with_id(self, connection_id: str) -> Row | None:
        """The row with this id, if it still is."""
        text = connection_id.strip().lower()
        ends = self._made.get(text)
        if ends is None:
            row = self._directory.row_with_id(text)
            if row is None:
                return None
            ends = row.source, row.target
        row = self.row(*ends)
        return row if row is not None and self._directory.connection_id(row) == text else None

    def other_side(self, row: Row) -> Row:
        """The row that the target of `row` sees."""
        other = self.row(row.target, row.source)
        if other is None:
            raise AssertionError(f"a relationship has two rows, but {row} has one")
        return other

    def invite(self, inviter: int, invitee: int, message: str) -> Row:
        """An invitation, and the inviter's row. What was there before is replaced."""
        row = self._relate(inviter, invitee, Status.UNCONFIRMED, Status.PENDING, message)
        self._commit("invite", inviter, row)
        return row

    def connect(self, actor: int, source: int, target: int, message: str) -> Row:
        """A connection that nobody has to confirm, and the source's row. What was there before is replaced."""
        row = self._relate(source, target, Status.ACCEPTED, Status.ACCEPTED, message)
        self._commit("connect", actor, row)
        return row

    def accept(self, row: Row, message: str) -> None:
        """The invitee, who sees `row`, accepts."""
        now = self._commits.now()
        self._put(row._replace(status=Status.ACCEPTED, updated=now, message=message))
        self._put(self.other_side(row)._replace(status=Status.ACCEPTED, updated=now))
        self._commit("accept", row.source, row)

    def edit(self, row: Row, message: str) -> None:
        """The message of `row` is replaced."""
        self._put(row._replace(updated=self._commits.now(), message=message))
        self._commit("edit", row.source, row)

    def remove(self, actor: int, row: Row) -> None:
        """Both rows go, told from the side of `row`."""
        self._changed.setdefault(row.source, {})[row.target] = None
        self._changed.setdefault(row.target, {})[row.source] = None
        self._commit("remove" if actor == row.source else "disconnect", actor, row)

    def _relate(self, source: int, target: int, here: Status, there: Status, message: str) -> Row:
        now = self._commits.now()
        row = Row(next(self._numbers), source, target, here, now, message)
        other = Row(next(self._numbers), target, source, there, now, message)
        for new in (row, other):
            self._made[self._directory.connection_id(new)] = (new.source, new.target)
            self._put(new)
        return row

    def _put(self, row: Row) -> None:
        self._changed.setdefault(row.source, {})[row.target] = row

    def _commit(self, verb: Verb, actor: int, row: Row) -> None:
        self._commits.add(
            verb,
            actor=actor,
            source=row.source,
            target=row.target,
            subject=self._directory.connection_id(row),
        )
