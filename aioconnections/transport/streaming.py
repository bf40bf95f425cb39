"""The body of an answer, handed over while it arrives."""

from __future__ import annotations

import math
from collections.abc import Iterator

from aioconnections.errors import UsageError
from aioconnections.protocol.messages import Response
from aioconnections.transport.http1 import BadAnswerError, Decoder
from aioconnections.transport.lane import Lane, Watch, malformed

__all__ = ["LaneStream"]


class LaneStream:
    """A `StreamedResponse` over a lane, iterable once and only inside its block.

    The time for the attempt runs while the consumer waits for bytes, and stands still while the consumer is busy with
    them. Meanwhile the lane reads ahead until 256 KiB wait.
    """

    def __init__(self, lane: Lane, watch: Watch, limit: int) -> None:
        head = lane.answer.head
        assert head is not None  # noqa: S101 -- the lane is handed over when its head is known
        self._lane: Lane | None = lane
        self._watch = watch
        self._seconds = lane.deadline - watch.now()
        self._left = limit
        self._coding = head.coding
        self._decoder: Decoder | None = None
        self._decoded: Iterator[bytes] = iter(())
        self.head: Response = head.bare
        lane.deadline = math.inf

    def __aiter__(self) -> LaneStream:
        return self

    async def __anext__(self) -> bytes:
        lane = self._lane
        if lane is None:
            raise UsageError("the block of this answer has been left")
        try:
            piece = await self._next(lane)
        except BadAnswerError as error:
            failure = malformed(str(error), self.head.status)
        else:
            if piece is None:
                raise StopAsyncIteration
            return piece
        lane.drop()
        raise failure

    async def _next(self, lane: Lane) -> bytes | None:
        answer = lane.answer
        while True:
            for piece in self._decoded:
                self._left -= len(piece)
                if self._left < 0:
                    raise BadAnswerError("the answer is longer than allowed")
                return piece
            content = answer.take()
            if content and not self._coding:
                return content
            if content:
                self._decoder = self._decoder or Decoder(self._coding)
                self._decoded = self._decoder.feed(content)
            elif answer.failure is not None:
                raise lane.failure()
            elif answer.done:
                if self._decoder is not None:
                    self._decoder.end()
                return None
            else:
                await self._arrival(lane)

    async def _arrival(self, lane: Lane) -> None:
        begun = self._watch.now()
        self._watch.set(lane, begun + self._seconds)
        await lane.wire.more()
        if lane.state == "lent":
            lane.deadline = math.inf
        self._seconds -= self._watch.now() - begun

    def close(self) -> None:
        """The block has been left; the lane may carry other answers from now on."""
        self._lane = None
