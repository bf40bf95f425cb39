"""A Connections server for tests, demonstrations and benchmarks.

`app` returns an ASGI callable over a `Directory` of generated people::

    directory = Directory.generate(people=5_000, seed=1)
    server = app(directory)

Use it in process through `httpx.ASGITransport`, on a TCP port through `aioconnections.reference.server` (extra
``[server]``), or in pytest through `aioconnections.reference.pytest_plugin`. The password of all people is ``secret``.

The server is written from the protocol and shares no parser, writer or flow with the client, so that a mistake in one
cannot hide the same mistake in the other.
"""

from aioconnections.reference.application import App, Requests, app
from aioconnections.reference.commits import Commit
from aioconnections.reference.directory import Directory, GeneratedCommunity
from aioconnections.reference.faults import Fault
from aioconnections.reference.population import ADMINISTRATOR

__all__ = ["ADMINISTRATOR", "App", "Commit", "Directory", "Fault", "GeneratedCommunity", "Requests", "app"]
