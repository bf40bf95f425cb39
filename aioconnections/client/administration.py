"""What only an administrator of Profiles may do; everybody else is told 403."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable

from aioconnections.bulk import Outcomes, Subject, pair_of
from aioconnections.client.base import Base, Who
from aioconnections.client.verbs import Pairlike
from aioconnections.outcomes import AlreadyExists, Connected, ConnectOutcome, Removed, RemoveOutcome
from aioconnections.protocol import colleagues
from aioconnections.records import Pair

__all__ = ["Administration"]


class Administration:
    """The verbs of an administrator: ``await client.admin.connect(a, b)``."""

    def __init__(self, client: Base) -> None:
        self._client = client

    async def connect(self, source: Who, target: Who, *, message: str = "") -> Connected | AlreadyExists:
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

    async def disconnect(self, source: Who, target: Who) -> Removed:
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

    def connect_many(
        self, pairs: Iterable[Pairlike] | AsyncIterable[Pairlike], *, message: str = "", ordered: bool = False
    ) -> Outcomes[ConnectOutcome]:
        """Connect every pair of a source; see `connect` for one.

        To be no administrator ends the run.

        Raises:
            InvalidInputError: the message cannot be sent.
        """
        address, body = self._client._here().address, colleagues.connection_body(message)

        def understand(item: object) -> Subject[Connected | AlreadyExists]:
            pair = pair_of(item)
            flow = colleagues.connect(address, pair, body)
            return Subject(flow, pair=pair, people=(pair.source, pair.target))

        return self._client._many(understand, pairs, ordered=ordered, privileged=True)

    def disconnect_many(
        self, pairs: Iterable[Pairlike] | AsyncIterable[Pairlike], *, ordered: bool = False
    ) -> Outcomes[RemoveOutcome]:
        """End the connection of every pair of a source; see `disconnect` for one.

        To be no administrator ends the run.
        """
        address = self._client._here().address

        def understand(item: object) -> Subject[Removed]:
            pair = pair_of(item)
            flow = colleagues.disconnect(address, pair)
            return Subject(flow, pair=pair, people=(pair.source, pair.target))

        return self._client._many(understand, pairs, ordered=ordered, privileged=True)
