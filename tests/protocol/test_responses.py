"""An answer that was not hoped for becomes the error that it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    ResponseError,
    ServerError,
    ThrottledError,
    UnexpectedResponseError,
)
from aioconnections.protocol.messages import Origin, Request, Response
from aioconnections.protocol.responses import error_of, foreign_error, login_page, retry_after

REQUEST = Request("GET", "/profiles/atom/connection.do?connectionType=colleague")
REQUEST.origin = Origin("https", "connections.example.com", 443)  # as its sender does
PAGE = "https://connections.example.com/profiles/atom/connection.do"
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def answer(status: int, body: bytes = b"", **fields: str) -> Response:
    named = tuple((name.replace("_", "-").title().encode(), value.encode("latin-1")) for name, value in fields.items())
    return Response(status, named, body)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, UnexpectedResponseError),
        (304, UnexpectedResponseError),
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (405, UnexpectedResponseError),
        (409, UnexpectedResponseError),
        (418, UnexpectedResponseError),
        (429, ThrottledError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
        (799, ServerError),
    ],
)
def test_the_table_of_statuses(status: int, kind: type[ResponseError]) -> None:
    error = error_of(REQUEST, answer(status))
    assert type(error) is kind
    assert (error.status, error.code) == (status, None)
    assert str(error).startswith(f"HTTP {status}: ")


def test_a_status_without_a_name_is_said_to_be_one() -> None:
    assert str(error_of(REQUEST, answer(599))) == "HTTP 599: not a standard status"
    assert str(error_of(REQUEST, answer(400))) == (
        "HTTP 400: the server found the request invalid, for example because it does not know a person in it"
    )
    assert str(error_of(REQUEST, answer(503))) == "HTTP 503: Service Unavailable"


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("/login?to=/profiles/atom/connection.do%3FsourceEmail%3Damy%40example.com", AuthenticationError),
        ("/login.jsp", AuthenticationError),
        ("https://sso.example.com/login?to=x", AuthenticationError),
        ("login.jsp", AuthenticationError),
        (REQUEST.target, UnexpectedResponseError),
        (f"https://c.example.com{REQUEST.target}", UnexpectedResponseError),
        (f"http://c.example.com{REQUEST.target}", UnexpectedResponseError),
        ("?again", UnexpectedResponseError),
        ("", UnexpectedResponseError),
        ("https://[broken", UnexpectedResponseError),
        ("/connection.do", AuthenticationError),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_page_is_a_login(status: int, location: str, kind: type[ResponseError]) -> None:
    error = error_of(REQUEST, answer(status, location=location))
    assert type(error) is kind
    assert str(error).startswith(f"HTTP {status}: {PAGE} redirect")
    assert "connectionType" not in str(error)


def test_a_redirect_of_a_gateway_to_the_path_without_its_own_is_no_login() -> None:
    request = Request("GET", f"/ctx{REQUEST.target}")
    inner = error_of(request, answer(301, location=f"https://inner.example.com{REQUEST.target}"))
    assert type(inner) is UnexpectedResponseError
    assert "check the URL" in str(inner)


@pytest.mark.parametrize("query", ["", "?x=1", "?sourceEmail=else%40example.com"])
@pytest.mark.parametrize("before", ["", "/new", "https://c.example.com", "https://c.example.com/new"])
def test_a_redirect_to_the_same_page_about_other_people_says_so(before: str, query: str) -> None:
    error = error_of(REQUEST, answer(302, location=f"{before}{REQUEST.path}{query}"))
    assert type(error) is UnexpectedResponseError
    assert f"{PAGE} redirects to the same page with other parameters" in str(error)
    assert "else" not in str(error)


def test_a_redirect_of_what_is_no_application_is_a_login() -> None:
    assert type(error_of(Request("GET", "/a?x=1"), answer(302, location="/b"))) is AuthenticationError


def test_a_redirect_says_what_to_look_at() -> None:
    elsewhere = error_of(REQUEST, answer(301, location=f"https://amy:hidden@c.example.com:8443{REQUEST.target}"))
    assert str(elsewhere) == f"HTTP 301: {PAGE} redirects to https://c.example.com: check the URL"
    assert str(error_of(REQUEST, answer(302))) == (
        f"HTTP 302: {PAGE} redirects in a loop, or without a target: check the URL"
    )
    login = error_of(REQUEST, answer(302, location="https://amy:hidden@sso.example.com/login?user=amy%40example.com"))
    assert str(login).startswith(f"HTTP 302: {PAGE} redirected to sso.example.com, most likely to a login page; check")
    own = error_of(REQUEST, answer(302, location="/login"))
    assert "redirected to another page of the same server" in str(own)


def test_a_failure_says_how_long_to_wait() -> None:
    throttled = error_of(REQUEST, answer(429, retry_after="7"))
    failing = error_of(REQUEST, answer(503, retry_after="7"))
    assert isinstance(throttled, ThrottledError)
    assert isinstance(failing, ServerError)
    assert (throttled.retry_after, failing.retry_after) == (7.0, 7.0)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (answer(200, b"<html>", content_type="text/html;charset=UTF-8"), True),
        (answer(200, b"<html>", content_type="application/xhtml+xml"), True),
        (answer(200, content_type="text/html", content_length="1234"), True),
        (answer(200, content_type="text/html", content_length="0"), False),
        (answer(201, content_type="text/html"), False),
        (answer(200, b"<entry/>", content_type="application/atom+xml"), False),
        (answer(200, b"x"), False),
        (answer(404, b"<html>", content_type="text/html"), False),
    ],
)
def test_a_login_page_is_a_success_in_html_with_something_in_it(response: Response, *, expected: bool) -> None:
    assert login_page(REQUEST, response) is expected
    if expected:
        error = error_of(REQUEST, response)
        assert type(error) is AuthenticationError
        assert str(error).startswith(f"HTTP 200: {PAGE} returned an HTML page, most likely a login page; check")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("2.5", 2.5),
        ("0.25", 0.25),
        ("000000000030", 30.0),
        ("300.5", 300.5),
        ("99999999999999999999", 1e9),
        ("9" * 400, 1e9),
        ("99999999999999999999.5", 1e9),
        ("Sun, 06 Nov 1994 08:50:07 GMT", 30.0),
        ("Sunday, 06-Nov-94 08:50:07 GMT", 30.0),
        ("Sun Nov  6 08:50:07 1994", 30.0),
        ("Sun, 06 Nov 1994 08:50:07 -0000", 30.0),
        ("Sun, 06 Nov 1994 08:49:00 GMT", 0.0),
        ("-5", None),
        ("-2.5", None),
        ("-0", None),
        ("+5", None),
        ("1.", None),
        (".5", None),
        ("1.5.0", None),
        ("2,5", None),
        ("1e3", None),
        ("1_000", None),
        ("0x10", None),
        ("inf", None),
        ("-inf", None),
        ("Infinity", None),
        ("nan", None),
        ("2.5 s", None),
        ("1 2", None),
        ("soon", None),
        ("", None),
        ("²", None),
        ("Sun, 99 Nov 1994 08:50:07 GMT", None),
        ("Sun, 06 Nov 1994 08:50:07 +99999999999999999999", None),
    ],
)
def test_the_forms_of_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after(answer(503, retry_after=text, date=DATE)) == seconds


def test_a_date_counts_against_the_servers_own_clock_only() -> None:
    later = "Sun, 06 Nov 1994 08:50:07 GMT"
    assert retry_after(answer(503)) is None
    assert retry_after(answer(503, retry_after=later)) is None
    assert retry_after(answer(503, retry_after=later, date="garbage")) is None
    assert retry_after(answer(503, retry_after=later, date="Sun Nov  6 08:49:37 1994")) == 30.0


header = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=40),
    st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,5} [0-9:]{1,9} [-+A-Z0-9]{1,6}", fullmatch=True),
)


@given(header, header)
def test_garbage_never_raises_and_is_never_negative(text: str, date: str) -> None:
    seconds = retry_after(answer(503, retry_after=text, date=date))
    assert seconds is None or 0 <= seconds < float("inf")


def test_a_response_that_does_not_come_from_connections_may_mean_a_wrong_address() -> None:
    page = Response(404, [(b"Content-Type", b"text/html")])
    away, wrong = foreign_error(REQUEST, page), foreign_error(REQUEST, page, "Profiles service at https://h/profiles")
    assert (away.wrong_address, wrong.wrong_address) == (False, True)
    assert f"the response of {PAGE} (text/html) does not come from Connections" in str(away)
    assert str(wrong) == "HTTP 404: there is no Profiles service at https://h/profiles: check the URL"
