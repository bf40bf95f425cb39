"""The conversations with Profiles, driven by a list of answers."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    DeadlineError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    ResponseError,
    ServerError,
    ThrottledError,
    UnexpectedResponseError,
)
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import Flow, Request, Response
from aioconnections.protocol.profiles import administration_request, check, check_request, prove_login
from aioconnections.records import Email, Identity, Key, Pair, Status, Userid

R = TypeVar("R")

ADDRESS = Address.of("https://c.example.com")
PAIR = Pair(Email("amy@example.com"), Userid("b7"))
SAID = b"X-Profiles-Connection-Status"
HTML = (b"Content-Type", b"text/html;charset=ISO-8859-1")
ERROR = (b"Content-Type", b"text/xml;charset=UTF-8")


def drive(flow: Flow[R], *answers: Response) -> R:
    """The result of a conversation that asks exactly once per answer."""
    next(flow)
    for response in answers[:-1]:
        flow.send(response)
    with pytest.raises(StopIteration) as stop:
        flow.send(answers[-1])
    result: R = stop.value.value
    return result


def answer(status: int, *fields: tuple[bytes, bytes], body: bytes = b"") -> Response:
    return Response(status, fields, body)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("spell", [str, str.upper, str.title, " {} ".format, "\t{}".format])
def test_the_status_is_in_the_header(status: Status, spell: type[str]) -> None:
    said = answer(200, (b"x-PROFILES-connection-STATUS", spell(status.value).encode()), HTML)
    assert drive(check(ADDRESS, PAIR), said) is status


def test_the_same_status_twice_is_one() -> None:
    said = answer(200, (SAID, b"pending"), (SAID, b"PENDING"))
    assert drive(check(ADDRESS, PAIR), said) is Status.PENDING


@pytest.mark.parametrize("response", [answer(404), answer(404, ERROR), answer(404, HTML)])
def test_404_is_no_connection(response: Response) -> None:
    """Whether one is to be believed, the session has decided before."""
    assert drive(check(ADDRESS, PAIR), response) is None


HERE = check_request(ADDRESS, PAIR).target.encode()

NOT_THE_TWO = [
    (answer(200), AuthenticationError, "login page"),
    (answer(200, HTML, (b"Content-Length", b"4711")), AuthenticationError, "login page"),
    (answer(200, HTML, body=b"<html>"), AuthenticationError, "login page"),
    (answer(200, (SAID, b"accepted"), (SAID, b"pending")), UnexpectedResponseError, "status"),
    (answer(200, (SAID, b"accepted, accepted")), UnexpectedResponseError, "status"),
    (answer(200, (SAID, b"friends")), UnexpectedResponseError, "status"),
    (answer(200, (SAID, b"")), UnexpectedResponseError, "status"),
    (answer(204), UnexpectedResponseError, "No Content"),
    (answer(302, (b"Location", b"/profiles/login.jsp")), AuthenticationError, "login"),
    (answer(302, (b"Location", b"https://sso.example.com/")), AuthenticationError, "login"),
    (answer(301, (b"Location", HERE)), UnexpectedResponseError, "loop"),
    (answer(302, (b"Location", b"https://c.example.com" + HERE)), UnexpectedResponseError, "https"),
    (answer(302), UnexpectedResponseError, "without a target"),
    (answer(400, ERROR), BadRequestError, "does not know a person"),
    (answer(401), AuthenticationError, "refused"),
    (answer(403), ForbiddenError, "Forbidden"),
    (answer(405), UnexpectedResponseError, "Not Allowed"),
    (answer(418), UnexpectedResponseError, "Teapot"),
    (answer(429), ThrottledError, "Too Many"),
    (answer(500, HTML), ServerError, "Internal"),
    (answer(503), ServerError, "Unavailable"),
]


@pytest.mark.parametrize(("response", "kind", "words"), NOT_THE_TWO)
def test_anything_else_is_an_error(response: Response, kind: type[ResponseError], words: str) -> None:
    flow = check(ADDRESS, PAIR)
    next(flow)
    with pytest.raises(ResponseError, match=words) as info:
        flow.send(response)
    assert type(info.value) is kind
    assert info.value.status == response.status
    assert "amy" not in str(info.value)


def test_a_failure_of_the_transport_passes_unchanged() -> None:
    flow = check(ADDRESS, PAIR)
    next(flow)
    failure = DeadlineError("late", sent="maybe")
    with pytest.raises(DeadlineError) as info:
        flow.throw(failure)
    assert info.value is failure


@pytest.mark.parametrize("source", [Email("a@example.com"), Key("k-1"), Userid("U1")])
@pytest.mark.parametrize("target", [Email("b@example.com"), Key("k-2"), Userid("U2")])
def test_the_parameters_are_spelt_as_the_page_spells_them(source: Identity, target: Identity) -> None:
    name = {Email: "Email", Key: "Key", Userid: "Userid"}
    path, _, query = check_request(ADDRESS, Pair(source, target)).target.partition("?")
    assert path == "/profiles/atom/connection.do"
    assert parse_qs(query, strict_parsing=True) == {
        "connectionType": ["colleague"],
        f"source{name[type(source)]}": [source.value],
        f"target{name[type(target)]}": [target.value],
    }


def test_the_request_to_the_letter() -> None:
    request = next(check(ADDRESS, PAIR))
    assert request == Request(
        "HEAD",
        "/profiles/atom/connection.do?connectionType=colleague&sourceEmail=amy%40example.com&targetUserid=b7",
    )


def sendable(text: str) -> bool:
    try:
        return bool(Userid(text))
    except InvalidInputError:
        return False


NASTY = [
    "Zoë Ångström",
    "a+b",
    "a&targetKey=x",
    "100%",
    "%41",
    "a b",
    "\"'",
    "a/../b",
    "#top",
    "?",
    "=",
    ";",
    "🦀",
    "ﬃ",
    "\\",
]


@pytest.mark.parametrize("value", NASTY)
def test_nasty_identities_arrive_whole(value: str) -> None:
    key = f"k{value.replace(' ', '')}"  # which holds no spaces
    request = check_request(ADDRESS, Pair(Key(key), Userid(value)))
    _, _, query = request.target.partition("?")
    assert parse_qs(query, strict_parsing=True, errors="strict") == {
        "connectionType": ["colleague"],
        "sourceKey": [key],
        "targetUserid": [value],
    }


@given(st.text().filter(sendable))
def test_any_identity_arrives_whole(value: str) -> None:
    pair = Pair(Email("amy@example.com"), Userid(value))
    _, _, query = check_request(ADDRESS, pair).target.partition("?")
    assert parse_qs(query, strict_parsing=True, errors="strict")["targetUserid"] == [pair.target.value]


@pytest.mark.parametrize(
    ("address", "start"),
    [
        (Address.of("https://c.example.com/social"), "/social/profiles/atom/"),
        (Address.of("https://c.example.com/a/b/", oauth=True), "/a/b/profiles/oauth/atom/"),
        (Address.of("https://c.example.com", oauth=True), "/profiles/oauth/atom/"),
    ],
)
def test_contexts_and_oauth(address: Address, start: str) -> None:
    assert check_request(address, PAIR).path == f"{start}connection.do"
    assert next(prove_login(address)) == Request("GET", f"{start}profileService.do")


def test_the_service_document_proves_address_and_login() -> None:
    document = answer(200, (b"Content-Type", b"Application/AtomSvc+XML; charset=UTF-8"), body=b"<service/>")
    drive(prove_login(ADDRESS), document)


@pytest.mark.parametrize(
    ("response", "kind", "words"),
    [
        (answer(200, HTML, body=b"<html>"), AuthenticationError, "HTML page"),
        (answer(200, HTML), UnexpectedResponseError, "not come from the Profiles service"),
        (
            answer(200, (b"Content-Type", b"application/json"), body=b"{}"),
            UnexpectedResponseError,
            "not come from the Profiles",
        ),
        (answer(200), UnexpectedResponseError, "not come from the Profiles service"),
        (answer(204), UnexpectedResponseError, "No Content"),
        (answer(302, (b"Location", b"/login")), AuthenticationError, "login"),
        (answer(401), AuthenticationError, "refused"),
        (answer(403), ForbiddenError, "Forbidden"),
        (answer(404, HTML), NotFoundError, "https://c.example.com/social/profiles"),
        (answer(429), ThrottledError, "Too Many"),
        (answer(500, HTML), ServerError, "Internal"),
        (answer(503), ServerError, "Unavailable"),
    ],
)
def test_anything_else_proves_nothing(response: Response, kind: type[ResponseError], words: str) -> None:
    flow = prove_login(Address.of("https://c.example.com/social"))
    next(flow)
    with pytest.raises(ResponseError, match=words) as info:
        flow.send(response)
    assert type(info.value) is kind


@pytest.mark.parametrize("context", ["", "/social"])
def test_the_administration_has_a_service_document_of_its_own(context: str) -> None:
    request = administration_request(Address.of(f"https://c.example.com{context}"))
    assert (request.method, request.target) == ("GET", f"{context}/profiles/admin/atom/profileService.do")


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("https://c.example.com/social", ""),
        ("https://c.example.com/myprofiles", ""),
        ("https://c.example.com/profiles/", ", which ends before /profiles, as in https://c.example.com"),
        (
            "https://c.example.com/social/profiles/atom",
            ", which ends before /profiles, as in https://c.example.com/social",
        ),
    ],
)
def test_a_url_that_goes_on_behind_profiles(url: str, advice: str) -> None:
    flow = prove_login(Address.of(url))
    next(flow)
    with pytest.raises(NotFoundError) as refused:
        flow.send(answer(404, HTML))
    assert str(refused.value).endswith(f"/profiles: check the URL{advice}")
