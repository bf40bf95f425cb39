"""Requests that follow one another on one lane without waking a task.

The lane's callback asks the owner of the chain for the next request as soon as a response is complete. Rules:

- A response is passed to the owner only if it has no body by its method and its connection can be used again. Any other
  response, and every failure, wakes the task that awaits the exchange, which treats it as usual.
- A request is queued for the end of the iteration of the event loop. Data that arrives before it is sent is unsolicited
  and closes the connection, so it is never taken for the response.
- The owner's code runs in the context of the task that began the exchange, but in no task.
"""

from __future__ import annotations

from contextvars import copy_context

from aioconnections.protocol.messages import Headers
from aioconnections.transport import NextRequest
from aioconnections.transport.http1 import ResponseReader
from aioconnections.transport.lane import DeadlineTimer, Lane, OriginPool

__all__ = ["Chain"]


class Chain:
    """The requests of one chain.

    Args:
        next_request: see `NextRequest`; called in the context that is current now.
        pool: pool of the lanes.
        common: the constant headers of the requests.
        timer: timer of the lanes.
        timeout: seconds for each request.
        limit: bytes that a body may have.

    Attributes:
        deadline: end of the attempt of the latest request.
        payload: bytes of the latest request.
        failure: exception of `next_request`, which ended the chain.
    """

    __slots__ = (
        "_common",
        "_context",
        "_limit",
        "_next",
        "_pool",
        "_timeout",
        "_timer",
        "deadline",
        "failure",
        "payload",
    )

    def __init__(
        self,
        next_request: NextRequest,
        pool: OriginPool,
        common: Headers,
        timer: DeadlineTimer,
        timeout: float,
        limit: int,
    ) -> None:
        self.deadline: float = 0.0
        self.payload: bytes = b""
        self.failure: Exception | None = None
        self._context = copy_context()
        self._next = next_request
        self._pool = pool
        self._common = common
        self._timer = timer
        self._timeout = timeout
        self._limit = limit

    def follow(self, lane: Lane) -> tuple[ResponseReader, bytes] | None:
        """The reader and the bytes of the request that follows the complete response on `lane`; None to end."""
        response = lane.reader.empty_response
        if response is None or not lane.is_reusable():
            return None
        try:
            request = self._context.run(self._next, response)
            if request is None:
                return None
            self.payload = self._pool.payload(request, self._common)
        except Exception as failure:  # noqa: BLE001 -- raised to the task that awaits the exchange
            self.failure = failure
            return None
        self.deadline = self._timer.now() + self._timeout
        reader = ResponseReader(request.method, limit=self._limit)
        lane.begin_next(reader, self.deadline)
        return reader, self.payload
