"""The verbs of an administrator of Profiles; other users get a 403."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioconnections import bulk
from aioconnections.client.caller import OnProgress, PairLike, PersonLike, Resource
from aioconnections.client.sources import Source, source_of
from aioconnections.errors import InvalidInputError
from aioconnections.outcomes import AlreadyExists, Connected, ConnectOutcome, Removed, RemoveOutcome
from aioconnections.protocol import colleagues
from aioconnections.records import Pair

if TYPE_CHECKING:
    from aioconnections.journal import Journal

__all__ = ["Administration"]


class Administration(Resource):
    """The verbs of an administrator: ``await client.admin.connect(a, b)``."""

    async def connect(
        self, source: PersonLike, target: PersonLike, *, message: str = "", timeout: float | None = None
    ) -> Connected | AlreadyExists:
        """Make two people colleagues, without an invitation.

        Page "Creating a colleague connection using the Administration API".

        Raises:
            ForbiddenError: the signed-in user is not an administrator.
            InDoubtError: the response was lost, and verification did not settle whether the change was made.
            ConnectionsError: the change was not made.
        """
        pair = Pair(source, target)
        flow = colleagues.connect(self._caller.here().address, pair, colleagues.connection_body(message))
        return await self._caller.change(
            "admin.connect",
            flow,
            (source, target),
            pair.source,
            pair.target,
            timeout=timeout,
            pair=pair,
            touches=(source, target),
        )

    async def disconnect(self, source: PersonLike, target: PersonLike, *, timeout: float | None = None) -> Removed:
        """Remove the connection or invitation between two people.

        Page "Deleting a colleague connection using the Administration API".

        Returns:
            `Removed` with the former status, or with None if the server shows it only to the two people.

        Raises:
            ForbiddenError: the signed-in user is not an administrator.
            NotFoundError: there is no connection.
            InDoubtError: the response was lost, and verification did not settle whether the change was made.
            ConnectionsError: the change was not made.
        """
        pair = Pair(source, target)
        flow = colleagues.disconnect(self._caller.here().address, pair)
        return await self._caller.change(
            "admin.disconnect",
            flow,
            (source, target),
            pair.source,
            pair.target,
            timeout=timeout,
            pair=pair,
            touches=(source, target),
        )

    def connect_many(
        self,
        pairs: Source[PairLike | InvalidInputError],
        *,
        message: str = "",
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> bulk.Outcomes[ConnectOutcome]:
        """Connect every pair of a source; see `connect` for one, and `Client.check_many` for the other arguments.

        A 403 ends the run.

        Raises:
            InvalidInputError: the message cannot be sent.
        """
        address, body = self._caller.anywhere().address, colleagues.connection_body(message)
        digest = bulk.digest_of(body)

        def parse(item: object) -> bulk.WorkItem[Connected | AlreadyExists]:
            pair = bulk.pair_of(item)
            return bulk.WorkItem(
                lambda earlier: colleagues.connect(address, pair, body, earlier=earlier),
                pair=pair,
                people=(pair.source, pair.target),
                digest=digest,
                touches=(pair.source, pair.target),
            )

        return self._caller.run_flows(
            "admin.connect_many",
            parse,
            source_of(pairs, "pairs"),
            "connect",
            ordered=ordered,
            privileged=True,
            journal=journal,
            on_progress=on_progress,
        )

    def disconnect_many(
        self,
        pairs: Source[PairLike | InvalidInputError],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> bulk.Outcomes[RemoveOutcome]:
        """Disconnect every pair of a source; see `disconnect` for one, and `Client.check_many` for the arguments.

        A 403 ends the run.
        """
        address = self._caller.anywhere().address

        def parse(item: object) -> bulk.WorkItem[Removed]:
            pair = bulk.pair_of(item)
            return bulk.WorkItem(
                lambda earlier: colleagues.disconnect(address, pair, earlier=earlier),
                pair=pair,
                people=(pair.source, pair.target),
                touches=(pair.source, pair.target),
            )

        return self._caller.run_flows(
            "admin.disconnect_many",
            parse,
            source_of(pairs, "pairs"),
            "disconnect",
            ordered=ordered,
            privileged=True,
            journal=journal,
            on_progress=on_progress,
        )
