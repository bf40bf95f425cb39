"""One page of a listing on its way from the connection to the records."""

from __future__ import annotations

from typing import Generic, TypeVar

from aioconnections.protocol.listing import Pager
from aioconnections.protocol.messages import Response
from aioconnections.transport import StreamedResponse

__all__ = ["Page"]

R = TypeVar("R")

_LONGEST_ERROR = 1 << 20


class Page(Generic[R]):
    """One page of a listing, read while it arrives; a page that broke off is begun anew."""

    def __init__(self, pager: Pager[R]) -> None:
        self.records: list[R] = []
        self._pager = pager

    async def take(self, arriving: StreamedResponse) -> Response:
        """The answer to one attempt. Of a page only its head: the rest has become records."""
        head = arriving.head
        if head.status != 200:
            body = b""
            async for chunk in arriving:
                body += chunk
                if len(body) > _LONGEST_ERROR:
                    break
            return Response(head.status, head.fields, body)
        self._pager.next_request()
        self._pager.begin(head)
        records: list[R] = []
        async for chunk in arriving:
            records += self._pager.feed(chunk)
        self.records = records + self._pager.end()
        return head
