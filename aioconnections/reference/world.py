"""What all operations of one server work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioconnections.reference.answers import INVALID, Document, Done, Refusal, Refused
from aioconnections.reference.documents import Documents
from aioconnections.reference.lookup import Lookup
from aioconnections.reference.posted import Posted, read_entry
from aioconnections.reference.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioconnections.reference.answers import Answer, Look
    from aioconnections.reference.commits import Commits
    from aioconnections.reference.directory import Directory
    from aioconnections.reference.request import Request
    from aioconnections.reference.settings import Settings

__all__ = ["World"]


class World:
    """Who there is, what has happened, and how this server behaves."""

    def __init__(self, directory: Directory, settings: Settings, commits: Commits) -> None:
        self.directory = directory
        self.settings = settings
        self.commits = commits
        self.state: State = State(directory, commits)
        self.lookup: Lookup = Lookup(directory, settings)
        self.documents: Documents = Documents(directory, settings)

    def is_administrator(self, user: int | None) -> bool:
        """Whether this is the one account with more rights."""
        return user == self.directory.administrator

    def posted(self, request: Request, *kinds: str, otherwise: Refused = INVALID) -> Posted:
        """The entry that was sent.

        Raises:
            Refusal: with `otherwise`, if it is of none of these `kinds`.
        """
        entry = read_entry(request.body)
        if entry is None or entry.terms.get("type") not in kinds:
            raise Refusal(otherwise)
        return entry

    def created(self, look: Look, location: str, write: Callable[[str], str]) -> Answer:
        """201, with the entry that the pages promise or the empty body that was recorded."""
        if self.settings.invite_201_body == "entry":
            return Document(look, write, headers=((b"location", location.encode()),), status=201)
        return Done(201, "communities" if look == "communities" else "profiles", location)
