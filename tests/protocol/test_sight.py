"""Whether an application is there, by the documents that need no person."""

from __future__ import annotations

from typing import Any

import pytest
from talk import ATOM, HTML, answer, error, talk, targets

from aioconnections.errors import AuthenticationError, CertificateError, ProtocolError
from aioconnections.protocol.address import Address, ApplicationName
from aioconnections.protocol.messages import Response
from aioconnections.protocol.sight import Sight, View, look

ADDRESS = Address.of("https://c.example.com/social")
FEED = answer(200, "<feed xmlns='http://www.w3.org/2005/Atom'/>", ATOM)
SERVICE = answer(200, "<service/>", "application/atomsvc+xml; charset=UTF-8")
LOGIN = answer(200, "<html>Sign in</html>", HTML)
MOVED = answer(404, "<html>nginx</html>", HTML)
STOPPED = answer(404, "<html>SRVE0255E: A WebGroup has not been defined.</html>", HTML)
CONFIGS = {name: f"GET /social/{name}/serviceconfigs" for name in ("profiles", "communities")}
OWN = {
    "profiles": "GET /social/profiles/atom/profileService.do",
    "communities": "GET /social/communities/service/atom/community/invites/my?page=1&ps=1",
}
NAMES: tuple[ApplicationName, ...] = ("profiles", "communities")


@pytest.mark.parametrize("name", NAMES)
def test_a_feed_of_configurations_is_enough(name: ApplicationName) -> None:
    view, asked = talk(look(ADDRESS, name, signs_in=True), FEED)
    assert view == View(Sight.GOOD, needs_login=False)
    assert targets(asked) == [CONFIGS[name]]
    assert asked[0].anonymous


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "first",
    [
        answer(401),
        answer(403, "<html>", HTML),
        answer(302, Location="https://sso.example.com/"),
        LOGIN,
        STOPPED,
        MOVED,
        answer(503),
    ],
)
def test_where_it_is_protected_or_not_offered_a_document_of_the_user_takes_its_place(
    name: ApplicationName, first: Response
) -> None:
    good = SERVICE if name == "profiles" else FEED
    view, asked = talk(look(ADDRESS, name, signs_in=True), first, good)
    assert (view.sight, view.needs_login) == (Sight.GOOD, True)
    assert targets(asked) == [CONFIGS[name], OWN[name]]
    assert not asked[1].anonymous
    view, asked = talk(look(ADDRESS, name, signs_in=True, needs_login=True), good)
    assert (view, targets(asked)) == (View(Sight.GOOD, needs_login=True), [OWN[name]])
    assert talk(look(ADDRESS, name, signs_in=True), first, MOVED)[0].sight is Sight.ABSENT
    assert talk(look(ADDRESS, name, signs_in=True), first, answer(403, "<html>", HTML))[0].sight is Sight.UNCLEAR
    for refusal in (answer(401), LOGIN, answer(302, Location="https://sso.example.com/")):
        with pytest.raises(AuthenticationError):
            talk(look(ADDRESS, name, signs_in=True), first, refusal)


@pytest.mark.parametrize(
    ("response", "sight", "stopped"),
    [
        (STOPPED, Sight.ABSENT, True),
        (MOVED, Sight.ABSENT, False),
        (answer(403, "<html>", HTML), Sight.UNCLEAR, False),
        (answer(200, "{}", "application/json"), Sight.ABSENT, False),
        (answer(204), Sight.ABSENT, False),
        (answer(401), Sight.UNCLEAR, False),
        (LOGIN, Sight.UNCLEAR, False),
        (answer(429), Sight.BUSY, False),
        (answer(500, "<html>", HTML), Sight.AWAY, False),
        (answer(503), Sight.AWAY, False),
        (ProtocolError("reset", sent="maybe"), Sight.AWAY, False),
        (error(404, "Not here."), Sight.GOOD, False),
    ],
)
def test_what_else_is_seen(response: Response | Exception, sight: Sight, *, stopped: bool) -> None:
    known: list[dict[str, Any]] = [{"signs_in": False}, {"signs_in": True, "needs_login": False}]
    for options in known:
        view, asked = talk(look(ADDRESS, "profiles", **options), response)
        assert (view.sight, view.stopped, len(asked)) == (sight, stopped, 1)
    with pytest.raises(CertificateError):
        talk(look(ADDRESS, "profiles", signs_in=True), CertificateError("expired"))


def test_a_busy_server_is_not_asked_for_the_other_document() -> None:
    view, asked = talk(look(ADDRESS, "profiles", signs_in=True), answer(429))
    assert (view, len(asked)) == (View(Sight.BUSY, needs_login=None), 1)


def test_the_method_is_that_of_the_caller() -> None:
    _, asked = talk(look(ADDRESS, "profiles", signs_in=True, method="HEAD"), answer(401), SERVICE)
    assert [request.method for request in asked] == ["HEAD", "HEAD"]
