"""Litestar: one client for the process, and the access token of each request passed on to Connections."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import NotAuthorizedException
from litestar.params import Parameter
from litestar.response import Stream
from ndjson import lines

from aioconnections import Bearer, Client, ConnectionsError, Email, Timeouts, http_headers, http_status

URL = os.environ["AIOCONNECTIONS_URL"]
RATE = float(os.environ.get("MAX_PER_SECOND", "100"))  # of each worker process
Web = Request[object, object, State]
Seconds = Annotated[float, Parameter(header="X-Request-Timeout", gt=0, le=30)]


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncGenerator[None]:
    """Each worker process enters a client of its own, after the fork."""
    limits = Timeouts(attempt=5, run=600)
    async with Client(URL, max_connections=16, max_per_second=RATE, max_waiting=500, timeouts=limits) as client:
        app.state.client = client
        yield


async def signed_in(request: Web) -> Client:
    """The client of the user who sent the request: the same connections and limits, another login."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthorizedException("send an access token", headers={"WWW-Authenticate": "Bearer"})
    client: Client = request.app.state.client
    return client.as_user(Bearer(token))


def failed(_: Web, error: ConnectionsError) -> Response[dict[str, str]]:
    """The status that belongs to a failed call."""
    status = http_status(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else http_headers(error)
    return Response({"detail": str(error)}, status_code=status, headers=headers)


@get("/status")
async def status(source: str, target: str, user: Client, seconds: Seconds = 5) -> dict[str, str]:
    """The status between two people, by e-mail address, within the time that the request allows."""
    found = await user.check(Email(source), Email(target), timeout=seconds)
    return {"status": found or "none"}


@post("/check", status_code=200, request_max_body_size=20_000_000)
async def check(data: list[dict[str, str]], user: Client) -> Stream:
    """The statuses of many pairs, as JSON lines."""
    await user.me(timeout=5)  # so that a refused login is a 401, and not a stream that has begun with 200
    return Stream(lines(user, data), media_type="application/x-ndjson")


@get("/health")
async def health(state: State) -> Response[dict[str, int]]:
    """What this process is doing. An outage of Connections is reported, and is no reason to stop or restart it."""
    client: Client = state.client
    stats = client.stats()
    figures = {"under_way": stats.under_way, "waiting": stats.waiting, "connections_away": stats.waiting_for_server}
    return Response(figures)


app = Litestar(
    [status, check, health],
    lifespan=[lifespan],
    dependencies={"user": Provide(signed_in)},
    exception_handlers={ConnectionsError: failed},
)
