"""`Request`, `Response`, `Headers`, and `Flow`, a conversation of several requests.

Everything above `transport` uses these types; they are independent of HTTP libraries. Every `Request` object can be
sent: the constructor refuses what could split a header or break the request line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import NoReturn, TypeAlias, TypeVar
from urllib.parse import quote

from attrs import field

from aioconnections.errors import InvalidInputError
from aioconnections.reprs import define, frozen, safe_repr

__all__ = [
    "DEFAULT_PORTS",
    "INVALID_FIELD_NAME",
    "LONE_SURROGATE",
    "NEVER_SENT",
    "NO_CACHE",
    "NO_HEADERS",
    "SAFE_METHODS",
    "Flow",
    "Headers",
    "Origin",
    "Request",
    "Response",
    "Sends",
    "encode",
]

R = TypeVar("R")

DEFAULT_PORTS = {"http": 80, "https": 443}
LONE_SURROGATE = "text with a lone surrogate cannot be sent; correct the encoding of its source"
INVALID_FIELD_NAME = "a header name must be a token: ASCII letters, digits and hyphens, for example"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[ \t!-~\x80-\xff]*[!-~\x80-\xff])?)?")
_OWN_TYPES = frozenset({"text/xml", "application/atom+xml"})
_UNRESERVED_OR_AT = re.compile(r"[A-Za-z0-9_.~@-]*")
SAFE_METHODS = frozenset({"HEAD", "GET"})
_METHODS = SAFE_METHODS | {"POST", "PUT", "DELETE"}


def encode(value: str) -> str:
    """Percent-encode a query value as UTF-8: all characters except the unreserved ones of RFC 3986.

    The vendor's pages require it ("the encoded form of the @ symbol is %40"). A blank becomes ``%20``, not ``+``.

    Raises:
        InvalidInputError: `value` contains a lone surrogate.
    """
    if _UNRESERVED_OR_AT.fullmatch(value):  # nearly every identity; an order of magnitude cheaper than quote()
        return value.replace("@", "%40")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        pass
    raise InvalidInputError(LONE_SURROGATE)


class Headers:
    """Header fields in order, immutable; names are compared without regard to case.

    A value may be a credential, so ``repr`` shows names only, and an instance cannot be pickled or copied.

    Raises:
        InvalidInputError: a name is not a token, or a value cannot be sent as one header line.
    """

    __slots__ = ("_items", "wire")

    wire: bytes
    """The header lines of HTTP/1.1, each with its line end; encoded once."""

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = tuple(items)
        for name, value in self._items:
            if not _TOKEN.fullmatch(name):
                raise InvalidInputError(INVALID_FIELD_NAME)
            if not _FIELD_VALUE.fullmatch(value):
                raise InvalidInputError(f"the value of the header {name} contains characters that cannot be sent")
        self.wire = "".join(f"{name}: {value}\r\n" for name, value in self._items).encode("latin-1")

    def get(self, name: str) -> str | None:
        """The first value of the field `name`, or None."""
        wanted = name.lower()
        return next((value for key, value in self._items if key.lower() == wanted), None)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __add__(self, other: Headers) -> Headers:
        return Headers((*self._items, *other._items))

    def __eq__(self, other: object) -> bool:
        return self._items == other._items if isinstance(other, Headers) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._items)

    @safe_repr
    def __repr__(self) -> str:
        return f"Headers({', '.join(name for name, _ in self._items)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("headers may hold a credential and cannot be pickled or copied")


NO_HEADERS = Headers()
NO_CACHE = Headers([("Cache-Control", "no-cache")])
"""For a request that may follow a change: responses may be cached for 600 s (recorded)."""


@frozen
class Origin:
    """Scheme, host (lower case, IDNA-encoded, IPv6 without brackets) and port of a server.

    `protocol.address.split_url` reads it from a URL.
    """

    scheme: str
    host: str
    port: int
    authority: str = field(init=False, eq=False, repr=False)
    """Value of a ``Host`` header: without the port if it is the default of the scheme, and without a final dot.

    WebSphere, and the web server plug-in in front of it, compare the name with the aliases of their virtual hosts, in
    which there is no such dot.
    """

    def __attrs_post_init__(self) -> None:
        # The zone of an IPv6 address means something on this machine only (RFC 6874, section 4).
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.server_name
        shown = host if self.port == DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"
        object.__setattr__(self, "authority", shown)

    @property
    def server_name(self) -> str:
        """The host without a final dot, which is for name lookups only: certificates and SNI (RFC 6066) have none."""
        return self.host.removesuffix(".")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@define
class Request:
    """One request to the server of a client; the sender adds origin and credential.

    Treat it as immutable. It is not frozen, because one is made for every pair, and a frozen class costs three times as
    much.

    Attributes:
        method: ``HEAD``, ``GET``, ``POST``, ``PUT`` or ``DELETE``.
        target: path and query from the root of the server, percent-encoded; may contain an e-mail address.
        headers: in addition to the constant headers.
        body: the whole body, or None for a request without one.
        once: do not retry it; the conversation decides what to do after a failure.
        delay: seconds to wait before it is sent.
        fresh: use a new connection, if the transport can.
        anonymous: send it without the credential of the signed-in user.
        origin: the server that it was sent to, for the text of errors; None before it is sent.

    Raises:
        InvalidInputError: another method, or a target that is not an ASCII path, or has blanks or a fragment.
    """

    method: str
    target: str = field(repr=lambda target: repr(target.partition("?")[0]))
    headers: Headers = NO_HEADERS
    body: bytes | None = field(default=None, repr=False)
    once: bool = False
    delay: float = 0.0
    fresh: bool = False
    anonymous: bool = False
    origin: Origin | None = field(default=None, init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        target = self.target
        if self.method not in _METHODS:
            choices = ", ".join(sorted(_METHODS))
            raise InvalidInputError(f"the method of a request must be one of {choices}, got {self.method!r:.60}")
        if not (target[:1] == "/" and target.isascii() and target.isprintable()) or " " in target or "#" in target:
            raise InvalidInputError("the target of a request must be a path of percent-encoded ASCII")

    @property
    def is_change(self) -> bool:
        """Whether it requests a change."""
        return self.method not in SAFE_METHODS

    @property
    def path(self) -> str:
        """The target without its query: safe to log."""
        return self.target.partition("?")[0]

    @property
    def shown(self) -> str:
        """The URL without its query, which may name people."""
        return f"{self.origin or ''}{self.path}"


class Response:
    """A whole response. Treat it as immutable: a transport may return the same object for equal responses.

    Attributes:
        status: HTTP status code.
        body: decoded from chunks and content coding; empty for HEAD.
    """

    __slots__ = ("_fields", "_own", "_values", "body", "status")

    def __init__(self, status: int, fields: Iterable[tuple[bytes, bytes]] = (), body: bytes = b"") -> None:
        self.status: int = status
        self.body: bytes = body
        self._fields = tuple(fields)
        self._values: dict[bytes, list[str]] | None = None
        self._own: bool | None = None

    @property
    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        """Header fields as received, with the server's spelling of the names."""
        return self._fields

    def get(self, name: bytes) -> str | None:
        """The first value of the field `name` (lower case), without surrounding blanks, or None."""
        values = (self._values or self._by_name()).get(name)
        return values[0] if values else None

    def get_all(self, name: bytes) -> list[str]:
        """Every value of the field `name` (lower case), in order."""
        return list((self._values or self._by_name()).get(name, ()))

    def _by_name(self) -> dict[bytes, list[str]]:
        """The values by name, computed once."""
        values: dict[bytes, list[str]] = {}
        for key, value in self.fields:
            values.setdefault(key.lower(), []).append(value.decode("latin-1").strip())
        self._values = values
        return values

    @property
    def names(self) -> frozenset[bytes]:
        """The names of the header fields, in lower case."""
        return frozenset(self._values or self._by_name())

    @property
    def is_own_form(self) -> bool:
        """Whether Profiles or Communities itself wrote this response, judging by the head.

        Their documents are of type ``text/xml`` or ``application/atom+xml``, and Profiles adds ``X-Profiles-*`` fields
        (recorded). Pages of a web server or of a gateway have neither.
        """
        if self._own is None:
            names = self._values or self._by_name()
            self._own = self.media_type in _OWN_TYPES or any(name.startswith(b"x-profiles-") for name in names)
        return self._own

    @property
    def media_type(self) -> str:
        """The type of the body in lower case without its parameters, or an empty string."""
        return (self.get(b"content-type") or "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str | None:
        """The character set in the ``Content-Type``, or None."""
        from email.message import Message  # takes a tenth of the time of the whole import, and is rarely needed

        message = Message()
        message["content-type"] = self.get(b"content-type") or ""
        charset = message.get_param("charset")
        return charset if isinstance(charset, str) else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Response):
            return NotImplemented
        return (self.status, self.fields, self.body) == (other.status, other.fields, other.body)

    def __hash__(self) -> int:
        return hash((self.status, self.fields, self.body))

    @safe_repr
    def __repr__(self) -> str:
        return f"Response(status={self.status})"


@frozen
class Sends:
    """What is known about a change that an earlier, killed run may have sent.

    Attributes:
        times: number of times that it was sent.
        age: returns the seconds since it was last sent, in this run or an earlier one; None if unknown.
        settled: whether verification has shown that it was not made. The attempts still count, but need no further
            verification.
    """

    times: int = 0
    age: Callable[[], float | None] = lambda: 0.0
    settled: bool = False


NEVER_SENT = Sends()

Flow: TypeAlias = Generator[Request, Response, R]
"""A conversation: a generator that yields requests, receives responses or errors, and returns a typed result."""
