"""What only an administrator of Profiles may do; everybody else is told 403."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING

from aioconnections.bulk import Outcomes, WorkItem, digest_of, pair_of
from aioconnections.client.base import Base, OnProgress, PersonLike
from aioconnections.client.verbs import PairLike
from aioconnections.outcomes import AlreadyExists, Connected, ConnectOutcome, Removed, RemoveOutcome
from aioconnections.protocol import colleagues
from aioconnections.records import Pair

if TYPE_CHECKING:
    from aioconnections.journal import Journal

__all__ = ["Administration"]


class Administration:
    """The verbs of an administrator: ``await client.admin.connect(a, b)``."""

    def __init__(self, client: Base) -> None:
        self._client = client

    async def connect(self, source: PersonLike, target: PersonLike, *, message: str = "") -> Connected | AlreadyExists:
        """Make two people colleagues, without asking them.

        Page "Creating a colleague connection using the Administration API".

        Raises:
            ForbiddenError: the signed-in user is no administrator.
            InDoubtError: the answer was lost, and asking did not settle whether it was done.
            ConnectionsError: it was not done.
        """
        pair = Pair(source, target)
        flow = colleagues.connect(self._client._here().address, pair, colleagues.connection_body(message))
        return await self._client._done(flow, (source, target), pair.source, pair.target, pair=pair)

    async def disconnect(self, source: PersonLike, target: PersonLike) -> Removed:
        """End the connection or the invitation between two people.

        Page "Deleting a colleague connection using the Administration API".

        Returns:
            What it was before; None where the server shows an invitation to nobody but the two.

        Raises:
            ForbiddenError: the signed-in user is no administrator.
            NotFoundError: there is none.
            InDoubtError: the answer was lost, and asking did not settle whether it was done.
            ConnectionsError: it was not done.
        """
        pair = Pair(source, target)
        flow = colleagues.disconnect(self._client._here().address, pair)
        return await self._client._done(flow, (source, target), pair.source, pair.target, pair=pair)

    def connect_many(  # keyword-only options, each with its default
        self,
        pairs: Iterable[PairLike] | AsyncIterable[PairLike],
        *,
        message: str = "",
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> Outcomes[ConnectOutcome]:
        """Connect every pair of a source; see `connect` for one, and `check_many` for the other arguments.

        To be no administrator ends the run.

        Raises:
            InvalidInputError: the message cannot be sent.
        """
        address, body = self._client._here().address, colleagues.connection_body(message)
        digest = digest_of(body)

        def understand(item: object) -> WorkItem[Connected | AlreadyExists]:
            pair = pair_of(item)
            return WorkItem(
                lambda earlier: colleagues.connect(address, pair, body, earlier=earlier),
                pair=pair,
                people=(pair.source, pair.target),
                digest=digest,
            )

        return self._client._many(
            understand, pairs, "connect", ordered=ordered, privileged=True, journal=journal, on_progress=on_progress
        )

    def disconnect_many(
        self,
        pairs: Iterable[PairLike] | AsyncIterable[PairLike],
        *,
        ordered: bool = False,
        journal: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> Outcomes[RemoveOutcome]:
        """End the connection of every pair of a source; see `disconnect` for one, and `check_many` for the arguments.

        To be no administrator ends the run.
        """
        address = self._client._here().address

        def understand(item: object) -> WorkItem[Removed]:
            pair = pair_of(item)
            return WorkItem(
                lambda earlier: colleagues.disconnect(address, pair, earlier=earlier),
                pair=pair,
                people=(pair.source, pair.target),
            )

        return self._client._many(
            understand, pairs, "disconnect", ordered=ordered, privileged=True, journal=journal, on_progress=on_progress
        )
