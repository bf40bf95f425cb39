"""Requests that follow one another on one lane without waking a task.

The lane's callback settles a complete response at once, and the next request is chosen at the end of the iteration of
the event loop. Rules:

- A response is settled only if it has no body by its method and its connection can be used again. Any other response,
  and every failure, wakes the task that awaits the exchange, which treats it as usual.
- The next request is chosen after the tasks that the same iteration woke, and sent once the requests of the other lanes
  are chosen, a fraction of a millisecond later. Data that arrives before it is sent is unsolicited and closes the
  connection, so it is never taken for the response.
- If choosing a request blocks, those chosen before it are taken back: meanwhile the run may have ended, and their time
  runs. Their tasks are woken, and send them as usual.
- The owner's code runs in the context of the task that began the exchange, but in no task.
"""

from __future__ import annotations

from contextvars import copy_context

from aioconnections.protocol.messages import Headers
from aioconnections.transport import RequestChain
from aioconnections.transport.http1 import ResponseReader
from aioconnections.transport.lane import DeadlineTimer, Lane, OriginPool

__all__ = ["LaneChain"]


class LaneChain:
    """A chain on the lanes of one pool; see `Followers`.

    Args:
        owner: settles the responses and gives the requests, in the context that is current now.
        pool: pool of the lanes.
        common: the constant headers of the requests.
        timer: timer of the lanes.
        timeout: seconds for each request.
        limit: bytes that a body may have.

    Attributes:
        deadline: end of the attempt of the latest request that followed another.
        payload: its bytes; empty if none did.
        failure: exception of the owner, which ended the chain.
    """

    __slots__ = (
        "_common",
        "_context",
        "_lane",
        "_limit",
        "_owner",
        "_pool",
        "_previous",
        "_timeout",
        "_timer",
        "deadline",
        "failure",
        "payload",
    )

    _lane: Lane
    _previous: ResponseReader

    def __init__(
        self, owner: RequestChain, pool: OriginPool, common: Headers, timer: DeadlineTimer, timeout: float, limit: int
    ) -> None:
        self.deadline: float = 0.0
        self.payload: bytes = b""
        self.failure: BaseException | None = None
        self._context = copy_context()
        self._owner = owner
        self._pool = pool
        self._common = common
        self._timer = timer
        self._timeout = timeout
        self._limit = limit

    def use(self, lane: Lane) -> LaneChain:
        """Continue on `lane`."""
        self._lane = lane
        return self

    def settle(self) -> bool:
        """See `Followers`."""
        response = self._lane.reader.empty_response
        if response is None or not self._lane.is_reusable():
            return False
        try:
            return self._context.run(self._owner.settle, response)
        except BaseException as failure:  # noqa: BLE001 -- raised to the task that awaits the exchange
            self.failure = failure
            return False

    def following(self) -> tuple[ResponseReader, bytes] | None:
        """See `Followers`."""
        lane = self._lane
        if lane.state != "lent" or lane.wire.lost:  # since the response was settled
            return None
        try:
            request = self._context.run(self._owner.next_request)
            if request is None:
                return None
            self.payload = self._pool.payload(request, self._common)
        except BaseException as failure:  # noqa: BLE001 -- as in `settle`
            self.failure = failure
            return None
        self.deadline = self._timer.now() + self._timeout
        self._previous = lane.reader
        reader = ResponseReader(request.method, limit=self._limit)
        lane.begin_next(reader, self.deadline)
        return reader, self.payload

    def take_back(self) -> None:
        """See `Followers`."""
        self._lane.reader = self._previous
        self._context.run(self._owner.take_back)
