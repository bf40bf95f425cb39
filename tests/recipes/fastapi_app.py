"""FastAPI: one client for the process, one login for each request, passed on as the browser sends it."""

import os
from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Annotated

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from ndjson import lines

from aioconnections import Auth, Basic, Bearer, Client, ConnectionsError, Email, Timeouts, http_headers, http_status

URL = os.environ["AIOCONNECTIONS_URL"]
RATE = float(os.environ.get("MAX_PER_SECOND", "100"))  # of each worker process
LOGIN = {"WWW-Authenticate": 'Basic realm="Connections", charset="UTF-8"'}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Each worker process enters a client of its own, after the fork."""
    limits = Timeouts(attempt=5, run=600)
    async with Client(URL, max_connections=16, max_per_second=RATE, max_waiting=500, timeouts=limits) as client:
        app.state.client = client
        yield


async def failed(_: Request, error: Exception) -> JSONResponse:
    """The status that belongs to a failed call."""
    assert isinstance(error, ConnectionsError)
    status = http_status(error)
    return JSONResponse({"detail": str(error)}, status, headers=LOGIN if status == 401 else http_headers(error))


app = FastAPI(lifespan=lifespan, exception_handlers={ConnectionsError: failed})


def credential(authorization: Annotated[str, Header()] = "") -> Auth:
    """The login in the request's own header; logged nowhere."""
    scheme, _, value = authorization.partition(" ")
    with suppress(ValueError):  # what cannot be decoded is no login
        if scheme.lower() == "basic":
            user, _, password = b64decode(value, validate=True).decode().partition(":")
            return Basic(user, password)
        if scheme.lower() == "bearer":
            return Bearer(value)
    raise HTTPException(401, "log in, please", headers=LOGIN)


def whole(request: Request) -> Client:
    """The client of the process."""
    client: Client = request.app.state.client
    return client


def signed_in(client: Annotated[Client, Depends(whole)], auth: Annotated[Auth, Depends(credential)]) -> Client:
    """The client of the user who sent the request: the same connections and limits, another login."""
    return client.as_user(auth)


User = Annotated[Client, Depends(signed_in)]
Seconds = Annotated[float, Header(alias="X-Request-Timeout", gt=0, le=30)]


@app.get("/status")
async def status(source: str, target: str, client: User, seconds: Seconds = 5) -> dict[str, str]:
    """The status between two people, by e-mail address, within the time that the request allows."""
    found = await client.check(Email(source), Email(target), timeout=seconds)
    return {"status": found or "none"}


@app.post("/check")
async def check(rows: Annotated[list[dict[str, str]], Body(max_length=100_000)], client: User) -> StreamingResponse:
    """The statuses of many pairs, as JSON lines."""
    await client.me(timeout=5)  # so that a refused login is a 401, and not a stream that has begun with 200
    return StreamingResponse(lines(client, rows), media_type="application/x-ndjson")


@app.get("/health")
async def health(client: Annotated[Client, Depends(whole)]) -> JSONResponse:
    """What this process is doing. An outage of Connections is reported, and is no reason to stop or restart it."""
    stats = client.stats()
    figures = {"under_way": stats.under_way, "waiting": stats.waiting, "connections_away": stats.waiting_for_server}
    return JSONResponse(figures)
