"""The canary of a web application: one small request that shows whether the application responds.

``serviceconfigs`` exists in each application and needs no login (page "Determining whether email addresses are
hidden"). If it is protected or missing, a document of the signed-in user takes its place.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from attrs import frozen

from aioconnections.errors import TransportError
from aioconnections.protocol.address import Address, ApplicationName
from aioconnections.protocol.messages import Flow, Request, Response
from aioconnections.protocol.responses import DOUBTFUL, error_of, login_page, names_stopped_application

__all__ = ["CanaryReport", "CanaryResult", "canary"]

_FEED = "application/atom+xml"
_SERVICE_DOCUMENT = "application/atomsvc+xml"


class CanaryResult(Enum):
    """What a canary shows."""

    GOOD = "the application responds"
    ABSENT = "something else responds in its place"
    AWAY = "no response, or a failure"
    BUSY = "the server asks for fewer requests"
    UNCLEAR = "unknown without a login"


@frozen
class CanaryReport:
    """The result of `canary`.

    Attributes:
        result: what the canary showed about the application.
        needs_login: whether the next canary must request a document of the signed-in user; None if unknown.
        stopped: whether the application server itself reports that the application is stopped (``SRVE0255E``).
    """

    result: CanaryResult
    needs_login: bool | None
    stopped: bool = False


def canary(
    address: Address,
    application: ApplicationName,
    *,
    signs_in: bool,
    needs_login: bool | None = None,
    method: Literal["GET", "HEAD"] = "GET",
) -> Flow[CanaryReport]:
    """Send a canary to `application`.

    Args:
        address: the address of the server.
        application: profiles or communities.
        signs_in: whether there is a credential.
        needs_login: the value in an earlier `CanaryReport`.
        method: the method of the request; ``HEAD`` shows whether a front end passes HEAD requests on.

    Raises:
        AuthenticationError: the credential was refused.
        CertificateError: a certificate was refused.
        ConnectFailedError: no connection can succeed.
    """
    stopped = False
    if needs_login is not True:
        request = Request(method, f"{address.context}/{application}/serviceconfigs", anonymous=True)
        response = yield from _response_to(request)
        result = _result(request, response, _FEED)
        if result is CanaryResult.GOOD:
            return CanaryReport(result, needs_login=False)
        stopped = response is not None and names_stopped_application(response)
        if result is CanaryResult.BUSY or needs_login is False or not signs_in:
            return CanaryReport(result, needs_login, stopped)
    if application == "profiles":
        request, expected = Request(method, f"{address.profiles}/profileService.do"), _SERVICE_DOCUMENT
    else:
        request, expected = Request(method, f"{address.communities}/community/invites/my?page=1&ps=1"), _FEED
    response = yield from _response_to(request)
    result = _result(request, response, expected)
    if response is not None:
        if response.status != 403 and result is CanaryResult.UNCLEAR:
            raise error_of(request, response)
        stopped = stopped or names_stopped_application(response)
    return CanaryReport(result, True if result is CanaryResult.GOOD else needs_login, stopped)


def _response_to(request: Request) -> Flow[Response | None]:
    try:
        return (yield request)
    except TransportError as error:
        if error.blocks_all_requests:
            raise
        return None


def _result(request: Request, response: Response | None, expected: str) -> CanaryResult:
    if response is None or response.status >= 500:
        return CanaryResult.AWAY
    status = response.status
    if (status == 200 and response.media_type == expected) or (status in DOUBTFUL and response.is_own_form):
        return CanaryResult.GOOD  # a refusal in its own form shows too that the application responds
    if status == 429:
        return CanaryResult.BUSY
    if status in (401, 403) or 300 <= status < 400 or login_page(request, response):
        return CanaryResult.UNCLEAR
    return CanaryResult.ABSENT
