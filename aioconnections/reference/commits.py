"""What has been changed, in the order in which it happened: the truth that a client's own journal is held against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from aioconnections.reference.directory import Directory

__all__ = ["Commit", "Commits", "Verb", "as_line"]

Verb: TypeAlias = Literal[
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
        number: its place in the order, from 0.
        at: when, in seconds since 1970.
        verb: what happened. Whoever declines, withdraws or ends a connection removes it; whoever declines or revokes
            the invitation to a community withdraws it; whoever accepts that one, or adds a member, joins.
        actor: userid of who did it.
        source: userid of the person from whose side it is told: who invites, accepts or removes.
        target: userid of the other one; of the person invited, or added, where it is about a community.
        subject: id of the connection as `source` sees it, or uuid of the community.
    """

    number: int
    at: float
    verb: Verb
    actor: str
    source: str
    target: str
    subject: str


class Commits:
    """All changes so far, each also a line of a file if there is one."""

    def __init__(self, directory: Directory, clock: Callable[[], float], path: str | PathLike[str] | None) -> None:
        self._directory = directory
        self._clock = clock
        self._made: list[Commit] = []
        self._path = None if path is None else Path(path)
        if self._path is not None:
            self._path.open("ab").close()  # what cannot be written to is refused now, a folder for example

    @property
    def made(self) -> Sequence[Commit]:
        """The changes, oldest first."""
        return self._made

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int(self._clock() * 1000)

    def add(self, verb: Verb, *, actor: int, source: int, target: int, subject: str) -> None:
        """Write down a change."""
        who, one, other = (str(self._directory.person(number).userid) for number in (actor, source, target))
        commit = Commit(len(self._made), self._clock(), verb, who, one, other, subject)
        self._made.append(commit)
        if self._path is not None:
            with self._path.open("ab", buffering=0) as file:  # one write, so no line is ever cut
                file.write(as_line(commit))


def as_line(commit: Commit) -> bytes:
    """A line of JSON."""
    return json.dumps(commit._asdict(), ensure_ascii=False).encode() + b"\n"
