"""Check generated pairs in process, as many as the first argument, and print the peak memory in KiB."""

from __future__ import annotations

import asyncio
import resource
import sys

import httpx

from aioconnections import Checked, Client, Userid


class Instant(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        if request.method == "GET":
            return httpx.Response(200, headers={"content-type": "application/atomsvc+xml"})
        return httpx.Response(200, headers={"X-Profiles-Connection-Status": "accepted"})


async def main(count: int) -> None:
    pairs = ((Userid(f"source-{n}"), Userid(f"target-{n}")) for n in range(count))
    client = Client("http://localhost", auth=("admin", "secret"), max_per_second=1e9, transport=Instant())
    async with client, client.check_many(pairs) as outcomes:
        async for outcome in outcomes:
            assert isinstance(outcome, Checked)
    assert outcomes.tally.checked == count


asyncio.run(main(int(sys.argv[1])))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak // 1024 if sys.platform == "darwin" else peak)
