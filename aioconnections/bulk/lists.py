"""The job of a run that reads whole lists of connections, one for each person."""

from __future__ import annotations

from aioconnections.bulk.flows import FlowJob
from aioconnections.bulk.job import WorkItem
from aioconnections.errors import IncompleteListError, TransportError
from aioconnections.outcomes import Duplicate, Listed
from aioconnections.protocol.listing import verified_person, whole_colleagues
from aioconnections.protocol.messages import Flow, Sends
from aioconnections.records import Identity, Status, identity_of
from aioconnections.session.call_context import CallContext, RunScope
from aioconnections.session.session import Session

__all__ = ["ListJob"]


class ListJob(FlowJob[Listed | Duplicate]):
    """A job that reads the list of each person, page by page, on one worker.

    A list counts only if it is complete. An empty list may belong to an unknown person: if this version of the server
    would give such a person one, the person is looked up.

    Args:
        session: session of the signed-in user.
        run: the part of the run that its requests need.
        status: status of the connections; None for accepted ones.
    """

    def __init__(self, session: Session, run: RunScope, status: Status | None) -> None:
        super().__init__(session, run, self._work, once=True, changes=False)
        self._status = status

    def _work(self, item: object) -> WorkItem[Listed | Duplicate]:
        person = identity_of(item)  # type: ignore[arg-type] # it refuses anything else
        return WorkItem(lambda _: self._empty(person), person=person, people=(person,))

    def _empty(self, person: Identity) -> Flow[Listed]:
        """The conversation about an empty list."""
        yield from verified_person(self.session.address, person)
        return Listed()

    async def _done(
        self, work: WorkItem[Listed | Duplicate], context: CallContext, earlier: Sends
    ) -> Listed | Duplicate:
        (person,) = work.people
        pager = whole_colleagues(self.session.address, person, status=self._status)
        try:
            connections = await self.session.whole(pager, context)
        except TransportError as error:
            self.noticed(error, "GET")
            raise
        self.repeats.went_well("GET")
        if not pager.is_complete:
            raise IncompleteListError(pager.found, pager.total)
        if connections or pager.refuses_unknown:
            return Listed(tuple(connections))
        context.extend()
        return await super()._done(work, context, earlier)
