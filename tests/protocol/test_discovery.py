"""People: the shapes of "nobody", told apart from errors, and whether e-mail addresses are hidden."""

from __future__ import annotations

import pytest
from talk import ATOM, HTML, answer, error, talk, targets

from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    ForbiddenError,
    ForeignResponseError,
    NotFoundError,
    ResponseError,
    ServerError,
    UnexpectedResponseError,
)
from aioconnections.protocol.address import Address
from aioconnections.protocol.discovery import (
    addresses_that_fit,
    emails_hidden,
    profile,
    profiles_request,
    profiles_result,
    service_document_of,
)
from aioconnections.protocol.messages import Response
from aioconnections.records import Email, Identity, Key, Userid

ADDRESS = Address.of("https://c.example.com/social")
ANN = Email("ann@example.com")
SN = "http://www.ibm.com/xmlns/prod/sn"

NOBODY = [
    error(400, "CLFRN1172E: La demande n'est pas valide.", "400"),
    answer(404, "<error/>"),
    answer(404),
    answer(200, '<?xml version="1.0" encoding="UTF-8"?>', ATOM),
]
REFUSALS = [
    (ForeignResponseError(404, None, "a page of the web server"), ForeignResponseError),
    (error(400, "CLFRN9999E: Something else.", "400"), BadRequestError),
    (answer(400), BadRequestError),
    (answer(401), AuthenticationError),
    (answer(200, "<html>Log in</html>", HTML), AuthenticationError),
    (answer(403), ForbiddenError),
    (answer(500), ServerError),
    (answer(204), UnexpectedResponseError),
]


@pytest.mark.parametrize("reply", [*NOBODY, answer(200, '<feed xmlns="http://www.w3.org/2005/Atom"/>', ATOM)])
def test_the_shapes_of_nobody_are_one(reply: Response) -> None:
    found, asked = talk(profile(ADDRESS, ANN), reply)
    assert found is None
    assert targets(asked) == ["GET /social/profiles/atom/profile.do?email=ann%40example.com&format=full&output=hcard"]


@pytest.mark.parametrize("reply", NOBODY)
def test_nobody_has_no_service_document(reply: Response) -> None:
    assert talk(service_document_of(ADDRESS, ANN), reply)[0] is None


@pytest.mark.parametrize(("reply", "kind"), REFUSALS)
def test_errors_are_not_nobody(reply: Response | Exception, kind: type[ResponseError]) -> None:
    for flow in (profile(ADDRESS, ANN), service_document_of(ADDRESS, ANN), emails_hidden(ADDRESS)):
        with pytest.raises(ResponseError) as caught:
            talk(flow, reply)
        assert type(caught.value) is kind


def test_a_response_about_several_people_is_about_none() -> None:
    entries = "".join(
        f"<entry><id>tag:profiles.ibm.com,2006:entryk{number}</id><title>Ann</title></entry>" for number in (1, 2)
    )
    feed = f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'
    with pytest.raises(UnexpectedResponseError, match="the response contains 2 entries instead of one"):
        talk(profile(ADDRESS, ANN), answer(200, feed, ATOM))


@pytest.mark.parametrize(
    ("person", "key", "userid", "is_theirs"),
    [
        (Userid("u1"), "k1", "u2", False),
        (Key("k1"), "k2", "u1", False),
        (Userid("u1"), "k1", "U1", True),
        (Userid("u1"), "k1", "", True),
        (Key("k1"), "K1", "u1", True),
        (Key("k1"), "", "u1", True),
        (Email("a@example.com"), "k1", "u1", True),
    ],
)
def test_the_profile_of_another_person_is_an_error(person: Identity, key: str, userid: str, *, is_theirs: bool) -> None:
    contributor = f'<contributor><s:userid xmlns:s="{SN}">{userid}</s:userid></contributor>'
    own = f"<id>tag:profiles.ibm.com,2006:entry{key}</id>" if key else ""
    reply = answer(200, f'<entry xmlns="http://www.w3.org/2005/Atom">{own}{contributor}</entry>', ATOM)
    if is_theirs:
        found, _ = talk(profile(ADDRESS, person), reply)
        assert found is not None
        assert found.person.key == (Key(key) if key else None)
        return
    with pytest.raises(UnexpectedResponseError, match="the response is the profile of another person"):
        talk(profile(ADDRESS, person), reply)


def test_a_profile() -> None:
    entry = (
        '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>tag:profiles.ibm.com,2006:entryk1</id>'
        f'<title>Ann</title><category term="profile" scheme="{SN}/type"/></entry></feed>'
    )
    found, _ = talk(profile(ADDRESS, Key("k1")), answer(200, entry, ATOM))
    assert found is not None
    assert (found.person.name, found.person.key) == ("Ann", Key("k1"))


def test_ones_own_service_document_needs_no_name_and_cannot_be_nobodys() -> None:
    document = f'<service xmlns="http://www.w3.org/2007/app" xmlns:snx="{SN}"><snx:userid> U1 </snx:userid></service>'
    found, asked = talk(service_document_of(ADDRESS), answer(200, document, "application/atomsvc+xml"))
    assert found is not None
    assert found.userid == Userid("U1")
    assert targets(asked) == ["GET /social/profiles/atom/profileService.do"]
    with pytest.raises(NotFoundError):
        talk(service_document_of(ADDRESS), answer(404))


@pytest.mark.parametrize(
    ("term", "hidden"), [("email-hidden", True), ("email-exposed", False), ("something-else", False)]
)
def test_whether_addresses_are_hidden(term: str, *, hidden: bool) -> None:
    feed = (
        f'<feed xmlns="http://www.w3.org/2005/Atom"><category term="{term}" scheme="{SN}/configuration"/>'
        '<category term="email-hidden" scheme="urn:other"/></feed>'
    )
    oauth = Address.of("https://c.example.com/social", oauth=True)
    found, asked = talk(emails_hidden(oauth), answer(200, feed, ATOM))
    assert found is hidden
    assert targets(asked) == ["GET /social/profiles/serviceconfigs"]
    assert talk(emails_hidden(oauth), answer(200, '<?xml version="1.0"?>', ATOM))[0] is False


PROFILE = (
    '<entry><id>tag:profiles.ibm.com,2006:entry{0}</id><category term="profile" scheme="{1}/type"/>'
    "<contributor><name>{0}</name><email>{0}@example.com</email></contributor>{2}</entry>"
)


def test_several_addresses_in_one_request() -> None:
    request = profiles_request(ADDRESS, [ANN, Email("o'hara+1@example.com")])
    assert request.target == (
        "/social/profiles/atom/profile.do?email=ann%40example.com,o%27hara%2B1%40example.com&format=full&output=hcard"
    )
    assert request.once
    connection = f'<entry><category term="connection" scheme="{SN}/type"/></entry>'
    entries = PROFILE.format("ann", SN, "") + connection + PROFILE.format("cid", SN, "")
    feed = f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'
    found = profiles_result(ADDRESS, request, answer(200, feed, ATOM))
    assert [it.person.email for it in found] == [ANN, Email("cid@example.com")], "what is no profile is left out"
    assert profiles_result(ADDRESS, request, answer(200, '<?xml version="1.0" encoding="UTF-8"?>', ATOM)) == []


@pytest.mark.parametrize(("reply", "kind"), [(it, kind) for it, kind in REFUSALS if isinstance(it, Response)])
def test_a_refusal_of_several_addresses(reply: Response, kind: type[ResponseError]) -> None:
    with pytest.raises(kind):
        profiles_result(ADDRESS, profiles_request(ADDRESS, [ANN]), reply)


def test_the_addresses_in_one_request_take_4000_bytes() -> None:
    assert addresses_that_fit([]) == 0
    assert addresses_that_fit([Email(f"{'a' * 85}@example.com")] * 50) == 40, "100 bytes each, with %40 and the comma"
    assert addresses_that_fit([Email(f"{'ü' * 700}@example.com"), ANN]) == 0
    assert addresses_that_fit([ANN, Email(f"{'ü' * 700}@example.com")]) == 1
