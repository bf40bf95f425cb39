"""Whether a web application of the server is there: one small request that needs no person.

``serviceconfigs`` exists in each application and is open to all (page "Determining whether email addresses are
hidden"). Where it is protected or not offered, a document of the signed-in user takes its place.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from attrs import frozen

from aioconnections.protocol.address import Address, ApplicationName
from aioconnections.protocol.answers import login_page
from aioconnections.protocol.messages import Flow, Request, Response

__all__ = ["Sight", "View", "look"]

_FEED = "application/atom+xml"
_SERVICE_DOCUMENT = "application/atomsvc+xml"


class Sight(Enum):
    """What came of a look at an application."""

    GOOD = "it answers"
    ABSENT = "something else answers in its place"
    AWAY = "nothing answers, or only a failure"
    PROTECTED = "it may be there, but a login is needed to tell"


@frozen
class View:
    """The result of `look`.

    Attributes:
        sight: what came of it.
        needs_login: whether the next look has to use the signed-in user's own document; None: not known yet.
    """

    sight: Sight
    needs_login: bool | None


def look(
    address: Address,
    application: ApplicationName,
    *,
    signs_in: bool,
    needs_login: bool | None = None,
    method: Literal["GET", "HEAD"] = "GET",
) -> Flow[View]:
    """Ask whether `application` is there.

    Args:
        address: of the server.
        application: which one.
        signs_in: whether there is a credential to ask with.
        needs_login: from the `View` of an earlier look at the same server.
        method: ``HEAD`` tells whether a front end lets this method through.
    """
    if needs_login is not True:
        request = Request(method, f"{address.context}/{application}/serviceconfigs", anonymous=True)
        sight = _sight(request, (yield request), _FEED)
        if sight is Sight.GOOD:
            return View(sight, needs_login=False)
        if needs_login is False or sight is Sight.AWAY or not signs_in:
            return View(sight, needs_login)
    if application == "profiles":
        request, expected = Request(method, f"{address.profiles}/profileService.do"), _SERVICE_DOCUMENT
    else:
        request, expected = Request(method, f"{address.communities}/community/invites/my?page=1&ps=1"), _FEED
    sight = _sight(request, (yield request), expected)
    return View(sight, needs_login=True if sight is Sight.GOOD else needs_login)


def _sight(request: Request, response: Response, expected: str) -> Sight:
    status = response.status
    if status == 200 and response.media_type == expected:
        return Sight.GOOD
    if status == 429 or status >= 500:
        return Sight.AWAY
    if status in (401, 403) or 300 <= status < 400 or login_page(request, response):
        return Sight.PROTECTED
    return Sight.ABSENT
