"""Where the services of one deployment live, and how a value is written into a URL."""

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
"""A web application of the server. Each can be stopped on its own."""

_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?")
_PATH = re.compile(r"(?:/[A-Za-z0-9_.~!$&'()*+,;=:@%-]+)*")


@frozen
class Address:
    """The base of all requests of a client.

    Attributes:
        origin: scheme, host and port.
        context: path before ``/profiles``, without a slash at its end; mostly empty.
        segment: ``/oauth`` where the login is OAuth's, else empty: it follows the context root of Profiles
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
        """Path of the Atom resources of Communities, where the segment of OAuth comes last."""
        return f"{self.context}/communities/service/atom{self.segment}"

    def follow(self, href: str) -> str:
        """The request target of a link in an answer.

        Links are the server's data, and may name the host that others see: one that leads below a context root of ours
        is taken as ours. Links need not have the segment of OAuth, so it is put in.

        Raises:
            UnexpectedResponseError: the link leads to somewhere else.
        """
        try:
            origin, target = split_url(urljoin(f"{self.origin}/", href))
            target = quote(target, safe="/?:@!$&'()*+,;=%~-._")
        except ValueError:  # a lone surrogate, which UTF-8 cannot write, among them
            origin, target = None, ""
        roots = (f"{self.context}/profiles/", f"{self.context}/communities/")
        if origin is None or (origin != self.origin and not target.startswith(roots)):
            raise UnexpectedResponseError(200, None, "a link in the answer leads to another server")
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
            InvalidInputError: not an http(s) URL with a host, or one with a user, a query or a fragment in it.
        """
        origin, target = split_url(plain_text(url, "URL"))
        if "?" in target:
            raise InvalidInputError("the base URL must not hold a query")
        context = target.rstrip("/")
        if not _PATH.fullmatch(context):
            raise InvalidInputError("the path of the base URL must be percent-encoded and hold no empty segment")
        return cls(origin, context, "/oauth" if oauth else "")


def split_url(url: str) -> tuple[Origin, str]:
    """Where a URL points, normalised, and the request target there: path and query.

    Raises:
        InvalidInputError: not an http(s) URL with a host, or one with a user, a password or a fragment in it.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = _host(parts.hostname or ""), parts.port
    except (ValueError, AttributeError, TypeError):  # a URL that is no text at all among them
        parts, host, port = SplitResult("", "", "", "", ""), "", None
    if parts.scheme not in DEFAULT_PORTS or not host or port == 0:
        raise InvalidInputError("a URL must look like https://connections.example.com")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidInputError("a URL must not hold a user, a password or a fragment")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Origin(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme]), target


def _host(name: str) -> str:
    """A host as a ``Host`` header may name it, or an empty text."""
    if ":" in name:
        return str(IPv6Address(name))
    host = (name if name.isascii() else name.encode("idna").decode()).lower()
    return host if _HOST.fullmatch(host) else ""
