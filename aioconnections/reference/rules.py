"""What the answer to a request is: a value, decided from the request, who asks, and the directory.

Pure. How an answer is put into headers and XML is `documents` and `asgi`; who asks has been settled by `accounts`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from attrs import frozen

from aioconnections.records import Status
from aioconnections.reference.dialect import Dialect
from aioconnections.reference.directory import Directory
from aioconnections.reference.population import Kind
from aioconnections.reference.query import Parameters
from aioconnections.reference.ties import Row

__all__ = ["INVALID", "Answer", "ConnectionFound", "Emails", "Refused", "Rules", "ServiceDocument"]

Emails: TypeAlias = Literal["exposed", "hidden"]


class ConnectionFound(NamedTuple):
    """The entry of a connection, from its source's side, with or without the message of the invitation."""

    row: Row
    with_message: bool


class ServiceDocument(NamedTuple):
    """The service document of a person, by number."""

    person: int


class Refused(NamedTuple):
    """An error document of Profiles. Its ``code`` repeats the status."""

    status: int
    message: str


Answer: TypeAlias = ConnectionFound | ServiceDocument | Refused

INVALID = Refused(400, "CLFRN1172E: The request is invalid.")
"""What Profiles says of parameters that it cannot use."""
_NO_CONNECTION = Refused(404, "The connection does not exist.")  # no recording of this one: the words are ours

_Names: TypeAlias = tuple[tuple[str, Kind], ...]
_SOURCE: _Names = (("sourceEmail", "email"), ("sourceKey", "key"), ("sourceUserid", "userid"))
_TARGET: _Names = (("targetEmail", "email"), ("targetKey", "key"), ("targetUserid", "userid"))
_PERSON: _Names = (("userid", "userid"), ("email", "email"), ("key", "key"))


@frozen
class Rules:
    """The verdicts of one server."""

    directory: Directory
    dialect: Dialect
    emails: Emails

    def connection(self, query: Parameters, user: int) -> Answer:
        """GET and HEAD ``connection.do`` (protocol page "Checking whether two people are colleagues").

        Two people, each named once, or the id of a connection as in the ``self`` link of its entry. An outsider sees
        accepted connections only; the administrator sees all, which is a rule of this server and of no page: it is
        there so that one account can check everybody.
        """
        row: Row | Refused | None
        if "connectionId" in query:
            row = self.directory.row_with_id(query["connectionId"][0])
        elif query.get("connectionType", [""])[0] != "colleague":
            return INVALID
        else:
            row = self._between(query)
        if isinstance(row, Refused):
            return row
        if row is None or not self._sees(user, row):
            return _NO_CONNECTION
        # "if true, the caller must be the source": for all others the message stays empty
        return ConnectionFound(row, user == row.source and query.get("inclMessage", [""])[0] == "true")

    def service_document(self, query: Parameters, user: int) -> Answer:
        """GET and HEAD ``profileService.do``: one's own, or that of the person named."""
        if not any(name in query for name, _ in _PERSON):
            return ServiceDocument(user)
        person = self._person(query, _PERSON)
        return person if isinstance(person, Refused) else ServiceDocument(person)

    def _between(self, query: Parameters) -> Row | Refused | None:
        source = self._person(query, _SOURCE)
        if isinstance(source, Refused):
            return source
        target = self._person(query, _TARGET)
        return target if isinstance(target, Refused) else self.directory.row(source, target)

    def _person(self, query: Parameters, names: _Names) -> int | Refused:
        """The person whom exactly one of `names` gives, exactly once."""
        given: list[tuple[Kind, str]] = [(kind, value) for name, kind in names for value in query.get(name, ())]
        if len(given) != 1:
            return INVALID
        kind, value = given[0]
        if kind == "email" and self.emails == "hidden":
            return INVALID
        number = self.directory.number(kind, value)
        if number is not None:
            return number
        return INVALID if self.dialect.unknown_person == 400 else _NO_CONNECTION

    def _sees(self, user: int, row: Row) -> bool:
        return row.status is Status.ACCEPTED or user in (row.source, row.target, self.directory.administrator)
