"""Colleague connections: the protocol pages from "Invite" to "List / search a person's colleagues".

An outsider sees accepted connections only. The administrator sees all, which is a rule of this server and of no page:
it is there so that one account can check everybody.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from aioconnections.records import Status
from aioconnections.reference.answers import (
    INVALID,
    NO_CONNECTION,
    NOT_AUTHORIZED,
    Answer,
    Document,
    Done,
    Refusal,
    Refused,
)
from aioconnections.reference.documents import Feed
from aioconnections.reference.lookup import PERSON, SOURCE, TARGET, cut, milliseconds
from aioconnections.reference.people import card, own_address
from aioconnections.reference.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aioconnections.reference.request import Request
    from aioconnections.reference.ties import Row

__all__ = ["Colleagues"]

_ALREADY = Refused(400, "CLFRN1168E: A connection to this user already exists or is pending.", code="")
_PAGE_SIZE = 10
_HEADERS = {
    status: ((b"x-profiles-connection-type", b"colleague"), (b"x-profiles-connection-status", status.encode()))
    for status in Status
}


@frozen
class Colleagues:
    """The operations on colleague connections."""

    world: World

    def check(self, request: Request) -> Answer:
        """GET and HEAD ``connection.do``: two people, each named once, or the id of a connection."""
        world, query = self.world, request.query
        if "connectionId" in query:
            row = world.state.row_with_id(query["connectionId"][0])
        elif query.get("connectionType", [""])[0] != "colleague":
            return INVALID
        else:
            source, target = world.lookup.person(query, SOURCE), world.lookup.person(query, TARGET)
            if source is None or target is None:
                return INVALID if world.settings.dialect.unknown_person == 400 else NO_CONNECTION
            row = world.state.row(source, target)
        if row is None or not self._sees(request.user, row):
            return NO_CONNECTION
        write = partial(world.documents.connection, row, with_message=self._message_wanted(request, row.source))
        return Document("profiles", write, row.updated // 1000, _HEADERS[row.status])

    def feed(self, request: Request) -> Answer:
        """GET ``connections.do``: a person's colleagues, or what is pending, or unconfirmed."""
        _colleague_type(request)
        kind, text = self.world.lookup.given(request.query, PERSON)
        number = self.world.directory.number(kind, text)
        if number is None:
            if self.world.settings.dialect.unknown_person == 400:
                return INVALID
            return self._feed(request, text, [])
        rows = [row for row in self._matching(request, number) if self._sees(request.user, row)]
        return self._feed(request, self.world.directory.person(number).name or "", rows)

    def in_common(self, request: Request) -> Answer:
        """GET ``connectionsInCommon.do``: whom two people both have as colleagues."""
        _colleague_type(request)
        kind, text = self.world.lookup.given(request.query, PERSON)
        people = [number for number in self.world.lookup.several(kind, text) if number is not None]
        if len(people) != 2:
            return INVALID
        one, other = people
        rows = [row for row in self._matching(request, one) if self._are_colleagues(other, row.target)]
        names = " and ".join(self.world.directory.person(number).name or "" for number in (one, other))
        answer = self._feed(request, f"{names} (in common)", rows)
        return answer._replace(headers=((b"x_profiles_connections_in_common_count", b"%d" % len(rows)),))

    def invite(self, request: Request) -> Answer:
        """POST ``connections.do``: whoever has signed in invites the person named."""
        user, world = request.signed_in(), self.world
        _colleague_type(request)
        invitee = world.lookup.person(request.query, PERSON)
        entry = world.posted(request, "connection")
        if invitee is None or invitee == user or entry.terms.get("connection/type") != "colleague":
            return INVALID
        if world.settings.dedup and world.state.row(user, invitee) is not None:
            return _ALREADY
        row = world.state.invite(user, invitee, entry.message)
        return self._created(request, row)

    def update(self, request: Request) -> Answer:
        """PUT ``connection.do``: accepts if the invitee says ``accepted``; in any case the message is replaced."""
        row = self._own(request)
        entry = self.world.posted(request, "connection")
        wanted = entry.terms.get("status", "")
        if wanted == Status.ACCEPTED and row.status is Status.PENDING:
            self.world.state.accept(row, entry.message)
        elif wanted == row.status:
            self.world.state.edit(row, entry.message)
        else:
            return NOT_AUTHORIZED if wanted == Status.ACCEPTED else INVALID
        return Done()

    def remove(self, request: Request) -> Answer:
        """DELETE ``connection.do``: declines, withdraws or ends; both rows go."""
        row = self._own(request)
        self.world.state.remove(row.source, row)
        return Done()

    def connect(self, request: Request) -> Answer:
        """PUT ``connections.do`` of the Administration API: connects two people; ``action=complete`` is required."""
        world = self.world
        self._administrator(request)
        if request.first("action") != "complete":
            return INVALID
        source, target = world.lookup.person(request.query, SOURCE), world.lookup.person(request.query, TARGET)
        if source is None or target is None or source == target:
            return INVALID
        # the page shows a body and says that there is none: both will do
        message = world.posted(request, "connection").message if request.body.strip() else ""
        row = world.state.row(source, target)
        if world.settings.dedup and row is not None and row.status is Status.ACCEPTED:
            return _ALREADY
        return self._created(request, world.state.connect(request.signed_in(), source, target, message))

    def disconnect(self, request: Request) -> Answer:
        """DELETE ``connections.do`` of the Administration API: by id, and then nothing else is read, or by people."""
        world, query = self.world, request.query
        self._administrator(request)
        if "connectionId" in query:
            row = world.state.row_with_id(query["connectionId"][0])
        else:
            source, target = world.lookup.person(query, SOURCE), world.lookup.person(query, TARGET)
            if source is None or target is None:
                return INVALID
            row = world.state.row(source, target)
        if row is None:
            return NO_CONNECTION
        world.state.remove(request.signed_in(), row)
        return Done()

    def administration(self, request: Request) -> Answer:
        """GET ``profileService.do`` of the Administration API."""
        self._administrator(request)
        return Document("service document", self.world.documents.administration)

    def _administrator(self, request: Request) -> None:
        if not self.world.is_administrator(request.signed_in()):
            raise Refusal(NOT_AUTHORIZED)

    def _own(self, request: Request) -> Row:
        """The user's row of the connection named by either of its two ids."""
        user = request.signed_in()
        if "connectionId" not in request.query:
            raise Refusal(INVALID)
        row = self.world.state.row_with_id(request.query["connectionId"][0])
        if row is None:
            raise Refusal(NO_CONNECTION)
        if user not in (row.source, row.target):
            raise Refusal(NOT_AUTHORIZED)
        return row if user == row.source else self.world.state.other_side(row)

    def _created(self, request: Request, row: Row) -> Answer:
        """As recorded: the id in ``Location`` is that of the other one's row."""
        other = self.world.directory.connection_id(self.world.state.other_side(row))
        location = f"{request.base}/profiles/atom/connection.do?connectionId={other}"
        return self.world.created(
            "profiles", location, partial(self.world.documents.connection, row, with_message=False)
        )

    def _matching(self, request: Request, person: int) -> list[Row]:
        """The rows of a person that the parameters ask for, in their order."""
        wanted = request.first("status") or Status.ACCEPTED
        if wanted not in set(Status):
            raise Refusal(INVALID)
        since = milliseconds(request.first("since")) if "since" in request.query else None
        rows = [
            row
            for row in self.world.state.rows_of(person)
            if row.status == wanted and (since is None or row.updated > since)
        ]
        order, direction = request.first("sortBy"), request.first("sortOrder")
        if order not in {"", "displayName", "modified"} or direction not in {"", "asc", "desc"}:
            raise Refusal(INVALID)
        if order == "modified":
            rows.sort(key=lambda row: row.updated, reverse=direction == "desc")
        elif order:
            names = {row.target: (self.world.directory.person(row.target).name or "").casefold() for row in rows}
            rows.sort(key=lambda row: names[row.target], reverse=direction == "desc")
        return rows

    def _feed(self, request: Request, whose: str, rows: Sequence[Row]) -> Document:
        settings, documents = self.world.settings, self.world.documents
        page = cut(request, len(rows), default=settings.page_default or _PAGE_SIZE, most=settings.max_ps)
        feed = Feed(f"Connections of {whose}", request.path, own_address(request), page, self.world.commits.now())
        kind, look = request.first("outputType") or "connection", card(request)
        if kind not in {"connection", "profile"}:
            raise Refusal(INVALID)
        with_message = bool(rows) and self._message_wanted(request, rows[0].source)

        def write(base: str) -> str:
            entries = (
                documents.profile_content(row.target, base, look)
                if kind == "profile"
                else f"<entry>{documents.connection_content(row, base, with_message=with_message)}"
                for row in page.of(rows)
            )
            return documents.feed(feed, base, entries)

        return Document("profiles", write)

    def _message_wanted(self, request: Request, source: int) -> bool:
        """Said to be for the source alone: for all others the message stays empty."""
        return request.user == source and request.query.get("inclMessage", [""])[0] == "true"

    def _are_colleagues(self, one: int, other: int) -> bool:
        row = self.world.state.row(one, other)
        return row is not None and row.status is Status.ACCEPTED

    def _sees(self, user: int | None, row: Row) -> bool:
        return row.status is Status.ACCEPTED or user in (row.source, row.target, self.world.directory.administrator)


def _colleague_type(request: Request) -> None:
    if request.first("connectionType") != "colleague":
        raise Refusal(INVALID)
