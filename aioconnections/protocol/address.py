"""The URLs of the services of one deployment."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, parse_qs, quote, urldefrag, urljoin, urlsplit

from attrs import field, frozen

from aioconnections.errors import InvalidInputError
from aioconnections.identifiers import plain_text
from aioconnections.protocol.messages import DEFAULT_PORTS, LONE_SURROGATE, Origin

__all__ = ["ROOTS", "Address", "ApplicationName", "keeps_parameters", "split_url"]

ApplicationName: TypeAlias = Literal["profiles", "communities"]
"""A web application of the server; each can be stopped separately."""

ROOTS = ("/profiles/", "/communities/")
"""The beginnings of all paths of the server, below its context."""

_SAFE = "/?:@!$&'()*+,;=%~-._"  # characters of a request target that need no escape
# A path that every gateway and server reads in the same way: it has no escapes, empty segments or dot segments.
_PLAIN_PATH = re.compile(r"(?:/(?!\.\.?(?:[;/]|\Z))[A-Za-z0-9_.~!$&'()*+,=:@-][A-Za-z0-9_.~!$&'()*+,;=:@-]*)+")
_HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_ADDRESS = re.compile(
    r"\[(?P<address>[0-9A-Fa-f:.]+)(?:%(?:25|(?!25))(?P<zone>[A-Za-z0-9][A-Za-z0-9._~-]*))?\](?::[0-9]*)?"
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9_.~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)*")

_KNOWN_PATH = re.compile(
    r"/(?:profiles|communities)/serviceconfigs"
    r"|/profiles(?:/oauth)?/(?:admin/)?atom/(?:connections?|connectionsInCommon|profile|profileService|search)\.do"
    r"|/communities/service/atom(?:/oauth)?/community/(?:invites|invites/my|members)"
)


@frozen
class Address:
    """The base URL of a client's requests, in parts.

    Attributes:
        origin: scheme, host and port.
        context: path before ``/profiles``, without a trailing slash; usually empty.
        segment: ``/oauth`` for OAuth logins, else empty; it follows the context root of Profiles
            (``/profiles/oauth/atom/…``).
    """

    origin: Origin
    context: str = ""
    segment: str = ""

    profiles: str = field(init=False, repr=False, eq=False)
    """Path of the Atom resources of Profiles."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "profiles", f"{self.context}/profiles{self.segment}/atom")

    def application_of(self, target: str) -> ApplicationName:
        """The web application that a request target belongs to."""
        return "communities" if target.startswith(f"{self.context}/communities/") else "profiles"

    @property
    def administration(self) -> str:
        """Path of the administration of Profiles."""
        return f"{self.context}/profiles{self.segment}/admin/atom"

    @property
    def communities(self) -> str:
        """Path of the Atom resources of Communities, which have the OAuth segment at the end."""
        return f"{self.context}/communities/service/atom{self.segment}"

    def template_of(self, target: str) -> str | None:
        """The path of a request target, if it is one that this package knows; it names no person then."""
        path = target.partition("?")[0]
        known = path.startswith(self.context) and _KNOWN_PATH.fullmatch(path, len(self.context))
        return path if known else None

    def url_of(self, target: str) -> str:
        """The URL of a request target."""
        return f"{self.origin}{target}"

    def follow(self, href: str, base: str | None = None) -> str | None:
        """The request target of a link in a response; None if the link does not lead to Profiles or Communities.

        Only path and query of the link are used, on the origin of this address: behind a gateway, links may name the
        host, scheme and port of the inner server, and lack the path that the gateway adds. So the credential is never
        sent to another host. The OAuth segment is inserted if the link lacks it.

        Args:
            href: the link; it may be relative.
            base: the URL of the response; by default the root of the server.

        Raises:
            InvalidInputError: the link contains a lone surrogate.
        """
        if _SURROGATE.search(href):  # no document contains one, so the link comes from a record of the caller
            raise InvalidInputError(LONE_SURROGATE)
        try:
            _, target = split_url(urldefrag(urljoin(base or self.url_of("/"), href)).url)
            target = quote(target, safe=_SAFE)
        except ValueError:
            return None
        local = target.removeprefix(self.context)
        if not local.startswith(ROOTS):
            local = target
        if not local.startswith(ROOTS) or not _PLAIN_PATH.fullmatch(local.partition("?")[0]):
            return None
        return self._with_segment(self.context + local)

    def redirected(self, target: str, location: str) -> str | None:
        """The request target of a redirect within the server; None if it leads elsewhere, or asks for something else.

        Args:
            target: the request target that was redirected.
            location: the ``Location`` of the response.
        """
        base = self.url_of(target)
        followed = self.follow(location, base)
        if followed is None or followed == target:
            try:
                origin, followed = split_url(urljoin(base, location))
            except ValueError:
                return None
            if origin != self.origin or quote(followed, safe=_SAFE) != followed:
                return None
        return followed if keeps_parameters(target, followed) else None

    def _with_segment(self, target: str) -> str:
        for before, after in (("/profiles", ("/atom/", "/admin/atom/")), ("/communities/service/atom", ("/",))):
            root = self.context + before
            rest = target.removeprefix(root)
            if self.segment and rest != target and rest.startswith(after) and not rest.startswith(f"{self.segment}/"):
                return root + self.segment + rest
        return target

    @classmethod
    def of(cls, url: str, *, oauth: bool = False) -> Address:
        """The address in a URL such as ``https://connections.example.com`` or ``https://intranet.example.com/social``.

        Raises:
            InvalidInputError: not an http(s) URL with a host, or a URL with a user, a query or a fragment.
        """
        origin, target = split_url(plain_text(url, "URL"))
        if "?" in target:
            raise InvalidInputError("the base URL must not contain a query")
        context = target.rstrip("/")
        if not _PATH.fullmatch(context):
            raise InvalidInputError("the path of the base URL must be percent-encoded and contain no empty segment")
        return cls(origin, context, "/oauth" if oauth else "")


def keeps_parameters(target: str, other: str, *, may_lack: bool = False) -> bool:
    """Whether another request target has all parameters of `target`, with the same values; it may have more.

    With `may_lack`, as in a link to the next page, it may lack some, but changes none.

    Front ends that rewrite URLs lose the query, encode it twice, or write ``%2B`` as ``+``. The response would then be
    about other people.
    """
    found = parse_qs(other.partition("?")[2], keep_blank_values=True)
    wanted = parse_qs(target.partition("?")[2], keep_blank_values=True)
    return all(found.get(name, values if may_lack else None) == values for name, values in wanted.items())


def split_url(url: str) -> tuple[Origin, str]:
    """The normalised origin of a URL, and the request target: path and query.

    Raises:
        InvalidInputError: not an http(s) URL with a host, or a URL with a user, a password or a fragment.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = _host(parts), parts.port
    except (ValueError, AttributeError, TypeError):  # also for a URL that is not text
        parts, host, port = SplitResult("", "", "", "", ""), "", None
    if parts.scheme not in DEFAULT_PORTS or not host or port == 0:
        raise InvalidInputError("a URL must look like https://connections.example.com")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidInputError("a URL must not contain a user, a password or a fragment")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Origin(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme]), target


def _host(parts: SplitResult) -> str:
    """The host, an IPv6 address without brackets; an empty string if there is no valid one.

    The zone of a link-local address may be written with ``%25`` (RFC 6874) or ``%``.
    """
    authority = parts.netloc.rpartition("@")[2]
    if "[" in authority or "]" in authority:
        found = _ADDRESS.fullmatch(authority)
        if found is None:
            return ""
        address = IPv6Address(found["address"])
        return f"{address}%{found['zone']}" if found["zone"] else str(address)
    name = parts.hostname or ""
    host = (name if name.isascii() else name.encode("idna").decode()).lower()
    return host if _HOST.fullmatch(host) else ""
