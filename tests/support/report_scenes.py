"""Runs on virtual time whose reports are looked at: a long one with an outage and refusals, and a short one."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trio
from doors import Script, client_of, connected, no_connection, on_virtual_time, pairs, refusal, status
from report_facts import BEGUN

from aioconnections import Pair
from aioconnections.bulk import recording
from aioconnections.cli.report_file import RunReport

__all__ = ["long_run", "short_run"]

ORIGIN = "https://connections.example.com"


class Office(Script):
    """A server on a bad day: it fails for two minutes, refuses for a while, and asks for a pause."""

    def __init__(self) -> None:
        super().__init__(connected)
        self.random = random.Random(4)
        self.began = trio.current_time()
        self.asked_at: float | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        now = trio.current_time() - self.began
        if 150 <= now < 270:
            raise httpx.ConnectError("refused")
        if request.method != "HEAD":
            return await super().handle_async_request(request)
        await trio.sleep(self.random.lognormvariate(-3.2, 0.5) * (4 if 380 <= now < 430 else 1))
        if 360 <= now < 400 and self.random.random() < 0.04:
            return httpx.Response(429)
        if self.asked_at is None and now > 450:
            self.asked_at = now
            return httpx.Response(429, headers={"retry-after": "40"})
        chance = self.random.random()
        if chance < 0.02:
            return refusal(400)
        if chance < 0.024:
            return refusal(403)
        return no_connection() if chance < 0.5 else status("accepted" if chance < 0.9 else "pending")


def reported(path: Path, items: Iterable[Pair], **options: object) -> None:
    """Check the items, and write the report."""

    async def main() -> None:
        about = RunReport(path, "check", ORIGIN, "ajones", begun=BEGUN)
        client = client_of(Office(), **options)
        async with client:
            run = client.check_many(items)
            run.record_timeline()
            await run.drain(about.add)
        stopped = None if run.stopped is None else str(run.stopped)
        assert run.timeline is not None
        last = max(begin for begin, _ in run.timeline)
        about.write(run.timeline, stopped, ended=datetime.fromtimestamp(last, UTC) + timedelta(seconds=1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "wall", lambda: BEGUN.timestamp() + trio.current_time())
        on_virtual_time(main)


def long_run(path: Path, count: int = 50_000) -> None:
    reported(path, pairs(count), max_per_second=60, max_connections=16)


def short_run(path: Path) -> None:
    reported(path, pairs(3), max_per_second=100)
