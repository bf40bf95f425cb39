"""Arguments that make no sense are refused where they are given, before anything is sent."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from server import URL, Place

from aioconnections import (
    Basic,
    Bearer,
    Client,
    Connection,
    Email,
    Failed,
    InvalidInputError,
    Invitation,
    Invite,
    Key,
    Ltpa,
    OAuth2,
    Person,
    Userid,
)
from aioconnections.journal import Journal

pytestmark = pytest.mark.anyio

OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"settle": -1}, "settle must be a number of seconds of at least 0, got -1"),
    ({"settle": math.nan}, "settle must be a number of seconds of at least 0, got nan"),
    ({"settle": math.inf}, "settle must be a number of seconds of at least 0, got inf"),
    ({"settle": "30"}, "settle must be a number of seconds of at least 0, got str"),
    ({"settle": None}, "settle must be a number of seconds of at least 0, got NoneType"),
    ({"settle": True}, "settle must be a number of seconds of at least 0, got True"),
    ({"on_unknown": "retry"}, "on_unknown must be one of recheck, report, got 'retry'"),
    ({"on_unknown": None}, "on_unknown must be one of recheck, report, got None"),
    ({"message_type": "xhtml"}, "text or html"),
    ({"message_type": "HTML"}, "text or html"),
    ({"message_type": []}, "text or html"),
    ({"message": "\x01"}, "XML"),
    ({"message": 5}, "message must be text, got int"),
]


@pytest.mark.parametrize(("options", "problem"), OPTIONS)
async def test_how_to_invite(options: dict[str, Any], problem: str) -> None:
    place = Place()
    async with place.client(0) as client:
        with pytest.raises(InvalidInputError, match=problem):
            await client.invite(place.person(1), **options)
        with pytest.raises(InvalidInputError, match=problem):
            client.invite_many([place.person(1)], journal=None, **options)
    assert place.server.requests.total == 0


async def test_what_is_no_text_and_no_function_is_refused() -> None:
    place = Place()
    async with place.client(0) as client:
        for uuid in ("", None, 5):
            with pytest.raises(InvalidInputError, match="uuid"):
                client.community(uuid)  # type: ignore[arg-type] # a call that type checkers must refuse
        group = client.community("g")
        with pytest.raises(InvalidInputError, match="title"):
            await group.invite(place.person(1), title=None)  # type: ignore[arg-type] # likewise
        with pytest.raises(InvalidInputError, match="title"):
            group.invite_many([place.person(1)], journal=None, title=5)  # type: ignore[arg-type] # likewise
        for title in ("\ud800", "\x08"):
            with pytest.raises(InvalidInputError, match="which XML does not allow"):
                group.invite_many([place.person(1)], journal=None, title=title)
            with pytest.raises(InvalidInputError, match="which XML does not allow"):
                await group.invite(place.person(1), title=title)
        with pytest.raises(InvalidInputError, match="message"):
            await client.admin.connect(place.person(1), place.person(2), message=5)  # type: ignore[arg-type] # likewise
        with pytest.raises(InvalidInputError, match="on_progress"):
            client.check_many([], on_progress=5)  # type: ignore[arg-type] # likewise
        with pytest.raises(InvalidInputError, match="max_per_second"):
            client.max_per_second = "fast"  # type: ignore[assignment] # likewise
    assert place.server.requests.total == 0


async def test_to_wait_for_no_time_is_a_time() -> None:
    place = Place()
    a, b, c = place.strangers(3)
    async with place.client(a) as client:
        await client.invite(place.person(b), settle=0)
        async with client.invite_many([place.person(c)], journal=None, settle=0.5, on_unknown="report") as outcomes:
            assert [outcome.as_dict()["outcome"] async for outcome in outcomes] == ["invited"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"status": "accepted&userid=x"},
            "status must be one of accepted, pending, unconfirmed, got 'accepted&userid=x'",
        ),
        ({"sort_by": "updated"}, "sort_by must be one of displayName, modified, got 'updated'"),
        ({"page_size": 0}, "page_size must be at least 1, got 0"),
    ],
)
async def test_what_to_list(options: dict[str, Any], problem: str) -> None:
    place = Place()
    async with place.client(0) as client:
        with pytest.raises(InvalidInputError, match=problem):
            client.colleagues(place.person(0), **options)
    assert place.server.requests.total == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "search needs at least one term; pass name=, for example"),
        ({"name": "a*", "page_size": 0}, "page_size must be at least 1, got 0"),
    ],
)
async def test_what_to_search_for(options: dict[str, Any], problem: str) -> None:
    place = Place()
    async with place.client(0) as client:
        with pytest.raises(InvalidInputError, match=problem):
            client.search(**options)
    assert place.server.requests.total == 0


async def test_a_connection_has_two_people() -> None:
    place = Place()
    ann: Person = place.person(0)
    async with place.client(0) as client:
        with pytest.raises(InvalidInputError, match="two people, got one Person; pass the target too"):
            await client.connection(ann)  # type: ignore[call-overload] # a call that type checkers must refuse
        with pytest.raises(InvalidInputError, match="expected Email, Userid, Key or Person, got str"):
            await client.connection("c0ffee", ann)  # type: ignore[call-overload] # a call that type checkers must refuse
    assert place.server.requests.total == 0


async def test_a_status_may_be_given_as_its_text() -> None:
    place = Place()
    a, b = place.strangers()
    async with place.client(a) as client:
        await client.invite(place.person(b))
        listing = client.colleagues(place.person(a), status="unconfirmed")  # type: ignore[arg-type] # a text is equal
        assert place.person(b).userid in [it.target.userid async for it in listing]


CANNOT_BE_SENT = [
    ("a\u200bb", "character 2 of the {} is U\\+200B ZERO WIDTH SPACE, which is invisible"),
    ("\ufeffab", "character 1 of the {} is U\\+FEFF ZERO WIDTH NO-BREAK SPACE, which is invisible"),
    ("ab\x08c", "character 3 of the {} is U\\+0008, a control character"),
    ("a\nb", "character 2 of the {} is U\\+000A LINE FEED, a control character"),
    ("\ud800", "character 1 of the {} is U\\+D800, a lone surrogate"),
    ("  ", "the {} is empty"),
    ("x" * 2_049, "the {} has 2,049 bytes in UTF-8; at most 2,048 are allowed"),
]


@pytest.mark.parametrize(("text", "problem"), CANNOT_BE_SENT, ids=[ascii(text)[:12] for text, _ in CANNOT_BE_SENT])
async def test_text_that_cannot_name_anything_is_not_sent(text: str, problem: str) -> None:
    place = Place()
    async with place.client(0) as client:
        for change in (client.accept, client.remove):
            with pytest.raises(InvalidInputError, match=problem.format("connection id")):
                await change(text)
        for many in (client.accept_many, client.remove_many):
            async with many([text]) as outcomes:
                (failed,) = [outcome async for outcome in outcomes]
            assert isinstance(failed, Failed)
            assert re.match(problem.format("connection id"), str(failed.error))
        with pytest.raises(InvalidInputError, match=problem.format("uuid of the community")):
            client.community(text)
        for term in ("text", "name", "job_title", "email"):
            with pytest.raises(InvalidInputError, match=problem.format(f"{term} to search for")):
                client.search(**{term: text})  # type: ignore[arg-type] # all of these are text
        with pytest.raises(InvalidInputError, match=problem.format("URL")):
            Client(text)
    assert place.server.requests.total <= 2  # the login is proved for the two runs, and nothing else


async def test_a_record_with_an_id_that_cannot_be_written_in_a_url_is_not_sent() -> None:
    place = Place()
    odd = Connection("\ud800", None, Person(), Person())
    async with place.client(0) as client:
        for change in (client.accept, client.remove):
            with pytest.raises(InvalidInputError, match="lone surrogate"):
                await change(odd)
        for href in ("/communities/\ud800", "https://\ud800.example.com/"):
            for verb in ("get", "decline", "revoke"):
                with pytest.raises(InvalidInputError, match="lone surrogate"):
                    await getattr(client.community_invitations, verb)(Invitation("i", None, edit_href=href))
        with pytest.raises(InvalidInputError, match="lone surrogate"):
            await client.community_invitations.accept(Invitation("i", "\ud800"))


NO_TEXT: list[Any] = ["a\ud800b", 5, b"x", None]
MAKERS: dict[str, Callable[[Any], object]] = {
    "user": lambda text: Basic(text, "secret"),
    "password": lambda text: Basic("ajones", text),
    "auth": lambda text: Client(URL, auth=("ajones", text)),
    "token": Bearer,
    "cookie": Ltpa,
    "name of a cookie": lambda text: Ltpa("x", name=text),
    "other cookie": lambda text: Ltpa("x", others={"SMSESSION": text}),
    "client_id": lambda text: OAuth2(text, "s", "r"),
    "client_secret": lambda text: OAuth2("i", text, "r"),
    "refresh_token": lambda text: OAuth2("i", "s", text),
    "token_url": lambda text: OAuth2("i", "s", "r", token_url=text),
    "code": lambda text: OAuth2.from_code("i", "s", text, redirect_uri="https://app.example.com/"),
    "redirect_uri": lambda text: OAuth2.from_code("i", "s", "c", redirect_uri=text),
    "name of a header": lambda text: Client(URL, headers={text: "x"}),
    "value of a header": lambda text: Client(URL, headers={"X-Trace": text}),
    "base_url": Client,
    "verify": lambda text: Client(URL, verify=text),
    "journal": Journal,
    "e-mail address": Email,
    "userid": Userid,
    "key": Key,
}


@pytest.mark.parametrize("text", NO_TEXT, ids=ascii)
@pytest.mark.parametrize("what", MAKERS)
def test_lone_surrogates_and_other_types_in_credentials_headers_and_paths(what: str, text: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        MAKERS[what](text)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("what", ["headers", "others"])
@pytest.mark.parametrize("value", ["a\ud800b", 5, b"x", ["X-Trace"]], ids=ascii)
def test_what_is_no_mapping(what: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match="must be a mapping of names to values, got "):
        _ = Client(URL, headers=value) if what == "headers" else Ltpa("x", others=value)


@pytest.mark.parametrize("path", ["a\0b", "a\ud800b"], ids=ascii)
def test_paths_that_no_file_system_allows(path: str) -> None:
    with pytest.raises(InvalidInputError, match="verify must be the path of a readable file"):
        Client(URL, verify=path)
    with pytest.raises(InvalidInputError, match="path must be the path of a file"):
        Journal(path)


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_a_journal_needs_the_name_of_a_file(path: str) -> None:
    with pytest.raises(InvalidInputError, match="path must be the path of a file"):
        Journal(path)


async def begun(call: Callable[[], Any]) -> None:
    await call()


async def test_lone_surrogates_in_accept_remove_search_and_every_other_verb_send_nothing() -> None:
    place, bad = Place(), "a\ud800b"
    ann = place.person(1)
    async with place.client(0) as client:
        group, mine = client.community("g"), client.community_invitations
        calls: list[Callable[[], Any]] = [
            lambda: client.accept(bad),
            lambda: client.remove(bad),
            lambda: client.connection(bad),
            lambda: client.accept(Connection(None, None, Person(), Person(), self_href=bad)),
            lambda: client.remove(Connection(bad, None, Person(), Person())),
            lambda: client.invite(ann, message=bad),
            lambda: client.invite(ann, message=f"<p>{bad}</p>", message_type="html"),
            lambda: client.invite(ann, message_type=bad),  # type: ignore[arg-type] # type checkers must refuse it
            lambda: client.invite(ann, on_unknown=bad),  # type: ignore[arg-type] # likewise
            lambda: client.invite_many([ann], journal=None, message=bad),
            lambda: client.admin.connect(ann, place.person(2), message=bad),
            lambda: client.admin.connect_many([], message=bad),
            lambda: client.colleagues(ann, status=bad),  # type: ignore[arg-type] # likewise
            lambda: client.colleagues(ann, sort_by=bad),  # type: ignore[arg-type] # likewise
            lambda: client.community(bad),
            lambda: group.invite(ann, title=bad),
            lambda: mine.get(Invitation(None, None, self_href=bad)),
            lambda: mine.accept(Invitation("i", bad)),
            lambda: mine.decline(Invitation("i", None, edit_href=bad)),
            lambda: client.as_user((bad, "secret")),
            *(
                lambda term=term: client.search(**{term: bad})  # type: ignore[arg-type] # all of these are text
                for term in (
                    *("text", "name", "email", "userid", "city", "country", "job_title", "organization"),
                    *("phone_number", "tags", "profile_type", "school"),
                )
            ),
        ]
        await client.me()
        before = place.server.requests.total
        for number, call in enumerate(calls):
            with pytest.raises(InvalidInputError):
                await begun(call)
            assert place.server.requests.total == before, number
        async with client.invite_many([Invite(ann, bad)], journal=None) as outcomes:
            (failed,) = [outcome async for outcome in outcomes]
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, InvalidInputError)
        assert place.server.requests.total == before


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"transport": httpx.AsyncHTTPTransport()}, "transport"),
        ({"http_client": httpx.AsyncClient(trust_env=False)}, "http_client"),
        ({"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}, "a context as verify"),
    ],
    ids=["transport", "http_client", "verify"],
)
async def test_a_client_certificate_is_refused_where_it_could_not_be_used(options: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"client_cert cannot be used together with {name}"):
        Client("https://connections.example.com", client_cert=("me.pem", "me.key"), **options)
