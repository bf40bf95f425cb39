"""Conversations with Profiles about colleague connections."""

from __future__ import annotations

from contextlib import suppress

from aioconnections.errors import AtomError, AuthenticationError, NotFoundError, UnexpectedResponseError
from aioconnections.protocol.address import Address
from aioconnections.protocol.discovery import service_document
from aioconnections.protocol.messages import NO_HEADERS, Flow, Headers, Request, Response, encode
from aioconnections.protocol.responses import error_of, login_page
from aioconnections.records import Email, Identity, Key, Pair, ServiceDocument, Status, Userid

__all__ = ["check", "check_request", "check_result", "pair_query", "prove_login", "signed_in"]

# Page "Checking whether two people are colleagues": the spelling of the parameters, with a lower-case "id" in Userid.
_SOURCE: dict[type[Identity], str] = {Email: "sourceEmail=", Key: "sourceKey=", Userid: "sourceUserid="}
_TARGET: dict[type[Identity], str] = {Email: "&targetEmail=", Key: "&targetKey=", Userid: "&targetUserid="}
_STATUSES: dict[str, Status] = {str(status): status for status in Status}


def pair_query(pair: Pair) -> str:
    """The query parameters for both people of a pair."""
    source, target = pair.source, pair.target
    return f"{_SOURCE[type(source)]}{encode(source.value)}{_TARGET[type(target)]}{encode(target.value)}"


def check_request(address: Address, pair: Pair, headers: Headers = NO_HEADERS, delay: float = 0.0) -> Request:
    """The HEAD request for the status of a connection."""
    source, target = pair.source, pair.target  # `pair_query`, inlined: this runs for each pair of a bulk check
    names = f"{_SOURCE[type(source)]}{encode(source.value)}{_TARGET[type(target)]}{encode(target.value)}"
    path = f"{address.profiles}/connection.do?connectionType=colleague&{names}"
    return Request("HEAD", path, headers, delay=delay)


def check(address: Address, pair: Pair, *, headers: Headers = NO_HEADERS, delay: float = 0.0) -> Flow[Status | None]:
    """The status of a connection, seen from the source: `check_request`, then `check_result`."""
    request = check_request(address, pair, headers, delay)
    response = yield request
    return check_result(request, response)


def check_result(request: Request, response: Response) -> Status | None:
    """The status in a response to `check_request`; None if no connection is visible to the signed-in user.

    The page specifies 200 with ``X-Profiles-Connection-Status``, or 404. A 200 without that header comes from something
    else, so it never counts as connected. The session has already refused a 404 that Profiles did not write.

    Raises:
        ResponseError: any other response.
    """
    if response.status == 200:
        values = response.get_all(b"x-profiles-connection-status")
        status = _STATUSES.get(values[0].lower()) if len(values) == 1 else None
        return status or _repeated_status(request, values)
    if response.status == 404:
        return None
    raise error_of(request, response)


def _repeated_status(request: Request, values: list[str]) -> Status:
    """The status that all of several values name.

    Raises:
        ResponseError: there is no value, an unknown one, or several different ones.
    """
    statuses = {_STATUSES.get(value.lower()) for value in values}
    if not statuses:
        raise AuthenticationError(
            200, None, f"the response of {request.shown} does not come from Profiles; most likely it is a login page"
        )
    status = statuses.pop()
    if status is None or statuses:
        raise UnexpectedResponseError(200, None, "the server sent an unknown or ambiguous connection status")
    return status


def prove_login(address: Address) -> Flow[ServiceDocument]:
    """The signed-in user's service document, which proves the address and the login with one request.

    Page "Retrieving the Profiles service document": 200 of type ``application/atomsvc+xml``.

    Raises:
        ResponseError: any other response; the text names the login or the address as the likely cause.
    """
    request = Request("GET", f"{address.profiles}/profileService.do")
    response = yield request
    if response.status == 200 and response.media_type == "application/atomsvc+xml":
        return _own_document(response, address.url_of(request.target))
    if response.status == 404:
        before, named, _ = f"{address.context}/".partition("/profiles/")
        end = f", which ends before /profiles, as in {address.origin}{before}" if named else ""
        service = f"{address.origin}{address.context}/profiles"
        raise NotFoundError(404, None, f"there is no Profiles service at {service}: check the URL{end}")
    if response.status == 200 and not login_page(request, response):
        raise UnexpectedResponseError(
            200, None, f"the response of {request.shown} does not come from the Profiles service: check the URL"
        )
    raise error_of(request, response)


def administration_request(address: Address) -> Request:
    """The request for the service document of the Administration API, which is for administrators only."""
    return Request("GET", f"{address.administration}/profileService.do")


def signed_in(address: Address) -> Flow[Identity]:
    """The identity of the signed-in user, from the service document.

    Raises:
        ResponseError: see `prove_login`; or the service document has neither a userid nor a key.
    """
    document = yield from prove_login(address)
    me = document.userid or document.key
    if me is None:
        raise UnexpectedResponseError(200, None, "the server does not say who is signed in")
    return me


def _own_document(response: Response, base: str) -> ServiceDocument:
    """The content of the document, or an empty record: its type alone proves address and login."""
    with suppress(AtomError):
        return service_document(response.body, charset=response.charset, base=base) or ServiceDocument(None, None)
    return ServiceDocument(None, None)
