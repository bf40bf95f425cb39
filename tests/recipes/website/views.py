"""Django: one client for the process, and the single sign-on cookie of each request passed on to Connections."""

import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.http import require_GET, require_POST
from ndjson import lines

from aioconnections import Client, ConnectionsError, Email, InvalidInputError, Ltpa, http_headers, http_status

Answer = Coroutine[Any, Any, HttpResponseBase]


def signed_in(view: Callable[[ASGIRequest, Client], Answer]) -> Callable[[ASGIRequest], Answer]:
    """Give the view the client of the user who sent the request, and failed calls the status that belongs to them."""

    @wraps(view)
    async def wrapped(request: ASGIRequest) -> HttpResponseBase:
        client: Client = request.scope["state"]["client"]
        if (token := request.COOKIES.get("LtpaToken2")) is None:
            return JsonResponse({"detail": "log in to Connections first"}, status=401)
        try:
            return await view(request, client.as_user(Ltpa(token)))
        except ConnectionsError as error:
            return JsonResponse({"detail": str(error)}, status=http_status(error), headers=http_headers(error))

    return wrapped


def seconds_of(request: ASGIRequest) -> float:
    """The time that the request allows."""
    try:
        seconds = float(request.headers.get("X-Request-Timeout", "5"))
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 30:
        raise InvalidInputError("X-Request-Timeout must be seconds, more than 0 and at most 30")
    return seconds


@require_GET
@signed_in
async def status(request: ASGIRequest, user: Client) -> JsonResponse:
    """The status between two people, by e-mail address, within the time that the request allows."""
    source, target = Email(request.GET.get("source", "")), Email(request.GET.get("target", ""))
    found = await user.check(source, target, timeout=seconds_of(request))
    return JsonResponse({"status": found or "none"})


@require_POST  # it changes nothing; views that do need Django's protection against forged requests
@signed_in
async def check(request: ASGIRequest, user: Client) -> HttpResponseBase:
    """The statuses of many pairs, as JSON lines."""
    rows: list[dict[str, str]] | None = None
    with suppress(ValueError):
        rows = json.loads(request.body)
    if not isinstance(rows, list):
        raise InvalidInputError("the body must be a JSON list")
    await user.me(timeout=5)  # so that a refused login is a 401, and not a stream that has begun with 200
    return StreamingHttpResponse(lines(user, rows), content_type="application/x-ndjson")


@require_GET
async def health(request: ASGIRequest) -> JsonResponse:
    """What this process is doing. An outage of Connections is reported, and is no reason to stop or restart it."""
    client: Client = request.scope["state"]["client"]
    stats = client.stats()
    figures = {"under_way": stats.under_way, "waiting": stats.waiting, "connections_away": stats.waiting_for_server}
    return JsonResponse(figures)
