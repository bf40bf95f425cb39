"""Conversations about people: service documents, profiles, and whether e-mail addresses may be used."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import accumulate, takewhile
from urllib.parse import unquote, urljoin

from aioconnections import atom
from aioconnections.errors import AtomError, BadRequestError, UnexpectedResponseError
from aioconnections.protocol.address import Address
from aioconnections.protocol.entries import SN, bare_id, identity, lone_entry, may_be, person_from, query_value
from aioconnections.protocol.messages import Flow, Request, Response, encode
from aioconnections.protocol.people import profile_from
from aioconnections.protocol.responses import error_of, expect, is_missing
from aioconnections.records import Email, Identity, Key, Profile, ServiceDocument, Userid

__all__ = [
    "COLLEAGUES_REL",
    "addresses_that_fit",
    "emails_hidden",
    "is_unknown_person",
    "profile",
    "profiles_request",
    "profiles_result",
    "service_document",
    "service_document_of",
]

_INVALID = "CLFRN1172E"  # recorded, 5.0 and later: the response for an unknown person
COLLEAGUES_REL = f"{SN}/connections/colleague"
_APP = "{http://www.w3.org/2007/app}"
_LINK = "{http://www.w3.org/2005/Atom}link"
_USERID = f"{{{SN}}}userid"
_FULL = "format=full&output=hcard"  # the default of `format` differs between versions
_LONGEST_LIST = 4_000  # bytes: every server should support URIs of 8,000 (RFC 9110, section 4.1)
_ENCODED = re.compile(r"https?%3a%2f%2f", re.IGNORECASE)


def service_document_of(address: Address, person: Identity | None = None) -> Flow[ServiceDocument | None]:
    """The service document of a person, or of the signed-in user; None for an unknown person.

    Page "Retrieving the Profiles service document".

    Raises:
        ResponseError: the server refuses.
        AtomError: the response cannot be read.
    """
    query = "" if person is None else f"?{person.kind}={encode(person.value)}"
    request = Request("GET", f"{address.profiles}/profileService.do{query}")
    response = yield request
    if person is not None and is_unknown_person(request, response):
        return None
    expect(request, response, 200)
    return service_document(response.body, charset=response.charset, base=address.url_of(request.target))


def profile(address: Address, person: Identity) -> Flow[Profile | None]:
    """The profile of a person in the directory; None for an unknown person.

    Page "Retrieving a profile". Servers report an unknown person in four ways (recorded): a feed without an entry, an
    XML declaration without a document, 400 with CLFRN1172E, 404.

    Raises:
        ResponseError: the server refuses.
        AtomError: the response cannot be read.
    """
    request = Request("GET", f"{address.profiles}/profile.do?{person.kind}={encode(person.value)}&{_FULL}")
    response = yield request
    if is_unknown_person(request, response):
        return None
    expect(request, response, 200)
    entry = lone_entry(response, address.url_of(request.target))
    if entry is None:
        return None
    found = profile_from(entry)
    userid = person_from(entry.contributors[0]).userid if entry.contributors else None  # a card may have another id
    key = identity(Key, bare_id(entry))
    if not may_be([person], [userid]) or (isinstance(person, Key) and key not in (None, person)):
        raise UnexpectedResponseError(200, None, "the response is the profile of another person")
    return found


def addresses_that_fit(emails: Iterable[Email]) -> int:
    """The number of e-mail addresses, from the first one on, that one request may name."""
    lengths = accumulate(len(encode(email.value)) + 1 for email in emails)
    return sum(1 for _ in takewhile(lambda length: length <= _LONGEST_LIST, lengths))


def profiles_request(address: Address, emails: Iterable[Email]) -> Request:
    """The request for the profiles of several people; a failure is not retried.

    Page "Retrieving a profile": ``email`` may be a list, separated by commas without spaces. The page allows this for
    no other identity.
    """
    named = ",".join(encode(email.value) for email in emails)
    return Request("GET", f"{address.profiles}/profile.do?email={named}&{_FULL}", once=True)


def profiles_result(address: Address, request: Request, response: Response) -> list[Profile]:
    """The profiles in a response to `profiles_request`, without those that cannot be read.

    Raises:
        ResponseError: the server refuses.
        AtomError: the response cannot be read.
    """
    expect(request, response, 200)
    reader = atom.Reader(charset=response.charset, base=address.url_of(request.target), strict=False)
    entries = reader.feed(response.body)
    entries += reader.close().entries
    profiles: list[Profile] = []
    for entry in entries:
        with suppress(AtomError):
            profiles.append(profile_from(entry))
    return profiles


def emails_hidden(address: Address) -> Flow[bool]:
    """Whether this server hides e-mail addresses and refuses them in requests.

    Page "Determining whether email addresses are hidden".

    Raises:
        ResponseError: the server refuses.
        AtomError: the response cannot be read.
    """
    request = Request("GET", f"{address.context}/profiles/serviceconfigs")
    response = yield request
    expect(request, response, 200)
    feed = atom.read_document(response.body, charset=response.charset, strict=False)
    return feed is not None and any(
        element.get("scheme") == f"{SN}/configuration" and element.get("term") == "email-hidden"
        for element in feed.walk()
    )


def is_unknown_person(request: Request, response: Response) -> bool:
    """Whether the response only reports an unknown person."""
    if response.status == 404:
        return is_missing(response)
    if response.status != 400:
        return False
    error = error_of(request, response)
    return isinstance(error, BadRequestError) and error.code == _INVALID


def service_document(body: bytes, *, charset: str | None = None, base: str = "") -> ServiceDocument | None:
    """Read a service document.

    Args:
        body: the body of the response.
        charset: the charset of the HTTP ``Content-Type``, or None.
        base: the URL of the response, to which relative links in it refer.

    Returns:
        The document, or None if it is only an XML declaration, which means an unknown person.

    Raises:
        AtomError: the body is not a service document.
    """
    service = atom.read_document(body, charset=charset, strict=False)
    if service is None:
        return None
    if service.tag != f"{_APP}service":
        raise AtomError("the document is not a service document")
    links = tuple(
        (element.get("rel") or "alternate", _absolute(_decoded((element.get("href") or "").strip()), base))
        for element in service.walk()
        if element.tag == _LINK
    )
    userid = next((element.content for element in service.walk() if element.tag == _USERID), None)
    colleagues = next((href for rel, href in links if rel == COLLEAGUES_REL), None)
    # Only the links contain the person's key (protocol: service document).
    candidates = [colleagues, *(href for _, href in links)]
    key = next((key for key in (query_value(href, "key", "targetKey") for href in candidates) if key), None)
    return ServiceDocument(
        userid=identity(Userid, (userid or "").strip()),
        key=identity(Key, key),
        colleagues_href=colleagues,
        links=links,
    )


def _decoded(href: str) -> str:
    """A link; those to other applications are percent-encoded as a whole (protocol: ``…/sn/service/*``)."""
    return unquote(href) if _ENCODED.match(href) else href


def _absolute(href: str, base: str) -> str:
    """A link as a URL; one that is no URL is left unchanged."""
    try:
        return urljoin(base, href)
    except ValueError:
        return href
