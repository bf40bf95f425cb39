"""What doctor makes of responses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aioconnections.doctor import service_verdicts as verdicts
from aioconnections.doctor.findings import Finding
from aioconnections.errors import AtomError, ServerError
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import Request, Response

ADDRESS = Address.of("https://connections.example.com")
NOW = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)


def response(status: int = 200, body: bytes = b"", **fields: str) -> Response:
    return Response(status, [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()], body)


@pytest.mark.parametrize(
    ("fields", "status", "found", "advice"),
    [
        ({}, "ok", "connections are kept, and no limits are named", ""),
        (
            {"Keep_Alive": "timeout=10, max=100"},
            "ok",
            "the server closes a connection after 10 s without a request and accepts 100 requests on one",
            "",
        ),
        ({"Keep_Alive": "max=1000"}, "ok", "the server accepts 1,000 requests on one", ""),
        (
            {"Keep_Alive": "timeout=5"},
            "warning",
            "the server closes a connection after 5 s without a request",
            "ask the administrator of the server for a KeepAliveTimeout above 8 s",
        ),
        (
            {"Keep_Alive": "timeout=15, max=4"},
            "warning",
            "the server closes a connection after 15 s without a request and accepts 4 requests on one",
            "ask the administrator of the server to allow more requests on one connection",
        ),
        (
            {"Connection": "Upgrade, Close", "Keep_Alive": "timeout=10"},
            "warning",
            "Connection: close; each request needs a new connection",
            "ask the administrator of the server to turn keep-alive on, which saves most of the time",
        ),
        ({"Keep_Alive": "timeout=soon"}, "ok", "connections are kept, and no limits are named", ""),
    ],
)
def test_keep_alive(fields: dict[str, str], status: str, found: str, advice: str) -> None:
    items = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    finding = verdicts.on_keep_alive(Response(200, items))
    assert (finding.status, finding.found, finding.advice) == (status, found, advice)


@pytest.mark.parametrize(
    ("requests", "opened", "closes"), [(20, 20, True), (20, 11, True), (20, 10, False), (20, 0, False), (1, 1, False)]
)
def test_connections_that_are_closed_without_a_word(requests: int, opened: int, closes: bool) -> None:  # noqa: FBT001 # a case
    finding = verdicts.on_keep_alive(response(Keep_Alive="timeout=10"), requests=requests, opened=opened)
    assert finding.details["closes"] is closes
    assert (finding.status, bool(finding.advice)) == (("warning", True) if closes else ("ok", False))


@pytest.mark.parametrize(
    ("date", "status", "ahead"),
    [
        ("Sun, 29 Nov 2026 09:30:00 GMT", "ok", 0),
        ("Sunday, 29-Nov-26 09:29:00 GMT", "ok", 60),
        ("Sun Nov 29 09:28:59 2026", "warning", 61),
        ("Sun, 29 Nov 2026 10:30:00 GMT", "warning", -3_600),
        ("tomorrow", "ok", None),
        ("", "ok", None),
    ],
)
def test_clock(date: str, status: str, ahead: int | None) -> None:
    finding = verdicts.on_clock(response(Date=date), NOW)
    assert (finding.status, finding.details["seconds_ahead"]) == (status, ahead)
    if status == "warning":
        assert ("ahead of" if (ahead or 0) > 0 else "behind") in finding.found
        assert finding.advice.startswith("set the clock of this machine")


@pytest.mark.parametrize(("age", "status"), [("3600", "ok"), ("60", "warning"), ("-1", "warning"), ("", "warning")])
def test_the_clock_is_not_compared_with_the_date_of_a_kept_response(age: str, status: str) -> None:
    finding = verdicts.on_clock(response(Date="Sun, 29 Nov 2026 08:30:00 GMT", Age=age), NOW)
    assert finding.status == status


@pytest.mark.parametrize(
    ("values", "schemes"),
    [
        ([], []),
        (['Basic realm="Connections, intranet"'], ["Basic"]),
        (["Negotiate"], ["Negotiate"]),
        (["Negotiate", 'Basic realm="x"'], ["Negotiate", "Basic"]),
        (['Negotiate, Basic realm="x", charset="UTF-8", Bearer'], ["Negotiate", "Basic", "Bearer"]),
        (["NTLM TlRMTVNTUAAB=="], ["NTLM"]),
        ([""], []),
    ],
)
def test_login_schemes(values: list[str], schemes: list[str]) -> None:
    found = Response(401, [(b"WWW-Authenticate", value.encode()) for value in values])
    assert verdicts.challenges(found) == schemes


@pytest.mark.parametrize(
    ("context", "location", "expected"),
    [
        ("", None, ["/connections", "/social"]),
        ("/social", None, ["", "/connections"]),
        ("/a/b/c", None, ["/a/b", "/a", "", "/connections", "/social"]),
        ("/profiles/html", None, ["/profiles", "", "/connections", "/social"]),
        ("", "/collab/homepage/", ["/collab", "/connections", "/social"]),
        ("", "https://connections.example.com/x/y/profiles?a=b", ["/x/y", "/connections", "/social"]),
        ("", "/homepage", ["/connections", "/social"]),
        ("", "https://sso.example.com/login", ["/connections", "/social"]),
        ("", "//homepage", ["/connections", "/social"]),
    ],
)
def test_where_else_the_applications_may_be(context: str, location: str | None, expected: list[str]) -> None:
    assert verdicts.contexts_to_try(context, location) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", verdicts.DocumentFacts()),
        (b"<html>", verdicts.DocumentFacts()),
        (b'<?xml version="1.0"?>', verdicts.DocumentFacts()),
        (
            (
                b'<feed xmlns="http://www.w3.org/2005/Atom"><generator version="6.5.0.0">IBM Connections</generator>'
                b'<title> Configurations </title><category term="email-hidden"'
                b' scheme="http://www.ibm.com/xmlns/prod/sn/configuration"/></feed>'
            ),
            verdicts.DocumentFacts(version="6.5.0.0", emails="hidden", title="Configurations"),
        ),
        (
            (
                b'<feed xmlns="http://www.w3.org/2005/Atom"><category term="email-exposed"'
                b' scheme="http://www.ibm.com/xmlns/prod/sn/configuration"/></feed>'
            ),
            verdicts.DocumentFacts(emails="exposed"),
        ),
        (
            b'<feed xmlns="http://www.w3.org/2005/Atom"><category term="email-hidden" scheme="other"/></feed>',
            verdicts.DocumentFacts(),
        ),
    ],
)
def test_what_a_document_says(body: bytes, expected: verdicts.DocumentFacts) -> None:
    assert verdicts.facts_of_document(response(body=body)) == expected


@pytest.mark.parametrize(
    ("status", "kind", "known", "verdict"),
    [
        (200, "application/atomsvc+xml; charset=UTF-8", True, "ok"),
        (403, "text/xml", False, "ok"),
        (403, "text/html", None, "warning"),
        (200, "text/html", None, "warning"),
        (302, "text/html", None, "warning"),
        (404, "text/html", None, "warning"),
        (401, "text/html", None, "warning"),
    ],
)
def test_administrator(status: int, kind: str, known: bool | None, verdict: str) -> None:  # noqa: FBT001 # a case
    request = Request("GET", "/profiles/admin/atom/profileService.do")
    finding = verdicts.on_administrator(request, response(status, Content_Type=kind))
    assert (finding.details["administrator"], finding.status) == (known, verdict)
    assert finding.found.startswith("not known") is (known is None)


@pytest.mark.parametrize("status", [301, 302, 307])
@pytest.mark.parametrize(
    ("context", "location", "advice"),
    [
        ("", "http://connections.example.com/profiles/serviceconfigs", "http://connections.example.com"),
        (
            "/social",
            "https://new.example.com:8443/social/profiles/serviceconfigs",
            "https://new.example.com:8443/social",
        ),
        ("", "https://new.example.com/social/profiles/serviceconfigs", "https://new.example.com/social"),
        ("", "https://sso.example.com/login?back=/profiles/serviceconfigs", None),
        ("", "https://connections.example.com/login/profiles/serviceconfigs", None),
        ("", "https://a:b@new.example.com/login/profiles/serviceconfigs", None),
        ("", "https://new.example.com/a b/profiles/serviceconfigs", None),
    ],
)
def test_a_redirect_to_another_server(status: int, context: str, location: str, advice: str | None) -> None:
    """The login is not sent to a server that says that Profiles is on another one."""
    address = Address.of(f"https://connections.example.com{context}")
    request = verdicts.anonymous_request(address, "profiles")
    request.origin = address.origin
    finding = verdicts.needs_login(address, request, response(status, Location=location), has_login=True)
    assert (None if finding is None else finding.advice) == (advice and f"use --url {advice}")


def test_hidden_emails_are_not_known() -> None:
    finding = verdicts.on_emails(verdicts.DocumentFacts(), "/profiles/serviceconfigs")
    assert finding.status == "warning"
    assert finding.found == "it does not say whether e-mail addresses are hidden"


@pytest.mark.parametrize(
    ("p95", "given", "found", "advice"),
    [
        (0.02, 16, "--max-connections 3 is enough for 100 requests per second", ""),
        (0.3, 16, "--max-connections 31 is enough for 100 requests per second", "pass --max-connections 31"),
        (0.3, 31, "--max-connections 31 is enough for 100 requests per second", ""),
        (
            30,
            16,
            "--max-connections 64, the most that is proposed, gives 2.1 requests per second",
            "pass --max-connections 64",
        ),
    ],
)
def test_the_proposal(p95: float, given: int, found: str, advice: str) -> None:
    finding = verdicts.on_max_connections(p95, rate=100, given=given)
    assert (finding.status, finding.found, finding.advice) == ("ok", found, advice)


def test_an_interrupted_measurement() -> None:
    error = ServerError(503, None, "Service Unavailable")
    assert verdicts.on_latency([], 20, error).found == "HTTP 503: Service Unavailable"
    finding = verdicts.on_latency([0.012, 0.2], 20, error)
    assert finding.found == "HTTP 503: Service Unavailable; p50 12 ms, p95 200 ms of the 2 before it"
    assert (finding.error, finding.details["requests"]) == (error, 2)


def test_a_service_document_that_cannot_be_read() -> None:
    request = Request("GET", f"{ADDRESS.profiles}/profileService.do")
    broken = response(body=b"<service", Content_Type="application/atomsvc+xml")
    with pytest.raises(AtomError):
        verdicts.read_service_document(request, broken, is_found=True)


def test_json() -> None:
    finding: Finding = verdicts.on_keep_alive(response())
    assert finding.as_dict() == {
        "name": "keep_alive",
        "status": "ok",
        "tried": "Connection and Keep-Alive headers",
        "found": "connections are kept, and no limits are named",
        "advice": "",
        "details": {"closes": False, "timeout": None, "max": None},
    }
