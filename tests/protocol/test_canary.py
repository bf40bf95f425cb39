"""Whether an application is there, by the documents that need no person."""

from __future__ import annotations

from typing import Any

import pytest
from talk import ATOM, HTML, answer, error, talk, targets

from aioconnections.errors import AuthenticationError, CertificateError, ProtocolError
from aioconnections.protocol.address import Address, ApplicationName
from aioconnections.protocol.canary import CanaryReport, CanaryResult, canary
from aioconnections.protocol.messages import Response

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
    report, asked = talk(canary(ADDRESS, name, signs_in=True), FEED)
    assert report == CanaryReport(CanaryResult.GOOD, needs_login=False)
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
    report, asked = talk(canary(ADDRESS, name, signs_in=True), first, good)
    assert (report.result, report.needs_login) == (CanaryResult.GOOD, True)
    assert targets(asked) == [CONFIGS[name], OWN[name]]
    assert not asked[1].anonymous
    report, asked = talk(canary(ADDRESS, name, signs_in=True, needs_login=True), good)
    assert (report, targets(asked)) == (CanaryReport(CanaryResult.GOOD, needs_login=True), [OWN[name]])
    assert talk(canary(ADDRESS, name, signs_in=True), first, MOVED)[0].result is CanaryResult.ABSENT
    assert (
        talk(canary(ADDRESS, name, signs_in=True), first, answer(403, "<html>", HTML))[0].result is CanaryResult.UNCLEAR
    )
    for refusal in (answer(401), LOGIN, answer(302, Location="https://sso.example.com/")):
        with pytest.raises(AuthenticationError):
            talk(canary(ADDRESS, name, signs_in=True), first, refusal)


@pytest.mark.parametrize(
    ("response", "result", "stopped"),
    [
        (STOPPED, CanaryResult.ABSENT, True),
        (MOVED, CanaryResult.ABSENT, False),
        (answer(403, "<html>", HTML), CanaryResult.UNCLEAR, False),
        (answer(200, "{}", "application/json"), CanaryResult.ABSENT, False),
        (answer(204), CanaryResult.ABSENT, False),
        (answer(401), CanaryResult.UNCLEAR, False),
        (LOGIN, CanaryResult.UNCLEAR, False),
        (answer(429), CanaryResult.BUSY, False),
        (answer(500, "<html>", HTML), CanaryResult.AWAY, False),
        (answer(503), CanaryResult.AWAY, False),
        (ProtocolError("reset", sent="maybe"), CanaryResult.AWAY, False),
        (error(404, "Not here."), CanaryResult.GOOD, False),
    ],
)
def test_what_else_is_seen(response: Response | Exception, result: CanaryResult, *, stopped: bool) -> None:
    known: list[dict[str, Any]] = [{"signs_in": False}, {"signs_in": True, "needs_login": False}]
    for options in known:
        report, asked = talk(canary(ADDRESS, "profiles", **options), response)
        assert (report.result, report.stopped, len(asked)) == (result, stopped, 1)
    with pytest.raises(CertificateError):
        talk(canary(ADDRESS, "profiles", signs_in=True), CertificateError("expired"))


def test_a_busy_server_is_not_asked_for_the_other_document() -> None:
    report, asked = talk(canary(ADDRESS, "profiles", signs_in=True), answer(429))
    assert (report, len(asked)) == (CanaryReport(CanaryResult.BUSY, needs_login=None), 1)


def test_the_method_is_that_of_the_caller() -> None:
    _, asked = talk(canary(ADDRESS, "profiles", signs_in=True, method="HEAD"), answer(401), SERVICE)
    assert [request.method for request in asked] == ["HEAD", "HEAD"]
