"""Endpoints of colleague connections: the protocol pages from "Invite" to "List / search a person's colleagues".

People who are not part of a connection see it only if it is accepted. The administrator sees all connections, so one
account can check all pairs; this rule is invented, because no vendor page states one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from aioconnections.records import Status
from aioconnections.reference.context import PERSON, SOURCE, TARGET, ServerContext
from aioconnections.reference.documents import ProfilesFeed
from aioconnections.reference.numbers import mix
from aioconnections.reference.people import requested_format
from aioconnections.reference.request import page_of, parse_time
from aioconnections.reference.responses import (
    INVALID,
    NO_CONNECTION,
    NOT_AUTHORIZED,
    AtomDocument,
    EmptyResult,
    ErrorResult,
    OperationResult,
    RefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aioconnections.reference.relationships import RelationshipRow
    from aioconnections.reference.request import ServerRequest

__all__ = ["ColleagueEndpoints"]
_ALREADY_EXISTS = ErrorResult(400, "CLFRN1168E: A connection to this user already exists or is pending.", code="")
_PAGE_SIZE = 10
_STATUS_HEADERS = {
    status: ((b"x-profiles-connection-type", b"colleague"), (b"x-profiles-connection-status", status.encode()))
    for status in Status
}


@frozen
class ColleagueEndpoints:
    """The operations on colleague connections."""

    context: ServerContext

    def check(self, request: ServerRequest) -> OperationResult:
        """GET and HEAD ``connection.do``: two people, each named once, or the id of a connection."""
        context, query = self.context, request.query
        if "connectionId" in query:
            row = context.state.row_with_id(query["connectionId"][0])
        elif query.get("connectionType", [""])[0] != "colleague":
            return INVALID
        else:
            source, target = context.lookup.person(query, SOURCE), context.lookup.person(query, TARGET)
            if source is None or target is None:
                return INVALID if context.settings.dialect.unknown_person == 400 else NO_CONNECTION
            row = context.state.row(source, target)
        if row is None or not self._is_visible(row, request.user):
            return NO_CONNECTION
        write = partial(context.documents.connection, row, with_message=self._includes_message(request, row.source))
        return AtomDocument("profiles", write, row.updated // 1000, _STATUS_HEADERS[row.status])

    def feed(self, request: ServerRequest) -> OperationResult:
        """GET ``connections.do``: a person's accepted, pending or unconfirmed connections."""
        _require_colleague_type(request)
        kind, text = self.context.lookup.identifier(request.query, PERSON)
        number = self.context.directory.number(kind, text)
        if number is None:
            if self.context.settings.dialect.unknown_person == 400:
                return INVALID
            return self._feed(request, text, [])
        rows = [row for row in self._requested_rows(request, number) if self._is_visible(row, request.user)]
        return self._feed(request, self.context.directory.person(number).name or "", rows)

    def in_common(self, request: ServerRequest) -> OperationResult:
        """GET ``connectionsInCommon.do``: the colleagues that two people have in common."""
        _require_colleague_type(request)
        kind, text = self.context.lookup.identifier(request.query, PERSON)
        people = [number for number in self.context.lookup.people(kind, text) if number is not None]
        if len(people) != 2:
            return INVALID
        first, second = people
        rows = [row for row in self._requested_rows(request, first) if self._are_colleagues(second, row.target)]
        names = " and ".join(self.context.directory.person(number).name or "" for number in people)
        document = self._feed(request, f"{names} (in common)", rows)
        return document._replace(headers=((b"x_profiles_connections_in_common_count", b"%d" % len(rows)),))

    def invite(self, request: ServerRequest) -> OperationResult:
        """POST ``connections.do``: the signed-in user invites the named person."""
        user, context = request.signed_in(), self.context
        if context.settings.require_connection_type or "connectionType" in request.query:
            _require_colleague_type(request)
        invitee = context.lookup.person(request.query, PERSON)
        entry = context.posted_entry(request, "connection")
        if invitee is None or invitee == user or entry.terms.get("connection/type") != "colleague":
            return INVALID
        if context.settings.dedup and context.state.row(user, invitee) is not None:
            return _ALREADY_EXISTS
        row = context.state.invite(user, invitee, entry.message)
        return self._created(request, row)

    def update(self, request: ServerRequest) -> OperationResult:
        """PUT ``connection.do``: accepts if the invitee sends ``accepted``; always replaces the message."""
        row = self._own_row(request)
        entry = self.context.posted_entry(request, "connection")
        status = entry.terms.get("status", "")
        if status == Status.ACCEPTED and row.status is Status.PENDING:
            self.context.state.accept(row, entry.message)
        elif status == row.status:
            self.context.state.edit(row, entry.message)
        else:
            return NOT_AUTHORIZED if status == Status.ACCEPTED else INVALID
        return EmptyResult()

    def remove(self, request: ServerRequest) -> OperationResult:
        """DELETE ``connection.do``: declines or withdraws an invitation or ends a connection, for both sides."""
        row = self._own_row(request)
        self.context.state.remove(row.source, row)
        return EmptyResult()

    def connect(self, request: ServerRequest) -> OperationResult:
        """PUT ``connections.do`` of the Administration API: connects two people; requires ``action=complete``."""
        context = self.context
        self._require_administrator(request)
        if request.first("action") != "complete":
            return INVALID
        source, target = context.lookup.person(request.query, SOURCE), context.lookup.person(request.query, TARGET)
        if source is None or target is None or source == target:
            return INVALID
        # The vendor's page both shows a body and excludes one, so a request may have one.
        message = context.posted_entry(request, "connection").message if request.body.strip() else ""
        row = context.state.row(source, target)
        if context.settings.dedup and row is not None and row.status is Status.ACCEPTED:
            return _ALREADY_EXISTS
        return self._created(request, context.state.connect(request.signed_in(), source, target, message))

    def disconnect(self, request: ServerRequest) -> OperationResult:
        """DELETE ``connections.do`` of the Administration API: by two people, or by id, which takes precedence."""
        context, query = self.context, request.query
        self._require_administrator(request)
        if "connectionId" in query:
            row = context.state.row_with_id(query["connectionId"][0])
        else:
            source, target = context.lookup.person(query, SOURCE), context.lookup.person(query, TARGET)
            if source is None or target is None:
                return INVALID
            row = context.state.row(source, target)
        if row is None:
            return NO_CONNECTION
        context.state.remove(request.signed_in(), row)
        return EmptyResult()

    def administration(self, request: ServerRequest) -> OperationResult:
        """GET ``profileService.do`` of the Administration API."""
        self._require_administrator(request)
        return AtomDocument("service document", self.context.documents.administration)

    def _require_administrator(self, request: ServerRequest) -> None:
        if not self.context.is_administrator(request.signed_in()):
            raise RefusedError(NOT_AUTHORIZED)

    def _own_row(self, request: ServerRequest) -> RelationshipRow:
        """The user's row of the connection; the request may contain the id of either row."""
        user = request.signed_in()
        if "connectionId" not in request.query:
            raise RefusedError(INVALID)
        row = self.context.state.row_with_id(request.query["connectionId"][0])
        if row is None:
            raise RefusedError(NO_CONNECTION)
        if user not in (row.source, row.target):
            raise RefusedError(NOT_AUTHORIZED)
        return row if user == row.source else self.context.state.other_side(row)

    def _created(self, request: ServerRequest, row: RelationshipRow) -> OperationResult:
        """A 201 whose ``Location`` has the id of the other side's row, as recorded."""
        other = self.context.directory.connection_id(self.context.state.other_side(row))
        location = f"{request.base}/profiles/atom/connection.do?connectionId={other}"
        write = partial(self.context.documents.connection, row, with_message=False)
        return self.context.created("profiles", location, write)

    def _requested_rows(self, request: ServerRequest, person: int) -> list[RelationshipRow]:
        """The rows of a person that match the query, in the requested order."""
        status = request.first("status") or Status.ACCEPTED
        if status not in set(Status):
            raise RefusedError(INVALID)
        since = parse_time(request.first("since")) if "since" in request.query else None
        rows = [
            row
            for row in self.context.state.rows_of(person)
            if row.status == status and (since is None or row.updated > since)
        ]
        rows = [row for row in rows if not self._is_omitted(row)]
        order, direction = request.first("sortBy"), request.first("sortOrder")
        if order not in {"", "displayName", "modified"} or direction not in {"", "asc", "desc"}:
            raise RefusedError(INVALID)
        if order == "modified":
            rows.sort(key=lambda row: row.updated, reverse=direction == "desc")
        elif order:
            names = {row.target: (self.context.directory.person(row.target).name or "").casefold() for row in rows}
            rows.sort(key=lambda row: names[row.target], reverse=direction == "desc")
        return rows

    def _is_omitted(self, row: RelationshipRow) -> bool:
        """Whether lists leave out a row that a check shows."""
        settings = self.context.settings
        if settings.lists_omit_inactive and self.context.directory.person(row.target).state == "inactive":
            return True
        if settings.lists_omit_pending and row.status is Status.PENDING:
            return True
        return mix(settings.omit_seed, 90, row.number) < settings.lists_omit * 2**64

    def _feed(self, request: ServerRequest, owner: str, rows: Sequence[RelationshipRow]) -> AtomDocument:
        settings, documents = self.context.settings, self.context.documents
        page = page_of(request, len(rows), default=settings.page_default or _PAGE_SIZE, maximum=settings.max_ps)
        now = self.context.commits.now()
        feed = ProfilesFeed(f"Connections of {owner}", request.path, request.link_query(), page, now)
        kind, form = request.first("outputType") or "connection", requested_format(request)
        if kind not in {"connection", "profile"}:
            raise RefusedError(INVALID)
        with_message = bool(rows) and self._includes_message(request, rows[0].source)

        def write(base: str) -> str:
            entries = (
                documents.profile_entry(row.target, base, form)
                if kind == "profile"
                else documents.connection_entry(row, base, with_message=with_message)
                for row in page.of(rows)
            )
            return documents.feed(feed, base, entries)

        return AtomDocument("profiles", write)

    def _includes_message(self, request: ServerRequest, source: int) -> bool:
        """Whether to include the message, which the vendor's page promises to the source only."""
        return request.user == source and request.query.get("inclMessage", [""])[0] == "true"

    def _are_colleagues(self, source: int, target: int) -> bool:
        row = self.context.state.row(source, target)
        return row is not None and row.status is Status.ACCEPTED

    def _is_visible(self, row: RelationshipRow, user: int | None) -> bool:
        return row.status is Status.ACCEPTED or user in (row.source, row.target, self.context.directory.administrator)


def _require_colleague_type(request: ServerRequest) -> None:
    if request.first("connectionType") != "colleague":
        raise RefusedError(INVALID)
