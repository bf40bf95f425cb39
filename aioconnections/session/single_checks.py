"""Single checks of one signed-in user: from the remembered statuses, else shared with callers who ask the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any

from aioconnections.errors import (
    CertificateError,
    ConnectionsError,
    DeadlineError,
    LocalLimitError,
    ProxyError,
    ServerError,
    ServerUnavailableError,
    TransportError,
)
from aioconnections.outcomes import Checked
from aioconnections.policy.gate import Gate
from aioconnections.policy.status_cache import Statuses
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import NO_CACHE, Flow
from aioconnections.protocol.profiles import check
from aioconnections.records import Pair, Status
from aioconnections.session.call_context import CallContext
from aioconnections.session.call_scope import CallScope
from aioconnections.session.flights import Flights
from aioconnections.session.runtime import Runtime

__all__ = ["SingleChecks"]

_NOT_THE_SERVER = (CertificateError, LocalLimitError, ProxyError)


class SingleChecks:
    """The single checks of one signed-in user.

    Args:
        runtime: shared by all users of the client.
        address: address of the server.
        gate: state of the credential.
        flights: the questions that are under way.
        viewer: identifies the user among the remembered statuses; None before the first proof of the login.
        begin_call: proves the login if that is due, and gives the context of a call.
        converse: holds a conversation.
    """

    def __init__(
        self,
        runtime: Runtime,
        address: Address,
        gate: Gate,
        flights: Flights,
        viewer: Callable[[], Hashable | None],
        begin_call: Callable[[CallScope], Awaitable[CallContext]],
        converse: Callable[[Flow[Any], CallContext], Awaitable[Any]],
    ) -> None:
        self._runtime = runtime
        self._address = address
        self._gate = gate
        self._flights = flights
        self._viewer = viewer
        self._begin_call = begin_call
        self._converse = converse

    async def check(self, pair: Pair, item: object, max_age: float | None, call: CallScope) -> Checked:
        """The status of one pair.

        Args:
            pair: the pair.
            item: what the caller gave.
            max_age: maximum age in seconds of a remembered status; None for the limit of the cache. With 0, the request
                asks for no cached response, and is not shared.
            call: the call of the caller.

        Raises:
            ConnectionsError: there is no status.
        """
        statuses = self._runtime.statuses
        if max_age == 0:
            return await self._check_anew(pair, item, call)
        if statuses is None:
            return await self._check_together(pair, item, call)
        self._gate.check()
        look_up = partial(self._remembered, statuses, pair, item, max_age)
        found = look_up(unavailable=True) if self._is_unavailable() else None
        if found is not None:
            return found
        try:
            _ = await self._begin_call(call)
            found = look_up(unavailable=False)
            if found is not None:
                return found
            statuses.misses += 1
            return await self._check_together(pair, item, call)
        except (ServerUnavailableError, ServerError, TransportError) as error:
            found = None if _is_due_to_others(error) else look_up(unavailable=True)
            if found is None:
                raise
            return found

    def _remembered(
        self, statuses: Statuses, pair: Pair, item: object, max_age: float | None, *, unavailable: bool
    ) -> Checked | None:
        """The remembered status of a pair."""
        viewer = self._viewer()
        if viewer is None or self._gate.refusal is not None:
            return None
        found = statuses.find(viewer, pair, self._runtime.now(), max_age=max_age, unavailable=unavailable)
        return None if found is None else Checked(found.status, item=item, pair=pair, via="cache", age=found.age)

    async def _check_anew(self, pair: Pair, item: object, call: CallScope) -> Checked:
        since = self._runtime.changes.count
        context = await self._begin_call(call)
        status: Status | None = await self._converse(check(self._address, pair, headers=NO_CACHE), context)
        self._remember(pair, status, context, since)
        return _checked(status, item, pair, context)

    async def _check_together(self, pair: Pair, item: object, call: CallScope) -> Checked:
        """Check a pair, unless another caller does."""
        people, address = (pair.source, pair.target), self._address
        remember = None if self._runtime.statuses is None else partial(self._remember, pair)
        status, context = await self._flights.ask(("check", pair), people, lambda: check(address, pair), call, remember)
        return _checked(status, item, pair, context)

    def _remember(self, pair: Pair, status: Status | None, context: CallContext, since: int) -> None:
        statuses, viewer = self._runtime.statuses, self._viewer()
        if statuses is not None and viewer is not None:
            statuses.put(viewer, pair, status, asked_at=context.sent_at, since=since)

    def _is_unavailable(self) -> bool:
        """Whether a request would have to wait for the server, and need not be the one that probes it."""
        runtime = self._runtime
        availability, profiles, moment = runtime.availability, runtime.applications.profiles, runtime.now()
        for outage, is_probing in (
            (availability.outage, availability.is_probing),
            (profiles.application.outage, profiles.is_probing),
        ):
            if outage.away:
                return is_probing or moment < outage.probe_at
        return moment < availability.outage.held_until


def _is_due_to_others(error: ConnectionsError) -> bool:
    """Whether an error says nothing about the availability of the server."""
    if isinstance(error, DeadlineError) and error.sent == "no":  # in a queue of this client
        return True
    return isinstance(error, _NOT_THE_SERVER) or (isinstance(error, TransportError) and error.deterministic)


def _checked(status: Status | None, item: object, pair: Pair, context: CallContext) -> Checked:
    return Checked(
        status,
        item=item,
        pair=pair,
        attempts=context.attempts,
        elapsed=context.elapsed,
        waited=context.waited,
    )
