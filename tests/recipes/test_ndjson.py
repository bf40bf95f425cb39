"""The stream of JSON lines, closed in ways that are rare with a real server."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Callable
from importlib import import_module
from pathlib import Path
from typing import cast

import pytest
from backstage import backstage

from aioconnections import Client

Lines = Callable[[Client, list[dict[str, str]]], AsyncGenerator[str]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])
    return cast("Lines", import_module("ndjson").lines)


@pytest.mark.slow
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
def test_it_may_be_closed_in_another_task(lines: Lines, caplog: pytest.LogCaptureFixture, *, begun: bool) -> None:
    """As the event loop does with a generator that a framework has left where it was."""
    caplog.set_level(logging.INFO)

    async def leave() -> None:
        async with Client(behind.url, auth=("admin", "secret"), max_per_second=None) as client:
            stream = lines(client, rows)
            if begun:
                assert '"outcome": "checked"' in await anext(stream)
            await asyncio.create_task(stream.aclose())
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if begun:
                await asyncio.wait(others)
            assert client.stats().under_way == 0
            assert caplog.text.count(" ended: ") == begun

    with backstage() as behind:
        people = [str(person.email) for person in behind.server.directory.people]
        rows = [{"source": people[0], "target": other} for other in people[1:]]
        asyncio.run(leave())
        assert behind.requests < len(rows)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
