"""The log of all changes to a server, against which tests compare what a client recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from aioconnections.reference.directory import Directory

__all__ = ["Commit", "CommitLog", "CommitVerb", "as_line"]

CommitVerb: TypeAlias = Literal[
    "invite",
    "accept",
    "edit",
    "remove",
    "connect",
    "disconnect",
    "invite to community",
    "join community",
    "withdraw from community",
]


class Commit(NamedTuple):
    """One change.

    Attributes:
        number: position in the log, from 0.
        at: time in seconds since 1970.
        verb: what changed. ``remove`` also stands for a declined or withdrawn invitation of a colleague, ``withdraw
            from community`` for a declined or revoked one, ``join community`` for an accepted one and for a member
            that an owner added.
        actor: userid of the signed-in user.
        source: userid of the person whose side the log describes: the one who invites, accepts or removes.
        target: userid of the other person; for communities the person who is invited or added.
        subject: id of the connection as `source` sees it, or uuid of the community.
    """

    number: int
    at: float
    verb: CommitVerb
    actor: str
    source: str
    target: str
    subject: str


class CommitLog:
    """All changes so far, optionally also written to a file as lines of JSON."""

    def __init__(self, directory: Directory, clock: Callable[[], float], path: str | PathLike[str] | None) -> None:
        self._directory = directory
        self._clock = clock
        self._commits: list[Commit] = []
        self._path = None if path is None else Path(path)
        if self._path is not None:
            self._path.open("ab").close()  # fail now if the file cannot be written

    @property
    def commits(self) -> Sequence[Commit]:
        """The changes, oldest first."""
        return self._commits

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int(self._clock() * 1000)

    def add(self, verb: CommitVerb, *, actor: int, source: int, target: int, subject: str) -> None:
        """Record a change."""
        userids = [str(self._directory.person(number).userid) for number in (actor, source, target)]
        commit = Commit(len(self._commits), self._clock(), verb, userids[0], userids[1], userids[2], subject)
        self._commits.append(commit)
        if self._path is not None:
            with self._path.open("ab", buffering=0) as file:  # a single write keeps each line whole
                file.write(as_line(commit))


def as_line(commit: Commit) -> bytes:
    """The commit as a line of JSON."""
    return json.dumps(commit._asdict(), ensure_ascii=False).encode() + b"\n"
