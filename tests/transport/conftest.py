from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib import import_module

import pytest
from transport.tls import trusting

from aioconnections.transport import socketwire
from aioconnections.transport.pool import LanePool


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["httpx", "httpx2"])
def either_httpx(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a module that uses this fixture, the name `httpx` in a test is httpx, and then httpx2."""
    monkeypatch.setattr(request.module, "httpx", import_module(request.param))


@pytest.fixture(params=[0, 8], ids=["batched", "at once"])
def sending(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes on asyncio send at the end of a loop iteration, or at once."""
    monkeypatch.setattr(socketwire, "_BATCH_FROM", request.param)


@pytest.fixture
async def lanes(anyio_backend: str) -> AsyncIterator[LanePool]:  # noqa: ARG001 -- which event loop
    """A pool that is checked for leaks and closed at the end."""
    async with contextlib.aclosing(LanePool()) as lanes:
        yield lanes
        assert "0 opening, 0 lent" in repr(lanes) or "closed" in repr(lanes)


@pytest.fixture
async def secure(anyio_backend: str) -> AsyncIterator[LanePool]:  # noqa: ARG001 -- which event loop
    """A pool that trusts the CA of the tests."""
    async with contextlib.aclosing(LanePool(verify=trusting())) as lanes:
        yield lanes
        assert "0 opening, 0 lent" in repr(lanes)
