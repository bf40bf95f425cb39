from __future__ import annotations

from collections.abc import Generator

import pytest
from redis_server import RedisServer, running_redis


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    """A Redis server; each test uses a namespace of its own."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """A namespace that no other test uses."""
    return f"test-{abs(hash(request.node.nodeid))}"
