"""How long the way of one HEAD request through the package is, from the `async for` to the socket and back."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import pytest

import aioconnections
from aioconnections import Client, Pair, Userid

MOST_CALLS = 45
MOST_MODULES = 15
ITEMS = 100
WARM = 20

_PACKAGE = str(Path(aioconnections.__file__).parent)
_SERVICE = (
    b'<service xmlns="http://www.w3.org/2007/app" xmlns:snx="http://www.ibm.com/xmlns/prod/sn"><workspace>'
    b'<collection href="x"><snx:userid>ajones</snx:userid></collection></workspace></service>'
)
_DOCUMENT = b"HTTP/1.1 200 OK\r\nContent-Type: application/atomsvc+xml\r\nContent-Length: %d\r\n\r\n%b"
_ACCEPTED = (
    b"HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 09:30:00 GMT\r\nX-Profiles-Connection-Status: accepted\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class Server(asyncio.Protocol):
    """Answers every HEAD with "accepted"."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        is_head = data.startswith(b"HEAD ")
        self.transport.write(_ACCEPTED if is_head else _DOCUMENT % (len(_SERVICE), _SERVICE))


class Trace:
    """Counts the calls of Python functions of the package, by module; a coroutine that continues counts again."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_PACKAGE):
            self.calls[frame.f_code.co_filename.removeprefix(_PACKAGE)] += 1


async def traced() -> Trace:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pairs = [Pair(Userid(f"a{number}"), Userid(f"b{number}")) for number in range(WARM + ITEMS + 10)]
    trace, given = Trace(), 0
    url = f"http://127.0.0.1:{port}"
    try:
        async with (
            Client(url, auth=("ajones", "secret"), max_connections=1, max_per_second=None) as client,
            client.check_many(pairs) as outcomes,
        ):
            async for _ in outcomes:
                given += 1
                if given == WARM:
                    sys.setprofile(trace)
                elif given == WARM + ITEMS:
                    sys.setprofile(None)
                    break
    finally:
        sys.setprofile(None)
        server.close()
    return trace


@pytest.mark.asyncio
async def test_a_head_takes_few_calls_in_few_modules() -> None:
    calls = (await traced()).calls
    shown = "\n".join(f"{count / ITEMS:6.2f} {module}" for module, count in calls.most_common())
    assert round(sum(calls.values()) / ITEMS) <= MOST_CALLS, shown
    assert sum(count >= ITEMS // 2 for count in calls.values()) <= MOST_MODULES, shown
