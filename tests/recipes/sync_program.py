"""A synchronous program: an event loop in a thread, and a client whose calls wait for their result."""

import os
import sys

from anyio.from_thread import start_blocking_portal

from aioconnections import Client, Email

url = os.environ["AIOCONNECTIONS_URL"]
login = os.environ["AIOCONNECTIONS_USER"], os.environ["AIOCONNECTIONS_PASSWORD"]
with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(url, auth=login)) as client:
    for line in sys.stdin:
        source, target = map(Email, line.split(","))
        print(source, target, portal.call(client.check, source, target) or "none")
