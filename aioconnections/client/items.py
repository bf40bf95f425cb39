"""The items that the verbs of a client accept, and their conversion to conversations and work items."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias, TypeVar, cast, get_args

from attrs import field

from aioconnections import bulk
from aioconnections.client.caller import PersonLike
from aioconnections.errors import InvalidInputError
from aioconnections.identifiers import plain_text
from aioconnections.outcomes import AlreadyExists, Invited, Listed, Outcome
from aioconnections.policy.changes import Touched, ends_of
from aioconnections.protocol import colleagues, entries
from aioconnections.protocol.colleagues import ConnectionRef, OnUnknown
from aioconnections.protocol.messages import Flow, Sends
from aioconnections.records import Connection, Identity, Pair, Person, identity_of
from aioconnections.reprs import frozen
from aioconnections.session.session import Session

__all__ = [
    "ConnectionLike",
    "Invite",
    "check_choice",
    "check_max_age",
    "check_settle",
    "connection_item",
    "connection_ref",
    "invitation_flow",
    "named_people",
    "pair_or_none",
    "people_in",
    "question_of",
    "touched_by",
]

DoneT = TypeVar("DoneT", bound=Outcome)

ConnectionLike: TypeAlias = ConnectionRef | tuple[PersonLike, PersonLike]
"""A connection: a record, the pair of its source and target, its id, or its self link."""


@frozen
class Invite:
    """A person to invite, with an individual message.

    Attributes:
        person: the invitee.
        message: the individual message; None for the message of the run.
    """

    person: Identity = field(converter=identity_of)
    message: str | None = None


def invitation_flow(
    session: Session, person: Identity, body: bytes, *, discover: bool, settle: float, on_unknown: OnUnknown
) -> Callable[[Sends], Flow[Invited | AlreadyExists]]:
    """A function that starts the conversation to invite a person, given what is known about earlier sends."""
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


def connection_item(which: ConnectionRef, begin: Callable[[Sends], Flow[DoneT]]) -> bulk.WorkItem[DoneT]:
    """The work item of a verb on a connection."""
    own = which if isinstance(which, str) else None if isinstance(which, Pair) else which.id
    ref: tuple[Literal["connection_id"], str] | None = None if own is None else ("connection_id", own.strip())
    return bulk.WorkItem(
        begin, pair=pair_or_none(which), people=named_people(which), ref=ref, touches=touched_by(which)
    )


def check_settle(settle: object, on_unknown: object) -> None:
    """Check the arguments `settle` and `on_unknown` of an invitation.

    Raises:
        InvalidInputError: one of them is invalid.
    """
    check_choice("on_unknown", on_unknown, get_args(OnUnknown))
    match settle:
        case int() | float() if not isinstance(settle, bool) and math.isfinite(settle) and settle >= 0:
            return
        case _:
            shown = settle if isinstance(settle, int | float) else type(settle).__name__
            raise InvalidInputError(f"settle must be a number of seconds of at least 0, got {shown}")


def check_max_age(max_age: object) -> None:
    """Check the argument `max_age` of a check.

    Raises:
        InvalidInputError: it is neither a number of seconds of at least 0 nor None.
    """
    match max_age:
        case None:
            return
        case int() | float() if not isinstance(max_age, bool) and max_age >= 0:
            return
        case _:
            shown = max_age if isinstance(max_age, int | float) else type(max_age).__name__
            raise InvalidInputError(f"max_age must be a number of seconds of at least 0, or None, got {shown}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Check that `value`, of the argument `name`, is one of `choices`.

    Raises:
        InvalidInputError: it is not.
    """
    if value not in choices:
        raise InvalidInputError(f"{name} must be one of {', '.join(choices)}, got {value!r:.60}")


def connection_ref(which: object) -> ConnectionRef:
    """The connection that an argument names.

    Raises:
        InvalidInputError: the argument is neither a record, a pair, an id nor a self link.
    """
    if isinstance(which, str):
        which = entries.connection_ref(which)
        if which is None:
            raise InvalidInputError("this link does not lead to a connection; pass the id or the self link of one")
    if isinstance(which, str):
        return plain_text(which, "connection id")
    if isinstance(which, Connection | Pair):
        return which
    if isinstance(which, tuple):
        return bulk.pair_of(cast("object", which))
    if isinstance(which, Identity | Person):
        raise InvalidInputError(f"a connection has two people, got one {type(which).__name__}; pass the target too")
    raise InvalidInputError(f"expected a Connection, a Pair or the id of a connection, got {type(which).__name__}")


def question_of(which: ConnectionRef) -> Pair | str | None:
    """What distinguishes a request for this connection from others: the pair or the id."""
    return which.id if isinstance(which, Connection) else which


def named_people(which: ConnectionRef) -> tuple[Identity, ...]:
    """The people whom a request for this connection names; none for a record, which is requested by its id."""
    return (which.source, which.target) if isinstance(which, Pair) else ()


def touched_by(which: ConnectionRef) -> Touched:
    """The two people of a connection; None if they are not known."""
    if isinstance(which, Connection):
        return ends_of(which)
    return (which.source, which.target) if isinstance(which, Pair) else None


def pair_or_none(which: ConnectionRef) -> Pair | None:
    """The pair of a connection, if it is known."""
    if isinstance(which, Pair):
        return which
    if isinstance(which, Connection):
        ends: list[Person] = [which.source, which.target]
        if all(end.userid or end.key or end.email for end in ends):
            return Pair(*ends)
    return None


def people_in(listed: Iterable[Person | Connection | Listed]) -> Iterator[Person]:
    """The people of lists.

    Raises:
        InvalidInputError: `listed` is no iterable, or has something else in it.
    """
    if not isinstance(listed, Iterable):
        raise InvalidInputError(f"listed must be an iterable of people and connections, not {type(listed).__name__}")
    for it in listed:
        if isinstance(it, Person):
            yield it
        elif isinstance(it, Connection):
            yield from (it.source, it.target)
        elif isinstance(it, Listed):
            yield from people_in(it.connections)
        else:
            raise InvalidInputError(f"expected Person, Connection or Listed in listed, got {type(it).__name__}")
