"""A second opinion: a Connections server for tests, demonstrations and benchmarks, written from the protocol alone.

`app` makes an ASGI callable over a `Directory` of invented people::

    directory = Directory.generate(people=5_000, seed=1)
    server = app(directory)

In process it goes into `httpx.ASGITransport`; `aioconnections.reference.server` puts it on a TCP port (extra
``[server]``), and `aioconnections.reference.pytest_plugin` into your tests. The password of everyone is ``secret``.

Nothing here reads or writes with the code that the client uses, so a mistake in one cannot hide a mistake in the other.
"""

from aioconnections.reference.application import app
from aioconnections.reference.asgi import App, Requests
from aioconnections.reference.commits import Commit
from aioconnections.reference.directory import Community, Directory
from aioconnections.reference.faults import Fault
from aioconnections.reference.population import ADMINISTRATOR

__all__ = ["ADMINISTRATOR", "App", "Commit", "Community", "Directory", "Fault", "Requests", "app"]
