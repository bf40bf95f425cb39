"""Whether an application is there, by the documents that need no person."""

from __future__ import annotations

from typing import Any

import pytest
from talk import ATOM, HTML, answer, error, talk, targets

from aioconnections.protocol.address import Address, ApplicationName
from aioconnections.protocol.messages import Response
from aioconnections.protocol.sight import Sight, View, look

ADDRESS = Address.of("https://c.example.com/social")
FEED = answer(200, "<feed xmlns='http://www.w3.org/2005/Atom'/>", ATOM)
SERVICE = answer(200, "<service/>", "application/atomsvc+xml; charset=UTF-8")
LOGIN = answer(200, "<html>Sign in</html>", HTML)
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
    [answer(401), answer(403), answer(302, Location="https://sso.example.com/"), LOGIN, STOPPED, error(404, "")],
)
def test_where_it_is_protected_or_not_offered_a_document_of_the_user_takes_its_place(
    name: ApplicationName, first: Response
) -> None:
    good = SERVICE if name == "profiles" else FEED
    view, asked = talk(look(ADDRESS, name, signs_in=True), first, good)
    assert view == View(Sight.GOOD, needs_login=True)
    assert targets(asked) == [CONFIGS[name], OWN[name]]
    assert not asked[1].anonymous
    view, asked = talk(look(ADDRESS, name, signs_in=True, needs_login=True), good)
    assert (view, targets(asked)) == (View(Sight.GOOD, needs_login=True), [OWN[name]])
    assert talk(look(ADDRESS, name, signs_in=True), first, STOPPED)[0] == View(Sight.ABSENT, needs_login=None)


@pytest.mark.parametrize(
    ("response", "sight"),
    [
        (STOPPED, Sight.ABSENT),
        (answer(404), Sight.ABSENT),
        (answer(200, "{}", "application/json"), Sight.ABSENT),
        (answer(204), Sight.ABSENT),
        (answer(401), Sight.PROTECTED),
        (LOGIN, Sight.PROTECTED),
        (answer(429), Sight.AWAY),
        (answer(500, "<html>", HTML), Sight.AWAY),
        (answer(503), Sight.AWAY),
    ],
)
def test_what_else_is_seen(response: Response, sight: Sight) -> None:
    known: list[dict[str, Any]] = [{"signs_in": False}, {"signs_in": True, "needs_login": False}]
    for options in known:
        view, asked = talk(look(ADDRESS, "profiles", **options), response)
        assert (view.sight, len(asked)) == (sight, 1)
