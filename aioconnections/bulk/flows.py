"""Any verb but the check in bulk: each item is one conversation, whose result becomes its outcome."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Generic, TypeVar

from attrs import evolve, frozen

from aioconnections.bulk.verdicts import known, prove, undone
from aioconnections.errors import (
    BadRequestError,
    ConnectionsError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
)
from aioconnections.outcomes import Failed, InDoubt, Outcome, Rejected, Resolved, Unprocessed
from aioconnections.protocol.messages import Flow
from aioconnections.records import Identity, Pair
from aioconnections.session import Session

__all__ = ["FlowJob", "Subject"]

DoneT = TypeVar("DoneT", bound=Outcome)

_VERDICTS = (BadRequestError, ForbiddenError, NotFoundError)


@frozen
class Subject(Generic[DoneT]):
    """Whom an item is about, and the conversation about them.

    Attributes:
        flow: the conversation.
        pair: what the outcome says of it.
        person: likewise.
        people: whom the requests name.
    """

    flow: Flow[DoneT]
    pair: Pair | None = None
    person: Identity | None = None
    people: tuple[Identity, ...] = ()


class FlowJob(Generic[DoneT]):
    """Has one conversation for each item.

    Args:
        session: of the signed-in user.
        understand: makes a subject of an item; it raises `InvalidInputError` for what is none.
        once: whether a person who comes a second time is left alone.
        privileged: whether a 403 means the signed-in user, and not the item: then it ends the run.
    """

    def __init__(
        self,
        session: Session,
        understand: Callable[[object], Subject[DoneT]],
        *,
        once: bool = False,
        privileged: bool = False,
    ) -> None:
        self._first: dict[Identity, int] | None = {} if once else None
        self._privileged = privileged
        self._forbidden: ForbiddenError | None = None
        self._session = session
        self._understand = understand

    def is_ready(self) -> bool:
        """See `Job`."""
        return self._forbidden is None and self._session.is_proved()

    async def ready(self) -> None:
        """Prove the login; see `Job`."""
        if self._forbidden is not None:
            raise copy(self._forbidden)
        await prove(self._session)

    async def do(self, index: int, item: object) -> DoneT | InDoubt | Rejected | Failed | Unprocessed:
        """The outcome of one item."""
        session = self._session
        try:
            subject = self._understand(item)
            session.refuse_hidden(*subject.people)
        except InvalidInputError as error:
            return Failed(error.with_traceback(None), index=index, item=item)
        meter = session.meter()
        if self._first is not None and subject.person is not None:
            first = self._first.setdefault(subject.person, index)
            if first != index:
                return Unprocessed(f"duplicate of {first}", **known(index, item, meter, person=subject.person))
        try:
            done = await session.run(subject.flow, meter)
            if isinstance(done, Resolved) and done.profile is None:
                await session.nobody_found(*subject.people)
        except ConnectionsError as error:
            failure = error
        else:
            return evolve(done, **known(index, item, meter, pair=subject.pair, person=subject.person))
        failure = await session.explained(failure, *subject.people)
        if self._privileged and isinstance(failure, ForbiddenError):
            self._forbidden = failure
        return undone(failure, known(index, item, meter, pair=subject.pair, person=subject.person), _VERDICTS)
