"""A fixture for tests of applications that talk to Connections. Needs pytest and uvicorn.

It is never loaded by itself; in ``conftest.py``::

    pytest_plugins = ["aioconnections.reference.pytest_plugin"]

Then `connections_server` is a server on a port of loopback, for one test, in a thread of its own::

    def test_it(connections_server):
        alice, bob = connections_server.directory.people[:2]
        my_application(connections_server.url, user=str(alice.email), password=connections_server.password)
        assert connections_server.app.status(alice, bob) == "unconfirmed"

A marker on the test, its class or its module has it made differently: ``people`` and ``seed`` are those of
`Directory.generate`, everything else is for `aioconnections.reference.app`; the marker nearest to the test wins::

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
        url: where it listens, ``http://127.0.0.1:…``.
        app: the server itself: what it was asked, what was changed, and faults to set.
    """

    url: str
    app: App

    @property
    def directory(self) -> Directory:
        """Whom it knows."""
        return self.app.directory

    @property
    def administrator(self) -> str:
        """A name to sign in with that sees everything."""
        return str(ADMINISTRATOR.userid)

    @property
    def password(self) -> str:
        """Everybody's."""
        return self.app.password


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "connections_server(people=200, seed=1, **switches): what the connections_server fixture serves"
    )


@pytest.fixture
def connections_server(request: pytest.FixtureRequest) -> Iterator[ConnectionsServer]:
    """A reference server on loopback, see `aioconnections.reference.pytest_plugin`."""
    options: dict[str, Any] = {"people": 200, "seed": 1}
    for marker in reversed(list(request.node.iter_markers("connections_server"))):
        options |= marker.kwargs
    server = app(Directory.generate(people=options.pop("people"), seed=options.pop("seed")), **options)
    with listening_in_thread(server) as url:
        yield ConnectionsServer(url, server)
