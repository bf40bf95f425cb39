"""The state and services that all endpoints of a server share."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from attrs import frozen

from aioconnections.reference.documents import ProfilesDocuments
from aioconnections.reference.request import read_entry
from aioconnections.reference.responses import INVALID, AtomDocument, EmptyResult, ErrorResult, RefusedError
from aioconnections.reference.state import RelationshipState

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioconnections.reference.commits import CommitLog
    from aioconnections.reference.directory import Directory
    from aioconnections.reference.population import IdentifierKind
    from aioconnections.reference.request import Parameters, PostedEntry, ServerRequest
    from aioconnections.reference.responses import DocumentKind, OperationResult
    from aioconnections.reference.settings import Settings

__all__ = ["PERSON", "SOURCE", "TARGET", "PersonLookup", "ServerContext"]
_ParameterNames: TypeAlias = "tuple[tuple[str, IdentifierKind], ...]"
SOURCE: _ParameterNames = (("sourceEmail", "email"), ("sourceKey", "key"), ("sourceUserid", "userid"))
TARGET: _ParameterNames = (("targetEmail", "email"), ("targetKey", "key"), ("targetUserid", "userid"))
PERSON: _ParameterNames = (("userid", "userid"), ("email", "email"), ("key", "key"))
_MAX_COMMAS = 3  # in one identifier


@frozen
class PersonLookup:
    """Finds the people that query parameters name."""

    directory: Directory
    settings: Settings

    def identifier(self, query: Parameters, names: _ParameterNames) -> tuple[IdentifierKind, str]:
        """The kind and the value of the only identifier among the parameters `names`.

        Raises:
            RefusedError: no identifier, more than one, or an e-mail address while addresses are hidden.
        """
        found: list[tuple[IdentifierKind, str]] = [
            (kind, value) for name, kind in names for value in query.get(name, ())
        ]
        if len(found) != 1 or (found[0][0] == "email" and self.settings.emails == "hidden"):
            raise RefusedError(INVALID)
        return found[0]

    def person(self, query: Parameters, names: _ParameterNames) -> int | None:
        """The number of the person that one of the parameters `names` identifies; None if the person is unknown.

        Raises:
            RefusedError: as for `identifier`.
        """
        return self.directory.number(*self.identifier(query, names))

    def people(self, kind: IdentifierKind, text: str) -> list[int | None]:
        """The people in `text`, a comma-separated list of identifiers; None for an unknown person.

        An identifier may itself contain commas, so the longest known identifier is preferred.
        """
        parts = text.split(",")
        found: list[int | None] = []
        while parts:
            candidates = (
                (length, self.directory.number(kind, ",".join(parts[:length])))
                for length in range(min(len(parts), _MAX_COMMAS + 1), 0, -1)
            )
            known = ((length, number) for length, number in candidates if number is not None)
            length, number = next(known, (1, None))
            found.append(number)
            del parts[:length]
        return found

    def all_people(self, query: Parameters) -> set[int]:
        """All people that the parameters name."""
        return {
            number
            for names in (PERSON, SOURCE, TARGET)
            for name, kind in names
            for value in query.get(name, ())
            for number in self.people(kind, value)
            if number is not None
        }


class ServerContext:
    """The directory, the changes made to it, and the behaviour of this server."""

    def __init__(self, directory: Directory, settings: Settings, commits: CommitLog) -> None:
        self.directory = directory
        self.settings = settings
        self.commits = commits
        self.state: RelationshipState = RelationshipState(directory, commits)
        self.lookup: PersonLookup = PersonLookup(directory, settings)
        self.documents: ProfilesDocuments = ProfilesDocuments(directory, settings)

    def is_administrator(self, user: int | None) -> bool:
        """Whether `user` is the administrator."""
        return user == self.directory.administrator

    def posted_entry(self, request: ServerRequest, *kinds: str, refusal: ErrorResult = INVALID) -> PostedEntry:
        """The entry in the request body.

        Raises:
            RefusedError: with `refusal`, if the body is not an entry of one of these `kinds`.
        """
        entry = read_entry(request.body)
        if entry is None or entry.terms.get("type") not in kinds:
            raise RefusedError(refusal)
        return entry

    def created(self, kind: DocumentKind, location: str, write: Callable[[str], str]) -> OperationResult:
        """A 201 with the entry that the vendor's pages promise, or with the empty body of the recordings."""
        if self.settings.invite_201_body == "entry":
            return AtomDocument(kind, write, headers=((b"location", location.encode()),), status=201)
        return EmptyResult(201, "communities" if kind == "communities" else "profiles", location)
