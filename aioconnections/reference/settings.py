"""How one server behaves: a switch for everything in which the pages contradict each other, or installations differ."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import field, frozen
from attrs.validators import ge, in_, instance_of, optional

from aioconnections.reference.dialect import DIALECTS, Dialect, Version

__all__ = ["Body", "Emails", "Scheme", "Settings"]

Emails: TypeAlias = Literal["exposed", "hidden"]
Scheme: TypeAlias = Literal["basic", "form", "oauth"]
Body: TypeAlias = Literal["empty", "entry"]


@frozen(kw_only=True)
class Settings:
    """The switches of `aioconnections.reference.app`, where each is described.

    Raises:
        ValueError: a switch has a position that it does not have.
    """

    version: Version = field(validator=in_(DIALECTS))
    emails: Emails = field(validator=in_(("exposed", "hidden")))
    auth: Scheme = field(validator=in_(("basic", "form", "oauth")))
    anonymous_read: bool = field(validator=instance_of(bool))
    invite_201_body: Body = field(validator=in_(("empty", "entry")))
    invitation_delete: int = field(validator=in_((200, 204)))
    max_ps: int = field(validator=ge(1))
    page_default: int | None = field(validator=optional(ge(1)))
    cache_headers: bool = field(validator=instance_of(bool))
    rootless_profile_entry: bool = field(validator=instance_of(bool))
    dedup: bool = field(validator=instance_of(bool))
    front_end_pages: bool = field(validator=instance_of(bool))

    @property
    def dialect(self) -> Dialect:
        """What the version says, and how."""
        return DIALECTS[self.version]
