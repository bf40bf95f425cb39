"""The URLs of the services of one deployment."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from attrs import field, frozen

from aioconnections.errors import InvalidInputError, UnexpectedResponseError
from aioconnections.identifiers import plain_text
from aioconnections.protocol.messages import DEFAULT_PORTS, Origin

__all__ = ["Address", "ApplicationName", "split_url"]

ApplicationName: TypeAlias = Literal["profiles", "communities"]
"""A web application of the server; each can be stopped separately."""

_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?")
_PATH = re.compile(r"(?:/[A-Za-z0-9_.~!$&'()*+,;=:@%-]+)*")


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

    def follow(self, href: str) -> str:
        """The request target of a link in a response.

        A link may name the public host of the server, so a path below a context root counts as local on any host. The
        OAuth segment is inserted if the link lacks it.

        Raises:
            UnexpectedResponseError: the link leads elsewhere.
        """
        try:
            origin, target = split_url(urljoin(f"{self.origin}/", href))
            target = quote(target, safe="/?:@!$&'()*+,;=%~-._")
        except ValueError:  # also for a lone surrogate, which UTF-8 cannot encode
            origin, target = None, ""
        roots = (f"{self.context}/profiles/", f"{self.context}/communities/")
        if origin is None or (origin != self.origin and not target.startswith(roots)):
            raise UnexpectedResponseError(200, None, "a link in the response leads to another server")
        return self._with_segment(target)

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


def split_url(url: str) -> tuple[Origin, str]:
    """The normalised origin of a URL, and the request target: path and query.

    Raises:
        InvalidInputError: not an http(s) URL with a host, or a URL with a user, a password or a fragment.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = _host(parts.hostname or ""), parts.port
    except (ValueError, AttributeError, TypeError):  # also for a URL that is not text
        parts, host, port = SplitResult("", "", "", "", ""), "", None
    if parts.scheme not in DEFAULT_PORTS or not host or port == 0:
        raise InvalidInputError("a URL must look like https://connections.example.com")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidInputError("a URL must not contain a user, a password or a fragment")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Origin(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme]), target


def _host(name: str) -> str:
    """A host as in a ``Host`` header, or an empty string."""
    if ":" in name:
        return str(IPv6Address(name))
    host = (name if name.isascii() else name.encode("idna").decode()).lower()
    return host if _HOST.fullmatch(host) else ""
