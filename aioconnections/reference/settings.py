"""The configuration of a server: the version of the product that it imitates, and options.

The differences between versions come from recorded responses. Each contradiction between the vendor's pages and each
difference between installations has an option.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from attrs import field, frozen
from attrs.validators import ge, in_, instance_of, le, optional

__all__ = ["DIALECTS", "CreatedBody", "Dialect", "Emails", "LoginScheme", "Settings", "TokenPaths", "Version"]

_CONTEXT = re.compile(r"(?:/[A-Za-z0-9_.~-]+)*")
_LINK_BASE = re.compile(rf"https?://[A-Za-z0-9_.:\[\]-]+{_CONTEXT.pattern}")
Version: TypeAlias = Literal["4.5", "5.0", "6.0"]


@frozen(kw_only=True)
class Dialect:
    """How the responses of one version differ from those of the others.

    Attributes:
        generator: the version number in ``generator`` elements.
        line_end: the line separator of error documents.
        has_guests: whether person constructs have ``snx:isExternal``.
        unknown_person: status of a check for an unknown person. Recorded for lists of colleagues only: 4.5 responds
            with an empty list, later versions refuse the request.
        closes_after_400: whether the server closes the connection after a 400.
        session_cookie: name of the web container's session cookie.
        ltpa_cookies: names of the login cookies.
        auth_header: value of ``X-LConn-Auth``, whose meaning is unknown.
        varies: whether ``Vary: Accept-Encoding`` is sent.
        is_cloud: whether the recordings are from the cloud, where Communities adds ``private`` to its
            ``Cache-Control`` and an organization to contributors.
        sends_no_store: whether responses to changes have ``Surrogate-Control: no-store``.
    """

    generator: str
    line_end: str
    has_guests: bool
    unknown_person: Literal[400, 404]
    closes_after_400: bool
    session_cookie: str
    ltpa_cookies: tuple[str, ...]
    auth_header: str
    varies: bool
    is_cloud: bool
    sends_no_store: bool


DIALECTS: dict[Version, Dialect] = {
    "4.5": Dialect(
        generator="4.5.0.0",
        line_end="\n",
        has_guests=False,
        unknown_person=404,
        closes_after_400=False,
        session_cookie="LCSESSIONID",
        ltpa_cookies=("LtpaToken", "LtpaToken2"),
        auth_header="false",
        varies=False,
        is_cloud=False,
        sends_no_store=True,
    ),
    "5.0": Dialect(
        generator="5.0.0.0",
        line_end="\n",
        has_guests=True,
        unknown_person=400,
        closes_after_400=True,
        session_cookie="ICSESSIONID",
        ltpa_cookies=("LtpaToken2",),
        auth_header="false",
        varies=False,
        is_cloud=False,
        sends_no_store=False,
    ),
    "6.0": Dialect(
        generator="6.0.0.0",
        line_end="\r\n",
        has_guests=True,
        unknown_person=400,
        closes_after_400=False,
        session_cookie="JSESSIONID",
        ltpa_cookies=("LtpaToken2",),
        auth_header="true",
        varies=True,
        is_cloud=True,
        sends_no_store=False,
    ),
}

Emails: TypeAlias = Literal["exposed", "hidden"]
LoginScheme: TypeAlias = Literal["basic", "form", "oauth"]
TokenPaths: TypeAlias = Literal["oauth", "ordinary"]
CreatedBody: TypeAlias = Literal["empty", "entry"]


@frozen(kw_only=True)
class Settings:
    """The options of `aioconnections.reference.app`, which describes them.

    Raises:
        ValueError: an option has an invalid value.
    """

    version: Version = field(validator=in_(DIALECTS))
    emails: Emails = field(validator=in_(("exposed", "hidden")))
    auth: LoginScheme = field(validator=in_(("basic", "form", "oauth")))
    token_paths: TokenPaths = field(validator=in_(("oauth", "ordinary")))
    anonymous_read: bool = field(validator=instance_of(bool))
    invite_201_body: CreatedBody = field(validator=in_(("empty", "entry")))
    invitation_delete: int = field(validator=in_((200, 204)))
    max_ps: int = field(validator=ge(1))
    page_default: int | None = field(validator=optional(ge(1)))
    lists_omit: float = field(validator=[ge(0), le(1)])
    lists_omit_inactive: bool = field(validator=instance_of(bool))
    lists_omit_pending: bool = field(validator=instance_of(bool))
    omit_seed: int
    cache_headers: bool = field(validator=instance_of(bool))
    rootless_profile_entry: bool = field(validator=instance_of(bool))
    dedup: bool = field(validator=instance_of(bool))
    require_connection_type: bool = field(validator=instance_of(bool))
    front_end_pages: bool = field(validator=instance_of(bool))
    front_end_status: int | None = field(validator=optional([ge(200), le(599)]))
    context: str
    link_base: str | None

    def __attrs_post_init__(self) -> None:
        if self.front_end_status is not None and not self.front_end_pages:
            raise ValueError("front_end_status requires front_end_pages=True")
        if not _CONTEXT.fullmatch(self.context):
            raise ValueError(f"context must be empty or a path such as /social, got {self.context!r}")
        if self.link_base is not None and not _LINK_BASE.fullmatch(self.link_base):
            raise ValueError(f"link_base must be a URL such as https://inner.example.com:9443, got {self.link_base!r}")

    @property
    def takes_tokens_on_oauth_paths(self) -> bool:
        """Whether bearer tokens are accepted, and on the paths with ``oauth``."""
        return self.auth == "oauth" and self.token_paths == "oauth"  # noqa: S105  # the kind of a path

    @property
    def takes_tokens_on_plain_paths(self) -> bool:
        """Whether bearer tokens are accepted, and on the plain paths."""
        return self.auth == "oauth" and self.token_paths == "ordinary"  # noqa: S105  # the kind of a path

    @property
    def dialect(self) -> Dialect:
        """The dialect of the version."""
        return DIALECTS[self.version]
