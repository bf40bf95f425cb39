"""A request as the endpoints read it: query parameters, page, posted Atom entry and requester.

Reading an entry is as tolerant as the product is known to be: any content type, no title, any id, unknown elements.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar
from urllib.parse import unquote_to_bytes

from attrs import frozen
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from aioconnections.reference.markup import ATOM, SN
from aioconnections.reference.responses import INVALID, ErrorResult, Header, LoginRequired, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from aioconnections.reference.population import IdentifierKind

__all__ = [
    "ANONYMOUS",
    "AsgiReceive",
    "AsgiScope",
    "AsgiSend",
    "FeedPage",
    "Parameters",
    "PostedEntry",
    "Requester",
    "ServerRequest",
    "page_of",
    "parse_query",
    "parse_time",
    "read_entry",
]

AsgiScope: TypeAlias = MutableMapping[str, Any]
AsgiReceive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
AsgiSend: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Parameters: TypeAlias = dict[str, list[str]]
"""All values of each query parameter, in the order in which they were sent."""

_BROKEN_QUERY = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^!-~]")
_POSITIVE_NUMBER = re.compile("[1-9][0-9]{0,8}")
_ATOM, _SNX = f"{{{ATOM}}}", f"{{{SN}}}"
_T = TypeVar("_T")


class Requester(NamedTuple):
    """The sender of a request.

    Attributes:
        user: the number of the signed-in user; None for an anonymous requester.
        cookies: the ``Set-Cookie`` headers of every response to this requester.
    """

    user: int | None
    cookies: tuple[Header, ...]


ANONYMOUS = Requester(None, ())


class ServerRequest(NamedTuple):
    """A request that has been routed and authenticated.

    Attributes:
        method: HTTP method; one that the route supports.
        root: the URL by which the requester knows the server: scheme, host and the path before ``/profiles``.
        base: the beginning of all links; `root`, except behind a gateway.
        path: the rest of the path as links contain it: without the ``oauth`` segment.
        requester: the authenticated sender.
        query: the query parameters.
        body: the request body; empty for GET and HEAD.
    """

    method: str
    root: str
    base: str
    path: str
    requester: Requester
    query: Parameters
    body: bytes

    @property
    def user(self) -> int | None:
        """The number of the signed-in user; None for an anonymous requester."""
        return self.requester.user

    def first(self, name: str) -> str:
        """The first value of a parameter without surrounding spaces; empty if the parameter is missing."""
        values = self.query.get(name)
        return values[0].strip() if values else ""

    def signed_in(self) -> int:
        """The number of the signed-in user.

        Raises:
            RefusedError: the requester is anonymous.
        """
        if self.user is None:
            raise RefusedError(LoginRequired())
        return self.user

    def link_query(self) -> dict[str, str]:
        """The parameters to repeat in the links of a feed."""
        return {name: values[0] for name, values in sorted(self.query.items()) if name}


def parse_query(query: bytes) -> Parameters | None:
    """Parse a query string as a servlet container does: percent-encoded UTF-8, with ``+`` for a space.

    Returns:
        The parameters; None if the query has a broken escape, a byte that is invalid in a URL, or is not UTF-8.
    """
    if _BROKEN_QUERY.search(query):
        return None
    parameters: Parameters = {}
    try:
        for part in query.split(b"&"):
            name, _, value = part.partition(b"=")
            parameters.setdefault(_decoded_name(name), []).append(_decoded(value))
    except UnicodeDecodeError:
        return None
    return parameters


def _decoded(text: bytes) -> str:
    if b"+" in text:
        text = text.replace(b"+", b" ")
    return (unquote_to_bytes(text) if b"%" in text else text).decode()


_decoded_name = lru_cache(256)(_decoded)  # requests share few parameter names


class FeedPage(NamedTuple):
    """A page of a list.

    Attributes:
        number: page number from 1.
        size: number of items on a full page.
        total: number of items in the list.
    """

    number: int
    size: int
    total: int

    @property
    def last(self) -> int:
        """The number of the last page."""
        return max(1, -(-self.total // self.size))

    def of(self, items: Sequence[_T]) -> Sequence[_T]:
        """The items on this page; empty beyond the last page."""
        start = (self.number - 1) * self.size
        return items[start : start + self.size]


def page_of(
    request: ServerRequest, total: int, *, default: int, maximum: int, refusal: ErrorResult = INVALID
) -> FeedPage:
    """The requested page of a list; its size is silently limited to `maximum`.

    Raises:
        RefusedError: with `refusal`, if ``page`` or ``ps`` is not a positive number.
    """
    texts = request.first("page") or "1", request.first("ps") or str(default)
    if not all(_POSITIVE_NUMBER.fullmatch(text) for text in texts):
        raise RefusedError(refusal)
    number, size = map(int, texts)
    return FeedPage(number, min(size, maximum), total)


def parse_time(text: str, *, refusal: ErrorResult = INVALID) -> int:
    """Milliseconds since 1970, from such a number or an RFC 3339 date; the vendor's pages do not give the format.

    Raises:
        RefusedError: with `refusal`, if `text` is neither.
    """
    if text.isdecimal():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise RefusedError(refusal) from error


@frozen
class PostedEntry:
    """An Atom entry sent by a client.

    Attributes:
        terms: the term of each category by its scheme without the vendor's prefix: ``type``, ``status`` and so on.
        title: the text of the title.
        message: the content as HTML.
        people: the identifiers of the contributor.
        role: the ``snx:role`` of a member.
    """

    terms: Mapping[str, str]
    title: str
    message: str
    people: tuple[tuple[IdentifierKind, str], ...]
    role: str


def read_entry(body: bytes) -> PostedEntry | None:
    """The Atom entry in `body`; None if the body is not an Atom entry or declares a document type."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, LookupError, ValueError):  # the last two: unknown encodings
        return None
    if root.tag != f"{_ATOM}entry":
        return None
    return PostedEntry(
        {
            category.get("scheme", "").strip().removeprefix(f"{SN}/"): category.get("term", "").strip()
            for category in root.iter(f"{_ATOM}category")
        },
        _text(root.find(f"{_ATOM}title")),
        _html(root.find(f"{_ATOM}content")),
        tuple(_people(root.find(f"{_ATOM}contributor"))),
        _text(root.find(f"{_SNX}role")).strip(),
    )


def _people(contributor: Element | None) -> list[tuple[IdentifierKind, str]]:
    if contributor is None:
        return []
    identifiers: tuple[tuple[IdentifierKind, str], ...] = (
        ("userid", _text(contributor.find(f"{_SNX}userid")).strip()),
        ("email", _text(contributor.find(f"{_ATOM}email")).strip()),
    )
    return [(kind, text) for kind, text in identifiers if text]


def _text(element: Element | None) -> str:
    return "" if element is None else "".join(element.itertext())


def _html(content: Element | None) -> str:
    """The content as HTML: type ``html`` as it is, all other types escaped as plain text."""
    text = _text(content)
    return text if content is not None and content.get("type") == "html" else escape(text, quote=False)
