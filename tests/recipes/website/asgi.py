"""Django knows no lifespan, so this wrapper opens the client when the server starts, and closes it at the end."""

import os
from contextlib import AsyncExitStack
from typing import Any

from django.core.asgi import get_asgi_application

from aioconnections import Client, Timeouts

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "website.settings")
URL = os.environ["AIOCONNECTIONS_URL"]
RATE = float(os.environ.get("MAX_PER_SECOND", "100"))  # of each worker process
LIMITS = Timeouts(attempt=5, run=600)
django = get_asgi_application()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Requests go to Django, with the client in their scope; the lifespan is handled here."""
    if scope["type"] != "lifespan":
        await django(scope, receive, send)
        return
    async with AsyncExitStack() as stack:
        await receive()  # lifespan.startup
        try:
            client = Client(URL, max_connections=16, max_per_second=RATE, max_waiting=500, timeouts=LIMITS)
            scope["state"]["client"] = await stack.enter_async_context(client)
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
    await send({"type": "lifespan.shutdown.complete"})
