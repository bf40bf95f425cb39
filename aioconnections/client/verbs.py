"""Colleagues: the verbs of a client that have to do with colleague connections."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast, get_args

from attrs import field, frozen

from aioconnections.bulk import CheckJob, Outcomes, WorkItem, checked, digest_of, pair_of
from aioconnections.client.base import Base, OnProgress, PersonLike
from aioconnections.errors import InvalidInputError
from aioconnections.identifiers import plain_text
from aioconnections.outcomes import (
    Accepted,
    AcceptOutcome,
    AlreadyExists,
    Checked,
    CheckOutcome,
    Duplicate,
    Invited,
    InviteOutcome,
    Outcome,
    Removed,
    RemoveOutcome,
)
from aioconnections.protocol import colleagues, listing
from aioconnections.protocol.colleagues import ConnectionRef, OnUnknown
from aioconnections.protocol.messages import NEVER_SENT, Flow, Sends
from aioconnections.protocol.profiles import check
from aioconnections.records import Connection, Identity, Pair, Person, Profile, Status, identity_of
from aioconnections.session.listing import Stream
from aioconnections.session.session import Session

if TYPE_CHECKING:
    from aioconnections.journal import Journal

__all__ = ["Colleagues", "Invite", "PairLike"]

DoneT = TypeVar("DoneT", bound=Outcome)

Order: TypeAlias = Literal["displayName", "modified"]
PairLike: TypeAlias = Pair | tuple[PersonLike, PersonLike]
Which: TypeAlias = ConnectionRef | tuple[PersonLike, PersonLike]
"""A connection: as a record, as the pair of its source and target, or by its bare id."""


@frozen
class Invite:
    """A person to be invited, with a message of their own.

    Attributes:
        person: whom.
        message: instead of the run's; None for the run's.
    """

    person: Identity = field(converter=identity_of)
    message: str | None = None


class Colleagues(Base):
    """What has to do with colleague connections."""

    async def check(self, source: PersonLike, target: PersonLike) -> Status | None:
        """What stands between two people, seen from the source; one HEAD request.

        Page "Checking whether two people are colleagues".

        Returns:
            The status, or None if no connection is visible to the signed-in user.

        Raises:
            InvalidInputError: the two are the same, one of them is no identity, or the server hides e-mail addresses.
            BadRequestError: the server finds the request invalid, for example because it does not know a person.
            AuthenticationError: the login was refused; nothing more is sent with it.
            ConnectionsError: no answer, or one that makes no sense.
        """
        pair = Pair(source, target)
        session = self._here()
        return await self._call(check(session.address, pair), pair.source, pair.target)

    def check_many(
        self,
        pairs: Iterable[PairLike] | AsyncIterable[PairLike],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> Outcomes[CheckOutcome]:
        """Check every pair of a source; see `check` for one.

        The source is read as the outcomes are consumed, never more than ``2 × max_connections`` ahead.

        Args:
            pairs: any iterable or async iterable of `Pair` or of tuples of two identities. Whatever else comes fails
                alone, and so does an `InvalidInputError`, with which a source says why it has no pair.
            ordered: give the outcomes in the order of the source instead of as they complete.
            journal: where to record the run, so that it can go on after whatever ends it.
            on_progress: told twice a second where the run stands.

        Returns:
            The outcomes, to be entered and iterated: one `Checked`, `Rejected`, `Failed` or `Unprocessed` for each item
            that was read.
        """
        session = self._here()
        if journal is None:
            job = CheckJob(session, self._server.new_run())
            return self._outcomes(job, pairs, ordered=ordered, on_progress=on_progress)

        def understand(item: object) -> WorkItem[Checked]:
            pair = pair_of(item)
            flow = checked(session.address, pair)
            return WorkItem(lambda _: flow, pair=pair, people=(pair.source, pair.target))

        run = self._many(
            understand, pairs, "check", ordered=ordered, changes=False, journal=journal, on_progress=on_progress
        )
        return cast("Outcomes[CheckOutcome]", run)  # nothing is in doubt

    async def get(self, source: PersonLike, target: PersonLike, *, message: bool = False) -> Connection | None:
        """The connection of two people, seen from the source; None if none is visible to the signed-in user.

        Args:
            source: whose connection it is.
            target: to whom.
            message: ask for the text of the invitation as well; the server gives it to the source only.

        Raises:
            AtomError: the answer makes no sense.
            ConnectionsError: as for `check`.
        """
        pair = Pair(source, target)
        return await self._call(colleagues.get(self._here().address, pair, message=message), pair.source, pair.target)

    def colleagues(
        self,
        person: PersonLike,
        *,
        status: Status | None = None,
        since: datetime | None = None,
        sort_by: Order | None = None,
        message: bool = False,
        page_size: int = 250,
    ) -> Stream[Connection]:
        """A person's connections, each once, page by page.

        Page "Getting colleagues".

        Args:
            person: whose.
            status: `ACCEPTED` if left out; the others are for the signed-in user's own.
            since: only what changed after this moment; aware.
            sort_by: the server's order.
            message: ask for the text of the invitations as well.
            page_size: how many to ask for at once; servers give 250 at the most.

        Raises:
            InvalidInputError: a moment without a time zone, a page size below 1, or no such status or order.
        """
        if since is not None and since.tzinfo is None:
            raise InvalidInputError("since must have a time zone")
        if page_size < 1:
            raise InvalidInputError("page_size must be positive")
        if status is not None:
            _one_of("status", status, tuple(Status))
        if sort_by is not None:
            _one_of("sort_by", sort_by, get_args(Order))
        moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z" if since is not None else None
        session = self._here()
        identity = identity_of(person)
        pager = listing.colleagues(
            session.address,
            identity,
            status=status,
            since=moment,
            sort_by=sort_by,
            message=message,
            page_size=page_size,
        )
        return Stream(session, pager)

    def colleagues_in_common(self, one: PersonLike, other: PersonLike) -> Stream[Profile]:
        """Whom two people both have as colleagues (page "Finding colleagues shared by two people").

        Raises:
            InvalidInputError: the two are not named in the same way.
        """
        session = self._here()
        people = identity_of(one), identity_of(other)
        return Stream(session, listing.in_common(session.address, *people))

    async def invite(
        self,
        person: PersonLike,
        *,
        message: str = "",
        message_type: Literal["text", "html"] = "text",
        discover: bool = False,
        settle: float = 30.0,
        on_unknown: OnUnknown = "recheck",
    ) -> Invited | AlreadyExists:
        """Invite a person to become a colleague, at most once.

        Page "Inviting a person to become a colleague".

        Args:
            person: whom.
            message: what they read.
            message_type: whether the message is plain text or HTML.
            discover: fetch the person's service document and post to the feed that it names, as the page describes,
                instead of to the well-known address of that feed.
            settle: after a lost answer, seconds to wait before asking whether the invitation was made.
            on_unknown: what follows a lost answer: ``recheck`` asks, and invites once more if there is nothing;
                ``report`` raises.

        Raises:
            InvalidInputError: nothing was sent, because the message or the person cannot be, or because `settle` or
                `on_unknown` is none.
            InDoubtError: the invitation was sent, and whether it was made is not known.
            ConnectionsError: it was certainly not made.
        """
        _settleable(settle, on_unknown)
        body = colleagues.invitation_body(message, message_type)
        identity = identity_of(person)
        begin = _invitation(self._here(), identity, body, discover=discover, settle=settle, on_unknown=on_unknown)
        return await self._done(begin(NEVER_SENT), person, identity, person=identity)

    def invite_many(
        self,
        people: Iterable[PersonLike | Invite] | AsyncIterable[PersonLike | Invite],
        *,
        message: str = "",
        message_type: Literal["text", "html"] = "text",
        settle: float = 30.0,
        on_unknown: OnUnknown = "recheck",
        journal: Journal | None,
        ordered: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Outcomes[InviteOutcome]:
        """Invite every person of a source, each at most once; see `invite` for one.

        A repeated person is a `Duplicate`. With a journal that holds across runs, too: an invitation
        that a run which was killed may have sent is asked after, `settle` seconds after it was sent, before it is sent
        a second time; after fifteen minutes, or with ``on_unknown="report"``, it is only reported as `InDoubt`.

        Args:
            people: any iterable or async iterable.
            message: for all who have none of their own.
            message_type: of all messages.
            settle: see `invite`.
            on_unknown: see `invite`.
            journal: where to record the run, so that it can go on after whatever ends it. There is no default, for
                without one nobody can tell after a crash who was invited; None does without.
            ordered: give the outcomes in the order of the source instead of as they complete.
            on_progress: told twice a second where the run stands.

        Raises:
            InvalidInputError: the message cannot be sent, or `settle` or `on_unknown` is none.
        """
        _settleable(settle, on_unknown)
        common = colleagues.invitation_body(message, message_type)
        session, digest = self._here(), digest_of(common)

        def understand(item: object) -> WorkItem[Invited | AlreadyExists | Duplicate]:
            wanted = item if isinstance(item, Invite) else Invite(item)  # type: ignore[arg-type] # it refuses the rest
            person, own = wanted.person, wanted.message
            body = common if own is None else colleagues.invitation_body(own, message_type)
            begin = _invitation(session, person, body, discover=False, settle=settle, on_unknown=on_unknown)
            return WorkItem(begin, person=person, people=(person,), digest=digest if own is None else digest_of(body))

        return self._many(
            understand, people, "invite", ordered=ordered, once=True, journal=journal, on_progress=on_progress
        )

    async def accept(self, connection: Which) -> Accepted:
        """Accept an invitation: the entry is fetched, only its status changed, and the rest put back.

        Page "Accept an invitation to become a colleague".

        Args:
            connection: as a record, as the pair of the invitee and the inviter, or by its bare id.

        Raises:
            NotFoundError: there is no such invitation (any more).
            InvalidInputError: the signed-in user is the one who invited.
            InDoubtError: the answer was lost, and asking did not settle it.
            ConnectionsError: it was not accepted.
        """
        which = _ref(connection)
        flow = colleagues.accept(self._here().address, which)
        return await self._done(flow, connection, *_named(which), pair=_pair(which))

    async def remove(self, connection: Which) -> Removed:
        """Decline, withdraw or remove a connection; the outcome says which it was.

        Pages "Deleting connections" and "Accept an invitation to become a colleague".

        Args:
            connection: as a record, as a pair, or by its bare id.

        Raises:
            NotFoundError: there is no such connection.
            ConnectionsError: it was not removed.
        """
        which = _ref(connection)
        flow = colleagues.remove(self._here().address, which)
        return await self._done(flow, connection, *_named(which), pair=_pair(which))

    def accept_many(
        self,
        connections: Iterable[Which] | AsyncIterable[Which],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> Outcomes[AcceptOutcome]:
        """Accept every invitation of a source; see `accept` for one, and `check_many` for the arguments."""
        address = self._here().address

        def understand(item: object) -> WorkItem[Accepted]:
            which = _ref(item)
            return _subject(which, lambda _: colleagues.accept(address, which))

        return self._many(understand, connections, "accept", ordered=ordered, journal=journal, on_progress=on_progress)

    def remove_many(
        self,
        connections: Iterable[Which] | AsyncIterable[Which],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> Outcomes[RemoveOutcome]:
        """Remove every connection of a source; see `remove` for one, and `check_many` for the arguments."""
        address = self._here().address

        def understand(item: object) -> WorkItem[Removed]:
            which = _ref(item)
            return _subject(which, lambda earlier: colleagues.remove(address, which, earlier=earlier))

        return self._many(understand, connections, "remove", ordered=ordered, journal=journal, on_progress=on_progress)


def _invitation(
    session: Session, person: Identity, body: bytes, *, discover: bool, settle: float, on_unknown: OnUnknown
) -> Callable[[Sends], Flow[Invited | AlreadyExists]]:
    return lambda earlier: colleagues.invite(
        session.address,
        lambda: session.me,
        person,
        body,
        discover=discover,
        settle=settle,
        on_unknown=on_unknown,
        earlier=earlier,
    )


def _subject(which: ConnectionRef, begin: Callable[[Sends], Flow[DoneT]]) -> WorkItem[DoneT]:
    own = which if isinstance(which, str) else None if isinstance(which, Pair) else which.id
    ref: tuple[Literal["connection_id"], str] | None = None if own is None else ("connection_id", own.strip())
    return WorkItem(begin, pair=_pair(which), people=_named(which), ref=ref)


def _settleable(settle: object, on_unknown: object) -> None:
    _one_of("on_unknown", on_unknown, get_args(OnUnknown))
    match settle:
        case int() | float() if not isinstance(settle, bool) and math.isfinite(settle) and settle >= 0:
            return
        case _:
            raise InvalidInputError("settle is a number of seconds, 0 or more")


def _one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidInputError(f"{name} is one of {', '.join(choices)}")


def _ref(which: object) -> ConnectionRef:
    if isinstance(which, str):
        return plain_text(which, "connection id")
    if isinstance(which, Connection | Pair):
        return which
    if isinstance(which, tuple):
        return pair_of(cast("object", which))
    raise InvalidInputError(f"expected a Connection, a Pair or the id of a connection, not {type(which).__name__}")


def _named(which: ConnectionRef) -> tuple[Identity, ...]:
    """Whom a request for this connection names: a record is asked for by its id."""
    return (which.source, which.target) if isinstance(which, Pair) else ()


def _pair(which: ConnectionRef) -> Pair | None:
    if isinstance(which, Pair):
        return which
    if isinstance(which, Connection):
        ends: list[Person] = [which.source, which.target]
        if all(end.userid or end.key or end.email for end in ends):
            return Pair(*ends)
    return None
