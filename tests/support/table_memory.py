"""Check the pairs in a table, as many as the first argument says, and print the peak memory in KiB.

The second argument names the library of the table.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from typing import Any

import duckdb
import httpx
import pandas as pd  # type: ignore[import-untyped, unused-ignore] # its types are a package of their own
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore] # it has no types

from aioconnections import Client


class Instant(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        if request.method == "GET":
            return httpx.Response(200, headers={"content-type": "application/atomsvc+xml"})
        return httpx.Response(200, headers={"X-Profiles-Connection-Status": "accepted"})


def table_of(count: int, kind: str) -> Any:
    query = f"select 's' || i source_userid, i target_userid, 'team ' || i % 10 team from range({count}) t(i)"  # noqa: S608 # a number
    relation = duckdb.sql(query)
    if kind == "duckdb":
        return relation
    if kind == "pandas":
        return pd.DataFrame(
            {"source_userid": range(1, count + 1), "target_userid": range(count), "team": pd.array([1] * count)}
        )
    table = pa.RecordBatchReader.from_stream(relation).read_all()
    return pl.DataFrame(table) if kind == "polars" else table


async def main(count: int, kind: str) -> None:
    client = Client("http://localhost", auth=("admin", "secret"), max_per_second=None, transport=Instant())
    async with client:
        result = await client.check_many(table_of(count, kind)).to_arrow()
    assert result.num_rows == count
    assert result["status"].null_count == 0


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak // 1024 if sys.platform == "darwin" else peak)
