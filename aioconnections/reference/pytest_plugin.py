"""A pytest fixture for tests of applications that use Connections. Requires pytest and uvicorn.

It is not loaded automatically. Add it to ``conftest.py``::

    pytest_plugins = ["aioconnections.reference.pytest_plugin"]

The fixture `connections_server` is a server on a loopback port, in a thread, for one test::

    def test_it(connections_server):
        alice, bob = connections_server.directory.people[:2]
        my_application(connections_server.url, user=str(alice.email), password=connections_server.password)
        assert connections_server.app.status(alice, bob) == "unconfirmed"

A marker on the test, its class or its module sets options: ``people`` and ``seed`` of `Directory.generate`, and all
options of `aioconnections.reference.app`. The closest marker takes precedence::

    @pytest.mark.connections_server(people=50, version="5.0", emails="hidden")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from aioconnections.reference import ADMINISTRATOR, App, Directory, app
from aioconnections.reference.server import listening_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ConnectionsServer", "connections_server"]


@frozen
class ConnectionsServer:
    """A running server.

    Attributes:
        url: URL of the server, ``http://127.0.0.1:…``.
        app: the server, with counts of requests, the log of changes, and faults.
    """

    url: str
    app: App

    @property
    def directory(self) -> Directory:
        """The people of the server."""
        return self.app.directory

    @property
    def administrator(self) -> str:
        """The user name of the administrator, who sees all connections."""
        return str(ADMINISTRATOR.userid)

    @property
    def password(self) -> str:
        """The password of all people."""
        return self.app.password


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "connections_server(people=200, seed=1, **options): options of the connections_server fixture"
    )


@pytest.fixture
def connections_server(request: pytest.FixtureRequest) -> Iterator[ConnectionsServer]:
    """A reference server on loopback; see `aioconnections.reference.pytest_plugin`."""
    options: dict[str, Any] = {"people": 200, "seed": 1}
    for marker in reversed(list(request.node.iter_markers("connections_server"))):
        options |= marker.kwargs
    server = app(Directory.generate(people=options.pop("people"), seed=options.pop("seed")), **options)
    with listening_in_thread(server) as url:
        yield ConnectionsServer(url, server)
