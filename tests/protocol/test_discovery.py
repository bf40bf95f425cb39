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
from aioconnections.protocol.discovery import emails_hidden, profile, service_document_of
from aioconnections.protocol.messages import Response
from aioconnections.records import Email, Key, Userid

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
