"""The faults that one request meets with, while it is being answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
from attrs import frozen

from aioconnections.reference.answers import Plain
from aioconnections.reference.entrance import login_page
from aioconnections.reference.replies import Reply, page, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aioconnections.reference.faults import Fault, Moment

__all__ = ["RESET", "NoAnswerError", "Receive", "Scope", "Send", "Trouble"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

RESET = "aioconnections.reset"
"""The ASGI extension by which `aioconnections.reference.server` lets a connection be reset: a callable."""


class NoAnswerError(Exception):
    """The connection is over, or will be when the client has had enough: there is nobody to answer."""


@frozen
class Trouble:
    """What is in store for one request."""

    faults: Sequence[Fault]
    scope: Scope
    receive: Receive
    clock: Callable[[], float]

    async def come(self, moment: Moment) -> Reply | None:
        """Go through the faults of this moment; gives what is to be answered, if it is not the truth.

        Raises:
            NoAnswerError: the connection was reset, or the client has gone.
            ConnectionResetError: it was to be reset, which no other server lets its application do.
        """
        for fault in self.faults:
            if fault.at != moment:
                continue
            if fault.kind == "delay":
                await anyio.sleep(fault.seconds)
            elif fault.kind == "reset":
                await self._reset()
            elif fault.kind == "stall":
                await self._gone()
            else:
                return self._reply(fault)
        return None

    def _reply(self, fault: Fault) -> Reply:
        if fault.kind == "login":
            return plain(Plain(200, "text/html;charset=UTF-8", login_page("")))
        if fault.kind == "missing":
            return page(404, f"SRVE0255E: A WebGroup/Virtual Host to handle {self.scope['path']} has not been defined.")
        wait = fault.retry_header(self.clock())
        headers = [] if wait is None else [(b"retry-after", wait.encode("latin-1", "replace"))]
        return page(fault.status, "The service is not available.", *headers)

    async def _reset(self) -> None:
        reset = self.scope.get("extensions", {}).get(RESET)
        if reset is None:
            raise ConnectionResetError("reset by the reference server, as a fault wants it")
        reset()
        await self._gone()

    async def _gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        raise NoAnswerError
