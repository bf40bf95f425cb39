"""The bulk verbs of the command line: the rows that they read, the runs that they start, and their output columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Literal, TypedDict, TypeVar

from attrs import evolve, frozen

from aioconnections.bulk import Outcomes
from aioconnections.cli import record_rows
from aioconnections.client import Client
from aioconnections.client.caller import OnProgress
from aioconnections.files.checks import CHECKED, PLANNED, check_columns, planned_check_columns
from aioconnections.files.rows import (
    CONNECTIONS,
    INVITATIONS,
    PAIRS,
    PEOPLE,
    InputRow,
    Item,
    RowConnection,
    RowInvitation,
    RowPair,
    RowPerson,
    Shape,
)
from aioconnections.identifiers import plain_text
from aioconnections.journal import Journal
from aioconnections.outcomes import Listed, Outcome, Removed, Resolved
from aioconnections.protocol import colleagues, communities, discovery, listing, profiles
from aioconnections.protocol.address import Address
from aioconnections.protocol.colleagues import OnUnknown
from aioconnections.protocol.messages import Flow
from aioconnections.records import Connection, Identity, Status, Userid

__all__ = [
    "ACCEPT",
    "ACCEPT_INVITATION",
    "CHECK",
    "DECLINE_INVITATION",
    "DISCONNECT",
    "PLANNED_CHECK",
    "REMOVE",
    "RESOLVE",
    "REVOKE_INVITATION",
    "BulkVerb",
    "RunArguments",
    "connect",
    "invite",
    "invite_to_community",
    "list_colleagues",
]

ItemT = TypeVar("ItemT", bound=Item)

_YOU = Userid("(you)")


class RunArguments(TypedDict):
    """Arguments of a run that all verbs share."""

    ordered: bool
    journal: Journal | None
    on_progress: OnProgress | None


def _label(outcome: Outcome) -> str:
    return outcome.kind.replace("_", " ")


@frozen(kw_only=True)
class BulkVerb(Generic[ItemT]):
    """One bulk verb.

    Attributes:
        name: name of the verb, as in a journal.
        doing: label of the progress bar.
        done: participle in the summary, after the number of items.
        shape: shape of the input.
        start: starts the run over items.
        plan: the request flow of one item; a dry run shows its first request. None if responses decide about it.
        ends: the two people of an item, for a dry run that estimates the requests of checks; None for other verbs.
        once: whether a repeated person is skipped.
        changes: whether the verb changes anything on the server.
        then: the next request, for a dry run, if it depends on the first response.
        added: columns for the outcome.
        to_columns: makes the values of `added`; None to take those of `Outcome.as_dict`.
        label: makes the label of a good outcome in the summary.
        labels: labels that are listed first in the summary.
        to_rows: makes the values of `added` for each row of an outcome; None if each outcome has one row.
        rows_of: the number of rows of an outcome, given its first row.
        found: the number of records in an outcome, which the summary adds up.
        records: what these records are, in the summary.
        uses_lists: whether lists may answer in place of a request for each item; the summary then counts requests.
        question: what to ask before more than a few items, with ``{}`` for their number; None if nothing is removed.
        copies: whether the result has the columns of the input.
    """

    name: str
    doing: str
    done: str = "done"
    shape: Shape[ItemT]
    start: Callable[[Client, Any, RunArguments], Outcomes[Any]]
    plan: Callable[[Address, ItemT], Flow[Any]] | None
    ends: Callable[[ItemT], tuple[Identity, Identity]] | None = None
    once: bool = False
    changes: bool = True
    then: str | None = None
    added: tuple[str, ...] = ("outcome",)
    to_columns: Callable[[Outcome], InputRow] | None = None
    label: Callable[[Outcome], str] = _label
    labels: tuple[str, ...] = ()
    to_rows: Callable[[Outcome], Iterable[InputRow]] | None = None
    rows_of: Callable[[InputRow], int] = lambda _: 1
    found: Callable[[Outcome], int] = lambda _: 0
    records: str = "records"
    uses_lists: bool = False
    question: str | None = None
    copies: bool = True

    def rows(self, outcome: Outcome) -> Iterable[InputRow]:
        """The values of `added` for each row of this outcome, which are one or more."""
        if self.to_rows is not None:
            return self.to_rows(outcome)
        if self.to_columns is not None:
            return (self.to_columns(outcome),)
        values = outcome.as_dict()
        return ({name: values.get(name) for name in self.added},)


_FOUND = ("outcome", "name", "found_userid", "found_key", "found_email")


def _resolved(outcome: Outcome) -> str:
    """The label of an outcome; an unknown person is a good outcome with a label of its own."""
    return "unknown" if isinstance(outcome, Resolved) and outcome.profile is None else _label(outcome)


def _found(outcome: Outcome) -> InputRow:
    values = outcome.as_dict()
    return {**{name: values.get(name) for name in _FOUND}, "outcome": _resolved(outcome)}


def _removed(outcome: Outcome) -> str:
    """The label of a deletion, which depends on the previous status."""
    was = outcome.was if isinstance(outcome, Removed) else None
    return "declined" if was is Status.PENDING else "withdrawn" if was is Status.UNCONFIRMED else "removed"


_LISTED = tuple(name for name in record_rows.CONNECTIONS.columns if not name.startswith("message"))


def _connections(outcome: Outcome) -> tuple[Connection, ...]:
    return outcome.connections if isinstance(outcome, Listed) else ()


def _listed(outcome: Outcome) -> Iterator[InputRow]:
    """A row for each connection, or one row if there is none."""
    values = outcome.as_dict()
    first: InputRow = {"outcome": values["outcome"], "connections": values.get("connections")}
    connections = _connections(outcome)
    for connection in connections:
        row = record_rows.CONNECTIONS.row(connection)
        yield first | {name: row[name] for name in _LISTED}
    if not connections:
        yield {**first, **dict.fromkeys(_LISTED)}


CHECK: BulkVerb[RowPair] = BulkVerb(
    name="check",
    doing="checking",
    done="checked",
    changes=False,
    shape=PAIRS,
    start=lambda client, pairs, options: client.check_many(pairs, **options),
    plan=profiles.check,
    ends=lambda pair: (pair.source, pair.target),
    added=CHECKED,
    to_columns=check_columns,
    label=lambda outcome: str(outcome.as_dict()["status"]),
    labels=(*Status, "none"),
)


def _check_by_plan(client: Client, pairs: Any, options: RunArguments) -> Outcomes[Any]:
    return client.check_many(pairs, plan="auto", **options)


PLANNED_CHECK = evolve(
    CHECK,
    start=_check_by_plan,
    plan=None,
    uses_lists=True,
    added=PLANNED,
    to_columns=planned_check_columns,
)

RESOLVE: BulkVerb[RowPerson] = BulkVerb(
    name="resolve",
    doing="looking up",
    done="looked up",
    changes=False,
    shape=PEOPLE,
    start=lambda client, people, options: client.resolve_many(
        people, ordered=options["ordered"], on_progress=options["on_progress"]
    ),
    plan=lambda address, person: discovery.profile(address, person.identity),
    added=_FOUND,
    to_columns=_found,
    label=_resolved,
    labels=("resolved", "unknown"),
)

ACCEPT: BulkVerb[RowConnection | RowPair] = BulkVerb(
    name="accept",
    doing="accepting",
    shape=CONNECTIONS,
    start=lambda client, connections, options: client.accept_many(connections, **options),
    plan=colleagues.accept,
    then="PUT of the entry in the response, with the status accepted, to the address in that entry",
)

REMOVE: BulkVerb[RowConnection | RowPair] = BulkVerb(
    name="remove",
    doing="removing",
    shape=CONNECTIONS,
    start=lambda client, connections, options: client.remove_many(connections, **options),
    plan=colleagues.remove,
    then="DELETE of the address in the response",
    added=("outcome", "was"),
    label=_removed,
    question="Decline, withdraw or remove {} connections?",
)

DISCONNECT: BulkVerb[RowPair] = BulkVerb(
    name="disconnect",
    doing="disconnecting",
    shape=PAIRS,
    start=lambda client, pairs, options: client.admin.disconnect_many(pairs, **options),
    plan=colleagues.disconnect,
    then="DELETE of the connection between the two people, by the Administration API",
    added=("outcome", "was"),
    question="Remove the connections or invitations between the two people of {} pairs?",
)

ACCEPT_INVITATION: BulkVerb[RowInvitation] = BulkVerb(
    name="accept invitation",
    doing="accepting",
    shape=INVITATIONS,
    start=lambda client, invitations, options: client.community_invitations.accept_many(invitations, **options),
    plan=lambda address, invitation: communities.accept_invitation(address, _YOU, invitation),
    then=f"no other request; {_YOU} represents the signed-in user",
)

DECLINE_INVITATION: BulkVerb[RowInvitation] = BulkVerb(
    name="end invitation",
    doing="declining",
    shape=INVITATIONS,
    start=lambda client, invitations, options: client.community_invitations.decline_many(invitations, **options),
    plan=communities.end_invitation,
    question="Decline {} invitations?",
)

REVOKE_INVITATION: BulkVerb[RowInvitation] = BulkVerb(
    name="end invitation",
    doing="revoking",
    shape=INVITATIONS,
    start=lambda client, invitations, options: client.community_invitations.revoke_many(invitations, **options),
    plan=communities.end_invitation,
    question="Revoke {} invitations?",
)


def invite(message: str, kind: Literal["text", "html"], *, settle: float, on_unknown: OnUnknown) -> BulkVerb[RowPerson]:
    """Invite people to become colleagues.

    Args:
        message: message of the invitation.
        kind: format of the message.
        settle: seconds to wait after a lost response before looking for the invitation.
        on_unknown: what to do then: look for the invitation, or report the item as in doubt.

    Raises:
        InvalidInputError: the message cannot be sent.
    """
    body = colleagues.invitation_body(message, kind)
    return BulkVerb(
        name="invite",
        doing="inviting",
        shape=PEOPLE,
        start=lambda client, people, options: client.invite_many(
            people, message=message, message_type=kind, settle=settle, on_unknown=on_unknown, **options
        ),
        plan=lambda address, person: colleagues.invite(address, lambda: None, person.identity, body),
        once=True,
        added=("outcome", "connection_id"),
    )


def connect(message: str) -> BulkVerb[RowPair]:
    """Connect pairs, as an administrator.

    Raises:
        InvalidInputError: the message cannot be sent.
    """
    body = colleagues.connection_body(message)
    return BulkVerb(
        name="connect",
        doing="connecting",
        shape=PAIRS,
        start=lambda client, pairs, options: client.admin.connect_many(pairs, message=message, **options),
        plan=lambda address, pair: colleagues.connect(address, pair, body),
        added=("outcome", "connection_id"),
    )


def invite_to_community(uuid: str, title: str) -> BulkVerb[RowPerson]:
    """Invite people into a community.

    Raises:
        InvalidInputError: `uuid` cannot be the id of a community.
    """
    uuid = plain_text(uuid, "uuid of the community")
    return BulkVerb(
        name=f"invite into community {uuid}",
        doing="inviting",
        shape=PEOPLE,
        start=lambda client, people, options: client.community(uuid).invite_many(people, title=title, **options),
        plan=lambda address, person: communities.invite_to_community(address, uuid, person.identity, title),
        once=True,
    )


def list_colleagues(status: Status) -> BulkVerb[RowPerson]:
    """List the connections of people.

    Args:
        status: status of the connections.
    """

    def first_page(address: Address, person: RowPerson) -> Flow[None]:
        request = listing.whole_colleagues(address, person.identity, status=status).next_request()
        if request is not None:
            yield request

    return BulkVerb(
        name=f"list {status} connections",
        doing="listing",
        done="listed",
        changes=False,
        shape=PEOPLE,
        start=lambda client, people, options: client.colleagues_many(people, status=status, **options),
        plan=first_page,
        then="GET of the next page, for each further 250 connections",
        once=True,
        added=("outcome", "connections", *_LISTED),
        to_rows=_listed,
        rows_of=lambda row: int(str(row.get("connections") or 1)),
        label=lambda outcome: "with connections" if _connections(outcome) else "without",
        labels=("with connections", "without"),
        found=lambda outcome: len(_connections(outcome)),
        records="connections",
    )
